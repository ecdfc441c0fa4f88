import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ESRCH } from "../../../abi/errno.ts";
import { REG_RAX, REG_RBX, REG_RDI, REG_RIP, REG_RSI } from "../../../abi/registers.ts";
import * as host from "../../../host/index.ts";
import type { AddressSpace, Context } from "../platform.ts";
import { TRAP_DEAD, TRAP_FAULT, TRAP_INTERRUPT, TRAP_SYSCALL } from "../platform.ts";
import type { SystrapAddressSpace } from "./address-space.ts";
import * as L from "./layout.ts";
import {
  CODE_AT,
  DATA_AT,
  getReg,
  PAGE,
  PROGRAMS,
  STACK_TOP,
  setReg,
  ToyMachine,
} from "./toy-machine.ts";

const SIGILL = 4;
const SIGTRAP = 5;
const SIGFPE = 8;
const SIGSEGV = 11;

let m: ToyMachine;
beforeAll(() => {
  m = new ToyMachine();
});
afterAll(() => {
  m.dispose();
});

function start(hex: string, rdi = DATA_AT, rsi = 0, rbx = 0): { space: AddressSpace; c: Context } {
  const space = m.space();
  m.loadCode(space, hex);
  return { space, c: m.context(space, rdi, rsi, rbx) };
}
function end(space: AddressSpace, ...contexts: Context[]): void {
  for (const c of contexts) c.release();
  space.release();
}

describe("a context", () => {
  it("stops at each system call with its registers, and goes on with what the kernel wrote", () => {
    const { space, c } = start(PROGRAMS.syscalls, 0x1234_5678_9abc, 0, 0xdead_beef);
    for (let i = 0; i < 200; i++) {
      m.run(c);
      expect(c.trap).toBe(TRAP_SYSCALL);
      expect(m.nr(c)).toBe(39);
      expect(getReg(c, REG_RDI)).toBe(0x1234_5678_9abc + i);
      expect(getReg(c, REG_RBX)).toBe(0xdead_beef);
      setReg(c, REG_RDI, 0x1234_5678_9abc + i + 1);
    }
    end(space, c);
  });

  it("reports a page fault with address and error, and repeats the instruction once mapped", () => {
    const { space, c } = start(PROGRAMS.touch);
    m.run(c);
    expect([c.trap, c.faultSignal, c.faultAddress]).toEqual([TRAP_FAULT, SIGSEGV, DATA_AT]);
    expect(c.faultError & 2).toBe(2);
    const offset = m.page();
    expect(space.map(DATA_AT, PAGE, host.PROT_READ, m.fd, offset)).toBe(0);
    m.run(c);
    expect([c.trap, c.faultAddress, c.faultError & 2]).toEqual([TRAP_FAULT, DATA_AT, 2]);
    space.protect(DATA_AT, PAGE, host.PROT_READ | host.PROT_WRITE);
    m.run(c);
    expect([c.trap, m.nr(c), getReg(c, REG_RBX)]).toEqual([TRAP_SYSCALL, 3, 7]);
    expect(m.words[offset >> 2]).toBe(7);
    space.unmap(DATA_AT, PAGE);
    setReg(c, REG_RIP, CODE_AT);
    expect(m.run(c).trap).toBe(TRAP_FAULT);
    end(space, c);
  });

  it.each([
    ["ud2", SIGILL],
    ["divide", SIGFPE],
    ["int3", SIGTRAP],
    ["nonCanonical", SIGSEGV],
  ] as const)("reports %s as signal %i", (name, signal) => {
    const { space, c } = start(PROGRAMS[name]);
    m.run(c);
    expect([c.trap, c.faultSignal]).toEqual([TRAP_FAULT, signal]);
    end(space, c);
  });

  it("finds no i386 kernel behind int 0x80", () => {
    const { space, c } = start(PROGRAMS.int80);
    m.run(c);
    expect([c.trap, c.faultSignal]).toEqual([TRAP_FAULT, SIGSEGV]);
    end(space, c);
  });

  it("keeps FS and GS base", () => {
    const { space, c } = start(PROGRAMS.bases, 0x7000_1234_5678, 0x1111_2222_3000);
    m.run(c);
    expect([c.fsBase, c.gsBase]).toEqual([0x7000_1234_5678, 0x1111_2222_3000]);
    c.fsBase = 0x5555_0000_1000;
    m.run(c);
    expect(m.nr(c)).toBe(6);
    expect([getReg(c, REG_RDI), getReg(c, REG_RSI)]).toEqual([0x5555_0000_1000, 0x1111_2222_3000]);
    end(space, c);
  });

  it("can be interrupted while it computes", () => {
    const { space, c } = start(PROGRAMS.spin);
    for (let i = 0; i < 20; i++) {
      c.resume();
      c.interrupt();
      expect(m.trap()).toBe(c);
      expect(c.trap).toBe(TRAP_INTERRUPT);
      expect(getReg(c, REG_RIP)).toBe(CODE_AT);
    }
    c.interrupt();
    expect(m.trap(5)).toBe(null);
    end(space, c);
  });
});

