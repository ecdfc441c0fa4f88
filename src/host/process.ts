// This process and its children: names, parent-death signal, privileges, waiting, affinity (prctl(2),
// wait4(2), sched_getaffinity(2)).

import {
  SYS_exit_group,
  SYS_getpid,
  SYS_gettid,
  SYS_kill,
  SYS_pidfd_open,
  SYS_prctl,
  SYS_sched_getaffinity,
  SYS_sched_setaffinity,
  SYS_tgkill,
  SYS_wait4,
} from "../abi/syscall-numbers.ts";
import { addressOf, declare, globalInteger, pinnedBytes, sys } from "./raw-syscall.ts";

const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_NAME = 15;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_TIMERSLACK = 29;
const PR_SET_CHILD_SUBREAPER = 36;

export const SIGKILL = 9;

const scratch = pinnedBytes(1024);
const scratchView = new DataView(scratch.buffer);
const scratchAddress = addressOf(scratch);

/** Names the process: the main thread's comm (15 bytes are kept) and what ps shows. */
export function setProcessName(name: string): void {
  process.title = name;
  for (let i = 0; i < 16; i++) scratch[i] = i < 15 ? name.charCodeAt(i) | 0 : 0;
  sys(SYS_prctl, PR_SET_NAME, scratchAddress, 0, 0, 0, 0);
}

/** The host sends us this signal when the thread that started us ends. */
export function setParentDeathSignal(signal: number): number {
  return sys(SYS_prctl, PR_SET_PDEATHSIG, signal, 0, 0, 0, 0);
}
/** Orphans among our descendants become our children. */
export function setChildSubreaper(): number {
  return sys(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0);
}
export function setNoNewPrivileges(): number {
  return sys(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
}
/** Not dumpable: no core, no ptrace and no /proc/PID access by others of our own user. */
export function setDumpable(on: boolean): number {
  return sys(SYS_prctl, PR_SET_DUMPABLE, on ? 1 : 0, 0, 0, 0, 0);
}
/** How late the host may wake this thread's sleeps (default 50,000 ns). */
export function setTimerSlackNs(slackNs: number): number {
  return sys(SYS_prctl, PR_SET_TIMERSLACK, slackNs, 0, 0, 0, 0);
}

/** Ends the process here and now: nothing of Node's or libc's is run down, nothing buffered is written. */
export function exitGroup(status: number): void {
  sys(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

export function getpid(): number {
  return sys(SYS_getpid, 0, 0, 0, 0, 0, 0);
}
export function gettid(): number {
  return sys(SYS_gettid, 0, 0, 0, 0, 0, 0);
}
export function kill(pid: number, signal: number): number {
  return sys(SYS_kill, pid, signal, 0, 0, 0, 0);
}
export function tgkill(pid: number, tid: number, signal: number): number {
  return sys(SYS_tgkill, pid, tid, signal, 0, 0, 0);
}
/** A descriptor that becomes readable when the process ends. */
export function pidfdOpen(pid: number): number {
  return sys(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
}

export const WNOHANG = 1;
const WALL = 0x4000_0000;
let waitStatus = 0;
/** wait4(pid, ..., options | __WALL): the child reaped, 0 with WNOHANG and none, or -errno. */
export function waitpid(pid: number, options: number): number {
  const r = sys(SYS_wait4, pid, scratchAddress, options | WALL, 0, 0, 0);
  waitStatus = scratchView.getInt32(0, true);
  return r;
}
/** The status that the last successful waitpid stored. */
export function lastWaitStatus(): number {
  return waitStatus;
}

/** CPUs that a thread (0: this one) may run on, ascending; empty when the host does not tell. */
export function schedGetAffinity(tid = 0): number[] {
  const n = sys(SYS_sched_getaffinity, tid, scratch.length, scratchAddress, 0, 0, 0);
  const cpus: number[] = [];
  for (let i = 0; i < n * 8; i++) if ((scratch[i >> 3] & (1 << (i & 7))) !== 0) cpus.push(i);
  return cpus;
}
export function schedSetAffinity(tid: number, cpus: readonly number[]): number {
  scratch.fill(0);
  for (const cpu of cpus) scratch[cpu >> 3] |= 1 << (cpu & 7);
  return sys(SYS_sched_setaffinity, tid, scratch.length, scratchAddress, 0, 0, 0);
}

const SYS_ARCH_PRCTL = 158;
const ARCH_GET_FS = 0x1003;
/** FS base of the calling thread: libc's thread pointer. */
export function threadPointer(): number {
  sys(SYS_ARCH_PRCTL, ARCH_GET_FS, scratchAddress, 0, 0, 0, 0);
  return Number(scratchView.getBigUint64(0, true));
}

const getauxval = declare<(type: number) => number | bigint>(
  "unsigned long getauxval(unsigned long)",
);
/** A value of this process's auxiliary vector (getauxval(3)); low 32 bits. */
export function auxiliaryValue(type: number): number {
  return Number(BigInt(getauxval(type)) & 0xffff_ffffn);
}

/** Where libc registered the calling thread's rseq area (rseq(2)); address 0: it did not. */
export function rseqArea(): { address: number; length: number } {
  const offset = globalInteger("__rseq_offset", "int64_t");
  const size = globalInteger("__rseq_size", "uint32_t");
  if (offset === null || size === null || size === 0) return { address: 0, length: 0 };
  return { address: threadPointer() + offset, length: Math.max(32, (size + 31) & ~31) };
}

const SYS_CAPSET = 126;
const CAPABILITY_VERSION_3 = 0x2008_0522;
/** Gives up all capabilities of the calling thread (capset(2)). */
export function dropCapabilities(): number {
  scratch.fill(0, 0, 64);
  scratchView.setUint32(0, CAPABILITY_VERSION_3, true);
  return sys(SYS_CAPSET, scratchAddress, scratchAddress + 8, 0, 0, 0, 0);
}
