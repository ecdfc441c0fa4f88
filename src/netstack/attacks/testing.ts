// The arena of the attack tests: a victim stack and an honest peer on one wire in virtual time, and everything the
// victim sends. Attackers come with addresses that nobody answers for, and frames of testing-frames.ts. Not part of
// the product.

import { ManualClock, MS } from "../../base/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import { NetErr } from "../net-error.ts";
import type { Ipv6Config } from "../stack/ipv6-interface.ts";
import type { LinkEndpoint, LinkSink } from "../stack/link-endpoint.ts";
import type { Nic } from "../stack/nic.ts";
import { PacketBuffer } from "../stack/packet-buffer.ts";
import { copyPacket } from "../stack/packet-pool.ts";
import { Stack } from "../stack/stack.ts";
import { MAC_PEER, MAC_VICTIM, PEER, PEER6, PORT, VICTIM, VICTIM6 } from "./testing-frames.ts";

/** Fills the memory behind every injected frame. */
export const STALE = 0xee;

class ArenaLink implements LinkEndpoint {
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly checksumOffload = false;
  readonly gsoBytesMax = 0;
  readonly inbound: PacketBuffer[] = [];
  peer: ArenaLink | null = null;
  onSend: (frame: Uint8Array) => void = () => {};
  /** False: what is sent goes nowhere. */
  isJoined = true;
  #sink: LinkSink | null = null;

  constructor(mac: readonly number[], mtu: number) {
    this.mac = Uint8Array.from(mac);
    this.mtu = mtu;
  }
  attach(sink: LinkSink): void {
    this.#sink = sink;
  }
  send(pkt: PacketBuffer): boolean {
    const copy = new PacketBuffer(pkt.length + 256);
    copyPacket(copy, pkt);
    this.onSend(copy.bytes.slice(copy.start, copy.end));
    if (this.isJoined) this.peer?.inbound.push(copy);
    return true;
  }
  deliver(pkt: PacketBuffer): void {
    this.#sink?.deliver(pkt);
  }
  pump(): number {
    const due = this.inbound.splice(0);
    for (const pkt of due) this.deliver(pkt);
    return due.length;
  }
  close(): void {}
}

export interface ArenaOptions {
  limits?: Partial<Limits>;
  ipv6?: Ipv6Config;
  mtu?: number;
  seed?: number;
  promiscuous?: boolean;
}

export class Arena {
  readonly clock = new ManualClock();
  readonly victim: Stack;
  readonly peer: Stack;
  readonly nic: Nic;
  readonly link: ArenaLink;
  readonly peerLink: ArenaLink;
  readonly limits: Limits;
  /** Frames the victim sent since take(). */
  sent: Uint8Array[] = [];
  sentBytes = 0;
  isRecording = true;
  readonly #pkt = new PacketBuffer();
  readonly #before: Record<string, number>;

  constructor(options: ArenaOptions = {}) {
    this.clock.advanceNs(1_000 * MS);
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    const mtu = options.mtu ?? 1500;
    this.link = new ArenaLink(MAC_VICTIM, mtu);
    this.peerLink = new ArenaLink(MAC_PEER, mtu);
    this.link.peer = this.peerLink;
    this.peerLink.peer = this.link;
    this.link.onSend = (frame) => {
      this.sentBytes += frame.length;
      if (this.isRecording) this.sent.push(frame);
    };
    const { clock, limits } = this;
    this.victim = new Stack({ clock, rng: new SeededRng(options.seed ?? 1), limits });
    this.peer = new Stack({ clock, rng: new SeededRng(2), limits: DEFAULT_LIMITS });
    const still: Ipv6Config = { mode: "static", duplicateAddressDetection: false };
    this.nic = this.victim.attach(this.link, {
      name: "eth0",
      addresses: [
        { addr: VICTIM, prefixBits: 8 },
        { addr: VICTIM6, prefixBits: 64 },
      ],
      ipv6: options.ipv6 ?? still,
      promiscuous: options.promiscuous,
    });
    this.peer.attach(this.peerLink, {
      name: "eth0",
      addresses: [
        { addr: PEER, prefixBits: 8 },
        { addr: PEER6, prefixBits: 64 },
      ],
      ipv6: still,
    });
    // The reports of the groups that both joined are over.
    this.run(3_000 * MS);
    this.take();
    this.sentBytes = 0;
    this.#before = { ...this.victim.counters };
  }

