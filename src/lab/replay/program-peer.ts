// The world around a program in a sandbox, for replay: the other end of its link. Answers ARP for every address,
// gives every name the address of the captured server, and plays the captured peers: clients that connect to the
// program, one after the other, or servers that wait for it. Time comes in with each call.

import { setU16, setU32, u16, u32 } from "../../base/bytes.ts";
import { type Clock, MS, SECOND } from "../../base/clock.ts";
import { IpAddr, type LinkEndpoint, type LinkSink, PacketBuffer } from "../../netstack/index.ts";
import {
  ACK,
  ETHERNET_BYTES,
  ipFrame,
  PROTO_TCP,
  PROTO_UDP,
  SYN,
  udpBytes,
} from "../drill/frame.ts";
import { CLIENT, type Conversation, SERVER } from "./conversation.ts";
import { answerDns } from "./dns-answer.ts";
import { type IpPacket, IpReader } from "./ip-packet.ts";
import type { ReplayOutcome } from "./outcome.ts";
import { Pace, type PaceKind } from "./pace.ts";
import { playFrames } from "./play-frames.ts";
import { judgeProgram } from "./program-judge.ts";
import { TcpPeer } from "./tcp-peer.ts";
import { type TcpTrace, traceTcp } from "./tcp-trace.ts";
import type { WireSegment } from "./wire-segment.ts";

export interface ProgramPeerConfig {
  conversations: readonly { conversation: Conversation; index: number }[];
  /** Whom we play. */
  side: typeof CLIENT | typeof SERVER;
  pace: PaceKind;
  isLoose: boolean;
  /** Of the program, when it listens elsewhere than the captured one; 0: the captured. */
  port: number;
  link: LinkEndpoint;
  clock: Clock;
  /** What passes, as it passes. */
  pcap?: { write(realtimeNs: number, bytes: Uint8Array, offset: number, length: number): void };
}

/** What the sandbox is to be started with. */
export const PROGRAM_NETWORK = { net: "gateway", ip: "10.0.2.15/24", mac: "02:6e:63:00:00:0f" };
const GUEST = IpAddr.v4(10, 0, 2, 15);
const GUEST_MAC = Uint8Array.of(2, 0x6e, 0x63, 0, 0, 0x0f);
/** Clients of a program come from here, and names lead here. */
const ROUTER = IpAddr.v4(10, 0, 2, 2);

interface Session {
  index: number;
  trace: TcpTrace;
  peer: TcpPeer | null;
  segments: WireSegment[];
  beginNs: number;
  lastNs: number;
  /** When to try again: nobody listened yet. */
  retryNs: number;
  isOver: boolean;
}

const PATIENCE = { earlyNs: 2 * SECOND, giveUpNs: 10 * SECOND };
/** A server that has just been started listens within this. */
const START_NS = 10 * SECOND;
const RETRY_NS = 50 * MS;
/** With all said, for what the program may still have to say. */
const LAST_WORDS_NS = 2 * SECOND;
const DNS_PORT = 53;
const ARP = 0x0806;
const NEVER = Number.POSITIVE_INFINITY;

export class ProgramPeer implements LinkSink {
  readonly #c: ProgramPeerConfig;
  readonly #mac = Uint8Array.of(2, 0x6e, 0x63, 0, 0, 2);
  #guestMac: Uint8Array;
  readonly #reader = new IpReader();
  readonly #out = new PacketBuffer(400_000);
  readonly #sessions: Session[];
  readonly #beginNs: number;
  #id = 1;

