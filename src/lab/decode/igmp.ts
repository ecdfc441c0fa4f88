// IGMP (RFC 1112, 2236, 3376) as tcpdump prints it.

import { IPV4 } from "../../netstack/index.ts";
import { plainSum } from "./checksums.ts";
import { type Dissection, hex } from "./dissection.ts";
import { printGroupRecords, printQuerySources } from "./group-records.ts";

const USUAL_RESPONSE = 100;

export function decodeIgmp(d: Dissection, at: number, length: number): void {
  d.protocol = "igmp";
  const type = d.u8(at);
  if (d.wantsFields) d.layer("igmp", { type, length });
  switch (type) {
    case 0x11:
      d.put("igmp query");
      if (length >= 12) query3(d, at, length);
      else query(d, at, length);
      break;
    case 0x12:
      d.put(`igmp v1 report ${d.ipv4(at + 4)}`);
      if (length !== 8) d.put(` [len ${length}]`);
      break;
    case 0x16:
      d.put(`igmp v2 report ${d.ipv4(at + 4)}`);
      break;
    case 0x17:
      d.put(`igmp leave ${d.ipv4(at + 4)}`);
      break;
    case 0x22:
      d.put("igmp v3 report");
      report3(d, at, length);
      break;
    default:
      d.put(`igmp-${type}`);
  }
  if (d.verbosity > 0 && length >= 4) {
    const sum = plainSum(d, at, length);
    if (sum !== null && sum !== 0) d.put(` bad igmp cksum ${hex(d.u16(at + 2))}!`);
  }
}

function query(d: Dissection, at: number, length: number): void {
  const code = d.u8(at + 1);
  if (code === 0) d.put(" v1");
  else {
    d.put(" v2");
    if (code !== USUAL_RESPONSE) d.put(` [max resp time ${code}]`);
  }
  if (d.u32(at + 4) !== 0) d.put(` [gaddr ${d.ipv4(at + 4)}]`);
  if (length !== 8) d.put(` [len ${length}]`);
}

function query3(d: Dissection, at: number, length: number): void {
  d.put(" v3");
  if ((length & 3) !== 0) {
    d.put(` [invalid len ${length}]`);
    return;
  }
  const code = d.u8(at + 1);
  // RFC 3376 4.1.1: a float of four bits of mantissa.
  const tenths = code < 128 ? code : ((code & 15) | 16) << (((code & 0x70) >>> 4) + 3);
  if (code !== USUAL_RESPONSE) {
    d.put(
      ` [max resp time ${tenths < 600 ? `${(tenths / 10).toFixed(1)}s` : relative(Math.floor(tenths / 10))}]`,
    );
  }
  if (d.u32(at + 4) === 0) return;
  d.put(` [gaddr ${d.ipv4(at + 4)}`);
  printQuerySources(d, at, length, 12, d.u16(at + 10), IPV4);
  d.put("]");
}

function report3(d: Dissection, at: number, length: number): void {
  if (length < 16 || (length & 3) !== 0) {
    d.put(` [invalid len ${length}]`);
    return;
  }
  printGroupRecords(d, at, length, IPV4, "v3");
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
