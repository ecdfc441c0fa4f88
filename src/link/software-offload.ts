// A link that takes partial checksums and 64 KiB segments over one that does not: the work is done here,
// once per packet instead of once per segment in TCP.

import {
  type LinkEndpoint,
  type LinkSink,
  type PacketBuffer,
  Segmenter,
} from "../netstack/index.ts";

const GSO_BYTES = 65_535;

export class SoftwareOffload implements LinkEndpoint {
  readonly checksumOffload = true;
  readonly gsoBytesMax: number;
  readonly #inner: LinkEndpoint;
  readonly #segmenter = new Segmenter();
  readonly #emit = (piece: PacketBuffer): boolean => this.#inner.send(piece);

  constructor(inner: LinkEndpoint, gsoBytesMax: number = GSO_BYTES) {
    this.#inner = inner;
    this.gsoBytesMax = gsoBytesMax;
  }
  get mtu(): number {
    return this.#inner.mtu;
  }
  get mac(): Uint8Array {
    return this.#inner.mac;
  }
  attach(sink: LinkSink): void {
    this.#inner.attach(sink);
  }
  send(pkt: PacketBuffer): boolean {
    return this.#segmenter.each(pkt, this.#emit);
  }
  close(): void {
    this.#inner.close();
  }
}
