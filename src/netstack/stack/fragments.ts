// Reassembly of IPv4 fragments (RFC 791 3.2, RFC 815's job done plainly; RFC 1858, 3128, 5722's rule).
// Any overlap drops the whole datagram and whatever of it still comes; an exact duplicate is ignored.
// Bytes held have a quota with the oldest thrown out first; a datagram lives 30 s.

import { type Clock, SECOND } from "../../base/clock.ts";
import { KeyedHash } from "../../base/half-siphash.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import { Timer, type TimerQueue } from "../../base/timers.ts";
import {
  IPV4_HEADER,
  IPV4_HEADER_MAX,
  ipv4Dst,
  ipv4FragOffset,
  ipv4HeaderBytes,
  ipv4Id,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Src,
  ipv4Total,
  PROTO_TCP,
  resizeIpv4,
} from "../wire/ipv4.ts";
import type { Counters } from "./counters.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

const LIFETIME_NS = 30 * SECOND;
/** What one datagram costs besides its bytes, so that many small ones are bounded too. */
const OVERHEAD_BYTES = 1024;
const IP_MAX = 65_535;
/** RFC 3128: a TCP fragment at offset 8 rewrites flags a filter has already seen. */
const TCP_HEADER_MIN = 20;

class Datagram {
  src = 0;
  dst = 0;
  id = 0;
  protocol = 0;
  nicId = 0;
  hash = 0;
  deadlineNs = 0;
  /** Sorted, disjoint extents. */
  starts = new Uint16Array(8);
  ends = new Uint16Array(8);
  count = 0;
  received = 0;
  /** Known once the last fragment came; -1 before. */
  total = -1;
  data = new Uint8Array(0);
  header = new Uint8Array(IPV4_HEADER_MAX);
  headerBytes = 0;
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

export class Reassembler {
  readonly #owner: ReassemblyOwner;
  readonly #clock: Clock;
  readonly #timers: TimerQueue;
  readonly #limits: Limits;
  readonly #counters: Counters;
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
  ) {
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

  /** Takes in the fragment at pkt.l3 (checked header). A whole datagram (to be freed by the caller), or null. */
  add(pkt: PacketBuffer): PacketBuffer | null {
    const b = pkt.bytes;
    const o = pkt.l3;
    this.#counters.ipReasmReqds++;
    const headerBytes = ipv4HeaderBytes(b, o);
    const start = ipv4FragOffset(b, o);
    const length = ipv4Total(b, o) - headerBytes;
    const more = ipv4MoreFragments(b, o);
    if (
      length <= 0 ||
      (more && (length & 7) !== 0) ||
      IPV4_HEADER + start + length > IP_MAX ||
      (ipv4Protocol(b, o) === PROTO_TCP && start > 0 && start < TCP_HEADER_MIN)
    ) {
      this.#counters.dropFragmentBad++;
      this.#counters.ipReasmFails++;
      return null;
    }
    const d = this.#obtain(pkt);
    if (d.poisoned) {
      this.#counters.dropFragmentOverlap++;
      return null;
    }
    if (!this.#insert(d, start, start + length, more)) return null;
    if (!this.#store(d, b, o + headerBytes, start, length)) return null;
    if (start === 0) {
      d.header.set(b.subarray(o, o + headerBytes));
      d.headerBytes = headerBytes;
      d.linkBroadcast = pkt.linkBroadcast;
    }
    return d.total >= 0 && d.received === d.total && d.headerBytes > 0 ? this.#complete(d) : null;
  }

  #obtain(pkt: PacketBuffer): Datagram {
    const b = pkt.bytes;
    const o = pkt.l3;
    const src = ipv4Src(b, o);
    const dst = ipv4Dst(b, o);
    const id = ipv4Id(b, o);
    const protocol = ipv4Protocol(b, o);
    const hash = this.#hash
      .begin()
      .add(src)
      .add(dst)
      .add((id << 8) | protocol)
      .end();
    for (let d = this.#table.get(hash) ?? null; d !== null; d = d.next) {
      if (d.src === src && d.dst === dst && d.id === id && d.protocol === protocol) return d;
    }
    const d = new Datagram();
    d.src = src;
    d.dst = dst;
    d.id = id;
    d.protocol = protocol;
    d.nicId = pkt.nicId;
    d.hash = hash;
    d.deadlineNs = this.#clock.monotonicNs() + LIFETIME_NS;
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
    d.starts[lo] = start;
    d.ends[lo] = end;
    d.count++;
    d.received += end - start;
    if (!more) d.total = end;
    return true;
  }

  #growExtents(d: Datagram): void {
    const starts = new Uint16Array(d.starts.length * 2);
    const ends = new Uint16Array(d.ends.length * 2);
    starts.set(d.starts);
    ends.set(d.ends);
    this.#charge(d, 2 * starts.length);
    d.starts = starts;
    d.ends = ends;
  }

  /** False when the quota threw this very datagram out. */
  #store(d: Datagram, from: Uint8Array, at: number, start: number, length: number): boolean {
    if (start + length > d.data.length) {
      const want = Math.max(start + length, Math.min(2 * d.data.length, 65_536), 2048);
      const data = new Uint8Array(want);
      data.set(d.data);
      this.#charge(d, want - d.data.length);
      d.data = data;
    }
    d.data.set(from.subarray(at, at + length), start);
    while (this.#bytes > this.#limits.reassemblyBytes && this.#oldest !== null) {
      const victim = this.#oldest;
      this.#counters.dropFragmentQuota++;
      this.#counters.ipReasmFails++;
      this.#unlink(victim);
      if (victim === d) return false;
    }
    return true;
  }

