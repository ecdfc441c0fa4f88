// TCP options (RFC 9293 3.2, 7323, 2018): parsed into one reusable object, written in the order and
// padding that Linux uses. Unknown kinds are skipped; a broken length ends the walk and what was read
// before it stands (as Linux; RFC 9293 MUST-7 asks only that it does no harm).

import { i32, setU16, setU32, u16 } from "../../base/bytes.ts";
import { tcpHeaderBytes } from "./tcp.ts";
import { AUTH_NONE, authOption, KIND_AO, KIND_MD5 } from "./tcp-auth.ts";

const KIND_END = 0;
const KIND_NOP = 1;
const KIND_MSS = 2;
const KIND_WINDOW_SCALE = 3;
const KIND_SACK_PERMITTED = 4;
const KIND_SACK = 5;
const KIND_TIMESTAMPS = 8;
const KIND_FAST_OPEN = 34;
/** AccECN (RFC 9768 3.2.3): ECT(0)'s counter first, or ECT(1)'s. */
export const ACCECN_0 = 172;
export const ACCECN_1 = 174;
const KIND_EXPERIMENTAL = 254;
/** RFC 6994 identifier of Fast Open's experimental option. */
const FAST_OPEN_MAGIC = 0xf989;

/** No (valid) Fast Open option. */
export const FAST_OPEN_NONE = -1;
const FAST_OPEN_COOKIE_MIN = 4;
export const FAST_OPEN_COOKIE_MAX = 16;

export const SACK_BLOCKS_MAX = 4;
/** Length of the timestamps option with its two NOPs. */
export const TIMESTAMPS_BYTES = 12;
/** NOP NOP kind length: the whole option area of an ordinary segment. */
const TIMESTAMPS_WORD = 0x0101080a;

export class TcpOptions {
  /** 0: not given. */
  mss = 0;
  /** -1: not given. */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  tsVal = 0;
  tsEcr = 0;
  sackCount = 0;
  readonly sackStart = new Int32Array(SACK_BLOCKS_MAX);
  readonly sackEnd = new Int32Array(SACK_BLOCKS_MAX);
  /** RFC 7413: length of the cookie; 0: asked for; FAST_OPEN_NONE. Only on a SYN. */
  fastOpenLength = FAST_OPEN_NONE;
  isFastOpenExperimental = false;
  /** AccECN: which kind, 0 none; its counters in the option's order. */
  accEcnKind = 0;
  accEcnFields = 0;
  readonly accEcn = new Int32Array(3);
  /** RFC 2385 or RFC 5925: where the option's value lies in the packet; AUTH_NONE, AUTH_BROKEN. */
  authAt = AUTH_NONE;
  readonly fastOpenCookie = new Uint8Array(FAST_OPEN_COOKIE_MAX);

  reset(): void {
    this.mss = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.tsVal = 0;
    this.tsEcr = 0;
    this.sackCount = 0;
    this.fastOpenLength = FAST_OPEN_NONE;
  }
}

// @rfc 9293 MUST-4 MUST-5 MUST-7 MUST-64
/** Precondition: checkTcp(b, off, end). MSS, scale and SACK-permitted count only on a SYN. */
export function parseTcpOptions(out: TcpOptions, b: Uint8Array, off: number, isSyn: boolean): void {
  const end = off + tcpHeaderBytes(b, off);
  let at = off + 20;
  out.sackCount = 0;
  out.hasTimestamps = false;
  out.accEcnKind = 0;
  out.authAt = AUTH_NONE;
  if (isSyn) out.reset();
  if (end - at === TIMESTAMPS_BYTES && i32(b, at) === TIMESTAMPS_WORD) {
    out.hasTimestamps = true;
    out.tsVal = i32(b, at + 4);
    out.tsEcr = i32(b, at + 8);
    return;
  }
  while (at < end) {
    const kind = b[at];
    if (kind === KIND_END) return;
    if (kind === KIND_NOP) {
      at++;
      continue;
    }
    if (at + 1 >= end) return;
    const length = b[at + 1];
    if (length < 2 || length > end - at) return;
    parseOption(out, b, at, kind, length, isSyn);
    at += length;
  }
}