  /** A frame as if somebody on the link had sent it. */
  inject(frame: Uint8Array): void {
    const pkt = this.#pkt;
    pkt.reset();
    pkt.bytes.set(frame, pkt.start);
    pkt.end = pkt.start + frame.length;
    // What lies behind the frame is nobody's: an answer that has it in it was read past the end.
    pkt.bytes.fill(STALE, pkt.end, pkt.end + 2_048);
    pkt.timeNs = this.clock.monotonicNs();
    this.link.deliver(pkt);
  }

  take(): Uint8Array[] {
    const frames = this.sent;
    this.sent = [];
    return frames;
  }

  run(forNs = 0): void {
    const until = this.clock.monotonicNs() + forNs;
    for (;;) {
      while (this.link.pump() + this.peerLink.pump() > 0);
      const next = Math.min(this.victim.nextDeadlineNs(), this.peer.nextDeadlineNs());
      if (next > until) break;
      this.clock.advanceToNs(next);
      this.victim.runTimers(this.clock.monotonicNs());
      this.peer.runTimers(this.clock.monotonicNs());
    }
    this.clock.advanceToNs(until);
    while (this.link.pump() + this.peerLink.pump() > 0);
  }

  /** Packets dropped since the beginning, with their reasons. */
  drops(): Record<string, number> {
    const reasons: Record<string, number> = {};
    for (const [name, n] of Object.entries(this.victim.counters)) {
      const dropped = n - this.#before[name];
      if (name.startsWith("drop") && dropped > 0) reasons[name] = dropped;
    }
    return reasons;
  }

  tcp(stack: Stack, family: 4 | 6 = 4): TcpEndpoint {
    const endpoint = stack.endpoints.tcp(family);
    if (typeof endpoint === "number") throw new Error("no endpoint");
    return endpoint;
  }

  listen(port = PORT, backlog = 128): TcpEndpoint {
    const listener = this.tcp(this.victim);
    const error = listener.bind(VICTIM, port) || listener.listen(backlog);
    if (error !== 0) throw new Error(`listen: ${error}`);
    return listener;
  }

  /** An honest connection of the peer's to the listener. */
  connect(listener: TcpEndpoint, port = PORT): Honest {
    const client = this.tcp(this.peer);
    if (client.connect(VICTIM, port) !== NetErr.InProgress) throw new Error("no connect");
    this.run(50 * MS);
    const server = listener.accept();
    if (server === null) throw new Error("no connection");
    return new Honest(this, client, server);
  }
}

/** Of an honest stream. */
const byteAt = (i: number): number => (i * 31 + (i >>> 8)) & 255;

class Direction {
  readonly from: TcpEndpoint;
  readonly to: TcpEndpoint;
  written = 0;
  read = 0;
  constructor(from: TcpEndpoint, to: TcpEndpoint) {
    this.from = from;
    this.to = to;
  }
}

/** A connection that must live on whatever others do. */
export class Honest {
  readonly arena: Arena;
  readonly client: TcpEndpoint;
  readonly server: TcpEndpoint;
  readonly #up: Direction;
  readonly #down: Direction;

  constructor(arena: Arena, client: TcpEndpoint, server: TcpEndpoint) {
    this.arena = arena;
    this.client = client;
    this.server = server;
    this.#up = new Direction(client, server);
    this.#down = new Direction(server, client);
  }

  /** The victim writes; nobody reads yet. */
  write(bytes: number): void {
    this.#write(this.#down, bytes);
  }
  /** Bytes that arrive as they were sent, both ways; an error when not all do. */
  livesOn(bytes = 40_000): void {
    this.#pass(this.#up, bytes);
    this.#pass(this.#down, bytes);
  }

  #write(d: Direction, bytes: number): number {
    const data = new Uint8Array(bytes).map((_, i) => byteAt(d.written + i));
    const n = d.from.write(data, 0, bytes, 0);
    if (n > 0) d.written += n;
    return n;
  }

  #pass(d: Direction, bytes: number): void {
    const end = d.written + bytes;
    const buffer = new Uint8Array(65_536);
    for (let round = 0; round < 3_000 && d.read < end; round++) {
      if (d.written < end) this.#write(d, end - d.written);
      this.arena.run((round < 500 ? 1 : 100) * MS);
      const n = d.to.read(buffer, 0, buffer.length, false);
      for (let i = 0; i < n; i++) {
        if (buffer[i] !== byteAt(d.read + i)) throw new Error(`byte ${d.read + i} is wrong`);
      }
      if (n > 0) d.read += n;
    }
    if (d.read < end) throw new Error(`only ${d.read} of ${end} bytes arrived`);
  }
}
