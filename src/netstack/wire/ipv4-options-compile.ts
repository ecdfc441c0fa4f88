// The options of an IPv4 header (RFC 791 3.1) checked and marked as Linux's __ip_options_compile does it: for a user who
// wants to send them, and in a packet that came, where what they ask of a station is put in. Who is asked about
// addresses and time is OptionHost; routes are others' business. Options ready to be sent: ipv4-options.ts.

import { i32, setU32 } from "../../base/bytes.ts";
import { IPV4_HEADER, IPV4_OPTION_END, IPV4_OPTION_NOP } from "./ipv4.ts";

export const RECORD_ROUTE = 7;
export const TIMESTAMP = 68;
export const LOOSE_ROUTE = 131;
export const CIPSO = 134;
export const STRICT_ROUTE = 137;
const ROUTER_ALERT = 148;

const TS_ONLY = 0;
export const TS_AND_ADDRESS = 1;
export const TS_PRESPECIFIED = 3;
const OVERFLOW_MAX = 15;

export const OPTIONS_OK = -1;

/** What options ask of the station that handles them. */
export interface OptionHost {
  /** Whether an address is somebody else's: neither ours nor a group's nor a broadcast (inet_addr_type's RTN_UNICAST). */
  isOthers(word: number): boolean;
  /** Milliseconds since midnight UT (inet_current_timestamp). */
  timeOfDay(): number;
}

/** Who compiles: a user's wish, with or without CAP_NET_RAW, or a packet that came to the address `own`. */
interface Compiler {
  readonly host: OptionHost;
  readonly isPacket: boolean;
  readonly isPrivileged: boolean;
  readonly own: number;
}

/** Where in the options what stands, from their first byte; -1: not there. */
export class OptionMarks {
  sourceRoute = -1;
  isStrict = false;
  /** A user's source route: its first address, which is not among the bytes any more. */
  firstHop = 0;
  recordRoute = -1;
  /** A slot is reserved (and the pointer is behind it). */
  needsAddress = false;
  timestamp = -1;
  needsStampAddress = false;
  needsTime = false;
  hasCipso = false;
  hasRouterAlert = false;
  /** Of a packet: bytes were changed, its checksum is not right any more. */
  isChanged = false;

  reset(): void {
    this.sourceRoute = this.recordRoute = this.timestamp = -1;
    this.isStrict = this.needsAddress = this.needsStampAddress = this.needsTime = false;
    this.hasCipso = this.hasRouterAlert = this.isChanged = false;
    this.firstHop = 0;
  }
}

// @rfc 1122 3.2.1.8a
/** Checks and marks the options in [start, end): OPTIONS_OK, or the offset of the byte that is wrong. */
export function compile(
  b: Uint8Array,
  start: number,
  end: number,
  m: OptionMarks,
  by: Compiler,
): number {
  m.reset();
  let at = start;
  while (at < end) {
    const kind = b[at];
    if (kind === IPV4_OPTION_END) {
      for (let i = at + 1; i < end; i++) {
        if (b[i] === IPV4_OPTION_END) continue;
        b[i] = IPV4_OPTION_END;
        m.isChanged = true;
      }
      return OPTIONS_OK;
    }
    if (kind === IPV4_OPTION_NOP) {
      at++;
      continue;
    }
    if (end - at < 2) return at - start;
    const size = b[at + 1];
    if (size < 2 || size > end - at) return at - start;
    const bad = compileOne(b, at, start, m, by);
    if (bad >= 0) return at - start + bad;
    at += size;
  }
  return OPTIONS_OK;
}

/** -1, or which byte of the option at `at` is wrong. */
function compileOne(
  b: Uint8Array,
  at: number,
  start: number,
  m: OptionMarks,
  by: Compiler,
): number {
  switch (b[at]) {
    case LOOSE_ROUTE:
    case STRICT_ROUTE:
      return compileRoute(b, at, start, m, by);
    case RECORD_ROUTE:
      return compileRecord(b, at, start, m, by);
    case TIMESTAMP:
      return compileTimestamp(b, at, start, m, by);
    case ROUTER_ALERT:
      if (b[at + 1] < 4) return 1;
      if (b[at + 2] === 0 && b[at + 3] === 0) m.hasRouterAlert = true;
      return -1;
    case CIPSO: {
      if ((!by.isPacket && !by.isPrivileged) || m.hasCipso) return 0;
      m.hasCipso = true;
      const bad = cipsoError(b, at);
      return bad === 0 ? -1 : bad;
    }
    default:
      // Security, stream identifier, and what nobody knows: not for everybody to send (RFC 1122 3.2.1.8).
      return by.isPacket || by.isPrivileged ? -1 : 0;
  }
}

