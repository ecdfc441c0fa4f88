// Asks whether an IPv4 address is somebody's before it is used, and tells everybody afterwards that it is ours
// (RFC 5227 2.1, 2.3). For who is given an address by somebody else (DHCP); addresses that root gives are used
// at once, as on Linux.

import { MS, SECOND } from "../../base/clock.ts";
import { Timer } from "../../base/timers.ts";
import type { IpAddr } from "../ip-addr.ts";
import type { Nic } from "./nic.ts";

export interface ProbeTimes {
  /** The first probe goes within this time. */
  waitNs: number;
  probes: number;
  minNs: number;
  maxNs: number;
  /** After the last probe. */
  announceWaitNs: number;
}

/** RFC 5227 1.1. */
export const PROBE_TIMES: ProbeTimes = {
  waitNs: 1 * SECOND,
  probes: 3,
  minNs: 1 * SECOND,
  maxNs: 2 * SECOND,
  announceWaitNs: 2 * SECOND,
};
/** For a link of which both ends are on one machine, where an answer takes no second. */
export const PROBE_TIMES_NEAR: ProbeTimes = {
  waitNs: 0,
  probes: 3,
  minNs: 50 * MS,
  maxNs: 100 * MS,
  announceWaitNs: 100 * MS,
};
const ANNOUNCEMENTS = 2;
const ANNOUNCE_INTERVAL_NS = 2 * SECOND;

export class AddressProbe {
  readonly #nic: Nic;
  readonly #addr: IpAddr;
  readonly #times: ProbeTimes;
  readonly #onResult: (isFree: boolean) => void;
  readonly #timer = new Timer(() => this.#next());
  #probesLeft: number;
  #announcementsLeft = 0;

  // @rfc 5227 2.1.1
  constructor(nic: Nic, addr: IpAddr, times: ProbeTimes, onResult: (isFree: boolean) => void) {
    this.#nic = nic;
    this.#addr = addr.clone();
    this.#times = times;
    this.#onResult = onResult;
    this.#probesLeft = times.probes;
    nic.arp.watchFor(this.#addr, () => this.#taken());
    this.#arm(times.waitNs > 0 ? nic.stack.rng.below(times.waitNs) : 0);
  }

  #arm(delayNs: number): void {
    const { stack } = this.#nic;
    stack.timers.arm(this.#timer, stack.clock.monotonicNs() + delayNs);
  }

  #next(): void {
    const { minNs, maxNs, announceWaitNs } = this.#times;
    if (this.#announcementsLeft > 0) {
      this.#announcementsLeft--;
      this.#nic.arp.announce(this.#addr);
      if (this.#announcementsLeft > 0) this.#arm(ANNOUNCE_INTERVAL_NS);
      return;
    }
    if (this.#probesLeft === 0) {
      this.#nic.arp.watchFor(null, null);
      this.#onResult(true);
      return;
    }
    this.#probesLeft--;
    this.#nic.arp.probe(this.#addr);
    const between = minNs + this.#nic.stack.rng.below(maxNs - minNs + 1);
    this.#arm(this.#probesLeft > 0 ? between : announceWaitNs);
  }

  #taken(): void {
    this.cancel();
    this.#onResult(false);
  }

  /** RFC 5227 2.3: the address has become ours. */
  announce(): void {
    this.#announcementsLeft = ANNOUNCEMENTS;
    this.#arm(0);
  }

  cancel(): void {
    this.#nic.arp.watchFor(null, null);
    this.#announcementsLeft = 0;
    this.#nic.stack.timers.disarm(this.#timer);
  }
}
