// getsockopt of TCP-AO: TCP_AO_INFO, and TCP_AO_GET_KEYS, which fills an array of structures behind the one that asks
// (Linux's tcp_ao_get_sock_info and tcp_ao_copy_mkts_to_user).

import { EAFNOSUPPORT, EFAULT, EINVAL, ENOENT } from "../../../abi/errno.ts";
import { AF_INET, AF_INET6, AF_UNSPEC } from "../../../abi/socket.ts";
import {
  TCP_AO_GET_ALG_NAME,
  TCP_AO_GET_BITS,
  TCP_AO_GET_BYTES,
  TCP_AO_GET_IFINDEX,
  TCP_AO_GET_KEY,
  TCP_AO_GET_KEYFLAGS,
  TCP_AO_GET_KEYLEN,
  TCP_AO_GET_MACLEN,
  TCP_AO_GET_NKEYS,
  TCP_AO_GET_PKT_BAD,
  TCP_AO_GET_PKT_GOOD,
  TCP_AO_GET_PREFIX,
  TCP_AO_GET_RCVID,
  TCP_AO_GET_SNDID,
  TCP_AO_INFO_BYTES,
  TCP_AO_INFO_CURRENT_KEY,
  TCP_AO_INFO_PKT_AO_REQUIRED,
  TCP_AO_INFO_PKT_BAD,
  TCP_AO_INFO_PKT_DROPPED_ICMP,
  TCP_AO_INFO_PKT_GOOD,
  TCP_AO_INFO_PKT_KEY_NOT_FOUND,
  TCP_AO_INFO_RNEXT,
  TCP_AO_KEYF_EXCLUDE_OPT,
  TCP_AO_KEYF_IFINDEX,
} from "../../../abi/tcp-ao.ts";
import {
  putByteString,
  setU16Le,
  setU32Le,
  setU64Le,
  u16Le,
  u32Le,
  u64Le,
} from "../../../base/bytes.ts";
import { type AoInfo, type AoKey, IPV4, IPV6, IpAddr, maskAddr } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { checkStruct, isInfoFit, isPrefixOf } from "./ao-options.ts";
import type { StreamSocket } from "./stream-socket.ts";

const IS_CURRENT = 1;
const IS_RNEXT = 2;
const GET_ALL = 4;

/** `out` holds what the program asks with: its reserved parts are looked at. */
export function getAoInfo(s: StreamSocket, out: Uint8Array, maxLength: number): number {
  const length = Math.min(maxLength, out.length);
  if (length === 0) return -EINVAL;
  if (length < TCP_AO_INFO_BYTES) out.fill(0, length, TCP_AO_INFO_BYTES);
  const wrong = checkStruct(out, length, TCP_AO_INFO_BYTES);
  if (wrong !== 0) return wrong;
  if (!isInfoFit(out)) return -EINVAL;
  const { ao } = s.endpoint;
  if (ao === null) return -ENOENT;
  const { current, rnext, counters } = ao;
  out.fill(0, 0, TCP_AO_INFO_BYTES);
  const required = ao.isRequired ? 4 : 0;
  const icmps = ao.acceptsIcmps ? 16 : 0;
  setU32Le(out, 0, (current === null ? 0 : 1) | (rnext === null ? 0 : 2) | required | icmps);
  out[TCP_AO_INFO_CURRENT_KEY] = current === null ? 0 : current.sendId;
  out[TCP_AO_INFO_RNEXT] = rnext === null ? 0 : rnext.receiveId;
  setU64Le(out, TCP_AO_INFO_PKT_GOOD, counters.good);
  setU64Le(out, TCP_AO_INFO_PKT_BAD, counters.bad);
  setU64Le(out, TCP_AO_INFO_PKT_KEY_NOT_FOUND, counters.keyNotFound);
  setU64Le(out, TCP_AO_INFO_PKT_AO_REQUIRED, counters.required);
  setU64Le(out, TCP_AO_INFO_PKT_DROPPED_ICMP, counters.droppedIcmps);
  // The length that the program gave stays.
  return length;
}

const $asked = new Uint8Array(TCP_AO_GET_BYTES);
const $made = new Uint8Array(TCP_AO_GET_BYTES);
const $addr = new IpAddr();

/**
 * The array lies at `at`, structures of `room` bytes, as many as the first one says. value[0, asked) is what the program
 * asks with, of `room` bytes.
 */
