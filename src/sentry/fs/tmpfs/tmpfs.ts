// tmpfs (tmpfs(5)): a file system in memory with limits on bytes and inodes. The overlay is a subclass.

import { EINVAL, ENOSPC } from "../../../abi/errno.ts";
import { S_IFDIR, TMPFS_MAGIC } from "../../../abi/stat.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import { type MemoryFile, PAGE_BYTES } from "../../mm/memory-file.ts";
import { FileSystem, type StatFs } from "../../vfs/file-system.ts";
import type { FileSystemType } from "../../vfs/mount-namespace.ts";
import { Quota } from "../../vfs/quota.ts";
import { MemoryDirectory } from "./memory-directory.ts";
import type { MemoryInode } from "./memory-inode.ts";
import { MemoryRegular } from "./memory-regular.ts";
import { MemorySpecial, MemorySymlink } from "./memory-special.ts";

export interface TmpfsOptions {
  /** Of the root directory. */
  mode: number;
  uid: number;
  gid: number;
  bytesMax: number;
  inodesMax: number;
}

export class Tmpfs extends FileSystem {
  readonly typeName: string = "tmpfs";
  readonly memory: MemoryFile;
  readonly quota: Quota;
  override readonly options: string;
  readonly #rootOptions: TmpfsOptions;
  readonly #madeNs: number;
  #root: MemoryDirectory | null = null;
  #nextIno = 1;

  constructor(
    dev: number,
    memory: MemoryFile,
    parentQuota: Quota | null,
    options: TmpfsOptions,
    nowNs: number,
  ) {
    super(dev);
    this.memory = memory;
    this.quota = new Quota(options.bytesMax, options.inodesMax, parentQuota);
    this.options = describeOptions(options);
    this.#rootOptions = options;
    this.#madeNs = nowNs;
  }

  get root(): MemoryDirectory {
    this.#root ??= this.makeRoot(this.#rootOptions, this.#madeNs);
    return this.#root;
  }
  protected makeRoot(options: TmpfsOptions, nowNs: number): MemoryDirectory {
    this.quota.takeInode();
    const ino = this.allocateIno();
    return new MemoryDirectory(this, ino, S_IFDIR | options.mode, options.uid, options.gid, nowNs);
  }
  allocateIno(): number {
    return this.#nextIno++;
  }

  newRegular(t: Task, mode: number, gid: number): MemoryRegular | number {
    if (!this.quota.takeInode()) return -ENOSPC;
    const now = t.kernel.clock.realtimeNs();
    const ino = this.allocateIno();
    return new MemoryRegular(this, this.memory, ino, mode, t.creds.fsuid, gid, now);
  }
  newDirectory(t: Task, mode: number, gid: number): MemoryInode | number {
    if (!this.quota.takeInode()) return -ENOSPC;
    const now = t.kernel.clock.realtimeNs();
    return new MemoryDirectory(this, this.allocateIno(), mode, t.creds.fsuid, gid, now);
  }
  newSymlink(t: Task, target: ByteString, gid: number): MemoryInode | number {
    if (!this.quota.takeInode()) return -ENOSPC;
    const now = t.kernel.clock.realtimeNs();
    return new MemorySymlink(this, this.allocateIno(), t.creds.fsuid, gid, now, target);
  }
  newSpecial(t: Task, mode: number, rdev: number, gid: number): MemoryInode | number {
    if (!this.quota.takeInode()) return -ENOSPC;
    const now = t.kernel.clock.realtimeNs();
    return new MemorySpecial(this, this.allocateIno(), mode, t.creds.fsuid, gid, now, rdev);
  }

  /** The last mount is gone: what is not open or mapped is given back. */
  override unmounted(): void {
    freeTree(this.root);
  }

