import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SIGKILL, SIGSTOP } from "../../abi/signal.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { MS, SECOND } from "../../base/clock.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { contextOf, KernelFixture } from "../testing/kernel-fixture.ts";
import type { Task } from "./task.ts";
import { sendKernelSignal } from "./task-signals.ts";

const PERIOD_NS = 100 * MS;
const limitedTo = (millicores: number): KernelFixture =>
  new KernelFixture({ limits: { ...DEFAULT_LIMITS, millicores } });

/** Time passes, from timer to timer; how long contexts ran meanwhile, each for itself. */
function pass(f: KernelFixture, ns: number, stepNs = 1 * MS): number {
  const { clock, kernel, platform } = f;
  const end = clock.monotonicNs() + ns;
  let ranNs = 0;
  while (clock.monotonicNs() < end) {
    const now = clock.monotonicNs();
    const next = Math.min(end, now + stepNs, Math.max(now + 1, kernel.nextDeadlineNs()));
    ranNs += platform.runningCount * (next - now);
    f.advance(next - now);
  }
  return ranNs;
}

/** Children of the first, and it. */
function tasks(f: KernelFixture, count: number): Task[] {
  const first = f.process();
  const made = [first];
  while (made.length < count) made.push(f.task(f.call(first, nr.SYS_fork) as number));
  return made;
}

describe("CPU bandwidth", () => {
  it("is nothing without a limit", () => {
    expect(new KernelFixture().kernel.bandwidth).toBeNull();
  });

  it.each([
    [10, 1],
    [250, 1],
    [250, 2],
    [1500, 2],
  ])("gives %i thousandths of a CPU to %i that want all", (millicores, count) => {
    const f = limitedTo(millicores);
    tasks(f, count);
    const ranNs = pass(f, 10 * SECOND);
    expect(ranNs).toBeGreaterThan((millicores / 1000) * 10 * SECOND * 0.97);
    expect(ranNs).toBeLessThan((millicores / 1000) * 10 * SECOND + PERIOD_NS);
  });

  it("does not hold back who takes less", () => {
    const f = limitedTo(500);
    const [t] = tasks(f, 1);
    for (let i = 0; i < 100; i++) {
      pass(f, 4 * MS);
      expect(f.call(t, nr.SYS_poll, 0, 0, 6)).toBeNull();
      pass(f, 6 * MS);
      expect(f.result(t)).toBe(0);
    }
    expect(f.kernel.bandwidth?.throttled).toBe(0);
  });

  it("arms no timer while nothing runs", () => {
    const f = limitedTo(500);
    const [t] = tasks(f, 1);
    expect(f.call(t, nr.SYS_pause)).toBeNull();
    pass(f, PERIOD_NS);
    expect(f.kernel.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("lets the dying go at once, and the stopped stay", () => {
    const f = limitedTo(100);
    const [parent, child] = tasks(f, 2);
    while (contextOf(parent).isRunning) pass(f, 1 * MS);
    expect([parent.isHeld, child.isHeld]).toEqual([true, true]);
    const before = f.clock.monotonicNs();
    sendKernelSignal(child.threadGroup, SIGKILL);
    f.run();
    expect(child.context).toBeNull();
    expect(f.clock.monotonicNs()).toBe(before);
    sendKernelSignal(parent.threadGroup, SIGSTOP);
    pass(f, 10 * PERIOD_NS);
    expect(contextOf(parent).isRunning).toBe(false);
  });

  it("never lends more than a slice for each CPU, whatever is asked when", () => {
    const step = fc.record({ task: fc.nat(3), ns: fc.integer({ min: 1, max: 30 * MS }) });
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 2000 }), fc.array(step), (millicores, steps) => {
        const f = limitedTo(millicores);
        const all = tasks(f, 4);
        let ranNs = 0;
        for (const { task, ns } of steps) {
          const t = all[task];
          if (contextOf(t).isRunning) f.call(t, nr.SYS_sched_yield);
          ranNs += passOnCpus(f, ns);
        }
        const mayNs = (f.clock.monotonicNs() + PERIOD_NS) * (millicores / 1000);
        expect(ranNs).toBeLessThanOrEqual(mayNs + 2 * MS);
      }),
      { numRuns: 50 },
    );
  });
});

/** As pass(), of two CPUs: more contexts than there are of them run no faster. */
function passOnCpus(f: KernelFixture, ns: number): number {
  const end = f.clock.monotonicNs() + ns;
  let ranNs = 0;
  while (f.clock.monotonicNs() < end) {
    const now = f.clock.monotonicNs();
    const next = Math.min(end, Math.max(now + 1, f.kernel.nextDeadlineNs()));
    ranNs += Math.min(2, f.platform.runningCount) * (next - now);
    f.advance(next - now);
  }
  return ranNs;
}