  constructor(config: ProgramPeerConfig) {
    this.#c = config;
    this.#guestMac = GUEST_MAC.slice();
    this.#beginNs = config.clock.monotonicNs();
    this.#sessions = config.conversations.map(({ conversation, index }) => {
      const trace = traceTcp(conversation);
      const isOver = trace.problem !== "";
      const times = { beginNs: 0, lastNs: 0, retryNs: NEVER };
      return { index, trace, peer: null, segments: [], ...times, isOver };
    });
    config.link.attach(this);
  }

  get isOver(): boolean {
    return this.#sessions.every(({ isOver }) => isOver);
  }

  outcomes(): ReplayOutcome[] {
    return this.#sessions.map((s) =>
      judgeProgram({
        index: s.index,
        trace: s.trace,
        side: this.#c.side,
        peer: s.peer,
        segments: s.segments,
        replayNs: s.lastNs - s.beginNs,
        isLoose: this.#c.isLoose,
      }),
    );
  }

  /** Does what is due; returns when to call again though nothing has come. */
  step(): number {
    const nowNs = this.#c.clock.monotonicNs();
    if (this.#c.side === CLIENT) this.#connectNext(nowNs);
    let next = NEVER;
    for (const session of this.#sessions) {
      if (session.isOver || session.peer === null) continue;
      const { peer } = session;
      while (peer.step(nowNs)) session.lastNs = nowNs;
      this.#lookAt(session, nowNs);
      const wakeNs = Math.max(nowNs + MS, Math.min(peer.nextNs(), session.lastNs + LAST_WORDS_NS));
      next = Math.min(next, session.retryNs, wakeNs);
    }
    // One that is over makes room for the next.
    if (this.#c.side === CLIENT && next === NEVER && !this.isOver) return nowNs;
    return next;
  }

  // --- Sessions ---

  #connectNext(nowNs: number): void {
    const session = this.#sessions.find(({ isOver }) => !isOver);
    if (session === undefined) return;
    const isDue = session.peer === null || nowNs >= session.retryNs;
    if (!isDue) return;
    const [client, server] = session.trace.conversation.stations;
    this.#begin(session, nowNs, {
      peerAddr: ROUTER,
      peerPort: client.port,
      otherAddr: GUEST,
      otherPort: this.#c.port || server.port,
    });
  }

  #begin(session: Session, nowNs: number, path: TcpPeer["playedPath"]): void {
    const { trace } = session;
    session.segments = [];
    session.retryNs = NEVER;
    session.beginNs = nowNs;
    session.lastNs = nowNs;
    session.peer = new TcpPeer({
      trace,
      side: this.#c.side,
      path,
      pace: new Pace(this.#c.pace, nowNs, trace.segments[0].packet.timeNs),
      patience: PATIENCE,
      isAdaptive: true,
      record: (segment) => session.segments.push(segment),
      send: (tcp, like) => {
        const tos = like?.packet.tos ?? 0;
        const ip = { src: path.peerAddr, dst: path.otherAddr, tos, ttl: 64, flowLabel: 0 };
        const macs = { dst: this.#guestMac, src: this.#mac };
        const head = { ...ip, protocol: PROTO_TCP };
        for (const frame of playFrames(macs, head, tcp, null, this.#id++)) this.#send(frame);
      },
    });
  }

  /** Whether it is over, or has to begin again. */
  #lookAt(session: Session, nowNs: number): void {
    const { peer, trace } = session;
    if (peer === null) return;
    const isUnheard = peer.hasReset && peer.otherIsn === null && !trace.sides[SERVER].hasReset;
    if (isUnheard && nowNs < this.#beginNs + START_NS) {
      if (session.retryNs === NEVER) session.retryNs = nowNs + RETRY_NS;
      return;
    }
    const other = trace.sides[this.#c.side === CLIENT ? SERVER : CLIENT];
    const hasAll =
      peer.received.contiguous >= other.stream.length && (other.fin < 0 || peer.otherFin >= 0);
    const isAllSaid = peer.isDone && peer.isQuiet;
    const isSilent = nowNs >= session.lastNs + LAST_WORDS_NS;
    session.isOver =
      peer.isStuck || peer.hasReset || (isAllSaid && (isSilent || (hasAll && other.fin >= 0)));
  }

  // --- Frames ---

  deliver(pkt: PacketBuffer): void {
    const { bytes, start, end } = pkt;
    this.#c.pcap?.write(this.#c.clock.realtimeNs(), bytes, start, end - start);
    if (end - start < ETHERNET_BYTES) return;
    this.#guestMac = bytes.slice(start + 6, start + 12);
    if (u16(bytes, start + 12) === ARP) {
      this.#arp(bytes, start + ETHERNET_BYTES, end);
      return;
    }
    const packet = this.#reader.readIp(bytes, start + ETHERNET_BYTES, end);
    if (typeof packet === "string") return;
    if (packet.protocol === PROTO_TCP && packet.bytes.length >= 20) this.#tcp(packet);
    else if (packet.protocol === PROTO_UDP && packet.bytes.length >= 8) this.#udp(packet);
  }

  #tcp(packet: IpPacket): void {
    const nowNs = this.#c.clock.monotonicNs();
    const { bytes, src, dst } = packet;
    const [sport, dport] = [u16(bytes, 0), u16(bytes, 2)];
    let session = this.#sessions.find(({ peer }) => {
      const path = peer?.playedPath;
      return path !== undefined && path.otherPort === sport && path.peerPort === dport;
    });
    if (session === undefined && this.#c.side === SERVER && (bytes[13] & (SYN | ACK)) === SYN) {
      session = this.#waiting(dport);
      const path = { peerAddr: dst, peerPort: dport, otherAddr: src, otherPort: sport };
      if (session !== undefined) this.#begin(session, nowNs, path);
    }
    if (session?.peer === null || session === undefined) return;
    session.lastNs = nowNs;
    session.peer.receive(bytes, nowNs);
  }

  /** The captured conversation that a new connection of the program is: of the same port if there is one. */
  #waiting(port: number): Session | undefined {
    const free = this.#sessions.filter(({ peer, isOver }) => peer === null && !isOver);
    const isSame = (s: Session): boolean => s.trace.conversation.stations[SERVER].port === port;
    return free.find(isSame) ?? free[0];
  }

  #udp(packet: IpPacket): void {
    const { bytes, src, dst } = packet;
    if (u16(bytes, 2) !== DNS_PORT) return;
    const answer = answerDns(bytes.subarray(8), ROUTER);
    if (answer === null) return;
    const ip = { src: dst, dst: src, tos: 0, ttl: 64, flowLabel: 0, protocol: PROTO_UDP };
    const body = udpBytes(ip, DNS_PORT, u16(bytes, 0), answer.length);
    body.set(answer, 8);
    // RFC 768: no checksum.
    setU16(body, 6, 0);
    this.#send(ipFrame(this.#guestMac, this.#mac, ip, body));
  }

  /** Whoever is asked for: it is us. */
  #arp(b: Uint8Array, o: number, end: number): void {
    if (end - o < 28 || u16(b, o + 6) !== 1) return;
    const sender = u32(b, o + 14);
    const target = u32(b, o + 24);
    // Asking for oneself is a check for conflicts (RFC 5227).
    if (sender === target || sender === 0 || target === GUEST.v4 >>> 0) return;
    const frame = new Uint8Array(ETHERNET_BYTES + 28);
    frame.set(this.#guestMac, 0);
    frame.set(this.#mac, 6);
    setU16(frame, 12, ARP);
    frame.set(b.subarray(o, o + 8), ETHERNET_BYTES);
    const at = ETHERNET_BYTES;
    setU16(frame, at + 6, 2);
    frame.set(this.#mac, at + 8);
    setU32(frame, at + 14, target);
    frame.set(b.subarray(o + 8, o + 18), at + 18);
    this.#send(frame);
  }

  #send(frame: Uint8Array): void {
    this.#c.pcap?.write(this.#c.clock.realtimeNs(), frame, 0, frame.length);
    const pkt = this.#out;
    pkt.reset();
    pkt.bytes.set(frame, pkt.start);
    pkt.end = pkt.start + frame.length;
    this.#c.link.send(pkt);
  }
}
