// What must hold of a stack at every step, and what must be left of it at the end: counters, quotas, states, memory.

import { u16 } from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import { Counters, TCP_STATE_NAMES, TCP_TRANSITIONS } from "../../netstack/index.ts";
import { isDamaged } from "./outgoing.ts";
import type { Subject } from "./subject.ts";
import { BrokenLaw } from "./target.ts";
import type { Wire } from "./wire.ts";

/** An answer may be this much longer than the frame that asked: an ICMPv6 error's headers, or a SYN-ACK's options. */
const ANSWER_MORE_BYTES = 80;
const ANSWERS_MAX = 4;
/** Counters that say only that something came. */
const ARRIVALS = new Set([
  "ipInReceives",
  "ipInOctets",
  "ipInBcastPkts",
  "ipInMcastPkts",
  "ip6InReceives",
  "ip6InOctets",
  "ip6InMcastPkts",
  "ipInNoECTPkts",
  "ipInECT1Pkts",
  "ipInECT0Pkts",
  "ipInCEPkts",
  "ip6InNoECTPkts",
  "ip6InECT1Pkts",
  "ip6InECT0Pkts",
  "ip6InCEPkts",
]);
const TIMERS_MAX = 4_096;

const ALLOWED = new Set<number>();
for (const [from, list] of TCP_TRANSITIONS) for (const to of list) ALLOWED.add((from << 4) | to);

type Reader = (out: Float64Array, at: number, of: object) => void;

/**
 * Reads all fields of a counter object, in one function made for its fields. measured: 0.4 us for 250 counters,
 * Object.values takes 8.
 */
function readerOf(of: object): Reader {
  const body = Object.keys(of).map((name, i) => `out[at + ${i}] = of.${name};`);
  return new Function("out", "at", "of", body.join("")) as Reader;
}

const sample = new Counters();
const COUNTERS = Object.keys(sample).length;
const readCounters = readerOf(sample);
let readStats: Reader | null = null;
/** By counter, those of the stack and then TCP's: 1 where it only says that something came. */
let arrivals: Uint8Array | null = null;
const arrivalsAmong = (names: readonly string[]): Uint8Array =>
  Uint8Array.from(names, (name) => (ARRIVALS.has(name) ? 1 : 0));

export class Laws {
  readonly #subject: Subject;
  readonly #wire: Wire;
  readonly #isArrival: Uint8Array;
  /** Values of all counters now, when last looked at, before the last frame, and at the beginning. */
  readonly #now: Float64Array;
  readonly #last: Float64Array;
  readonly #mark: Float64Array;
  readonly #first: Float64Array;
  readonly #timersAtRest: number;
  readonly #seen = new Uint32Array(256);
  #injected = 0;
  readonly #rxAtStart: number;
  readonly #txAtStart: number;
  readonly #txBytesAtStart: number;
  #lastNs = 0;

  constructor(subject: Subject, wire: Wire) {
    this.#subject = subject;
    this.#wire = wire;
    const { stack, nic } = subject;
    arrivals ??= arrivalsAmong([...Object.keys(stack.counters), ...Object.keys(stack.tcp.stats)]);
    this.#isArrival = arrivals;
    this.#now = new Float64Array(arrivals.length);
    this.#read();
    this.#last = this.#now.slice();
    this.#mark = this.#now.slice();
    this.#first = this.#now.slice();
    this.#timersAtRest = stack.timers.size;
    this.#rxAtStart = nic.counters.rxPackets;
    this.#txAtStart = nic.counters.txPackets;
    this.#txBytesAtStart = nic.counters.txBytes;
  }

