// IPv6's extension headers (RFC 8200 4) as tcpdump prints them. Each returns its length, or -1: nothing behind
// it can be printed.

import { IPV6 } from "../../netstack/index.ts";
import { type Dissection, hex } from "./dissection.ts";
import type { TcpContext } from "./tcp.ts";

const IPV6_HEADER = 40;

/** What a Jumbo Payload option (RFC 2675) said; 0: there was none. */
export interface Jumbo {
  length: number;
}

/** RFC 8200 4.2: type, length, value; only Pad1 has no length. */
export function printOptions(
  d: Dissection,
  at: number,
  name: string,
  shown: boolean,
  jumbo: Jumbo,
): number {
  d.protocol = name === "HBH" ? "hbh" : "dstopt";
  const length = (d.u8(at + 1) + 1) * 8;
  d.need(at, length);
  d.put(`${name} `);
  if (!shown) return length;
  const end = at + length;
  let o = at + 2;
  while (o < end) {
    const type = d.u8(o);
    if (type === 0) {
      if (d.verbosity > 0) d.put("(pad1)");
      o++;
      continue;
    }
    if (o + 2 > end) return invalid(d);
    const size = d.u8(o + 1);
    if (o + 2 + size > end) return invalid(d);
    option(d, o, type, size, jumbo);
    o += 2 + size;
  }
  if (d.verbosity > 0) d.put(" ");
  return length;
}

function option(d: Dissection, o: number, type: number, size: number, jumbo: Jumbo): void {
  switch (type) {
    case 1:
      if (d.verbosity > 0) d.put("(padn)");
      break;
    case 5:
      if (size !== 2) d.put(`(rtalert: invalid len ${size})`);
      else if (d.verbosity > 0) d.put(`(rtalert: 0x${hex(d.u16(o + 2), 4)}) `);
      break;
    case 0xc2:
      if (size !== 4) break;
      jumbo.length = d.u32(o + 2);
      if (d.verbosity > 0) d.put(`(jumbo: ${jumbo.length}) `);
      break;
    default:
      if (d.verbosity > 0) d.put(`(opt_type 0x${hex(type, 2)}: len=${size})`);
  }
}

function invalid(d: Dissection): -1 {
  d.put(" (invalid)");
  return -1;
}

export function printFragment(d: Dissection, at: number, header: number, payload: number): number {
  d.protocol = "frag6";
  const word = d.u16(at + 2);
  const id = d.u32(at + 4);
  const offset = word & 0xfff8;
  d.put("frag (");
  if (d.verbosity > 0) d.put(`0x${hex(id, 8)}:`);
  d.put(`${offset}|`);
  const left = IPV6_HEADER + payload - (at - header) - 8;
  d.put(left < 0 ? "[length < 0] (invalid))" : `${left})`);
  if (d.wantsFields) d.layer("fragment", { id, offset, more: (word & 1) !== 0 });
  if (offset !== 0) return -1;
  d.put(" ");
  return 8;
}

/** RFC 5095 and RFC 6275: the checksum of what follows counts the last address. */
export function printRouting(d: Dissection, at: number, c: TcpContext): number {
  d.protocol = "rt6";
  const units = d.u8(at + 1);
  const type = d.u8(at + 2);
  d.put(`RT6 (len=${units}, type=${type}`);
  if (type === 0) d.put(" [Deprecated]");
  d.put(`, segleft=${d.u8(at + 3)}`);
  if (type !== 0 && type !== 2) {
    d.put(" (unknown type) (invalid)");
    return -1;
  }
  const reserved = d.u32(at + 4);
  if (reserved !== 0 || d.verbosity > 0) d.put(`, rsv=0x${hex(reserved)}`);
  if (units % 2 === 1) {
    d.put(` [length ${units}] (invalid)`);
    return -1;
  }
  for (let i = 0; i < units / 2; i++) {
    const address = at + 8 + i * 16;
    d.put(`, [${i}]${d.ipv6(address)}`);
    c.addresses.dst.read(d.bytes, address, IPV6);
  }
  d.put(") ");
  return (units + 1) * 8;
}
