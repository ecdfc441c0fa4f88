// What has been sent and is not yet acknowledged, in sequence order: one record per transmission (a
// record may stand for many segments when the link segments for us). The scoreboard of RFC 6675 lives
// in the records' flags and in the four counters, which count segments as Linux's TCP_INFO does.

import { seqDiff, seqLe } from "../../base/seqnum.ts";
import { SentIndex } from "./sent-index.ts";

/** Flags of a record. */
export const SACKED = 1;
export const LOST = 2;
/** A retransmission of it is under way. */
export const RETRANS = 4;
/** Retransmitted at least once: its RTT is ambiguous (Karn). */
export const EVER_RETRANS = 8;
export const HAS_SYN = 16;
export const HAS_FIN = 32;
/** It carried PSH, and carries it again. */
export const PUSHED = 64;

// @rfc 8985 3
export class SentRecord {
  seq = 0;
  end = 0;
  segs = 0;
  mss = 0;
  flags = 0;
  /** When last sent, microseconds modulo 2^32. */
  sentUs = 0;
  prev: SentRecord | null = null;
  next: SentRecord | null = null;
  /** Neighbours by time of the last sending (RFC 8985 looks at these only). */
  older: SentRecord | null = null;
  newer: SentRecord | null = null;
  isInTimeOrder = false;
  /** SACKED: a later record up to which all are SACKED as well (see endOfRun), or null. */
  runTo: SentRecord | null = null;
  /** Delivery rate: what the connection's counters said when it was sent. */
  txDelivered = 0;
  txDeliveredUs = 0;
  txFirstUs = 0;
  isTxAppLimited = false;
  isRateCounted = true;
}

/** Spare records of all connections. */
export class SentRecordPool {
  #free: SentRecord | null = null;

  take(): SentRecord {
    const record = this.#free;
    if (record === null) return new SentRecord();
    this.#free = record.next;
    record.next = null;
    return record;
  }
  give(record: SentRecord): void {
    record.prev = null;
    record.runTo = null;
    record.next = this.#free;
    this.#free = record;
  }
}

/** So many records are looked at one by one before an index is made. */
const SCAN_MAX = 64;

// @rfc 6675 4
export class SentList {
  // What every ACK looks at stands first, on one line of the cache.
  head: SentRecord | null = null;
  packetsOut = 0;
  sackedOut = 0;
  lostOut = 0;
  retransOut = 0;
  /** Segments ever taken for lost; PRR looks at the difference over an ACK. */
  lostEver = 0;
  tail: SentRecord | null = null;
  recordCount = 0;
  /** No record before this one is waiting to be retransmitted; null: begin at the head. */
  retransmitHint: SentRecord | null = null;
  /** Where the last SACK block ended: the next one is usually near. */
  sackHint: SentRecord | null = null;
  /** Sent longest ago and last, of those neither SACKed nor taken for lost. */
  oldest: SentRecord | null = null;
  newest: SentRecord | null = null;
  /** Retransmissions that were taken for lost again. */
  lostRetransmissions = 0;
  readonly #pool: SentRecordPool;
  #index: SentIndex | null = null;

  constructor(pool: SentRecordPool) {
    this.#pool = pool;
  }

  /** Segments in the network (RFC 6675's pipe, in segments). */
  get inFlight(): number {
    return this.packetsOut - this.sackedOut - this.lostOut + this.retransOut;
  }

  append(seq: number, end: number, mss: number, flags: number, sentUs: number): SentRecord {
    const record = this.#pool.take();
    record.seq = seq;
    record.end = end;
    record.mss = mss;
    record.flags = flags;
    record.sentUs = sentUs;
    record.segs = segmentsOf(seqDiff(end, seq), mss);
    record.prev = this.tail;
    if (this.tail === null) this.head = record;
    else this.tail.next = record;
    this.tail = record;
    this.recordCount++;
    this.packetsOut += record.segs;
    this.#linkNewest(record);
    return record;
  }

