// What of a packet's IP header is kept with its payload for a user who may ask: options of IPv4, extension headers of
// IPv6, and how long its longest fragment was. Most packets have none of it.

import type { DatagramExtra, ReceivedExtensions, ReceivedOptions } from "../endpoints.ts";
import { IPV4_HEADER } from "../wire/ipv4.ts";
import { IPV6_HEADER, ipv6Next } from "../wire/ipv6.ts";
import { hasIpOptions } from "./ipv4-options.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { Stack } from "./stack.ts";

const BARE_IPV4 = 0x45;

/** A whole packet with nothing between its IP header and what is above. */
export function isBareHeader(pkt: PacketBuffer, stack: Stack): boolean {
  const first = pkt.bytes[pkt.l3];
  if (first === BARE_IPV4) return stack.ipv4.reassembledBytes === 0;
  return first >>> 4 === 6 && pkt.l4 - pkt.l3 === IPV6_HEADER && stack.ipv6.reassembledBytes === 0;
}

export function readExtra(pkt: PacketBuffer, stack: Stack): DatagramExtra {
  if (pkt.bytes[pkt.l3] >>> 4 === 6) {
    const { reassembledBytes } = stack.ipv6;
    return { ipOptions: null, extensions: readExtensions(pkt), fragmentBytes: reassembledBytes };
  }
  const ipOptions = hasIpOptions(pkt) ? readOptions(pkt, stack) : null;
  return { ipOptions, extensions: null, fragmentBytes: stack.ipv4.reassembledBytes };
}

function readOptions(pkt: PacketBuffer, stack: Stack): ReceivedOptions {
  const echo = stack.ipv4.options.echo(pkt);
  const raw = pkt.bytes.slice(pkt.l3 + IPV4_HEADER, pkt.l4);
  return { raw, answer: echo === null ? null : echo.undone() };
}

function readExtensions(pkt: PacketBuffer): ReceivedExtensions | null {
  const from = pkt.l3 + IPV6_HEADER;
  if (pkt.l4 === from) return null;
  return { first: ipv6Next(pkt.bytes, pkt.l3), bytes: pkt.bytes.slice(from, pkt.l4) };
}
