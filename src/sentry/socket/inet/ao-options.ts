// setsockopt of TCP-AO (RFC 5925): TCP_AO_ADD_KEY, TCP_AO_DEL_KEY, TCP_AO_INFO. The structures are taken apart here and
// judged as Linux's tcp_ao.c does; what they do is the stack's (netstack/tcp/ao-calls.ts). What getsockopt tells:
// ao-options-read.ts. There are no VRFs to bind keys to.

import { E2BIG, EINVAL, EISCONN, ENOENT, ENOMEM } from "../../../abi/errno.ts";
import { AF_INET } from "../../../abi/socket.ts";
import { TCP_CLOSE, TCP_LISTEN } from "../../../abi/tcp.ts";
import {
  TCP_AO_ADD_ALG_NAME,
  TCP_AO_ADD_BITS,
  TCP_AO_ADD_BYTES,
  TCP_AO_ADD_IFINDEX,
  TCP_AO_ADD_KEY,
  TCP_AO_ADD_KEY_BYTES,
  TCP_AO_ADD_KEYFLAGS,
  TCP_AO_ADD_KEYLEN,
  TCP_AO_ADD_MACLEN,
  TCP_AO_ADD_PREFIX,
  TCP_AO_ADD_RCVID,
  TCP_AO_ADD_RESERVED2,
  TCP_AO_ADD_SNDID,
  TCP_AO_ALG_NAME_BYTES,
  TCP_AO_DEL_BITS,
  TCP_AO_DEL_BYTES,
  TCP_AO_DEL_CURRENT_KEY,
  TCP_AO_DEL_IFINDEX,
  TCP_AO_DEL_KEY,
  TCP_AO_DEL_KEYFLAGS,
  TCP_AO_DEL_PREFIX,
  TCP_AO_DEL_RCVID,
  TCP_AO_DEL_RESERVED2,
  TCP_AO_DEL_RNEXT,
  TCP_AO_DEL_SNDID,
  TCP_AO_INFO_BYTES,
  TCP_AO_INFO_CURRENT_KEY,
  TCP_AO_INFO_PKT_AO_REQUIRED,
  TCP_AO_INFO_PKT_BAD,
  TCP_AO_INFO_PKT_DROPPED_ICMP,
  TCP_AO_INFO_PKT_GOOD,
  TCP_AO_INFO_PKT_KEY_NOT_FOUND,
  TCP_AO_INFO_RESERVED2,
  TCP_AO_INFO_RNEXT,
  TCP_AO_KEYF_EXCLUDE_OPT,
  TCP_AO_KEYF_IFINDEX,
  TCP_AO_MAXKEYLEN,
} from "../../../abi/tcp-ao.ts";
import { byteString, u16, u16Le, u32Le, u64Le } from "../../../base/bytes.ts";
import { IPV4, IPV6, IpAddr, inPrefix, maskAddr, NetErr } from "../../../netstack/index.ts";
import { resultOf } from "../errno-of.ts";
import type { StreamSocket } from "./stream-socket.ts";

const SET_CURRENT = 1;
const SET_RNEXT = 2;
const ADD_BITS = SET_CURRENT | SET_RNEXT;
const DEL_ASYNC = 4;
const DEL_BITS = ADD_BITS | DEL_ASYNC;
const AO_REQUIRED = 4;
const SET_COUNTERS = 8;
const ACCEPT_ICMPS = 16;
const INFO_BITS = 31;

const $addr = new IpAddr();

/** Precondition: the option is one of the three. */
export function setAoOption(
  s: StreamSocket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  const { endpoint } = s;
  const isUnopened = endpoint.state === TCP_CLOSE || endpoint.state === TCP_LISTEN;
  // What has begun without cannot begin to sign.
  if (!isUnopened && endpoint.ao === null) return -EISCONN;
  if (name === TCP_AO_ADD_KEY) return addKey(s, value, length);
  return name === TCP_AO_DEL_KEY ? removeKey(s, value, length) : setInfo(s, value, length);
}

