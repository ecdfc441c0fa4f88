import { describe, expect, it } from "vitest";
import { EAGAIN, EINTR, EINVAL, ENOMEM, EPERM } from "../../abi/errno.ts";
import {
  REG_EFL,
  REG_RAX,
  REG_RBX,
  REG_RDI,
  REG_RDX,
  REG_RIP,
  REG_RSI,
  REG_RSP,
} from "../../abi/registers.ts";
import {
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESETHAND,
  SA_RESTART,
  SA_RESTORER,
  SA_SIGINFO,
  SIG_IGN,
  SIGCHLD,
  SIGSEGV,
  SIGTERM,
  SIGUSR1,
  SIGUSR2,
  SS_AUTODISARM,
  SS_DISABLE,
} from "../../abi/signal.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { setU32Le, setU64Le } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import { contextOf, KernelFixture, STACK_TOP, USER_BASE } from "../testing/kernel-fixture.ts";
import { Credentials } from "./credentials.ts";
import type { Task } from "./task.ts";

const HANDLER = 0x40_2000;
const RESTORER = 0x40_3000;
const AT = USER_BASE + 0x1000;
const RT = 40;
const bit = (signo: number): number => 1 << (signo - 1);

function handle(f: KernelFixture, t: Task, signo: number, flags: number, mask = 0): void {
  const bytes = new Uint8Array(32);
  setU64Le(bytes, 0, HANDLER);
  setU64Le(bytes, 8, 0);
  setU32Le(bytes, 8, flags | SA_RESTORER);
  setU64Le(bytes, 16, RESTORER);
  setU32Le(bytes, 24, mask);
  t.mm.copyOut(AT, bytes, 0, 32);
  expect(f.call(t, nr.SYS_rt_sigaction, signo, AT, 0, 8)).toBe(0);
}

/** What the C library's restorer does after the handler's `ret`. */
function sigreturn(f: KernelFixture, t: Task): void {
  const context = contextOf(t);
  context.setReg(REG_RSP, context.reg(REG_RSP) + 8);
  f.call(t, nr.SYS_rt_sigreturn);
}
const kill = (f: KernelFixture, t: Task, signo: number) => f.call(t, nr.SYS_kill, t.tid, signo);

function setMask(f: KernelFixture, t: Task, low: number, high = 0): void {
  t.mm.writeU32(AT, low >>> 0);
  t.mm.writeU32(AT + 4, high >>> 0);
  f.call(t, nr.SYS_rt_sigprocmask, 2, AT, 0, 8);
}