  #complete(d: Datagram): PacketBuffer | null {
    const pkt = this.#owner.allocPacket();
    const length = d.headerBytes + d.total;
    this.#unlink(d);
    if (length > IP_MAX) {
      this.#counters.dropFragmentBad++;
      this.#counters.ipReasmFails++;
      this.#owner.freePacket(pkt);
      return null;
    }
    pkt.bytes.set(d.header.subarray(0, d.headerBytes), pkt.start);
    pkt.bytes.set(d.data.subarray(0, d.total), pkt.start + d.headerBytes);
    pkt.l3 = pkt.start;
    pkt.end = pkt.start + length;
    pkt.nicId = d.nicId;
    pkt.linkBroadcast = d.linkBroadcast;
    resizeIpv4(pkt.bytes, pkt.l3, length, d.id, 0);
    this.#counters.ipReasmOKs++;
    return pkt;
  }

  /** Keeps only the identity, so that the rest of the datagram is refused until its time is up. */
  #poison(d: Datagram): void {
    d.poisoned = true;
    this.#bytes -= d.charged - OVERHEAD_BYTES;
    d.charged = OVERHEAD_BYTES;
    d.data = new Uint8Array(0);
    d.headerBytes = 0;
    d.count = 0;
    this.#counters.ipReasmOverlaps++;
    this.#counters.ipReasmFails++;
    this.#counters.dropFragmentOverlap++;
  }

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
      this.#counters.ipReasmTimeout++;
      this.#counters.ipReasmFails++;
      this.#counters.dropFragmentTimeout++;
      if (d.headerBytes > 0) this.#timedOut(d);
    }
    if (this.#oldest !== null) this.#timers.arm(this.#timer, this.#oldest.deadlineNs);
  }

  #timedOut(d: Datagram): void {
    const pkt = this.#owner.allocPacket();
    const quoted = Math.min(d.ends[0], 512);
    pkt.bytes.set(d.header.subarray(0, d.headerBytes), pkt.start);
    pkt.bytes.set(d.data.subarray(0, quoted), pkt.start + d.headerBytes);
    pkt.l3 = pkt.start;
    pkt.l4 = pkt.start + d.headerBytes;
    pkt.end = pkt.l4 + quoted;
    pkt.nicId = d.nicId;
    pkt.linkBroadcast = d.linkBroadcast;
    pkt.protocol = d.protocol;
    this.#owner.reassemblyTimedOut(pkt);
    this.#owner.freePacket(pkt);
  }
}
