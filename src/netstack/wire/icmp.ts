// ICMP for IPv4 (RFC 792, path MTU RFC 1191, codes RFC 1812).
//
//    0      1      2          4                8
//   | type | code | checksum | rest of header | payload: echo data, or the packet an error is about

import { setU16, u16 } from "../../base/bytes.ts";
import { sum16 } from "./checksum.ts";

const CODE = 1;
export const ICMP_CHECKSUM = 2;
const ECHO_ID = 4;
const ECHO_SEQ = 6;
const NEXT_MTU = 6;
const POINTER = 4;
export const ICMP_HEADER = 8;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_SOURCE_QUENCH = 4;
export const ICMP_REDIRECT = 5;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETER_PROBLEM = 12;
export const ICMP_TIMESTAMP = 13;

export const UNREACHABLE_NET = 0;
export const UNREACHABLE_HOST = 1;
export const UNREACHABLE_PROTOCOL = 2;
export const UNREACHABLE_PORT = 3;
export const UNREACHABLE_FRAG_NEEDED = 4;
export const UNREACHABLE_SOURCE_ROUTE = 5;
export const UNREACHABLE_NET_PROHIBITED = 9;
export const UNREACHABLE_HOST_PROHIBITED = 10;
export const UNREACHABLE_ADMIN = 13;

export const EXCEEDED_TTL = 0;
export const EXCEEDED_REASSEMBLY = 1;

export const checkIcmp = (b: Uint8Array, o: number, length: number): boolean =>
  length >= ICMP_HEADER && sum16(b, o, length) === 0xffff;

export const icmpType = (b: Uint8Array, o: number): number => b[o];
export const icmpCode = (b: Uint8Array, o: number): number => b[o + CODE];
export const icmpEchoId = (b: Uint8Array, o: number): number => u16(b, o + ECHO_ID);
export const icmpEchoSeq = (b: Uint8Array, o: number): number => u16(b, o + ECHO_SEQ);
export const icmpNextMtu = (b: Uint8Array, o: number): number => u16(b, o + NEXT_MTU);
export const icmpPointer = (b: Uint8Array, o: number): number => b[o + POINTER];

export function setIcmpChecksum(b: Uint8Array, o: number, value: number): void {
  setU16(b, o + ICMP_CHECKSUM, value);
}
export function setIcmpEchoId(b: Uint8Array, o: number, id: number): void {
  setU16(b, o + ECHO_ID, id);
}
/** Type, code and the second word (MTU, pointer, or 0); the checksum is left 0. */
export function writeIcmp(
  b: Uint8Array,
  o: number,
  type: number,
  code: number,
  rest: number,
): void {
  b[o] = type;
  b[o + CODE] = code;
  setU16(b, o + ICMP_CHECKSUM, 0);
  setU16(b, o + ECHO_ID, rest >>> 16);
  setU16(b, o + ECHO_SEQ, rest & 0xffff);
}

/** Those whose arrival must never be answered by an error (RFC 1122 3.2.2). */
export function isIcmpError(type: number): boolean {
  return (
    type === ICMP_UNREACHABLE ||
    type === ICMP_SOURCE_QUENCH ||
    type === ICMP_REDIRECT ||
    type === ICMP_TIME_EXCEEDED ||
    type === ICMP_PARAMETER_PROBLEM
  );
}