describe("the signal frame", () => {
  it("has Linux's layout, alignment and arguments", () => {
    const f = new KernelFixture();
    const t = f.process();
    handle(f, t, SIGUSR1, SA_SIGINFO, bit(SIGTERM));
    const context = contextOf(t);
    context.setReg(REG_RBX, 0x1122_3344_5566);
    context.setReg(REG_EFL, 0x246 | 0x400);
    context.fpState[700] = 9;
    const rip = context.reg(REG_RIP);
    kill(f, t, SIGUSR1);
    const sp = context.reg(REG_RSP);
    expect((sp + 8) % 16).toBe(0);
    expect(sp).toBeLessThan(STACK_TOP - 128 - 440 - 832);
    expect(context.reg(REG_RIP)).toBe(HANDLER);
    expect(context.reg(REG_RDI)).toBe(SIGUSR1);
    expect(context.reg(REG_RSI)).toBe(sp + 312);
    expect(context.reg(REG_RDX)).toBe(sp + 8);
    expect(context.reg(REG_RAX)).toBe(0);
    expect(context.reg(REG_EFL) & 0x400).toBe(0);
    const mm = t.mm;
    expect(mm.readU64(sp)).toBe(RESTORER);
    expect(mm.readU64(sp + 8)).toBe(7); // uc_flags
    // gregs: RBX is the 12th of the mcontext at uc + 40, RIP the 17th; RAX holds kill's result.
    expect(mm.readU64(sp + 48 + 8 * 11)).toBe(0x1122_3344_5566);
    expect(mm.readU64(sp + 48 + 8 * 16)).toBe(rip + 2);
    expect(mm.readU64(sp + 48 + 8 * 13)).toBe(0);
    expect(mm.readU32(sp + 8 + 296)).toBe(0); // uc_sigmask: the mask before
    expect(mm.readI32(sp + 312)).toBe(SIGUSR1);
    expect(mm.readI32(sp + 312 + 16)).toBe(t.tid); // si_pid
    const fp = mm.readU64(sp + 48 + 8 * 23);
    expect(fp % 64).toBe(0);
    expect(mm.readU8(fp + 700)).toBe(9);
    expect(mm.readU32(fp + 464)).toBe(0x46505853);
    expect(mm.readU32(fp + 464 + 4)).toBe(832 + 4);
    expect(mm.readU32(fp + 464 + 16)).toBe(832);
    expect(mm.readU32(fp + 832)).toBe(0x46505845);
    expect(t.signalMask.low).toBe(bit(SIGUSR1) | bit(SIGTERM));
  });

  it("gives everything back at rt_sigreturn: registers, flags, FPU state, mask", () => {
    const f = new KernelFixture();
    const t = f.process();
    handle(f, t, SIGUSR1, 0);
    const context = contextOf(t);
    context.setReg(REG_RBX, 77);
    context.fpState[600] = 5;
    kill(f, t, SIGUSR1);
    const before = context.reg(REG_RSP);
    context.setReg(REG_RBX, 1);
    context.fpState.fill(0);
    sigreturn(f, t);
    expect(context.reg(REG_RBX)).toBe(77);
    expect(context.reg(REG_RSP)).toBe(STACK_TOP);
    expect(context.reg(REG_RSP)).not.toBe(before);
    expect(context.fpState[600]).toBe(5);
    expect(t.signalMask.isEmpty).toBe(true);
    expect(f.result(t)).toBe(0);
  });

  it("takes neither selectors nor privileged flags from the frame", () => {
    const f = new KernelFixture();
    const t = f.process();
    handle(f, t, SIGUSR1, 0);
    kill(f, t, SIGUSR1);
    const sp = contextOf(t).reg(REG_RSP);
    t.mm.writeU64(sp + 48 + 8 * REG_EFL, 0x3000 | 0x200); // IOPL 3
    t.mm.writeU64(sp + 48 + 8 * 18, 0);
    sigreturn(f, t);
    expect(contextOf(t).reg(REG_EFL) & 0x3000).toBe(0);
    expect(contextOf(t).regs[2 * 18]).toBe(0x33);
  });

  it("kills with SIGSEGV when the frame is not readable, or there is no restorer", () => {
    const f = new KernelFixture();
    const t = f.process();
    contextOf(t).setReg(REG_RSP, 0x10);
    f.call(t, nr.SYS_rt_sigreturn);
    expect(t.threadGroup.exitStatus).toBe(SIGSEGV);
    const other = f.process();
    handle(f, other, SIGUSR1, 0);
    const action = other.threadGroup.actions.get(SIGUSR1);
    other.threadGroup.actions.set(SIGUSR1, { ...action, flags: 0 });
    kill(f, other, SIGUSR1);
    expect(other.threadGroup.exitStatus).toBe(SIGSEGV);
  });

  it("stacks one frame per pending signal, lowest number outermost", () => {
    const f = new KernelFixture();
    const t = f.process();
    handle(f, t, SIGUSR1, 0);
    handle(f, t, SIGUSR2, 0);
    setMask(f, t, bit(SIGUSR1) | bit(SIGUSR2));
    kill(f, t, SIGUSR2);
    kill(f, t, SIGUSR1);
    setMask(f, t, 0);
    // The later frame runs first: USR2's, then USR1's, then the program.
    expect(contextOf(t).reg(REG_RDI)).toBe(SIGUSR2);
    sigreturn(f, t);
    expect(contextOf(t).reg(REG_RDI)).toBe(SIGUSR1);
    sigreturn(f, t);
    expect(contextOf(t).reg(REG_RSP)).toBe(STACK_TOP);
  });
});

