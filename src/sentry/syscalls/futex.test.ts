import { describe, expect, it } from "vitest";
import { EAGAIN, EDEADLK, EFAULT, EINVAL, EPERM, ETIMEDOUT } from "../../abi/errno.ts";
import {
  FUTEX_CMP_REQUEUE,
  FUTEX_LOCK_PI,
  FUTEX_OWNER_DIED,
  FUTEX_PRIVATE_FLAG,
  FUTEX_TRYLOCK_PI,
  FUTEX_UNLOCK_PI,
  FUTEX_WAIT,
  FUTEX_WAIT_BITSET,
  FUTEX_WAITERS,
  FUTEX_WAKE,
  FUTEX_WAKE_BITSET,
  FUTEX_WAKE_OP,
} from "../../abi/futex.ts";
import {
  SYS_clone,
  SYS_exit,
  SYS_fork,
  SYS_futex,
  SYS_kill,
  SYS_set_robust_list,
} from "../../abi/syscall-numbers.ts";
import { MS, SECOND } from "../../base/clock.ts";
import type { Task } from "../kernel/task.ts";
import { mapMemory, PLACE_FIXED } from "../mm/map.ts";
import { SharedMemory } from "../mm/shared-memory.ts";
import { VMA_SHARED } from "../mm/vma.ts";
import { KernelFixture, USER_BASE } from "../testing/kernel-fixture.ts";

const WORD = USER_BASE + 0x100;
const OTHER = USER_BASE + 0x200;
const TIME = USER_BASE + 0x300;
const PRIVATE = FUTEX_PRIVATE_FLAG;
const THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000;

function threads(f: KernelFixture, count: number): Task[] {
  const main = f.process();
  const list = [main];
  for (let i = 1; i < count; i++) {
    list.push(f.task(f.call(main, SYS_clone, THREAD, USER_BASE + 0x8000 * i) as number));
  }
  return list;
}
function setTime(t: Task, ns: number): void {
  t.mm.writeU64(TIME, Math.floor(ns / SECOND));
  t.mm.writeU64(TIME + 8, ns % SECOND);
}
const wait = (f: KernelFixture, t: Task, addr = WORD, value = 0) =>
  f.call(t, SYS_futex, addr, FUTEX_WAIT | PRIVATE, value, 0);
const wake = (f: KernelFixture, t: Task, count: number, addr = WORD) =>
  f.call(t, SYS_futex, addr, FUTEX_WAKE | PRIVATE, count);

