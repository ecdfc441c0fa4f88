// /proc/PID and /proc/PID/task/TID: what stands in them.

import { EACCES, ENOENT } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Inode } from "../../vfs/inode.ts";
import { displayPath, type Path } from "../../vfs/path.ts";
import { type Listing, PseudoDir } from "../pseudo/pseudo-dir.ts";
import type { PseudoFileSystem } from "../pseudo/pseudo-inode.ts";
import { FdDir, FdInfoDir } from "./fd-dir.ts";
import { mapsText, smapsRollupText, smapsText } from "./maps.ts";
import { MemFile } from "./mem-file.ts";
import { mountinfoText, mountsText, mountstatsText } from "./mounts.ts";
import { netDir } from "./net-dir.ts";
import { NsDir } from "./ns-dir.ts";
import {
  type Entry,
  type EntryTable,
  type FileEntry,
  INO_TASK,
  INOS_PER_TASK,
  MagicLink,
  ownedBy,
  TableDir,
} from "./proc-entry.ts";
import {
  auxvText,
  cmdlineText,
  environText,
  limitsText,
  setComm,
  setOomScoreAdj,
  statmText,
  statText,
  statusText,
} from "./task-status.ts";

const DT_DIR = 4;
const DT_REG = 8;
const DT_LNK = 10;

const file = (
  content: FileEntry["content"],
  mode = 0o444,
  store?: FileEntry["store"],
): FileEntry => ({ kind: "file", mode, content, store });
const secret = (content: FileEntry["content"]): FileEntry => ({
  kind: "file",
  mode: 0o400,
  content,
  isPrivate: true,
});

/** A link to a place that the task has: its program, its directories. */
function placeLink(place: (target: Task) => Path | null): Entry {
  return {
    kind: "inode",
    type: DT_LNK,
    make: (fs, ino, target) => {
      const find = (): Path | null => (target.context === null ? null : place(target));
      return new MagicLink(
        fs,
        ino,
        target,
        (t) => {
          const path = find();
          return path === null ? -ENOENT : displayPath(path, t.fs.root);
        },
        () => find() ?? -ENOENT,
      );
    },
  };
}

const idMap = (): ByteString => "         0          0 4294967295\n";

/** What a process and a thread have alike; whole: stat sums over all threads. */
function commonEntries(whole: boolean): [ByteString, Entry][] {
  return [
    ["fd", { kind: "inode", type: DT_DIR, make: (fs, ino, t) => new FdDir(fs, ino, t) }],
    ["fdinfo", { kind: "inode", type: DT_DIR, make: (fs, ino, t) => new FdInfoDir(fs, ino, t) }],
    ["ns", { kind: "inode", type: DT_DIR, make: (fs, ino, t) => new NsDir(fs, ino, t) }],
    ["net", { kind: "inode", type: DT_DIR, make: (fs) => netDir(fs) }],
    ["environ", secret(environText)],
    ["auxv", secret(auxvText)],
    ["status", file(statusText)],
    ["personality", secret((t) => `${(t.personality >>> 0).toString(16).padStart(8, "0")}\n`)],
    ["limits", file(limitsText)],
    ["comm", file((t) => `${t.comm}\n`, 0o644, setComm)],
    ["cmdline", file(cmdlineText)],
    ["stat", file((t) => statText(t, whole))],
    ["statm", file(statmText)],
    ["maps", file(mapsText)],
    ["mem", { kind: "inode", type: DT_REG, make: (fs, ino, t) => new MemFile(fs, ino, t) }],
    ["cwd", placeLink((t) => t.fs.cwd)],
    ["root", placeLink((t) => t.fs.root)],
    ["exe", placeLink((t) => t.threadGroup.exe)],
    ["mounts", file(mountsText)],
    ["mountinfo", file(mountinfoText)],
    ["smaps", file(smapsText)],
    ["smaps_rollup", file(smapsRollupText)],
    ["wchan", file((t) => (t.isParked ? "do_wait" : "0"))],
    ["syscall", secret((t) => (t.isParked ? `${t.syscallNr}\n` : "running\n"))],
    ["stack", secret(() => "")],
    ["schedstat", file((t) => `${t.utimeNs + t.stimeNs} 0 ${t.voluntarySwitches}\n`)],
    ["cpuset", file(() => "/\n")],
    ["cgroup", file(() => "0::/\n")],
    ["oom_score", file(() => "0\n")],
    ["oom_adj", file((t) => `${Math.trunc((t.threadGroup.oomScoreAdj * 17) / 1000)}\n`)],
    ["oom_score_adj", file((t) => `${t.threadGroup.oomScoreAdj}\n`, 0o644, setOomScoreAdj)],
    [
      "loginuid",
      file(
        () => "4294967295",
        0o644,
        (_target, _t, text) => text.length,
      ),
    ],
    ["sessionid", file(() => "4294967295")],
    ["io", secret(ioText)],
    ["uid_map", file(idMap, 0o644, () => -EACCES)],
    ["gid_map", file(idMap, 0o644, () => -EACCES)],
    ["projid_map", file(idMap, 0o644, () => -EACCES)],
    [
      "setgroups",
      file(
        () => "allow\n",
        0o644,
        () => -EACCES,
      ),
    ],
    ["timerslack_ns", file((t) => `${t.timerSlackNs}\n`)],
  ];
}

/** Bytes are not counted yet: the names are there because programs read them, and all are zero. */
function ioText(): ByteString {
  return "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n";
}

const THREAD_ENTRIES: EntryTable = new Map(commonEntries(false));
const PROCESS_ENTRIES: EntryTable = new Map<ByteString, Entry>([
  [
    "task",
    { kind: "inode", type: DT_DIR, make: (fs, ino, target) => new TasksDir(fs, ino, target) },
  ],
  ["mountstats", file(mountstatsText)],
  [
    "coredump_filter",
    file(
      () => "00000033\n",
      0o644,
      (_target, _t, text) => text.length,
    ),
  ],
  ["autogroup", file(() => "/autogroup-1 nice 0\n")],
  ...commonEntries(true),
]);

export function processDir(fs: PseudoFileSystem, leader: Task): Inode {
  const ino = leader.threadGroup.tgid * INOS_PER_TASK;
  return new TableDir(fs, ino, leader, PROCESS_ENTRIES);
}

/** /proc/PID/task. */
class TasksDir extends PseudoDir {
  readonly #leader: Task;

  constructor(fs: PseudoFileSystem, ino: number, leader: Task) {
    super(fs, 0o555, ino);
    this.#leader = leader;
    ownedBy(this, leader);
  }
  lookup(_t: Task, name: ByteString): Inode | number {
    const tid = /^[1-9][0-9]{0,8}$/.test(name) ? Number(name) : -1;
    const task = this.#leader.kernel.findTask(tid);
    if (task === null || task.threadGroup !== this.#leader.threadGroup) return -ENOENT;
    return new TableDir(this.pseudo, tid * INOS_PER_TASK + INO_TASK, task, THREAD_ENTRIES);
  }
  list(_t: Task, listing: Listing): void {
    for (const task of this.#leader.threadGroup.tasks) {
      listing.add(String(task.tid), task.tid * INOS_PER_TASK + INO_TASK, DT_DIR);
    }
    // A leader that has exited is a zombie until all are gone, and is still listed.
    if (!this.#leader.threadGroup.tasks.has(this.#leader)) {
      const { tid } = this.#leader;
      listing.add(String(tid), tid * INOS_PER_TASK + INO_TASK, DT_DIR);
    }
  }
}