describe("sigaltstack", () => {
  const STACK = USER_BASE + 0x2_0000;
  const stack = (f: KernelFixture, t: Task, address: number, flags: number, bytes: number) => {
    const b = new Uint8Array(24);
    setU64Le(b, 0, address);
    setU32Le(b, 8, flags);
    setU64Le(b, 16, bytes);
    t.mm.copyOut(AT, b, 0, 24);
    return f.call(t, nr.SYS_sigaltstack, AT, 0);
  };

  it("is used by SA_ONSTACK handlers, cannot be changed meanwhile, and shows SS_ONSTACK", () => {
    const f = new KernelFixture();
    const t = f.process();
    expect(stack(f, t, STACK, 0, 1024)).toBe(-ENOMEM);
    expect(stack(f, t, STACK, 64, 0x8000)).toBe(-EINVAL);
    expect(stack(f, t, STACK, 0, 0x8000)).toBe(0);
    handle(f, t, SIGUSR1, SA_ONSTACK);
    kill(f, t, SIGUSR1);
    const sp = contextOf(t).reg(REG_RSP);
    expect(sp > STACK && sp < STACK + 0x8000).toBe(true);
    expect(stack(f, t, STACK, 0, 0x8000)).toBe(-EPERM);
    f.call(t, nr.SYS_sigaltstack, 0, AT);
    expect(t.mm.readU32(AT + 8)).toBe(1);
    sigreturn(f, t);
    f.call(t, nr.SYS_sigaltstack, 0, AT);
    expect(t.mm.readU32(AT + 8)).toBe(0);
  });

  it("is put away during a handler with SS_AUTODISARM and comes back after it", () => {
    const f = new KernelFixture();
    const t = f.process();
    stack(f, t, STACK, SS_AUTODISARM, 0x8000);
    handle(f, t, SIGUSR1, SA_ONSTACK);
    kill(f, t, SIGUSR1);
    expect(t.altStack.flags).toBe(SS_DISABLE);
    sigreturn(f, t);
    expect(t.altStack.address).toBe(STACK);
    expect(t.altStack.flags).toBe(SS_AUTODISARM);
  });

  it("that is too small for the frame kills the program", () => {
    const f = new KernelFixture();
    const t = f.process();
    stack(f, t, STACK, 0, 2048);
    t.altStack.bytes = 512;
    handle(f, t, SIGUSR1, SA_ONSTACK);
    kill(f, t, SIGUSR1);
    expect(t.threadGroup.exitStatus).toBe(SIGSEGV);
  });
});

describe("an interrupted call", () => {
  const wait = (f: KernelFixture, t: Task) => f.call(t, nr.SYS_wait4, -1, 0, 0, 0);
  const setup = (flags: number) => {
    const f = new KernelFixture();
    const t = f.process();
    const child = f.task(f.call(t, nr.SYS_fork) as number);
    handle(f, t, SIGUSR1, flags);
    return { f, t, child, rip: contextOf(t).reg(REG_RIP) };
  };

  it("answers EINTR when the handler has no SA_RESTART", () => {
    const { f, t, child, rip } = setup(0);
    wait(f, t);
    f.call(child, nr.SYS_kill, t.tid, SIGUSR1);
    expect(contextOf(t).reg(REG_RIP)).toBe(HANDLER);
    sigreturn(f, t);
    expect(f.result(t)).toBe(-EINTR);
    expect(contextOf(t).reg(REG_RIP)).toBe(rip + 2);
  });

  it("is made again after a handler with SA_RESTART", () => {
    const { f, t, child, rip } = setup(SA_RESTART);
    wait(f, t);
    f.call(child, nr.SYS_kill, t.tid, SIGUSR1);
    sigreturn(f, t);
    expect(contextOf(t).reg(REG_RAX)).toBe(nr.SYS_wait4);
    expect(contextOf(t).reg(REG_RIP)).toBe(rip);
  });

  it("is not disturbed by an ignored signal, and goes on by itself after a stop", () => {
    const { f, t, child, rip } = setup(0);
    wait(f, t);
    f.call(child, nr.SYS_kill, t.tid, SIGCHLD);
    expect(t.isParked).toBe(true);
    f.call(child, nr.SYS_kill, t.tid, 19);
    f.call(child, nr.SYS_kill, t.tid, 18);
    expect(contextOf(t).reg(REG_RAX)).toBe(nr.SYS_wait4);
    expect(contextOf(t).reg(REG_RIP)).toBe(rip);
  });

  it("sleeps on for the rest of its time through restart_syscall after a stop", () => {
    const f = new KernelFixture();
    const t = f.process();
    const killer = f.process();
    t.mm.writeU64(AT, 2);
    t.mm.writeU64(AT + 8, 0);
    expect(f.call(t, nr.SYS_nanosleep, AT, AT + 16)).toBeNull();
    f.advance(SECOND);
    f.call(killer, nr.SYS_kill, t.tid, 19);
    f.call(killer, nr.SYS_kill, t.tid, 18);
    expect(contextOf(t).reg(REG_RAX)).toBe(nr.SYS_restart_syscall);
    expect(f.call(t, nr.SYS_restart_syscall)).toBeNull();
    f.advance(SECOND - 1);
    expect(f.result(t)).toBeNull();
    f.advance(1);
    expect(f.result(t)).toBe(0);
  });

  it("nanosleep writes what was left when a handler ended it", () => {
    const f = new KernelFixture();
    const t = f.process();
    const killer = f.process();
    handle(f, t, SIGUSR1, SA_RESTART);
    t.mm.writeU64(AT, 2);
    t.mm.writeU64(AT + 8, 0);
    f.call(t, nr.SYS_nanosleep, AT, AT + 16);
    f.advance(SECOND + 500 * MS);
    f.call(killer, nr.SYS_kill, t.tid, SIGUSR1);
    expect(t.mm.readU64(AT + 16)).toBe(0);
    expect(t.mm.readU64(AT + 24)).toBe(500 * MS);
    sigreturn(f, t);
    expect(f.result(t)).toBe(-EINTR);
  });
});