// @rfc 9293 MUST-51
function compileRoute(
  b: Uint8Array,
  at: number,
  start: number,
  m: OptionMarks,
  by: Compiler,
): number {
  const size = b[at + 1];
  if (size < 3) return 1;
  if (b[at + 2] < 4) return 2;
  // RFC 1812 5.2.4.1: not two of them.
  if (m.sourceRoute >= 0) return 0;
  if (!by.isPacket) {
    if (b[at + 2] !== 4 || size < 7 || ((size - 3) & 3) !== 0) return 1;
    // The first address goes into the header; in the last slot will be the one that is sent to.
    m.firstHop = i32(b, at + 3);
    b.copyWithin(at + 3, at + 7, at + size);
  }
  m.isStrict = b[at] === STRICT_ROUTE;
  m.sourceRoute = at - start;
  return -1;
}

function compileRecord(
  b: Uint8Array,
  at: number,
  start: number,
  m: OptionMarks,
  by: Compiler,
): number {
  const size = b[at + 1];
  if (m.recordRoute >= 0) return 0;
  if (size < 3) return 1;
  const pointer = b[at + 2];
  if (pointer < 4) return 2;
  if (pointer <= size) {
    if (pointer + 3 > size) return 2;
    if (by.isPacket) {
      setU32(b, at + pointer - 1, by.own);
      m.isChanged = true;
    }
    b[at + 2] += 4;
    m.needsAddress = true;
  }
  m.recordRoute = at - start;
  return -1;
}

function compileTimestamp(
  b: Uint8Array,
  at: number,
  start: number,
  m: OptionMarks,
  by: Compiler,
): number {
  const size = b[at + 1];
  if (m.timestamp >= 0) return 0;
  if (size < 4) return 1;
  const pointer = b[at + 2];
  const flags = b[at + 3] & 15;
  if (pointer < 5) return 2;
  if (pointer <= size) {
    const bad = stampSlot(b, at, m, by);
    if (bad >= 0) return bad;
  } else if (flags !== TS_PRESPECIFIED) {
    if (b[at + 3] >>> 4 === OVERFLOW_MAX) return 3;
    if (by.isPacket) {
      b[at + 3] += 16;
      m.isChanged = true;
    }
  }
  m.timestamp = at - start;
  return -1;
}

/** Takes the slot that the pointer names, and in a packet fills it. */
function stampSlot(b: Uint8Array, at: number, m: OptionMarks, by: Compiler): number {
  const size = b[at + 1];
  const pointer = b[at + 2];
  if (pointer + 3 > size) return 2;
  const slot = at + pointer - 1;
  switch (b[at + 3] & 15) {
    case TS_ONLY:
      m.needsTime = true;
      b[at + 2] += 4;
      stampTime(b, slot, m, by);
      return -1;
    case TS_AND_ADDRESS:
      if (pointer + 7 > size) return 2;
      m.needsStampAddress = m.needsTime = true;
      b[at + 2] += 8;
      if (by.isPacket) setU32(b, slot, by.own);
      stampTime(b, slot + 4, m, by);
      return -1;
    case TS_PRESPECIFIED:
      if (pointer + 7 > size) return 2;
      if (by.host.isOthers(i32(b, slot))) return -1;
      m.needsTime = true;
      b[at + 2] += 8;
      stampTime(b, slot + 4, m, by);
      return -1;
    default:
      return by.isPacket || by.isPrivileged ? -1 : 3;
  }
}

function stampTime(b: Uint8Array, at: number, m: OptionMarks, by: Compiler): void {
  if (!by.isPacket) return;
  setU32(b, at, by.host.timeOfDay());
  m.isChanged = true;
}

/** The tags must fill the option (cipso_v4_validate of a kernel without NetLabel): 0, or which byte is wrong. */
function cipsoError(b: Uint8Array, at: number): number {
  const size = b[at + 1];
  if (size < 8) return 1;
  if (i32(b, at + 2) === 0) return 2;
  for (let i = 6; i < size; ) {
    const tag = i + 1 < size ? b[at + i + 1] : 0;
    if (tag === 0 || tag > size - i) return i + 1;
    i += tag;
  }
  return 0;
}

/**
 * A packet's options: checked, and what they ask of a station on their way put in, in the name of `own`. OPTIONS_OK,
 * or the offset in the header of the byte that is wrong.
 */
export function receiveOptions(
  b: Uint8Array,
  l3: number,
  l4: number,
  marks: OptionMarks,
  own: number,
  host: OptionHost,
): number {
  const by = { host, own, isPacket: true, isPrivileged: false };
  const bad = compile(b, l3 + IPV4_HEADER, l4, marks, by);
  return bad < 0 ? OPTIONS_OK : bad + IPV4_HEADER;
}
