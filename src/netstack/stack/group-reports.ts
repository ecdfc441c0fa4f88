// The host's side of multicast group membership, what IGMPv3 and MLDv2 share (RFC 3376 5, 3810 6): a state
// change is reported twice, a query is answered after a random delay, an older querier is answered in its
// own words (7.2.1, 8.2.1). What messages look like is igmp.ts' and mld.ts' business.

import { type Clock, SECOND } from "../../base/clock.ts";
import type { Rng } from "../../base/rng.ts";
import { Timer, type TimerQueue } from "../../base/timers.ts";
import type { IpAddr } from "../ip-addr.ts";

export const RECORD_IS_EXCLUDE = 2;
export const RECORD_TO_INCLUDE = 3;
export const RECORD_TO_EXCLUDE = 4;

const ROBUSTNESS = 2;
const UNSOLICITED_NS = 1 * SECOND;
/** Robustness times the query interval, and the longest response. */
const OLDER_QUERIER_NS = (ROBUSTNESS * 125 + 10) * SECOND;
const PENDING_MAX = 256;

export interface GroupRecord {
  kind: number;
  readonly group: IpAddr;
  /** Sends still to do. */
  left: number;
  dueNs: number;
}

export interface GroupCodec {
  /** The newest version spoken. */
  readonly newest: number;
  /** Groups that are reported and joined now. */
  members(): readonly IpAddr[];
  sendRecords(records: readonly GroupRecord[]): void;
  /** In an older version: a report, or a leave. */
  sendOld(version: number, group: IpAddr, leave: boolean): void;
}

export class GroupReporter {
  readonly #codec: GroupCodec;
  readonly #clock: Clock;
  readonly #timers: TimerQueue;
  readonly #rng: Rng;
  readonly #pending: GroupRecord[] = [];
  readonly #timer = new Timer((nowNs) => this.#run(nowNs));
  #version: number;
  #olderUntilNs = 0;

  constructor(codec: GroupCodec, clock: Clock, timers: TimerQueue, rng: Rng) {
    this.#codec = codec;
    this.#clock = clock;
    this.#timers = timers;
    this.#rng = rng;
    this.#version = codec.newest;
  }

  joined(group: IpAddr): void {
    this.#change(group, RECORD_TO_EXCLUDE);
  }
  left(group: IpAddr): void {
    this.#change(group, RECORD_TO_INCLUDE);
  }
  close(): void {
    this.#pending.length = 0;
    this.#timers.disarm(this.#timer);
  }

  // @rfc 9777 6.2 8.2.1
  // @rfc 9776 5.2 7.2.1
  /** group null: a general query. */
  onQuery(version: number, group: IpAddr | null, maxDelayNs: number): void {
    const nowNs = this.#clock.monotonicNs();
    if (version < this.#codec.newest) {
      this.#version = version;
      this.#olderUntilNs = nowNs + OLDER_QUERIER_NS;
    }
    const delayNs = Math.max(maxDelayNs, SECOND / 10);
    for (const member of this.#codec.members()) {
      if (group !== null && !group.equals(member)) continue;
      const dueNs = nowNs + this.#random(delayNs);
      const waiting = this.#find(member);
      // A sooner answer that waits already answers this query too.
      if (waiting !== null) waiting.dueNs = Math.min(waiting.dueNs, dueNs);
      else this.#add(member, RECORD_IS_EXCLUDE, 1, dueNs);
    }
    this.#arm();
  }

  // @rfc 9777 6.1
  // @rfc 9776 5.1
  #change(group: IpAddr, kind: number): void {
    const waiting = this.#find(group);
    const nowNs = this.#clock.monotonicNs();
    if (waiting === null) this.#add(group, kind, ROBUSTNESS, nowNs);
    else {
      waiting.kind = kind;
      waiting.left = ROBUSTNESS;
      waiting.dueNs = nowNs;
    }
    this.#run(nowNs);
  }

  #find(group: IpAddr): GroupRecord | null {
    for (const r of this.#pending) if (r.group.equals(group)) return r;
    return null;
  }
  #add(group: IpAddr, kind: number, left: number, dueNs: number): void {
    if (this.#pending.length >= PENDING_MAX) return;
    this.#pending.push({ kind, group: group.clone(), left, dueNs });
  }

  #run(nowNs: number): void {
    if (nowNs >= this.#olderUntilNs) this.#version = this.#codec.newest;
    const due: GroupRecord[] = [];
    for (const record of this.#pending) if (record.dueNs <= nowNs) due.push(record);
    if (due.length > 0) this.#send(due);
    for (const record of due) {
      record.left--;
      record.dueNs = nowNs + this.#random(UNSOLICITED_NS);
      if (record.left <= 0) this.#pending.splice(this.#pending.indexOf(record), 1);
    }
    this.#arm();
  }

  #send(due: readonly GroupRecord[]): void {
    if (this.#version === this.#codec.newest) {
      this.#codec.sendRecords(due);
      return;
    }
    for (const { group, kind } of due) {
      this.#codec.sendOld(this.#version, group, kind === RECORD_TO_INCLUDE);
    }
  }

  #arm(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const record of this.#pending) next = Math.min(next, record.dueNs);
    if (next === Number.POSITIVE_INFINITY) this.#timers.disarm(this.#timer);
    else this.#timers.arm(this.#timer, next);
  }

  /** In (0, max]. */
  #random(maxNs: number): number {
    return Math.ceil(((this.#rng.u32() + 1) / 0x1_0000_0000) * maxNs);
  }
}

/** The floating-point code of RFC 3376 4.1.1 (8 bits: base 4) and RFC 3810 5.1.3 (16 bits: base 12). */
export function decodeDelay(code: number, mantissaBits: number): number {
  const limit = 1 << (mantissaBits + 3);
  if (code < limit) return code;
  const mantissa = (code & ((1 << mantissaBits) - 1)) | (1 << mantissaBits);
  return mantissa << (((code >>> mantissaBits) & 7) + 3);
}
