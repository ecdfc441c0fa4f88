// setsockopt and getsockopt at level SOL_TCP (tcp(7)).

import { EINVAL, ENOENT, ENOMEM, ENOPROTOOPT, EOPNOTSUPP, EPERM } from "../../../abi/errno.ts";
import { AF_INET, SOMAXCONN } from "../../../abi/socket.ts";
import {
  TCP_CC_INFO,
  TCP_CLOSE,
  TCP_CONGESTION,
  TCP_CORK,
  TCP_DEFER_ACCEPT,
  TCP_DELACK_MAX_US,
  TCP_FASTOPEN,
  TCP_FASTOPEN_CONNECT,
  TCP_FASTOPEN_KEY,
  TCP_FASTOPEN_NO_COOKIE,
  TCP_INFO,
  TCP_INQ,
  TCP_IS_MPTCP,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_LINGER2,
  TCP_LISTEN,
  TCP_MAXSEG,
  TCP_MD5SIG,
  TCP_MD5SIG_BYTES,
  TCP_MD5SIG_EXT,
  TCP_MD5SIG_FLAG_IFINDEX,
  TCP_MD5SIG_FLAG_PREFIX,
  TCP_MD5SIG_FLAGS,
  TCP_MD5SIG_IFINDEX,
  TCP_MD5SIG_KEY,
  TCP_MD5SIG_KEYLEN,
  TCP_MD5SIG_MAXKEYLEN,
  TCP_MD5SIG_PREFIXLEN,
  TCP_NODELAY,
  TCP_NOTSENT_LOWAT,
  TCP_QUEUE_SEQ,
  TCP_QUICKACK,
  TCP_REPAIR,
  TCP_REPAIR_OPTIONS,
  TCP_REPAIR_QUEUE,
  TCP_REPAIR_WINDOW,
  TCP_RTO_MAX_MS,
  TCP_RTO_MIN_US,
  TCP_SAVE_SYN,
  TCP_SAVED_SYN,
  TCP_SYNCNT,
  TCP_THIN_DUPACK,
  TCP_THIN_LINEAR_TIMEOUTS,
  TCP_TIMESTAMP,
  TCP_TX_DELAY,
  TCP_ULP,
  TCP_USER_TIMEOUT,
  TCP_WINDOW_CLAMP,
} from "../../../abi/tcp.ts";
import { TCP_AO_ADD_KEY, TCP_AO_DEL_KEY, TCP_AO_INFO, TCP_AO_REPAIR } from "../../../abi/tcp-ao.ts";
import {
  byteString,
  i32Le,
  putByteString,
  setU32Le,
  setU64Le,
  u16Le,
  u32Le,
} from "../../../base/bytes.ts";
import { MS, SECOND } from "../../../base/clock.ts";
import {
  CONGESTION_CONTROLS,
  IPV4,
  IPV6,
  IpAddr,
  NetErr,
  newTcpInfo,
} from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { resultOf } from "../errno-of.ts";
import { setAoOption } from "./ao-options.ts";
import { getAoInfo } from "./ao-options-read.ts";
import { isClientEnabled } from "./fast-open.ts";
import type { StreamSocket } from "./stream-socket.ts";
import { encodeTcpInfo, TCP_INFO_BYTES } from "./tcp-info.ts";

const CONGESTION_NAME_BYTES = 16;
const MSS_MIN = 88;
const MSS_MAX = 32_767;
const MAX_TCP_KEEPIDLE = 32_767;
const MAX_TCP_KEEPCNT = 127;
const FASTOPEN_KEY_BYTES = 16;

const info = newTcpInfo();

export function setTcpOption(
  t: Task,
  s: StreamSocket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  if (name === TCP_FASTOPEN_KEY) return setFastOpenKey(s, value, length);
  // There are no upper-layer protocols to find.
  if (name === TCP_ULP) return length < 1 ? -EINVAL : -ENOENT;
  if (name === TCP_CONGESTION) return setCongestion(s, value, length);
  if (name === TCP_MD5SIG || name === TCP_MD5SIG_EXT) return setMd5(s, name, value, length);
  if (length < 4) return -EINVAL;
  if (name === TCP_AO_ADD_KEY || name === TCP_AO_DEL_KEY || name === TCP_AO_INFO) {
    return setAoOption(s, name, value, length);
  }
  if (name === TCP_FASTOPEN_CONNECT && !isClientEnabled(t)) return -EOPNOTSUPP;
  const result = setInteger(s, name, i32Le(value, 0));
  if (result === 0) s.endpoint.optionsChanged();
  return result;
}

