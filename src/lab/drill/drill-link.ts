// The link between the stack under test and the script: what the stack sends is cut into segments as a
// device without offload would see it, dissected, and kept in order; what the script sends goes in.

import type { Clock } from "../../base/clock.ts";
import { DIRECTION_IN, DIRECTION_OUT, type PcapWriter, Segmenter } from "../../link/index.ts";
import {
  completeChecksum,
  copyPacket,
  GSO_TCPV4,
  GSO_TCPV6,
  type LinkEndpoint,
  type LinkSink,
  PacketBuffer,
} from "../../netstack/index.ts";
import { dissect, type SeenPacket } from "./frame.ts";

/** Packets the script has not looked at; more means the stack runs wild. */
const SEEN_MAX = 100_000;

export class DrillLink implements LinkEndpoint {
  readonly mtu: number;
  readonly mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  readonly peerMac = Uint8Array.of(2, 0, 0, 0, 0, 2);
  readonly checksumOffload = true;
  gsoBytesMax = 65_535;
  /** A queue without room (`pfifo limit 0`): everything is refused. */
  isFull = false;
  readonly seen: SeenPacket[] = [];
  readonly #clock: Clock;
  readonly #pcap: PcapWriter | null;
  readonly #segmenter = new Segmenter();
  readonly #whole = new PacketBuffer();
  readonly #inbound = new PacketBuffer(400_000);
  readonly #emit = (piece: PacketBuffer): boolean => this.#record(piece);
  #sink: LinkSink | null = null;

  constructor(mtu: number, clock: Clock, pcap: PcapWriter | null) {
    this.mtu = mtu;
    this.#clock = clock;
    this.#pcap = pcap;
  }
  attach(sink: LinkSink): void {
    this.#sink = sink;
  }
  send(pkt: PacketBuffer): boolean {
    return !this.isFull && this.#segmenter.each(pkt, this.#emit);
  }
  close(): void {
    this.#pcap?.flush();
  }

  #record(piece: PacketBuffer): boolean {
    let pkt = piece;
    if (piece.fragBytes !== null || piece.checksumPartial) {
      copyPacket(this.#whole, piece);
      if (this.#whole.checksumPartial) completeChecksum(this.#whole);
      pkt = this.#whole;
    }
    const frame = pkt.bytes.slice(pkt.start, pkt.end);
    this.#pcap?.write(this.#clock.realtimeNs(), frame, 0, frame.length, DIRECTION_OUT);
    const packet = dissect(frame, this.#clock.monotonicNs());
    if (packet === null || this.seen.length >= SEEN_MAX) return false;
    this.seen.push(packet);
    return true;
  }

  /** segmentBytes: the payload is segments of this size that the link has merged; 0: it is one. */
  inject(frame: Uint8Array, segmentBytes: number): void {
    this.#pcap?.write(this.#clock.realtimeNs(), frame, 0, frame.length, DIRECTION_IN);
    const pkt = this.#inbound;
    pkt.reset();
    pkt.bytes.set(frame, pkt.start);
    pkt.end = pkt.start + frame.length;
    pkt.timeNs = this.#clock.monotonicNs();
    if (segmentBytes > 0) {
      pkt.gsoType = frame[12] === 0x08 ? GSO_TCPV4 : GSO_TCPV6;
      pkt.gsoSize = segmentBytes;
    }
    this.#sink?.deliver(pkt);
  }
}
