import { describe, expect, it } from "vitest";
import { MS, SECOND } from "../../base/clock.ts";
import { align, diffText } from "./diff.ts";
import { captureOf, replayed } from "./testing.ts";

const PLAIN = captureOf({ bytes: [20_000, 90_000] });
const SIDES = ["client", "server"] as const;

describe("replay of a connection", () => {
  it.each(SIDES)("plays the %s, and the other side does as captured", (side) => {
    const outcome = replayed(PLAIN, { side });
    expect(outcome).toMatchObject({ state: "passed", problems: [] });
    const [there, back] = side === "client" ? [20_000, 90_000] : [90_000, 20_000];
    expect(outcome.received).toMatchObject({ expectedBytes: there, bytes: there, wrongAt: -1 });
    expect(outcome.sent).toMatchObject({ expectedBytes: back, bytes: back, wrongAt: -1 });
    expect(outcome.counts).toMatchObject({ repairs: 0, early: 0 });
    // It takes as long as it took, but for the time the captured server waited in the end.
    expect(outcome.replayNs).toBeGreaterThan(0.5 * outcome.capturedNs - 1000 * MS);
  });

  it("needs no captured time at the fast pace", () => {
    const fast = replayed(PLAIN, { pace: "fast" });
    expect(fast.state).toBe("passed");
    expect(fast.replayNs).toBeLessThan(replayed(PLAIN).replayNs);
  });

  it.each(SIDES)("plays the %s of a lossy, reordering line over IPv6", (side) => {
    for (const seed of [1, 2, 3]) {
      const conditions = { loss: 0.03, reorder: 0.05, duplicate: 0.02, jitterNs: 2 * MS };
      const capture = captureOf({ seed, conditions, isIpv6: true, bytes: [60_000, 60_000] });
      const outcome = replayed(capture, { side });
      expect(outcome.problems).toEqual([]);
      expect(outcome.sent.bytes).toBe(60_000);
      expect(outcome.received.bytes).toBe(60_000);
    }
  });

  it("takes a damaged frame for lost, as its receiver did", () => {
    const capture = captureOf({ seed: 5, conditions: { corrupt: 0.05 }, bytes: [40_000, 40_000] });
    expect(replayed(capture, { side: "server" })).toMatchObject({ state: "passed" });
  });

  it("fails when our stack does not answer", () => {
    const mute = replayed(PLAIN, {
      configure: (stack) => {
        for (const { id } of stack.nics) stack.routes.removeNic(id);
      },
    });
    expect(mute.state).toBe("failed");
    expect(mute.verdict).toContain("our stack sent 0 of 90000 bytes");
  });

  it("opens a connection itself whose beginning was not captured", () => {
    const outcome = replayed(PLAIN, {}, (_, number) => (number > 8 ? 1 : 0));
    expect(outcome.state).toBe("passed");
    expect(outcome.verdict).toContain("a handshake of our own");
  });

  it("fills with zeros what the capture cut off or lost, and says so", () => {
    const cut = replayed(PLAIN, {}, (frame) => {
      frame.length = Math.min(frame.length, 100);
      return 1;
    });
    expect(cut.state).toBe("passed");
    expect(cut.verdict).toMatch(/zeros for \d+ bytes/);
    let data = 0;
    const lost = replayed(PLAIN, { side: "server" }, (frame) =>
      frame.length > 1000 && data++ % 10 === 5 ? 0 : 1,
    );
    expect(lost.problems).toEqual([]);
    expect(lost.received.missingInCapture + lost.sent.missingInCapture).toBeGreaterThan(1000);
  });

  it("takes no notice of frames that were captured twice", () => {
    expect(replayed(PLAIN, {}, () => 2)).toMatchObject({ state: "passed" });
  });

  it.each([10, 1])("acknowledges in %i s of silence what was, uncaptured", (silence) => {
    const capture = captureOf({ bytes: [500, 4_000] });
    // Of the client's four ACKs of what the server sends (frames 9, 11, 13, 15) only the last, and that late.
    const outcome = replayed(capture, { side: "client" }, (frame, number) => {
      if (number >= 15) frame.seconds += silence;
      return number === 9 || number === 11 || number === 13 ? 0 : 1;
    });
    expect(outcome).toMatchObject({ state: "passed", problems: [] });
    expect(outcome.replayNs).toBeGreaterThan(silence * SECOND);
    // That a short silence lacks one is known when our stack sends again what the captured one did not.
    expect(outcome.counts.retransmissions).toBe(silence > 3 ? 0 : 1);
    expect(outcome.counts.addedAcks).toBeGreaterThan(0);
  });

  it("does not play what it cannot, and says why", () => {
    const syns = replayed(PLAIN, {}, (frame, number) => (frame.length < 80 && number < 4 ? 1 : 0));
    expect(syns).toMatchObject({
      state: "skipped",
      verdict: "not played: nobody answers in the capture",
    });
  });

  it("lays both side by side", () => {
    const { captured, replayed: again, side } = replayed(PLAIN);
    const rows = align(captured, again, side);
    expect(rows.filter(({ captured: c }) => c !== null)).toHaveLength(captured.length);
    expect(rows.filter(({ replayed: r }) => r !== null)).toHaveLength(again.length);
    const text = diffText(rows, side, { context: null, rowsMax: 4 });
    expect(text).toMatch(
      /^ {2}captured +\| replayed\n {2}0\.000000 < S 0:0\(0\) win \d+ <mss 1460,sackOK,TS,wscale \d+> +\| /,
    );
  });
});
