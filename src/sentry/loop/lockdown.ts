// Locks the Sentry in, before the first program instruction: an allow-list of host calls for all its threads
// (seccomp(2) with TSYNC), no new privileges, no capabilities, not dumpable, no descriptor that nobody
// asked to keep. What is left can use descriptors it holds and memory, and nothing else: no open, no socket,
// no connect, no exec, no signal to another process. Calls that Node may make as a probe fail with EPERM or
// ENOSYS; those that only an attacker makes end the process.

import { readdirSync, readlinkSync } from "node:fs";
import { ENOSYS, EPERM } from "../../abi/errno.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import * as host from "../../host/index.ts";

const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;
const SIGKILL = 9;

/** Calls that work on held descriptors, memory, time and the calling thread only. */
const ALLOWED: readonly number[] = [
  nr.SYS_read,
  nr.SYS_write,
  nr.SYS_readv,
  nr.SYS_writev,
  nr.SYS_pread64,
  nr.SYS_pwrite64,
  nr.SYS_preadv,
  nr.SYS_pwritev,
  nr.SYS_futex,
  nr.SYS_epoll_wait,
  nr.SYS_epoll_pwait,
  nr.SYS_epoll_pwait2,
  nr.SYS_epoll_ctl,
  nr.SYS_poll,
  nr.SYS_ppoll,
  nr.SYS_sendto,
  nr.SYS_sendmsg,
  nr.SYS_recvfrom,
  nr.SYS_recvmsg,
  nr.SYS_shutdown,
  nr.SYS_getsockopt,
  nr.SYS_close,
  nr.SYS_fstat,
  nr.SYS_fstatfs,
  nr.SYS_lseek,
  nr.SYS_fsync,
  nr.SYS_fdatasync,
  nr.SYS_ftruncate,
  nr.SYS_fallocate,
  nr.SYS_dup,
  nr.SYS_mmap,
  nr.SYS_munmap,
  nr.SYS_mprotect,
  nr.SYS_mremap,
  nr.SYS_madvise,
  nr.SYS_mincore,
  nr.SYS_brk,
  nr.SYS_membarrier,
  nr.SYS_pkey_mprotect,
  nr.SYS_clock_gettime,
  nr.SYS_clock_getres,
  nr.SYS_clock_nanosleep,
  nr.SYS_nanosleep,
  nr.SYS_gettimeofday,
  nr.SYS_getrandom,
  nr.SYS_getpid,
  nr.SYS_getppid,
  nr.SYS_gettid,
  nr.SYS_getrusage,
  nr.SYS_getcpu,
  nr.SYS_sched_yield,
  nr.SYS_sched_getaffinity,
  nr.SYS_rt_sigaction,
  nr.SYS_rt_sigprocmask,
  nr.SYS_rt_sigreturn,
  nr.SYS_sigaltstack,
  nr.SYS_restart_syscall,
  nr.SYS_set_robust_list,
  nr.SYS_rseq,
  nr.SYS_exit,
  nr.SYS_exit_group,
  // Of our own stubs; a pidfd can do nothing here but become readable.
  nr.SYS_wait4,
  nr.SYS_pidfd_open,
];

/** No part of Node or of us makes these: whoever does has broken in. */
const FATAL: readonly number[] = [
  nr.SYS_execve,
  nr.SYS_execveat,
  nr.SYS_fork,
  nr.SYS_vfork,
  nr.SYS_ptrace,
  nr.SYS_process_vm_readv,
  nr.SYS_process_vm_writev,
  nr.SYS_pidfd_getfd,
  nr.SYS_pidfd_send_signal,
  nr.SYS_connect,
  nr.SYS_bind,
  nr.SYS_listen,
  nr.SYS_accept,
  nr.SYS_accept4,
  nr.SYS_mount,
  nr.SYS_umount2,
  nr.SYS_pivot_root,
  nr.SYS_chroot,
  nr.SYS_unshare,
  nr.SYS_setns,
  nr.SYS_bpf,
  nr.SYS_io_uring_setup,
  nr.SYS_perf_event_open,
  nr.SYS_userfaultfd,
  nr.SYS_init_module,
  nr.SYS_finit_module,
  nr.SYS_kexec_load,
  nr.SYS_reboot,
  nr.SYS_open_by_handle_at,
  nr.SYS_setuid,
  nr.SYS_setresuid,
];

