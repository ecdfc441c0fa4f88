// The target `wire`: the decoder and the readers of captures under hostile bytes. A case is frames, and damage to
// the capture files that they are written into.

import fc from "fast-check";
import type { SeededRng } from "../../base/rng.ts";
import {
  CapturedFrame,
  CaptureReader,
  LINKTYPE_ETHERNET,
  LINKTYPE_IPV4,
  LINKTYPE_IPV6,
  LINKTYPE_LINUX_SLL,
  LINKTYPE_NULL,
  type PcapFormat,
  PcapWriter,
  sourceOf,
} from "../../link/index.ts";
import { frame } from "../arbitraries/ethernet.ts";
import { FrameDecoder } from "../decode/frame-decoder.ts";
import { mutateFrame } from "./mend.ts";
import { failureOf } from "./stack-target.ts";
import { BrokenLaw, type Failure, type Target, type Verdict, type Watch } from "./target.ts";

export type WireStep =
  | { do: "frame"; bytes: Uint8Array }
  /** A byte of the capture file: where, as a share of the file in 1/65536, and what is added to it. */
  | { do: "damage"; at: number; by: number };

const BEHIND = 64;
/** What a frame may be taken for besides Ethernet: one of these, by its length, so that it is the same every time. */
const OTHER_LINK_TYPES = [LINKTYPE_IPV4, LINKTYPE_IPV6, LINKTYPE_LINUX_SLL, LINKTYPE_NULL];
const FORMATS: readonly PcapFormat[] = ["us", "ns", "pcapng"];
/** More characters than this for a byte of a frame is a loop in the decoder. */
const TEXT_PER_BYTE_MAX = 400;

export class WireTarget implements Target<WireStep> {
  readonly name = "wire";
  readonly steps: fc.Arbitrary<WireStep> = fc.oneof(
    { weight: 12, arbitrary: frame().map((bytes) => ({ do: "frame" as const, bytes })) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("damage" as const),
        at: fc.nat(65_535),
        by: fc.integer({ min: 1, max: 255 }),
      }),
    },
  );

  run(_seed: number, steps: readonly WireStep[], watch?: Watch): Verdict {
    const features: number[] = [];
    const relating = new FrameDecoder({ link: true });
    let at = 0;
    let frames = 0;
    let failure: Failure | null = null;
    try {
      for (; at < steps.length; at++) {
        const step = steps[at];
        if (step.do !== "frame") continue;
        frames++;
        watch?.(at * 1e6, step.bytes, step.bytes.length, false);
        decode(step.bytes, relating, features);
      }
      for (const format of FORMATS) captures(format, steps, features);
    } catch (error) {
      failure = failureOf(error, at);
    }
    return { failure, features, frames, virtualNs: 0 };
  }

  mutate(step: WireStep, rng: SeededRng): WireStep {
    if (step.do === "frame") return { do: "frame", bytes: mutateFrame(step.bytes, rng) };
    return { do: "damage", at: rng.below(65_536), by: 1 + rng.below(255) };
  }

  *simpler(step: WireStep): Iterable<WireStep> {
    if (step.do !== "frame") return;
    const whole = fc.uint8Array({ maxLength: step.bytes.length });
    for (const { value_ } of whole.shrink(step.bytes.slice(), undefined)) {
      yield { do: "frame", bytes: value_ };
    }
  }
}

/** A frame with bytes of one kind behind it: what a decoder reads past the end shows. */
class Room {
  readonly frame = new CapturedFrame();
  readonly #behind: number;
  #bytes = new Uint8Array(4_096);

  constructor(behind: number) {
    this.#behind = behind;
  }

