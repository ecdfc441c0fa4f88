// MLDv1 (RFC 2710) and MLDv2 (RFC 3810) as tcpdump prints them.

import type { Dissection } from "./dissection.ts";
import { RECORD_TYPES } from "./igmp.ts";

export function printMld1(d: Dissection, at: number): void {
  if (!d.has(at, 24)) return;
  d.text += `max resp delay: ${d.u16(at + 4)} addr: ${d.ipv6(at + 8)}`;
}

/** RFC 3810 5.1.3 and 5.1.9: floats with a mantissa of so many bits. */
const float = (code: number, limit: number, mantissa: number, shift: number): number =>
  code < limit
    ? code
    : ((code & (mantissa - 1)) | mantissa) << (((code & (limit - mantissa)) >>> shift) + 3);

export function printMld2Query(d: Dissection, at: number, length: number): void {
  if (d.verbosity > 0) {
    d.text += ` [max resp delay=${float(d.u16(at + 4), 32_768, 0x1000, 12)}]`;
  }
  d.text += ` [gaddr ${d.ipv6(at + 8)}`;
  if (d.verbosity > 0) {
    const flags = d.u8(at + 24);
    if ((flags & 8) !== 0) d.text += " sflag";
    if ((flags & 7) !== 0) d.text += ` robustness=${flags & 7}`;
    d.text += ` qqi=${float(d.u8(at + 25), 128, 16, 4)}`;
  }
  const sources = d.u16(at + 26);
  if (sources > 0) {
    if (length < 28 + sources * 16) d.text += " [invalid number of sources]";
    else if (d.verbosity > 1) {
      d.text += " {";
      for (let i = 0; i < sources; i++) d.text += ` ${d.ipv6(at + 28 + i * 16)}`;
      d.text += " }";
    } else d.text += `, ${sources} source(s)`;
  }
  d.text += "]";
}

export function printMld2Report(d: Dissection, at: number, length: number): void {
  if (length < 8) {
    d.text += ` [invalid len ${length}]`;
    return;
  }
  const groups = d.u16(at + 6);
  d.text += `, ${groups} group record(s)`;
  if (d.verbosity === 0) return;
  let o = 8;
  for (let i = 0; i < groups; i++) {
    if (length < o + 20) {
      d.text += " [invalid number of groups]";
      return;
    }
    const type = d.u8(at + o);
    d.text += ` [gaddr ${d.ipv6(at + o + 4)} ${RECORD_TYPES[type] ?? ` [v2-report-#${type}]`}`;
    const sources = d.u16(at + o + 2);
    if (length < o + 20 + sources * 16) {
      d.text += ` [invalid number of sources ${sources}]`;
      return;
    }
    if (d.verbosity === 1) d.text += `, ${sources} source(s)`;
    else {
      d.text += " {";
      for (let k = 0; k < sources; k++) d.text += ` ${d.ipv6(at + o + 20 + k * 16)}`;
      d.text += " }";
    }
    d.text += "]";
    o += 20 + sources * 16;
  }
}
