import { describe, expect, it } from "vitest";
import { packetScript } from "./packet-script.ts";
import { captureOf, conversationsIn, type FrameChange } from "./testing.ts";

const PLAIN = captureOf({ bytes: [20_000, 60_000] });
const SIDES = ["client", "server"] as const;
const FIN = 1;

const scriptOf = (capture: Uint8Array, side: "client" | "server", change?: FrameChange) =>
  packetScript(conversationsIn(capture, change)[0], { side });

/** Frames up to the first with a FIN, exclusive. */
const untilFin = (): FrameChange => {
  let isOver = false;
  return ({ bytes, offset }) => {
    isOver ||=
      bytes[offset + 12] === 8 &&
      bytes[offset + 13] === 0 &&
      bytes[offset + 23] === 6 &&
      (bytes[offset + 47] & FIN) !== 0;
    return isOver ? 0 : 1;
  };
};

describe("a packet script made of a capture", () => {
  it.each(SIDES)("holds, whoever is played: the %s", (side) => {
    const { text, problem } = scriptOf(PLAIN, side);
    expect(problem).toBe("");
    expect(text).toMatch(
      /^\/\/ tcp 10\.0\.0\.1:\d+ > 10\.0\.0\.2:\d+: the (server|client) is the stack\.\n/,
    );
    expect(text).toMatch(/ < S 0:0\(0\)| > S 0:0\(0\)/);
  });

  it.each(SIDES)("holds for a capture that ends before the FINs, with the %s played", (side) => {
    const { problem } = scriptOf(PLAIN, side, untilFin());
    expect(problem).toBe("");
  });

  it.each(SIDES)("holds for any place where a capture is cut, with the %s played", (side) => {
    const total = conversationsIn(PLAIN)[0].packets.length;
    for (let end = 4; end < total + 4; end += 11) {
      const { problem } = scriptOf(PLAIN, side, (_, number) => (number <= end ? 1 : 0));
      expect(problem, `cut behind frame ${end}`).toBe("");
    }
  });

  it.each(SIDES)("holds for a long lossy transfer, with the %s played", (side) => {
    for (const seed of [1, 2]) {
      const conditions = { loss: 0.02, reorder: 0.03, duplicate: 0.01 };
      const capture = captureOf({ seed, conditions, bytes: [2000, 900_000] });
      expect(scriptOf(capture, side).problem, `seed ${seed}`).toBe("");
    }
  });

  it.each(SIDES)(
    "holds for a long transfer of which the capture lost a stretch, the %s played",
    (side) => {
      const capture = captureOf({ seed: 4, conditions: { loss: 0.01 }, bytes: [2000, 600_000] });
      const lost: FrameChange = (_, number) => (number > 100 && number < 400 ? 0 : 1);
      expect(scriptOf(capture, side, lost).problem).toBe("");
    },
  );

  it.each(SIDES)("holds for frames that the capture lost, with the %s played", (side) => {
    let data = 0;
    const { problem } = scriptOf(PLAIN, side, ({ length }) =>
      length > 1000 && data++ % 9 === 4 ? 0 : 1,
    );
    expect(problem).toBe("");
  });
});
