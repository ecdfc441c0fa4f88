import { describe, expect, it } from "vitest";
import { CLIENT, SERVER } from "./conversation.ts";
import { cutSegment, playedFrames } from "./played-frames.ts";
import { traceTcp } from "./tcp-trace.ts";
import { captureOf, conversationsIn, type FrameChange, replayed } from "./testing.ts";

const PLAIN = captureOf({ bytes: [300_000, 20_000] });
/** A stretch in the middle that the capture does not have, of both sides. */
const LOSSY: FrameChange = (_, number) => (number > 40 && number < 240 ? 0 : 1);

const traceOf = (change?: FrameChange) => traceTcp(conversationsIn(PLAIN, change)[0]);
const dataOf = (frames: ReturnType<typeof playedFrames>) =>
  frames.filter(({ length }) => length > 0);

describe("what is played", () => {
  it("is what was captured, where nothing is missing", () => {
    const trace = traceOf();
    const own = trace.segments.filter(({ from }) => from === CLIENT);
    expect(playedFrames(trace, CLIENT)).toEqual(own);
  });

  it("covers what the capture lost with zeros, each byte once, before what shows that it was sent", () => {
    const trace = traceOf(LOSSY);
    const lost = trace.sides[CLIENT].stream.missingBytes;
    expect(lost).toBeGreaterThan(100_000);
    const frames = playedFrames(trace, CLIENT);
    const made = dataOf(frames).filter(({ packet }) => packet.number === 0);
    expect(made.reduce((sum, { length }) => sum + length, 0)).toBe(lost);
    let end = 0;
    for (const { at, length } of dataOf(frames)) {
      expect(at).toBeLessThanOrEqual(end);
      end = Math.max(end, at + length);
    }
    expect(end).toBe(300_000);
    for (const { packet, headerBytes } of made) {
      expect(packet.bytes.subarray(headerBytes).every((byte) => byte === 0)).toBe(true);
    }
  });

  it.each([CLIENT, SERVER])("goes through a window smaller than what was lost, side %i", (side) => {
    const outcome = replayed(PLAIN, { side: side === CLIENT ? "client" : "server" }, LOSSY);
    expect(outcome.problems).toEqual([]);
    expect(outcome.counts.early).toBe(0);
  });

  it("is cut in two without losing a byte or its end", () => {
    const frame = dataOf(playedFrames(traceOf(), CLIENT))[3];
    const [head, tail] = cutSegment(frame, 100);
    expect([head.at, head.length, tail.at, tail.length]).toEqual([
      frame.at,
      100,
      frame.at + 100,
      frame.length - 100,
    ]);
    const { headerBytes: header } = frame;
    const bytes = [...head.packet.bytes.subarray(header), ...tail.packet.bytes.subarray(header)];
    expect(bytes).toEqual([...frame.packet.bytes.subarray(header)]);
    expect(tail.flags).toBe(frame.flags);
  });
});
