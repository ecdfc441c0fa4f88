import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as host from "../../host/index.ts";
import { TRAP_SYSCALL, type VdsoImage } from "../platform/platform.ts";
import {
  symbolOffset,
  TIME_MODE_FROZEN,
  TIME_MODE_SYSCALL,
  TimePage,
} from "../platform/systrap/index.ts";
import { DATA_AT, PROGRAMS, ToyMachine } from "../platform/systrap/toy-machine.ts";
import { HostClock, isTscStable } from "./host-clock.ts";

const VDSO_AT = 0x7_0000_0000;
const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const CLOCK_PROCESS_CPUTIME_ID = 2;
const STACK_AT = 0x5f_f000;

let m: ToyMachine;
beforeAll(() => {
  m = new ToyMachine();
});
afterAll(() => {
  m.dispose();
});

function symbol(image: VdsoImage, name: string): number {
  const elf = Buffer.alloc(image.imageBytes);
  host.pread(image.fd, elf, 0, elf.length, image.imageOffset);
  return symbolOffset(elf, name);
}

/** Calls __vdso_clock_gettime in a stub: nanoseconds, or the number of the call it fell back to. */
function callVdso(image: VdsoImage, clock: number): { ns: bigint } | { nr: number } {
  const space = m.space();
  m.loadCode(space, PROGRAMS.call);
  const data = m.mapData(space);
  m.mapData(space, STACK_AT);
  space.map(VDSO_AT, image.dataBytes, host.PROT_READ, image.fd, image.dataOffset);
  const prot = host.PROT_READ | host.PROT_EXEC;
  space.map(VDSO_AT + image.dataBytes, image.imageBytes, prot, image.fd, image.imageOffset);
  const entry = VDSO_AT + image.dataBytes + symbol(image, "__vdso_clock_gettime");
  const c = m.context(space, clock, DATA_AT, entry);
  m.run(c);
  if (c.trap !== TRAP_SYSCALL) throw new Error(`fault at ${c.faultAddress.toString(16)}`);
  const nr = m.nr(c);
  const view = new DataView(m.memory.buffer);
  const ns = view.getBigInt64(data, true) * 1_000_000_000n + view.getBigInt64(data + 8, true);
  c.release();
  space.release();
  return nr === 8 ? { ns } : { nr };
}

it("starts with a second on the clock: programs take zero seconds for a time that was never set", () => {
  expect(new HostClock(false).monotonicNs()).toBeGreaterThanOrEqual(1e9);
  expect(new HostClock().monotonicNs()).toBeLessThan(2e9);
});

describe.skipIf(!isTscStable())("the host's clock by time stamp counter", () => {
  it("keeps with the host's monotonic clock, and never goes back over a calibration", () => {
    const clock = new HostClock();
    // How far the host's clock is ahead lies between the two: the machine may do something else meanwhile.
    const ahead = (): [number, number] => {
      const before = host.hostClockNumberNs(host.CLOCK_MONOTONIC);
      const ours = clock.monotonicNs();
      return [before - ours, host.hostClockNumberNs(host.CLOCK_MONOTONIC) - ours];
    };
    const first = ahead();
    let last = clock.monotonicNs();
    let wentBack = 0;
    for (let i = 0; i < 20_000; i++) {
      if (i % 1000 === 0) clock.calibrate(last + 2e9 * (i + 1));
      const now = clock.monotonicNs();
      if (now < last) wentBack++;
      last = now;
    }
    expect(wentBack).toBe(0);
    const second = ahead();
    expect(second[0] - first[1]).toBeLessThan(100_000);
    expect(first[0] - second[1]).toBeLessThan(100_000);
    const before = Date.now();
    const real = clock.realtimeNs() / 1e6;
    expect(real).toBeGreaterThan(before - 50);
    expect(real).toBeLessThan(Date.now() + 50);
  });

  it("tells programs the same time through the vDSO, without a trap", () => {
    const clock = new HostClock();
    for (const id of [CLOCK_MONOTONIC, CLOCK_REALTIME]) {
      const read = (): number => (id === CLOCK_REALTIME ? clock.realtimeNs() : clock.monotonicNs());
      const before = read();
      const r = callVdso(clock.vdso, id) as { ns: bigint };
      const after = read();
      expect(Number(r.ns)).toBeGreaterThanOrEqual(before - 2000);
      expect(Number(r.ns)).toBeLessThanOrEqual(after + 2000);
    }
  });
});

describe("the vDSO", () => {
  it("asks the kernel for clocks it does not know, and for all in that mode", () => {
    const clock = new HostClock(false);
    expect(callVdso(clock.vdso, CLOCK_PROCESS_CPUTIME_ID)).toEqual({ nr: 228 });
    expect(callVdso(clock.vdso, CLOCK_MONOTONIC)).toEqual({ nr: 228 });
    expect(clock.monotonicNs()).toBeGreaterThanOrEqual(0);
  });

  it("returns frozen time as it stands", () => {
    const page = new TimePage();
    const time = { tscBase: 0n, multiplier: 0n, realtimeNs: 1_700_000_000_000_000_123n };
    page.write({ mode: TIME_MODE_FROZEN, monotonicNs: 5_000_000_007n, boottimeNs: 1n, ...time });
    expect(callVdso(page.image, CLOCK_MONOTONIC)).toEqual({ ns: 5_000_000_007n });
    expect(callVdso(page.image, CLOCK_REALTIME)).toEqual({ ns: 1_700_000_000_000_000_123n });
    page.write({ mode: TIME_MODE_SYSCALL, monotonicNs: 5n, boottimeNs: 1n, ...time });
    expect(page.monotonicNs()).toBe(-1);
    expect(page.image.sigreturnOffset).toBeGreaterThan(0);
  });
});

describe("the time of a turn", () => {
  it("is that of the last look at the clock, and moves with the next", () => {
    const clock = new HostClock();
    const { turn } = clock;
    const looked = clock.monotonicNs();
    const now = clock.monotonicNs();
    expect(now).toBeGreaterThanOrEqual(looked);
    expect([turn.monotonicNs(), turn.monotonicNs()]).toEqual([now, now]);
    turn.refresh?.();
    expect(turn.monotonicNs()).toBeGreaterThanOrEqual(now);
    expect(turn.realtimeNs() - turn.monotonicNs()).toBeCloseTo(
      clock.realtimeNs() - clock.monotonicNs(),
      -6,
    );
  });
});
