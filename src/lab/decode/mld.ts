// MLDv1 (RFC 2710) and MLDv2 (RFC 3810) as tcpdump prints them.

import { IPV6 } from "../../netstack/index.ts";
import type { Dissection } from "./dissection.ts";
import { printGroupRecords, printQuerySources } from "./group-records.ts";

export function printMld1(d: Dissection, at: number): void {
  if (!d.has(at, 24)) return;
  d.put(`max resp delay: ${d.u16(at + 4)} addr: ${d.ipv6(at + 8)}`);
}

/** RFC 3810 5.1.3 and 5.1.9: floats with a mantissa of so many bits. */
const float = (code: number, limit: number, mantissa: number, shift: number): number =>
  code < limit
    ? code
    : ((code & (mantissa - 1)) | mantissa) << (((code & (limit - mantissa)) >>> shift) + 3);

export function printMld2Query(d: Dissection, at: number, length: number): void {
  if (d.verbosity > 0) {
    d.put(` [max resp delay=${float(d.u16(at + 4), 32_768, 0x1000, 12)}]`);
  }
  d.put(` [gaddr ${d.ipv6(at + 8)}`);
  if (d.verbosity > 0) {
    const flags = d.u8(at + 24);
    if ((flags & 8) !== 0) d.put(" sflag");
    if ((flags & 7) !== 0) d.put(` robustness=${flags & 7}`);
    d.put(` qqi=${float(d.u8(at + 25), 128, 16, 4)}`);
  }
  printQuerySources(d, at, length, 28, d.u16(at + 26), IPV6);
  d.put("]");
}

export function printMld2Report(d: Dissection, at: number, length: number): void {
  if (length < 8) {
    d.put(` [invalid len ${length}]`);
    return;
  }
  printGroupRecords(d, at, length, IPV6, "v2");
}