export function getAoKeys(
  t: Task,
  s: StreamSocket,
  value: Uint8Array,
  room: number,
  at: number,
  lengthAt: number,
): number {
  const { ao } = s.endpoint;
  if (ao === null) return -ENOENT;
  if (room === 0) return -EINVAL;
  const wrong = checkStruct(value, room, TCP_AO_GET_BYTES);
  if (wrong !== 0) return wrong;
  const bytes = Math.min(room, TCP_AO_GET_BYTES);
  $asked.fill(0);
  for (let i = 0; i < bytes; i++) $asked[i] = value[i];
  const refused = judge($asked);
  if (refused !== 0) return refused;
  const most = u32Le($asked, TCP_AO_GET_NKEYS);
  let found = 0;
  for (const key of ao.keys) {
    if (!isAsked(ao, key)) continue;
    if (found++ >= most) continue;
    encodeKey($made, ao, key);
    if (t.mm.copyOut(at + (found - 1) * room, $made, 0, bytes) !== bytes) return -EFAULT;
  }
  if (t.mm.writeU32(lengthAt, TCP_AO_GET_BYTES) < 0) return -EFAULT;
  return t.mm.writeU32(at + TCP_AO_GET_NKEYS, found) < 0 ? -EFAULT : 0;
}

/** Which questions make sense; $addr becomes the address asked for. 0 or -errno. */
function judge(b: Uint8Array): number {
  const flags = b[TCP_AO_GET_KEYFLAGS];
  const bits = u16Le(b, TCP_AO_GET_BITS);
  if (u64Le(b, TCP_AO_GET_PKT_GOOD) !== 0 || u64Le(b, TCP_AO_GET_PKT_BAD) !== 0) return -EINVAL;
  if ((flags & ~TCP_AO_KEYF_IFINDEX) !== 0) return -EINVAL;
  if (u32Le(b, TCP_AO_GET_IFINDEX) !== 0 && flags === 0) return -EINVAL;
  if ((bits & ~(IS_CURRENT | IS_RNEXT | GET_ALL)) !== 0) return -EINVAL;
  const isOfUse = (bits & (IS_CURRENT | IS_RNEXT)) !== 0;
  const isAll = (bits & GET_ALL) !== 0;
  if (isAll && isOfUse) return -EINVAL;
  const family = u16Le(b, 0);
  const prefixBits = b[TCP_AO_GET_PREFIX];
  if (family === AF_UNSPEC && (isAll || isOfUse)) {
    return prefixBits | b[TCP_AO_GET_SNDID] | b[TCP_AO_GET_RCVID] ? -EINVAL : 0;
  }
  if (family === AF_INET) $addr.read(b, 4, IPV4);
  else if (family === AF_INET6) $addr.read(b, 8, IPV6);
  else return -EAFNOSUPPORT;
  return isPrefixOf($addr, family, prefixBits) && !isAll && !isOfUse ? 0 : -EINVAL;
}

function isAsked(ao: AoInfo, key: AoKey): boolean {
  const bits = u16Le($asked, TCP_AO_GET_BITS);
  if ((bits & GET_ALL) !== 0) return true;
  if ((bits & (IS_CURRENT | IS_RNEXT)) !== 0) {
    return (
      ((bits & IS_CURRENT) !== 0 && key === ao.current) ||
      ((bits & IS_RNEXT) !== 0 && key === ao.rnext)
    );
  }
  if (key.sendId !== $asked[TCP_AO_GET_SNDID] || key.receiveId !== $asked[TCP_AO_GET_RCVID]) {
    return false;
  }
  if (key.isOfDevice && u32Le($asked, TCP_AO_GET_IFINDEX) !== 0) return false;
  if (key.net.isV4 !== $addr.isV4) return false;
  if (key.net.isUnspecified || $addr.isUnspecified) return true;
  const bitsOf = $asked[TCP_AO_GET_PREFIX] + ($addr.isV4 ? 96 : 0);
  return maskAddr(key.net, bitsOf).equals(maskAddr($addr, bitsOf));
}

/** struct tcp_ao_getsockopt of one key. */
function encodeKey(b: Uint8Array, ao: AoInfo, key: AoKey): void {
  b.fill(0);
  const { net, master } = key;
  setU16Le(b, 0, net.isV4 ? AF_INET : AF_INET6);
  net.write(b, net.isV4 ? 4 : 8, net.family);
  putByteString(b, TCP_AO_GET_ALG_NAME, key.algorithm.name);
  b.set(master, TCP_AO_GET_KEY);
  setU16Le(
    b,
    TCP_AO_GET_BITS,
    (key === ao.current ? IS_CURRENT : 0) | (key === ao.rnext ? IS_RNEXT : 0),
  );
  b[TCP_AO_GET_SNDID] = key.sendId;
  b[TCP_AO_GET_RCVID] = key.receiveId;
  b[TCP_AO_GET_PREFIX] = key.prefixBits;
  b[TCP_AO_GET_MACLEN] = key.macBytes;
  b[TCP_AO_GET_KEYFLAGS] =
    (key.isOfDevice ? TCP_AO_KEYF_IFINDEX : 0) |
    (key.excludesOptions ? TCP_AO_KEYF_EXCLUDE_OPT : 0);
  b[TCP_AO_GET_KEYLEN] = master.length;
  setU64Le(b, TCP_AO_GET_PKT_GOOD, key.good);
  setU64Le(b, TCP_AO_GET_PKT_BAD, key.bad);
}
