// Options of an IPv4 header that are ready to be sent (RFC 791 3.1): what a user asks for, or what an answer bears that
// turns those of a packet round (__ip_options_echo); written into a header (ip_options_build), blanked in fragments. How
// they are checked: ipv4-options-compile.ts.

import { i32, setU32 } from "../../base/bytes.ts";
import { IPV4_HEADER, IPV4_OPTION_END, IPV4_OPTION_NOP, IPV4_SRC } from "./ipv4.ts";
import {
  CIPSO,
  compile,
  LOOSE_ROUTE,
  type OptionHost,
  OptionMarks,
  RECORD_ROUTE,
  STRICT_ROUTE,
  TIMESTAMP,
  TS_AND_ADDRESS,
  TS_PRESPECIFIED,
} from "./ipv4-options-compile.ts";

const COPIED = 0x80;
/** What a header has room for. */
export const IPV4_OPTIONS_MAX = 40;

/** Options ready for a header: padded, with room where each packet's addresses and times go. Never changed. */
export class IpOptions extends OptionMarks {
  readonly bytes = new Uint8Array(IPV4_OPTIONS_MAX);
  /** A multiple of four. */
  length = 0;

  /** What a user asks for; null: not like this, or not by this user (ip_options_get). Precondition: length <= 40. */
  static ofUser(
    src: Uint8Array,
    offset: number,
    length: number,
    isPrivileged: boolean,
    host: OptionHost,
  ): IpOptions | null {
    const options = new IpOptions();
    options.bytes.set(src.subarray(offset, offset + length));
    options.length = (length + 3) & ~3;
    const by = { host, own: 0, isPacket: false, isPrivileged };
    return compile(options.bytes, 0, options.length, options, by) < 0 ? options : null;
  }

  // @rfc 9293 MUST-53
  /**
   * What an answer to the packet at l3 carries (__ip_options_echo): the record and the timestamps go on, the source
   * route is gone back. It reads the packet as it was left by receiveOptions. null: that cannot be answered.
   */
  static echo(b: Uint8Array, l3: number, l4: number, host: OptionHost): IpOptions | null {
    const echo = new IpOptions();
    const at = { record: -1, stamp: -1, route: -1, cipso: -1 };
    find(b, l3 + IPV4_HEADER, l4, at);
    if (at.record >= 0 && !echo.#echoRecord(b, at.record)) return null;
    if (at.stamp >= 0 && !echo.#echoTimestamp(b, at.stamp, host)) return null;
    if (at.route >= 0) echo.#echoRoute(b, at.route, i32(b, l3 + IPV4_SRC));
    if (at.cipso >= 0) {
      echo.hasCipso = true;
      echo.#copy(b, at.cipso);
    }
    echo.length = (echo.length + 3) & ~3;
    return echo;
  }

  get hasSourceRoute(): boolean {
    return this.sourceRoute >= 0;
  }

  /** Behind the fixed header at l3 (ip_options_build): `src` sends, `dst` is where a source route ends. */
  write(b: Uint8Array, l3: number, src: number, dst: number, host: OptionHost): void {
    const o = l3 + IPV4_HEADER;
    for (let i = 0; i < this.length; i++) b[o + i] = this.bytes[i];
    const { sourceRoute, recordRoute, timestamp } = this;
    if (sourceRoute >= 0) setU32(b, o + sourceRoute + b[o + sourceRoute + 1] - 4, dst);
    if (this.needsAddress) setU32(b, o + recordRoute + b[o + recordRoute + 2] - 5, src);
    if (this.needsStampAddress) setU32(b, o + timestamp + b[o + timestamp + 2] - 9, src);
    if (this.needsTime) setU32(b, o + timestamp + b[o + timestamp + 2] - 5, host.timeOfDay());
  }

  /** As a user would give them (ip_options_undo). */
  undone(): Uint8Array {
    const b = this.bytes.slice(0, this.length);
    if (this.sourceRoute >= 0) {
      const at = this.sourceRoute;
      b.copyWithin(at + 7, at + 3, at + b[at + 1] - 4);
      setU32(b, at + 3, this.firstHop);
    }
    if (this.needsAddress) clearSlot(b, this.recordRoute);
    if (this.needsTime) {
      clearSlot(b, this.timestamp);
      if ((b[this.timestamp + 3] & 15) === TS_PRESPECIFIED) b[this.timestamp + 2] -= 4;
    }
    if (this.needsStampAddress) clearSlot(b, this.timestamp);
    return b;
  }

  /** Appends the option at `from` as it is; where. */
  #copy(b: Uint8Array, from: number): number {
    const at = this.length;
    const size = b[from + 1];
    for (let i = 0; i < size; i++) this.bytes[at + i] = b[from + i];
    this.length += size;
    return at;
  }

  #echoRecord(b: Uint8Array, from: number): boolean {
    const size = b[from + 1];
    const pointer = b[from + 2];
    this.recordRoute = this.#copy(b, from);
    if (pointer > size) return true;
    if (pointer + 3 > size) return false;
    this.bytes[this.recordRoute + 2] = pointer + 4;
    this.needsAddress = true;
    return true;
  }

