// Goal: a frame out of the blue gets from our stack what it gets from Linux: the same kinds of answers, RSTs with the
// same numbers, ICMP errors of the same code and length, or silence. Method: drawn frames go into a TAP device whose
// other side is the host's kernel in a network namespace of the test's own, and into a stack of ours in the same place.

import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { u16, u32 } from "../src/base/bytes.ts";
import { DEFAULT_LIMITS } from "../src/base/limits.ts";
import { frame } from "../src/lab/arbitraries/ethernet.ts";
import type { Mood } from "../src/lab/arbitraries/mood.ts";
import { DEFAULT_PLACE } from "../src/lab/arbitraries/place.ts";
import { Subject } from "../src/lab/fuzz/subject.ts";
import { Wire } from "../src/lab/fuzz/wire.ts";
import { inWords, LinuxStation } from "./support/linux-tap.ts";
import { describeWith } from "./support/needs.ts";

const RUNS = Number(process.env.NETCELL_RUNS ?? 400);
const SEED = Number(process.env.NETCELL_SEED ?? 1);

/**
 * Where we are silent and Linux is not: a frame to a group of the link (echo requests), a source that is the subnet's
 * broadcast (RFC 1122 3.2.1.3; Linux without rp_filter), the destination :: (RFC 4291 2.5.2; "no route" there), and
 * 240/4 (read for broken options there before it is nobody's). Tags: the kernel has no device for them.
 */
function isAccepted(b: Uint8Array): boolean {
  const type = u16(b, 12);
  if ((b[0] & 1) !== 0 || type === 0x8100) return true;
  if (type === 0x0800) return b.length >= 34 && (u32(b, 26) === 0x0affffff || b[30] >= 240);
  return type === 0x86dd && b.length >= 54 && b.subarray(38, 54).every((byte) => byte === 0);
}

/** What a stack of ours says to one frame. */
function ours(bytes: Uint8Array): string[] {
  const subject = new Subject({ seed: 1, limits: DEFAULT_LIMITS });
  subject.stack.icmp.limit.hostIntervalNs = 0;
  const said: string[] = [];
  const wire = new Wire(subject, (_now, b, length, isOut) => {
    const words = isOut ? inWords(b.slice(0, length)) : null;
    if (words !== null) said.push(words);
  });
  subject.inject(bytes);
  wire.settle((answer) => subject.inject(answer));
  subject.close();
  return said;
}

describeWith(["root", "python3", "ip"], "a frame out of the blue", () => {
  let linux: LinuxStation;
  // Not before: where it is not allowed the tests are skipped, but this body runs.
  beforeAll(() => {
    linux = new LinuxStation(DEFAULT_PLACE);
  });
  afterAll(() => linux?.close());

  it.each<Mood>(["valid", "near", "hostile"])(
    "%s: is answered as Linux answers it",
    async (mood) => {
      await linux.tell("quiet 200");
      const frames = fc.sample(frame({ mood }), { seed: SEED, numRuns: RUNS });
      let answers = 0;
      const differences: unknown[] = [];
      for (const bytes of frames) {
        if (isAccepted(bytes)) continue;
        const { frames: told, result } = await linux.inject(bytes);
        if (result.startsWith("ended")) throw new Error(result);
        const theirs = told.map(inWords).filter((words) => words !== null);
        answers += theirs.length;
        const mine = ours(bytes);
        if (JSON.stringify(mine) === JSON.stringify(theirs)) continue;
        differences.push({ frame: Buffer.from(bytes).toString("hex"), ours: mine, linux: theirs });
      }
      expect(differences).toEqual([]);
      expect(answers).toBeGreaterThan(RUNS / 20);
    },
  );
});
