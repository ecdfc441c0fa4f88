// What the memory calls refuse, with which errno, and where they put things.

import { describe, expect, it } from "vitest";
import * as errno from "../../abi/errno.ts";
import * as mman from "../../abi/mman.ts";
import { RLIMIT_AS, RLIMIT_MEMLOCK } from "../../abi/resource.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { Credentials } from "../kernel/credentials.ts";
import type { Task } from "../kernel/task.ts";
import { KernelFixture } from "../testing/kernel-fixture.ts";

const ANON = mman.MAP_PRIVATE | mman.MAP_ANONYMOUS;
const FIXED = ANON | mman.MAP_FIXED;
const RW = 3;
const AT = 0x2000_0000;
const PAGE = 4096;

interface Caller {
  t: Task;
  sys(number: number, ...args: number[]): number;
  mmap(addr: number, length: number, flags?: number, prot?: number): number;
}

function caller(uid = 1000): Caller {
  const fixture = new KernelFixture();
  const t = fixture.process({ creds: new Credentials({ uid, gid: uid }) });
  const sys = (number: number, ...args: number[]): number => {
    const result = fixture.call(t, number, ...args);
    if (result === null) throw new Error("the call blocked");
    return result;
  };
  return {
    t,
    sys,
    mmap: (addr, length, flags = ANON, prot = RW) =>
      sys(nr.SYS_mmap, addr, length, prot, flags, -1, 0),
  };
}

describe("mmap", () => {
  it("refuses what Linux refuses", () => {
    const c = caller();
    const cases: [number, number, number, number][] = [
      [0, 0, ANON, errno.EINVAL],
      [0, PAGE, mman.MAP_ANONYMOUS, errno.EINVAL],
      [1, PAGE, FIXED, errno.EINVAL],
      [4096, PAGE, FIXED, errno.EPERM],
      [0x7fff_ffff_e000, 4 * PAGE, FIXED, errno.ENOMEM],
      [0, 2 ** 47, ANON, errno.ENOMEM],
      [0, 2 ** 63, ANON, errno.ENOMEM],
      [0, 2 ** 44, ANON, errno.ENOMEM],
      [0, PAGE, ANON | mman.MAP_HUGETLB, errno.ENOMEM],
      [0, PAGE, mman.MAP_PRIVATE, errno.EBADF],
      [0, PAGE, mman.MAP_SHARED_VALIDATE | mman.MAP_ANONYMOUS | mman.MAP_SYNC, errno.EOPNOTSUPP],
    ];
    for (const [addr, length, flags, error] of cases)
      expect(c.mmap(addr, length, flags)).toBe(-error);
    // Address space alone costs nothing.
    expect(c.mmap(0, 2 ** 40, ANON | mman.MAP_NORESERVE)).toBeGreaterThan(0);
    expect(c.mmap(0, 2 ** 40, ANON, 0)).toBeGreaterThan(0);
  });

  it("takes hints that are free, replaces only with MAP_FIXED", () => {
    const c = caller();
    expect(c.mmap(AT + 5, PAGE)).toBe(AT + PAGE);
    expect(c.mmap(AT, 4 * PAGE)).not.toBe(AT);
    expect(c.mmap(AT, 4 * PAGE, ANON | mman.MAP_FIXED_NOREPLACE)).toBe(-errno.EEXIST);
    expect(c.mmap(AT, 4 * PAGE, FIXED)).toBe(AT);
    const low = c.mmap(0, PAGE, ANON | mman.MAP_32BIT);
    expect(low).toBeGreaterThan(0);
    expect(low).toBeLessThan(2 ** 31);
    const [first, second] = [c.mmap(0, PAGE), c.mmap(0, PAGE)];
    expect(second).toBe(first - PAGE);
    expect(c.sys(nr.SYS_munmap, first, PAGE)).toBe(0);
    expect(c.mmap(0, PAGE)).toBe(first);
  });

  it("keeps to RLIMIT_AS and RLIMIT_MEMLOCK", () => {
    const c = caller();
    const soft = c.t.mm.vmas.totalBytes + 10 * PAGE;
    c.t.threadGroup.limits.set(RLIMIT_AS, { soft, hard: soft });
    expect(c.mmap(AT, 11 * PAGE)).toBe(-errno.ENOMEM);
    expect(c.mmap(AT, 10 * PAGE, FIXED)).toBe(AT);
    expect(c.mmap(AT, 10 * PAGE, FIXED)).toBe(AT);
    const locked = { soft: 2 * PAGE, hard: 2 * PAGE };
    c.t.threadGroup.limits.set(RLIMIT_MEMLOCK, locked);
    expect(c.sys(nr.SYS_mlock, AT, 3 * PAGE)).toBe(-errno.ENOMEM);
    expect(c.sys(nr.SYS_mlock, AT, 2 * PAGE)).toBe(0);
    expect(c.sys(nr.SYS_mlock, AT + PAGE, 1)).toBe(0);
    expect(c.t.mm.vmas.lockedBytes).toBe(2 * PAGE);
    expect(c.sys(nr.SYS_madvise, AT, PAGE, mman.MADV_DONTNEED)).toBe(-errno.EINVAL);
    expect(c.sys(nr.SYS_munlock, AT, 10 * PAGE)).toBe(0);
    expect(c.t.mm.vmas.lockedBytes).toBe(0);
  });
});

