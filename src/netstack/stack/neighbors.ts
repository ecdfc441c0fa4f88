// Neighbour unreachability detection: who on the link owns an address, and is it still there.
// The state machine of RFC 4861 7.3 with its timers, used for ARP as Linux does (and for NDP).
// One table per NIC and family. What a probe looks like is the resolver's business (arp.ts, ndp.ts).

import { assert } from "../../base/assert.ts";
import { type Clock, MS, SECOND } from "../../base/clock.ts";
import { KeyedHash } from "../../base/half-siphash.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import type { TimerQueue } from "../../base/timers.ts";
import type { IpAddr } from "../ip-addr.ts";
import { copyMac, macEquals } from "../wire/ethernet.ts";
import type { Counters } from "./counters.ts";
import { NeighborEntry, type NeighborResolver, NeighborState } from "./neighbor-entry.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { ParkedPackets } from "./parked-packets.ts";

const S = NeighborState;

const REACHABLE_TIME_NS = 30 * SECOND;
const DELAY_FIRST_PROBE_NS = 5 * SECOND;
const RETRANSMIT_NS = 1 * SECOND;
const MULTICAST_PROBES = 3;
const UNICAST_PROBES = 3;
/** A fresh answer is not overridden by a different one for this long (Linux's locktime). */
const LOCK_NS = 1 * SECOND;
/** Entries looked at to find one to evict. */
const EVICT_SCAN = 32;

export class NeighborTable {
  readonly #resolver: NeighborResolver;
  readonly #clock: Clock;
  readonly #timers: TimerQueue;
  readonly #rng: Rng;
  readonly #limits: Limits;
  readonly #counters: Counters;
  readonly #buckets = new Map<number, NeighborEntry>();
  /** Keyed: a stranger on the link picks addresses, but not the bucket that they share. */
  readonly #hash: KeyedHash;
  /** A router may have said others (RFC 4861 6.3.4). */
  #reachableTimeNs = REACHABLE_TIME_NS;
  #retransmitNs = RETRANSMIT_NS;
  #count = 0;
  readonly #parked: ParkedPackets;
  readonly #onTimer = (entry: NeighborEntry, nowNs: number): void => this.#expire(entry, nowNs);

  constructor(
    resolver: NeighborResolver,
    clock: Clock,
    timers: TimerQueue,
    rng: Rng,
    limits: Limits,
    counters: Counters,
  ) {
    this.#resolver = resolver;
    this.#clock = clock;
    this.#timers = timers;
    this.#rng = rng;
    this.#hash = new KeyedHash(rng);
    this.#limits = limits;
    this.#counters = counters;
    this.#parked = new ParkedPackets(limits, counters);
  }

  get size(): number {
    return this.#count;
  }

  find(addr: IpAddr): NeighborEntry | null {
    let entry = this.#buckets.get(this.#key(addr)) ?? null;
    while (entry !== null && !entry.addr.equals(addr)) entry = entry.next;
    return entry;
  }