function setCongestion(s: StreamSocket, value: Uint8Array, length: number): number {
  if (length < 1) return -EINVAL;
  let end = 0;
  while (end < Math.min(length, CONGESTION_NAME_BYTES - 1) && value[end] !== 0) end++;
  const control = byteString(value, 0, end);
  if (!CONGESTION_CONTROLS.includes(control)) return -ENOENT;
  s.endpoint.options.congestion = control;
  s.endpoint.optionsChanged();
  return 0;
}

const peer = new IpAddr();

/** tcp_v4_parse_md5_keys, tcp_v6_parse_md5_keys. Of the flags only TCP_MD5SIG_EXT knows; there are no VRFs to name. */
function setMd5(s: StreamSocket, name: number, value: Uint8Array, length: number): number {
  if (length < TCP_MD5SIG_BYTES) return -EINVAL;
  const family = u16Le(value, 0);
  if (family !== s.family) return -EINVAL;
  if (family === AF_INET) peer.read(value, 4, IPV4);
  else peer.read(value, 8, IPV6);
  const flags = name === TCP_MD5SIG_EXT ? value[TCP_MD5SIG_FLAGS] : 0;
  let prefixBits = peer.isV4 ? 32 : 128;
  if ((flags & TCP_MD5SIG_FLAG_PREFIX) !== 0) {
    if (value[TCP_MD5SIG_PREFIXLEN] > prefixBits) return -EINVAL;
    prefixBits = value[TCP_MD5SIG_PREFIXLEN];
  }
  const ifindex = u32Le(value, TCP_MD5SIG_IFINDEX);
  if ((flags & TCP_MD5SIG_FLAG_IFINDEX) !== 0 && ifindex !== 0) return -EINVAL;
  const keyLength = u16Le(value, TCP_MD5SIG_KEYLEN);
  if (keyLength > TCP_MD5SIG_MAXKEYLEN) return -EINVAL;
  const key = value.slice(TCP_MD5SIG_KEY, TCP_MD5SIG_KEY + keyLength);
  const result = s.endpoint.setMd5Key(peer, prefixBits, keyLength === 0 ? null : key);
  return result === NetErr.NoBuffers ? -ENOMEM : resultOf(result);
}

const isUnopened = (s: StreamSocket): boolean =>
  s.endpoint.state === TCP_CLOSE || s.endpoint.state === TCP_LISTEN;

/** One key, or a new one and the one before (TCP_FASTOPEN_KEY_LENGTH, tcp_fastopen_reset_cipher). */
function setFastOpenKey(s: StreamSocket, value: Uint8Array, length: number): number {
  if (length !== FASTOPEN_KEY_BYTES && length !== 2 * FASTOPEN_KEY_BYTES) return -EINVAL;
  const words = new Int32Array(length / 4);
  for (let i = 0; i < words.length; i++) words[i] = i32Le(value, 4 * i);
  s.endpoint.options.fastOpenKey = words;
  s.endpoint.optionsChanged();
  return 0;
}

function putFastOpenKey(s: StreamSocket, out: Uint8Array, maxLength: number): number {
  const words = s.endpoint.options.fastOpenKey ?? [];
  for (let i = 0; i < words.length; i++) setU32Le(out, 4 * i, words[i]);
  return Math.min(maxLength, 4 * words.length);
}