describe("the other memory calls", () => {
  it("check their ranges", () => {
    const c = caller();
    c.mmap(AT, 4 * PAGE, FIXED);
    c.sys(nr.SYS_munmap, AT + PAGE, PAGE);
    expect(c.sys(nr.SYS_munmap, AT + 1, PAGE)).toBe(-errno.EINVAL);
    expect(c.sys(nr.SYS_munmap, AT, 0)).toBe(-errno.EINVAL);
    expect(c.sys(nr.SYS_munmap, 2 ** 47, PAGE)).toBe(-errno.EINVAL);
    expect(c.sys(nr.SYS_mprotect, AT, 4 * PAGE, 1)).toBe(-errno.ENOMEM);
    expect(c.sys(nr.SYS_mprotect, AT, PAGE, 16)).toBe(-errno.EINVAL);
    expect(c.sys(nr.SYS_madvise, AT, 4 * PAGE, mman.MADV_DONTNEED)).toBe(-errno.ENOMEM);
    expect(c.sys(nr.SYS_madvise, AT, PAGE, 77)).toBe(-errno.EINVAL);
    expect(c.sys(nr.SYS_msync, AT, 4 * PAGE, mman.MS_SYNC)).toBe(-errno.ENOMEM);
    expect(c.sys(nr.SYS_msync, AT, PAGE, mman.MS_SYNC | mman.MS_ASYNC)).toBe(-errno.EINVAL);
    expect(c.sys(nr.SYS_mremap, AT, 4 * PAGE, 8 * PAGE, 1, 0)).toBe(-errno.EFAULT);
    expect(c.sys(nr.SYS_mremap, AT, PAGE, 2 * PAGE, 0, 0)).toBe(AT);
    expect(c.sys(nr.SYS_mremap, AT, 2 * PAGE, 9 * PAGE, 0, 0)).toBe(-errno.ENOMEM);
    expect(c.sys(nr.SYS_mremap, AT, 0, PAGE, 1, 0)).toBe(-errno.EINVAL);
    expect(c.sys(nr.SYS_pkey_alloc, 0, 0)).toBe(-errno.ENOSPC);
    expect(c.sys(nr.SYS_pkey_mprotect, AT, PAGE, 1, -1)).toBe(0);
  });

  it("move the break up and down, and answer the old one when it cannot move", () => {
    const c = caller();
    c.t.mm.brkStart = 0x3000_0000;
    c.t.mm.brkEnd = 0x3000_0000;
    expect(c.sys(nr.SYS_brk, 0)).toBe(0x3000_0000);
    expect(c.sys(nr.SYS_brk, 0x3000_0000 + 5 * PAGE + 8)).toBe(0x3000_0000 + 5 * PAGE + 8);
    expect(c.t.mm.writeU32(0x3000_0000 + 5 * PAGE, 9)).toBe(0);
    expect(c.sys(nr.SYS_brk, 0x3000_0000 + PAGE)).toBe(0x3000_0000 + PAGE);
    expect(c.t.mm.writeU32(0x3000_0000 + PAGE, 9)).toBe(-errno.EFAULT);
    c.mmap(0x3000_0000 + 4 * PAGE, PAGE, FIXED);
    expect(c.sys(nr.SYS_brk, 0x3000_0000 + 8 * PAGE)).toBe(0x3000_0000 + PAGE);
    expect(c.sys(nr.SYS_brk, 0x3000_0000 + 2 * PAGE)).toBe(0x3000_0000 + 2 * PAGE);
    // Grown again, the memory is zero again.
    expect(c.t.mm.readU32(0x3000_0000 + PAGE)).toBe(0);
  });
});
