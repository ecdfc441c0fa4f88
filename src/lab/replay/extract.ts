// Sorts the frames of a capture into conversations: TCP by addresses and ports, a new one for each incarnation;
// UDP by addresses and ports; ICMP echo by addresses and identifier; ICMP errors to the conversation whose packet
// they quote. Streaming: when more is held than allowed, conversations that are over are handed out first, then
// those that were silent longest.

import { u16, u32 } from "../../base/bytes.ts";
import type { CapturedFrame } from "../../link/index.ts";
import { isKnownLinkType } from "../decode/link-layer.ts";
import {
  ACK,
  FIN,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_TCP,
  PROTO_UDP,
  RST,
  SYN,
} from "../drill/frame.ts";
import {
  type CapturedPacket,
  CLIENT,
  type Conversation,
  type ConversationKind,
  otherSide,
  SERVER,
  type Side,
  type Station,
} from "./conversation.ts";
import { type IpPacket, IpReader } from "./ip-packet.ts";

export interface ExtractLimits {
  /** Bytes of packets held for conversations that are not handed out yet. */
  heldBytes: number;
  conversations: number;
}

export const EXTRACT_LIMITS: ExtractLimits = {
  heldBytes: 256 * 1024 * 1024,
  conversations: 65_536,
};

export interface ExtractCounts {
  frames: number;
  /** Neither TCP, UDP nor ICMP echo over IP, or none that we can read. */
  others: number;
  broken: number;
  /** ICMP errors about nothing that was captured. */
  unrelated: number;
  /** Of `others`: of link types that we do not know; the first of them, and where it stands in the file. */
  unknownLinks: number;
  unknownLinkType: number;
  unknownLinkOffset: number;
}

const TCP_HEADER = 20;
const UDP_HEADER = 8;
const ICMP_HEADER = 8;

interface Open {
  conversation: Conversation;
  key: string;
  /** First sequence number of each side, of TCP; null: no SYN of it seen. */
  isn: (number | null)[];
  hasFin: boolean[];
  isReset: boolean;
  hasData: boolean;
  /** Of each side, of TCP: a segment whose checksum is right has come. */
  hasIntact: boolean[];
}

export class Extractor {
  readonly counts: ExtractCounts = {
    frames: 0,
    others: 0,
    broken: 0,
    unrelated: 0,
    unknownLinks: 0,
    unknownLinkType: -1,
    unknownLinkOffset: -1,
  };
  readonly #reader = new IpReader();
  readonly #limits: ExtractLimits;
  readonly #emit: (conversation: Conversation) => void;
  /** In the order of their last packet. */
  readonly #open = new Map<string, Open>();
  /**
   * The last of them: most packets are of the same one again, which needs no key then. measured: sorting a capture
   * of 100 MB took 1.9 s with a key for each packet and a copy of it by `...`, 0.45 s now.
   */
  #latest: Open | null = null;
  #heldBytes = 0;
  #startSeconds = -1;
  #startNs = 0;
  #lastNs = 0;

  constructor(emit: (conversation: Conversation) => void, limits = EXTRACT_LIMITS) {
    this.#emit = emit;
    this.#limits = limits;
  }

  add(frame: CapturedFrame): void {
    const number = ++this.counts.frames;
    const timeNs = this.#timeOf(frame);
    const packet = this.#reader.read(frame);
    if (typeof packet === "string") {
      if (packet === "broken") this.counts.broken++;
      else if (packet === "other") this.#noteOther(frame);
      return;
    }
    this.#sort(packet, number, timeNs);
    while (
      this.#heldBytes > this.#limits.heldBytes ||
      this.#open.size > this.#limits.conversations
    ) {
      this.#handOutOne();
    }
  }

  /** Hands out all that is left, in the order in which they began. */
  finish(): void {
    const rest = [...this.#open.values()].sort(
      (a, b) => a.conversation.packets[0].number - b.conversation.packets[0].number,
    );
    for (const open of rest) this.#handOut(open);
  }

