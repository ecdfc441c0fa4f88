// Reassembly of fragments, the part that both families share (RFC 791 3.2, 815's job done plainly; 5722's
// rule). Any overlap drops the whole datagram and whatever of it still comes; an exact duplicate is
// ignored. Bytes held have a quota per family with the oldest thrown out first. What a fragment looks
// like is fragments-ipv4.ts' and fragments-ipv6.ts' business.

import type { Clock } from "../../base/clock.ts";
import { KeyedHash } from "../../base/half-siphash.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import { Timer, type TimerQueue } from "../../base/timers.ts";
import { IpAddr } from "../ip-addr.ts";
import { IPV4_HEADER_MAX } from "../wire/ipv4.ts";
import type { Counters } from "./counters.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

/** What one datagram costs besides its bytes, so that many small ones are bounded too. */
const OVERHEAD_BYTES = 1024;
const DATA_BYTES_MIN = 256;
/** Of the first fragment's data, quoted when time runs out. */
const QUOTED_BYTES = 1232;

export class Datagram {
  readonly src = new IpAddr();
  readonly dst = new IpAddr();
  id = 0;
  /** Part of the identity (IPv6: 0, the header that follows may differ). */
  protocol = 0;
  /** What follows the first fragment's header. */
  firstProtocol = 0;
  /** IPv6: where in the header that is written. */
  nextField = 0;
  nicId = 0;
  hash = 0;
  deadlineNs = 0;
  /** Sorted, disjoint extents, and where in `data` the bytes of each begin. */
  starts = new Uint16Array(8);
  ends = new Uint16Array(8);
  places = new Uint16Array(8);
  count = 0;
  received = 0;
  /** Known once the last fragment came; -1 before. */
  total = -1;
  /** In the order of arrival: a small piece with a high offset costs no more than its bytes. */
  data = new Uint8Array(0);
  header = new Uint8Array(IPV4_HEADER_MAX);
  headerBytes = 0;
  /** The longest fragment, from its IP header on. */
  longestBytes = 0;
  linkBroadcast = false;
  poisoned = false;
  charged = 0;
  next: Datagram | null = null;
  /** Age order. */
  older: Datagram | null = null;
  newer: Datagram | null = null;
}

export interface ReassemblyOwner {
  /** Time is up and the first fragment is there: [header + first bytes] in pkt, for a Time Exceeded. */
  reassemblyTimedOut(pkt: PacketBuffer): void;
  allocPacket(): PacketBuffer;
  freePacket(pkt: PacketBuffer): void;
}

export abstract class Reassembler {
  readonly #owner: ReassemblyOwner;
  readonly #clock: Clock;
  readonly #timers: TimerQueue;
  readonly #limits: Limits;
  readonly #counters: Counters;
  readonly #lifetimeNs: number;
  readonly #hash: KeyedHash;
  readonly #table = new Map<number, Datagram>();
  readonly #timer = new Timer((nowNs) => this.#expire(nowNs));
  #oldest: Datagram | null = null;
  #newest: Datagram | null = null;
  #bytes = 0;

  constructor(
    owner: ReassemblyOwner,
    clock: Clock,
    timers: TimerQueue,
    rng: Rng,
    limits: Limits,
    counters: Counters,
    lifetimeNs: number,
  ) {
    this.#lifetimeNs = lifetimeNs;
    this.#owner = owner;
    this.#clock = clock;
    this.#timers = timers;
    this.#limits = limits;
    this.#counters = counters;
    this.#hash = new KeyedHash(rng);
  }

  /** Bytes charged now. */
  get bytesHeld(): number {
    return this.#bytes;
  }

