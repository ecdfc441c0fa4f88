// Goal: valid frames are valid by the judgment of two others (the stack and the decoder), hostile ones are not but
// do no harm, and whatever fails shrinks to the case that a person would have written.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CapturedFrame, LINKTYPE_ETHERNET } from "../../link/index.ts";
import { FrameDecoder } from "../decode/frame-decoder.ts";
import { Subject } from "../fuzz/subject.ts";
import * as arbitraries from "./index.ts";

const RUNS = { numRuns: 300, seed: 5 };

function captured(bytes: Uint8Array): CapturedFrame {
  const frame = new CapturedFrame();
  frame.bytes = bytes;
  frame.length = bytes.length;
  frame.originalLength = bytes.length;
  frame.linkType = LINKTYPE_ETHERNET;
  return frame;
}

/** What a failing property is shrunk to. */
function smallest<T>(arbitrary: fc.Arbitrary<T>, fails: (value: T) => boolean): T {
  const outcome = fc.check(
    fc.property(arbitrary, (value) => !fails(value)),
    { numRuns: 3_000, seed: 11 },
  );
  if (outcome.counterexample === null) throw new Error("nothing failed");
  return outcome.counterexample[0];
}

const text = (frame: Uint8Array): string =>
  new FrameDecoder({ verbosity: 1 }).text(captured(frame));

describe("moods", () => {
  it("valid frames: the decoder finds nothing wrong and the stack parses them", () => {
    const subject = new Subject({ seed: 1 });
    const before = subject.wireErrors();
    fc.assert(
      fc.property(arbitraries.frame({ mood: "valid" }), (frame) => {
        // What an error quotes ends early.
        expect(text(frame).replace(/\[\|(tcp|udp)\]/, "")).not.toMatch(
          /bad|incorrect|wrong|invalid|truncated|\[\|/,
        );
        subject.inject(frame);
      }),
      RUNS,
    );
    expect(subject.wireErrors()).toEqual(before);
  });

  it("hostile frames: both see lies, neither throws", () => {
    const subject = new Subject({ seed: 1 });
    let strange = 0;
    fc.assert(
      fc.property(arbitraries.frame({ mood: "hostile" }), (frame) => {
        if (/bad|incorrect|wrong|invalid|truncated|\[\|/.test(text(frame))) strange++;
        subject.inject(frame);
      }),
      RUNS,
    );
    expect(strange).toBeGreaterThan(RUNS.numRuns / 10);
    expect(Object.keys(subject.drops()).length).toBeGreaterThan(5);
  });
});

describe("shrinking", () => {
  it("a frame that fails for being TCP becomes the plainest segment", () => {
    const frame = smallest(arbitraries.frame(), (f) => f.length > 33 && f[12] === 8 && f[23] === 6);
    expect(text(frame)).toContain("10.0.0.2.1024 > 10.0.0.1.80: Flags [.], cksum");
    expect(frame.length).toBe(54);
  });

  it("one that fails for its SYN with a window scale keeps only that", () => {
    const hasScale = (f: Uint8Array): boolean => / \[S\].*wscale/.test(text(f));
    const frame = smallest(arbitraries.tcpFrame(), hasScale);
    expect(frame.length).toBe(14 + 20 + 24);
    expect(text(frame)).toMatch(/seq 0, win 65535, options \[wscale 0,/);
  });

  it("a lie about a length stays the only lie", () => {
    const frame = smallest(
      arbitraries.udpFrame({ mood: "hostile" }),
      (f) => f[12] === 8 && f.length >= 42 && (f[38] << 8) + f[39] > f.length - 34,
    );
    expect(frame.length).toBe(42);
    expect([f4(frame, 14), frame[22]]).toEqual([0x4500001c, 64]);
  });

  it("a stream that fails in pieces is cut once", () => {
    const bytes = Uint8Array.from({ length: 50 }, (_, i) => i);
    const pieces = smallest(arbitraries.segments(bytes), (list) => list.length > 1);
    expect(pieces.map((piece) => piece.bytes.length)).toEqual([1, 49]);
    const disorder = (list: readonly { offset: number }[]): boolean =>
      list.some((piece, i) => i > 0 && piece.offset < list[i - 1].offset);
    const moved = smallest(arbitraries.disorderedSegments(bytes), disorder);
    expect(moved.length).toBeLessThanOrEqual(3);
  });

  it("a schedule shrinks to one drop, calls to those that matter", () => {
    const faults = smallest(arbitraries.faultSchedule(), (list) => list.length > 0);
    expect(faults).toEqual([{ from: "a", frame: 0, fate: "drop", amount: 1 }]);
    const calls = smallest(arbitraries.socketCalls(), (list) =>
      list.some((c) => c.call === "connect" && list.some((o) => o.call === "listen")),
    );
    expect(calls).toHaveLength(2);
    expect(calls).toContainEqual({ call: "connect", socket: 0, port: 80 });
    expect(calls).toContainEqual({ call: "listen", socket: 0, backlog: 8 });
  });

  it("a conversation shrinks to its handshake and one byte", () => {
    const one = smallest(
      arbitraries.conversation({ damage: true }),
      (c) => c.fromServer.length > 0 && c.frames.length > 5,
    );
    expect(one.fromClient.length).toBe(0);
    expect(one.frames.length).toBeLessThanOrEqual(8);
    expect(text(one.frames[0].bytes)).toContain("[S]");
  });

  it("fragments shrink to two pieces in order", () => {
    const { frames } = smallest(arbitraries.fragments(4), (f) => f.frames.length > 1);
    expect(frames).toHaveLength(2);
    expect(text(frames[0])).toContain("flags [+]");
  });
});

const f4 = (b: Uint8Array, at: number): number =>
  ((b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]) >>> 0;