describe("an address space", () => {
  it("is emptied and told of when the host has no room for its mappings, and goes on", () => {
    const { space, c } = start(PROGRAMS.touch);
    let lost = 0;
    m.platform.onMappingsLost = (s) => {
      if (s === space) lost++;
    };
    const offset = m.page();
    // Neighbours with the same page of the file: each is a mapping of its own.
    const base = 0x1000_0000;
    for (let i = 0; i < 66_000; i++) space.map(base + i * PAGE, PAGE, host.PROT_READ, m.fd, offset);
    space.sync();
    m.platform.nextTrap();
    expect(lost).toBe(1);
    expect(space.isDead).toBe(false);
    m.run(c);
    expect([c.trap, c.faultAddress]).toEqual([TRAP_FAULT, CODE_AT]);
    m.loadCode(space, PROGRAMS.touch);
    m.mapData(space);
    m.run(c);
    expect([c.trap, m.nr(c)]).toEqual([TRAP_SYSCALL, 3]);
    m.platform.onMappingsLost = null;
    end(space, c);
  });
});

describe("extended state", () => {
  it("survives traps, and travels with a copy into another address space", () => {
    const { space, c } = start(PROGRAMS.avx);
    const data = m.mapData(space);
    for (let i = 0; i < 64; i++) m.memory[data + i] = i + 1;
    m.run(c);
    const child = m.space();
    m.loadCode(child, PROGRAMS.avx);
    const childData = m.mapData(child);
    const d = child.newContext() as Context;
    d.copyFrom(c);
    for (const [x, at] of [
      [c, data],
      [d, childData],
    ] as const) {
      expect(m.nr(m.run(x))).toBe(2);
      expect([...m.memory.subarray(at + 64, at + 128)]).toEqual(
        [...Array(64).keys()].map((i) => i + 1),
      );
    }
    end(child, d);
    end(space, c);
  });

  it("is saved to and restored from a signal frame's bytes", () => {
    const { space, c } = start(PROGRAMS.avx);
    const data = m.mapData(space);
    for (let i = 0; i < 64; i++) m.memory[data + i] = 0xa0 ^ i;
    m.run(c);
    const saved = new Uint8Array(c.fpStateBytes + 10);
    expect(c.saveFpState(saved, 10)).toBe(c.fpStateBytes);
    c.resetFpState();
    expect(c.restoreFpState(saved, 10, c.fpStateBytes)).toBe(true);
    m.run(c);
    expect(m.memory[data + 64 + 5]).toBe(0xa5);
    end(space, c);
  });

  it("starts fresh: default control words, zero registers", () => {
    const { space, c } = start(PROGRAMS.mxcsr);
    const data = m.mapData(space);
    m.words[data >> 2] = 0x9f80;
    m.words[(data + 8) >> 2] = 0x27f;
    m.run(c);
    c.resetFpState();
    m.run(c);
    expect(m.nr(c)).toBe(10);
    expect(m.words[(data + 4) >> 2]).toBe(0x1f80);
    expect(m.words[(data + 12) >> 2] & 0xffff).toBe(0x37f);
    end(space, c);
  });

  it("refuses what the host would not load", () => {
    const { space, c } = start(PROGRAMS.avx);
    m.mapData(space);
    const good = new Uint8Array(c.fpStateBytes);
    c.saveFpState(good, 0);
    const broken = (change: (b: Uint8Array) => void): boolean => {
      const b = good.slice();
      change(b);
      return c.restoreFpState(b, 0, b.length);
    };
    expect(broken(() => {})).toBe(true);
    expect(broken((b) => b.fill(0xff, 24, 28))).toBe(false); // mxcsr
    expect(broken((b) => b.fill(0xff, 512, 520))).toBe(false); // xstate_bv
    expect(broken((b) => b.fill(0x80, 520, 528))).toBe(false); // xcomp_bv
    expect(broken((b) => b.fill(0, 464, 512))).toBe(true); // no magic: legacy part only
    expect(c.restoreFpState(good, 0, 511)).toBe(false);
    expect(m.run(c).trap).toBe(TRAP_SYSCALL);
    end(space, c);
  });
});

