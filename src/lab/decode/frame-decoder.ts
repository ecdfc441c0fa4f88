// Decodes captured frames in tcpdump's manner, one after the other, with what it remembers of connections.
// Never throws, whatever the bytes: what is cut off or wrong is marked in the text.

import type { CapturedFrame } from "../../link/index.ts";
import { decodeArp } from "./arp.ts";
import { type DecodedLayer, Dissection, TRUNCATED } from "./dissection.ts";
import type { IpDecoders } from "./ip-payload.ts";
import { decodeIpv4, type IpOptions } from "./ipv4.ts";
import { decodeIpv6 } from "./ipv6.ts";
import { decodeLinkLayer, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "./link-layer.ts";
import { TcpSequences } from "./tcp-sequence.ts";

export interface DecodeOptions {
  /** 0 to 3, as -v to -vvv. */
  verbosity?: number;
  /** The link's header in front, as -e. */
  link?: boolean;
  /** Sequence numbers as on the wire, as -S. */
  absolute?: boolean;
}

/** Packets inside packets; a hostile one can nest without end. */
const DEPTH_MAX = 8;

export class FrameDecoder {
  readonly #d = new Dissection();
  readonly #verbosity: number;
  readonly #link: boolean;
  readonly #ip: IpOptions;
  #depth = 0;

  constructor(options: DecodeOptions = {}) {
    this.#verbosity = options.verbosity ?? 0;
    this.#link = options.link ?? false;
    const decoders: IpDecoders = {
      ipv4: (d, at, length) => this.#nested(d, () => decodeIpv4(d, at, length, false, this.#ip)),
      ipv6: (d, at, length) => this.#nested(d, () => decodeIpv6(d, at, length, false, this.#ip)),
    };
    this.#ip = {
      sequences: new TcpSequences(),
      isAbsolute: options.absolute ?? false,
      decoders,
    };
  }

  /** The text of one frame, without its time; it may have several lines. */
  text(frame: CapturedFrame): string {
    this.#d.layers = null;
    return this.#decode(frame);
  }

  /** The fields of one frame, outermost layer first. */
  layers(frame: CapturedFrame): DecodedLayer[] {
    const layers: DecodedLayer[] = [];
    this.#d.layers = layers;
    this.#decode(frame);
    this.#d.layers = null;
    return layers;
  }

  #decode(frame: CapturedFrame): string {
    const d = this.#d;
    d.begin(frame.bytes, frame.offset, frame.length, this.#verbosity);
    this.#depth = 0;
    try {
      const { type, at, length, headed } = decodeLinkLayer(d, frame, this.#link);
      if (type === ETHERTYPE_IPV4) decodeIpv4(d, at, length, headed, this.#ip);
      else if (type === ETHERTYPE_IPV6) decodeIpv6(d, at, length, headed, this.#ip);
      else if (type === ETHERTYPE_ARP) decodeArp(d, at, length, headed);
    } catch (error) {
      if (error !== TRUNCATED) throw error;
      d.text += ` [|${d.protocol}]`;
    }
    return d.text;
  }

  #nested(d: Dissection, decode: () => void): void {
    if (this.#depth === DEPTH_MAX) {
      d.text += " [nested too deep]";
      return;
    }
    this.#depth++;
    decode();
    this.#depth--;
  }
}
