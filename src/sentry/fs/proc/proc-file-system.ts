// /proc: the root directory, with one directory for each process of the sandbox (never the host's), and the
// files about the whole (proc(5)). Names come and go with processes, so dentries are not cached.

import { ENOENT } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Task } from "../../kernel/task.ts";
import type { Inode } from "../../vfs/inode.ts";
import { type Listing, PseudoDir, StaticDir } from "../pseudo/pseudo-dir.ts";
import { TextFile } from "../pseudo/pseudo-file.ts";
import { ComputedSymlink, PseudoFileSystem, StaticSymlink } from "../pseudo/pseudo-inode.ts";
import { makeNetDir } from "./net-dir.ts";
import { type NetSource, netSourceOf } from "./net-source.ts";
import { INOS_PER_TASK } from "./proc-entry.ts";
import { makeSysDir } from "./sys-dir.ts";
import {
  type CpuInfo,
  cpuinfoText,
  DEVICES_TEXT,
  GENERIC_CPU,
  loadavgText,
  meminfoText,
  statText,
  uptimeText,
  versionText,
  vmstatText,
} from "./system-files.ts";
import { shmText } from "./sysvipc.ts";
import { processDir } from "./task-dir.ts";

const PROC_SUPER_MAGIC = 0x9fa0;
const DT_DIR = 4;
const ROOT_INO = 1;

export interface ProcOptions {
  /** Default: the kernel's own stack and sockets. */
  net?: NetSource;
  cpu?: CpuInfo;
  /** /proc/cmdline. */
  commandLine?: string;
}

export class ProcFileSystem extends PseudoFileSystem {
  readonly typeName = "proc";
  readonly magic = PROC_SUPER_MAGIC;
  override readonly cachesDentries = false;
  readonly kernel: Kernel;
  readonly root: Inode;

  constructor(dev: number, kernel: Kernel, options: ProcOptions = {}) {
    super(dev, kernel.clock);
    this.kernel = kernel;
    makeNetDir(this, options.net ?? netSourceOf(kernel));
    this.root = new ProcRoot(this, options);
  }
}

class ProcRoot extends PseudoDir {
  readonly #kernel: Kernel;
  readonly #fixed: StaticDir;

  constructor(fs: ProcFileSystem, options: ProcOptions) {
    super(fs, 0o555, ROOT_INO);
    this.#kernel = fs.kernel;
    this.#fixed = fixedEntries(fs, options);
  }

  lookup(t: Task, name: ByteString): Inode | number {
    if (/^[1-9][0-9]{0,8}$/.test(name)) {
      // By the id of any of its threads, though only processes are listed.
      const task = this.#kernel.findTask(Number(name));
      if (task === null) return -ENOENT;
      return processDir(this.pseudo, task.threadGroup.leader);
    }
    return this.#fixed.lookup(t, name);
  }

  list(t: Task, listing: Listing): void {
    this.#fixed.list(t, listing);
    const tgids = [...this.#kernel.pids.groups.values()].filter((g) => !g.isReaped);
    for (const { tgid } of tgids.sort((a, b) => a.tgid - b.tgid)) {
      listing.add(String(tgid), tgid * INOS_PER_TASK, DT_DIR);
    }
  }
}

function fixedEntries(fs: ProcFileSystem, options: ProcOptions): StaticDir {
  const { kernel } = fs;
  const dir = new StaticDir(fs);
  const file = (name: string, text: () => ByteString, mode = 0o444): void => {
    dir.add(name, new TextFile(fs, text, null, mode));
  };
  dir.add("self", new ComputedSymlink(fs, (t) => String(t.threadGroup.tgid)));
  dir.add("thread-self", new ComputedSymlink(fs, (t) => `${t.threadGroup.tgid}/task/${t.tid}`));
  dir.add("mounts", new StaticSymlink(fs, "self/mounts"));
  dir.add("net", new StaticSymlink(fs, "self/net"));
  dir.add("sys", makeSysDir(fs, kernel));
  file("cpuinfo", () => cpuinfoText(kernel, options.cpu ?? GENERIC_CPU));
  file("meminfo", () => meminfoText(kernel));
  file("stat", () => statText(kernel));
  file("loadavg", () => loadavgText(kernel));
  file("uptime", () => uptimeText(kernel));
  file("vmstat", () => vmstatText(kernel));
  file("version", () => versionText());
  file("cmdline", () => `${options.commandLine ?? "netcell"}\n`);
  file("filesystems", () => filesystemsText(kernel));
  file("devices", () => DEVICES_TEXT);
  file("misc", () => "");
  file("modules", () => "");
  file("swaps", () => "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
  file("partitions", () => "major minor  #blocks  name\n\n");
  file("diskstats", () => "");
  file("interrupts", () => interruptsText(kernel));
  file("softirqs", () => interruptsText(kernel));
  file("locks", () => "");
  file("cgroups", () => "#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
  file("consoles", () => "");
  file("crypto", () => "");
  file("execdomains", () => "0-0\tLinux           \t[kernel]\n");
  file("buddyinfo", () => "");
  file("zoneinfo", () => "");
  file("kallsyms", () => "");
  file("key-users", () => "");
  file("keys", () => "");
  for (const name of ["bus", "fs", "irq", "driver", "tty"]) dir.add(name, new StaticDir(fs));
  const sysvipc = new StaticDir(fs);
  sysvipc.add("shm", new TextFile(fs, () => shmText(kernel)));
  const heads: [string, string][] = [
    [
      "sem",
      "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
    ],
    [
      "msg",
      "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n",
    ],
  ];
  for (const [name, head] of heads) sysvipc.add(name, new TextFile(fs, () => head));
  return dir.add("sysvipc", sysvipc);
}

/** What mount(2) can make, and what is there already. */
function filesystemsText(kernel: Kernel): ByteString {
  const names = new Set<string>(kernel.mounts.table.types.keys());
  for (const mount of kernel.mounts.mounts) names.add(mount.fileSystem.typeName);
  for (const name of ["pipefs", "sockfs"]) names.add(name);
  let s = "";
  for (const name of names) s += `nodev\t${name}\n`;
  return s;
}

function interruptsText(kernel: Kernel): ByteString {
  let s = "     ";
  for (let i = 0; i < kernel.cpus; i++) s += ` ${`CPU${i}`.padStart(10)}`;
  return `${s}\n`;
}
