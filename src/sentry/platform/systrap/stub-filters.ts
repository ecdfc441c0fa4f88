// What the host lets a stub do. The base program holds for every thread of every stub; runners, whose
// thread a program's own instructions use (and which may jump into the blob at will), load a second one
// that leaves only what is harmless from a program's hands: nothing that maps, opens, signals or clones.

import * as nr from "../../../abi/syscall-numbers.ts";
import {
  assembleSeccomp,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_TRAP,
  type SyscallRule,
} from "../../../host/bpf.ts";
import { CODE_BYTES, REGION_BASE } from "./layout.ts";

export const CLONE_STUB_FLAGS = 0x400 | 0x8000 | 0x10_0000; // FILES, PARENT, PARENT_SETTID
export const CLONE_RUNNER_FLAGS = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000 | 0x10_0000; // a thread, PARENT_SETTID

const MAP_SHARED_FIXED = 0x11;
const PR_SET_PDEATHSIG = 1;
const PR_SET_SYSCALL_USER_DISPATCH = 59;
const SECCOMP_SET_MODE_FILTER = 1;

const inBlob = { start: REGION_BASE, length: CODE_BYTES, otherwise: SECCOMP_RET_TRAP };

function common(bellFd: number): SyscallRule[] {
  return [
    { nr: nr.SYS_rt_sigreturn },
    { nr: nr.SYS_futex, args: [{ index: 1, values: [0, 1], isInt: true }] },
    {
      nr: nr.SYS_write,
      args: [
        { index: 0, values: [bellFd], isInt: true },
        { index: 2, values: [8] },
      ],
    },
    { nr: nr.SYS_exit_group },
  ];
}

export function runnerFilter(bellFd: number): Uint8Array {
  return assembleSeccomp({
    foreignArch: SECCOMP_RET_TRAP,
    origin: inBlob,
    rules: common(bellFd),
    defaultAction: SECCOMP_RET_KILL_PROCESS,
  });
}

export function baseFilter(bellFd: number, sharedFd: number): Uint8Array {
  return assembleSeccomp({
    foreignArch: SECCOMP_RET_TRAP,
    origin: inBlob,
    rules: [
      ...common(bellFd),
      { nr: nr.SYS_mmap, args: [{ index: 3, values: [MAP_SHARED_FIXED] }] },
      { nr: nr.SYS_munmap },
      { nr: nr.SYS_mprotect },
      { nr: nr.SYS_pwrite64, args: [{ index: 0, values: [sharedFd], isInt: true }] },
      { nr: nr.SYS_clone, args: [{ index: 0, values: [CLONE_STUB_FLAGS, CLONE_RUNNER_FLAGS] }] },
      { nr: nr.SYS_tgkill, args: [{ index: 2, values: [INTERRUPT_SIGNAL], isInt: true }] },
      {
        nr: nr.SYS_prctl,
        args: [{ index: 0, values: [PR_SET_PDEATHSIG, PR_SET_SYSCALL_USER_DISPATCH], isInt: true }],
      },
      { nr: nr.SYS_getppid },
      { nr: nr.SYS_seccomp, args: [{ index: 0, values: [SECCOMP_SET_MODE_FILTER] }] },
    ],
    defaultAction: SECCOMP_RET_KILL_PROCESS,
  });
}

/** SIGUSR1 on the host; the program never sees it. */
export const INTERRUPT_SIGNAL = 10;
