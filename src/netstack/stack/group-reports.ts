// The host's side of multicast group membership, what IGMPv3 and MLDv2 share (RFC 3376 5, 3810 6): a change of the
// interface's state is reported twice, a query is answered after a random delay, an older querier is answered in its
// own words (7.2.1, 8.2.1). What messages look like is igmp.ts' and mld.ts' business.

import { type Clock, SECOND } from "../../base/clock.ts";
import type { Rng } from "../../base/rng.ts";
import { Timer, type TimerQueue } from "../../base/timers.ts";
import type { IpAddr } from "../ip-addr.ts";
import { type GroupFilter, lists } from "./nic-groups.ts";

const RECORD_IS_INCLUDE = 1;
const RECORD_IS_EXCLUDE = 2;
const RECORD_TO_INCLUDE = 3;
const RECORD_TO_EXCLUDE = 4;
const RECORD_ALLOW = 5;
const RECORD_BLOCK = 6;

const ROBUSTNESS = 2;
const UNSOLICITED_NS = 1 * SECOND;
/** Robustness times the query interval, and the longest response. */
const OLDER_QUERIER_NS = (ROBUSTNESS * 125 + 10) * SECOND;
const PENDING_MAX = 1024;
/** Sources of queries that one answer remembers: a query that asks for more is answered for all. */
const ASKED_MAX = 512;

export interface GroupRecord {
  readonly kind: number;
  readonly group: IpAddr;
  readonly sources: readonly IpAddr[];
}

/** What is still to be said of one group that changed, or is asked for. */
interface Pending {
  readonly group: IpAddr;
  dueNs: number;
  /** Reports of the mode that are left, and of joining or leaving to an older querier. */
  modeLeft: number;
  oldLeft: number;
  /** Sources to tell of, each so often. */
  readonly sources: { readonly addr: IpAddr; left: number }[];
}

interface Answer {
  readonly group: IpAddr;
  dueNs: number;
  /** null: the whole state is asked for. */
  asked: IpAddr[] | null;
}

export interface GroupCodec {
  /** The newest version spoken. */
  readonly newest: number;
  /** Groups that are reported and joined now. */
  members(): readonly IpAddr[];
  /** Of a group that is not joined: no source. */
  filterOf(group: IpAddr): GroupFilter;
  sendRecords(records: readonly GroupRecord[]): void;
  /** In an older version: a report, or a leave. */
  sendOld(version: number, group: IpAddr, leave: boolean): void;
}

export class GroupReporter {
  readonly #codec: GroupCodec;
  readonly #clock: Clock;
  readonly #timers: TimerQueue;
  readonly #rng: Rng;
  readonly #pending: Pending[] = [];
  readonly #answers: Answer[] = [];
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

