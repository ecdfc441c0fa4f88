// The world around a program in a sandbox, for replay: the other end of its link. Answers ARP for every address,
// gives every name the address of the captured server, and plays the captured peers: clients that connect to the
// program, one after the other, or servers that wait for it. Time comes in with each call.

import { u16 } from "../../base/bytes.ts";
import { type Clock, MS, SECOND } from "../../base/clock.ts";
import {
  IPV4,
  IPV6,
  type LinkEndpoint,
  type LinkSink,
  PacketBuffer,
} from "../../netstack/index.ts";
import { ACK, ETHERNET_BYTES, PROTO_TCP, PROTO_UDP, SYN } from "../drill/frame.ts";
import { GUEST, GUEST_MAC, GUEST6, ROUTER, ROUTER6 } from "../program-network.ts";
import { CLIENT, type Conversation, SERVER } from "./conversation.ts";
import { DatagramPeer } from "./datagram-peer.ts";
import { udpDatagram } from "./datagrams.ts";
import { answerDns } from "./dns-answer.ts";
import { type IpPacket, IpReader } from "./ip-packet.ts";
import { arpReply, neighborAdvertisement } from "./link-answers.ts";
import type { ReplayOutcome } from "./outcome.ts";
import { Pace, type PaceKind } from "./pace.ts";
import { playFrames } from "./play-frames.ts";
import { judgeProgram } from "./program-judge.ts";
import { judgeProgramDatagrams } from "./program-judge-datagrams.ts";
import {
  DNS_PORT,
  isPortUnreachable,
  isUnheard,
  newSession,
  type Session,
} from "./program-session.ts";
import { TcpPeer } from "./tcp-peer.ts";
import type { PlayedPath } from "./tcp-rewrite.ts";

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

const PATIENCE = { earlyNs: 2 * SECOND, giveUpNs: 10 * SECOND };
/** A server that has just been started listens within this. */
const START_NS = 10 * SECOND;
const RETRY_NS = 50 * MS;
/** With all said, for what the program may still have to say. */
const LAST_WORDS_NS = 2 * SECOND;
const ARP = 0x0806;
const NEVER = Number.POSITIVE_INFINITY;

interface Like {
  packet: Pick<IpPacket, "tos" | "cuts">;
}

export class ProgramPeer implements LinkSink {
  readonly #c: ProgramPeerConfig;
  readonly #mac = Uint8Array.of(2, 0x6e, 0x63, 0, 0, 2);
  #guestMac: Uint8Array;
  readonly #reader = new IpReader();
  readonly #out = new PacketBuffer(400_000);
  readonly #sessions: Session[];
  readonly #beginNs: number;
  readonly #families: ReadonlySet<number>;
  #id = 1;
  /** Frames both ways. */
  passed = 0;