describe("many contexts", () => {
  it("run at once in one address space, on threads of their own", () => {
    const space = m.space();
    m.loadCode(space, PROGRAMS.count);
    const data = m.mapData(space);
    const contexts = Array.from({ length: 8 }, () => m.context(space));
    for (const c of contexts) c.resume();
    const stops = new Map<Context, number>();
    for (let i = 0; i < 800; i++) {
      const c = m.trap() as Context;
      expect(m.nr(c)).toBe(7);
      stops.set(c, (stops.get(c) ?? 0) + 1);
      if ((stops.get(c) as number) < 100) c.resume();
    }
    expect([...stops.values()]).toEqual(Array(8).fill(100));
    expect(m.words[data >> 2]).toBe(800);
    end(space, ...contexts);
  });

  it("take turns when there are more than a stub has threads", () => {
    const space = m.space();
    m.loadCode(space, PROGRAMS.spin);
    const contexts = Array.from({ length: L.RUNNERS_MAX + 6 }, () => m.context(space));
    for (const c of contexts) c.resume();
    expect(m.platform.waitingCount).toBe(6);
    m.platform.preempt();
    const seen = new Set<Context>();
    for (let i = 0; i < L.RUNNERS_MAX; i++) seen.add(m.trap(10_000) as Context);
    expect(m.platform.waitingCount).toBe(0);
    for (const c of contexts) c.interrupt();
    while (seen.size < contexts.length) {
      const c = m.trap(10_000) as Context;
      expect(c.trap).toBe(TRAP_INTERRUPT);
      seen.add(c);
    }
    end(space, ...contexts);
  });

  it("see a mapping that changes while they run", () => {
    const { space, c } = start(PROGRAMS.waitNonZero);
    m.mapData(space);
    const after = m.page();
    m.words[after >> 2] = 1;
    c.resume();
    expect(m.trap(5)).toBe(null);
    space.map(DATA_AT, PAGE, host.PROT_READ, m.fd, after);
    space.sync();
    expect(m.trap()).toBe(c);
    expect(m.nr(c)).toBe(4);
    end(space, c);
  });

  it("live in address spaces that come and go", () => {
    const before = m.platform.pool.count;
    for (let i = 0; i < 40; i++) {
      const { space, c } = start(PROGRAMS.syscalls, i);
      m.run(c);
      expect(getReg(c, REG_RDI)).toBe(i);
      end(space, c);
    }
    m.trap(50);
    expect(m.platform.pool.count).toBeLessThan(before + 10);
  });
});

