// TIME-WAIT (RFC 9293 3.3.2): what is kept of a connection when all is said - numbers to recognise and answer
// stragglers with, 0.3 kB - and the table of them, bounded, all ended by one timer. An orphan in FIN-WAIT-2 waits here,
// too. Answers as Linux's tcp_timewait_state_process; what they mean for a new connection is RFC 6191's.

import { seqAdd } from "../../base/seqnum.ts";
import { Timer, type TimerQueue } from "../../base/timers.ts";
import { IpAddr } from "../ip-addr.ts";
import type { AuthKeys } from "./auth-keys.ts";
import { TIME_WAIT_NS } from "./state.ts";
import type { PortHolder, PortSharing } from "./tcp-ports.ts";
import { type TupleEntry, type TupleHash, TupleTable } from "./tuple-table.ts";

const NEVER = Number.NEGATIVE_INFINITY;
const FIRST_PLACES = 128;
/** Entries kept for the next one. */
const SPARE_MAX = 256;

const NO_ADDR = new IpAddr();
const SHARING: readonly PortSharing[] = [0, 1, 2, 3].map((bits) => ({
  reuseAddress: (bits & 1) !== 0,
  reusePort: (bits & 2) !== 0,
}));
/** One of four shared objects: a copy of the two flags that outlives the endpoint's options. */
export const sharingOf = (from: PortSharing): PortSharing =>
  SHARING[(from.reuseAddress ? 1 : 0) | (from.reusePort ? 2 : 0)];

export class TimeWait implements PortHolder, TupleEntry {
  /** Shared with others. */
  local: IpAddr = NO_ADDR;
  remote: IpAddr = NO_ADDR;
  ports = 0;
  sndNxt = 0;
  rcvNxt = 0;
  /** The 16-bit field as last advertised. */
  window = 0;
  tsOk = false;
  tsOffset = 0;
  tsRecent = 0;
  tsRecentMs = 0;
  tos = 0;
  ttl = 64;
  nicId = 0;
  authKeys: AuthKeys | null = null;
  /** The peer's FIN has not come yet (Linux's substate); then the window in bytes counts. */
  isFinWait2 = false;
  windowBytes = 0;
  lastAckNs = NEVER;
  sharing: PortSharing = SHARING[0];
  endNs = 0;
  hash = 0;
  /** In its order of ends; among the spare ones `newer` chains. */
  older: TimeWait | null = null;
  newer: TimeWait | null = null;
  readonly owner = null;
  portPrev: PortHolder | null = null;
  portNext: PortHolder | null = null;
  isInPort = false;

  get localPort(): number {
    return this.ports >>> 16;
  }
  /** RFC 6191: where the next incarnation's sequence numbers begin, clear of this one's. */
  get nextIss(): number {
    const iss = seqAdd(this.sndNxt, 65_537);
    return iss === 0 ? 1 : iss;
  }
}

/** Entries in the order of their ends. */
class EndOrder {
  oldest: TimeWait | null = null;
  newest: TimeWait | null = null;

  /** At the end in one step, where all last equally long. */
  add(tw: TimeWait): void {
    let before = this.newest;
    while (before !== null && before.endNs > tw.endNs) before = before.older;
    tw.older = before;
    tw.newer = before === null ? this.oldest : before.newer;
    if (tw.newer === null) this.newest = tw;
    else tw.newer.older = tw;
    if (before === null) this.oldest = tw;
    else before.newer = tw;
  }

  remove(tw: TimeWait): void {
    if (tw.older === null) this.oldest = tw.newer;
    else tw.older.newer = tw.newer;
    if (tw.newer === null) this.newest = tw.older;
    else tw.newer.older = tw.older;
    tw.older = tw.newer = null;
  }
}

/** The table. Those of TIME-WAIT last equally long; those of FIN-WAIT-2 as their owners wished. */
export class TimeWaitTable {
  readonly #table: TupleTable<TimeWait>;
  readonly #order = new EndOrder();
  readonly #finWait2 = new EndOrder();
  #spare: TimeWait | null = null;
  #spareCount = 0;
  readonly #timers: TimerQueue;
  readonly #timer: Timer;
  readonly #onEnd: (tw: TimeWait) => void;

  constructor(hash: TupleHash, timers: TimerQueue, onEnd: (tw: TimeWait) => void) {
    this.#table = new TupleTable(hash, FIRST_PLACES);
    this.#timers = timers;
    this.#timer = new Timer((nowNs) => this.#expire(nowNs));
    this.#onEnd = onEnd;
  }

  get count(): number {
    return this.#table.count;
  }

  *all(): IterableIterator<TimeWait> {
    for (let tw = this.#order.oldest; tw !== null; tw = tw.newer) yield tw;
    for (let tw = this.#finWait2.oldest; tw !== null; tw = tw.newer) yield tw;
  }

  find(local: IpAddr, remote: IpAddr, ports: number): TimeWait | null {
    return this.#table.find(local, remote, ports);
  }

  /** Precondition: addresses and ports are set, and no other has them. */
  add(tw: TimeWait, nowNs: number, lastsNs = TIME_WAIT_NS): void {
    this.#table.add(tw);
    this.#append(tw, nowNs + lastsNs);
  }

  /** An entry to fill and add(): one given back, or a new one. */
  take(): TimeWait {
    const tw = this.#spare;
    if (tw === null) return new TimeWait();
    this.#spare = tw.newer;
    this.#spareCount--;
    tw.newer = null;
    tw.lastAckNs = NEVER;
    return tw;
  }

  /** Removed, and nobody looks at it any more. */
  give(tw: TimeWait): void {
    if (this.#spareCount >= SPARE_MAX) return;
    tw.newer = this.#spare;
    this.#spare = tw;
    this.#spareCount++;
  }

  /** The wait begins anew; from FIN-WAIT-2 it is the one of TIME-WAIT. */
  restart(tw: TimeWait, nowNs: number): void {
    this.#orderOf(tw).remove(tw);
    tw.isFinWait2 = false;
    this.#append(tw, nowNs + TIME_WAIT_NS);
  }

  #orderOf(tw: TimeWait): EndOrder {
    return tw.isFinWait2 ? this.#finWait2 : this.#order;
  }

  remove(tw: TimeWait): void {
    this.#orderOf(tw).remove(tw);
    this.#table.remove(tw);
    this.#onEnd(tw);
    if (this.count === 0) this.#timers.disarm(this.#timer);
  }

  #append(tw: TimeWait, endNs: number): void {
    tw.endNs = endNs;
    this.#orderOf(tw).add(tw);
    if (!this.#timer.isArmed || endNs < this.#timerNs) this.#arm(endNs);
  }

  #timerNs = 0;
  #arm(atNs: number): void {
    this.#timerNs = atNs;
    this.#timers.arm(this.#timer, atNs);
  }

  #expire(nowNs: number): void {
    this.#expireOf(this.#order, nowNs);
    this.#expireOf(this.#finWait2, nowNs);
    const next = Math.min(
      this.#order.oldest?.endNs ?? Number.POSITIVE_INFINITY,
      this.#finWait2.oldest?.endNs ?? Number.POSITIVE_INFINITY,
    );
    if (this.count > 0) this.#arm(next);
  }

  #expireOf(order: EndOrder, nowNs: number): void {
    for (let tw = order.oldest; tw !== null && tw.endNs <= nowNs; tw = order.oldest) {
      this.remove(tw);
      this.give(tw);
    }
  }
}