/** copy_struct_from_sockptr: what is behind the structure must be zero. 0 or -errno. */
export function checkStruct(value: Uint8Array, length: number, bytes: number): number {
  for (let i = bytes; i < length; i++) if (value[i] !== 0) return -E2BIG;
  return 0;
}

const isListenerAsked = (s: StreamSocket, bits: number): boolean =>
  (bits & (SET_CURRENT | SET_RNEXT)) !== 0 && s.endpoint.state === TCP_LISTEN;

function addKey(s: StreamSocket, value: Uint8Array, length: number): number {
  if (length < TCP_AO_ADD_BYTES) return -EINVAL;
  const wrong = checkStruct(value, length, TCP_AO_ADD_BYTES);
  if (wrong !== 0) return wrong;
  const keyLength = value[TCP_AO_ADD_KEYLEN];
  const bits = u32Le(value, TCP_AO_ADD_BITS);
  if (keyLength > TCP_AO_MAXKEYLEN) return -EINVAL;
  if ((bits & ~ADD_BITS) !== 0 || u16Le(value, TCP_AO_ADD_RESERVED2) !== 0) return -EINVAL;
  const prefixBits = value[TCP_AO_ADD_PREFIX];
  if (u16Le(value, 0) !== s.family || u16(value, 2) !== 0) return -EINVAL;
  readAddr($addr, s, value);
  if (!isPrefixOf($addr, s.family, prefixBits)) return -EINVAL;
  if (!isPeerIn(s, $addr, prefixBits)) return -EINVAL;
  const flags = value[TCP_AO_ADD_KEYFLAGS];
  if ((flags & ~(TCP_AO_KEYF_IFINDEX | TCP_AO_KEYF_EXCLUDE_OPT)) !== 0) return -EINVAL;
  if (isListenerAsked(s, bits) || u32Le(value, TCP_AO_ADD_IFINDEX) !== 0) return -EINVAL;
  const name = byteString(value, TCP_AO_ADD_ALG_NAME, TCP_AO_ALG_NAME_BYTES - 1);
  const result = s.endpoint.addAoKey(
    {
      addr: $addr,
      prefixBits,
      sendId: value[TCP_AO_ADD_SNDID],
      receiveId: value[TCP_AO_ADD_RCVID],
      macBytes: value[TCP_AO_ADD_MACLEN],
      excludesOptions: (flags & TCP_AO_KEYF_EXCLUDE_OPT) !== 0,
      isOfDevice: (flags & TCP_AO_KEYF_IFINDEX) !== 0,
      algorithm: name.split("\0", 1)[0],
      secret: value.slice(TCP_AO_ADD_KEY_BYTES, TCP_AO_ADD_KEY_BYTES + keyLength),
    },
    { isCurrent: (bits & SET_CURRENT) !== 0, isRnext: (bits & SET_RNEXT) !== 0 },
  );
  return result === NetErr.NoBuffers ? -ENOMEM : resultOf(result);
}

function readAddr(out: IpAddr, s: StreamSocket, value: Uint8Array): void {
  if (s.family === AF_INET) out.read(value, 4, IPV4);
  else out.read(value, 8, IPV6);
}

/**
 * tcp_ao_verify_ipv4, tcp_ao_verify_ipv6: no bits beyond the prefix, and none of it only for every address. A mapped one
 * has the prefix of its IPv4 address.
 */
export function isPrefixOf(addr: IpAddr, family: number, prefixBits: number): boolean {
  if (prefixBits === 0)
    return family === AF_INET ? addr.v4 === 0 : !addr.isV4 && addr.isUnspecified;
  if (addr.isUnspecified || prefixBits > (addr.isV4 ? 32 : 128)) return false;
  return maskAddr(addr, addr.isV4 ? prefixBits + 96 : prefixBits).equals(addr);
}