describe("sigsuspend", () => {
  it("lets the signal in under its mask and restores the old one after the handler", () => {
    const f = new KernelFixture();
    const t = f.process();
    const killer = f.process();
    handle(f, t, SIGUSR1, 0);
    setMask(f, t, bit(SIGUSR1) | bit(SIGUSR2));
    t.mm.writeU32(AT, 0);
    t.mm.writeU32(AT + 4, 0);
    expect(f.call(t, nr.SYS_rt_sigsuspend, AT, 8)).toBeNull();
    f.call(killer, nr.SYS_kill, t.tid, SIGUSR1);
    expect(contextOf(t).reg(REG_RIP)).toBe(HANDLER);
    sigreturn(f, t);
    expect(t.signalMask.low).toBe(bit(SIGUSR1) | bit(SIGUSR2));
    expect(f.result(t)).toBe(-EINTR);
  });
});

describe("sending", () => {
  it("queues real-time signals in order with their values, standard ones once", () => {
    const f = new KernelFixture();
    const t = f.process();
    setMask(f, t, bit(SIGUSR1), 1 << (RT - 33));
    for (const value of [1, 2]) {
      const info = new Uint8Array(128);
      setU32Le(info, 8, -1);
      setU32Le(info, 24, value);
      t.mm.copyOut(AT, info, 0, 128);
      f.call(t, nr.SYS_rt_sigqueueinfo, t.tid, RT, AT);
      kill(f, t, SIGUSR1);
    }
    const set = AT + 0x300;
    t.mm.writeU32(set, bit(SIGUSR1));
    t.mm.writeU32(set + 4, 1 << (RT - 33));
    t.mm.writeU64(AT + 0x310, 0);
    t.mm.writeU64(AT + 0x318, 0);
    const next = () => f.call(t, nr.SYS_rt_sigtimedwait, set, AT, AT + 0x310, 8);
    expect(next()).toBe(SIGUSR1);
    expect(next()).toBe(RT);
    expect(t.mm.readI32(AT + 24)).toBe(1);
    expect(next()).toBe(RT);
    expect(t.mm.readI32(AT + 24)).toBe(2);
    expect(next()).toBe(-EAGAIN);
  });

  it("wakes sigtimedwait, and its time runs out otherwise", () => {
    const f = new KernelFixture();
    const t = f.process();
    const killer = f.process();
    setMask(f, t, bit(SIGUSR1));
    t.mm.writeU32(AT, bit(SIGUSR1));
    t.mm.writeU32(AT + 4, 0);
    t.mm.writeU64(AT + 16, 1);
    t.mm.writeU64(AT + 24, 0);
    expect(f.call(t, nr.SYS_rt_sigtimedwait, AT, 0, AT + 16, 8)).toBeNull();
    f.call(killer, nr.SYS_kill, t.tid, SIGUSR1);
    expect(f.result(t)).toBe(SIGUSR1);
    expect(f.call(t, nr.SYS_rt_sigtimedwait, AT, 0, AT + 16, 8)).toBeNull();
    f.advance(SECOND);
    expect(f.result(t)).toBe(-EAGAIN);
  });

  it("needs permission", () => {
    const f = new KernelFixture();
    const user = f.process({ creds: new Credentials({ uid: 1000, gid: 1000 }) });
    const root = f.process();
    expect(f.call(user, nr.SYS_kill, root.tid, 0)).toBe(-EPERM);
    expect(f.call(root, nr.SYS_kill, user.tid, 0)).toBe(0);
    const info = new Uint8Array(128); // si_code SI_USER: pretends to come from kill
    user.mm.copyOut(AT, info, 0, 128);
    expect(f.call(user, nr.SYS_rt_sigqueueinfo, root.tid, RT, AT)).toBe(-EPERM);
  });

  it("interrupts a program that runs and does no calls", () => {
    const f = new KernelFixture();
    const t = f.process();
    const killer = f.process();
    handle(f, t, SIGUSR1, 0);
    f.call(killer, nr.SYS_kill, t.tid, SIGUSR1);
    expect(contextOf(t).reg(REG_RIP)).toBe(HANDLER);
  });

  it("SA_RESETHAND handles once, SA_NODEFER does not block itself", () => {
    const f = new KernelFixture();
    const t = f.process();
    handle(f, t, SIGUSR1, SA_RESETHAND | SA_NODEFER);
    kill(f, t, SIGUSR1);
    expect(t.signalMask.isEmpty).toBe(true);
    kill(f, t, SIGUSR1);
    expect(t.threadGroup.exitStatus).toBe(SIGUSR1);
  });

  it("goes to a thread that does not block it", () => {
    const f = new KernelFixture();
    const t = f.process();
    const flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000;
    const other = f.task(f.call(t, nr.SYS_clone, flags, USER_BASE + 0x9000) as number);
    handle(f, t, SIGUSR1, 0);
    setMask(f, t, bit(SIGUSR1));
    kill(f, t, SIGUSR1);
    expect(contextOf(other).reg(REG_RIP)).toBe(HANDLER);
    expect(contextOf(t).reg(REG_RIP)).not.toBe(HANDLER);
  });
});

