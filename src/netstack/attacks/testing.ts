// The arena of the attack tests: a victim stack and an honest peer on one wire in virtual time, frames made
// by hand with right checksums unless a test wants them wrong, and everything the victim sends. Attackers
// come with addresses that nobody answers for. Not part of the product.

import { setU16, setU32 } from "../../base/bytes.ts";
import { ManualClock, MS } from "../../base/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import { IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { parseIp } from "../parse-ip.ts";
import type { Ipv6Config } from "../stack/ipv6-interface.ts";
import type { LinkEndpoint, LinkSink } from "../stack/link-endpoint.ts";
import type { Nic } from "../stack/nic.ts";
import { PacketBuffer } from "../stack/packet-buffer.ts";
import { copyPacket } from "../stack/packet-pool.ts";
import { Stack } from "../stack/stack.ts";
import { pseudoSum, sum16 } from "../wire/checksum.ts";

export const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
export const VICTIM = ip("10.0.0.1");
export const PEER = ip("10.0.0.2");
export const VICTIM6 = ip("2001:db8::a");
export const PEER6 = ip("2001:db8::b");
export const PORT = 80;
export const MAC_VICTIM = [2, 0, 0, 0, 0, 1];
export const MAC_PEER = [2, 0, 0, 0, 0, 2];
export const MAC_ATTACKER = [2, 0, 0, 0, 0, 0x66];
/** Fills the memory behind every injected frame. */
export const STALE = 0xee;
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;

/** The n-th address that an attacker pretends to have. */
export const stranger = (n: number): IpAddr => IpAddr.v4(10, 7, (n >> 8) & 255, n & 255);
export function stranger6(n: number): IpAddr {
  const addr = ip("2001:db8::7:0:0");
  addr.w3 = n;
  return addr;
}

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

export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  new SeededRng(length).fill(bytes, 0, length);
  return bytes;
}

const bytesOf = (addr: IpAddr): number[] => {
  const b = new Uint8Array(16);
  addr.write(b, 0, addr.isV4 ? 4 : 6);
  return [...b.subarray(0, addr.isV4 ? 4 : 16)];
};

export { bytesOf };

export interface Ip4Options {
  src?: IpAddr;
  dst?: IpAddr;
  protocol?: number;
  id?: number;
  /** Offset in bytes. */
  offset?: number;
  more?: boolean;
  dontFragment?: boolean;
  ttl?: number;
  /** IP options, a multiple of four bytes. */
  options?: readonly number[];
  mac?: readonly number[];
  /** Lies about the lengths. */
  totalLength?: number;
  headerBytes?: number;
}

/** An Ethernet frame to the victim with an IPv4 packet whose header checksum is right. */
export function ip4(payload: Uint8Array | readonly number[], o: Ip4Options = {}): Uint8Array {
  const options = o.options ?? [];
  const header = 20 + options.length;
  const f = new Uint8Array(14 + header + payload.length);
  f.set([...(o.mac ?? MAC_VICTIM), ...MAC_ATTACKER, 8, 0]);
  const frag = ((o.offset ?? 0) >> 3) | (o.more ? 0x2000 : 0) | (o.dontFragment ? 0x4000 : 0);
  f[14] = 0x40 | ((o.headerBytes ?? header) >> 2);
  setU16(f, 16, o.totalLength ?? header + payload.length);
  setU16(f, 18, o.id ?? 1);
  setU16(f, 20, frag);
  f.set([o.ttl ?? 64, o.protocol ?? UDP, 0, 0], 22);
  f.set(bytesOf(o.src ?? stranger(1)), 26);
  f.set(bytesOf(o.dst ?? VICTIM), 30);
  f.set(options, 34);
  const sumBytes = Math.min(o.headerBytes ?? header, f.length - 14);
  setU16(f, 24, ~sum16(f, 14, sumBytes) & 0xffff);
  f.set(payload, 14 + header);
  return f;
}

export interface Ip6Options {
  src?: IpAddr;
  dst?: IpAddr;
  next?: number;
  hopLimit?: number;
  mac?: readonly number[];
  payloadLength?: number;
}

/** An Ethernet frame with an IPv6 packet. */
export function ip6(payload: Uint8Array | readonly number[], o: Ip6Options = {}): Uint8Array {
  const dst = o.dst ?? VICTIM6;
  const group = [0x33, 0x33, ...bytesOf(dst).slice(12)];
  const f = new Uint8Array(54 + payload.length);
  f.set([...(o.mac ?? (dst.isMulticast ? group : MAC_VICTIM)), ...MAC_ATTACKER, 0x86, 0xdd]);
  f[14] = 0x60;
  setU16(f, 18, o.payloadLength ?? payload.length);
  f[20] = o.next ?? UDP;
  f[21] = o.hopLimit ?? 64;
  f.set(bytesOf(o.src ?? stranger6(1)), 22);
  f.set(bytesOf(dst), 38);
  f.set(payload, 54);
  return f;
}

