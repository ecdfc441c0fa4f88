// IPv6 (RFC 8200) with its extension headers as tcpdump prints it.

import { IPV6 } from "../../netstack/index.ts";
import { type Dissection, hex } from "./dissection.ts";
import { decodePayload } from "./ip-payload.ts";
import type { IpOptions } from "./ipv4.ts";
import { type Jumbo, printFragment, printOptions, printRouting } from "./ipv6-extensions.ts";
import { protocolName } from "./names.ts";
import type { TcpContext } from "./tcp.ts";

const HEADER = 40;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION = 60;

export function decodeIpv6(
  d: Dissection,
  at: number,
  length: number,
  headed: boolean,
  o: IpOptions,
): void {
  d.protocol = "ip6";
  if (!headed) d.put("IP6 ");
  if (length < HEADER) {
    d.put(` [length ${length} < 40] (invalid)`);
    return;
  }
  const version = d.u8(at) >>> 4;
  if (version !== 6) {
    d.put(` [version ${version} != 6] (invalid)`);
    return;
  }
  const payload = d.u16(at + 4);
  const whole = payload === 0 ? length : payload + HEADER;
  if (whole > length) d.put(`[header+payload length ${whole} > length ${length}] (invalid) `);
  const next = d.u8(at + 6);
  if (d.verbosity > 0) {
    const flow = d.u32(at);
    d.put("(");
    if ((flow & 0x0ff00000) !== 0) d.put(`class 0x${hex((flow & 0x0ff00000) >>> 20, 2)}, `);
    if ((flow & 0x000fffff) !== 0) d.put(`flowlabel 0x${hex(flow & 0xfffff, 5)}, `);
    d.put(`hlim ${d.u8(at + 7)}, next-header ${protocolName(next)} (${next})`);
    d.put(`, payload length ${payload}) `);
  }
  d.need(at, HEADER);
  const outerEnd = d.end;
  d.end = Math.min(outerEnd, at + Math.min(length, whole));
  d.need(at + 8, 32);
  if (d.wantsFields) {
    d.layer("ipv6", {
      trafficClass: (d.u32(at) >>> 20) & 255,
      flowLabel: d.u32(at) & 0xfffff,
      payloadLength: payload,
      nextHeader: protocolName(next),
      nextHeaderNumber: next,
      hopLimit: d.u8(at + 7),
      src: d.ipv6(at + 8),
      dst: d.ipv6(at + 24),
    });
  }
  const { context } = o;
  const { addresses } = context;
  context.family = IPV6;
  context.srcAt = at + 8;
  context.dstAt = at + 24;
  addresses.src.read(d.bytes, at + 8, IPV6);
  addresses.next.read(d.bytes, at + 24, IPV6);
  addresses.dst.read(d.bytes, at + 24, IPV6);
  context.showsAddresses = true;
  context.isFragment = false;
  chain(d, at, Math.min(length, whole), next, payload, context, o);
  d.end = outerEnd;
}

/** Walks the extension headers, then what they lead to. */
function chain(
  d: Dissection,
  header: number,
  whole: number,
  first: number,
  payload: number,
  c: TcpContext,
  o: IpOptions,
): void {
  const jumbo: Jumbo = { length: 0 };
  let next = first;
  let at = header + HEADER;
  if (next !== 6 && next !== 17) {
    d.putAddress(c.srcAt, IPV6);
    d.put(" > ");
    d.putAddress(c.dstAt, IPV6);
    d.put(": ");
  }
  while (at < d.end) {
    let used: number;
    switch (next) {
      case HOP_BY_HOP:
        if (at !== header + HEADER) {
          d.put("[The Hop-by-Hop Options header don't follow the IPv6 header] (invalid)");
          return;
        }
        used = printOptions(d, at, "HBH", true, jumbo);
        if (used >= 0 && payload === 0 && jumbo.length === 0) {
          d.put("[No valid Jumbo Payload Hop-by-Hop option found] (invalid)");
          return;
        }
        break;
      case DESTINATION:
        used = printOptions(d, at, "DSTOPT", d.verbosity > 0, { length: 0 });
        break;
      case ROUTING:
        used = printRouting(d, at, c);
        break;
      case FRAGMENT:
        used = printFragment(d, at, header, payload);
        c.isFragment = true;
        break;
      default:
        if (payload === 0 && jumbo.length === 0 && at !== header + HEADER) {
          d.put("[|ip6]");
          return;
        }
        c.showsAddresses = first === 6 || first === 17;
        decodePayload(d, at, header + reach(d, whole, jumbo) - at, next, c, o.decoders);
        return;
    }
    if (used < 0) return;
    next = d.u8(at);
    at += used;
  }
  if (next === 59) d.put("no next header");
}

/** Bytes from the header to the payload's end: by the Jumbo Payload option where there is one. */
function reach(d: Dissection, whole: number, jumbo: Jumbo): number {
  if (jumbo.length === 0) return whole;
  const told = jumbo.length + HEADER;
  if (told > whole) d.put(`[header+payload length ${told} > length ${whole}] (invalid) `);
  return told;
}
