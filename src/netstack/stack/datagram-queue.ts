// The receive queue of a datagram endpoint: one byte ring for payloads, one ring of numbers for what goes
// with each, both grown by doubling up to the receive buffer's limit. Putting and taking allocate nothing.

import type { DatagramExtra, DatagramInfo } from "../endpoints.ts";
import type { IpAddr } from "../ip-addr.ts";

/** Of its numbers the 12th is the size of the merged datagrams, 0 when it is one; the 14th how many more may follow. */
const META = 16;
const SEGMENT = 12;
const ROOM_FOR = 14;
/** An empty one was peeked at: the next peek goes behind it. */
const PEEKED = 15;
/** UDP_GRO_CNT_MAX. */
const MERGED_MAX = 64;
/** A datagram's most (IPv4), merged or not. */
const MERGED_BYTES_MAX = 65_507;
/** Charged per datagram besides its bytes, so that empty ones are bounded too. */
const OVERHEAD_BYTES = 128;
/**
 * What an empty queue holds is nobody's charge any more. It keeps this much, and more while all such together keep to
 * SPARE_BYTES_MAX: a reader in step with its sender empties it again and again, and growing anew costs.
 */
const KEPT_BYTES = 32 * 1024;
const SPARE_BYTES_MAX = 8 * 1024 * 1024;
const FIRST_BYTES = 2048;

/** What the empty queues of a stack hold together. */
export class SpareMemory {
  bytes = 0;
}

export class DatagramQueue {
  #data = new Uint8Array(0);
  #meta = new Int32Array(0);
  #times = new Float64Array(0);
  /** By slot, from the first datagram with IP options on. */
  #extras: (DatagramExtra | null)[] | null = null;
  /** Where the oldest byte stands in the ring of bytes, and how many are in use. */
  #head = 0;
  #used = 0;
  #first = 0;
  #count = 0;
  #charged = 0;
  readonly #spare: SpareMemory;
  /** Of #spare, ours. */
  #spared = 0;

  constructor(spare: SpareMemory) {
    this.#spare = spare;
  }

  get count(): number {
    return this.#count;
  }
  get chargedBytes(): number {
    return this.#charged;
  }
  /** Length of the oldest datagram; 0 when none (or when it is empty). */
  get nextBytes(): number {
    return this.#count === 0 ? 0 : this.#meta[this.#first * META + 13];
  }

  /** Whether a datagram of this length may still come in. One always fits an empty queue, as in Linux. */
  hasRoom(length: number, limitBytes: number): boolean {
    return this.#count === 0 || this.#charged + length + OVERHEAD_BYTES <= limitBytes;
  }