  // @rfc 791 3.2
  /**
   * Takes in the data [dataAt, dataAt + length) of a fragment whose header is at pkt.l3, with src and dst
   * set. The datagram when it is whole now (out of the table: build a packet from it), or null.
   */
  protected addPiece(
    pkt: PacketBuffer,
    id: number,
    protocol: number,
    headerBytes: number,
    dataAt: number,
    start: number,
    length: number,
    more: boolean,
    first: number = protocol,
    nextField = 0,
  ): Datagram | null {
    const b = pkt.bytes;
    const d = this.#obtain(pkt, id, protocol);
    if (d.poisoned) {
      this.#counters.dropFragmentOverlap++;
      return null;
    }
    if (!this.#insert(d, start, start + length, more)) return null;
    if (!this.#store(d, b, dataAt, length)) return null;
    if (pkt.end - pkt.l3 > d.longestBytes) d.longestBytes = pkt.end - pkt.l3;
    if (start === 0) {
      if (headerBytes > d.header.length) d.header = new Uint8Array(headerBytes);
      d.header.set(b.subarray(pkt.l3, pkt.l3 + headerBytes));
      d.headerBytes = headerBytes;
      d.firstProtocol = first;
      d.nextField = nextField;
      d.linkBroadcast = pkt.linkBroadcast;
    }
    if (d.total < 0 || d.received !== d.total || d.headerBytes === 0) return null;
    this.#unlink(d);
    return d;
  }

  /** Of the packet built last (frag_max_size). */
  longestBytes = 0;

  // @rfc 8200 4.5f
  // @rfc 1122 3.2.1.4 3.3.2a
  /** A packet of the whole datagram: the first fragment's header and all data. */
  protected build(d: Datagram): PacketBuffer {
    const pkt = this.#owner.allocPacket();
    pkt.start -= d.headerBytes;
    pkt.bytes.set(d.header.subarray(0, d.headerBytes), pkt.start);
    const at = pkt.start + d.headerBytes;
    for (let i = 0; i < d.count; i++) {
      const from = d.places[i];
      pkt.bytes.set(d.data.subarray(from, from + d.ends[i] - d.starts[i]), at + d.starts[i]);
    }
    pkt.l3 = pkt.start;
    pkt.end = pkt.start + d.headerBytes + d.total;
    pkt.nicId = d.nicId;
    pkt.linkBroadcast = d.linkBroadcast;
    this.longestBytes = d.longestBytes;
    return pkt;
  }

  #obtain(pkt: PacketBuffer, id: number, protocol: number): Datagram {
    const src = pkt.src;
    const dst = pkt.dst;
    const h = this.#hash.begin().add(src.w3).add(dst.w3).add(id).add(protocol);
    if (!src.isV4) h.add(src.w0).add(src.w1).add(src.w2).add(dst.w0).add(dst.w1).add(dst.w2);
    const hash = h.end();
    for (let d = this.#table.get(hash) ?? null; d !== null; d = d.next) {
      if (d.id === id && d.protocol === protocol && d.src.equals(src) && d.dst.equals(dst))
        return d;
    }
    const d = new Datagram();
    d.src.set(src);
    d.dst.set(dst);
    d.id = id;
    d.protocol = protocol;
    d.nicId = pkt.nicId;
    d.hash = hash;
    d.deadlineNs = this.#clock.monotonicNs() + this.#lifetimeNs;
    d.next = this.#table.get(hash) ?? null;
    this.#table.set(hash, d);
    d.older = this.#newest;
    if (this.#newest !== null) this.#newest.newer = d;
    else this.#oldest = d;
    this.#newest = d;
    this.#charge(d, OVERHEAD_BYTES);
    if (!this.#timer.isArmed) this.#timers.arm(this.#timer, d.deadlineNs);
    return d;
  }

  // @rfc 8200 4.5d
  /** Records the extent; false when it is a duplicate, an overlap, or disagrees with the end. */
  #insert(d: Datagram, start: number, end: number, more: boolean): boolean {
    const last = d.count > 0 ? d.ends[d.count - 1] : 0;
    let lo = 0;
    let hi = d.count;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (d.starts[mid] < start) lo = mid + 1;
      else hi = mid;
    }
    if (lo < d.count && d.starts[lo] === start && d.ends[lo] === end) {
      this.#counters.dropFragmentDuplicate++;
      return false;
    }
    const overlaps =
      (lo > 0 && d.ends[lo - 1] > start) ||
      (lo < d.count && d.starts[lo] < end) ||
      (d.total >= 0 && (end > d.total || (!more && end !== d.total))) ||
      (!more && last > end);
    if (overlaps) {
      this.#poison(d);
      return false;
    }
    if (d.count === d.starts.length) this.#growExtents(d);
    d.starts.copyWithin(lo + 1, lo, d.count);
    d.ends.copyWithin(lo + 1, lo, d.count);
    d.places.copyWithin(lo + 1, lo, d.count);
    d.starts[lo] = start;
    d.ends[lo] = end;
    d.places[lo] = d.received;
    d.count++;
    d.received += end - start;
    if (!more) d.total = end;
    return true;
  }

  #growExtents(d: Datagram): void {
    const starts = new Uint16Array(d.starts.length * 2);
    const ends = new Uint16Array(d.ends.length * 2);
    const places = new Uint16Array(d.places.length * 2);
    starts.set(d.starts);
    ends.set(d.ends);
    places.set(d.places);
    this.#charge(d, 3 * starts.length);
    d.starts = starts;
    d.ends = ends;
    d.places = places;
  }

