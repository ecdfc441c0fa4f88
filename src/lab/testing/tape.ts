// Frames with times, on their way into a capture of fixtures/pcap that is written byte by byte. What the victim
// chooses itself is not known while writing: its first sequence number is VICTIM_ISN on tape, and whoever plays
// the tape puts the real one in its place (feed.ts). Not part of the product.

import { MS, SECOND } from "../../base/clock.ts";
import { PcapWriter } from "../../link/index.ts";
import {
  ACK,
  be16,
  be32,
  bytesOf,
  icmp,
  MAC_ATTACKER,
  MAC_VICTIM,
  PORT,
  SYN,
  segment,
  type TcpOptionsOf,
  VICTIM,
  VICTIM6,
} from "../../netstack/attacks/testing-frames.ts";
import type { IpAddr } from "../../netstack/index.ts";

/** TCP options of a SYN. */
export const MSS = [2, 4, ...be16(1460)];
export const MSS_SACK = [...MSS, 1, 1, 4, 2];

export const VICTIM_ISN = 0x2000_0000;
export const ATTACKER_ISN = 0x1000_0000;
/** Services of the victim: it reads and says nothing (PORT), sends back, and says a line and closes. */
export const PORT_ECHO = 7;
export const PORT_DAYTIME = 13;
export const DAYTIME_TEXT = "Thu Jan  1 00:00:00 1970\r\n";
const START_NS = 1_700_000_000 * SECOND;

export interface MadeCapture {
  file: string;
  /** One sentence: what it does, and what comes of it. */
  about: string;
  make(tape: Tape): void;
}

export class Tape {
  readonly frames: { atNs: number; frame: Uint8Array }[] = [];
  #nowNs = 0;

  /** One millisecond after the one before. */
  add(...frames: readonly Uint8Array[]): this {
    for (const frame of frames) {
      this.#nowNs += MS;
      this.frames.push({ atNs: this.#nowNs, frame });
    }
    return this;
  }
  /** All at one moment. */
  burst(...frames: readonly Uint8Array[]): this {
    this.#nowNs += MS;
    for (const frame of frames) this.frames.push({ atNs: this.#nowNs, frame });
    return this;
  }
  wait(ms: number): this {
    this.#nowNs += ms * MS;
    return this;
  }

  /** The victim knows from here on where this address is. */
  hello(src: IpAddr): this {
    if (src.isV4) return this.add(arpOf(src, VICTIM));
    return this.add(
      icmp([135, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(VICTIM6), 1, 1, ...MAC_ATTACKER], { src }),
    );
  }

  toBytes(): Uint8Array {
    const parts: number[] = [];
    const write = (bytes: Uint8Array, offset: number, length: number): void => {
      for (let i = offset; i < offset + length; i++) parts.push(bytes[i]);
    };
    const writer = new PcapWriter({ write }, "us");
    for (const { atNs, frame } of this.frames)
      writer.write(START_NS + atNs, frame, 0, frame.length);
    writer.flush();
    return Uint8Array.from(parts);
  }
}

export function arpOf(sender: IpAddr, target: IpAddr, op = 1, mac = MAC_ATTACKER): Uint8Array {
  return Uint8Array.from([
    ...(op === 1 ? [255, 255, 255, 255, 255, 255] : MAC_VICTIM),
    ...[...mac, 8, 6, 0, 1, 8, 0, 6, 4, 0, op],
    ...[...mac, ...bytesOf(sender), 0, 0, 0, 0, 0, 0, ...bytesOf(target)],
  ]);
}

const TIMESTAMPS_START = 1000;

/** One TCP client of the attacker's, as far as a tape can be one: it knows what the victim will have sent. */
export class Client {
  readonly tape: Tape;
  readonly src: IpAddr;
  readonly sport: number;
  readonly dport: number;
  seq = ATTACKER_ISN;
  /** Next byte expected from the victim. */
  ack = VICTIM_ISN;
  readonly #options: readonly number[];
  #tsval: number | null = null;

  constructor(
    tape: Tape,
    src: IpAddr,
    o: { sport?: number; dport?: number; options?: readonly number[]; timestamps?: boolean } = {},
  ) {
    this.tape = tape;
    this.src = src;
    this.sport = o.sport ?? 4000;
    this.dport = o.dport ?? PORT;
    if (o.timestamps === true) this.#tsval = TIMESTAMPS_START;
    this.#options = o.options ?? [2, 4, ...be16(1460), 1, 1, 4, 2];
  }

  #stamp(offset = 0): number[] {
    if (this.#tsval === null) return [];
    return [1, 1, 8, 10, ...be32(this.#tsval + offset), ...be32(0)];
  }

  /** A segment with any fields of its own; seq and ack are the connection's unless given. */
  raw(o: TcpOptionsOf & { stampOffset?: number }): this {
    const { src, sport, dport, seq, ack } = this;
    const options = o.options ?? this.#stamp(o.stampOffset);
    this.tape.add(segment({ src, sport, dport, seq, ack, flags: ACK, ...o, options }));
    return this;
  }

  open(window?: number): this {
    this.raw({ flags: SYN, ack: 0, window, options: [...this.#options, ...this.#stamp()] });
    this.seq++;
    this.ack++;
    return this.raw({ window });
  }

  send(data: readonly number[], o: TcpOptionsOf = {}): this {
    this.raw({ data, flags: ACK | 8, ...o });
    this.seq += data.length;
    return this;
  }

  /** So many bytes came from the victim. */
  got(bytes: number): this {
    this.ack += bytes;
    return this;
  }
}

export const text = (what: string): number[] => [...what].map((c) => c.charCodeAt(0));
export const repeat = (byte: number, times: number): number[] => new Array(times).fill(byte);
