// Goal: campaigns find what is planted and nothing where nothing is, a case runs the same every time, and what is
// found becomes small. The whole table of planted faults is in test/long/fuzz.test.ts; here are those found at once.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PERFECT } from "../../link/index.ts";
import { arbitraries, runScript } from "../index.ts";
import { Campaign } from "./campaign.ts";
import { caseFromJson, caseToJson } from "./case-file.ts";
import { shrink } from "./shrink.ts";
import type { StackStep } from "./stack-steps.ts";
import { StackTarget } from "./stack-target.ts";
import { Subject } from "./subject.ts";
import type { Target } from "./target.ts";
import { TcpTarget } from "./tcp-target.ts";
import { PLANTED } from "./testing-faults.ts";
import { WireTarget } from "./wire-target.ts";

function search(target: Target<unknown>, cases: number): Campaign<unknown> {
  const campaign = new Campaign(target, { seed: 1 });
  for (let i = 0; i < cases; i++) {
    const found = campaign.next();
    if (found !== null) throw new Error(caseToJson(target.name, found.case, found.failure));
  }
  return campaign;
}

const honestSyn: StackStep = {
  ...{ do: "segment", peer: 0, flags: 2, seq: 0, ack: 0 },
  ...{ length: 0, window: 65_535, urgent: 0, options: 0 },
};

describe("campaigns", () => {
  it.each([
    ["stack", new StackTarget() as unknown as Target<unknown>, 40],
    ["tcp", new TcpTarget() as unknown as Target<unknown>, 15],
    ["wire", new WireTarget() as unknown as Target<unknown>, 15],
  ])(
    "%s: finds nothing in a stack without a planted fault, and keeps what is new",
    (_n, target, n) => {
      const campaign = search(target, n);
      expect(campaign.coverage.count).toBeGreaterThan(100);
      expect(campaign.corpus.length).toBeGreaterThan(3);
    },
  );

  it("the same seed makes the same campaign, and the same case the same frames", () => {
    const run = (): unknown[] => {
      const campaign = search(new StackTarget() as unknown as Target<unknown>, 10);
      return [campaign.frames, campaign.coverage.count, campaign.corpus];
    };
    expect(run()).toEqual(run());
    const target = new StackTarget();
    const steps = fc.sample(target.steps, { seed: 4, numRuns: 60 });
    const frames = (): string[] => {
      const seen: string[] = [];
      target.run(8, steps, (now, b, n) => seen.push(`${now} ${b.subarray(0, n).join()}`));
      return seen;
    };
    expect(frames()).toEqual(frames());
  });

  it.each([
    "short frames",
    "one header checksum",
    "packets with an odd",
    "bytes held",
    "each acknowledgment doubles",
  ])("finds a planted fault and makes it small: %s", (what) => {
    const fault = PLANTED.find((p) => p.what.startsWith(what));
    if (fault === undefined) throw new Error(`no fault ${what}`);
    const campaign = new Campaign(fault.target, { seed: 1 });
    let found = campaign.next();
    for (let i = 0; i < 200 && found === null; i++) found = campaign.next();
    if (found === null) throw new Error("not found");
    const small = shrink(fault.target, found.case, found.failure, 400);
    expect(small.failure.law).toBe(found.failure.law);
    expect(small.case.steps.length).toBeLessThanOrEqual(10);
  });
});

it("a frame that the line damages too is not made right again by its second fault", () => {
  const corrupt = { ...PERFECT, corrupt: 0.02 };
  const { failure } = new TcpTarget().run(2_872_699_355, [
    { do: "write", side: 1, length: 1449 },
    { do: "write", side: 1, length: 1133 },
    { do: "line", conditions: corrupt },
    { do: "fault", from: "b", frame: 3, fate: "corrupt", amount: 34 },
    { do: "fault", from: "b", frame: 0, fate: "duplicate", amount: 0 },
  ]);
  expect(failure).toBeNull();
});

describe("case files", () => {
  it("bring a case back as it was", () => {
    const steps = fc.sample(new StackTarget().steps, { seed: 2, numRuns: 50 });
    const file = caseFromJson(caseToJson("stack", { seed: 5, steps }));
    expect(file).toEqual({ target: "stack", case: { seed: 5, steps } });
  });

  it("say what is wrong with a text that is none", () => {
    expect(caseFromJson("{")).toBe("it is no JSON");
    expect(caseFromJson("null")).toContain("does not say");
    expect(caseFromJson('{"what":"netcell fuzz case","target":"stack"}')).toContain("missing");
  });

  const conversation: StackStep[] = [
    honestSyn,
    { ...honestSyn, flags: 16 },
    { ...honestSyn, flags: 24, length: 100 },
    { ...honestSyn, flags: 16 },
    { ...honestSyn, flags: 17 },
  ];

  it("a connection is said as a packet script with the calls, which a sound stack passes", () => {
    const script = new StackTarget().script(1, conversation, "nothing") ?? "";
    expect(script).toContain("+4.000 < S 0:0(0) win 65535");
    expect(script).toContain("> S. 0:0(0) ack 1");
    expect(script).toContain("write(4, ..., 3000) = 3000");
    expect(runScript(script)).toMatchObject({ message: "", state: "passed" });
  });

  it("the script of a failure shows what is wrong to `netcell drill`", () => {
    const target = new StackTarget({
      plant: ({ stack }) => {
        const { segment } = stack.tcp.context;
        const parse = segment.parse.bind(segment);
        segment.parse = (pkt) => {
          parse(pkt);
          if (segment.length === 100) segment.length--;
        };
      },
    });
    const script = target.script(1, conversation, "acknowledgment") ?? "";
    expect(runScript(script)).toMatchObject({ state: "failed" });
    expect(runScript(script).message).toContain("ack 100");
  });
});

describe("properties of the whole stack", () => {
  it("fragments give the datagram in any order, and twice", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<(4 | 6)[]>(4, 6).chain((f) => arbitraries.fragments(f, { twice: true })),
        ({ whole, frames }) => {
          const subject = new Subject({ seed: 1, limits: undefined });
          const before = subject.stack.counters.udpNoPorts;
          subject.inject(whole);
          const one = subject.stack.counters.udpNoPorts - before;
          expect(one).toBe(1);
          for (const frame of frames) subject.inject(frame);
          expect(subject.stack.counters.udpNoPorts - before).toBeGreaterThanOrEqual(2);
          expect(subject.stack.counters.dropUdpChecksum).toBe(0);
        },
      ),
      { numRuns: 60, seed: 3 },
    );
  });

  it("idle is idle: without frames and calls no timer stays", () => {
    const subject = new Subject({ seed: 1 });
    subject.advance(3_600e9);
    const { events } = subject;
    subject.advance(3_600e9);
    expect(subject.events).toBe(events);
    expect(subject.stack.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });
});