  fill(bytes: Uint8Array): void {
    const { length } = bytes;
    const { frame } = this;
    if (length + BEHIND > this.#bytes.length) this.#bytes = new Uint8Array(2 * (length + BEHIND));
    this.#bytes.set(bytes);
    this.#bytes.fill(this.#behind, length, length + BEHIND);
    frame.bytes = this.#bytes;
    frame.length = length;
    frame.originalLength = length;
  }

  /** The first byte that is not the frame's any more; -1: none. */
  changedAt(bytes: Uint8Array): number {
    for (let i = 0; i < bytes.length; i++) if (this.#bytes[i] !== bytes[i]) return i;
    return -1;
  }
}

const zeros = new Room(0);
const others = new Room(0xa5);
/** Knows of no connections, so that a frame's text is the same each time. */
const absolute = new FrameDecoder({ verbosity: 3, link: true, absolute: true });

/** `relating`: with what was learnt from the frames of this case so far. */
function decode(bytes: Uint8Array, relating: FrameDecoder, features: number[]): void {
  zeros.fill(bytes);
  others.fill(bytes);
  decodeAs(LINKTYPE_ETHERNET, bytes, relating, features);
  decodeAs(OTHER_LINK_TYPES[bytes.length % OTHER_LINK_TYPES.length], bytes, relating, features);
  const changed = zeros.changedAt(bytes);
  if (changed >= 0) throw new BrokenLaw("decoder writes", `byte ${changed} changed`);
}

function decodeAs(
  linkType: number,
  bytes: Uint8Array,
  relating: FrameDecoder,
  features: number[],
): void {
  zeros.frame.linkType = linkType;
  others.frame.linkType = linkType;
  absolute.clear();
  absolute.print(zeros.frame);
  const { printedLength: length } = absolute;
  if (length > (bytes.length + 64) * TEXT_PER_BYTE_MAX) {
    throw new BrokenLaw("decoder output", `${length} characters for ${bytes.length} bytes`);
  }
  absolute.print(others.frame);
  if (!isTwice(absolute.printed, length, absolute.printedLength)) {
    const text = absolute.text(zeros.frame);
    throw new BrokenLaw("decoder reads past the end", text.slice(0, 200));
  }
  features.push(shapeOf(absolute.printed, length));
  JSON.stringify(relating.layers(zeros.frame));
}

function isTwice(b: Uint8Array, length: number, both: number): boolean {
  if (both !== 2 * length) return false;
  for (let i = 0; i < length; i++) if (b[i] !== b[length + i]) return false;
  return true;
}

/** The kinds of words in a text: what the decoder found to say, without the numbers. */
function shapeOf(text: Uint8Array, length: number): number {
  let hash = 0x811c9dc5;
  let wasLetter = false;
  for (let i = 0; i < length; i++) {
    const c = text[i] | 32;
    const isLetter = c >= 97 && c <= 122;
    if (isLetter && (wasLetter || i + 1 === length || !isHex(text[i + 1]))) {
      hash = Math.imul(hash ^ c, 0x01000193);
    }
    wasLetter = isLetter;
  }
  return hash >>> 16;
}

const isHex = (c: number): boolean => (c >= 48 && c <= 57) || (c >= 97 && c <= 102);

function captures(format: PcapFormat, steps: readonly WireStep[], features: number[]): void {
  const pieces: Uint8Array[] = [];
  const sink = {
    write: (b: Uint8Array, offset: number, length: number): void => {
      pieces.push(b.slice(offset, offset + length));
    },
  };
  const writer = new PcapWriter(sink, format);
  const frames: Uint8Array[] = [];
  for (const [i, step] of steps.entries()) {
    if (step.do !== "frame") continue;
    writer.write(i * 1e6, step.bytes, 0, step.bytes.length);
    frames.push(step.bytes);
  }
  writer.flush();
  const file = new Uint8Array(pieces.reduce((n, piece) => n + piece.length, 0));
  let end = 0;
  for (const piece of pieces) {
    file.set(piece, end);
    end += piece.length;
  }
  let isDamaged = false;
  for (const step of steps) {
    if (step.do !== "damage" || file.length === 0) continue;
    file[Math.floor((step.at / 65_536) * file.length)] += step.by;
    isDamaged = true;
  }
  read(file, isDamaged ? null : frames, features);
}

function read(file: Uint8Array, wanted: Uint8Array[] | null, features: number[]): void {
  const reader = new CaptureReader(sourceOf(file));
  let count = 0;
  for (let f = reader.next(); f !== null; f = reader.next()) {
    if (count > file.length) throw new BrokenLaw("capture reader", "more frames than bytes");
    const expected = wanted?.[count];
    if (wanted !== null) {
      const isSame =
        expected !== undefined && f.length === expected.length && isAt(f.bytes, f.offset, expected);
      if (!isSame) throw new BrokenLaw("capture round trip", `frame ${count} is another`);
    }
    count++;
  }
  const { problem } = reader;
  if (wanted !== null && (problem !== null || count !== wanted.length)) {
    throw new BrokenLaw("capture round trip", problem?.message ?? `${count} frames`);
  }
  if (problem === null) return;
  if (!(problem.offset >= 0 && problem.offset <= file.length)) {
    throw new BrokenLaw("capture reader", `a problem at byte ${problem.offset}`);
  }
  const message = Uint8Array.from(problem.message, (c) => c.charCodeAt(0));
  features.push(shapeOf(message, message.length));
}

function isAt(b: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let i = 0; i < expected.length; i++) if (b[at + i] !== expected[i]) return false;
  return true;
}