/** Transport bytes with the checksum of their pseudo header at `field`. */
export function summed(
  payload: Uint8Array | readonly number[],
  field: number,
  protocol: number,
  src: IpAddr,
  dst: IpAddr,
): Uint8Array {
  const p = Uint8Array.from(payload);
  setU16(p, field, 0);
  const seed = protocol === ICMP ? 0 : pseudoSum(src, dst, protocol, p.length);
  setU16(p, field, ~sum16(p, 0, p.length, seed) & 0xffff);
  return p;
}

export interface TcpOptionsOf {
  src?: IpAddr;
  dst?: IpAddr;
  sport?: number;
  dport?: number;
  seq?: number;
  ack?: number;
  flags?: number;
  window?: number;
  urgent?: number;
  options?: readonly number[];
  data?: Uint8Array | readonly number[];
  dataOffset?: number;
  mac?: readonly number[];
}
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

export function tcpBytes(o: TcpOptionsOf = {}): Uint8Array {
  const options = o.options ?? [];
  const data = o.data ?? [];
  const p = new Uint8Array(20 + options.length + data.length);
  setU16(p, 0, o.sport ?? 1024);
  setU16(p, 2, o.dport ?? PORT);
  setU32(p, 4, o.seq ?? 0);
  setU32(p, 8, o.ack ?? 0);
  p[12] = (o.dataOffset ?? 5 + (options.length >> 2)) << 4;
  p[13] = o.flags ?? SYN;
  setU16(p, 14, o.window ?? 65_535);
  setU16(p, 18, o.urgent ?? 0);
  p.set(options, 20);
  p.set(data, 20 + options.length);
  return p;
}

/** A TCP segment of either family, by its addresses. */
export function segment(o: TcpOptionsOf = {}): Uint8Array {
  const src = o.src ?? stranger(1);
  const dst = o.dst ?? (src.isV4 ? VICTIM : VICTIM6);
  const p = summed(tcpBytes(o), 16, TCP, src, dst);
  const { mac } = o;
  return src.isV4 ? ip4(p, { src, dst, protocol: TCP, mac }) : ip6(p, { src, dst, next: TCP, mac });
}

export function datagram(
  data: Uint8Array | readonly number[],
  o: { src?: IpAddr; dst?: IpAddr; sport?: number; dport?: number; mac?: readonly number[] } = {},
): Uint8Array {
  const src = o.src ?? stranger(1);
  const dst = o.dst ?? (src.isV4 ? VICTIM : VICTIM6);
  const p = new Uint8Array(8 + data.length);
  setU16(p, 0, o.sport ?? 1024);
  setU16(p, 2, o.dport ?? 9);
  setU16(p, 4, p.length);
  p.set(data, 8);
  const body = summed(p, 6, UDP, src, dst);
  const { mac } = o;
  return src.isV4 ? ip4(body, { src, dst, mac }) : ip6(body, { src, dst, mac });
}

/** An ICMP or ICMPv6 message, by the family of its addresses. */
export function icmp(
  message: readonly number[] | Uint8Array,
  o: { src?: IpAddr; dst?: IpAddr; hopLimit?: number; mac?: readonly number[] } = {},
): Uint8Array {
  const src = o.src ?? stranger(1);
  const dst = o.dst ?? (src.isV4 ? VICTIM : VICTIM6);
  const protocol = src.isV4 ? ICMP : ICMPV6;
  const p = summed(message, 2, protocol, src, dst);
  const { mac } = o;
  return src.isV4
    ? ip4(p, { src, dst, protocol, mac })
    : ip6(p, { src, dst, next: protocol, hopLimit: o.hopLimit ?? 255, mac });
}

/** What an ICMP error quotes: the victim's packet, from its IP header on. */
export const quoted = (frame: Uint8Array, bytes = 548): number[] => [
  ...frame.subarray(14, 14 + bytes),
];

export const be16 = (n: number): number[] => [(n >> 8) & 255, n & 255];
export const be32 = (n: number): number[] => [
  (n >>> 24) & 255,
  (n >>> 16) & 255,
  (n >>> 8) & 255,
  n & 255,
];
