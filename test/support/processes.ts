// What of netcell runs on this host right now, read from /proc: for tests that look for things left behind.

import { readdirSync, readFileSync } from "node:fs";

/** Against hanging only: the machine may be busy with something else. */
const HANGS_MS = 20_000;

export interface HostProcess {
  pid: number;
  parent: number;
  name: string;
  /** Ended, and not reaped yet. */
  isZombie: boolean;
}

function processOf(pid: number): HostProcess | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const field = (name: string): string =>
      new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
    const isZombie = /^[ZX]/.test(field("State"));
    return { pid, parent: Number(field("PPid")), name: field("Name"), isZombie };
  } catch {
    return null; // it ended while we looked
  }
}

export function hostProcesses(): HostProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processOf(Number(name)))
    .filter((p) => p !== null && !p.isZombie) as HostProcess[];
}

/** All below `root`, without itself. Stubs are children of their Sentry. */
export function descendants(root: number): HostProcess[] {
  const all = hostProcesses();
  const found: HostProcess[] = [];
  const pending = [root];
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
    for (const p of all) {
      if (p.parent === parent) {
        found.push(p);
        pending.push(p.pid);
      }
    }
  }
  return found;
}

/** Waits until none of these is left, not even as a zombie; false after limitMs. */
export function allGone(pids: readonly number[], limitMs = HANGS_MS): Promise<boolean> {
  return noneIs((p) => p !== null, pids, limitMs);
}

/** As allGone, but zombies count as gone: where nobody of ours lives who could reap them. */
export function allEnded(pids: readonly number[], limitMs = HANGS_MS): Promise<boolean> {
  return noneIs((p) => p !== null && !p.isZombie, pids, limitMs);
}

async function noneIs(
  isLeft: (p: HostProcess | null) => boolean,
  pids: readonly number[],
  limitMs: number,
): Promise<boolean> {
  const end = performance.now() + limitMs;
  for (;;) {
    const alive = pids.filter((pid) => isLeft(processOf(pid)));
    if (alive.length === 0) return true;
    if (performance.now() > end) return false;
    await new Promise((go) => setTimeout(go, 10));
  }
}

/** Polls until `probe` gives something. */
export async function until<T>(
  probe: () => T | null | undefined | false,
  limitMs = HANGS_MS,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const value = probe();
    if (value !== null && value !== undefined && value !== false) return value;
    if (performance.now() > end)
      throw new Error(`not so within ${limitMs} ms: ${probe.toString()}`);
    await new Promise((go) => setTimeout(go, 10));
  }
}
