// One direction of a bad line. A frame passes: loss, duplication, corruption; then a queue that drains at the
// line's rate; then delay with jitter, which some frames skip. Clock, timers and randomness are injected, so
// two runs of one seed lose the same frames. Order of frames is kept but where reordering is asked for.

import { type Clock, MS } from "../../base/clock.ts";
import type { Rng } from "../../base/rng.ts";
import { Timer, type TimerQueue } from "../../base/timers.ts";
import {
  completeChecksum,
  copyPacket,
  GSO_NONE,
  HEADROOM,
  PacketBuffer,
} from "../../netstack/index.ts";
import { CoDel } from "./codel.ts";
import type { Conditions } from "./conditions.ts";

/** Frames under way at once, queue and delay together; a limit of ours, not of the line. */
const IN_FLIGHT_MAX = 100_000;
/** Frames up to an ordinary MTU get small buffers: a long line holds many. */
const SMALL_BYTES = HEADROOM + 2048;
const KEEP = 1024;
const ETH_HEADER = 14;
const SECOND_BITS = 8 * 1e9;
/** Ethernet, IPv4, TCP with timestamps. */
const HEADERS_BYTES = 14 + 20 + 32;
/** What a line that was seen to late may make up for. */
const BURST_NS = 10 * MS;

export interface ImpairmentConfig {
  clock: Clock;
  timers: TimerQueue;
  rng: Rng;
  conditions: Conditions;
  /** The far end. The packet is ours again when it returns. */
  deliver: (pkt: PacketBuffer) => void;
}

export interface ImpairmentCounters {
  sent: number;
  delivered: number;
  lost: number;
  duplicated: number;
  corrupted: number;
  reordered: number;
  droppedQueueFull: number;
  droppedCoDel: number;
  droppedDown: number;
  droppedInFlight: number;
}

interface InFlight {
  pkt: PacketBuffer;
  timer: Timer;
  queuedNs: number;
}

/** As qdisc_pkt_len_init(): a packet that will be cut up counts with the headers of all its segments. */
function lineBytes({ length, gsoType, gsoSize }: PacketBuffer): number {
  if (gsoType === GSO_NONE || gsoSize <= 0) return length;
  return length + Math.floor((length - HEADERS_BYTES) / gsoSize) * HEADERS_BYTES;
}