const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const TCGETS = 0x5401;
const TIOCGWINSZ = 0x5413;
const FIONREAD = 0x541b;
const FIONBIO = 0x5421;
const PR_SET_NAME = 15;
const PR_SET_VMA = 0x5356_4d41;
/** What pthread_create of glibc and musl passes: threads of this process, never a process. */
const CLONE_THREAD_GLIBC = 0x3d_0f00;
const CLONE_THREAD_MUSL = 0x7d_0f00;

function sentryFilter(pid: number): Uint8Array {
  const intArg = (index: number, values: number[]): host.ArgumentCheck => ({
    index,
    values,
    isInt: true,
  });
  const rules: host.SyscallRule[] = ALLOWED.map((n) => ({ nr: n }));
  rules.push(
    {
      nr: nr.SYS_fcntl,
      args: [intArg(1, [F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC])],
    },
    { nr: nr.SYS_ioctl, args: [intArg(1, [TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO])] },
    { nr: nr.SYS_prctl, args: [intArg(0, [PR_SET_NAME, PR_SET_VMA])] },
    // abort() and V8's profiler signal threads of this process.
    { nr: nr.SYS_tgkill, args: [intArg(0, [pid])] },
    { nr: nr.SYS_clone, args: [{ index: 0, values: [CLONE_THREAD_GLIBC, CLONE_THREAD_MUSL] }] },
    { nr: nr.SYS_clone, action: host.SECCOMP_RET_KILL_PROCESS },
    // Its flags are in memory, where no filter can see them: libc then uses clone.
    { nr: nr.SYS_clone3, action: host.SECCOMP_RET_ERRNO | ENOSYS },
  );
  for (const n of FATAL) rules.push({ nr: n, action: host.SECCOMP_RET_KILL_PROCESS });
  return host.assembleSeccomp({
    foreignArch: host.SECCOMP_RET_KILL_PROCESS,
    rules,
    defaultAction: host.SECCOMP_RET_ERRNO | EPERM,
  });
}

/**
 * At the start of the process, before anything is received: closes what we inherited by path, and sockets, but
 * for `keep`. Node's own pipes and event descriptors stay.
 */
export function closeInherited(keep: readonly number[]): void {
  for (const name of readdirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (keep.includes(fd)) continue;
    let target: string;
    try {
      target = readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      continue; // the listing's own descriptor
    }
    const isOurs = target.startsWith("/memfd:netcell") || target === "/dev/null";
    if (!isOurs && (target.startsWith("/") || target.startsWith("socket:"))) host.close(fd);
  }
}

/**
 * Cannot be undone. Throws when the host does not enforce it: a Sentry that is not locked must not go on.
 * Everything that opens, clones a process or changes privileges comes before.
 */
export function lockSentry(): void {
  const must = (what: string, result: number): void => {
    if (result < 0) throw new Error(`the Sentry cannot be locked in: ${what} (errno ${-result})`);
  };
  must("no_new_privs", host.setNoNewPrivileges());
  must("capabilities", host.dropCapabilities());
  must("dumpable", host.setDumpable(false));
  must("parent-death signal", host.setParentDeathSignal(SIGKILL));
  const filter = sentryFilter(host.getpid());
  const flags = host.SECCOMP_FILTER_FLAG_TSYNC;
  let r = host.loadSeccomp(filter, flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW);
  if (r < 0) r = host.loadSeccomp(filter, flags);
  must("seccomp", r);
  if (r > 0) throw new Error(`the Sentry cannot be locked in: thread ${r} has another filter`);
}