  constructor(config: ProgramPeerConfig) {
    this.#c = config;
    this.#guestMac = GUEST_MAC.slice();
    this.#beginNs = config.clock.monotonicNs();
    const { side, isLoose } = config;
    this.#sessions = config.conversations.map(({ conversation, index }) =>
      newSession(conversation, index, side, isLoose),
    );
    this.#families = new Set(config.conversations.map((c) => c.conversation.family));
    config.link.attach(this);
  }

  get isOver(): boolean {
    return this.#sessions.every(({ isOver }) => isOver);
  }

  outcomes(): ReplayOutcome[] {
    const { side, isLoose } = this.#c;
    return this.#sessions.map(({ index, conversation, trace, problem, peer, segments, ...s }) => {
      const common = { index, side, isLoose, replayNs: s.lastNs - s.beginNs };
      if (trace !== null) {
        return judgeProgram({ ...common, trace, problem, peer: peer as TcpPeer | null, segments });
      }
      return judgeProgramDatagrams({
        ...common,
        conversation,
        problem,
        peer: peer as DatagramPeer | null,
      });
    });
  }

  /**
   * Does what is due; returns when to call again though nothing has come. isStill: the program is known to do nothing
   * more before it is sent something, so that nothing is gained by waiting for it.
   */
  step(isStill = false): number {
    const nowNs = this.#c.clock.monotonicNs();
    if (this.#c.side === CLIENT) this.#connectNext(nowNs);
    let next = NEVER;
    for (const session of this.#sessions) {
      if (session.isOver || session.peer === null) continue;
      const { peer } = session;
      let hasSent = false;
      while (peer.step(nowNs)) hasSent = true;
      hasSent ||= isStill && peer.goOn(nowNs);
      if (hasSent) session.lastNs = nowNs;
      this.#lookAt(session, nowNs, isStill && !hasSent);
      const wakeNs = Math.max(nowNs + MS, Math.min(peer.nextNs(), session.lastNs + LAST_WORDS_NS));
      next = Math.min(next, session.retryNs, wakeNs);
    }
    if (isStill && this.#c.side === SERVER && next === NEVER) this.#expectNoMore();
    // One that is over makes room for the next.
    if (this.#c.side === CLIENT && next === NEVER && !this.isOver) return nowNs;
    return next;
  }

  /** The program does nothing more: those that it has not begun never come. */
  #expectNoMore(): void {
    for (const session of this.#sessions) if (session.peer === null) session.isOver = true;
  }

  // --- Sessions ---

  #connectNext(nowNs: number): void {
    const session = this.#sessions.find(({ isOver }) => !isOver);
    if (session === undefined) return;
    const isDue = session.peer === null || nowNs >= session.retryNs;
    if (!isDue) return;
    const { stations, family } = session.conversation;
    this.#begin(session, nowNs, {
      peerAddr: family === IPV4 ? ROUTER : ROUTER6,
      peerPort: stations[CLIENT].port,
      otherAddr: family === IPV4 ? GUEST : GUEST6,
      otherPort: this.#c.port || stations[SERVER].port,
    });
  }

  #begin(session: Session, nowNs: number, path: PlayedPath): void {
    const { trace, conversation } = session;
    session.segments = [];
    session.retryNs = NEVER;
    session.beginNs = nowNs;
    session.lastNs = nowNs;
    const { side } = this.#c;
    const pace = new Pace(this.#c.pace, nowNs, conversation.packets[0].timeNs);
    const send = (protocol: number) => (body: Uint8Array, like: Like | null) => {
      const tos = like?.packet.tos ?? 0;
      const cuts = like?.packet.cuts ?? null;
      const ip = { src: path.peerAddr, dst: path.otherAddr, tos, ttl: 64, flowLabel: 0, protocol };
      const macs = { dst: this.#guestMac, src: this.#mac };
      for (const frame of playFrames(macs, ip, body, cuts, this.#id++)) this.#send(frame);
    };
    if (trace === null) {
      const sendUdp = send(PROTO_UDP);
      session.peer = new DatagramPeer({
        conversation,
        side,
        path,
        pace,
        send: (udp, packet) => sendUdp(udp, { packet }),
      });
      return;
    }
    const sendTcp = send(PROTO_TCP);
    session.peer = new TcpPeer({
      trace,
      side,
      path,
      pace,
      patience: PATIENCE,
      isAdaptive: true,
      record: (segment) => session.segments.push(segment),
      send: (tcp, like) =>
        sendTcp(tcp, like === null ? null : { packet: { ...like.packet, cuts: null } }),
    });
  }

  /** Whether it is over, or has to begin again. */
  #lookAt(session: Session, nowNs: number, isStill: boolean): void {
    const { peer, trace } = session;
    if (peer === null) return;
    if (isUnheard(session) && nowNs < this.#beginNs + START_NS && !isStill) {
      if (session.retryNs === NEVER) session.retryNs = nowNs + RETRY_NS;
      return;
    }
    const isSilent = isStill || nowNs >= session.lastNs + LAST_WORDS_NS;
    if (peer instanceof DatagramPeer || trace === null) {
      const { isRefused, isDone, hasSentAll } = peer as DatagramPeer;
      session.isOver = isRefused || (hasSentAll && (isSilent || isDone));
      return;
    }
    const other = trace.sides[this.#c.side === CLIENT ? SERVER : CLIENT];
    const hasAll =
      peer.received.contiguous >= other.stream.length && (other.fin < 0 || peer.otherFin >= 0);
    const isAllSaid = peer.isDone && peer.isQuiet;
    session.isOver =
      peer.isStuck || peer.hasReset || (isAllSaid && (isSilent || (hasAll && other.fin >= 0)));
  }

  // --- Frames ---

  deliver(pkt: PacketBuffer): void {
    this.passed++;
    const { bytes, start, end } = pkt;
    this.#c.pcap?.write(this.#c.clock.realtimeNs(), bytes, start, end - start);
    if (end - start < ETHERNET_BYTES) return;
    this.#guestMac = bytes.slice(start + 6, start + 12);
    if (u16(bytes, start + 12) === ARP) {
      this.#answer(arpReply(bytes, start + ETHERNET_BYTES, end, GUEST, this.#mac));
      return;
    }
    const packet = this.#reader.readIp(bytes, start + ETHERNET_BYTES, end);
    if (typeof packet === "string") return;
    if (packet.protocol === PROTO_TCP && packet.bytes.length >= 20) this.#tcp(packet);
    else if (packet.protocol === PROTO_UDP && packet.bytes.length >= 8) this.#udp(packet);
    else if (isPortUnreachable(packet)) this.#unreachable(packet.bytes);
    else this.#answer(neighborAdvertisement(packet, this.#guestMac, this.#mac));
  }

  #answer(frame: Uint8Array | null): void {
    if (frame !== null) this.#send(frame);
  }

  #tcp(packet: IpPacket): void {
    const nowNs = this.#c.clock.monotonicNs();
    const { bytes } = packet;
    const isFirst = (bytes[13] & (SYN | ACK)) === SYN;
    const session = this.#sessionOf(packet, "tcp", isFirst, nowNs);
    if (session === undefined || !(session.peer instanceof TcpPeer)) return;
    session.lastNs = nowNs;
    session.peer.receive(bytes, nowNs);
  }

  #udp(packet: IpPacket): void {
    const nowNs = this.#c.clock.monotonicNs();
    const { bytes, src, dst } = packet;
    const session = this.#sessionOf(packet, "udp", true, nowNs);
    if (session?.peer instanceof DatagramPeer) {
      session.lastNs = nowNs;
      session.peer.receive(bytes.subarray(8, Math.max(8, u16(bytes, 4))));
      return;
    }
    if (u16(bytes, 2) !== DNS_PORT) return;
    const [has4, has6] = [this.#families.has(IPV4), this.#families.has(IPV6)];
    const answer = answerDns(bytes.subarray(8), has4 ? ROUTER : null, has6 ? ROUTER6 : null);
    if (answer === null) return;
    const body = udpDatagram(dst, DNS_PORT, src, u16(bytes, 0), answer);
    const ip = { src: dst, dst: src, tos: 0, ttl: 64, flowLabel: 0, protocol: PROTO_UDP };
    const macs = { dst: this.#guestMac, src: this.#mac };
    for (const frame of playFrames(macs, ip, body, null, this.#id++)) this.#send(frame);
  }

  /** Whose packet that is; `isFirst`: it may begin the next one that waits. */
  #sessionOf(
    { bytes, src, dst }: IpPacket,
    kind: Conversation["kind"],
    isFirst: boolean,
    nowNs: number,
  ): Session | undefined {
    const [sport, dport] = [u16(bytes, 0), u16(bytes, 2)];
    const known = this.#at(kind, sport, dport);
    if (known !== undefined || this.#c.side !== SERVER || !isFirst) return known;
    const session = this.#waiting(kind, dport);
    const path = { peerAddr: dst, peerPort: dport, otherAddr: src, otherPort: sport };
    if (session !== undefined) this.#begin(session, nowNs, path);
    return session;
  }

  #at(kind: Conversation["kind"], otherPort: number, peerPort: number): Session | undefined {
    return this.#sessions.find(({ conversation, peer }) => {
      const path = peer?.playedPath;
      if (path === undefined || conversation.kind !== kind) return false;
      return path.otherPort === otherPort && path.peerPort === peerPort;
    });
  }

  /** The captured conversation that a new one of the program is: of the same port if there is one. */
  #waiting(kind: Conversation["kind"], port: number): Session | undefined {
    const free = this.#sessions.filter(
      ({ peer, isOver, conversation }) => peer === null && !isOver && conversation.kind === kind,
    );
    const same = free.find(({ conversation }) => conversation.stations[SERVER].port === port);
    // A question for a name is no datagram of the capture.
    return same ?? (kind === "udp" && port === DNS_PORT ? undefined : free[0]);
  }

  /** An ICMP error that quotes one of our datagrams. */
  #unreachable(icmp: Uint8Array): void {
    const quoted = this.#reader.readIp(icmp, 8, icmp.length);
    if (typeof quoted === "string" || quoted.protocol !== PROTO_UDP || quoted.bytes.length < 4)
      return;
    const session = this.#at("udp", u16(quoted.bytes, 2), u16(quoted.bytes, 0));
    const peer = session?.peer;
    if (peer instanceof DatagramPeer && peer.received.length === 0) peer.isRefused = true;
  }

  #send(frame: Uint8Array): void {
    this.passed++;
    this.#c.pcap?.write(this.#c.clock.realtimeNs(), frame, 0, frame.length);
    const pkt = this.#out;
    pkt.reset();
    pkt.bytes.set(frame, pkt.start);
    pkt.end = pkt.start + frame.length;
    this.#c.link.send(pkt);
  }
}
