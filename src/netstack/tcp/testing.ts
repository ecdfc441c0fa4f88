// The vocabulary of the TCP tests: a fake network layer whose segments the test sees and makes
// (established(), inject, take, advanceMs), in virtual time. Two protocols on one wire: testing-pair.ts.
// Not part of the product.

import { i32, u16 } from "../../base/bytes.ts";
import { ManualClock } from "../../base/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../../base/limits.ts";
import type { Macs } from "../../base/macs.ts";
import { SeededRng } from "../../base/rng.ts";
import { seqDiff } from "../../base/seqnum.ts";
import { TimerQueue } from "../../base/timers.ts";
import { IPV4, IpAddr } from "../ip-addr.ts";
import type { NetError } from "../net-error.ts";
import { PacketBuffer } from "../stack/packet-buffer.ts";
import type { HeaderOptions, NetworkLayer, Route } from "../stack/transport.ts";
import { pseudoSum, sum16 } from "../wire/checksum.ts";
import {
  ACK,
  AE,
  CWR,
  checkTcp,
  ECE,
  encodeTcp,
  FIN,
  PSH,
  RST,
  SYN,
  TCP_PROTOCOL,
  tcpFlags,
  tcpHeaderBytes,
  URG,
} from "../wire/tcp.ts";
import { parseTcpOptions, TcpOptions, writeTimestamps } from "../wire/tcp-options.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Tcb } from "./tcb.ts";
import { TcpProtocol } from "./tcp.ts";

const MS = 1_000_000;

/** A segment as tests write and read it. Sequence numbers are relative to the initial ones. */
export interface Seg {
  flags: string;
  seq: number;
  ack: number;
  wnd: number;
  data: string;
  mss: number;
  wscale: number;
  sackOk: boolean;
  ts: readonly [number, number] | null;
  sack: readonly (readonly [number, number])[];
  urg: number;
}

const FLAGS: readonly (readonly [string, number])[] = [
  ["F", FIN],
  ["S", SYN],
  ["R", RST],
  ["P", PSH],
  [".", ACK],
  ["U", URG],
  ["E", ECE],
  ["W", CWR],
  ["A", AE],
];

export const seg = (s: Partial<Seg>): Partial<Seg> => s;

export class FakeRoute implements Route {
  nicId = 1;
  readonly src = new IpAddr();
  readonly dst = new IpAddr();
  family: 4 | 6 = IPV4;
  mtu = 1500;
  isLoopback = false;
  isBroadcast = false;
  checksumOffload = false;
  gsoBytesMax = 0;
  isValid = true;
  advmss = 0;
  headerOptions: HeaderOptions | null = null;
  optionBytes = 0;
}

export class FakeNetwork implements NetworkLayer {
  readonly local: IpAddr;
  /** Template for routes. */
  readonly route = new FakeRoute();
  onSend: (pkt: PacketBuffer, route: Route) => void = () => {};
  findError: NetError | 0 = 0;
  readonly #pool: PacketBuffer[] = [];

  constructor(local: IpAddr) {
    this.local = local;
  }
  readonly asksFlow = false;
  findRoute(src: IpAddr | null, dst: IpAddr): Route | NetError {
    if (this.findError !== 0) return this.findError;
    const r = this.route;
    const route = new FakeRoute();
    Object.assign(route, { ...r, src: undefined, dst: undefined });
    Object.defineProperty(route, "src", { value: (src ?? this.local).clone() });
    Object.defineProperty(route, "dst", { value: dst.clone() });
    return route;
  }
  findOptionRoute(
    options: HeaderOptions | null,
    src: IpAddr | null,
    dst: IpAddr,
  ): Route | NetError {
    const route = this.findRoute(src, dst);
    if (typeof route === "number" || options === null) return route;
    return Object.assign(route, { headerOptions: options, optionBytes: options.length });
  }
  findReplyRoute(pkt: PacketBuffer): Route | NetError {
    return this.findRoute(pkt.dst, pkt.src);
  }
  findConnectRoute(src: IpAddr | null, dst: IpAddr): Route | NetError {
    return this.findRoute(src, dst);
  }
  isLocalAddress(addr: IpAddr): boolean {
    return addr.equals(this.local);
  }
  allocPacket(): PacketBuffer {
    const pkt = this.#pool.pop() ?? new PacketBuffer();
    pkt.reset();
    return pkt;
  }
  freePacket(pkt: PacketBuffer): void {
    pkt.fragBytes = null;
    this.#pool.push(pkt);
  }
  linkDrops = 0;
  sendPacket(route: Route, pkt: PacketBuffer): NetError | 0 {
    pkt.src.set(route.src);
    pkt.dst.set(route.dst);
    this.onSend(pkt, route);
    this.freePacket(pkt);
    return 0;
  }
  /** When packets were to leave; they do so at once. */
  readonly departuresNs: number[] = [];
  sendPacketAt(route: Route, pkt: PacketBuffer, _dontFragment: boolean, ns: number): NetError | 0 {
    this.departuresNs.push(ns);
    return this.sendPacket(route, pkt);
  }
  confirmReachable(): void {}
  sendPortUnreachable(): void {}
}

