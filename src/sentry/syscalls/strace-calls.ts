// What the arguments of each system call are, for --strace. One letter per argument:
//   f descriptor   d int          u unsigned      z size         x flags, hex     o mode, octal
//   & pointer      p path/string  v argv          e environment  s signal         l long
//   w bytes given, their count is the next argument              r bytes got, as many as the result says
// A call that is not here shows six hex words.

import type { ByteString } from "../../base/bytes.ts";

const SIGNATURES = `
read:frz write:fwz open:pxo close:f stat:p& fstat:f& lstat:p& poll:&ud lseek:fld mmap:&zxxfx
mprotect:&zx munmap:&z brk:& rt_sigaction:s&&z rt_sigprocmask:d&&z rt_sigreturn: ioctl:fx&
pread64:frzl pwrite64:fwzl readv:f&d writev:f&d access:px pipe:& select:d&&&& sched_yield:
mremap:&zzx& msync:&zx mincore:&z& madvise:&zd shmget:xzx shmat:d&x shmctl:dd& dup:f dup2:ff pause:
nanosleep:&& getitimer:d& alarm:u setitimer:d&& getpid: sendfile:ff&z socket:dxd connect:f&d
accept:f&& sendto:fwzx&d recvfrom:frzx&& sendmsg:f&x recvmsg:f&x shutdown:fd bind:f&d listen:fd
getsockname:f&& getpeername:f&& socketpair:dxd& setsockopt:fdd&d getsockopt:fdd&& clone:x&&&&
fork: vfork: execve:pve exit:d wait4:d&x& kill:ds uname:& semget:xdx semop:d&z semctl:dddx shmdt:&
msgget:xx msgsnd:d&zx msgrcv:d&zlx msgctl:dd& fcntl:fdx flock:fx fsync:f fdatasync:f truncate:pl
ftruncate:fl getdents:f&u getcwd:rz chdir:p fchdir:f rename:pp mkdir:po rmdir:p creat:po link:pp
unlink:p symlink:pp readlink:prz chmod:po fchmod:fo chown:pdd fchown:fdd lchown:pdd umask:o
gettimeofday:&& getrlimit:d& getrusage:d& sysinfo:& times:& ptrace:dd&x getuid: syslog:d&d getgid:
setuid:d setgid:d geteuid: getegid: setpgid:dd getppid: getpgrp: setsid: setreuid:dd setregid:dd
getgroups:d& setgroups:d& setresuid:ddd getresuid:&&& setresgid:ddd getresgid:&&& getpgid:d
setfsuid:d setfsgid:d getsid:d capget:&& capset:&& rt_sigpending:&z rt_sigtimedwait:&&&z
rt_sigqueueinfo:ds& rt_sigsuspend:&z sigaltstack:&& utime:p& mknod:pox personality:x statfs:p&
fstatfs:f& getpriority:dd setpriority:ddd sched_setparam:d& sched_getparam:d&
sched_setscheduler:dd& sched_getscheduler:d sched_get_priority_max:d sched_get_priority_min:d
sched_rr_get_interval:d& mlock:&z munlock:&z mlockall:x munlockall: pivot_root:pp prctl:dxxxx
arch_prctl:x& setrlimit:d& chroot:p sync: mount:pppx& umount2:px sethostname:wz setdomainname:wz
gettid: readahead:flz setxattr:pp&zx lsetxattr:pp&zx fsetxattr:fp&zx getxattr:pp&z lgetxattr:pp&z
fgetxattr:fp&z listxattr:p&z llistxattr:p&z flistxattr:f&z removexattr:pp lremovexattr:pp
fremovexattr:fp tkill:ds time:& futex:&xu&&u sched_setaffinity:dz& sched_getaffinity:dz&
epoll_create:d getdents64:f&u set_tid_address:& restart_syscall: fadvise64:flld timer_create:d&&
timer_settime:dx&& timer_gettime:d& timer_getoverrun:d timer_delete:d clock_settime:d&
clock_gettime:d& clock_getres:d& clock_nanosleep:dx&& exit_group:d epoll_wait:f&dd epoll_ctl:fdf&
tgkill:dds utimes:p& mq_open:pxo& mq_unlink:p mq_timedsend:fwzu& mq_timedreceive:frz&&
mq_notify:f& mq_getsetattr:f&& waitid:dd&x& inotify_init: inotify_add_watch:fpx
inotify_rm_watch:fd openat:fpxo mkdirat:fpo mknodat:fpox fchownat:fpddx futimesat:fp&
newfstatat:fp&x unlinkat:fpx renameat:fpfp linkat:fpfpx symlinkat:pfp readlinkat:fprz fchmodat:fpo
faccessat:fpx pselect6:d&&&&& ppoll:&u&&z unshare:x set_robust_list:&z get_robust_list:d&&
splice:f&f&zx tee:ffzx sync_file_range:fllx vmsplice:f&zx utimensat:fp&x epoll_pwait:f&dd&z
signalfd:f&z timerfd_create:dx eventfd:u fallocate:fxll timerfd_settime:fx&& timerfd_gettime:f&
accept4:f&&x signalfd4:f&zx eventfd2:ux epoll_create1:x dup3:ffx pipe2:&x inotify_init1:x
preadv:f&dl pwritev:f&dl rt_tgsigqueueinfo:dds& recvmmsg:f&ux& prlimit64:dd&& name_to_handle_at:fp&&x
syncfs:f sendmmsg:f&ux setns:fx getcpu:&&& process_vm_readv:d&d&dx process_vm_writev:d&d&dx
sched_setattr:d&x sched_getattr:d&ux renameat2:fpfpx seccomp:ux& getrandom:&zx memfd_create:px
execveat:fpvex membarrier:dxd mlock2:&zx copy_file_range:f&f&zx preadv2:f&dllx pwritev2:f&dllx
statx:fpxx& rseq:&uxx pidfd_send_signal:fs&x pidfd_open:dx clone3:&z close_range:uux openat2:fp&z
pidfd_getfd:ffx faccessat2:fpxx epoll_pwait2:f&d&&z fchmodat2:fpox
`;

/** Kinds of arguments by the name of the call. */
export const SYSCALL_SIGNATURES: ReadonlyMap<string, ByteString> = new Map(
  SIGNATURES.trim()
    .split(/\s+/)
    .map((entry) => entry.split(":") as [string, string]),
);