  // @rfc 9777 6.1
  // @rfc 9776 5.1
  /** The interface's state of a group is another; isMove: it was joined or left altogether. */
  changed(group: IpAddr, before: GroupFilter, after: GroupFilter, isMove: boolean): void {
    const moved = [
      ...before.sources.filter((s) => !lists(after, s)),
      ...after.sources.filter((s) => !lists(before, s)),
    ];
    const isOtherMode = before.isInclude !== after.isInclude;
    if (!isOtherMode && !isMove && moved.length === 0) return;
    const nowNs = this.#clock.monotonicNs();
    let p = this.#pending.find((e) => e.group.equals(group));
    if (p === undefined) {
      if (this.#pending.length >= PENDING_MAX) return;
      p = { group: group.clone(), dueNs: nowNs, modeLeft: 0, oldLeft: 0, sources: [] };
      this.#pending.push(p);
    }
    p.dueNs = nowNs;
    if (isMove) p.oldLeft = ROBUSTNESS;
    if (isOtherMode) {
      // The list comes whole with the mode.
      p.modeLeft = ROBUSTNESS;
      p.sources.length = 0;
    } else {
      for (const addr of moved) {
        const known = p.sources.find((s) => s.addr.equals(addr));
        if (known === undefined) p.sources.push({ addr: addr.clone(), left: ROBUSTNESS });
        else known.left = ROBUSTNESS;
      }
    }
    this.#run(nowNs);
  }

  close(): void {
    this.#pending.length = this.#answers.length = 0;
    this.#timers.disarm(this.#timer);
  }

  // @rfc 9777 6.2 8.2.1
  // @rfc 9776 5.2 7.2.1
  /** group null: a general query. */
  onQuery(
    version: number,
    group: IpAddr | null,
    sources: readonly IpAddr[],
    maxDelayNs: number,
  ): void {
    const nowNs = this.#clock.monotonicNs();
    if (version < this.#codec.newest) {
      this.#version = version;
      this.#olderUntilNs = nowNs + OLDER_QUERIER_NS;
    }
    const delayNs = Math.max(maxDelayNs, SECOND / 10);
    for (const member of this.#codec.members()) {
      if (group !== null && !group.equals(member)) continue;
      this.#ask(member, group === null ? [] : sources, nowNs + this.#random(delayNs));
    }
    this.#arm();
  }

  #ask(group: IpAddr, sources: readonly IpAddr[], dueNs: number): void {
    const waiting = this.#answers.find((a) => a.group.equals(group));
    if (waiting === undefined) {
      if (this.#answers.length >= PENDING_MAX) return;
      const isWhole = sources.length === 0 || sources.length > ASKED_MAX;
      const asked = isWhole ? null : sources.map((s) => s.clone());
      this.#answers.push({ group: group.clone(), dueNs, asked });
      return;
    }
    // A sooner answer that waits already answers this query too.
    waiting.dueNs = Math.min(waiting.dueNs, dueNs);
    const { asked } = waiting;
    if (asked === null) return;
    for (const s of sources) if (!asked.some((a) => a.equals(s))) asked.push(s.clone());
    if (sources.length === 0 || asked.length > ASKED_MAX) waiting.asked = null;
  }

  #run(nowNs: number): void {
    if (nowNs >= this.#olderUntilNs) this.#version = this.#codec.newest;
    const records: GroupRecord[] = [];
    for (const p of [...this.#pending]) if (p.dueNs <= nowNs) this.#report(p, records, nowNs);
    for (const answer of [...this.#answers]) {
      if (answer.dueNs > nowNs) continue;
      this.#answers.splice(this.#answers.indexOf(answer), 1);
      this.#reply(answer, records);
    }
    if (records.length > 0) this.#codec.sendRecords(records);
    this.#arm();
  }

  #report(p: Pending, records: GroupRecord[], nowNs: number): void {
    const filter = this.#codec.filterOf(p.group);
    if (this.#version === this.#codec.newest) putChange(p, filter, records);
    else if (p.oldLeft > 0) {
      const isGone = filter.isInclude && filter.sources.length === 0;
      this.#codec.sendOld(this.#version, p.group, isGone);
    }
    p.oldLeft = Math.max(0, p.oldLeft - 1);
    if (p.modeLeft > 0) p.modeLeft--;
    else for (const s of p.sources) s.left--;
    if (p.sources.some((s) => s.left <= 0)) {
      const left = p.sources.filter((s) => s.left > 0);
      p.sources.splice(0, p.sources.length, ...left);
    }
    p.dueNs = nowNs + this.#random(UNSOLICITED_NS);
    if (p.modeLeft === 0 && p.oldLeft === 0 && p.sources.length === 0) {
      this.#pending.splice(this.#pending.indexOf(p), 1);
    }
  }

  #reply({ group, asked }: Answer, records: GroupRecord[]): void {
    if (!this.#codec.members().some((member) => member.equals(group))) return;
    if (this.#version !== this.#codec.newest) {
      this.#codec.sendOld(this.#version, group, false);
      return;
    }
    const filter = this.#codec.filterOf(group);
    const { isInclude, sources } = filter;
    if (asked === null) {
      records.push({ kind: isInclude ? RECORD_IS_INCLUDE : RECORD_IS_EXCLUDE, group, sources });
      return;
    }
    // RFC 3376 5.2: of those that are asked for, the ones that are heard. Linux tells its whole list when it excludes.
    const heard = asked.filter((s) => lists(filter, s) === isInclude);
    if (heard.length > 0) records.push({ kind: RECORD_IS_INCLUDE, group, sources: heard });
  }

  #arm(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const p of this.#pending) next = Math.min(next, p.dueNs);
    for (const a of this.#answers) next = Math.min(next, a.dueNs);
    if (next === Number.POSITIVE_INFINITY) this.#timers.disarm(this.#timer);
    else this.#timers.arm(this.#timer, next);
  }

  /** In (0, max]. */
  #random(maxNs: number): number {
    return Math.ceil(((this.#rng.u32() + 1) / 0x1_0000_0000) * maxNs);
  }
}

/** The mode with the list as it is now, or the sources that have come and gone. */
function putChange(p: Pending, filter: GroupFilter, records: GroupRecord[]): void {
  const { group } = p;
  if (p.modeLeft > 0) {
    const kind = filter.isInclude ? RECORD_TO_INCLUDE : RECORD_TO_EXCLUDE;
    records.push({ kind, group, sources: filter.sources });
    return;
  }
  const moved = p.sources.map((s) => s.addr);
  const heard = moved.filter((s) => lists(filter, s) === filter.isInclude);
  const unheard = moved.filter((s) => !heard.includes(s));
  if (heard.length > 0) records.push({ kind: RECORD_ALLOW, group, sources: heard });
  if (unheard.length > 0) records.push({ kind: RECORD_BLOCK, group, sources: unheard });
}

/**
 * Records as they fit into messages of `room` bytes: long lists are cut into several records, but not those of who is
 * not heard, which go as far as they fit.
 */
export function inMessages(
  records: readonly GroupRecord[],
  room: number,
  headBytes: number,
  sourceBytes: number,
): GroupRecord[][] {
  const most = Math.max(1, Math.floor((room - headBytes) / sourceBytes));
  const pieces: GroupRecord[] = [];
  for (const record of records) {
    const { kind, group, sources } = record;
    const isWhole = kind === RECORD_IS_EXCLUDE || kind === RECORD_TO_EXCLUDE;
    if (sources.length <= most) pieces.push(record);
    else if (isWhole) pieces.push({ kind, group, sources: sources.slice(0, most) });
    else {
      for (let at = 0; at < sources.length; at += most) {
        pieces.push({ kind, group, sources: sources.slice(at, at + most) });
      }
    }
  }
  const messages: GroupRecord[][] = [];
  let left = 0;
  for (const piece of pieces) {
    const bytes = headBytes + piece.sources.length * sourceBytes;
    if (messages.length === 0 || bytes > left) {
      messages.push([]);
      left = room;
    }
    messages[messages.length - 1].push(piece);
    left -= bytes;
  }
  return messages;
}

/** The floating-point code of RFC 3376 4.1.1 (8 bits: base 4) and RFC 3810 5.1.3 (16 bits: base 12). */
export function decodeDelay(code: number, mantissaBits: number): number {
  const limit = 1 << (mantissaBits + 3);
  if (code < limit) return code;
  const mantissa = (code & ((1 << mantissaBits) - 1)) | (1 << mantissaBits);
  return mantissa << (((code >>> mantissaBits) & 7) + 3);
}
