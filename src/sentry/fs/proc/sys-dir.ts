// /proc/sys: what programs read of the kernel's settings (sysctl(5) names). Settings that the sandbox has
// say what is true of it; those that only shape behaviour we do not have are left out. Writable ones are
// kept where that is harmless and checked; the rest is read-only.

import { EINVAL, EPERM } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { PID_MAX } from "../../kernel/pid-table.ts";
import type { Task } from "../../kernel/task.ts";
import { UTS_RELEASE, UTS_SYSNAME, UTS_VERSION } from "../../kernel/version.ts";
import { StaticDir } from "../pseudo/pseudo-dir.ts";
import { TextFile } from "../pseudo/pseudo-file.ts";
import type { PseudoFileSystem } from "../pseudo/pseudo-inode.ts";
import { networkSysctls } from "./sys-net.ts";

const CAP_SYS_ADMIN = 21;

/** "8-4-4-4-12" of 16 random bytes, version 4 (RFC 9562). */
export function uuidText(kernel: Kernel): ByteString {
  const b = new Uint8Array(16);
  kernel.rng.fill(b, 0, 16);
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

type Value = string | number | (() => string | number);

/** Builds directories and files from "a/b/c" names. */
class SysctlTree {
  readonly #fs: PseudoFileSystem;
  readonly root: StaticDir;

  constructor(fs: PseudoFileSystem) {
    this.#fs = fs;
    this.root = new StaticDir(fs, 0o555);
  }
  #dirOf(path: string): [StaticDir, string] {
    const parts = path.split("/");
    const name = parts.pop() as string;
    let dir = this.root;
    for (const part of parts) {
      let next = dir.children.get(part);
      if (!(next instanceof StaticDir)) {
        next = new StaticDir(this.#fs, 0o555);
        dir.add(part, next);
      }
      dir = next as StaticDir;
    }
    return [dir, name];
  }
  /** Read-only. */
  value(path: string, value: Value): void {
    const [dir, name] = this.#dirOf(path);
    const text = (): ByteString => `${typeof value === "function" ? value() : value}\n`;
    dir.add(name, new TextFile(this.#fs, text));
  }
  /** A number that a privileged program may change within bounds; kept, for who reads it back. */
  number(path: string, initial: number, min: number, max: number, cap: number): void {
    let current = initial;
    this.custom(
      path,
      () => String(current),
      (t, text) => {
        const n = /^\s*-?[0-9]+\s*$/.test(text) ? Number(text) : Number.NaN;
        if (!(n >= min && n <= max)) return -EINVAL;
        if (!t.creds.hasCapability(cap)) return -EPERM;
        current = n;
        return text.length;
      },
    );
  }
  custom(
    path: string,
    read: () => string,
    store: (t: Task, text: ByteString) => number,
    mode = 0o644,
  ): void {
    const [dir, name] = this.#dirOf(path);
    dir.add(name, new TextFile(this.#fs, () => `${read()}\n`, store, mode));
  }
}

export function makeSysDir(fs: PseudoFileSystem, kernel: Kernel): StaticDir {
  const tree = new SysctlTree(fs);
  kernelValues(tree, kernel);
  fileValues(tree, kernel);
  networkSysctls(tree, kernel);
  return tree.root;
}

function kernelValues(tree: SysctlTree, kernel: Kernel): void {
  const bootId = uuidText(kernel);
  tree.custom(
    "kernel/hostname",
    () => kernel.hostname,
    (t, text) => {
      const name = text.replace(/\n.*$/s, "");
      if (!t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
      if (name.length > 64) return -EINVAL;
      kernel.hostname = name;
      return text.length;
    },
  );
  tree.value("kernel/domainname", () => kernel.domainname);
  tree.value("kernel/ostype", UTS_SYSNAME);
  tree.value("kernel/osrelease", UTS_RELEASE);
  tree.value("kernel/version", UTS_VERSION);
  tree.value("kernel/pid_max", PID_MAX);
  tree.value("kernel/threads-max", kernel.limits.tasks);
  tree.value("kernel/cap_last_cap", 40);
  tree.value("kernel/ngroups_max", 65_536);
  tree.value("kernel/overflowuid", 65_534);
  tree.value("kernel/overflowgid", 65_534);
  tree.value("kernel/randomize_va_space", 2);
  tree.value("kernel/sched_rr_timeslice_ms", 100);
  tree.value("kernel/sched_rt_period_us", 1_000_000);
  tree.value("kernel/sched_rt_runtime_us", 950_000);
  tree.value("kernel/sched_child_runs_first", 0);
  tree.value("kernel/sched_autogroup_enabled", 0);
  tree.value("kernel/core_pattern", "core");
  tree.value("kernel/core_uses_pid", 0);
  tree.value("kernel/tainted", 0);
  tree.value("kernel/printk", "4\t4\t1\t7");
  tree.value("kernel/dmesg_restrict", 1);
  tree.value("kernel/kptr_restrict", 1);
  tree.value("kernel/perf_event_paranoid", 4);
  tree.value("kernel/unprivileged_bpf_disabled", 2);
  tree.value("kernel/yama/ptrace_scope", 1);
  tree.value("kernel/seccomp/actions_avail", "kill_process kill_thread trap errno trace log allow");
  tree.value("kernel/shmmax", "18446744073692774399");
  tree.value("kernel/shmall", "18446744073692774399");
  tree.value("kernel/shmmni", 4096);
  tree.value("kernel/sem", "32000\t1024000000\t500\t32000");
  tree.value("kernel/msgmax", 8192);
  tree.value("kernel/msgmnb", 16_384);
  tree.value("kernel/msgmni", 32_000);
  tree.value("kernel/keys/maxkeys", 200);
  tree.value("kernel/pty/max", 4096);
  tree.value("kernel/pty/nr", 0);
  tree.value("kernel/random/uuid", () => uuidText(kernel));
  tree.value("kernel/random/boot_id", bootId);
  tree.value("kernel/random/entropy_avail", 256);
  tree.value("kernel/random/poolsize", 256);
  tree.value("kernel/random/write_wakeup_threshold", 256);
  tree.value("kernel/random/urandom_min_reseed_secs", 60);
}

function fileValues(tree: SysctlTree, kernel: Kernel): void {
  const { limits } = kernel;
  tree.number("vm/overcommit_memory", 0, 0, 2, CAP_SYS_ADMIN);
  tree.number("vm/overcommit_ratio", 50, 0, 100, CAP_SYS_ADMIN);
  tree.number("vm/swappiness", 60, 0, 200, CAP_SYS_ADMIN);
  tree.value("vm/max_map_count", limits.mappings);
  tree.value("vm/mmap_min_addr", kernel.platform.minAddress);
  tree.value("vm/nr_hugepages", 0);
  tree.value("vm/overcommit_kbytes", 0);
  tree.value("vm/min_free_kbytes", 16_384);
  tree.value("vm/panic_on_oom", 0);
  tree.value("fs/file-max", limits.files);
  tree.value("fs/file-nr", () => {
    for (const t of kernel.pids.tasks.values()) {
      if (t.context !== null) return `${t.fds.counter.open}\t0\t${limits.files}`;
    }
    return `0\t0\t${limits.files}`;
  });
  tree.value("fs/nr_open", limits.descriptorsPerProcess);
  tree.value("fs/pipe-max-size", limits.pipeBytesMax);
  tree.value("fs/pipe-user-pages-hard", 0);
  tree.value("fs/pipe-user-pages-soft", 16_384);
  tree.value("fs/suid_dumpable", 0);
  tree.value("fs/protected_hardlinks", 0);
  tree.value("fs/protected_symlinks", 0);
  tree.value("fs/inode-nr", "0\t0");
  tree.value("fs/dentry-state", "0\t0\t45\t0\t0\t0");
  tree.value("fs/aio-max-nr", 65_536);
  tree.value("fs/aio-nr", 0);
  tree.value("fs/inotify/max_user_instances", 128);
  tree.value("fs/inotify/max_user_watches", 65_536);
  tree.value("fs/inotify/max_queued_events", 16_384);
  tree.value("fs/epoll/max_user_watches", 65_536);
  tree.value("fs/mqueue/msg_max", 10);
  tree.value("fs/mqueue/msgsize_max", 8192);
  tree.value("fs/mqueue/queues_max", 256);
  tree.value("user/max_user_namespaces", 0);
}