/** Whole transport bytes of a packet, frag gathered. */
export function segmentBytes(pkt: PacketBuffer): Uint8Array {
  const head = pkt.bytes.slice(pkt.start, pkt.end);
  const out = new Uint8Array(head.length + pkt.fragLength);
  out.set(head);
  if (pkt.fragBytes !== null) {
    out.set(pkt.fragBytes.subarray(pkt.fragOffset, pkt.fragOffset + pkt.fragLength), head.length);
  }
  return out;
}

export const text = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));
export const untext = (b: Uint8Array): string => String.fromCharCode(...b);

export const LOCAL = IpAddr.v4(10, 0, 0, 1);
export const REMOTE = IpAddr.v4(10, 0, 0, 2);
export const PEER_ISS = 1_000_000;

export interface HarnessOptions {
  limits?: Partial<Limits>;
  mtu?: number;
  gsoBytesMax?: number;
  seed?: number;
  macs?: Macs;
}

/** One protocol against a scripted peer. */
export class Harness {
  readonly clock = new ManualClock();
  readonly timers = new TimerQueue();
  readonly network = new FakeNetwork(LOCAL);
  readonly tcp: TcpProtocol;
  readonly sent: Seg[] = [];
  localPort = 0;
  peerPort = 4000;
  /** Our ISS as seen on the wire; learned from our SYN. */
  iss = 0;
  ep!: Endpoint;
  /** Adds a timestamps option with these values to every injected segment. */
  tsVal: number | null = null;
  #options = new TcpOptions();

  constructor(options: HarnessOptions = {}) {
    this.network.route.mtu = options.mtu ?? 1500;
    this.network.route.gsoBytesMax = options.gsoBytesMax ?? 0;
    this.clock.advanceNs(1_000 * MS);
    this.tcp = new TcpProtocol(this.network, {
      clock: this.clock,
      timers: this.timers,
      rng: new SeededRng(options.seed ?? 1),
      macs: options.macs,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
    });
    // Each segment is one packet and one record, which is what tests of segments want.
    this.tcp.settings.softwareGso = 0;
    this.network.onSend = (pkt) => this.#record(pkt);
  }

  get tcb(): Tcb {
    return this.ep.tcb as Tcb;
  }
  get state(): number {
    return this.ep.tcb === null ? 7 : this.ep.tcb.state;
  }