  #echoTimestamp(b: Uint8Array, from: number, host: OptionHost): boolean {
    const size = b[from + 1];
    let pointer = b[from + 2];
    const flags = b[from + 3] & 15;
    this.timestamp = this.#copy(b, from);
    if (pointer > size || flags === 2 || flags > TS_PRESPECIFIED) return true;
    if (flags === TS_PRESPECIFIED) {
      if (pointer + 7 <= size && !host.isOthers(i32(b, from + pointer - 1))) {
        this.needsTime = true;
        pointer += 8;
      }
    } else {
      if (flags === TS_AND_ADDRESS) {
        if (pointer + 3 > size) return false;
        this.needsStampAddress = true;
        pointer += 4;
      }
      if (pointer + 3 > size) return false;
      this.needsTime = true;
      pointer += 4;
    }
    this.bytes[this.timestamp + 2] = pointer;
    return true;
  }

  /** The stations that were passed, from the last to the first, and then who sent it. */
  #echoRoute(b: Uint8Array, from: number, src: number): void {
    const size = b[from + 1];
    let pointer = b[from + 2];
    if (pointer > size) pointer = size + 1;
    pointer -= 4;
    if (pointer <= 3) return;
    const at = this.length;
    const firstHop = i32(b, from + pointer - 1);
    let done = 4;
    for (pointer -= 4; pointer > 3; pointer -= 4, done += 4) {
      setU32(this.bytes, at + done - 1, i32(b, from + pointer - 1));
    }
    // RFC 1812 5.3.13.4: a route that names its own sender first is an illegal one.
    if (i32(b, from + pointer + 3) === src) done -= 4;
    if (done <= 3) return;
    this.firstHop = firstHop;
    this.bytes[at] = b[from];
    this.bytes[at + 1] = done + 3;
    this.bytes[at + 2] = 4;
    this.sourceRoute = at;
    this.isStrict = b[from] === STRICT_ROUTE;
    this.length += done + 3;
  }
}

/** Where the options that are echoed stand, as far as they are well formed. */
function find(
  b: Uint8Array,
  start: number,
  end: number,
  out: { record: number; stamp: number; route: number; cipso: number },
): void {
  for (let at = start; at < end && b[at] !== IPV4_OPTION_END; ) {
    if (b[at] === IPV4_OPTION_NOP) {
      at++;
      continue;
    }
    const size = end - at < 2 ? 0 : b[at + 1];
    if (size < 2 || size > end - at) return;
    const kind = b[at];
    if (kind === RECORD_ROUTE && size >= 3 && b[at + 2] >= 4) out.record = at;
    else if (kind === TIMESTAMP && size >= 4 && b[at + 2] >= 5) out.stamp = at;
    else if (kind === CIPSO) out.cipso = at;
    else if ((kind === LOOSE_ROUTE || kind === STRICT_ROUTE) && size >= 3 && b[at + 2] >= 4) {
      out.route = at;
    }
    at += size;
  }
}

function clearSlot(b: Uint8Array, at: number): void {
  b[at + 2] -= 4;
  setU32(b, at + b[at + 2] - 1, 0);
}

/** Options that only the first fragment has become no-operations (ip_options_fragment). */
export function blankUncopied(b: Uint8Array, from: number, end: number): void {
  for (let at = from; at < end && b[at] !== IPV4_OPTION_END; ) {
    if (b[at] === IPV4_OPTION_NOP) {
      at++;
      continue;
    }
    const size = end - at < 2 ? 0 : b[at + 1];
    if (size < 2 || size > end - at) return;
    if ((b[at] & COPIED) === 0) b.fill(IPV4_OPTION_NOP, at, at + size);
    at += size;
  }
}