  #read(): Float64Array {
    const { counters, tcp } = this.#subject.stack;
    readCounters(this.#now, 0, counters);
    readStats ??= readerOf(tcp.stats);
    readStats(this.#now, COUNTERS, tcp.stats);
    return this.#now;
  }

  /** Counters that moved since the last look: each with its size, and all together as one feature. */
  look(features: number[], salt: number): void {
    const now = this.#read();
    const last = this.#last;
    let hash = salt;
    for (let i = 0; i < now.length; i++) {
      if (now[i] === last[i]) continue;
      last[i] = now[i];
      hash = (Math.imul(hash ^ i, 0x01000193) + 1) | 0;
      const total = now[i] - this.#first[i];
      features.push((i << 3) | Math.min(7, 31 - Math.clz32(total | 1)));
    }
    this.#mark.set(now);
    const { transitions } = this.#subject.stack.tcp.context;
    for (let i = 0; i < transitions.length; i++) {
      if (transitions[i] === this.#seen[i]) continue;
      this.#seen[i] = transitions[i];
      if (!ALLOWED.has(i)) {
        const name = (s: number): string => TCP_STATE_NAMES[s];
        throw new BrokenLaw("state diagram", `${name(i >> 4)} to ${name(i & 15)}`);
      }
      features.push(4_096 + i);
      hash = (Math.imul(hash ^ i, 0x01000193) + 7) | 0;
    }
    features.push(8_192 + ((hash >>> 0) % 49_152));
  }

  /** A frame went in: something must have been counted besides its arrival, and little may have come out. */
  frame(frame: Uint8Array, mayRelease: boolean): void {
    const { length } = frame;
    this.#injected++;
    const now = this.#read();
    const mark = this.#mark;
    let isCounted = false;
    for (let i = 0; i < now.length && !isCounted; i++) {
      isCounted = now[i] !== mark[i] && this.#isArrival[i] === 0;
    }
    mark.set(now);
    if (!isCounted) throw new BrokenLaw("every drop counted", "a frame vanished without a count");
    if (this.#wire.sentNow > 0 && isDamaged(frame)) {
      throw new BrokenLaw("damaged frame answered", "its checksum is wrong");
    }
    if (this.#wire.sentNow > 0 && isForGroup(frame)) {
      throw new BrokenLaw("group answered", "a segment or echo request to everybody");
    }
    if (mayRelease) return;
    const { sentNow, longestNow } = this.#wire;
    if (sentNow > ANSWERS_MAX) throw new BrokenLaw("amplification", `${sentNow} frames for one`);
    if (longestNow > Math.max(length, 60) + ANSWER_MORE_BYTES) {
      throw new BrokenLaw("amplification", `${longestNow} bytes for ${length}`);
    }
  }

  /** Nothing is above its limit. */
  quotas(features: number[]): void {
    const { stack, nic, limits } = this.#subject;
    const { tcp } = stack;
    const { context } = tcp;
    let resource = 0;
    const over = (what: string, n: number, max: number): void => {
      // How near to its limit each resource came is worth knowing: cases that come nearer are kept.
      features.push(6_000 + resource++ * 16 + Math.min(15, Math.floor((10 * n) / max)));
      if (n > max) throw new BrokenLaw("quota", `${n} ${what}, ${max} allowed`);
    };
    over("sockets", stack.endpointCount, limits.sockets);
    over("connections", context.connectionCount, limits.connections + 1);
    over("half-open connections", context.halfOpenCount, limits.halfOpenConnections);
    over("connections in TIME_WAIT", context.timeWaits.count, limits.timeWaitConnections);
    over("signing keys", context.signingKeyCount, limits.signingKeys);
    over("bytes in rings", context.rings.usedBytes, 1.25 * limits.socketMemoryBytes);
    over("bytes in datagram queues", stack.socketMemoryBytes, limits.socketMemoryBytes);
    over("fragment bytes", stack.fragments.bytesHeld, limits.reassemblyBytes);
    over("fragment bytes of IPv6", stack.fragments6.bytesHeld, limits.reassemblyBytes);
    over("neighbours", nic.neighbors.size, limits.neighborEntries);
    over("neighbours of IPv6", nic.neighbors6.size, limits.neighborEntries);
    over("timers", stack.timers.size, TIMERS_MAX);
    over("routes", stack.routes.entries.length, 64);
    for (const [name, n] of [
      ["connections", context.connectionCount],
      ["half-open connections", context.halfOpenCount],
      ["orphans", context.orphanCount],
      ["ring bytes", context.rings.usedBytes],
      ["datagram bytes", stack.socketMemoryBytes],
      ["established", tcp.stats.CurrEstab],
    ] as const) {
      if (n < 0) throw new BrokenLaw("negative count", `${n} ${name}`);
    }
    const { nowNs } = this.#subject;
    if (nowNs < this.#lastNs) throw new BrokenLaw("time", "goes back");
    this.#lastNs = nowNs;
  }

  /** Interface counters say what went over the wire. */
  totals(): void {
    const { counters } = this.#subject.nic;
    const { frames, bytes } = this.#wire;
    const same = (what: string, n: number, wanted: number): void => {
      if (n !== wanted) throw new BrokenLaw("interface counters", `${what}: ${n} of ${wanted}`);
    };
    same("received", counters.rxPackets - this.#rxAtStart, this.#injected);
    same("sent", counters.txPackets - this.#txAtStart, frames);
    same("bytes sent", counters.txBytes - this.#txBytesAtStart, bytes);
  }

  /** All sockets are closed: after a while nothing is left, not even a timer. */
  rest(): void {
    const { stack, nic } = this.#subject;
    const { context } = stack.tcp;
    const isAtRest = (): boolean =>
      context.demux.count === 0 &&
      context.timeWaits.count === 0 &&
      stack.fragments.bytesHeld + stack.fragments6.bytesHeld === 0;
    for (let i = 0; i < 60 && !isAtRest(); i++) this.#subject.advance(60 * SECOND);
    const left = {
      connections: context.demux.count,
      "ring bytes": context.rings.usedBytes,
      orphans: context.orphanCount,
      established: context.connectionCount,
      "half-open": context.halfOpenCount,
      TIME_WAIT: context.timeWaits.count,
      sockets: stack.endpointCount,
      "datagram bytes": stack.socketMemoryBytes,
      "fragment bytes": stack.fragments.bytesHeld + stack.fragments6.bytesHeld,
      "listed as established": stack.tcp.stats.CurrEstab,
    };
    for (const [what, n] of Object.entries(left)) {
      if (n !== 0) throw new BrokenLaw("left behind", `${n} ${what} after everything was closed`);
    }
    const neighbors = nic.neighbors.size + nic.neighbors6.size;
    const timers = stack.timers.size - this.#timersAtRest - neighbors;
    if (timers > 8) throw new BrokenLaw("left behind", `${timers} timers of nobody`);
  }
}

/** TCP segments and ICMP echo requests over IPv4 to all on the link or a group of them (RFC 1122 3.2.2.6, 4.2.3.10). */
function isForGroup(f: Uint8Array): boolean {
  if (f.length < 35 || (f[0] & 1) === 0 || u16(f, 12) !== 0x0800 || (u16(f, 20) & 0x3fff) !== 0)
    return false;
  const header = (f[14] & 15) << 2;
  return header === 20 && (f[23] === 6 || (f[23] === 1 && f[14 + header] === 8));
}
