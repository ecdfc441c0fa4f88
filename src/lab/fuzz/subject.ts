// The stack under test: one stack with one interface in virtual time, everything it sends, and a small application
// on it. Frames go in as from a wire, time passes when told. Limits are small, so that campaigns reach them. Not
// the judge: what it may and may not do stands in the laws.

import { ManualClock, SECOND } from "../../base/clock.ts";
import { DEFAULT_LIMITS, KiB, type Limits } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import {
  type LinkEndpoint,
  type LinkSink,
  type Nic,
  PacketBuffer,
  Stack,
} from "../../netstack/index.ts";
import { DEFAULT_PLACE, type Place } from "../arbitraries/place.ts";

/** Fills the memory behind every injected frame: an answer that has it in it was read past the end. */
export const STALE = 0xee;
const STALE_BYTES = 2_048;
/** More timers than this in one second of virtual time is a loop that time does not end. */
const TIMERS_PER_SECOND_MAX = 20_000;
const MTU = 1_500;

export const SMALL_LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  sockets: 64,
  connections: 24,
  halfOpenConnections: 2,
  timeWaitConnections: 1,
  socketBufferBytesMax: 64 * KiB,
  socketMemoryBytes: 512 * KiB,
  reassemblyBytes: 4 * KiB,
  neighborEntries: 6,
  neighborQueuePackets: 4,
  icmpErrorsPerSecond: 200,
};

export class SubjectLink implements LinkEndpoint {
  readonly mtu = MTU;
  readonly mac: Uint8Array;
  readonly checksumOffload = false;
  readonly gsoBytesMax = 0;
  /** Bytes are valid during the call only. */
  onSend: (bytes: Uint8Array, length: number) => void = () => {};
  readonly #bytes = new Uint8Array(MTU + 64);
  #sink: LinkSink | null = null;

  constructor(mac: readonly number[]) {
    this.mac = Uint8Array.from(mac);
  }
  attach(sink: LinkSink): void {
    this.#sink = sink;
  }
  send(pkt: PacketBuffer): boolean {
    const { length } = pkt;
    if (length > this.#bytes.length) throw new Error(`a frame of ${length} bytes leaves`);
    this.#bytes.set(pkt.bytes.subarray(pkt.start, pkt.end));
    if (pkt.fragBytes !== null) {
      const { fragOffset, fragLength } = pkt;
      const data = pkt.fragBytes.subarray(fragOffset, fragOffset + fragLength);
      this.#bytes.set(data, pkt.end - pkt.start);
    }
    this.onSend(this.#bytes, length);
    return true;
  }
  deliver(pkt: PacketBuffer): void {
    this.#sink?.deliver(pkt);
  }
  close(): void {}
}

export interface SubjectConfig {
  seed: number;
  limits?: Limits;
  place?: Place;
  /** Puts something between the stack and the wire: planted faults do. */
  wrap?: (link: SubjectLink) => LinkEndpoint;
}

/** Of all subjects: it holds a frame only while the frame is delivered. */
const shared = new PacketBuffer();

/** Time has come to a loop: timers fire without end. */
export class VirtualHang extends Error {}

export class Subject {
  readonly clock = new ManualClock();
  readonly link: SubjectLink;
  readonly stack: Stack;
  readonly nic: Nic;
  readonly place: Place;
  /** What it was told; what it does with it is another matter. */
  readonly limits: Limits;
  /** Timers fired since the beginning. */
  events = 0;

  constructor(config: SubjectConfig) {
    const place = config.place ?? DEFAULT_PLACE;
    this.place = place;
    this.limits = config.limits ?? SMALL_LIMITS;
    this.clock.advanceNs(SECOND);
    this.link = new SubjectLink(place.subject.mac);
    this.stack = new Stack({
      clock: this.clock,
      rng: new SeededRng(config.seed),
      limits: { ...this.limits },
    });
    const wire = config.wrap === undefined ? this.link : config.wrap(this.link);
    this.nic = this.stack.attach(wire, {
      name: "eth0",
      addresses: [
        { addr: place.subject.ip4, prefixBits: 8 },
        { addr: place.subject.ip6, prefixBits: 64 },
      ],
      ipv6: { mode: "static", duplicateAddressDetection: false },
    });
    // The reports of the groups that it joined are over.
    this.advance(3 * SECOND);
  }

  get nowNs(): number {
    return this.clock.monotonicNs();
  }

  /** A frame as if somebody on the wire had sent it. */
  inject(frame: Uint8Array, stale = STALE): void {
    const pkt = shared;
    pkt.reset();
    pkt.bytes.set(frame, pkt.start);
    pkt.end = pkt.start + frame.length;
    pkt.bytes.fill(stale, pkt.end, pkt.end + STALE_BYTES);
    pkt.timeNs = this.nowNs;
    this.link.deliver(pkt);
    this.stack.runPending();
  }

  /** Virtual time passes; `after` is called behind every timer. */
  advance(forNs: number, after?: () => void): void {
    const until = this.nowNs + forNs;
    const budget = this.events + TIMERS_PER_SECOND_MAX * Math.max(1, forNs / SECOND);
    for (;;) {
      const next = this.stack.nextDeadlineNs();
      if (next > until) break;
      this.clock.advanceToNs(next);
      this.stack.runTimers(this.nowNs);
      this.stack.runPending();
      this.events++;
      after?.();
      if (this.events > budget) throw new VirtualHang("timers fire without end");
    }
    this.clock.advanceToNs(until);
  }

  /** Packets dropped since the beginning, with their reasons. */
  drops(): Record<string, number> {
    const reasons: Record<string, number> = {};
    for (const [name, dropped] of Object.entries(this.stack.counters)) {
      if (/^drop/.test(name) && dropped > 0) reasons[name] = dropped;
    }
    return reasons;
  }

  /** Packets refused for what their bytes were, not for what they asked. */
  wireErrors(): number[] {
    const { counters: c, tcp } = this.stack;
    return [
      ...[c.dropFrameShort, c.dropIpHeader, c.dropIpOptions, c.dropUdpBad, c.dropUdpChecksum],
      ...[c.dropIcmpBad, c.dropArpBad, c.dropFragmentBad, c.icmp6InCsumErrors],
      ...[tcp.stats.InErrs, tcp.stats.InCsumErrors],
    ];
  }

  close(): void {
    this.stack.close();
  }
}