  statfs(): StatFs {
    const q = this.quota;
    const above = q.parent;
    const bytesFree = Math.min(
      q.bytesMax - q.bytes,
      above === null ? Infinity : above.bytesMax - above.bytes,
    );
    const filesFree = Math.min(
      q.inodesMax - q.inodes,
      above === null ? Infinity : above.inodesMax - above.inodes,
    );
    return {
      type: this.magic,
      blockBytes: PAGE_BYTES,
      blocks: Math.floor(Math.min(q.bytesMax, above?.bytesMax ?? Infinity) / PAGE_BYTES),
      blocksFree: Math.floor(bytesFree / PAGE_BYTES),
      files: Math.min(q.inodesMax, above?.inodesMax ?? Infinity),
      filesFree,
      nameBytesMax: 255,
    };
  }
  get magic(): number {
    return TMPFS_MAGIC;
  }
}

function freeTree(directory: MemoryDirectory): void {
  for (const { inode } of directory.entries.values()) {
    if (inode instanceof MemoryDirectory) freeTree(inode);
    inode.nlink = inode.isDirectory ? 0 : inode.nlink - 1;
    inode.freeIfUnused();
  }
  directory.entries.clear();
}

function describeOptions(o: TmpfsOptions): string {
  const parts: string[] = [];
  if (o.bytesMax !== Number.POSITIVE_INFINITY) parts.push(`size=${Math.floor(o.bytesMax / 1024)}k`);
  if (o.inodesMax !== Number.POSITIVE_INFINITY) parts.push(`nr_inodes=${o.inodesMax}`);
  if (o.mode !== 0o1777) parts.push(`mode=${o.mode.toString(8)}`);
  if (o.uid !== 0) parts.push(`uid=${o.uid}`);
  if (o.gid !== 0) parts.push(`gid=${o.gid}`);
  return parts.join(",");
}

/** mount -t tmpfs -o size=,nr_inodes=,nr_blocks=,mode=,uid=,gid=. Unknown words are refused. */
export function parseTmpfsOptions(data: ByteString, options: TmpfsOptions): number {
  for (const part of data.split(",")) {
    if (part === "") continue;
    const eq = part.indexOf("=");
    const key = eq < 0 ? part : part.slice(0, eq);
    const value = eq < 0 ? "" : part.slice(eq + 1);
    if (key === "mode" && /^[0-7]+$/.test(value)) options.mode = Number.parseInt(value, 8) & 0o7777;
    else if (key === "size") options.bytesMax = parseSize(value);
    else if (key === "nr_blocks") options.bytesMax = parseSize(value) * PAGE_BYTES;
    else if (key === "nr_inodes") options.inodesMax = parseSize(value) || Number.POSITIVE_INFINITY;
    else if (key === "uid" && /^\d+$/.test(value)) options.uid = Number(value);
    else if (key === "gid" && /^\d+$/.test(value)) options.gid = Number(value);
    else if (!/^(huge|mpol|inode32|inode64|noswap|seclabel)$/.test(key)) return -EINVAL;
    if (Number.isNaN(options.bytesMax) || Number.isNaN(options.inodesMax)) return -EINVAL;
  }
  if (options.bytesMax === 0) options.bytesMax = Number.POSITIVE_INFINITY;
  return 0;
}

function parseSize(text: ByteString): number {
  const match = /^(\d+)([kKmMgG]?)$/.exec(text);
  if (match === null) return Number.NaN;
  const unit = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[match[2].toLowerCase()];
  return Number(match[1]) * (unit ?? 1);
}

export const defaultTmpfsOptions = (): TmpfsOptions => ({
  mode: 0o1777,
  uid: 0,
  gid: 0,
  bytesMax: Number.POSITIVE_INFINITY,
  inodesMax: Number.POSITIVE_INFINITY,
});

/** For mount(2); also registered as "ramfs". */
export function tmpfsType(name: ByteString): FileSystemType {
  return {
    name,
    create(t: Task, dev: number, _source: ByteString, data: ByteString): FileSystem | number {
      const options = defaultTmpfsOptions();
      const parsed = parseTmpfsOptions(data, options);
      if (parsed < 0) return parsed;
      const quota = t.kernel.mounts.table.quota;
      return new Tmpfs(dev, t.kernel.memoryFile, quota, options, t.kernel.clock.realtimeNs());
    },
  };
}