describe("a hostile program", () => {
  const headerOf = (slot: number): number => L.SLOTS_BASE + slot * L.SLOT_BYTES + L.H_OFFSET;
  /** Whatever the hostile one does, others go on. */
  const expectOthersRun = (): void => {
    const { space, c } = start(PROGRAMS.syscalls);
    expect(m.run(c).trap).toBe(TRAP_SYSCALL);
    end(space, c);
  };

  it("is dead when it forges a state that does not exist", () => {
    const { space, c } = start(PROGRAMS.store, headerOf(0) + L.H_STATE, 77);
    expect(m.run(c).trap).toBe(TRAP_DEAD);
    expect(space.isDead).toBe(true);
    expect(m.run(c).trap).toBe(TRAP_DEAD);
    expectOthersRun();
    end(space, c);
  });

  it("is dead when it forges a trap with a signal that cannot be", () => {
    const { space, c } = start(PROGRAMS.store, headerOf(0) + L.H_STATE, L.STATE_TRAPPED);
    expect(m.run(c).trap).toBe(TRAP_DEAD);
    end(space, c);
  });

  describe("that says it has stopped and runs on", () => {
    const changes = () => m.platform.changes;
    /** Its counter in the data page moves. */
    const isCounting = (offset: number): boolean => {
      const before = Atomics.load(m.words, offset >> 2);
      m.trap(20);
      return Atomics.load(m.words, offset >> 2) !== before;
    };
    const forged = () => {
      changes().waitConfirmed();
      const { space, c } = start(PROGRAMS.forge, DATA_AT, headerOf(0) + L.H_STATE);
      const data = m.mapData(space);
      m.run(c);
      expect(m.run(c).trap).toBe(TRAP_SYSCALL);
      expect(isCounting(data)).toBe(true);
      return { space, c, data };
    };

    it("has what is unmapped until the mapper has unmapped it", () => {
      const { space, c, data } = forged();
      expect(changes().confirmedStamp).toBe(changes().issuedStamp);
      space.unmap(DATA_AT, PAGE);
      expect(changes().confirmedStamp).toBe(changes().issuedStamp - 1);
      m.trap(0);
      expect(changes().confirmedStamp).toBe(changes().issuedStamp);
      expect(isCounting(data)).toBe(false);
      end(space, c);
    });

    it("has everything until its stub is gone", () => {
      const { space, c, data } = forged();
      end(space, c);
      expect(changes().confirmedStamp).toBe(changes().issuedStamp - 1);
      let told = 0;
      changes().onConfirmed = () => told++;
      changes().waitConfirmed();
      changes().onConfirmed = null;
      expect(told).toBe(1);
      expect(changes().confirmedStamp).toBe(changes().issuedStamp);
      expect(isCounting(data)).toBe(false);
    });

    it("has everything until its stub is gone when it is killed for another lie", () => {
      const { space, c, data } = forged();
      (space as SystrapAddressSpace).die();
      expect(changes().confirmedStamp).toBe(changes().issuedStamp - 1);
      changes().waitConfirmed();
      expect(changes().confirmedStamp).toBe(changes().issuedStamp);
      expect(isCounting(data)).toBe(false);
      end(space, c);
    });
  });

  it("cannot write the pages its stub takes orders from", () => {
    for (const at of [L.GLOBAL_BASE, L.CTL_BASE, L.REGION_BASE]) {
      const { space, c } = start(PROGRAMS.store, at, 1);
      m.run(c);
      expect([c.trap, c.faultSignal, c.faultAddress]).toEqual([TRAP_FAULT, SIGSEGV, at]);
      end(space, c);
    }
  });

  it("dies when it jumps into the stub's code to map, open, signal or clone", () => {
    const blob = new Uint8Array(host.viewAt(L.REGION_BASE, 4096));
    let entry = -1;
    for (let i = 0; i < 4000 && entry < 0; i++)
      if (blob[i] === 0x0f && blob[i + 1] === 0x05) entry = L.REGION_BASE + i;
    const calls = [9, 2, 257, 62, 234, 56, 18, 10, 11, 59, 157, 317];
    for (const nr of calls) {
      const { space, c } = start(PROGRAMS.jump, 0, 0, entry);
      setReg(c, REG_RAX, nr);
      expect([nr, m.run(c).trap]).toEqual([nr, TRAP_DEAD]);
      end(space, c);
    }
    expectOthersRun();
  });

  it("may ruin only itself by moving its stack into its frame", () => {
    const { space, c } = start(PROGRAMS.moveStack, L.SLOTS_BASE + 0x2000);
    m.run(c);
    expect(c.trap).toBe(TRAP_DEAD);
    expectOthersRun();
    end(space, c);
  });

  it("with its stub killed from outside is reported dead, and only it", () => {
    const a = start(PROGRAMS.spin);
    const b = start(PROGRAMS.spin);
    a.c.resume();
    b.c.resume();
    m.trap(5);
    host.kill((a.space as SystrapAddressSpace).stub.pid, host.SIGKILL);
    expect(m.trap()).toBe(a.c);
    expect(a.c.trap).toBe(TRAP_DEAD);
    b.c.interrupt();
    expect(m.trap()).toBe(b.c);
    expect(b.c.trap).toBe(TRAP_INTERRUPT);
    end(a.space, a.c);
    end(b.space, b.c);
  });

  it("with its stub killed between traps is dead at the next resume", () => {
    const { space, c } = start(PROGRAMS.syscalls);
    m.run(c);
    host.kill((space as SystrapAddressSpace).stub.pid, host.SIGKILL);
    m.trap(20);
    expect(m.run(c).trap).toBe(TRAP_DEAD);
    end(space, c);
  });

  it("leaves nothing of its registers to the next program", () => {
    const { space, c } = start(PROGRAMS.syscalls, 0x4141_4141_4141);
    m.run(c);
    const offset = (space as SystrapAddressSpace).stub.offset;
    const words = m.platform.area.words;
    const find = (): boolean =>
      words.subarray(offset >> 2, (offset + 0x24000) >> 2).includes(0x4141_4141);
    expect(find()).toBe(true);
    end(space, c);
    for (let i = 0; i < 200 && find(); i++) m.trap(5);
    expect(find()).toBe(false);
  });
});

