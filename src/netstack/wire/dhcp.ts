// DHCPv4 messages (RFC 2131 2, RFC 2132): a request is written, an answer is read. Options that were split
// (RFC 3396) or overloaded into the fields for names (RFC 2132 9.3) are put together first.
//
//    0    1       2      3      4     8      10      12       16       20       24       28       44
//   | op | htype | hlen | hops | xid | secs | flags | ciaddr | yiaddr | siaddr | giaddr | chaddr | sname (64)
//    108      236      240
//   | file   | cookie | options, each: code, length, value

import { i32, setU16, setU32, u32 } from "../../base/bytes.ts";
import { copyMac, macEquals } from "./ethernet.ts";

const BOOTREQUEST = 1;
const BOOTREPLY = 2;
const SNAME = 44;
const FILE = 108;
const COOKIE = 236;
const OPTIONS = 240;
const MAGIC = 0x6382_5363;
/** What every server takes: BOOTP's least (RFC 1542 2.1). */
export const DHCP_MIN_BYTES = 300;

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

export const DHCPDISCOVER = 1;
export const DHCPOFFER = 2;
export const DHCPREQUEST = 3;
export const DHCPDECLINE = 4;
export const DHCPACK = 5;
export const DHCPNAK = 6;
export const DHCPRELEASE = 7;

export const DHCP_PAD = 0;
export const DHCP_SUBNET_MASK = 1;
export const DHCP_ROUTERS = 3;
export const DHCP_NAME_SERVERS = 6;
export const DHCP_HOST_NAME = 12;
export const DHCP_DOMAIN = 15;
export const DHCP_MTU = 26;
export const DHCP_BROADCAST = 28;
export const DHCP_REQUESTED_ADDRESS = 50;
export const DHCP_LEASE_TIME = 51;
export const DHCP_OVERLOAD = 52;
export const DHCP_MESSAGE_TYPE = 53;
export const DHCP_SERVER_ID = 54;
export const DHCP_PARAMETERS = 55;
export const DHCP_MESSAGE = 56;
export const DHCP_MAX_SIZE = 57;
export const DHCP_RENEWAL_TIME = 58;
export const DHCP_REBINDING_TIME = 59;
export const DHCP_CLIENT_ID = 61;
export const DHCP_DOMAIN_SEARCH = 119;
export const DHCP_CLASSLESS_ROUTES = 121;
const DHCP_END = 255;

export interface DhcpRequest {
  xid: number;
  secs: number;
  /** The server answers to all, because we cannot take what is sent to an address that we do not have yet. */
  broadcast: boolean;
  /** Our address, once we have it. */
  ciaddr: number;
  mac: Uint8Array;
  options: readonly (readonly [code: number, value: readonly number[]])[];
}

/** Writes at b[0] on; the length. */
export function writeDhcp(b: Uint8Array, request: DhcpRequest): number {
  b.fill(0, 0, DHCP_MIN_BYTES);
  b[0] = BOOTREQUEST;
  b[1] = 1;
  b[2] = 6;
  setU32(b, 4, request.xid);
  setU16(b, 8, request.secs);
  setU16(b, 10, request.broadcast ? 0x8000 : 0);
  setU32(b, 12, request.ciaddr);
  copyMac(b, 28, request.mac, 0);
  setU32(b, COOKIE, MAGIC);
  let at = OPTIONS;
  for (const [code, value] of request.options) {
    b[at] = code;
    b[at + 1] = value.length;
    b.set(value, at + 2);
    at += 2 + value.length;
  }
  b[at++] = DHCP_END;
  return Math.max(at, DHCP_MIN_BYTES);
}

export interface DhcpReply {
  xid: number;
  yiaddr: number;
  type: number;
  /** Whole values by code. */
  options: Map<number, Uint8Array>;
}

/** An answer to the station with this address, or null: anything else. */
export function readDhcpReply(b: Uint8Array, length: number, mac: Uint8Array): DhcpReply | null {
  if (length < OPTIONS || b[0] !== BOOTREPLY || b[1] !== 1 || b[2] !== 6) return null;
  if (u32(b, COOKIE) !== MAGIC || !macEquals(b, 28, mac, 0)) return null;
  const options = new Map<number, Uint8Array>();
  if (!collect(b, OPTIONS, length, options)) return null;
  const overload = options.get(DHCP_OVERLOAD)?.[0] ?? 0;
  if ((overload & 1) !== 0 && !collect(b, FILE, COOKIE, options)) return null;
  if ((overload & 2) !== 0 && !collect(b, SNAME, FILE, options)) return null;
  const type = options.get(DHCP_MESSAGE_TYPE);
  if (type?.length !== 1) return null;
  return { xid: u32(b, 4), yiaddr: i32(b, 16), type: type[0], options };
}

// @rfc 3396 7
function collect(b: Uint8Array, from: number, to: number, out: Map<number, Uint8Array>): boolean {
  for (let at = from; at < to && b[at] !== DHCP_END; ) {
    const code = b[at++];
    if (code === DHCP_PAD) continue;
    if (at >= to || at + 1 + b[at] > to) return false;
    const value = b.slice(at + 1, at + 1 + b[at]);
    at += 1 + value.length;
    const before = out.get(code);
    if (before === undefined) out.set(code, value);
    else {
      const whole = new Uint8Array(before.length + value.length);
      whole.set(before);
      whole.set(value, before.length);
      out.set(code, whole);
    }
  }
  return true;
}
