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
const LINK_TYPES = [
  LINKTYPE_ETHERNET,
  LINKTYPE_IPV4,
  LINKTYPE_IPV6,
  LINKTYPE_LINUX_SLL,
  LINKTYPE_NULL,
];
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
    const decoders = [0, 3].map((verbosity) => new FrameDecoder({ verbosity, link: true }));
    let at = 0;
    let frames = 0;
    let failure: Failure | null = null;
    try {
      for (; at < steps.length; at++) {
        const step = steps[at];
        if (step.do !== "frame") continue;
        frames++;
        watch?.(at * 1e6, step.bytes, step.bytes.length, false);
        decode(step.bytes, decoders, features);
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

function captured(bytes: Uint8Array, behind: number, linkType: number): CapturedFrame {
  const room = new Uint8Array(bytes.length + BEHIND).fill(behind);
  room.set(bytes);
  const frame = new CapturedFrame();
  frame.bytes = room;
  frame.length = bytes.length;
  frame.originalLength = bytes.length;
  frame.linkType = linkType;
  return frame;
}

function decode(bytes: Uint8Array, decoders: FrameDecoder[], features: number[]): void {
  for (const linkType of LINK_TYPES) {
    const one = captured(bytes, 0, linkType);
    const text = decoders[1].text(one);
    if (text.length > (bytes.length + 64) * TEXT_PER_BYTE_MAX) {
      throw new BrokenLaw("decoder output", `${text.length} characters for ${bytes.length} bytes`);
    }
    for (let i = 0; i < bytes.length; i++) {
      if (one.bytes[i] !== bytes[i]) throw new BrokenLaw("decoder writes", `byte ${i} changed`);
    }
    const other = new FrameDecoder({ verbosity: 3, link: true, absolute: true });
    const first = other.text(one);
    const again = new FrameDecoder({ verbosity: 3, link: true, absolute: true });
    if (again.text(captured(bytes, 0xa5, linkType)) !== first) {
      throw new BrokenLaw("decoder reads past the end", first.slice(0, 200));
    }
    JSON.stringify(decoders[0].layers(one));
    features.push(shapeOf(text));
  }
}

/** The kinds of words in a text: what the decoder found to say, without the numbers. */
function shapeOf(text: string): number {
  let hash = 0x811c9dc5;
  let wasLetter = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i) | 32;
    const isLetter = c >= 97 && c <= 122;
    if (isLetter && (wasLetter || !/[0-9a-f]/.test(text[i + 1] ?? ""))) {
      hash = Math.imul(hash ^ c, 0x01000193);
    }
    wasLetter = isLetter;
  }
  return hash >>> 16;
}

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
        expected !== undefined &&
        f.length === expected.length &&
        expected.every((byte, i) => f.bytes[f.offset + i] === byte);
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
  features.push(shapeOf(problem.message));
}