function setInteger(s: StreamSocket, name: number, value: number): number {
  const o = s.endpoint.options;
  switch (name) {
    case TCP_NODELAY:
      o.noDelay = value !== 0;
      return 0;
    case TCP_CORK:
      o.cork = value !== 0;
      return 0;
    case TCP_QUICKACK:
      s.endpoint.setQuickAck(value);
      return 0;
    case TCP_THIN_LINEAR_TIMEOUTS:
      if (value !== 0 && value !== 1) return -EINVAL;
      o.thinLinearTimeouts = value === 1;
      return 0;
    case TCP_THIN_DUPACK:
      // Without effect in Linux too, since RACK does better.
      return value !== 0 && value !== 1 ? -EINVAL : 0;
    case TCP_MAXSEG:
      if (value !== 0 && (value < MSS_MIN || value > MSS_MAX)) return -EINVAL;
      o.maxSegBytes = value;
      return 0;
    case TCP_KEEPIDLE:
      if (value < 1 || value > MAX_TCP_KEEPIDLE) return -EINVAL;
      o.keepIdleNs = value * SECOND;
      return 0;
    case TCP_KEEPINTVL:
      if (value < 1 || value > MAX_TCP_KEEPIDLE) return -EINVAL;
      o.keepIntervalNs = value * SECOND;
      return 0;
    case TCP_KEEPCNT:
      if (value < 1 || value > MAX_TCP_KEEPCNT) return -EINVAL;
      o.keepCount = value;
      return 0;
    case TCP_RTO_MAX_MS:
      return resultOf(s.endpoint.setTiming("rtoMaxUs", value * 1_000));
    case TCP_RTO_MIN_US:
      return resultOf(s.endpoint.setTiming("rtoMinUs", value));
    case TCP_DELACK_MAX_US:
      return resultOf(s.endpoint.setTiming("delackMaxUs", value));
    case TCP_TX_DELAY:
      return resultOf(s.endpoint.setTiming("txDelayUs", value));
    case TCP_USER_TIMEOUT:
      if (value < 0) return -EINVAL;
      o.userTimeoutNs = value * MS;
      return 0;
    case TCP_SYNCNT:
      if (value < 1 || value > 127) return -EINVAL;
      o.synCount = value;
      return 0;
    case TCP_LINGER2:
      o.linger2Ns = value < 0 ? -1 : Math.min(value, 2 * 60) * SECOND;
      return 0;
    case TCP_DEFER_ACCEPT:
      s.endpoint.setDeferAccept(value);
      return 0;
    case TCP_WINDOW_CLAMP:
      return resultOf(s.endpoint.setWindowClamp(value < 0 ? 1 : value));
    case TCP_NOTSENT_LOWAT:
      o.notsentLowatBytes = value >>> 0;
      return 0;
    case TCP_INQ:
      if (value !== 0 && value !== 1) return -EINVAL;
      s.reportsInq = value === 1;
      return 0;
    case TCP_FASTOPEN:
      if (value < 0 || !isUnopened(s)) return -EINVAL;
      o.fastOpenQueue = Math.min(value, SOMAXCONN);
      return 0;
    case TCP_FASTOPEN_CONNECT:
      if ((value !== 0 && value !== 1) || s.endpoint.state !== TCP_CLOSE) return -EINVAL;
      o.fastOpenConnect = value === 1;
      return 0;
    case TCP_FASTOPEN_NO_COOKIE:
      if ((value !== 0 && value !== 1) || !isUnopened(s)) return -EINVAL;
      o.fastOpenNoCookie = value === 1;
      return 0;
    case TCP_SAVE_SYN:
      if (value < 0 || value > 2) return -EINVAL;
      o.saveSyn = value;
      return 0;
    // Connections cannot be repaired: as Linux says to who may not.
    case TCP_REPAIR:
    case TCP_REPAIR_QUEUE:
    case TCP_REPAIR_WINDOW:
    case TCP_AO_REPAIR:
    case TCP_TIMESTAMP:
      return -EPERM;
    case TCP_QUEUE_SEQ:
      return s.endpoint.state === TCP_CLOSE ? -EINVAL : -EPERM;
    case TCP_REPAIR_OPTIONS:
      return -EINVAL;
    default:
      return -ENOPROTOOPT;
  }
}