/** A key of a connection is for its peer. */
function isPeerIn(s: StreamSocket, addr: IpAddr, prefixBits: number): boolean {
  const { state, remoteAddr } = s.endpoint;
  if (prefixBits === 0 || state === TCP_CLOSE || state === TCP_LISTEN) return true;
  if (remoteAddr.isV4 !== addr.isV4) return false;
  return inPrefix(remoteAddr, addr, addr.isV4 ? prefixBits + 96 : prefixBits);
}

function removeKey(s: StreamSocket, value: Uint8Array, length: number): number {
  if (length < TCP_AO_DEL_BYTES) return -EINVAL;
  const wrong = checkStruct(value, length, TCP_AO_DEL_BYTES);
  if (wrong !== 0) return wrong;
  const { endpoint } = s;
  const bits = u32Le(value, TCP_AO_DEL_BITS);
  const flags = value[TCP_AO_DEL_KEYFLAGS];
  const ifindex = u32Le(value, TCP_AO_DEL_IFINDEX);
  if ((bits & ~DEL_BITS) !== 0 || u16Le(value, TCP_AO_DEL_RESERVED2) !== 0) return -EINVAL;
  if (isListenerAsked(s, bits) || (flags & ~TCP_AO_KEYF_IFINDEX) !== 0) return -EINVAL;
  if (ifindex !== 0 && flags === 0) return -EINVAL;
  if (endpoint.ao === null) return -ENOENT;
  if ((bits & DEL_ASYNC) !== 0 && endpoint.state !== TCP_LISTEN) return -EINVAL;
  if (u16(value, 2) !== 0) return -EINVAL;
  if (ifindex !== 0) return -ENOENT;
  readAddr($addr, s, value);
  const name = {
    addr: $addr,
    prefixBits: value[TCP_AO_DEL_PREFIX],
    sendId: value[TCP_AO_DEL_SNDID],
    receiveId: value[TCP_AO_DEL_RCVID],
    isOfDevice: flags !== 0,
  };
  const next = {
    currentId: (bits & SET_CURRENT) !== 0 ? value[TCP_AO_DEL_CURRENT_KEY] : -1,
    rnextId: (bits & SET_RNEXT) !== 0 ? value[TCP_AO_DEL_RNEXT] : -1,
  };
  return resultOf(endpoint.removeAoKey(name, next));
}

function setInfo(s: StreamSocket, value: Uint8Array, length: number): number {
  if (length < TCP_AO_INFO_BYTES) return -EINVAL;
  const wrong = checkStruct(value, length, TCP_AO_INFO_BYTES);
  if (wrong !== 0) return wrong;
  const bits = u32Le(value, 0);
  if (isListenerAsked(s, bits)) return -EINVAL;
  if (!isInfoFit(value)) return -EINVAL;
  const counters = {
    good: u64Le(value, TCP_AO_INFO_PKT_GOOD),
    bad: u64Le(value, TCP_AO_INFO_PKT_BAD),
    keyNotFound: u64Le(value, TCP_AO_INFO_PKT_KEY_NOT_FOUND),
    required: u64Le(value, TCP_AO_INFO_PKT_AO_REQUIRED),
    droppedIcmps: u64Le(value, TCP_AO_INFO_PKT_DROPPED_ICMP),
  };
  const result = s.endpoint.setAo({
    currentId: (bits & SET_CURRENT) !== 0 ? value[TCP_AO_INFO_CURRENT_KEY] : -1,
    rnextId: (bits & SET_RNEXT) !== 0 ? value[TCP_AO_INFO_RNEXT] : -1,
    isRequired: (bits & AO_REQUIRED) !== 0,
    acceptsIcmps: (bits & ACCEPT_ICMPS) !== 0,
    counters: (bits & SET_COUNTERS) !== 0 ? counters : null,
  });
  return resultOf(result);
}

/** The reserved parts are zero. */
export const isInfoFit = (value: Uint8Array): boolean =>
  (u32Le(value, 0) & ~INFO_BITS) === 0 && u16Le(value, TCP_AO_INFO_RESERVED2) === 0;
