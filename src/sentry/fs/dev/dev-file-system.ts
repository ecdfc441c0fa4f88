// /dev: the fixed nodes that every program expects, and the places where devpts and shm are mounted. What a
// node does when opened is in the kernel's table of devices (registerDevices), so a node made by mknod
// elsewhere does the same.

import { ENXIO } from "../../../abi/errno.ts";
import { O_NOCTTY } from "../../../abi/fcntl.ts";
import { makeDev, S_IFCHR } from "../../../abi/stat.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Task } from "../../kernel/task.ts";
import type { FileDescription } from "../../vfs/file-description.ts";
import type { MountTable } from "../../vfs/mount-namespace.ts";
import type { Path } from "../../vfs/path.ts";
import type { DevptsFileSystem } from "../devpts/devpts-file-system.ts";
import { Pty } from "../devpts/pty.ts";
import { PtySlave } from "../devpts/pty-slave.ts";
import { StaticDir } from "../pseudo/pseudo-dir.ts";
import { PseudoFileSystem, PseudoInode, StaticSymlink } from "../pseudo/pseudo-inode.ts";
import { FullDevice, NullDevice, RandomDevice, ZeroDevice } from "./memory-devices.ts";

const TMPFS_MAGIC = 0x01021994;

/** Name, major, minor, permissions. */
const NODES: readonly (readonly [string, number, number, number])[] = [
  ["null", 1, 3, 0o666],
  ["zero", 1, 5, 0o666],
  ["full", 1, 7, 0o666],
  ["random", 1, 8, 0o666],
  ["urandom", 1, 9, 0o666],
  ["tty", 5, 0, 0o666],
  ["console", 5, 1, 0o620],
];

const LINKS: readonly (readonly [string, string])[] = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["core", "/proc/kcore"],
  ["ptmx", "pts/ptmx"],
];

/** Tells the kernel's device table what the nodes of /dev do. */
export function registerDevices(table: MountTable, devpts: DevptsFileSystem): void {
  table.registerDevice(makeDev(1, 3), (_t, _path, flags) => new NullDevice(flags));
  table.registerDevice(makeDev(1, 5), (_t, _path, flags) => new ZeroDevice(flags));
  table.registerDevice(makeDev(1, 7), (_t, _path, flags) => new FullDevice(flags));
  table.registerDevice(makeDev(1, 8), (_t, _path, flags) => new RandomDevice(flags, "random"));
  table.registerDevice(makeDev(1, 9), (_t, _path, flags) => new RandomDevice(flags, "urandom"));
  table.registerDevice(makeDev(5, 0), (t, _path, flags) => openControllingTerminal(t, flags));
  table.registerDevice(makeDev(5, 1), (t, _path, flags) => openControllingTerminal(t, flags));
  table.registerDevice(makeDev(5, 2), (t, _path, flags) => devpts.openMaster(t, flags));
}

function openControllingTerminal(t: Task, flags: number): FileDescription | number {
  const tty = t.threadGroup.processGroup?.session.tty;
  if (!(tty instanceof Pty) || tty.isHungUp) return -ENXIO;
  return new PtySlave(tty, flags & ~O_NOCTTY);
}

export class DevFileSystem extends PseudoFileSystem {
  readonly typeName = "devtmpfs";
  readonly magic = TMPFS_MAGIC;
  override readonly options = "mode=755";
  readonly root: StaticDir;

  constructor(dev: number, clock: Clock, table: MountTable) {
    super(dev, clock);
    const root = new StaticDir(this, 0o755);
    this.root = root;
    for (const [name, major, minor, permissions] of NODES) {
      root.add(name, new DeviceNode(this, table, makeDev(major, minor), permissions));
    }
    for (const [name, target] of LINKS) root.add(name, new StaticSymlink(this, target));
    for (const name of ["pts", "shm", "mqueue"]) root.add(name, new StaticDir(this, 0o755));
  }
}

class DeviceNode extends PseudoInode {
  readonly #table: MountTable;

  constructor(fs: DevFileSystem, table: MountTable, rdev: number, permissions: number) {
    super(fs, S_IFCHR | permissions);
    this.#table = table;
    this.rdev = rdev;
  }
  open(t: Task, path: Path, flags: number): FileDescription | number {
    return this.#table.openDevice(t, path, this.mode, this.rdev, flags);
  }
}