describe("a fault", () => {
  it("is repaired by the memory, or becomes SIGSEGV with address and error code", () => {
    const f = new KernelFixture();
    const t = f.process();
    const rip = contextOf(t).reg(REG_RIP);
    f.fault(t, SIGSEGV, 1, USER_BASE + 0x5000, 2);
    expect(contextOf(t).reg(REG_RIP)).toBe(rip);
    expect(t.minorFaults).toBe(1);
    handle(f, t, SIGSEGV, SA_SIGINFO);
    f.fault(t, SIGSEGV, 1, 0x6000_0000, 2);
    const sp = contextOf(t).reg(REG_RSP);
    expect(t.mm.readI32(sp + 312 + 8)).toBe(1); // SEGV_MAPERR
    expect(t.mm.readU64(sp + 312 + 16)).toBe(0x6000_0000);
    expect(t.mm.readU64(sp + 48 + 8 * 22)).toBe(0x6000_0000); // cr2
    expect(t.mm.readU64(sp + 48 + 8 * 20)).toBe(14); // trapno
  });

  it("kills even who ignores or blocks it", () => {
    const f = new KernelFixture();
    const t = f.process();
    const action = t.threadGroup.actions.get(SIGSEGV);
    t.threadGroup.actions.set(SIGSEGV, { ...action, handler: SIG_IGN });
    setMask(f, t, bit(SIGSEGV));
    f.fault(t, SIGSEGV, 1, 0x6000_0000);
    expect(t.threadGroup.exitStatus).toBe(SIGSEGV);
  });
});
