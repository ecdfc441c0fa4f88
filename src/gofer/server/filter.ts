// The Gofer's system call filter (seccomp(2)): file calls relative to descriptors, messages on its socket,
// and what Node needs to keep breathing. No socket, connect, execve, ptrace, mount, clone of processes:
// they are answered EPERM. Installed on every thread.

import {
  SYS_brk,
  SYS_clock_gettime,
  SYS_clock_nanosleep,
  SYS_close,
  SYS_epoll_ctl,
  SYS_epoll_pwait,
  SYS_epoll_wait,
  SYS_exit,
  SYS_exit_group,
  SYS_fchmod,
  SYS_fchmodat2,
  SYS_fchownat,
  SYS_fcntl,
  SYS_fstat,
  SYS_fstatfs,
  SYS_fsync,
  SYS_ftruncate,
  SYS_futex,
  SYS_getdents64,
  SYS_getpid,
  SYS_getrandom,
  SYS_getrusage,
  SYS_gettid,
  SYS_linkat,
  SYS_lseek,
  SYS_madvise,
  SYS_membarrier,
  SYS_mkdirat,
  SYS_mmap,
  SYS_mprotect,
  SYS_mremap,
  SYS_munmap,
  SYS_nanosleep,
  SYS_newfstatat,
  SYS_openat,
  SYS_openat2,
  SYS_poll,
  SYS_read,
  SYS_readlinkat,
  SYS_recvmsg,
  SYS_renameat2,
  SYS_restart_syscall,
  SYS_rseq,
  SYS_rt_sigaction,
  SYS_rt_sigprocmask,
  SYS_rt_sigreturn,
  SYS_sched_getaffinity,
  SYS_sched_yield,
  SYS_seccomp,
  SYS_sendmsg,
  SYS_sendto,
  SYS_set_robust_list,
  SYS_sigaltstack,
  SYS_statx,
  SYS_symlinkat,
  SYS_tgkill,
  SYS_unlinkat,
  SYS_utimensat,
  SYS_write,
  SYS_writev,
} from "../../abi/syscall-numbers.ts";
import { setU16Le, setU32Le, setU64Le } from "../../base/bytes.ts";
import { addressOf, sys } from "../../host/raw-syscall.ts";

const ALLOWED: readonly number[] = [
  // Most frequent first: the filter is walked in order.
  SYS_statx,
  SYS_recvmsg,
  SYS_sendto,
  SYS_sendmsg,
  SYS_openat2,
  SYS_openat,
  SYS_close,
  SYS_poll,
  SYS_futex,
  SYS_getdents64,
  SYS_readlinkat,
  SYS_fstatfs,
  SYS_lseek,
  SYS_mkdirat,
  SYS_symlinkat,
  SYS_linkat,
  SYS_unlinkat,
  SYS_renameat2,
  SYS_fchownat,
  SYS_fchmodat2,
  SYS_fchmod,
  SYS_utimensat,
  SYS_ftruncate,
  SYS_fsync,
  SYS_read,
  SYS_write,
  SYS_writev,
  SYS_fstat,
  SYS_newfstatat,
  SYS_fcntl,
  SYS_mmap,
  SYS_munmap,
  SYS_mremap,
  SYS_mprotect,
  SYS_madvise,
  SYS_brk,
  SYS_clock_gettime,
  SYS_clock_nanosleep,
  SYS_nanosleep,
  SYS_epoll_wait,
  SYS_epoll_pwait,
  SYS_epoll_ctl,
  SYS_rt_sigaction,
  SYS_rt_sigprocmask,
  SYS_rt_sigreturn,
  SYS_sigaltstack,
  SYS_sched_yield,
  SYS_sched_getaffinity,
  SYS_getpid,
  SYS_gettid,
  SYS_tgkill,
  SYS_getrandom,
  SYS_getrusage,
  SYS_membarrier,
  SYS_rseq,
  SYS_set_robust_list,
  SYS_restart_syscall,
  SYS_exit,
  SYS_exit_group,
];

const AUDIT_ARCH_X86_64 = 0xc000_003e;
const BPF_LOAD_WORD = 0x20;
const BPF_JUMP_EQUAL = 0x15;
const BPF_RETURN = 0x06;
const RET_ALLOW = 0x7fff_0000;
const RET_ERRNO_EPERM = 0x0005_0001;
const RET_KILL_PROCESS = 0x8000_0000;
const SET_MODE_FILTER = 1;
const FLAG_TSYNC = 1;

/** 0 or -errno. Precondition: no_new_privs. */
export function installGoferFilter(): number {
  const instructions: [number, number, number, number][] = [
    [BPF_LOAD_WORD, 0, 0, 4],
    [BPF_JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64],
    [BPF_RETURN, 0, 0, RET_KILL_PROCESS],
    [BPF_LOAD_WORD, 0, 0, 0],
  ];
  for (const nr of ALLOWED) {
    instructions.push([BPF_JUMP_EQUAL, 0, 1, nr], [BPF_RETURN, 0, 0, RET_ALLOW]);
  }
  instructions.push([BPF_RETURN, 0, 0, RET_ERRNO_EPERM]);
  const code = new Uint8Array(8 * instructions.length);
  instructions.forEach(([op, yes, no, k], i) => {
    setU16Le(code, 8 * i, op);
    code[8 * i + 2] = yes;
    code[8 * i + 3] = no;
    setU32Le(code, 8 * i + 4, k);
  });
  const program = new Uint8Array(16);
  setU16Le(program, 0, instructions.length);
  setU64Le(program, 8, addressOf(code));
  return sys(SYS_seccomp, SET_MODE_FILTER, FLAG_TSYNC, addressOf(program), 0, 0, 0);
}