export class Impairment {
  readonly counters: ImpairmentCounters = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    corrupted: 0,
    reordered: 0,
    droppedQueueFull: 0,
    droppedCoDel: 0,
    droppedDown: 0,
    droppedInFlight: 0,
  };
  /** May be changed at any time; frames under way keep what they were given. */
  conditions: Conditions;
  /** A cut line: what is sent is lost, what is under way arrives. */
  isDown = false;

  readonly #clock: Clock;
  readonly #timers: TimerQueue;
  readonly #rng: Rng;
  readonly #deliver: (pkt: PacketBuffer) => void;
  readonly #codel = new CoDel();
  readonly #free: InFlight[] = [];
  /** Waiting for the rate, oldest first from #head. */
  #queue: InFlight[] = [];
  #head = 0;
  #queueBytes = 0;
  #inFlight = 0;
  /** When the frame at the head has left. */
  #doneNs = 0;
  #patternAt = 0;
  /** No frame that kept its order arrives before this. */
  #lastArrivalNs = 0;
  readonly #sendTimer: Timer;

  constructor(config: ImpairmentConfig) {
    this.#clock = config.clock;
    this.#timers = config.timers;
    this.#rng = config.rng;
    this.#deliver = config.deliver;
    this.conditions = config.conditions;
    this.#sendTimer = new Timer(() => this.#transmit());
  }

  /** Frames in the queue and on the way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Takes a copy. False only when too much is under way; a lost frame was sent as far as anyone knows. */
  send(pkt: PacketBuffer): boolean {
    const { conditions: c, counters } = this;
    counters.sent++;
    if (this.isDown) {
      counters.droppedDown++;
      return true;
    }
    if (this.#isLost(c)) {
      counters.lost++;
      return true;
    }
    if (this.#happens(c.duplicate)) {
      counters.duplicated++;
      this.#enter(pkt, c);
    }
    return this.#enter(pkt, c);
  }

  /** Forgets all that is under way. */
  close(): void {
    this.isDown = true;
    this.#timers.disarm(this.#sendTimer);
    this.#queue = [];
    this.#head = 0;
  }

  #happens(share: number): boolean {
    return share > 0 && this.#rng.u32() < share * 0x1_0000_0000;
  }

  #isLost(c: Conditions): boolean {
    if (c.pattern !== "") {
      const at = this.#patternAt++ % c.pattern.length;
      if (c.pattern.charCodeAt(at) !== DOT) return true;
    }
    return this.#happens(c.loss);
  }

  #enter(pkt: PacketBuffer, c: Conditions): boolean {
    if (this.#inFlight >= IN_FLIGHT_MAX) {
      this.counters.droppedInFlight++;
      return false;
    }
    if (c.rateBitsPerSecond > 0 && this.#queue.length - this.#head > c.queueFrames) {
      this.counters.droppedQueueFull++;
      return true;
    }
    const entry = this.#take(pkt);
    if (this.#happens(c.corrupt)) this.#corrupt(entry.pkt);
    if (c.rateBitsPerSecond === 0 && this.#head === this.#queue.length) {
      this.#travel(entry);
      return true;
    }
    entry.queuedNs = this.#clock.monotonicNs();
    this.#queue.push(entry);
    this.#queueBytes += entry.pkt.length;
    // The head of the queue is the frame that is being sent.
    if (this.#queue.length - this.#head === 1) this.#startSending(entry.queuedNs);
    return true;
  }

  /** fromNs: when the line was free for it. */
  #startSending(fromNs: number): void {
    const rate = this.conditions.rateBitsPerSecond;
    const takesNs = rate > 0 ? (lineBytes(this.#queue[this.#head].pkt) * SECOND_BITS) / rate : 0;
    this.#doneNs = fromNs + takesNs;
    this.#timers.arm(this.#sendTimer, this.#doneNs);
  }

  /** The frame at the head has left; the next one that CoDel lets pass begins. */
  #transmit(): void {
    this.#travel(this.#shift());
    const nowNs = this.#clock.monotonicNs();
    while (this.#head < this.#queue.length) {
      const next = this.#queue[this.#head];
      const isDropped =
        this.conditions.discipline === "codel" &&
        this.#codel.drops(nowNs - next.queuedNs, nowNs, this.#queueBytes);
      if (!isDropped) break;
      this.counters.droppedCoDel++;
      this.#give(this.#shift());
    }
    // The next one began when this one was due, not when a busy host came to see to it: a bucket of BURST_NS.
    if (this.#head < this.#queue.length) {
      this.#startSending(Math.max(this.#doneNs, nowNs - BURST_NS));
    }
  }

  #shift(): InFlight {
    const entry = this.#queue[this.#head++];
    this.#queueBytes -= entry.pkt.length;
    // Moving the rest down now and then keeps the array as long as the queue.
    if (this.#head > 64 && this.#head * 2 > this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return entry;
  }

  #travel(entry: InFlight): void {
    const c = this.conditions;
    const nowNs = this.#clock.monotonicNs();
    if (this.#happens(c.reorder)) {
      this.counters.reordered++;
      this.#timers.arm(entry.timer, nowNs);
      return;
    }
    const jitterNs = c.jitterNs > 0 ? this.#rng.below(c.jitterNs) : 0;
    this.#lastArrivalNs = Math.max(this.#lastArrivalNs, nowNs + c.delayNs + jitterNs);
    this.#timers.arm(entry.timer, this.#lastArrivalNs);
  }

  /** A link vouches for what it carried; a damaged frame is judged by its checksum. */
  #corrupt(pkt: PacketBuffer): void {
    const bits = (pkt.end - pkt.start - ETH_HEADER) * 8;
    if (bits <= 0) return;
    this.counters.corrupted++;
    completeChecksum(pkt);
    pkt.checksumValid = false;
    const bit = this.#rng.below(bits);
    pkt.bytes[pkt.start + ETH_HEADER + (bit >>> 3)] ^= 1 << (bit & 7);
  }

  #take(pkt: PacketBuffer): InFlight {
    const bytes = HEADROOM + pkt.length;
    let entry = this.#free.pop();
    if (entry === undefined || entry.pkt.bytes.length < bytes) entry = this.#newEntry(bytes);
    copyPacket(entry.pkt, pkt);
    // What a NIC with offload says of a frame whose checksum it finishes.
    entry.pkt.checksumValid = entry.pkt.checksumPartial;
    this.#inFlight++;
    return entry;
  }

  #newEntry(bytes: number): InFlight {
    const pkt = bytes <= SMALL_BYTES ? new PacketBuffer(SMALL_BYTES) : new PacketBuffer();
    const entry: InFlight = { pkt, queuedNs: 0, timer: new Timer(() => this.#arrive(entry)) };
    return entry;
  }

  #arrive(entry: InFlight): void {
    this.counters.delivered++;
    this.#deliver(entry.pkt);
    this.#give(entry);
  }

  #give(entry: InFlight): void {
    this.#inFlight--;
    if (this.#free.length < KEEP) this.#free.push(entry);
  }
}

const DOT = ".".charCodeAt(0);