export function getTcpOption(
  s: StreamSocket,
  name: number,
  out: Uint8Array,
  maxLength: number,
): number {
  switch (name) {
    case TCP_INFO:
      s.endpoint.info(info);
      encodeTcpInfo(out, info, s.maxPacingRate);
      return TCP_INFO_BYTES;
    case TCP_CONGESTION:
      out.fill(0, 0, CONGESTION_NAME_BYTES);
      putByteString(out, 0, s.endpoint.options.congestion);
      return Math.min(maxLength, CONGESTION_NAME_BYTES);
    case TCP_CC_INFO:
      return putCongestionInfo(out, s.endpoint.congestionInfo());
    case TCP_FASTOPEN_KEY:
      return putFastOpenKey(s, out, maxLength);
    case TCP_ULP:
      return 0;
    case TCP_AO_INFO:
      return getAoInfo(s, out, maxLength);
    case TCP_AO_REPAIR:
      return -EPERM;
    case TCP_SAVED_SYN:
      return takeSavedSyn(s, out, maxLength);
    case TCP_REPAIR_QUEUE:
    case TCP_QUEUE_SEQ:
    case TCP_REPAIR_WINDOW:
      return -EINVAL;
  }
  const value = getInteger(s, name);
  if (value === undefined) return -ENOPROTOOPT;
  setU32Le(out, 0, value);
  return 4;
}

/** Once; who has no room is told in `out` how much it takes. */
function takeSavedSyn(s: StreamSocket, out: Uint8Array, maxLength: number): number {
  const syn = s.endpoint.savedSyn;
  if (syn === null) return 0;
  if (maxLength < syn.length) {
    setU32Le(out, 0, syn.length);
    return -EINVAL;
  }
  out.set(syn);
  s.endpoint.forgetSavedSyn();
  return syn.length;
}

/** BBR_SCALE. */
const BBR_UNIT = 256;

/** union tcp_cc_info: struct tcp_bbr_info, or nothing, as of Reno and CUBIC. */
function putCongestionInfo(
  out: Uint8Array,
  bbr: ReturnType<StreamSocket["endpoint"]["congestionInfo"]>,
): number {
  if (bbr === null) return 0;
  setU64Le(out, 0, bbr.bandwidthBytesPerSec);
  setU32Le(out, 8, bbr.minRttUs);
  setU32Le(out, 12, Math.trunc(bbr.pacingGain * BBR_UNIT));
  setU32Le(out, 16, Math.trunc(bbr.cwndGain * BBR_UNIT));
  return 20;
}

function getInteger(s: StreamSocket, name: number): number | undefined {
  const o = s.endpoint.options;
  switch (name) {
    case TCP_NODELAY:
      return Number(o.noDelay);
    case TCP_CORK:
      return Number(o.cork);
    case TCP_QUICKACK:
      return Number(s.endpoint.isQuickAck);
    case TCP_THIN_LINEAR_TIMEOUTS:
      return Number(o.thinLinearTimeouts);
    case TCP_THIN_DUPACK:
      return 0;
    case TCP_MAXSEG:
      return s.endpoint.maxSegment;
    case TCP_RTO_MAX_MS:
      return o.timing.rtoMaxUs / 1_000;
    case TCP_RTO_MIN_US:
      return o.timing.rtoMinUs;
    case TCP_DELACK_MAX_US:
      return o.timing.delackMaxUs;
    case TCP_TX_DELAY:
      return o.timing.txDelayUs;
    case TCP_KEEPIDLE:
      return s.endpoint.keepIdleNs / SECOND;
    case TCP_KEEPINTVL:
      return s.endpoint.keepIntervalNs / SECOND;
    case TCP_KEEPCNT:
      return s.endpoint.keepCount;
    case TCP_USER_TIMEOUT:
      return o.userTimeoutNs / MS;
    case TCP_SYNCNT:
      return s.endpoint.synCount;
    case TCP_LINGER2:
      return s.endpoint.linger2Ns < 0 ? -1 : s.endpoint.linger2Ns / SECOND;
    case TCP_DEFER_ACCEPT:
      return s.endpoint.deferAcceptSec;
    case TCP_WINDOW_CLAMP:
      return s.endpoint.windowClamp;
    case TCP_NOTSENT_LOWAT:
      return o.notsentLowatBytes;
    case TCP_INQ:
      return Number(s.reportsInq);
    case TCP_FASTOPEN:
      return o.fastOpenQueue;
    case TCP_FASTOPEN_CONNECT:
      return Number(o.fastOpenConnect);
    case TCP_FASTOPEN_NO_COOKIE:
      return Number(o.fastOpenNoCookie);
    case TCP_SAVE_SYN:
      return o.saveSyn;
    case TCP_TIMESTAMP:
      return s.endpoint.timestampValue;
    case TCP_REPAIR:
    case TCP_IS_MPTCP:
      return 0;
    default:
      return undefined;
  }
}
