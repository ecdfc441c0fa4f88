// ICMP errors of a capture about a TCP connection, played again when what they are about has been sent: the packet
// they quote is quoted with the numbers of now.

import { setU16, setU32, u32 } from "../../base/bytes.ts";
import { IPV4 } from "../../netstack/index.ts";
import { icmpBytes, ipPacket, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP } from "../drill/frame.ts";
import { type CapturedPacket, otherSide, type Side } from "./conversation.ts";
import { IpReader } from "./ip-packet.ts";
import type { Pace } from "./pace.ts";
import type { TcpPeer } from "./tcp-peer.ts";
import type { PlayedPath } from "./tcp-rewrite.ts";
import type { TcpTrace } from "./tcp-trace.ts";

const ICMP_HEADER = 8;
/** An error and what it quotes stay within IPv4's smallest MTU (RFC 1812 4.3.2.3). */
const QUOTED_BYTES_MAX = 548;

interface PlayedError {
  packet: CapturedPacket;
  quoted: Uint8Array;
  /** In the stream of the side it is meant for: what must have been sent before. */
  at: number;
}

export class IcmpPeer {
  readonly #errors: PlayedError[] = [];
  readonly #path: PlayedPath;
  readonly #pace: Pace;
  readonly #peer: TcpPeer;
  readonly #send: (body: Uint8Array, like: { packet: CapturedPacket }) => void;
  #next = 0;

  constructor(
    trace: TcpTrace,
    side: Side,
    path: PlayedPath,
    pace: Pace,
    peer: TcpPeer,
    send: (body: Uint8Array, like: { packet: CapturedPacket }) => void,
  ) {
    this.#path = path;
    this.#pace = pace;
    this.#peer = peer;
    this.#send = send;
    const { isn } = trace.sides[otherSide(side)];
    const reader = new IpReader();
    for (const packet of trace.conversation.packets) {
      if (packet.protocol === PROTO_TCP || packet.from !== side || packet.isDamaged) continue;
      const quoted = reader.readIp(packet.bytes, ICMP_HEADER, packet.bytes.length);
      if (typeof quoted === "string" || quoted.bytes.length < 8) continue;
      const at = (u32(quoted.bytes, 4) - (isn + 1)) | 0;
      this.#errors.push({ packet, quoted: quoted.bytes, at });
    }
  }

  nextNs(): number {
    const error = this.#errors[this.#next];
    return error === undefined ? Number.POSITIVE_INFINITY : this.#pace.dueNs(error.packet.timeNs);
  }

  step(nowNs: number): boolean {
    let hasSent = false;
    for (; this.#next < this.#errors.length; this.#next++) {
      const error = this.#errors[this.#next];
      const otherIsn = this.#peer.otherIsn;
      if (this.#pace.dueNs(error.packet.timeNs) > nowNs || otherIsn === null) break;
      if (error.at >= this.#peer.receivedEnd && error.at >= 0) break;
      this.#send(this.#body(error, otherIsn), error);
      hasSent = true;
    }
    return hasSent;
  }

  #body({ packet, quoted, at }: PlayedError, otherIsn: number): Uint8Array {
    const { peerAddr, peerPort, otherAddr, otherPort } = this.#path;
    const transport = quoted.slice(0, QUOTED_BYTES_MAX);
    setU16(transport, 0, otherPort);
    setU16(transport, 2, peerPort);
    setU32(transport, 4, otherIsn + 1 + at);
    const inner = { src: otherAddr, dst: peerAddr, tos: 0, ttl: 64, flowLabel: 0 };
    const original = ipPacket({ ...inner, protocol: PROTO_TCP }, transport);
    const protocol = peerAddr.family === IPV4 ? PROTO_ICMP : PROTO_ICMPV6;
    const outer = { ...inner, src: peerAddr, dst: otherAddr, protocol };
    return icmpBytes(outer, packet.bytes[0], packet.bytes[1], u32(packet.bytes, 4), original);
  }
}
