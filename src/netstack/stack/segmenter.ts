// Segmentation in software: a packet that stands for many (PacketBuffer.gso*) into those many, each with
// its own header, sequence number and checksums. What a NIC with TSO does.

import { setU16, setU32, u16, u32 } from "../../base/bytes.ts";
import { sum16 } from "../wire/checksum.ts";
import { completeChecksum } from "./checksum-partial.ts";
import { FrameLayout, PROTO_TCP } from "./frame-layout.ts";
import { GSO_NONE, GSO_UDP_L4, PacketBuffer } from "./packet-buffer.ts";
import { copyPacket, gather } from "./packet-pool.ts";

const TCP_FLAGS = 13;
const FIN_PSH = 0x09;
const CWR = 0x80;

export class Segmenter {
  readonly #whole = new PacketBuffer();
  readonly #piece = new PacketBuffer();
  readonly #layout = new FrameLayout();

  /**
   * Calls emit for each finished frame (one, when pkt is not GSO). pkt itself is left alone. False: the
   * frame is not what its GSO type says, or an emit returned false.
   */
  each(pkt: PacketBuffer, emit: (piece: PacketBuffer) => boolean): boolean {
    const whole = this.#whole;
    copyPacket(whole, pkt);
    gather(whole);
    if (pkt.gsoType === GSO_NONE) {
      completeChecksum(whole);
      return emit(whole);
    }
    const l = this.#layout;
    if (pkt.gsoSize <= 0 || !l.parse(whole.bytes, whole.start, whole.end)) return false;
    if ((l.protocol === PROTO_TCP) === (pkt.gsoType === GSO_UDP_L4)) return false;
    const headerBytes = l.payload - whole.start;
    let ok = true;
    let index = 0;
    for (let at = l.payload; at < whole.end; at += pkt.gsoSize) {
      const n = Math.min(pkt.gsoSize, whole.end - at);
      const piece = this.#piece;
      piece.reset();
      piece.bytes.set(whole.bytes.subarray(whole.start, l.payload), piece.start);
      piece.bytes.set(whole.bytes.subarray(at, at + n), piece.start + headerBytes);
      piece.end = piece.start + headerBytes + n;
      const isLast = at + n >= whole.end;
      this.#fix(piece, at - l.payload, index, isLast, piece.start - whole.start);
      ok = emit(piece) && ok;
      index++;
    }
    return ok;
  }

  /** Lengths, ID, sequence, flags, checksums of one piece. */
  #fix(piece: PacketBuffer, done: number, index: number, isLast: boolean, shift: number): void {
    const l = this.#layout;
    const b = piece.bytes;
    const l3 = l.l3 + shift;
    const l4 = l.l4 + shift;
    const length = piece.end - l4;
    if (l.protocol === PROTO_TCP) {
      setU32(b, l4 + 4, (u32(b, l4 + 4) + done) >>> 0);
      if (!isLast) b[l4 + TCP_FLAGS] &= ~FIN_PSH;
      if (index > 0 && !this.#whole.gsoKeepsCwr) b[l4 + TCP_FLAGS] &= ~CWR;
    } else setU16(b, l4 + 4, length);
    if (l.isV4) {
      setU16(b, l3 + 2, piece.end - l3);
      setU16(b, l3 + 4, (u16(b, l3 + 4) + index) & 0xffff);
      setU16(b, l3 + 10, 0);
      setU16(b, l3 + 10, ~sum16(b, l3, l4 - l3) & 0xffff);
    } else setU16(b, l3 + 4, length);
    const field = l4 + (l.protocol === PROTO_TCP ? 16 : 6);
    setU16(b, field, 0);
    const addresses = l.isV4 ? sum16(b, l3 + 12, 8) : sum16(b, l3 + 8, 32);
    const sum = sum16(b, l4, length, addresses + l.protocol + length);
    const value = ~sum & 0xffff;
    setU16(b, field, value === 0 && l.protocol !== PROTO_TCP ? 0xffff : value);
    piece.l3 = l3;
    piece.l4 = l4;
    piece.protocol = l.protocol;
  }
}
