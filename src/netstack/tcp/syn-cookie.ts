// SYN cookies (RFC 4987 3.6, D. J. Bernstein): the initial sequence number of a SYN-ACK that remembers, instead
// of memory, when the SYN came and which MSS it named; the other options sit in the low bits of the SYN-ACK's
// timestamp. Layout and tables as Linux's syncookies.c. When cookies are sent and taken: cookie-open.ts.
// @rfc 4987 3.6

import type { Rng } from "../../base/rng.ts";
import { seqAdd } from "../../base/seqnum.ts";
import type { IpAddr } from "../ip-addr.ts";
import { putTuple, SipKey, sipHash } from "./siphash.ts";

const COOKIE_BITS = 24;
const COOKIE_MASK = 0xff_ffff;
const PERIOD_NS = 60_000_000_000;
/** Minutes that a cookie counts as fresh: this one and the one before. */
const AGE_MAX = 2;
/** After this time without a SYN that got a cookie, no ACK is taken for one. */
export const COOKIE_VALID_NS = AGE_MAX * PERIOD_NS;

/** The MSS values that a cookie can name, ascending: Linux's tables. */
const MSS_TABLE_V4 = [536, 1300, 1440, 1460];
const MSS_TABLE_V6 = [1280 - 60, 1480 - 60, 1500 - 60, 9000 - 60];

const TS_BITS = 6;
const TS_MASK = (1 << TS_BITS) - 1;
const TS_WSCALE_MASK = 15;
const TS_SACK = 1 << 4;
const TS_ECN = 1 << 5;

const $words = new Int32Array(12);

export class SynCookies {
  readonly #rng: Rng;
  /** Drawn when the first cookie is made. */
  #keys: readonly [SipKey, SipKey] | null = null;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** The sequence number of the SYN-ACK for a SYN with `seq` and an MSS option of `mss`. */
  make(
    local: IpAddr,
    remote: IpAddr,
    ports: number,
    seq: number,
    mss: number,
    nowNs: number,
  ): number {
    const table = local.isV4 ? MSS_TABLE_V4 : MSS_TABLE_V6;
    let index = table.length - 1;
    while (index > 0 && table[index] > mss) index--;
    const minute = Math.floor(nowNs / PERIOD_NS) | 0;
    const secret = (this.#hash(local, remote, ports, minute, 1) + index) & COOKIE_MASK;
    const base = (this.#hash(local, remote, ports, 0, 0) + seq + (minute << COOKIE_BITS)) | 0;
    return (base + secret) | 0;
  }

  /** The MSS that the cookie names; 0: it is none of ours, or too old. `seq` is the SYN's. */
  check(
    local: IpAddr,
    remote: IpAddr,
    ports: number,
    seq: number,
    cookie: number,
    nowNs: number,
  ): number {
    if (this.#keys === null) return 0;
    const minute = Math.floor(nowNs / PERIOD_NS) | 0;
    const rest = (cookie - seqAdd(this.#hash(local, remote, ports, 0, 0), seq)) | 0;
    const age = (minute - (rest >>> COOKIE_BITS)) & (0xffff_ffff >>> COOKIE_BITS);
    if (age >= AGE_MAX) return 0;
    const index = (rest - this.#hash(local, remote, ports, minute - age, 1)) & COOKIE_MASK;
    const table = local.isV4 ? MSS_TABLE_V4 : MSS_TABLE_V6;
    return index < table.length ? table[index] : 0;
  }

  #hash(local: IpAddr, remote: IpAddr, ports: number, minute: number, which: 0 | 1): number {
    if (this.#keys === null) this.#keys = [new SipKey(this.#rng), new SipKey(this.#rng)];
    putTuple($words, local, remote, ports);
    $words[9] = minute;
    return sipHash(this.#keys[which], $words, 10);
  }
}

/** The newest timestamp not after `nowMs` whose low bits name the options of the SYN. wscale -1: none. */
export function cookieTimestamp(
  nowMs: number,
  wscale: number,
  sackOk: boolean,
  ecnOk: boolean,
): number {
  const bits =
    (wscale < 0 ? TS_WSCALE_MASK : wscale) | (sackOk ? TS_SACK : 0) | (ecnOk ? TS_ECN : 0);
  const ts = (nowMs & ~TS_MASK) | bits;
  return bits > (nowMs & TS_MASK) ? (ts - (1 << TS_BITS)) | 0 : ts;
}

/** What an echoed cookieTimestamp says; the scale is -1 for none. */
export const cookieWscale = (ts: number): number =>
  (ts & TS_WSCALE_MASK) === TS_WSCALE_MASK ? -1 : ts & TS_WSCALE_MASK;
export const cookieSack = (ts: number): boolean => (ts & TS_SACK) !== 0;
export const cookieEcn = (ts: number): boolean => (ts & TS_ECN) !== 0;
