// What happens to the stack under test: raw frames, segments of peers that know where they are, calls of a program,
// and time that passes. Drawn, changed and made simpler here; done in stack-target.ts.

import fc from "fast-check";
import { setU16, u16 } from "../../base/bytes.ts";
import type { SeededRng } from "../../base/rng.ts";
import { type SocketCall, socketCalls } from "../arbitraries/calls.ts";
import { fragments, frame } from "../arbitraries/ethernet.ts";
import { mendChecksums, mutateFrame } from "./mend.ts";
import { ACK, FIN, PSH, RST, type SegmentStep, SYN, URG } from "./peer.ts";
import { PEERS } from "./wire.ts";

export type StackStep =
  | { do: "frame"; bytes: Uint8Array }
  /** The same frame again and again; the 16-bit word at `at` counts up from what it is, checksums are made right. */
  | { do: "flood"; bytes: Uint8Array; at: number; count: number }
  | SegmentStep
  | { do: "call"; call: SocketCall }
  | { do: "wait"; milliseconds: number };

export const FRAME_BYTES_MAX = 1_514;
const FLOOD_MAX = 64;

const flags = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      SYN,
      ACK,
      ACK | PSH,
      FIN | ACK,
      SYN | ACK,
      RST | ACK,
      RST,
      ACK | URG | PSH,
    ),
  },
  { weight: 1, arbitrary: fc.nat(255) },
);

const distance = fc.oneof(
  { withCrossShrink: true },
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: -40, max: 3_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: -70_000, max: 70_000 }) },
);

const segment: fc.Arbitrary<StackStep> = fc.record({
  do: fc.constant("segment" as const),
  peer: fc.nat(PEERS - 1),
  flags,
  seq: distance,
  ack: distance,
  length: fc.oneof(
    { withCrossShrink: true },
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.constantFrom(1, 100, 1_000, 1_400) },
    { weight: 1, arbitrary: fc.nat(1_400) },
  ),
  window: fc.oneof(fc.constantFrom(65_535, 0, 1_000, 10_000), fc.nat(65_535)),
  urgent: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.nat(2_000) },
  ),
  options: fc.oneof({ weight: 2, arbitrary: fc.constantFrom(0, 15, 7, 8) }, fc.nat(127)),
});

/** What an honest client would send next; without some of these nothing ever gets established. */
const honest: fc.Arbitrary<StackStep> = fc
  .record({
    peer: fc.nat(PEERS - 1),
    what: fc.constantFrom(
      [SYN, 0, 15],
      [ACK, 0, 8],
      [ACK | PSH, 100, 8],
      [ACK | PSH, 1_400, 0],
      [FIN | ACK, 0, 0],
    ),
  })
  .map(({ peer, what: [bits, length, options] }) => ({
    do: "segment",
    peer,
    flags: bits,
    seq: 0,
    ack: 0,
    length,
    window: 65_535,
    urgent: 0,
    options,
  }));

const raw: fc.Arbitrary<StackStep> = fc
  .oneof(
    { weight: 4, arbitrary: frame() },
    { weight: 1, arbitrary: fragments(4).map((f) => f.frames[0]) },
    { weight: 1, arbitrary: fragments(6).map((f) => f.frames[f.frames.length - 1]) },
  )
  .map((bytes) => ({ do: "frame", bytes: bytes.subarray(0, FRAME_BYTES_MAX) }));

/** What many of a kind do: tables fill up, by sender, port, identification or whatever else lies at such a place. */
const flood: fc.Arbitrary<StackStep> = fc
  .tuple(frame(), fc.nat(30), fc.integer({ min: 2, max: FLOOD_MAX }))
  .filter(([bytes]) => bytes.length >= 24)
  .map(([bytes, at, count]) => ({
    do: "flood",
    bytes: bytes.subarray(0, FRAME_BYTES_MAX),
    at: Math.min(14 + 2 * at, bytes.length - 2),
    count,
  }));

/** Frame number i of a flood. */
export function floodFrame(step: { bytes: Uint8Array; at: number }, i: number): Uint8Array {
  const bytes = step.bytes.slice();
  if (i === 0 || step.at + 2 > bytes.length) return bytes;
  setU16(bytes, step.at, (u16(bytes, step.at) + i) & 0xffff);
  mendChecksums(bytes);
  return bytes;
}

const wait: fc.Arbitrary<StackStep> = fc
  .oneof(fc.nat(40), fc.nat(1_500), fc.nat(70_000))
  .map((milliseconds) => ({ do: "wait", milliseconds }));