describe("FUTEX_WAIT and FUTEX_WAKE", () => {
  it("wake so many, the oldest first, and say how many", () => {
    const f = new KernelFixture();
    const [main, a, b, c] = threads(f, 4);
    for (const t of [a, b, c]) expect(wait(f, t)).toBeNull();
    expect(wake(f, main, 2)).toBe(2);
    expect([f.result(a), f.result(b), f.result(c)]).toEqual([0, 0, null]);
    expect(wake(f, main, 5)).toBe(1);
    expect(wake(f, main, 5)).toBe(0);
  });

  it("do not wait when the word has changed, or where there is no memory", () => {
    const f = new KernelFixture();
    const [t] = threads(f, 1);
    expect(wait(f, t, WORD, 1)).toBe(-EAGAIN);
    expect(wait(f, t, WORD + 1)).toBe(-EINVAL);
    expect(wait(f, t, 0x7000_0000)).toBe(-EFAULT);
  });

  it("time out after a relative time, or at an absolute one of either clock", () => {
    const f = new KernelFixture();
    const [t] = threads(f, 1);
    f.advance(3 * SECOND);
    setTime(t, 10 * MS);
    expect(f.call(t, SYS_futex, WORD, FUTEX_WAIT, 0, TIME)).toBeNull();
    f.advance(10 * MS);
    expect(f.result(t)).toBe(-ETIMEDOUT);
    setTime(t, f.clock.monotonicNs() + 20 * MS);
    expect(f.call(t, SYS_futex, WORD, FUTEX_WAIT_BITSET, 0, TIME, 0, -1)).toBeNull();
    f.advance(20 * MS);
    expect(f.result(t)).toBe(-ETIMEDOUT);
    setTime(t, f.clock.realtimeNs() + 20 * MS);
    expect(f.call(t, SYS_futex, WORD, FUTEX_WAIT_BITSET | 256, 0, TIME, 0, -1)).toBeNull();
    f.advance(19 * MS);
    expect(f.result(t)).toBeNull();
    f.advance(2 * MS);
    expect(f.result(t)).toBe(-ETIMEDOUT);
    expect(wake(f, t, 1)).toBe(0);
  });

  it("bitsets choose who is woken", () => {
    const f = new KernelFixture();
    const [main, a, b] = threads(f, 3);
    f.call(a, SYS_futex, WORD, FUTEX_WAIT_BITSET | PRIVATE, 0, 0, 0, 1);
    f.call(b, SYS_futex, WORD, FUTEX_WAIT_BITSET | PRIVATE, 0, 0, 0, 2);
    expect(f.call(main, SYS_futex, WORD, FUTEX_WAKE_BITSET | PRIVATE, 9, 0, 0, 2)).toBe(1);
    expect([f.result(a), f.result(b)]).toEqual([null, 0]);
    expect(f.call(main, SYS_futex, WORD, FUTEX_WAKE_BITSET | PRIVATE, 9, 0, 0, 0)).toBe(-EINVAL);
  });

  it("a killed waiter is not counted by a later wake", () => {
    const f = new KernelFixture();
    const parent = f.process();
    const child = f.task(f.call(parent, SYS_fork) as number);
    wait(f, child);
    f.call(parent, SYS_kill, child.tid, 9);
    expect(child.futexWaiter.queue).toBeNull();
  });

  it("private words of a forked process are others; shared memory is the same word", () => {
    const f = new KernelFixture();
    const parent = f.process();
    const shared = USER_BASE + 0x100_0000;
    const memory = new SharedMemory(parent.kernel.memoryFile, 4096, "/dev/zero (deleted)", 0, 1);
    mapMemory(parent.mm, {
      addr: shared,
      length: 4096,
      place: PLACE_FIXED,
      prot: 3,
      maxProt: 3,
      flags: VMA_SHARED,
      mappable: memory,
      offset: 0,
      populate: false,
      mayLock: false,
      label: "",
    });
    const child = f.task(f.call(parent, SYS_fork) as number);
    wait(f, child);
    expect(wake(f, parent, 1)).toBe(0);
    f.call(parent, SYS_kill, child.tid, 9);
    const second = f.task(f.call(parent, SYS_fork) as number);
    expect(f.call(second, SYS_futex, shared, FUTEX_WAIT, 0, 0)).toBeNull();
    expect(f.call(parent, SYS_futex, shared, FUTEX_WAKE, 1)).toBe(1);
    expect(f.result(second)).toBe(0);
  });
});

describe("FUTEX_CMP_REQUEUE", () => {
  it("wakes some and moves the others to the second word", () => {
    const f = new KernelFixture();
    const [main, a, b, c] = threads(f, 4);
    for (const t of [a, b, c]) wait(f, t);
    const requeue = (value: number) =>
      f.call(main, SYS_futex, WORD, FUTEX_CMP_REQUEUE | PRIVATE, 1, 9, OTHER, value);
    expect(requeue(1)).toBe(-EAGAIN);
    expect(requeue(0)).toBe(3);
    expect([f.result(a), f.result(b), f.result(c)]).toEqual([0, null, null]);
    expect(wake(f, main, 9)).toBe(0);
    expect(wake(f, main, 9, OTHER)).toBe(2);
  });
});

