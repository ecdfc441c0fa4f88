// A stack of ours alone with a played peer, in virtual time: one link, one address each, and the loop that lets
// both do what is due until nothing more is to come.

import { ManualClock, SECOND } from "../../base/clock.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import { TimerQueue } from "../../base/timers.ts";
import { DIRECTION_IN, DIRECTION_OUT, type PcapWriter, Segmenter } from "../../link/index.ts";
import {
  copyPacket,
  type Family,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  IPV4,
  IpAddr,
  type LinkEndpoint,
  type LinkSink,
  PacketBuffer,
  Stack,
} from "../../netstack/index.ts";
import { ETHERNET_BYTES, type IpHead } from "../drill/frame.ts";
import type { Cut } from "./fragments.ts";
import { type IpPacket, IpReader } from "./ip-packet.ts";
import { playFrames } from "./play-frames.ts";

export interface BenchConfig {
  family: Family;
  mtu: number;
  seed: number;
  /** The link cuts large packets, as a card does; else the stack makes single segments. */
  isCard?: boolean;
  /** What our stack sent; called inside its run: nothing may be sent from there. */
  onPacket: (packet: IpPacket, nowNs: number) => void;
  pcap?: PcapWriter;
}

/** Who takes part besides the stack. */
export interface Actor {
  /** Does what is due; true when something was. */
  step(nowNs: number): boolean;
  /** When it wants to be asked again; what lies in the past says nothing. */
  nextNs(): number;
}

/** The stack's clock does not begin at 0: times of 0 mean "never" in places. */
export const BENCH_START_NS = 1000 * SECOND;
/** With only the stack's own timers left, for this long at most. */
const SILENCE_NS = 150 * SECOND;
const ROUNDS_MAX = 1e8;
const GSO_BYTES = 65_535;
const NEVER = Number.POSITIVE_INFINITY;

export class StackBench implements LinkEndpoint {
  readonly clock = new ManualClock();
  readonly timers = new TimerQueue();
  readonly stack: Stack;
  readonly local: IpAddr;
  readonly remote: IpAddr;
  readonly mtu: number;
  readonly mac = Uint8Array.of(2, 0x6e, 0x63, 0, 0, 1);
  readonly checksumOffload: boolean;
  readonly gsoBytesMax: number;
  readonly #peerMac = Uint8Array.of(2, 0x6e, 0x63, 0, 0, 2);
  readonly #reader = new IpReader();
  readonly #whole = new PacketBuffer();
  readonly #segmenter = new Segmenter();
  readonly #inbound = new PacketBuffer(400_000);
  readonly #c: BenchConfig;
  #sink: LinkSink | null = null;
  #id = 1;

  constructor(config: BenchConfig) {
    this.#c = config;
    this.mtu = config.mtu;
    this.checksumOffload = config.isCard === true;
    this.gsoBytesMax = config.isCard === true ? GSO_BYTES : 0;
    this.clock.advanceNs(BENCH_START_NS);
    [this.local, this.remote] = benchAddresses(config.family);
    this.stack = new Stack({
      clock: this.clock,
      timers: this.timers,
      rng: new SeededRng(config.seed),
      limits: DEFAULT_LIMITS,
    });
    const isV4 = config.family === IPV4;
    const nic = this.stack.attach(this, {
      name: "eth0",
      addresses: [{ addr: this.local, prefixBits: isV4 ? 24 : 64 }],
      // Nobody else is on the link, and nothing but the conversation shall be.
      ipv6: { mode: isV4 ? "off" : "static", duplicateAddressDetection: false },
    });
    nic.neighborsOf(config.family).setPermanent(this.remote, this.#peerMac);
  }

  get nowNs(): number {
    return this.clock.monotonicNs();
  }

  // --- The link ---

  attach(sink: LinkSink): void {
    this.#sink = sink;
  }
  close(): void {}

  send(pkt: PacketBuffer): boolean {
    if (this.checksumOffload) return this.#segmenter.each(pkt, this.#take);
    if (pkt.fragBytes === null) return this.#take(pkt);
    copyPacket(this.#whole, pkt);
    return this.#take(this.#whole);
  }

  readonly #take = ({ bytes, start, end }: PacketBuffer): boolean => {
    this.#c.pcap?.write(this.clock.realtimeNs(), bytes, start, end - start, DIRECTION_OUT);
    const packet = this.#reader.readIp(bytes, start + ETHERNET_BYTES, end);
    if (typeof packet !== "string") this.#c.onPacket(packet, this.nowNs);
    return true;
  };

  /** From the peer to our stack. segmentBytes: TCP data is segments of this size that were merged; 0: it is one. */
  inject(
    ip: Omit<IpHead, "src" | "dst">,
    body: Uint8Array,
    cuts: readonly Cut[] | null,
    segmentBytes: number,
  ): void {
    const macs = { dst: this.mac, src: this.#peerMac };
    const head = { ...ip, src: this.remote, dst: this.local };
    for (const frame of playFrames(macs, head, body, cuts, this.#id)) {
      this.#c.pcap?.write(this.clock.realtimeNs(), frame, 0, frame.length, DIRECTION_IN);
      const pkt = this.#inbound;
      pkt.reset();
      pkt.bytes.set(frame, pkt.start);
      pkt.end = pkt.start + frame.length;
      pkt.timeNs = this.nowNs;
      pkt.gsoType =
        segmentBytes === 0 ? GSO_NONE : ip.protocol === 6 && head.src.isV4 ? GSO_TCPV4 : GSO_TCPV6;
      pkt.gsoSize = segmentBytes;
      this.#sink?.deliver(pkt);
    }
    this.#id++;
  }

  // --- The loop ---

  /** Until `isOver`, or until nothing more can happen. */
  run(actors: readonly Actor[], isOver: () => boolean): void {
    let lastNs = this.nowNs;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (this.#settle(actors)) lastNs = this.nowNs;
      if (isOver()) return;
      let next = NEVER;
      for (const actor of actors) {
        const at = actor.nextNs();
        if (at > this.nowNs && at < next) next = at;
      }
      if (next !== NEVER) lastNs = this.nowNs;
      next = Math.min(next, this.timers.nextDeadlineNs());
      if (next === NEVER || next > lastNs + SILENCE_NS) {
        if (next === NEVER || !this.#isAwaited(actors)) return;
      }
      this.clock.advanceToNs(next);
      this.stack.runTimers(this.nowNs);
    }
  }

  #isAwaited(actors: readonly Actor[]): boolean {
    return actors.some((actor) => {
      const at = actor.nextNs();
      return at > this.nowNs && at !== NEVER;
    });
  }

  #settle(actors: readonly Actor[]): boolean {
    let hasMoved = false;
    for (let moves = true; moves; ) {
      moves = false;
      this.stack.runPending();
      for (const actor of actors) if (actor.step(this.nowNs)) moves = true;
      hasMoved ||= moves;
    }
    return hasMoved;
  }
}

/** Ours and the peer's: those of documentation (RFC 5737, RFC 3849). */
export function benchAddresses(family: Family): [IpAddr, IpAddr] {
  if (family === IPV4) return [IpAddr.v4(192, 0, 2, 1), IpAddr.v4(192, 0, 2, 2)];
  const at = (last: number): IpAddr => {
    const addr = new IpAddr();
    addr.w0 = 0x2001_0db8;
    addr.w3 = last;
    return addr;
  };
  return [at(1), at(2)];
}