  #linkNewest(record: SentRecord): void {
    record.isInTimeOrder = true;
    record.older = this.newest;
    record.newer = null;
    if (this.newest === null) this.oldest = record;
    else this.newest.newer = record;
    this.newest = record;
  }

  #unlinkTime(record: SentRecord): void {
    if (!record.isInTimeOrder) return;
    record.isInTimeOrder = false;
    if (record.older === null) this.oldest = record.newer;
    else record.older.newer = record.newer;
    if (record.newer === null) this.newest = record.older;
    else record.newer.older = record.older;
    record.older = record.newer = null;
  }

  /** The last record did not get out after all. */
  removeTail(): void {
    const record = this.tail as SentRecord;
    this.uncount(record, record.segs);
    this.#unlinkTime(record);
    this.tail = record.prev;
    if (this.tail === null) this.head = null;
    else this.tail.next = null;
    if (this.retransmitHint === record) this.retransmitHint = null;
    this.#forget(record);
  }

  /** Takes a wholly acknowledged head out. */
  removeHead(): void {
    const record = this.head as SentRecord;
    this.uncount(record, record.segs);
    this.#unlinkTime(record);
    this.head = record.next;
    if (this.head === null) this.tail = null;
    else this.head.prev = null;
    if (this.retransmitHint === record) this.retransmitHint = this.head;
    this.#forget(record);
  }

  #forget(record: SentRecord): void {
    if (this.sackHint === record) this.sackHint = null;
    if (this.#index !== null) {
      this.#index.forget(record);
      if (this.head === null || this.#index.isEmpty) this.#index = null;
    }
    this.recordCount--;
    this.#pool.give(record);
  }

  /** The first record that ends behind `seq`: near the hint or the head by a walk, else by the index. */
  seek(seq: number): SentRecord | null {
    const hint = this.sackHint;
    let record = hint !== null && seqLe(hint.seq, seq) ? hint : this.head;
    for (let n = 0; record !== null && seqLe(record.end, seq); n++) {
      if (n === SCAN_MAX) return this.#seekFar(seq);
      record = record.next;
    }
    return record;
  }

  #seekFar(seq: number): SentRecord | null {
    this.#index ??= new SentIndex(this.head);
    let record = this.#index.at(seq) ?? this.head;
    let n = 0;
    for (; record !== null && seqLe(record.end, seq); n++) {
      record = ((record.flags & SACKED) !== 0 ? endOfRun(record) : record).next;
    }
    // Much was appended or cut up here since the index was made, which pays for making it anew.
    if (n > SCAN_MAX) this.#index = null;
    return record;
  }

  /** The head is acknowledged up to `seq`; returns the whole segments that this covers. */
  trimHead(seq: number): number {
    const record = this.head as SentRecord;
    record.seq = seq;
    const segs = record.segs - segmentsOf(seqDiff(record.end, seq), record.mss);
    this.uncount(record, segs);
    record.segs -= segs;
    return segs;
  }

  /** Cuts a record in two at `seq`; the second part follows with the same flags and time. */
  split(record: SentRecord, seq: number): void {
    const rest = this.#pool.take();
    rest.seq = seq;
    rest.end = record.end;
    rest.mss = record.mss;
    rest.flags = record.flags;
    rest.sentUs = record.sentUs;
    rest.txDelivered = record.txDelivered;
    rest.txDeliveredUs = record.txDeliveredUs;
    rest.txFirstUs = record.txFirstUs;
    rest.isTxAppLimited = record.isTxAppLimited;
    rest.isRateCounted = record.isRateCounted;
    if (record.isInTimeOrder) {
      rest.isInTimeOrder = true;
      rest.older = record;
      rest.newer = record.newer;
      if (record.newer === null) this.newest = rest;
      else record.newer.older = rest;
      record.newer = rest;
    }
    rest.segs = segmentsOf(seqDiff(rest.end, seq), rest.mss);
    record.flags &= ~(HAS_FIN | PUSHED);
    record.end = seq;
    rest.prev = record;
    rest.next = record.next;
    if (record.next === null) this.tail = rest;
    else record.next.prev = rest;
    record.next = rest;
    this.recordCount++;
    const firstSegs = segmentsOf(seqDiff(seq, record.seq), record.mss);
    // The two parts may count one segment more than the whole did, when cut within a segment.
    this.#count(record, firstSegs + rest.segs - record.segs);
    record.segs = firstSegs;
  }

  /** The MSS has changed since: counts the record in segments of the new one. */
  resegment(record: SentRecord, mss: number): void {
    record.mss = mss;
    const segs = segmentsOf(seqDiff(record.end, record.seq), mss);
    this.#count(record, segs - record.segs);
    record.segs = segs;
  }

  setSacked(record: SentRecord): void {
    this.#unlinkTime(record);
    if ((record.flags & LOST) !== 0) {
      this.lostOut -= record.segs;
      if ((record.flags & RETRANS) !== 0) this.retransOut -= record.segs;
      record.flags &= ~(LOST | RETRANS);
    }
    // A retransmission of what was never taken for lost (a probe) is believed to be under way still.
    record.flags |= SACKED;
    this.sackedOut += record.segs;
  }

  /** A DSACK shows the retransmission to have arrived as well. */
  clearRetransmitted(record: SentRecord): void {
    if ((record.flags & RETRANS) === 0) return;
    record.flags &= ~RETRANS;
    this.retransOut -= record.segs;
  }

  /** Lost, or, when a retransmission was under way, lost again. */
  setLost(record: SentRecord): void {
    if ((record.flags & SACKED) !== 0) return;
    // Without a hint the search begins at the head, unless nothing waits there (tcp_verify_retransmit_hint).
    const hint = this.retransmitHint;
    const isFirst =
      hint === null ? this.retransOut >= this.lostOut : seqDiff(record.seq, hint.seq) < 0;
    if (isFirst) this.retransmitHint = record;
    if ((record.flags & LOST) !== 0) {
      if ((record.flags & RETRANS) === 0) return;
      record.flags &= ~RETRANS;
      this.retransOut -= record.segs;
      this.lostRetransmissions += record.segs;
    } else {
      record.flags |= LOST;
      this.lostOut += record.segs;
    }
    this.lostEver += record.segs;
  }

  /** RACK has judged it and need not look again until it is sent. */
  forgetTime(record: SentRecord): void {
    this.#unlinkTime(record);
  }

  /** `record` has just been sent again. */
  setRetransmitted(record: SentRecord, sentUs: number): void {
    if ((record.flags & RETRANS) === 0) this.retransOut += record.segs;
    record.flags |= RETRANS | EVER_RETRANS;
    record.sentUs = sentUs;
    this.#unlinkTime(record);
    this.#linkNewest(record);
  }

  /** The repetition did not get out: `sentUs` is when it was sent before. */
  unsetRetransmitted(record: SentRecord, sentUs: number): void {
    this.clearRetransmitted(record);
    record.sentUs = sentUs;
    this.#unlinkTime(record);
    if ((record.flags & LOST) === 0) this.#linkByTime(record, this.oldest);
  }

  /** The peer threw away what it had SACKed (RFC 2018 8). */
  forgetSacks(): void {
    for (let r = this.head; r !== null; r = r.next) {
      if ((r.flags & SACKED) === 0) continue;
      r.flags &= ~SACKED;
      r.runTo = null;
      this.sackedOut -= r.segs;
    }
    this.sackedOut = 0;
  }

  /** The losses turn out to have been none. */
  unmarkLost(): void {
    const back: SentRecord[] = [];
    for (let r = this.head; r !== null; r = r.next) {
      if ((r.flags & LOST) === 0) continue;
      r.flags &= ~LOST;
      if (!r.isInTimeOrder) back.push(r);
    }
    // A peer chooses how many and in which order: sorted once, each takes its place from the one before.
    back.sort((a, b) => seqDiff(a.sentUs, b.sentUs));
    let before: SentRecord | null = null;
    for (const r of back) {
      this.#linkByTime(r, before ?? this.oldest);
      before = r;
    }
    this.lostOut = 0;
    this.retransmitHint = null;
  }

  /** Behind `from` (null: nothing is there yet) and all that were not sent later. */
  #linkByTime(record: SentRecord, from: SentRecord | null): void {
    let at = from;
    while (at !== null && seqDiff(at.sentUs, record.sentUs) <= 0) at = at.newer;
    if (at === null) {
      this.#linkNewest(record);
      return;
    }
    record.isInTimeOrder = true;
    record.newer = at;
    record.older = at.older;
    if (at.older === null) this.oldest = record;
    else at.older.newer = record;
    at.older = record;
  }

  clear(): void {
    while (this.head !== null) this.removeHead();
    this.packetsOut = this.sackedOut = this.lostOut = this.retransOut = 0;
    this.retransmitHint = null;
  }

  uncount(record: SentRecord, segs: number): void {
    this.#count(record, -segs);
  }

  #count(record: SentRecord, segs: number): void {
    if (segs === 0) return;
    this.packetsOut += segs;
    if ((record.flags & SACKED) !== 0) this.sackedOut += segs;
    if ((record.flags & LOST) !== 0) this.lostOut += segs;
    if ((record.flags & RETRANS) !== 0) this.retransOut += segs;
  }
}

/**
 * The last of the SACKED records that follow each other from `record`, itself SACKED, on. What was found is
 * noted (as union-find compresses its paths), so a peer that names the same blocks again and again makes us
 * walk them once.
 */
export function endOfRun(record: SentRecord): SentRecord {
  let last = record;
  for (;;) {
    const further: SentRecord | null = last.runTo ?? last.next;
    if (further === null || (further.flags & SACKED) === 0) break;
    last = further;
  }
  for (let r = record; r !== last; ) {
    const further = (r.runTo ?? r.next) as SentRecord;
    r.runTo = last;
    r = further;
  }
  return last;
}

export const segmentsOf = (bytes: number, mss: number): number =>
  bytes <= mss ? 1 : Math.floor((bytes + mss - 1) / mss);
