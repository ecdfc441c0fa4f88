// What follows an IP header, whichever version: chooses the decoder by protocol number.

import type { Dissection } from "./dissection.ts";
import { decodeIcmp } from "./icmp.ts";
import { decodeIcmp6 } from "./icmp6.ts";
import { decodeIgmp } from "./igmp.ts";
import { decodeTcp, type TcpContext } from "./tcp.ts";
import { decodeUdp } from "./udp.ts";

/** The decoders of IP, for tunnels; handed down because they are above this file. */
export interface IpDecoders {
  ipv4(d: Dissection, at: number, length: number): void;
  ipv6(d: Dissection, at: number, length: number): void;
}

const NO_NEXT_HEADER = 59;

export function decodePayload(
  d: Dissection,
  at: number,
  length: number,
  protocol: number,
  context: TcpContext,
  decoders: IpDecoders,
): void {
  switch (protocol) {
    case 1:
      decodeIcmp(d, at, length, context.isFragment, decoders);
      break;
    case 2:
      decodeIgmp(d, at, length);
      break;
    case 4:
      d.put(" ");
      decoders.ipv4(d, at, length);
      break;
    case 6:
      decodeTcp(d, at, length, context);
      break;
    case 17:
      decodeUdp(d, at, length, context);
      break;
    case 41:
      d.put(" ");
      decoders.ipv6(d, at, length);
      break;
    case 58:
      decodeIcmp6(d, at, length, context);
      break;
    case NO_NEXT_HEADER:
      d.put("no next header");
      break;
    default:
      d.put(` ip-proto-${protocol} ${length}`);
  }
}
