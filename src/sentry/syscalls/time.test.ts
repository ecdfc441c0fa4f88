import { describe, expect, it } from "vitest";
import { EINVAL, EPERM } from "../../abi/errno.ts";
import { RLIMIT_CPU } from "../../abi/resource.ts";
import { SIGALRM, SIGKILL, SIGUSR1, SIGXCPU } from "../../abi/signal.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { setU32Le } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import type { Task } from "../kernel/task.ts";
import { KernelFixture, USER_BASE } from "../testing/kernel-fixture.ts";

const AT = USER_BASE + 0x100;
const BLOCK_ALL = (t: Task) => t.signalMask.set(-1 & ~(1 << 8), -1);

function setTimes(t: Task, intervalNs: number, valueNs: number, unitNs: number): void {
  let at = AT;
  for (const ns of [intervalNs, valueNs]) {
    t.mm.writeU64(at, Math.floor(ns / SECOND));
    t.mm.writeU64(at + 8, Math.floor((ns % SECOND) / unitNs));
    at += 16;
  }
}

describe("clocks", () => {
  it("read the sandbox's time and cannot be set", () => {
    const f = new KernelFixture();
    const t = f.process();
    f.advance(5 * SECOND + 7);
    expect(f.call(t, nr.SYS_clock_gettime, 1, AT)).toBe(0);
    expect([t.mm.readU64(AT), t.mm.readU64(AT + 8)]).toEqual([5, 7]);
    f.call(t, nr.SYS_clock_gettime, 6, AT);
    expect(t.mm.readU64(AT + 8)).toBe(0);
    expect(f.call(t, nr.SYS_clock_settime, 0, AT)).toBe(-EPERM);
    expect(f.call(t, nr.SYS_clock_gettime, 42, AT)).toBe(-EINVAL);
  });

  it("count CPU time while the program runs only", () => {
    const f = new KernelFixture();
    const t = f.process();
    f.advance(3 * SECOND);
    f.call(t, nr.SYS_clock_gettime, 2, AT);
    expect(t.mm.readU64(AT)).toBe(3);
    t.mm.writeU64(AT, 10);
    t.mm.writeU64(AT + 8, 0);
    f.call(t, nr.SYS_nanosleep, AT, 0);
    f.advance(10 * SECOND);
    f.call(t, nr.SYS_clock_gettime, 3, AT);
    expect(t.mm.readU64(AT)).toBe(3);
  });
});

describe("alarm and setitimer", () => {
  it("send SIGALRM once, and tell what was left of the last", () => {
    const f = new KernelFixture();
    const t = f.process();
    BLOCK_ALL(t);
    expect(f.call(t, nr.SYS_alarm, 10)).toBe(0);
    f.advance(3 * SECOND);
    expect(f.call(t, nr.SYS_alarm, 2)).toBe(7);
    f.advance(2 * SECOND);
    expect(t.threadGroup.pending.set.has(SIGALRM)).toBe(true);
    expect(f.kernel.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("repeat with an interval", () => {
    const f = new KernelFixture();
    const t = f.process();
    BLOCK_ALL(t);
    setTimes(t, 100 * MS, 50 * MS, 1000);
    expect(f.call(t, nr.SYS_setitimer, 0, AT, 0)).toBe(0);
    for (let i = 0; i < 3; i++) {
      f.advance(i === 0 ? 50 * MS : 100 * MS);
      expect(t.dequeueSignal(-1, -1)?.signo).toBe(SIGALRM);
    }
    f.call(t, nr.SYS_getitimer, 0, AT);
    expect(t.mm.readU64(AT + 24)).toBe(100_000);
  });

  it("ITIMER_PROF counts running time, and is not looked at while the program sleeps", () => {
    const f = new KernelFixture();
    const t = f.process();
    BLOCK_ALL(t);
    setTimes(t, 0, 2 * SECOND, 1000);
    f.call(t, nr.SYS_setitimer, 2, AT, 0);
    setTimes(t, 0, 0, 1);
    t.mm.writeU64(AT, 100);
    expect(f.call(t, nr.SYS_nanosleep, AT, 0)).toBeNull();
    f.advance(50 * SECOND);
    expect(f.kernel.timers.size).toBe(1); // the sleep's
    f.advance(50 * SECOND);
    expect(t.threadGroup.pending.count).toBe(0);
    f.advance(1 * SECOND);
    expect(t.threadGroup.pending.count).toBe(0);
    f.advance(1 * SECOND + 2 * MS);
    expect(t.threadGroup.pending.set.has(27)).toBe(true);
  });
});

describe("POSIX timers", () => {
  function create(f: KernelFixture, t: Task): number {
    const event = new Uint8Array(64);
    setU32Le(event, 0, 0x1234);
    setU32Le(event, 8, SIGUSR1);
    t.mm.copyOut(AT, event, 0, 64);
    expect(f.call(t, nr.SYS_timer_create, 1, AT, AT + 64)).toBe(0);
    return t.mm.readI32(AT + 64);
  }

  it("queue one signal and count the expiries that it missed", () => {
    const f = new KernelFixture();
    const t = f.process();
    BLOCK_ALL(t);
    const id = create(f, t);
    setTimes(t, 10 * MS, 10 * MS, 1);
    expect(f.call(t, nr.SYS_timer_settime, id, 0, AT, 0)).toBe(0);
    f.advance(10 * MS);
    f.advance(35 * MS);
    const info = t.dequeueSignal(-1, -1);
    expect(info?.signo).toBe(SIGUSR1);
    expect(info?.valueLow).toBe(0x1234);
    expect(info?.overrun).toBe(3);
    expect(t.dequeueSignal(-1, -1)).toBeNull();
    expect(f.call(t, nr.SYS_timer_getoverrun, id)).toBe(3);
    expect(f.call(t, nr.SYS_timer_delete, id)).toBe(0);
    expect(f.call(t, nr.SYS_timer_delete, id)).toBe(-EINVAL);
    expect(f.kernel.timers.size).toBe(0);
  });

  it("take absolute times, also past ones", () => {
    const f = new KernelFixture();
    const t = f.process();
    BLOCK_ALL(t);
    f.advance(5 * SECOND);
    const id = create(f, t);
    setTimes(t, 0, 2 * SECOND, 1);
    f.call(t, nr.SYS_timer_settime, id, 1, AT, 0);
    f.advance(0);
    expect(t.dequeueSignal(-1, -1)?.signo).toBe(SIGUSR1);
  });
});

describe("RLIMIT_CPU", () => {
  it("sends SIGXCPU at the soft limit and kills at the hard one", () => {
    const f = new KernelFixture();
    const t = f.process();
    BLOCK_ALL(t);
    t.mm.writeU64(AT, 1);
    t.mm.writeU64(AT + 8, 3);
    expect(f.call(t, nr.SYS_prlimit64, 0, RLIMIT_CPU, AT, 0)).toBe(0);
    f.advance(1 * SECOND + 2 * MS);
    expect(t.threadGroup.pending.set.has(SIGXCPU)).toBe(true);
    for (let i = 0; i < 3; i++) f.advance(1 * SECOND);
    expect(t.threadGroup.exitStatus).toBe(SIGKILL);
    expect(t.hasExited).toBe(true);
  });
});
