// Processor exceptions of a program: page faults go to its address space, the rest become signals.

import { REG_CR2, REG_ERR, REG_TRAPNO } from "../../abi/registers.ts";
import { BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SI_KERNEL, SigInfo } from "../../abi/siginfo.ts";
import { SIGBUS, SIGKILL, SIGSEGV } from "../../abi/signal.ts";
import { signalStatusWord } from "../../abi/wait.ts";
import { FAULT_ACCERR, FAULT_BUS, FAULT_OOM } from "../mm/memory-manager.ts";
import type { Context } from "../platform/platform.ts";
import type { Task } from "./task.ts";
import { groupExit } from "./task-exit.ts";
import { forceSignal } from "./task-signals.ts";

/** Processor exception numbers (trapno of a signal frame). */
const X86_TRAP_PF = 14;

/** Leaves a signal pending when the fault cannot be repaired. */
export function deliverFault(t: Task, context: Context): void {
  const signo = context.faultSignal;
  const code = context.faultCode;
  const isPageFault = signo === SIGSEGV && (code === SEGV_MAPERR || code === SEGV_ACCERR);
  if (!isPageFault) {
    const info = new SigInfo(signo, code);
    if (code !== SI_KERNEL) info.setAddress(context.faultAddress);
    forceSignal(t, info);
    return;
  }
  const outcome = t.mm.fault(context.faultAddress, context.faultError);
  if (outcome === 0) {
    t.minorFaults++;
    return;
  }
  const regs = context.regs;
  regs[2 * REG_TRAPNO] = X86_TRAP_PF;
  regs[2 * REG_ERR] = context.faultError | 4;
  regs[2 * REG_CR2] = context.faultAddress;
  regs[2 * REG_CR2 + 1] = Math.floor(context.faultAddress / 0x1_0000_0000);
  if (outcome === FAULT_OOM) {
    t.kernel.log(`out of memory: killed process ${t.threadGroup.tgid} (${t.comm})`);
    groupExit(t.threadGroup, signalStatusWord(SIGKILL, false));
    return;
  }
  const info =
    outcome === FAULT_BUS
      ? new SigInfo(SIGBUS, BUS_ADRERR)
      : new SigInfo(SIGSEGV, outcome === FAULT_ACCERR ? SEGV_ACCERR : SEGV_MAPERR);
  forceSignal(t, info.setAddress(context.faultAddress));
}
