// How the `stack` benchmarks count: per millisecond of this process's CPU time, the collector's and compiler's
// threads included, and of the best slice of many: the machine has other users. Two sides that are compared
// take slices in turn.

export const SLICE_MS = 40;
export const SHORT_SLICE_MS = 10;
export const SLICES = 40;
/** Of CPU time: by the clock's, a busy machine would begin to measure before the compiler is through. */
const WARM_UP_MS = 2_000;

/** What is measured: does a bit, answers with how much. */
export type Work = () => number;
export type SlowWork = () => Promise<number>;

export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

export function warmUp(work: Work): void {
  for (const until = cpuMs() + WARM_UP_MS; cpuMs() < until; ) work();
}

async function slowWarmUp(work: SlowWork): Promise<void> {
  for (const until = cpuMs() + WARM_UP_MS; cpuMs() < until; ) await work();
}

function slice(work: Work, ms: number): number {
  const started = cpuMs();
  let count = 0;
  for (const until = performance.now() + ms; performance.now() < until; ) count += work();
  return count / (cpuMs() - started);
}

async function slowSlice(work: SlowWork, ms: number): Promise<number> {
  // Promises alone would never let its timers run.
  await new Promise((go) => setImmediate(go));
  const started = cpuMs();
  let count = 0;
  for (const until = performance.now() + ms; performance.now() < until; ) count += await work();
  return count / (cpuMs() - started);
}

export function bestRate(work: Work): number {
  warmUp(work);
  let best = 0;
  for (let i = 0; i < SLICES; i++) best = Math.max(best, slice(work, SLICE_MS));
  return best;
}

/** Of both sides, or of the one that there is, in turn. Short slices fit between two other users. */
export async function bestRates(
  own: Work,
  other: SlowWork | null,
): Promise<[number, number | null]> {
  warmUp(own);
  if (other !== null) await slowWarmUp(other);
  let [best, bestOther] = [0, 0];
  for (let i = 0; i < (SLICES * SLICE_MS) / SHORT_SLICE_MS; i++) {
    best = Math.max(best, slice(own, SHORT_SLICE_MS));
    if (other !== null) bestOther = Math.max(bestOther, await slowSlice(other, SHORT_SLICE_MS));
  }
  return [best, other === null ? null : bestOther];
}

/**
 * Of `pieces` times `count`, both sides in turn: all of it, not the best, for what the collector takes is part
 * of what a transfer costs.
 */
export async function wholeRates(
  own: Work,
  other: SlowWork | null,
  count: number,
  pieces: number,
): Promise<[number, number | null]> {
  const done = [0, 0];
  const spentMs = [0, 0];
  const piece = async (side: 0 | 1, work: Work | SlowWork): Promise<void> => {
    await new Promise((go) => setImmediate(go));
    const started = cpuMs();
    let n = 0;
    while (n < count) n += await work();
    done[side] += n;
    spentMs[side] += cpuMs() - started;
  };
  warmUp(own);
  if (other !== null) {
    await slowWarmUp(other);
    // Once more: it has been idle now, which is code of its own.
    warmUp(own);
  }
  for (let i = 0; i < pieces; i++) {
    await piece(0, own);
    if (other !== null) await piece(1, other);
  }
  return [done[0] / spentMs[0], other === null ? null : done[1] / spentMs[1]];
}