  put(
    src: Uint8Array,
    offset: number,
    length: number,
    addr: IpAddr,
    port: number,
    localAddr: IpAddr,
    nicId: number,
    ttl: number,
    tos: number,
    timeNs: number,
  ): void {
    if (this.#spared > 0) this.#useSpare();
    if (this.#used + length > this.#data.length) this.#growData(this.#used + length);
    if ((this.#count + 1) * META > this.#meta.length) this.#growMeta();
    const slots = this.#times.length;
    const slot = (this.#first + this.#count) % slots;
    const m = this.#meta;
    const at = slot * META;
    m[at] = addr.w0;
    m[at + 1] = addr.w1;
    m[at + 2] = addr.w2;
    m[at + 3] = addr.w3;
    m[at + 4] = port;
    m[at + 5] = localAddr.w0;
    m[at + 6] = localAddr.w1;
    m[at + 7] = localAddr.w2;
    m[at + 8] = localAddr.w3;
    m[at + 9] = nicId;
    m[at + 10] = ttl;
    m[at + 11] = tos;
    m[at + SEGMENT] = 0;
    m[at + 13] = length;
    m[at + PEEKED] = 0;
    m[at + ROOM_FOR] = length === 0 ? 0 : MERGED_MAX - 1;
    this.#times[slot] = timeNs;
    this.#copyIn(src, offset, length);
    this.#count++;
    this.#charged += length + OVERHEAD_BYTES;
  }

  /** Of the datagram just put. */
  putExtra(extra: DatagramExtra): void {
    this.#extras ??= [];
    const last = (this.#first + this.#count - 1) % this.#times.length;
    this.#extras[last] = extra;
    this.#charged += extraBytes(extra);
  }

  /**
   * UDP_GRO: puts it behind the newest datagram when that is of the same flow, of the same size or made of such,
   * and nobody has seen it yet (udp_gro_receive_segment, though not bound to one batch of the link). A shorter one
   * is the last. False: it must be put by itself.
   */
  merge(
    src: Uint8Array,
    offset: number,
    length: number,
    addr: IpAddr,
    port: number,
    localAddr: IpAddr,
    nicId: number,
    ttl: number,
    tos: number,
  ): boolean {
    if (this.#count === 0 || length === 0) return false;
    const m = this.#meta;
    const at = ((this.#first + this.#count - 1) % this.#times.length) * META;
    const size = m[at + 13];
    const segment = m[at + SEGMENT] === 0 ? size : m[at + SEGMENT];
    if (m[at + ROOM_FOR] === 0 || length > segment || size + length > MERGED_BYTES_MAX)
      return false;
    const isSame =
      m[at + 4] === port &&
      m[at + 9] === nicId &&
      m[at + 10] === ttl &&
      m[at + 11] === tos &&
      isAt(m, at, addr) &&
      isAt(m, at + 5, localAddr);
    if (!isSame) return false;
    if (this.#used + length > this.#data.length) this.#growData(this.#used + length);
    this.#copyIn(src, offset, length);
    m[at + SEGMENT] = segment;
    m[at + 13] = size + length;
    m[at + ROOM_FOR] = length < segment ? 0 : m[at + ROOM_FOR] - 1;
    this.#charged += length;
    return true;
  }

  /** Somebody has seen how long the newest datagram is: it stays so. */
  seal(): void {
    if (this.#count === 0) return;
    const last = (this.#first + this.#count - 1) % this.#times.length;
    this.#meta[last * META + ROOM_FOR] = 0;
  }

  /** Copies the oldest into dst; it stays when peek. Precondition: count > 0. */
  take(dst: Uint8Array, offset: number, length: number, out: DatagramInfo, peek: boolean): number {
    const size = this.#meta[this.#first * META + 13];
    this.#tell(this.#first, out);
    const n = Math.min(length, size);
    this.#copyOut(dst, offset, n, 0);
    if (!peek) this.#drop(size);
    else if (this.#count === 1) this.seal();
    return n;
  }

  /** A peek `skip` bytes into the queue (__skb_try_recv_from_queue); -1: nothing is there. */
  peekAt(skip: number, dst: Uint8Array, offset: number, length: number, out: DatagramInfo): number {
    const m = this.#meta;
    let left = skip;
    let before = 0;
    for (let i = 0; i < this.#count; i++) {
      const slot = (this.#first + i) % this.#times.length;
      const at = slot * META;
      const size = m[at + 13];
      if (left >= size && (left > 0 || m[at + PEEKED] !== 0)) {
        left -= size;
        before += size;
        continue;
      }
      if (size === 0) m[at + PEEKED] = 1;
      if (i === this.#count - 1) this.seal();
      this.#tell(slot, out);
      const n = Math.min(length, size - left);
      this.#copyOut(dst, offset, n, before + left);
      return n;
    }
    return -1;
  }

  #tell(slot: number, out: DatagramInfo): void {
    const m = this.#meta;
    const at = slot * META;
    out.addr.w0 = m[at];
    out.addr.w1 = m[at + 1];
    out.addr.w2 = m[at + 2];
    out.addr.w3 = m[at + 3];
    out.port = m[at + 4];
    out.localAddr.w0 = m[at + 5];
    out.localAddr.w1 = m[at + 6];
    out.localAddr.w2 = m[at + 7];
    out.localAddr.w3 = m[at + 8];
    out.nicId = m[at + 9];
    out.ttl = m[at + 10];
    out.tos = m[at + 11] & 0xff;
    out.flowLabel = m[at + 11] >>> 8;
    out.length = m[at + 13];
    out.segmentBytes = m[at + SEGMENT];
    out.timeNs = this.#times[slot];
    out.extra = this.#extras === null ? null : (this.#extras[slot] ?? null);
  }

  clear(): void {
    this.#useSpare();
    this.#data = new Uint8Array(0);
    this.#meta = new Int32Array(0);
    this.#times = new Float64Array(0);
    this.#extras = null;
    this.#head = this.#used = this.#first = this.#count = this.#charged = 0;
  }

  #drop(size: number): void {
    const extra = this.#extras?.[this.#first] ?? null;
    if (this.#extras !== null && extra !== null) {
      this.#extras[this.#first] = null;
      this.#charged -= extraBytes(extra);
    }
    this.#first = (this.#first + 1) % this.#times.length;
    this.#count--;
    this.#charged -= size + OVERHEAD_BYTES;
    this.#used -= size;
    this.#head = this.#used === 0 ? 0 : (this.#head + size) % this.#data.length;
    if (this.#count === 0) this.#spareMemory();
  }

  #spareMemory(): void {
    const held = this.heldBytes;
    if (held <= KEPT_BYTES) return;
    if (this.#spare.bytes + held <= SPARE_BYTES_MAX) {
      this.#spare.bytes += held;
      this.#spared = held;
      return;
    }
    this.#data = new Uint8Array(0);
    this.#meta = new Int32Array(0);
    this.#times = new Float64Array(0);
    this.#first = 0;
  }

  #useSpare(): void {
    this.#spare.bytes -= this.#spared;
    this.#spared = 0;
  }

  /** Of memory, used or not. */
  get heldBytes(): number {
    return this.#data.length + this.#meta.byteLength + this.#times.byteLength;
  }

  #copyIn(src: Uint8Array, offset: number, length: number): void {
    if (length === 0) return;
    const data = this.#data;
    const tail = (this.#head + this.#used) % data.length;
    const first = Math.min(length, data.length - tail);
    data.set(src.subarray(offset, offset + first), tail);
    if (first < length) data.set(src.subarray(offset + first, offset + length), 0);
    this.#used += length;
  }

  #copyOut(dst: Uint8Array, offset: number, n: number, from: number): void {
    if (n === 0) return;
    const data = this.#data;
    const start = (this.#head + from) % data.length;
    const first = Math.min(n, data.length - start);
    dst.set(data.subarray(start, start + first), offset);
    if (first < n) dst.set(data.subarray(0, n - first), offset + first);
  }

  #growData(need: number): void {
    let size = Math.max(FIRST_BYTES, this.#data.length);
    while (size < need) size *= 2;
    const data = new Uint8Array(size);
    this.#copyOut(data, 0, this.#used, 0);
    this.#data = data;
    this.#head = 0;
  }

  #growMeta(): void {
    const old = this.#times.length;
    const slots = Math.max(8, old * 2);
    const meta = new Int32Array(slots * META);
    const times = new Float64Array(slots);
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#first + i) % old;
      meta.set(this.#meta.subarray(from * META, from * META + META), i * META);
      times[i] = this.#times[from];
    }
    const extras = this.#extras;
    if (extras !== null) {
      this.#extras = Array.from(times, (_, i) => extras[(this.#first + i) % old] ?? null);
      this.#extras.fill(null, this.#count);
    }
    this.#meta = meta;
    this.#times = times;
    this.#first = 0;
  }
}

/** Whether four numbers are this address. */
const isAt = (m: Int32Array, at: number, addr: IpAddr): boolean =>
  m[at] === addr.w0 && m[at + 1] === addr.w1 && m[at + 2] === addr.w2 && m[at + 3] === addr.w3;

const extraBytes = ({ extensions }: DatagramExtra): number =>
  OVERHEAD_BYTES + (extensions === null ? 0 : extensions.bytes.length);
