// IGMP (RFC 1112, 2236, 3376) as tcpdump prints it.

import { plainSum } from "./checksums.ts";
import { type Dissection, hex } from "./dissection.ts";

export const RECORD_TYPES: Readonly<Record<number, string>> = {
  1: "is_in",
  2: "is_ex",
  3: "to_in",
  4: "to_ex",
  5: "allow",
  6: "block",
};
const USUAL_RESPONSE = 100;

export function decodeIgmp(d: Dissection, at: number, length: number): void {
  d.protocol = "igmp";
  const type = d.u8(at);
  if (d.wantsFields) d.layer("igmp", { type, length });
  switch (type) {
    case 0x11:
      d.text += "igmp query";
      if (length >= 12) query3(d, at, length);
      else query(d, at, length);
      break;
    case 0x12:
      d.text += `igmp v1 report ${d.ipv4(at + 4)}`;
      if (length !== 8) d.text += ` [len ${length}]`;
      break;
    case 0x16:
      d.text += `igmp v2 report ${d.ipv4(at + 4)}`;
      break;
    case 0x17:
      d.text += `igmp leave ${d.ipv4(at + 4)}`;
      break;
    case 0x22:
      d.text += "igmp v3 report";
      report3(d, at, length);
      break;
    default:
      d.text += `igmp-${type}`;
  }
  if (d.verbosity > 0 && length >= 4) {
    const sum = plainSum(d, at, length);
    if (sum !== null && sum !== 0) d.text += ` bad igmp cksum ${hex(d.u16(at + 2))}!`;
  }
}

function query(d: Dissection, at: number, length: number): void {
  const code = d.u8(at + 1);
  if (code === 0) d.text += " v1";
  else {
    d.text += " v2";
    if (code !== USUAL_RESPONSE) d.text += ` [max resp time ${code}]`;
  }
  if (d.u32(at + 4) !== 0) d.text += ` [gaddr ${d.ipv4(at + 4)}]`;
  if (length !== 8) d.text += ` [len ${length}]`;
}

function query3(d: Dissection, at: number, length: number): void {
  d.text += " v3";
  if ((length & 3) !== 0) {
    d.text += ` [invalid len ${length}]`;
    return;
  }
  const code = d.u8(at + 1);
  // RFC 3376 4.1.1: a float of four bits of mantissa.
  const tenths = code < 128 ? code : ((code & 15) | 16) << (((code & 0x70) >>> 4) + 3);
  if (code !== USUAL_RESPONSE) {
    d.text += ` [max resp time ${tenths < 600 ? `${(tenths / 10).toFixed(1)}s` : relative(Math.floor(tenths / 10))}]`;
  }
  if (d.u32(at + 4) === 0) return;
  d.text += ` [gaddr ${d.ipv4(at + 4)}`;
  const sources = d.u16(at + 10);
  if (sources > 0) {
    if (length < 12 + sources * 4) d.text += " [invalid number of sources]";
    else if (d.verbosity > 1) {
      d.text += " {";
      for (let i = 0; i < sources; i++) d.text += ` ${d.ipv4(at + 12 + i * 4)}`;
      d.text += " }";
    } else d.text += `, ${sources} source(s)`;
  }
  d.text += "]";
}

function report3(d: Dissection, at: number, length: number): void {
  if (length < 16 || (length & 3) !== 0) {
    d.text += ` [invalid len ${length}]`;
    return;
  }
  const groups = d.u16(at + 6);
  d.text += `, ${groups} group record(s)`;
  if (d.verbosity === 0) return;
  let o = 8;
  for (let i = 0; i < groups; i++) {
    if (length < o + 8) {
      d.text += " [invalid number of groups]";
      return;
    }
    const type = d.u8(at + o);
    d.text += ` [gaddr ${d.ipv4(at + o + 4)}`;
    d.text += ` ${RECORD_TYPES[type] ?? ` [v3-report-#${type}]`}`;
    const sources = d.u16(at + o + 2);
    if (length < o + 8 + sources * 4) {
      d.text += ` [invalid number of sources ${sources}]`;
      return;
    }
    if (d.verbosity === 1) d.text += `, ${sources} source(s)`;
    else {
      d.text += " {";
      for (let k = 0; k < sources; k++) d.text += ` ${d.ipv4(at + o + 8 + k * 4)}`;
      d.text += " }";
    }
    d.text += "]";
    o += 8 + sources * 4;
  }
}

/** Seconds as 1w2d3h4m5s. */
export function relative(seconds: number): string {
  if (seconds === 0) return "0s";
  let left = seconds;
  let text = "";
  for (const [unit, letter] of [
    [31_536_000, "y"],
    [604_800, "w"],
    [86_400, "d"],
    [3600, "h"],
    [60, "m"],
    [1, "s"],
  ] as const) {
    const count = Math.floor(left / unit);
    if (count > 0) text += `${count}${letter}`;
    left -= count * unit;
  }
  return text;
}