const call: fc.Arbitrary<StackStep> = socketCalls({ sockets: 4, callsMax: 1 })
  .filter((list) => list.length > 0)
  .map(([one]) =>
    one.call === "wait"
      ? { do: "wait", milliseconds: one.milliseconds }
      : { do: "call", call: one },
  );

export const stackSteps: fc.Arbitrary<StackStep> = fc.oneof(
  { weight: 8, arbitrary: raw },
  { weight: 4, arbitrary: segment },
  { weight: 4, arbitrary: honest },
  { weight: 1, arbitrary: call },
  { weight: 2, arbitrary: wait },
  { weight: 1, arbitrary: flood },
);

const NUDGES = [0, 1, -1, 2, 100, -100, 1_400, -1_400, 65_535];

export function mutateStackStep(step: StackStep, rng: SeededRng): StackStep {
  const nudge = (): number => NUDGES[rng.below(NUDGES.length)];
  switch (step.do) {
    case "frame":
      return { do: "frame", bytes: mutateFrame(step.bytes, rng) };
    case "flood":
      return mutateFlood(step, rng);
    case "wait":
      return {
        do: "wait",
        milliseconds: rng.below(2) === 0 ? rng.below(3_000) : step.milliseconds * 2,
      };
    case "call":
      return step;
    case "segment":
      break;
  }
  const s = { ...step };
  switch (rng.below(8)) {
    case 0:
      s.flags ^= 1 << rng.below(6);
      break;
    case 1:
      s.seq += nudge();
      break;
    case 2:
      s.ack += nudge();
      break;
    case 3:
      s.length = Math.max(0, Math.min(1_400, s.length + nudge()));
      break;
    case 4:
      s.window = Math.max(0, Math.min(65_535, s.window + nudge()));
      break;
    case 5:
      s.options ^= 1 << rng.below(7);
      break;
    case 6:
      s.peer = rng.below(PEERS);
      break;
    default:
      s.urgent = rng.below(4) === 0 ? rng.below(2_000) : 0;
  }
  return s;
}

function mutateFlood(step: StackStep & { do: "flood" }, rng: SeededRng): StackStep {
  switch (rng.below(3)) {
    case 0:
      return { ...step, at: Math.min(14 + 2 * rng.below(31), step.bytes.length - 2) };
    case 1:
      return { ...step, count: 2 + rng.below(FLOOD_MAX - 1) };
    default: {
      const bytes = mutateFrame(step.bytes, rng);
      return { ...step, bytes, at: Math.min(step.at, bytes.length - 2) };
    }
  }
}

const bytesArbitrary = fc.uint8Array({ maxLength: FRAME_BYTES_MAX });

/** fast-check shrinks numbers and bytes; what is a frame stays one. */
export function* simplerStackSteps(step: StackStep): Iterable<StackStep> {
  if (step.do === "wait") {
    for (const { value_ } of fc.nat(1e9).shrink(step.milliseconds, undefined)) {
      yield { do: "wait", milliseconds: value_ };
    }
  } else if (step.do === "segment") yield* simplerSegments(step);
  else if (step.do === "flood") {
    yield { do: "frame", bytes: step.bytes };
    for (const { value_ } of fc.nat(FLOOD_MAX).shrink(step.count, undefined)) {
      if (value_ >= 2) yield { ...step, count: value_ };
    }
  } else if (step.do === "frame") {
    const body = step.bytes.subarray(14);
    for (const { value_ } of bytesArbitrary.shrink(body.slice(), undefined)) {
      const bytes = new Uint8Array(14 + value_.length);
      bytes.set(step.bytes.subarray(0, 14));
      bytes.set(value_, 14);
      yield { do: "frame", bytes };
      const mended = bytes.slice();
      mendChecksums(mended);
      yield { do: "frame", bytes: mended };
    }
  }
}

const ORDINARY = { seq: 0, ack: 0, length: 0, urgent: 0, options: 0, window: 65_535, peer: 0 };

function* simplerSegments(step: SegmentStep): Iterable<StackStep> {
  for (const [key, value] of Object.entries(ORDINARY) as [keyof typeof ORDINARY, number][]) {
    if (step[key] !== value) yield { ...step, [key]: value };
  }
  for (const key of ["seq", "ack"] as const) {
    for (const { value_ } of fc.integer().shrink(step[key], undefined)) {
      yield { ...step, [key]: value_ };
    }
  }
  for (const { value_ } of fc.nat(1_400).shrink(step.length, undefined)) {
    yield { ...step, length: value_ };
  }
  for (let bit = 0; bit < 7; bit++) {
    if ((step.options & (1 << bit)) !== 0) yield { ...step, options: step.options & ~(1 << bit) };
    if ((step.flags & (1 << bit)) !== 0) yield { ...step, flags: step.flags & ~(1 << bit) };
  }
}
