// Decodes captured frames in tcpdump's manner, one after the other, with what it remembers of connections.
// Never throws, whatever the bytes: what is cut off or wrong is marked in the text.

import type { CapturedFrame } from "../../link/index.ts";
import { decodeArp } from "./arp.ts";
import { type DecodedLayer, Dissection, TRUNCATED } from "./dissection.ts";
import type { IpDecoders } from "./ip-payload.ts";
import { decodeIpv4, type IpOptions } from "./ipv4.ts";
import { decodeIpv6 } from "./ipv6.ts";
import { decodeLinkLayer, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "./link-layer.ts";
import type { PrintedText } from "./printed-text.ts";
import { newContext } from "./tcp.ts";
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

const NEWLINE = 10;

export class FrameDecoder {
  readonly #d = new Dissection();
  readonly #verbosity: number;
  readonly #link: boolean;
  /** One for each depth of packets in packets: what a packet's own headers say stays true behind an inner one. */
  readonly #ip: IpOptions[];
  #depth = 0;

  constructor(options: DecodeOptions = {}) {
    this.#verbosity = options.verbosity ?? 0;
    this.#link = options.link ?? false;
    const decoders: IpDecoders = {
      ipv4: (d, at, length) => this.#nested(d, at, length, decodeIpv4),
      ipv6: (d, at, length) => this.#nested(d, at, length, decodeIpv6),
    };
    const sequences = new TcpSequences();
    const isAbsolute = options.absolute ?? false;
    this.#ip = Array.from({ length: DEPTH_MAX + 1 }, () => ({
      context: newContext(sequences, isAbsolute),
      decoders,
    }));
  }

  /** The text of one frame, without its time; it may have several lines. */
  text(frame: CapturedFrame): string {
    this.clear();
    this.print(frame);
    return this.#d.textFrom(0);
  }

  /** The fields of one frame, outermost layer first. */
  layers(frame: CapturedFrame): DecodedLayer[] {
    const layers: DecodedLayer[] = [];
    this.clear();
    this.#d.layers = layers;
    this.print(frame);
    this.#d.layers = null;
    return layers;
  }

  // --- Many frames in one buffer ---

  /** Bytes printed since clear(); where they are changes with every one printed. */
  get printedLength(): number {
    return this.#d.printedLength;
  }
  get printed(): Uint8Array {
    return this.#d.printed;
  }
  clear(): void {
    this.#d.printedLength = 0;
  }
  /** Behind what is there already: the frame's text. */
  print(frame: CapturedFrame): void {
    const d = this.#d;
    d.begin(frame.bytes, frame.offset, frame.length, this.#verbosity);
    this.#depth = 0;
    try {
      const { type, at, length, headed } = decodeLinkLayer(d, frame, this.#link);
      if (type === ETHERTYPE_IPV4) decodeIpv4(d, at, length, headed, this.#ip[0]);
      else if (type === ETHERTYPE_IPV6) decodeIpv6(d, at, length, headed, this.#ip[0]);
      else if (type === ETHERTYPE_ARP) decodeArp(d, at, length, headed);
    } catch (error) {
      if (error !== TRUNCATED) throw error;
      d.put(` [|${d.protocol}]`);
    }
  }
  /** Something of the caller's own in front of the frame. */
  get line(): PrintedText {
    return this.#d;
  }
  endLine(): void {
    this.#d.putByte(NEWLINE);
  }

  #nested(d: Dissection, at: number, length: number, decode: typeof decodeIpv4): void {
    if (this.#depth === DEPTH_MAX) {
      d.put(" [nested too deep]");
      return;
    }
    this.#depth++;
    decode(d, at, length, false, this.#ip[this.#depth]);
    this.#depth--;
  }
}
