// Runs a command the way a default container runs it: no new privileges, and a seccomp filter that refuses what
// container engines' default profile refuses, new namespaces first of all. The capabilities are the
// caller's to take away (setpriv). Usage: node contained.mjs COMMAND ARG...
import { spawnSync } from "node:child_process";
import * as numbers from "../../dist/abi/syscall-numbers.js";
import {
  assembleSeccomp,
  loadSeccomp,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  setNoNewPrivileges,
} from "../../dist/host/index.js";

const EPERM = 1;
const ENOSYS = 38;
/** CLONE_NEW* of clone(2): mount, cgroup, uts, ipc, user, pid, net. */
const NAMESPACES = [
  0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
];
const REFUSED = [
  "acct add_key bpf chroot clock_adjtime clock_settime delete_module finit_module fsconfig fsmount fsopen",
  "fspick init_module ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mount mount_setattr",
  "move_mount move_pages open_by_handle_at open_tree perf_event_open personality pivot_root",
  "process_vm_readv process_vm_writev quotactl reboot request_key sethostname setns settimeofday swapoff",
  "swapon umount2 unshare userfaultfd vhangup",
]
  .join(" ")
  .split(" ");

const deny = SECCOMP_RET_ERRNO | EPERM;
const number = (name) => {
  const nr = numbers[`SYS_${name}`];
  if (nr === undefined) throw new Error(`no system call ${name}`);
  return nr;
};
const program = assembleSeccomp({
  foreignArch: SECCOMP_RET_ALLOW,
  rules: [
    ...REFUSED.map((name) => ({ nr: number(name), action: deny })),
    ...NAMESPACES.map((flag) => ({
      nr: number("clone"),
      args: [{ index: 0, values: [flag], mask: flag, isInt: true }],
      action: deny,
    })),
    // Its flags are in memory: as the engines do, so that libc falls back to clone.
    { nr: number("clone3"), action: SECCOMP_RET_ERRNO | ENOSYS },
  ],
  defaultAction: SECCOMP_RET_ALLOW,
});

const must = (what, result) => {
  if (result < 0) throw new Error(`${what}: errno ${-result}`);
};
must("no_new_privs", setNoNewPrivileges());
must("seccomp", loadSeccomp(program, SECCOMP_FILTER_FLAG_TSYNC));
const [command, ...args] = process.argv.slice(2);
const { status } = spawnSync(command, args, { stdio: "inherit" });
process.exit(status ?? 1);