  /** The piece just inserted; false when the quota threw this very datagram out. */
  #store(d: Datagram, from: Uint8Array, at: number, length: number): boolean {
    if (d.received > d.data.length) {
      const want = Math.max(d.received, Math.min(2 * d.data.length, 65_536), DATA_BYTES_MIN);
      const data = new Uint8Array(want);
      data.set(d.data);
      this.#charge(d, want - d.data.length);
      d.data = data;
    }
    d.data.set(from.subarray(at, at + length), d.received - length);
    while (this.#bytes > this.#limits.reassemblyBytes && this.#oldest !== null) {
      const victim = this.#oldest;
      this.#counters.dropFragmentQuota++;
      this.onFail();
      this.#unlink(victim);
      if (victim === d) return false;
    }
    return true;
  }

  // @rfc 5722 4
  /** Keeps only the identity, so that the rest of the datagram is refused until its time is up. */
  #poison(d: Datagram): void {
    d.poisoned = true;
    this.#bytes -= d.charged - OVERHEAD_BYTES;
    d.charged = OVERHEAD_BYTES;
    d.data = new Uint8Array(0);
    d.headerBytes = 0;
    d.count = 0;
    this.onOverlap();
    this.onFail();
    this.#counters.dropFragmentOverlap++;
  }

  /** The family's counters. */
  protected abstract onFail(): void;
  protected abstract onTimeout(): void;
  protected abstract onOverlap(): void;

  #charge(d: Datagram, bytes: number): void {
    d.charged += bytes;
    this.#bytes += bytes;
  }

  #unlink(d: Datagram): void {
    this.#bytes -= d.charged;
    d.charged = 0;
    if (d.older !== null) d.older.newer = d.newer;
    else this.#oldest = d.newer;
    if (d.newer !== null) d.newer.older = d.older;
    else this.#newest = d.older;
    let at = this.#table.get(d.hash) ?? null;
    if (at === d) {
      if (d.next === null) this.#table.delete(d.hash);
      else this.#table.set(d.hash, d.next);
      return;
    }
    while (at !== null && at.next !== d) at = at.next;
    if (at !== null) at.next = d.next;
  }

  #expire(nowNs: number): void {
    while (this.#oldest !== null && this.#oldest.deadlineNs <= nowNs) {
      const d = this.#oldest;
      this.#unlink(d);
      if (d.poisoned) continue;
      this.onTimeout();
      this.onFail();
      this.#counters.dropFragmentTimeout++;
      if (d.headerBytes > 0) this.#timedOut(d);
    }
    if (this.#oldest !== null) this.#timers.arm(this.#timer, this.#oldest.deadlineNs);
  }

  // @rfc 1122 3.3.2b
  #timedOut(d: Datagram): void {
    const pkt = this.#owner.allocPacket();
    const quoted = Math.min(d.ends[0], QUOTED_BYTES);
    pkt.bytes.set(d.header.subarray(0, d.headerBytes), pkt.start);
    const from = d.places[0];
    pkt.bytes.set(d.data.subarray(from, from + quoted), pkt.start + d.headerBytes);
    pkt.l3 = pkt.start;
    // Without the fragment header: what is quoted reads as the packet it was to become.
    if (d.nextField > 0) pkt.bytes[pkt.l3 + d.nextField] = d.firstProtocol;
    pkt.l4 = pkt.start + d.headerBytes;
    pkt.end = pkt.l4 + quoted;
    pkt.nicId = d.nicId;
    pkt.linkBroadcast = d.linkBroadcast;
    pkt.src.set(d.src);
    pkt.dst.set(d.dst);
    pkt.protocol = d.firstProtocol;
    this.#owner.reassemblyTimedOut(pkt);
    this.#owner.freePacket(pkt);
  }
}
