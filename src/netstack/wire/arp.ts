// ARP for IPv4 over Ethernet (RFC 826).
//
//    0      2       4     5     6     8          14         18         24        28
//   | htype| ptype | hln | pln | op | sender MAC | sender IP | target MAC | target IP |

import { i32, setU16, setU32, u16 } from "../../base/bytes.ts";
import { copyMac, ETHERTYPE_IPV4, isGroupMac, isZeroMac } from "./ethernet.ts";

const HTYPE = 0;
const PTYPE = 2;
const HLEN = 4;
const PLEN = 5;
const OP = 6;
export const ARP_SENDER_MAC = 8;
const SENDER_IP = 14;
export const ARP_TARGET_MAC = 18;
const TARGET_IP = 24;
export const ARP_BYTES = 28;

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

/** Form, and a sender MAC that one station can have. */
export function checkArp(b: Uint8Array, o: number, length: number): boolean {
  return (
    length >= ARP_BYTES &&
    u16(b, o + HTYPE) === 1 &&
    u16(b, o + PTYPE) === ETHERTYPE_IPV4 &&
    b[o + HLEN] === 6 &&
    b[o + PLEN] === 4 &&
    !isGroupMac(b, o + ARP_SENDER_MAC) &&
    !isZeroMac(b, o + ARP_SENDER_MAC)
  );
}

export const arpOp = (b: Uint8Array, o: number): number => u16(b, o + OP);
export const arpSenderIp = (b: Uint8Array, o: number): number => i32(b, o + SENDER_IP);
export const arpTargetIp = (b: Uint8Array, o: number): number => i32(b, o + TARGET_IP);

export function writeArp(
  b: Uint8Array,
  o: number,
  op: number,
  senderMac: Uint8Array,
  senderIp: number,
  targetMac: Uint8Array,
  targetIp: number,
): void {
  setU16(b, o + HTYPE, 1);
  setU16(b, o + PTYPE, ETHERTYPE_IPV4);
  b[o + HLEN] = 6;
  b[o + PLEN] = 4;
  setU16(b, o + OP, op);
  copyMac(b, o + ARP_SENDER_MAC, senderMac, 0);
  setU32(b, o + SENDER_IP, senderIp);
  copyMac(b, o + ARP_TARGET_MAC, targetMac, 0);
  setU32(b, o + TARGET_IP, targetIp);
}
