// How many ICMP errors are sent (RFC 1812 4.3.2.8, RFC 4443 2.4 f; Linux's icmp_global_allow and inet_peer_xrlim_allow):
// so many a second and a burst of fifty over all destinations, and of the kinds that icmp_ratemask names one a second
// and a burst of six to each. The global refill is jittered, so that a stranger cannot count our remaining tokens and
// learn which ports are closed (CVE-2020-25705).

import { type Clock, SECOND } from "../../base/clock.ts";
import { KeyedHash } from "../../base/half-siphash.ts";
import type { Rng } from "../../base/rng.ts";
import type { IpAddr } from "../ip-addr.ts";

const BURST = 50;
/** XRLIM_BURST_FACTOR. */
const HOST_BURST = 6;
/** Destinations remembered, by a keyed hash: who shares another's place only gives it a fresh burst. */
const HOSTS = 1024;

export const ALLOWED = 0;
export const LIMITED_GLOBALLY = 1;
export const LIMITED_FOR_HOST = 2;

export class RateLimit {
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #perSecond: number;
  readonly #hash: KeyedHash;
  readonly #addrs = new Int32Array(4 * HOSTS);
  /** Time saved up, and when that was reckoned. */
  readonly #savedNs = new Float64Array(HOSTS);
  readonly #sinceNs = new Float64Array(HOSTS).fill(Number.NEGATIVE_INFINITY);
  #tokens = BURST;
  #lastNs: number;
  /** net.ipv4.icmp_ratelimit, net.ipv6.icmp.ratelimit: between two errors to one destination; 0: no limit. */
  hostIntervalNs = 1 * SECOND;

  constructor(clock: Clock, rng: Rng, perSecond: number) {
    this.#clock = clock;
    this.#rng = rng;
    this.#perSecond = perSecond;
    this.#hash = new KeyedHash(rng);
    this.#lastNs = clock.monotonicNs();
  }

  /** perHost: an error of a kind that is limited to each destination. */
  take(dst: IpAddr, perHost: boolean): number {
    const nowNs = this.#clock.monotonicNs();
    this.#tokens += ((nowNs - this.#lastNs) / SECOND) * this.#perSecond;
    this.#lastNs = nowNs;
    if (this.#tokens > BURST) this.#tokens = BURST - this.#rng.below(3);
    if (this.#tokens < 1) return LIMITED_GLOBALLY;
    if (perHost && this.hostIntervalNs > 0 && !this.#takeForHost(dst, nowNs))
      return LIMITED_FOR_HOST;
    this.#tokens--;
    return ALLOWED;
  }

  #takeForHost(dst: IpAddr, nowNs: number): boolean {
    const slot = this.#hash.begin().add(dst.w3).add(dst.w1).add(dst.w0).end() % HOSTS;
    const a = this.#addrs;
    const at = 4 * slot;
    const full = HOST_BURST * this.hostIntervalNs;
    if (a[at] !== dst.w0 || a[at + 1] !== dst.w1 || a[at + 2] !== dst.w2 || a[at + 3] !== dst.w3) {
      a[at] = dst.w0;
      a[at + 1] = dst.w1;
      a[at + 2] = dst.w2;
      a[at + 3] = dst.w3;
      this.#sinceNs[slot] = Number.NEGATIVE_INFINITY;
    }
    const saved = Math.min(full, this.#savedNs[slot] + (nowNs - this.#sinceNs[slot]));
    this.#sinceNs[slot] = nowNs;
    const isAllowed = saved >= this.hostIntervalNs;
    this.#savedNs[slot] = isAllowed ? saved - this.hostIntervalNs : saved;
    return isAllowed;
  }
}