  #noteOther({ linkType, fileOffset }: CapturedFrame): void {
    const { counts } = this;
    counts.others++;
    if (isKnownLinkType(linkType)) return;
    if (counts.unknownLinks++ > 0) return;
    counts.unknownLinkType = linkType;
    counts.unknownLinkOffset = fileOffset;
  }

  #timeOf(frame: CapturedFrame): number {
    if (!frame.timed) return this.#lastNs;
    if (this.#startSeconds < 0) {
      this.#startSeconds = frame.seconds;
      this.#startNs = frame.nanoseconds;
    }
    const ns = (frame.seconds - this.#startSeconds) * 1e9 + frame.nanoseconds - this.#startNs;
    // Clocks that are set while a capture runs go backwards: time does not.
    this.#lastNs = Math.max(this.#lastNs, ns);
    return this.#lastNs;
  }

  #sort(packet: IpPacket, number: number, timeNs: number): void {
    const { protocol, bytes } = packet;
    if (protocol === PROTO_TCP && bytes.length >= TCP_HEADER) {
      this.#tcp(packet, number, timeNs);
    } else if (protocol === PROTO_UDP && bytes.length >= UDP_HEADER) {
      this.#file("udp", packet, number, timeNs, u16(bytes, 0), u16(bytes, 2));
    } else if (isIcmp(protocol) && bytes.length >= ICMP_HEADER) {
      this.#icmp(packet, number, timeNs);
    } else if (protocol === PROTO_TCP || protocol === PROTO_UDP || isIcmp(protocol)) {
      this.counts.broken++;
    } else this.counts.others++;
  }

  #tcp(packet: IpPacket, number: number, timeNs: number): void {
    const { bytes } = packet;
    const flags = bytes[13];
    const seq = u32(bytes, 4);
    const [sport, dport] = [u16(bytes, 0), u16(bytes, 2)];
    const isIntact = !packet.isDamaged && bytes.length >= packet.length;
    const found = this.#find("tcp", packet, sport, dport);
    if (found !== null && isBelieved(found, packet)) {
      const [open, from] = found;
      if (isIntact) believeIntactOnly(open, from);
      if ((flags & (SYN | ACK)) === SYN && beginsAnew(open, from, seq)) this.#handOut(open);
    }
    const filed = this.#file("tcp", packet, number, timeNs, sport, dport);
    if (!isBelieved(filed, packet)) return;
    const [open, from] = filed;
    if (isIntact) believeIntactOnly(open, from);
    if ((flags & SYN) !== 0) open.isn[from] = seq;
    if ((flags & FIN) !== 0) open.hasFin[from] = true;
    if ((flags & RST) !== 0) open.isReset = true;
    if ((flags & SYN) === 0 && packet.length > (bytes[12] >>> 4) * 4) open.hasData = true;
  }

  #icmp(packet: IpPacket, number: number, timeNs: number): void {
    const { bytes, protocol } = packet;
    const type = bytes[0];
    const isV4 = protocol === PROTO_ICMP;
    const isRequest = type === (isV4 ? 8 : 128);
    if (isRequest || type === (isV4 ? 0 : 129)) {
      const id = u16(bytes, 4);
      const [{ conversation }] = this.#file("echo", packet, number, timeNs, id, id);
      // Of a machine that asks itself the addresses do not say who answers.
      const isLooped = packet.src.equals(packet.dst);
      if (isLooped && !isRequest)
        conversation.packets[conversation.packets.length - 1].from = SERVER;
      return;
    }
    const isError = isV4 ? type === 3 || type === 11 || type === 12 : type < 128;
    if (!isError) {
      this.counts.others++;
      return;
    }
    const quoted = quotedPacket(bytes);
    const found =
      quoted === null ? null : this.#find(quoted.kind, quoted, quoted.sport, quoted.dport);
    if (found === null) {
      this.counts.unrelated++;
      return;
    }
    const [open, quotedFrom] = found;
    this.#append(open, packet, number, timeNs, quotedFrom === CLIENT ? SERVER : CLIENT);
  }

  #find(
    kind: ConversationKind,
    packet: Pick<IpPacket, "src" | "dst">,
    sport: number,
    dport: number,
  ): [Open, Side] | null {
    const latest = this.#latest;
    if (latest !== null && latest.conversation.kind === kind) {
      const [first, second] = latest.conversation.stations;
      const { src, dst } = packet;
      if (isStation(first, src, sport) && isStation(second, dst, dport)) return [latest, CLIENT];
      if (isStation(first, dst, dport) && isStation(second, src, sport)) return [latest, SERVER];
    }
    const there = keyOf(kind, packet.src, sport, packet.dst, dport);
    const open = this.#open.get(there);
    if (open !== undefined) return [open, CLIENT];
    const back = this.#open.get(keyOf(kind, packet.dst, dport, packet.src, sport));
    return back === undefined ? null : [back, SERVER];
  }

  #file(
    kind: ConversationKind,
    packet: IpPacket,
    number: number,
    timeNs: number,
    sport: number,
    dport: number,
  ): [Open, Side] {
    const found = this.#find(kind, packet, sport, dport);
    if (found !== null) {
      this.#append(found[0], packet, number, timeNs, found[1]);
      return found;
    }
    const conversation: Conversation = {
      kind,
      family: packet.src.family,
      stations: [
        { addr: packet.src, port: sport },
        { addr: packet.dst, port: dport },
      ],
      packets: [],
      bytes: 0,
    };
    const key = keyOf(kind, packet.src, sport, packet.dst, dport);
    const open: Open = {
      conversation,
      key,
      isn: [null, null],
      hasFin: [false, false],
      isReset: false,
      hasData: false,
      hasIntact: [false, false],
    };
    this.#open.set(key, open);
    this.#append(open, packet, number, timeNs, CLIENT);
    return [open, CLIENT];
  }

  #append(open: Open, packet: IpPacket, number: number, timeNs: number, from: Side): void {
    const { conversation, key } = open;
    const { src, dst, tos, ttl, protocol, bytes, length, cuts, isDamaged } = packet;
    // Named one by one: see #latest.
    conversation.packets.push({
      src,
      dst,
      tos,
      ttl,
      protocol,
      bytes,
      length,
      cuts,
      isDamaged,
      number,
      timeNs,
      from,
    });
    conversation.bytes += bytes.length;
    this.#heldBytes += bytes.length;
    if (this.#latest === open) return;
    this.#latest = open;
    this.#open.delete(key);
    this.#open.set(key, open);
  }

  #handOutOne(): void {
    let first: Open | null = null;
    for (const open of this.#open.values()) {
      first ??= open;
      if (isOver(open)) {
        first = open;
        break;
      }
    }
    if (first !== null) this.#handOut(first);
  }

  #handOut(open: Open): void {
    this.#open.delete(open.key);
    // Its stations may change sides now, and it is not known any more.
    if (this.#latest === open) this.#latest = null;
    this.#heldBytes -= open.conversation.bytes;
    this.#emit(oriented(open));
  }
}