  #key(addr: IpAddr): number {
    const h = this.#hash.begin().add(addr.w3);
    if (!addr.isV4) h.add(addr.w2).add(addr.w1).add(addr.w0);
    return h.end();
  }

  /** Finds or makes; null when the table is full of entries in use. */
  obtain(addr: IpAddr): NeighborEntry | null {
    const found = this.find(addr);
    if (found !== null) return found;
    if (this.#count >= this.#limits.neighborEntries && !this.#evict()) {
      this.#counters.dropNeighborTableFull++;
      return null;
    }
    const entry = new NeighborEntry(this.#onTimer);
    entry.addr.set(addr);
    entry.state = S.Failed;
    const key = this.#key(addr);
    entry.next = this.#buckets.get(key) ?? null;
    this.#buckets.set(key, entry);
    this.#count++;
    return entry;
  }

  setPermanent(addr: IpAddr, mac: Uint8Array): boolean {
    const entry = this.obtain(addr);
    if (entry === null) return false;
    copyMac(entry.mac, 0, mac, 0);
    this.#timers.disarm(entry.timer);
    this.#become(entry, S.Permanent);
    this.#flush(entry);
    return true;
  }

  remove(entry: NeighborEntry): void {
    if (entry.removed) return;
    const key = this.#key(entry.addr);
    let at = this.#buckets.get(key) ?? null;
    if (at === entry) {
      if (entry.next === null) this.#buckets.delete(key);
      else this.#buckets.set(key, entry.next);
    } else {
      while (at !== null && at.next !== entry) at = at.next;
      assert(at !== null, "a neighbour entry is in its bucket");
      at.next = entry.next;
    }
    this.#count--;
    entry.removed = true;
    this.#timers.disarm(entry.timer);
    this.#resolver.neighborChanged(entry);
    this.#failQueue(entry);
  }

  clear(): void {
    for (const entry of this.entries()) this.remove(entry);
  }

  /** A snapshot, for reports. */
  entries(): NeighborEntry[] {
    const all: NeighborEntry[] = [];
    for (const head of this.#buckets.values()) {
      for (let e: NeighborEntry | null = head; e !== null; e = e.next) all.push(e);
    }
    return all;
  }

  // @rfc 4861 7.3
  /** True: entry.mac may be used now. False: the packet was copied to wait (or dropped, counted). */
  use(entry: NeighborEntry, pkt: PacketBuffer): boolean {
    switch (entry.state) {
      case S.Stale:
        entry.state = S.Delay;
        entry.confirmed = false;
        this.#arm(entry, DELAY_FIRST_PROBE_NS);
        return true;
      case S.Incomplete:
        this.#parked.park(entry.queue, pkt);
        return false;
      case S.Failed:
        entry.state = S.Incomplete;
        entry.probes = 1;
        this.#parked.park(entry.queue, pkt);
        this.#arm(entry, this.#retransmitNs);
        this.#resolver.sendProbe(entry, false);
        return false;
      default:
        return true;
    }
  }

  /** Upper-layer proof (RFC 4861 7.3.1). */
  confirm(entry: NeighborEntry): void {
    if (entry.state === S.Reachable) entry.confirmed = true;
    else if ((entry.state & (S.Stale | S.Delay | S.Probe)) !== 0) this.#reachable(entry);
  }

  /**
   * A station said that addr is at mac. solicited: it answered us, personally. A new entry is made only
   * when `create` (it asked for us, so it will be answered); an answer to nobody's question never is.
   */
  learn(
    addr: IpAddr,
    bytes: Uint8Array,
    macOffset: number,
    solicited: boolean,
    create: boolean,
  ): void {
    const entry = create ? this.obtain(addr) : this.find(addr);
    if (entry === null || entry.state === S.Permanent) return;
    const known = (entry.state & (S.Incomplete | S.Failed)) === 0;
    const same = known && macEquals(entry.mac, 0, bytes, macOffset);
    const nowNs = this.#clock.monotonicNs();
    if (known && !same && nowNs - entry.updatedNs < LOCK_NS) return;
    if (!known && !create && entry.state === S.Failed) return;
    if (!same) {
      copyMac(entry.mac, 0, bytes, macOffset);
      entry.isRenamed = true;
      entry.updatedNs = nowNs;
    }
    if (solicited && (entry.state & (S.Incomplete | S.Probe | S.Delay | S.Reachable)) !== 0) {
      this.#reachable(entry);
    } else if (!same) {
      this.#timers.disarm(entry.timer);
      this.#become(entry, S.Stale);
    }
    if (!known) this.#flush(entry);
  }

  // @rfc 4861 7.2.3
  /** NDP: a message of addr's own told its MAC (RFC 4861 7.2.3, 6.3.4, 8.3): no proof that it hears us. */
  heardFrom(addr: IpAddr, bytes: Uint8Array, macOffset: number, create: boolean): void {
    const entry = create ? this.obtain(addr) : this.find(addr);
    if (entry === null || entry.state === S.Permanent) return;
    const known = entry.hasMac;
    if (known && macEquals(entry.mac, 0, bytes, macOffset)) return;
    this.#setMac(entry, bytes, macOffset);
    this.#timers.disarm(entry.timer);
    this.#become(entry, S.Stale);
    if (!known) this.#flush(entry);
  }

  // @rfc 4861 7.2.5a 7.2.5b
  /**
   * A neighbour advertisement (RFC 4861 7.2.5); macOffset -1: it names no MAC. True when addr was a router
   * and says that it is none any more.
   */
  advertised(
    addr: IpAddr,
    bytes: Uint8Array,
    macOffset: number,
    solicited: boolean,
    override: boolean,
    router: boolean,
  ): boolean {
    const entry = this.find(addr);
    if (entry === null || (entry.state & (S.Failed | S.Permanent)) !== 0) return false;
    const retired = entry.isRouter && !router;
    if (entry.state === S.Incomplete) {
      if (macOffset < 0) return false;
      this.#setMac(entry, bytes, macOffset);
      entry.isRouter = router;
      if (solicited) this.#reachable(entry);
      else {
        this.#timers.disarm(entry.timer);
        this.#become(entry, S.Stale);
      }
      this.#flush(entry);
      return retired;
    }
    const changes = macOffset >= 0 && !macEquals(entry.mac, 0, bytes, macOffset);
    if (changes && !override) {
      if (entry.state === S.Reachable) this.#become(entry, S.Stale);
      return false;
    }
    if (changes) this.#setMac(entry, bytes, macOffset);
    if (solicited) this.#reachable(entry);
    else if (changes) this.#become(entry, S.Stale);
    entry.isRouter = router;
    return retired;
  }

  /** Milliseconds from a router advertisement; 0: not said. */
  setTimes(reachableMs: number, retransmitMs: number): void {
    if (reachableMs > 0 && reachableMs <= 3_600_000) this.#reachableTimeNs = reachableMs * MS;
    if (retransmitMs >= 100 && retransmitMs <= 60_000) this.#retransmitNs = retransmitMs * MS;
  }

  #setMac(entry: NeighborEntry, bytes: Uint8Array, macOffset: number): void {
    copyMac(entry.mac, 0, bytes, macOffset);
    entry.isRenamed = true;
    entry.updatedNs = this.#clock.monotonicNs();
  }

  /** A state that others are told of (neigh_update_notify); waiting for an answer is none. */
  #become(entry: NeighborEntry, state: number): void {
    const isNew = entry.state !== state || entry.isRenamed;
    entry.state = state;
    entry.isRenamed = false;
    if (isNew) this.#resolver.neighborChanged(entry);
  }

  #reachable(entry: NeighborEntry): void {
    this.#become(entry, S.Reachable);
    entry.probes = 0;
    entry.confirmed = false;
    // RFC 4861 6.3.2: uniform between 0.5 and 1.5 times the base.
    this.#arm(entry, this.#reachableTimeNs * (0.5 + this.#rng.u32() / 0x1_0000_0000));
  }

  #arm(entry: NeighborEntry, afterNs: number): void {
    this.#timers.arm(entry.timer, this.#clock.monotonicNs() + afterNs);
  }

  // @rfc 1122 2.3.2.1a
  #expire(entry: NeighborEntry, _nowNs: number): void {
    switch (entry.state) {
      case S.Reachable:
        if (entry.confirmed) this.#reachable(entry);
        else this.#become(entry, S.Stale);
        return;
      case S.Delay:
        this.#become(entry, S.Probe);
        entry.probes = 1;
        this.#arm(entry, this.#retransmitNs);
        this.#resolver.sendProbe(entry, true);
        return;
      case S.Probe:
      case S.Incomplete:
        this.#retransmit(entry);
        return;
      default:
        return;
    }
  }

  // @rfc 4861 7.2.2b
  // @rfc 1122 2.3.2.1b
  #retransmit(entry: NeighborEntry): void {
    const unicast = entry.state === S.Probe;
    if (entry.probes < (unicast ? UNICAST_PROBES : MULTICAST_PROBES)) {
      entry.probes++;
      this.#arm(entry, this.#retransmitNs);
      this.#resolver.sendProbe(entry, unicast);
      return;
    }
    this.#become(entry, S.Failed);
    entry.probes = 0;
    this.#failQueue(entry);
  }

  #flush(entry: NeighborEntry): void {
    for (
      let pkt = this.#parked.take(entry.queue);
      pkt !== undefined;
      pkt = this.#parked.take(entry.queue)
    ) {
      this.#resolver.sendResolved(entry, pkt);
    }
  }

  #failQueue(entry: NeighborEntry): void {
    for (
      let pkt = this.#parked.take(entry.queue);
      pkt !== undefined;
      pkt = this.#parked.take(entry.queue)
    ) {
      this.#counters.dropNeighborFailed++;
      this.#resolver.resolutionFailed(pkt);
    }
  }

  /** Throws out the first of the oldest entries that nobody is using, looking at a bounded number. */
  #evict(): boolean {
    let candidate: NeighborEntry | null = null;
    let seen = 0;
    for (const entry of this.#buckets.values()) {
      if (seen++ >= EVICT_SCAN) break;
      if (entry.state === S.Permanent) continue;
      if (entry.state === S.Failed || entry.state === S.Stale) {
        candidate = entry;
        break;
      }
      if (candidate === null || entry.updatedNs < candidate.updatedNs) candidate = entry;
    }
    if (candidate === null) return false;
    this.remove(candidate);
    return true;
  }
}
