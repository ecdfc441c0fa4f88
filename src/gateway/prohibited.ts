// How the gateway says no to a datagram or a ping: ICMP "communication administratively prohibited" (RFC 1812
// 5.2.7.1, RFC 4443 3.1), which programs see as EHOSTUNREACH at once. TCP is refused with a reset instead.

import type { PacketBuffer, Stack } from "../netstack/index.ts";

const UNREACHABLE = 3;
const ADMINISTRATIVELY_PROHIBITED = 13;
const UNREACHABLE_V6 = 1;
const PROHIBITED_V6 = 1;

export function answerProhibited(stack: Stack, pkt: PacketBuffer): void {
  if (pkt.src.isV4) stack.icmp.sendError(pkt, UNREACHABLE, ADMINISTRATIVELY_PROHIBITED, 0);
  else stack.icmp6.sendError(pkt, UNREACHABLE_V6, PROHIBITED_V6, 0);
}
