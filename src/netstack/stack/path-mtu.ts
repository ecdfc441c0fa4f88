// What ICMP taught about the MTU on the way to a destination (RFC 1191, 8201): only ever lowered, never
// below a floor, forgotten after ten minutes. Linux's floor for IPv4 is 552: a claim below it is taken as
// the floor, and packets to there may be fragmented (locked) instead of trusting the tiny number.

import { type Clock, SECOND } from "../../base/clock.ts";
import { Timer, type TimerQueue } from "../../base/timers.ts";
import { IpAddr } from "../ip-addr.ts";

const EXPIRY_NS = 600 * SECOND;
const ENTRIES_MAX = 1024;
const FLOOR_V4 = 552;
const FLOOR_V6 = 1280;
/** What IPv4 guarantees to carry (RFC 791); less is a forgery. */
const LINK_MIN_V4 = 68;

export class PathMtuEntry {
  readonly dst = new IpAddr();
  mtu = 0;
  locked = false;
  expiresNs = 0;
}

export class PathMtuCache {
  readonly #clock: Clock;
  readonly #timers: TimerQueue;
  readonly #entries = new Map<string, PathMtuEntry>();
  readonly #timer = new Timer((nowNs) => this.#expire(nowNs));
  /** Goes up when any entry changes: paths read theirs again. */
  generation = 1;

  constructor(clock: Clock, timers: TimerQueue) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Off the packet path: paths ask only when `generation` has changed. */
  find(dst: IpAddr): PathMtuEntry | null {
    return this.#entries.size === 0 ? null : (this.#entries.get(dst.toString()) ?? null);
  }

  // @rfc 8201 4a 4b
  // @rfc 5927 7.2
  /** True when the path's MTU went down. `current` is the MTU in use. */
  lower(dst: IpAddr, mtu: number, current: number): boolean {
    const v4 = dst.isV4;
    if (mtu < (v4 ? LINK_MIN_V4 : FLOOR_V6)) return false;
    const floor = v4 ? FLOOR_V4 : FLOOR_V6;
    const value = Math.max(mtu, floor);
    if (value >= current) return false;
    const key = dst.toString();
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      if (this.#entries.size >= ENTRIES_MAX) {
        for (const oldest of this.#entries.keys()) {
          this.#entries.delete(oldest);
          break;
        }
      }
      entry = new PathMtuEntry();
      entry.dst.set(dst);
      this.#entries.set(key, entry);
    }
    entry.mtu = value;
    entry.locked = mtu < floor;
    entry.expiresNs = this.#clock.monotonicNs() + EXPIRY_NS;
    if (!this.#timer.isArmed) this.#timers.arm(this.#timer, entry.expiresNs);
    this.generation++;
    return true;
  }

  clear(): void {
    this.#entries.clear();
    this.#timers.disarm(this.#timer);
    this.generation++;
  }

  // @rfc 8201 4c
  // @rfc 1191 6.3
  #expire(nowNs: number): void {
    let next = Number.POSITIVE_INFINITY;
    for (const [key, entry] of this.#entries) {
      if (entry.expiresNs <= nowNs) this.#entries.delete(key);
      else next = Math.min(next, entry.expiresNs);
    }
    if (next !== Number.POSITIVE_INFINITY) this.#timers.arm(this.#timer, next);
    this.generation++;
  }
}

/** RFC 1191 7: common MTUs, for routers that do not say theirs. */
const PLATEAUS = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 552];

// @rfc 1191 3
export function nextLowerPlateau(totalLength: number): number {
  for (const mtu of PLATEAUS) if (mtu < totalLength) return mtu;
  return FLOOR_V4;
}
