// /proc/PID/ns: the namespaces a task is in (namespaces(7)). All tasks share one of each kind but mounts;
// the links can be read and compared, not opened.

import { EACCES, ENOENT } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Inode } from "../../vfs/inode.ts";
import { type Listing, PseudoDir } from "../pseudo/pseudo-dir.ts";
import type { PseudoFileSystem } from "../pseudo/pseudo-inode.ts";
import { MagicLink, ownedBy } from "./proc-entry.ts";

const DT_LNK = 10;
const MNT_INO = 4_026_531_841;

/** Link, kind, inode number of the initial namespace on Linux (proc_ns.h). */
const NAMESPACES: readonly (readonly [string, string, number])[] = [
  ["cgroup", "cgroup", 4_026_531_835],
  ["ipc", "ipc", 4_026_531_839],
  ["mnt", "mnt", MNT_INO],
  ["net", "net", 4_026_531_840],
  ["pid", "pid", 4_026_531_836],
  ["pid_for_children", "pid", 4_026_531_836],
  ["time", "time", 4_026_531_834],
  ["time_for_children", "time", 4_026_531_834],
  ["user", "user", 4_026_531_837],
  ["uts", "uts", 4_026_531_838],
];

export class NsDir extends PseudoDir {
  readonly #target: Task;
  readonly #baseIno: number;

  constructor(fs: PseudoFileSystem, ino: number, target: Task) {
    super(fs, 0o511, ino);
    this.#target = target;
    this.#baseIno = ino * 64;
    ownedBy(this, target);
  }
  lookup(_t: Task, name: ByteString): Inode | number {
    const i = NAMESPACES.findIndex(([link]) => link === name);
    if (i < 0) return -ENOENT;
    const [, kind, ino] = NAMESPACES[i];
    const text = `${kind}:[${kind === "mnt" ? this.#mountNamespaceIno() : ino}]`;
    return new MagicLink(
      this.pseudo,
      this.#baseIno + i,
      this.#target,
      () => text,
      () => -EACCES,
    );
  }
  /** Another number for each mount namespace: its root mount's. */
  #mountNamespaceIno(): number {
    const namespace = this.#target.fs.root.mount.namespace;
    if (namespace === null || namespace === this.#target.kernel.mounts) return MNT_INO;
    return 4_026_532_000 + namespace.rootMount.id;
  }
  list(_t: Task, listing: Listing): void {
    NAMESPACES.forEach(([link], i) => {
      listing.add(link, this.#baseIno + i, DT_LNK);
    });
  }
}
