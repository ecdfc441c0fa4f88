// One received segment, parsed: RFC 9293 3.3.1's SEG.* variables. There is one object per stack, filled
// for each packet; it is valid only during that packet.

import { seqAdd } from "../../base/seqnum.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import {
  FIN,
  SYN,
  tcpAck,
  tcpDstPort,
  tcpFlags,
  tcpHeaderBytes,
  tcpSeq,
  tcpSrcPort,
  tcpUrgent,
  tcpWindow,
} from "../wire/tcp.ts";
import { parseTcpOptions, TcpOptions } from "../wire/tcp-options.ts";

export class Segment {
  pkt: PacketBuffer | null = null;
  srcPort = 0;
  dstPort = 0;
  seq = 0;
  ack = 0;
  flags = 0;
  /** As on the wire, not scaled. */
  window = 0;
  urgent = 0;
  /** Payload: bytes[offset, offset + length). Trimmed as it is processed. */
  offset = 0;
  length = 0;
  readonly options = new TcpOptions();

  /** Precondition: checkTcp. */
  parse(pkt: PacketBuffer): void {
    const b = pkt.bytes;
    const l4 = pkt.l4;
    this.pkt = pkt;
    this.srcPort = tcpSrcPort(b, l4);
    this.dstPort = tcpDstPort(b, l4);
    this.seq = tcpSeq(b, l4);
    this.ack = tcpAck(b, l4);
    this.flags = tcpFlags(b, l4);
    this.window = tcpWindow(b, l4);
    this.urgent = tcpUrgent(b, l4);
    this.offset = l4 + tcpHeaderBytes(b, l4);
    this.length = pkt.end - this.offset;
    parseTcpOptions(this.options, b, l4, (this.flags & SYN) !== 0);
  }

  /** On the wire: one, or what the link or GRO has merged. */
  get packets(): number {
    const size = this.pkt === null ? 0 : this.pkt.gsoSize;
    return size > 0 && this.length > size ? Math.ceil(this.length / size) : 1;
  }
  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
  get bytes(): Uint8Array {
    return (this.pkt as PacketBuffer).bytes;
  }
  /** Of `bytes`, for copyBytes. */
  get slabAt(): number {
    return (this.pkt as PacketBuffer).slabAt;
  }
  /** SEG.LEN counts SYN and FIN. */
  get sequenceLength(): number {
    return this.length + (this.flags & SYN ? 1 : 0) + (this.flags & FIN ? 1 : 0);
  }
  get end(): number {
    return seqAdd(this.seq, this.sequenceLength);
  }
  /** Sequence number of the first payload byte. */
  get dataSeq(): number {
    return this.flags & SYN ? seqAdd(this.seq, 1) : this.seq;
  }
}