const isIcmp = (protocol: number): boolean => protocol === PROTO_ICMP || protocol === PROTO_ICMPV6;

const isOver = (open: Open): boolean => open.isReset || (open.hasFin[0] && open.hasFin[1]);

/** Where all checksums of a side are wrong so far, its card fills them in, or somebody rewrote the capture. */
const isBelieved = ([open, from]: [Open, Side], packet: IpPacket): boolean =>
  !packet.isDamaged || !open.hasIntact[from];

/** A first segment of a side that is right: what those before said was hurt on its way after all. */
function believeIntactOnly(open: Open, from: Side): void {
  if (open.hasIntact[from]) return;
  open.hasIntact[from] = true;
  open.isn[from] = null;
  open.hasFin[from] = false;
}

/** A SYN on a known connection: another one, unless it is the same SYN again. */
function beginsAnew(open: Open, from: Side, seq: number): boolean {
  if (open.isn[from] === seq) return false;
  // A simultaneous open has one SYN of each side.
  const isFirstOfSide = open.isn[from] === null && !open.hasData && !isOver(open);
  return !isFirstOfSide;
}

const isStation = (station: Station, addr: IpPacket["src"], port: number): boolean =>
  station.port === port && station.addr.equals(addr);

function keyOf(
  kind: ConversationKind,
  src: IpPacket["src"],
  sport: number,
  dst: IpPacket["src"],
  dport: number,
): string {
  return `${kind} ${src.w0} ${src.w1} ${src.w2} ${src.w3} ${sport} ${dst.w0} ${dst.w1} ${dst.w2} ${dst.w3} ${dport}`;
}

const quotes = new IpReader();

/** Whose packet an ICMP error is about. */
function quotedPacket(bytes: Uint8Array): {
  kind: ConversationKind;
  src: IpPacket["src"];
  dst: IpPacket["src"];
  sport: number;
  dport: number;
} | null {
  const quoted = quotes.readIp(bytes, ICMP_HEADER, bytes.length);
  if (typeof quoted === "string" || quoted.bytes.length < 8) return null;
  const { src, dst, protocol } = quoted;
  if (protocol === PROTO_TCP || protocol === PROTO_UDP) {
    const kind = protocol === PROTO_TCP ? "tcp" : "udp";
    return { kind, src, dst, sport: u16(quoted.bytes, 0), dport: u16(quoted.bytes, 2) };
  }
  if (!isIcmp(protocol)) return null;
  const id = u16(quoted.bytes, 4);
  return { kind: "echo", src, dst, sport: id, dport: id };
}

/** So that side 0 is the one that began. */
function oriented(open: Open): Conversation {
  const { conversation } = open;
  if (clientOf(conversation) === CLIENT) return conversation;
  conversation.stations.reverse();
  for (const packet of conversation.packets) packet.from = packet.from === CLIENT ? SERVER : CLIENT;
  return conversation;
}

function clientOf(c: Conversation): Side {
  if (c.kind === "tcp") return tcpClient(c);
  if (c.kind === "echo") {
    const first = c.packets.find((packet) => isIcmp(packet.protocol));
    const isReply = first !== undefined && (first.bytes[0] === 0 || first.bytes[0] === 129);
    if (first === undefined) return CLIENT;
    return isReply ? otherSide(first.from) : first.from;
  }
  return CLIENT;
}

function tcpClient(c: Conversation): Side {
  const segments = c.packets.filter(({ protocol }) => protocol === PROTO_TCP);
  const syns = segments.filter(({ bytes }) => (bytes[13] & SYN) !== 0);
  // One that was hurt on its way only where there is no other: of a side whose checksums are all wrong.
  const syn = syns.find(({ isDamaged }) => !isDamaged) ?? syns[0];
  if (syn !== undefined) {
    if ((syn.bytes[13] & ACK) === 0) return syn.from;
    return syn.from === CLIENT ? SERVER : CLIENT;
  }
  // Seen from the middle: servers mostly have the smaller port.
  const [a, b] = c.stations;
  return a.port < b.port ? SERVER : CLIENT;
}

export type { CapturedPacket };