describe("FUTEX_WAKE_OP", () => {
  it("changes the second word, wakes the first, and the second if the old value fits", () => {
    const f = new KernelFixture();
    const [main, a, b] = threads(f, 3);
    wait(f, a);
    main.mm.writeU32(OTHER, 0);
    wait(f, b, OTHER);
    // ADD 5; compare old == 0.
    const op = (1 << 28) | (0 << 24) | (5 << 12) | 0;
    expect(f.call(main, SYS_futex, WORD, FUTEX_WAKE_OP | PRIVATE, 1, 1, OTHER, op)).toBe(2);
    expect(main.mm.readU32(OTHER)).toBe(5);
    // SET -1 (sign-extended operand); compare old < 0 does not hold.
    const set = (0 << 28) | (2 << 24) | (0xfff << 12);
    expect(f.call(main, SYS_futex, WORD, FUTEX_WAKE_OP | PRIVATE, 1, 1, OTHER, set)).toBe(0);
    expect(main.mm.readU32(OTHER)).toBe(0xffff_ffff);
  });
});

describe("PI locks", () => {
  const op = (f: KernelFixture, t: Task, command: number) =>
    f.call(t, SYS_futex, WORD, command | PRIVATE, 0, 0);

  it("are handed to the oldest waiter by the owner's unlock", () => {
    const f = new KernelFixture();
    const [main, a, b] = threads(f, 3);
    expect(op(f, main, FUTEX_LOCK_PI)).toBe(0);
    expect(main.mm.readU32(WORD)).toBe(main.tid);
    expect(op(f, main, FUTEX_LOCK_PI)).toBe(-EDEADLK);
    expect(op(f, a, FUTEX_TRYLOCK_PI)).toBe(-EAGAIN);
    expect(op(f, a, FUTEX_LOCK_PI)).toBeNull();
    expect(op(f, b, FUTEX_LOCK_PI)).toBeNull();
    expect(op(f, main, FUTEX_UNLOCK_PI)).toBe(0);
    expect(f.result(a)).toBe(0);
    expect(main.mm.readU32(WORD)).toBe((a.tid | FUTEX_WAITERS) >>> 0);
    expect(op(f, main, FUTEX_UNLOCK_PI)).toBe(-EPERM);
    op(f, a, FUTEX_UNLOCK_PI);
    expect(f.result(b)).toBe(0);
    expect(main.mm.readU32(WORD)).toBe(b.tid);
    op(f, b, FUTEX_UNLOCK_PI);
    expect(main.mm.readU32(WORD)).toBe(0);
  });
});

describe("robust mutexes", () => {
  const HEAD = USER_BASE + 0x400;
  const ENTRY = USER_BASE + 0x480;

  it("of a dead thread are marked and one waiter is woken", () => {
    const f = new KernelFixture();
    const [main, owner] = threads(f, 2);
    const mm = main.mm;
    mm.writeU64(HEAD, ENTRY);
    mm.writeU64(HEAD + 8, 16);
    mm.writeU64(HEAD + 16, 0);
    mm.writeU64(ENTRY, HEAD);
    const word = ENTRY + 16;
    const value = (owner.tid | FUTEX_WAITERS) >>> 0;
    mm.writeU32(word, value);
    expect(f.call(owner, SYS_set_robust_list, HEAD, 24)).toBe(0);
    expect(f.call(main, SYS_futex, word, FUTEX_WAIT | PRIVATE, value | 0, 0)).toBeNull();
    f.call(owner, SYS_exit, 0);
    expect(mm.readU32(word)).toBe((FUTEX_OWNER_DIED | FUTEX_WAITERS) >>> 0);
    expect(f.result(main)).toBe(0);
  });

  it("a list that loops or leads nowhere does not hold up the exit", () => {
    const f = new KernelFixture();
    const [main, loops, wild] = threads(f, 3);
    const mm = main.mm;
    mm.writeU64(HEAD, ENTRY);
    mm.writeU64(HEAD + 8, 16);
    mm.writeU64(ENTRY, ENTRY);
    f.call(loops, SYS_set_robust_list, HEAD, 24);
    f.call(loops, SYS_exit, 0);
    f.call(wild, SYS_set_robust_list, 0x7fff_0000_0000, 24);
    f.call(wild, SYS_exit, 0);
    expect(loops.hasExited && wild.hasExited).toBe(true);
  });
});