describe("the end", () => {
  it("leaves no stub, not even a dead one to be reaped", () => {
    const other = new ToyMachine();
    const spaces = Array.from({ length: 5 }, () => other.space() as SystrapAddressSpace);
    const contexts = spaces.map((space) => {
      other.loadCode(space, PROGRAMS.spin);
      return other.context(space);
    });
    for (const c of contexts) c.resume();
    host.kill(spaces[0].stub.pid, host.SIGKILL);
    const pids = other.platform.pool.pids;
    expect(pids.length).toBeGreaterThan(5);
    other.platform.end();
    for (const pid of pids) expect([pid, host.kill(pid, 0)]).toEqual([pid, -ESRCH]);
    other.dispose();
  });
});

describe("limits", () => {
  it("gives no more address spaces than allowed, and again after one is released", () => {
    const small = new ToyMachine({ maxStubs: 2 });
    const a = small.space();
    const b = small.space();
    expect(small.platform.newAddressSpace()).toBe(null);
    b.release();
    small.trap(50);
    expect(small.platform.newAddressSpace()).not.toBe(null);
    a.release();
    small.dispose();
  });

  it("gives a thousand contexts in one address space", () => {
    const space = m.space();
    m.loadCode(space, PROGRAMS.syscalls);
    const contexts = Array.from({ length: 1000 }, (_, i) => m.context(space, i));
    for (const i of [0, 3, 4, 500, 999]) {
      expect(getReg(m.run(contexts[i]), REG_RDI)).toBe(i);
    }
    end(space, ...contexts);
    expect(STACK_TOP).toBeGreaterThan(DATA_AT);
  });
});
