// A link over one descriptor of the host, non-blocking: a TAP device (one frame per read and write) or a
// stream socket (frames with a length in front, see frame-stream.ts). Every frame carries a virtio-net
// header, so checksums and segmentation are left to the other side. The owner watches the descriptor:
// readable() when it can be read; while wantsWrite, writable() when it can be written.

import { EAGAIN, EINTR } from "../../abi/errno.ts";
import { copyBytes } from "../../base/slab.ts";
import { close, read, write } from "../../host/libc.ts";
import { GatherWriter } from "../../host/tun.ts";
import {
  completeChecksum,
  GSO_NONE,
  HEADROOM,
  type LinkEndpoint,
  type LinkSink,
  PacketBuffer,
} from "../../netstack/index.ts";
import { FrameStream, writeStreamHeader } from "../frame-stream.ts";
import { FRAME_MAX, readVirtioNet, VNET_HEADER, writeVirtioNet } from "../virtio-net.ts";

export interface FdLinkConfig {
  fd: number;
  kind: "tap" | "stream";
  mtu: number;
  mac: Uint8Array;
}

/** The largest IP packet given to the link in one piece. */
const GSO_BYTES = 65_535;
/** Below this a second piece is copied behind the first: cheaper than a gather. */
const COPY_BELOW = 4096;
/** Bytes that wait while a stream is full; more is dropped. */
const BACKLOG_BYTES = 4 * 1024 * 1024;

export class FdLink implements LinkEndpoint {
  readonly fd: number;
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly checksumOffload = true;
  readonly gsoBytesMax = GSO_BYTES;
  readonly counters = { malformed: 0, txDropped: 0, rxErrors: 0 };
  /** The other side is gone, or talks nonsense. */
  isOver = false;
  /** Somebody else is writing earlier bytes of this stream: send() only keeps. */
  isHeld = false;

  readonly #kind: "tap" | "stream";
  readonly #stream = new FrameStream();
  readonly #rx = new PacketBuffer(HEADROOM + FRAME_MAX + 64, true);
  readonly #writer = new GatherWriter();
  /** What could not be written yet: bytes [from, to) of a stream. */
  #backlog = new Uint8Array(0);
  #from = 0;
  #to = 0;
  #sink: LinkSink | null = null;

  constructor(config: FdLinkConfig) {
    this.fd = config.fd;
    this.#kind = config.kind;
    this.mtu = config.mtu;
    this.mac = config.mac;
  }

  attach(sink: LinkSink): void {
    this.#sink = sink;
  }

  /** Takes in up to about `maxFrames`; how many came. 0: nothing more to read now (or isOver). */
  readable(maxFrames = 64): number {
    const sink = this.#sink;
    sink?.beginBatch?.();
    const count = this.#kind === "tap" ? this.#readTap(maxFrames) : this.#readStream(maxFrames);
    sink?.endBatch?.();
    return count;
  }