  #record(pkt: PacketBuffer): void {
    const b = segmentBytes(pkt);
    if (!checkTcp(b, 0, b.length)) throw new Error("sent a broken header");
    if (!pkt.checksumPartial) {
      const seed = pseudoSum(pkt.src, pkt.dst, TCP_PROTOCOL, b.length);
      if (sum16(b, 0, b.length, seed) !== 0xffff) throw new Error("sent a wrong checksum");
    }
    const flags = tcpFlags(b, 0);
    if ((flags & SYN) !== 0) {
      this.iss = i32(b, 4);
      this.localPort = u16(b, 0);
    }
    const o = this.#options;
    parseTcpOptions(o, b, 0, (flags & SYN) !== 0);
    const sack: [number, number][] = [];
    for (let i = 0; i < o.sackCount; i++) {
      sack.push([seqDiff(o.sackStart[i], PEER_ISS), seqDiff(o.sackEnd[i], PEER_ISS)]);
    }
    this.sent.push({
      flags: FLAGS.filter(([, bit]) => flags & bit)
        .map(([c]) => c)
        .join(""),
      seq: seqDiff(i32(b, 4), this.iss),
      ack: (flags & ACK) === 0 ? 0 : seqDiff(i32(b, 8), PEER_ISS),
      wnd: u16(b, 14),
      data: untext(b.subarray(tcpHeaderBytes(b, 0))),
      mss: o.mss,
      wscale: (flags & SYN) !== 0 ? o.windowScale : -1,
      sackOk: (flags & SYN) !== 0 && o.sackPermitted,
      ts: o.hasTimestamps ? [o.tsVal, o.tsEcr] : null,
      sack,
      urg: u16(b, 18),
    });
  }

  /** A segment from the peer. seq and ack are relative to the two initial sequence numbers. */
  inject(s: Partial<Seg>): void {
    const pkt = this.network.allocPacket();
    const b = pkt.bytes;
    const off = pkt.start;
    let flags = 0;
    for (const [c, bit] of FLAGS) if ((s.flags ?? ".").includes(c)) flags |= bit;
    let at = off + 20;
    const put = (...bytes: number[]): void => {
      for (const x of bytes) b[at++] = x;
    };
    if (s.mss !== undefined && s.mss > 0) put(2, 4, s.mss >> 8, s.mss & 255);
    if (s.sackOk) put(1, 1, 4, 2);
    if (s.wscale !== undefined && s.wscale >= 0) put(1, 3, 3, s.wscale);
    const ts = s.ts ?? (this.tsVal === null ? null : ([this.tsVal, 0] as const));
    if (ts !== null) at += writeTimestamps(b, at, ts[0], ts[1]);
    if (s.sack !== undefined && s.sack.length > 0) {
      put(1, 1, 5, 2 + 8 * s.sack.length);
      for (const [from, to] of s.sack) {
        for (const edge of [this.iss + from, this.iss + to]) {
          put((edge >> 24) & 255, (edge >> 16) & 255, (edge >> 8) & 255, edge & 255);
        }
      }
    }
    const ports = (this.peerPort << 16) | this.localPort;
    const seq = (PEER_ISS + (s.seq ?? 0)) | 0;
    const ack = (flags & ACK) === 0 ? 0 : (this.iss + (s.ack ?? 0)) | 0;
    encodeTcp(b, off, ports, seq, ack, at - off, flags, s.wnd ?? 65_535, s.urg ?? 0);
    const data = text(s.data ?? "");
    b.set(data, at);
    pkt.end = at + data.length;
    pkt.l4 = off;
    pkt.src.set(REMOTE);
    pkt.dst.set(LOCAL);
    pkt.checksumValid = true;
    this.tcp.onPacket(pkt);
    this.network.freePacket(pkt);
  }

  /** Takes what was sent since the last look. */
  take(): Seg[] {
    return this.sent.splice(0);
  }

  advanceMs(ms: number): void {
    const end = this.clock.monotonicNs() + ms * MS;
    for (;;) {
      const next = this.timers.nextDeadlineNs();
      if (next > end) break;
      this.clock.advanceToNs(next);
      this.timers.runDue(this.clock.monotonicNs());
    }
    this.clock.advanceToNs(end);
  }

  write(s: string, flags = 0): number {
    const b = text(s);
    return this.ep.write(b, 0, b.length, flags);
  }
  read(length = 100_000): string | number {
    const b = new Uint8Array(length);
    const n = this.ep.read(b, 0, length, false);
    return n < 0 ? n : untext(b.subarray(0, n));
  }
}

export interface OpenOptions extends HarnessOptions {
  /** Options of the peer's SYN-ACK. */
  syn?: Partial<Seg>;
  setup?: (ep: Endpoint) => void;
  /** Time between our SYN and the SYN-ACK; 0 unless given. */
  rttMs?: number;
}

/** Actively opened: next segments are seq 1 on both sides. */
export function established(options: OpenOptions = {}): Harness {
  const h = new Harness(options);
  h.ep = h.tcp.newEndpoint(IPV4) as Endpoint;
  options.setup?.(h.ep);
  h.ep.connect(REMOTE, h.peerPort);
  h.take();
  h.advanceMs(options.rttMs ?? 0);
  h.inject({ flags: "S.", seq: 0, ack: 1, mss: 1460, wnd: 65_535, ...options.syn });
  h.take();
  return h;
}

/** A listener; a handshake is done with handshake(). */
export function listening(backlog = 16, options: HarnessOptions = {}): Harness {
  const h = new Harness(options);
  h.ep = h.tcp.newEndpoint(IPV4) as Endpoint;
  h.localPort = 80;
  const error = h.ep.bind(LOCAL, 80) || h.ep.listen(backlog);
  if (error !== 0) throw new Error(`listen: ${error}`);
  return h;
}

export function handshake(h: Harness, port: number): void {
  h.peerPort = port;
  h.inject({ flags: "S", seq: 0, mss: 1460 });
  h.take();
  h.inject({ flags: ".", seq: 1, ack: 1 });
}