// @rfc 7323 2.3b
// @rfc 9293 MUST-6
function parseOption(
  out: TcpOptions,
  b: Uint8Array,
  at: number,
  kind: number,
  length: number,
  isSyn: boolean,
): void {
  switch (kind) {
    case KIND_MSS:
      if (isSyn && length === 4) out.mss = u16(b, at + 2);
      break;
    case KIND_WINDOW_SCALE:
      // RFC 7323 2.3: a larger shift count is taken as 14.
      if (isSyn && length === 3) out.windowScale = b[at + 2] > 14 ? 14 : b[at + 2];
      break;
    case KIND_SACK_PERMITTED:
      if (isSyn && length === 2) out.sackPermitted = true;
      break;
    case KIND_TIMESTAMPS:
      if (length !== 10) break;
      out.hasTimestamps = true;
      out.tsVal = i32(b, at + 2);
      out.tsEcr = i32(b, at + 6);
      break;
    case KIND_SACK:
      if (isSyn || length < 10 || (length - 2) % 8 !== 0) break;
      out.sackCount = Math.min(SACK_BLOCKS_MAX, (length - 2) / 8);
      for (let i = 0; i < out.sackCount; i++) {
        out.sackStart[i] = i32(b, at + 2 + 8 * i);
        out.sackEnd[i] = i32(b, at + 6 + 8 * i);
      }
      break;
    case KIND_MD5:
    case KIND_AO:
      out.authAt = authOption(out.authAt, at, kind, length);
      break;
    case KIND_FAST_OPEN:
      if (isSyn) parseFastOpen(out, b, at + 2, length - 2, false);
      break;
    case ACCECN_0:
    case ACCECN_1:
      out.accEcnKind = kind;
      out.accEcnFields = Math.min(3, Math.floor((length - 2) / 3));
      for (let i = 0; i < out.accEcnFields; i++) {
        out.accEcn[i] = u24(b, at + 2 + 3 * i);
      }
      break;
    case KIND_EXPERIMENTAL:
      if (isSyn && length >= 4 && u16(b, at + 2) === FAST_OPEN_MAGIC) {
        parseFastOpen(out, b, at + 4, length - 4, true);
      }
      break;
  }
}

/** RFC 7413 4.1.1: an even length from 4 to 16, or none at all, which asks for a cookie. */
function parseFastOpen(
  out: TcpOptions,
  b: Uint8Array,
  at: number,
  length: number,
  isExperimental: boolean,
): void {
  if (length % 2 !== 0 || length > FAST_OPEN_COOKIE_MAX) return;
  if (length !== 0 && length < FAST_OPEN_COOKIE_MIN) return;
  for (let i = 0; i < length; i++) out.fastOpenCookie[i] = b[at + i];
  out.fastOpenLength = length;
  out.isFastOpenExperimental = isExperimental;
}

const u24 = (b: Uint8Array, at: number): number => (b[at] << 16) | u16(b, at + 1);

/** The head of an AccECN option in ECT(1)'s order; the caller writes `fields` counters and pads with NOPs. */
export function writeAccEcnHeader(b: Uint8Array, at: number, fields: number): number {
  b[at] = ACCECN_1;
  b[at + 1] = 2 + 3 * fields;
  return 2;
}

export function writeAccEcnCounter(b: Uint8Array, at: number, value: number): number {
  b[at] = value >>> 16;
  setU16(b, at + 1, value & 0xffff);
  return 3;
}

export function padOptions(b: Uint8Array, start: number, end: number): number {
  let to = end;
  while ((to - start) % 4 !== 0) b[to++] = KIND_NOP;
  return to - start;
}

// @rfc 9293 MUST-68
/** Padded with NOPs to a multiple of four. */
export function writeFastOpen(
  b: Uint8Array,
  at: number,
  cookie: Uint8Array,
  length: number,
  isExperimental: boolean,
): number {
  let to = at + 2;
  b[at] = isExperimental ? KIND_EXPERIMENTAL : KIND_FAST_OPEN;
  if (isExperimental) {
    setU16(b, to, FAST_OPEN_MAGIC);
    to += 2;
  }
  for (let i = 0; i < length; i++) b[to++] = cookie[i];
  b[at + 1] = to - at;
  while ((to - at) % 4 !== 0) b[to++] = KIND_NOP;
  return to - at;
}

// @rfc 9293 MUST-69
/** Each writer returns the bytes written, always a multiple of four. */
export function writeMss(b: Uint8Array, at: number, mss: number): number {
  b[at] = KIND_MSS;
  b[at + 1] = 4;
  setU16(b, at + 2, mss);
  return 4;
}

export function writeTimestamps(b: Uint8Array, at: number, tsVal: number, tsEcr: number): number {
  setU32(b, at, TIMESTAMPS_WORD);
  setU32(b, at + 4, tsVal);
  setU32(b, at + 8, tsEcr);
  return TIMESTAMPS_BYTES;
}

/** On a SYN, Linux lets SACK-permitted take the place of the two NOPs. */
export function writeSackPermittedTimestamps(
  b: Uint8Array,
  at: number,
  tsVal: number,
  tsEcr: number,
): number {
  writeTimestamps(b, at, tsVal, tsEcr);
  b[at] = KIND_SACK_PERMITTED;
  b[at + 1] = 2;
  return TIMESTAMPS_BYTES;
}

export function writeSackPermitted(b: Uint8Array, at: number): number {
  b[at] = KIND_NOP;
  b[at + 1] = KIND_NOP;
  b[at + 2] = KIND_SACK_PERMITTED;
  b[at + 3] = 2;
  return 4;
}

export function writeWindowScale(b: Uint8Array, at: number, shift: number): number {
  b[at] = KIND_NOP;
  b[at + 1] = KIND_WINDOW_SCALE;
  b[at + 2] = 3;
  b[at + 3] = shift;
  return 4;
}

/** The head of a SACK option; the caller writes `count` pairs of edges behind it. */
export function writeSackHeader(b: Uint8Array, at: number, count: number): number {
  b[at] = KIND_NOP;
  b[at + 1] = KIND_NOP;
  b[at + 2] = KIND_SACK;
  b[at + 3] = 2 + 8 * count;
  return 4;
}