  #readTap(maxFrames: number): number {
    const rx = this.#rx;
    const at = HEADROOM - VNET_HEADER;
    let count = 0;
    while (count < maxFrames) {
      const n = read(this.fd, rx.bytes, at, VNET_HEADER + FRAME_MAX);
      if (n <= 0) {
        this.#readFailed(n);
        break;
      }
      count++;
      rx.reset(HEADROOM);
      rx.end = at + n;
      if (n < VNET_HEADER || !readVirtioNet(rx.bytes, at, rx)) this.counters.malformed++;
      else this.#sink?.deliver(rx);
    }
    return count;
  }

  #readStream(maxFrames: number): number {
    const stream = this.#stream;
    let count = 0;
    while (count < maxFrames) {
      // space first: it may move what is there, and offset with it.
      const space = stream.space;
      const n = read(this.fd, stream.bytes, stream.offset, space);
      if (n <= 0) {
        this.#readFailed(n);
        break;
      }
      count += stream.commit(n, this.#sink);
      this.counters.malformed = stream.malformed;
      if (stream.broken) {
        this.isOver = true;
        break;
      }
      // A short read has emptied the socket: do not ask again only to hear EAGAIN.
      if (n < space) break;
    }
    return count;
  }

  #readFailed(result: number): void {
    if (result === -EAGAIN || result === -EINTR) return;
    if (result !== 0) this.counters.rxErrors++;
    // A TAP device that is down gives EIO and may come back.
    if (this.#kind === "stream") this.isOver = true;
  }

  send(pkt: PacketBuffer): boolean {
    if (this.isOver) return false;
    const isStream = this.#kind === "stream";
    // A frame no larger than the MTU costs little to sum, and whoever captures on the device sees it whole;
    // one that the kernel cuts up must leave the sums to the kernel as well.
    if (!isStream && pkt.gsoType === GSO_NONE) completeChecksum(pkt);
    const at = isStream ? writeStreamHeader(pkt) : pkt.start - VNET_HEADER;
    if (!isStream) writeVirtioNet(pkt.bytes, at, pkt);
    let linear = pkt.end - at;
    let frag = pkt.fragBytes;
    let fragLength = pkt.fragLength;
    if (frag !== null && fragLength <= COPY_BELOW) {
      const from = pkt.fragOffset;
      copyBytes(pkt.bytes, pkt.slabAt, pkt.end, frag, pkt.fragSlabAt, from, fragLength);
      linear += fragLength;
      frag = null;
      fragLength = 0;
    }
    const total = linear + fragLength;
    let n = 0;
    if (this.#to === this.#from && !this.isHeld) {
      n =
        frag === null
          ? write(this.fd, pkt.bytes, at, linear)
          : this.#writer.write(this.fd, pkt.bytes, at, linear, frag, pkt.fragOffset, fragLength);
      if (n === total) return true;
      if (n < 0 && n !== -EAGAIN && n !== -EINTR) {
        this.counters.txDropped++;
        if (isStream) this.isOver = true;
        return false;
      }
      if (n < 0) n = 0;
    }
    if (!isStream) {
      this.counters.txDropped++;
      return false;
    }
    return this.#keep(pkt, at, linear, n, total);
  }

  /** Keeps bytes [done, total) of the frame for later; a frame that has begun is always kept. */
  #keep(pkt: PacketBuffer, at: number, linear: number, done: number, total: number): boolean {
    if (done === 0 && this.#to - this.#from + total > BACKLOG_BYTES) {
      this.counters.txDropped++;
      return false;
    }
    this.#reserve(total - done);
    const b = this.#backlog;
    if (done < linear) {
      b.set(pkt.bytes.subarray(at + done, at + linear), this.#to);
      this.#to += linear - done;
    }
    if (pkt.fragBytes !== null && total > linear) {
      const skip = Math.max(0, done - linear);
      const from = pkt.fragOffset + skip;
      const end = pkt.fragOffset + (total - linear);
      b.set(pkt.fragBytes.subarray(from, end), this.#to);
      this.#to += end - from;
    }
    return true;
  }

  #reserve(bytes: number): void {
    if (this.#backlog.length === 0) this.#backlog = new Uint8Array(BACKLOG_BYTES + 2 * FRAME_MAX);
    if (this.#to + bytes <= this.#backlog.length) return;
    this.#backlog.copyWithin(0, this.#from, this.#to);
    this.#to -= this.#from;
    this.#from = 0;
  }

  /** Watch for writability too. */
  get wantsWrite(): boolean {
    return this.#to > this.#from && !this.isOver;
  }

  /** The descriptor takes bytes again. */
  writable(): void {
    while (this.#to > this.#from) {
      const n = write(this.fd, this.#backlog, this.#from, this.#to - this.#from);
      if (n < 0) {
        if (n !== -EAGAIN && n !== -EINTR) this.isOver = true;
        return;
      }
      this.#from += n;
    }
    this.#from = this.#to = 0;
  }

  /** A copy of what waits, which the caller now has to write. Null: nothing. */
  takeBacklog(): Uint8Array | null {
    if (this.#to === this.#from) return null;
    const bytes = this.#backlog.slice(this.#from, this.#to);
    this.#from = this.#to = 0;
    return bytes;
  }

  close(): void {
    if (this.#sink === null && this.isOver) return;
    this.isOver = true;
    this.#sink = null;
    close(this.fd);
  }
}
