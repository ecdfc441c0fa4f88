// IPv4's options (RFC 791 3.1, RFC 2113) as tcpdump prints them.

import { type Dissection, TRUNCATED } from "./dissection.ts";

const END = 0;
const NOP = 1;
const RECORD_ROUTE = 7;
const TIMESTAMP = 68;
const LOOSE_ROUTE = 131;
const STRICT_ROUTE = 137;
const ROUTER_ALERT = 148;

const NAMES: Readonly<Record<number, string>> = {
  0: "EOL",
  1: "NOP",
  7: "RR",
  68: "timestamp",
  130: "security",
  131: "LSRR",
  137: "SSRR",
  148: "RA",
  152: "upstream",
};

/** False when the captured bytes end first. */
export function decodeIpv4Options(d: Dissection, from: number, length: number): boolean {
  try {
    options(d, from, from + length);
    return true;
  } catch (error) {
    if (error === TRUNCATED) return false;
    throw error;
  }
}

function options(d: Dissection, from: number, end: number): void {
  let at = from;
  while (at < end) {
    if (at !== from) d.put(",");
    const kind = d.u8(at);
    d.put(NAMES[kind] ?? `unknown ${kind}`);
    let size = 1;
    if (kind !== END && kind !== NOP) {
      size = d.u8(at + 1);
      if (size < 2 || at + size > end) {
        d.put(` [bad length ${size}]`);
        return;
      }
    }
    d.need(at, size);
    if (kind === END) return;
    if (kind === TIMESTAMP) timestamps(d, at, size);
    else if (kind === RECORD_ROUTE || kind === LOOSE_ROUTE || kind === STRICT_ROUTE) {
      route(d, at, size);
    } else if (kind === ROUTER_ALERT) {
      if (size < 4) d.put(` [bad length ${size}]`);
      else if (d.u16(at + 2) !== 0) d.put(` value ${d.u16(at + 2)}`);
    }
    at += size;
  }
}

function route(d: Dissection, at: number, size: number): void {
  if (size < 3) {
    d.put(` [bad length ${size}]`);
    return;
  }
  if (((size + 1) & 3) !== 0) d.put(` [bad length ${size}]`);
  const pointer = d.u8(at + 2) - 1;
  if (pointer < 3 || ((pointer + 1) & 3) !== 0 || pointer > size + 1) {
    d.put(` [bad ptr ${d.u8(at + 2)}]`);
  }
  for (let o = 3; o < size; o += 4) {
    d.put(` ${d.ipv4(at + o)}`);
    if (pointer > o) d.put(",");
  }
}

function timestamps(d: Dissection, at: number, size: number): void {
  if (size < 4) {
    d.put(`[bad length ${size}]`);
    return;
  }
  d.put(" TS{");
  const kind = d.u8(at + 3) & 15;
  const hop = kind !== 0 ? 8 : 4;
  if (((size - 4) & (hop - 1)) !== 0) d.put(`[bad length ${size}]`);
  const pointer = d.u8(at + 2) - 1;
  if (pointer < 4 || ((pointer - 4) & (hop - 1)) !== 0 || pointer > size + 1) {
    d.put(`[bad ptr ${d.u8(at + 2)}]`);
  }
  let o = 0;
  const names: Readonly<Record<number, string>> = { 0: "TSONLY", 1: "TS+ADDR", 3: "PRESPEC" };
  if (names[kind] === undefined) d.put(`[bad ts type ${kind}]`);
  else {
    d.put(names[kind]);
    for (o = 4; o < size; o += hop) {
      const value = d.u32(at + o + hop - 4);
      const who = hop === 8 ? d.ipv4(at + o) : "";
      d.put(`${pointer === o ? " ^ " : " "}${value}@${who}`);
    }
  }
  if (pointer === o) d.put(" ^ ");
  const missed = d.u8(at + 3) >>> 4;
  d.put(missed !== 0 ? ` [${missed} hops not recorded]} ` : "}");
}

/** Where the address that checksums use stands: the last one of a source route, or the header's. */
export function finalDestination(d: Dissection, header: number, headerBytes: number): number {
  const end = Math.min(header + headerBytes, d.end);
  let at = header + 20;
  while (at < end) {
    const kind = d.bytes[at];
    if (kind === END) break;
    if (kind === NOP) {
      at++;
      continue;
    }
    const size = at + 1 < end ? d.bytes[at + 1] : 0;
    if (size < 2 || at + size > end) break;
    if ((kind === LOOSE_ROUTE || kind === STRICT_ROUTE) && size >= 7) return at + size - 4;
    at += size;
  }
  return header + 16;
}
