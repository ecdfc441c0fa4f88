// Goal: a frame out of the blue gets from our stack what it gets from Linux: the same kinds of answers, RSTs with the
// same numbers, ICMP errors of the same code and length, or silence. Method: drawn frames go into a TAP device whose
// other side is the host's kernel in a network namespace of the test's own, and into a stack of ours in the same place.

import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { u16 } from "../src/base/bytes.ts";
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
  const linux = new LinuxStation(DEFAULT_PLACE);
  afterAll(() => linux.close());

  it.each<Mood>(["valid", "near", "hostile"])(
    "%s: is answered as Linux answers it",
    async (mood) => {
      await linux.tell("quiet 200");
      const frames = fc.sample(frame({ mood }), { seed: SEED, numRuns: RUNS });
      let answers = 0;
      const differences: unknown[] = [];
      for (const bytes of frames) {
        // Accepted: what comes to a group of the link is never answered by us, whatever its IP address says; Linux
        // answers an echo request. So are frames with a tag: the kernel has no device for it.
        if ((bytes[0] & 1) !== 0 || u16(bytes, 12) === 0x8100) continue;
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
