// The mount tree that a sandbox starts with, from the monitor's plan: served trees under an overlay, tmpfs, and
// the kernel's own file systems; then what is masked and sealed. Throws with a sentence: the monitor shows it.

import { EEXIST, errnoName } from "../../abi/errno.ts";
import { MS_NOEXEC, MS_PER_MOUNT, MS_RDONLY } from "../../abi/mount.ts";
import { S_IFREG } from "../../abi/stat.ts";
import { type ByteString, utf8ToByteString } from "../../base/bytes.ts";
import type { GoferClient } from "../../gofer/index.ts";
import {
  type FilesConfig,
  type MountSpec,
  type OwnFileSystem,
  type RootEntry,
  Unusable,
} from "../control/protocol.ts";
import { GoferFileSystem } from "../fs/gofer/gofer-file-system.ts";
import { OverlayFs } from "../fs/overlay/overlay.ts";
import { ProcFileSystem } from "../fs/proc/proc-file-system.ts";
import { SysFileSystem } from "../fs/sys/sys-file-system.ts";
import { parseTmpfsOptions, Tmpfs, tmpfsType } from "../fs/tmpfs/tmpfs.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Task } from "../kernel/task.ts";
import type { FileCounter } from "../vfs/fd-table.ts";
import type { FileSystem } from "../vfs/file-system.ts";
import { MountNamespace, MountTable } from "../vfs/mount-namespace.ts";
import { mkdirAt, mknodAt, symlinkAt } from "../vfs/name-operations.ts";
import type { Path } from "../vfs/path.ts";
import { Quota } from "../vfs/quota.ts";
import { resolve } from "../vfs/resolve.ts";
import { makeBootTask } from "./boot-task.ts";

const AT_FDCWD = -100;

/** How the kernel's own file systems are made. */
export type OwnMakers = Record<OwnFileSystem, (table: MountTable) => FileSystem>;

function must<T>(result: T | number, what: string): T {
  if (typeof result === "number") throw new Unusable(`${what} failed: ${errnoName(-result)}`);
  return result;
}

class TreeBuilder {
  readonly kernel: Kernel;
  readonly table: MountTable;
  readonly #client: GoferClient;
  readonly #own: OwnMakers;

  constructor(kernel: Kernel, client: GoferClient, own: OwnMakers) {
    this.kernel = kernel;
    this.#client = client;
    this.#own = own;
    const { tmpfsBytes, inodes } = kernel.limits;
    this.table = new MountTable(new Quota(tmpfsBytes, inodes, null));
  }

  make(spec: MountSpec): FileSystem {
    if (spec.type === "gofer") return this.#served(spec);
    return spec.type === "tmpfs" ? this.#tmpfs(spec) : this.#own[spec.type](this.table);
  }

  #tmpfs(spec: MountSpec): Tmpfs {
    const { kernel, table } = this;
    const { tmpfsBytes, inodes } = kernel.limits;
    const { mode = 0o755, sizeBytes = tmpfsBytes, data = "" } = spec;
    const options = { mode, uid: 0, gid: 0, bytesMax: sizeBytes, inodesMax: inodes };
    if (parseTmpfsOptions(data, options) < 0) {
      throw new Unusable(`"${data}" are no options of a tmpfs (${spec.target})`);
    }
    const now = kernel.clock.realtimeNs();
    return new Tmpfs(table.allocateDev(), kernel.memoryFile, table.quota, options, now);
  }

  #served(spec: MountSpec): FileSystem {
    const { kernel, table } = this;
    const write = spec.write ?? "readonly";
    const served = GoferFileSystem.attach(
      table.allocateDev(),
      this.#client,
      spec.tree ?? -1,
      kernel.hostFiles,
      kernel.clock,
      {
        cache: write === "through" ? "shared" : "exclusive",
        readOnly: write !== "through",
        displayPath: utf8ToByteString(spec.target),
      },
    );
    const lower = must(served, `reading ${spec.source ?? spec.target}`);
    // A read-only root still carries our mount points: they are made in memory before it is sealed.
    const isSealedRoot = write === "readonly" && spec.target === "/";
    if (write !== "overlay" && !isSealedRoot) return lower;
    const now = kernel.clock.realtimeNs();
    const dev = table.allocateDev();
    const { memoryFile, clearKeptObjects } = kernel;
    return new OverlayFs(dev, memoryFile, table.quota, lower.root, now, clearKeptObjects);
  }
}

/** mkdir -p; what is there already stays. */
function makeDirectories(t: Task, path: ByteString, mode: number): void {
  let at = "";
  for (const name of path.split("/").filter((n) => n !== "")) {
    at += `/${name}`;
    const r = mkdirAt(t, AT_FDCWD, at, at === path ? mode : 0o755);
    if (typeof r === "number" && r !== -EEXIST) must(r, `making ${at}`);
  }
}

/** Where to mount: made when it is missing, as a file or a directory. */
export function mountPoint(t: Task, path: ByteString, isFile: boolean): Path {
  if (path === "/") return t.fs.root;
  const found = resolve(t, AT_FDCWD, path, true);
  if (typeof found !== "number") return found;
  if (isFile) {
    makeDirectories(t, path.slice(0, path.lastIndexOf("/")), 0o755);
    mknodAt(t, AT_FDCWD, path, S_IFREG | 0o644, 0);
  } else makeDirectories(t, path, 0o755);
  return must(resolve(t, AT_FDCWD, path, true), `making the mount point ${path}`);
}

function makeEntries(t: Task, entries: readonly RootEntry[]): void {
  for (const { path, symlink, mode } of entries) {
    const name = utf8ToByteString(path);
    if (symlink === undefined) makeDirectories(t, name, mode ?? 0o755);
    else {
      const r = symlinkAt(t, utf8ToByteString(symlink), AT_FDCWD, name);
      if (typeof r === "number" && r !== -EEXIST) must(r, `making the link ${path}`);
    }
  }
}

/** What mount(2) can make. */
function registerTypes(table: MountTable): void {
  table.register(tmpfsType("tmpfs"));
  table.register(tmpfsType("ramfs"));
  table.register({ name: "proc", create: (t, dev) => new ProcFileSystem(dev, t.kernel) });
  table.register({ name: "sysfs", create: (t, dev) => new SysFileSystem(dev, t.kernel) });
}

function mountOne(t: Task, builder: TreeBuilder, spec: MountSpec): void {
  const at = mountPoint(t, utf8ToByteString(spec.target), spec.isFile === true);
  const isDirectory = at.dentry.inode?.isDirectory === true;
  if (isDirectory === (spec.isFile === true)) {
    throw new Unusable(
      `${spec.target} is ${isDirectory ? "a" : "no"} directory, what is to be mounted there is not`,
    );
  }
  const fs = builder.make(spec);
  const isSealed = spec.type === "gofer" && spec.write === "readonly";
  const flags =
    ((spec.flags ?? 0) & MS_PER_MOUNT) | (isSealed ? MS_RDONLY : 0) | (fs.isNoExec ? MS_NOEXEC : 0);
  builder.kernel.mounts.mountAt(at, fs, flags, utf8ToByteString(spec.source ?? "none"));
}

/** Sets kernel.mounts; returns the task that set-up goes on with. */
export function buildMountTree(
  kernel: Kernel,
  files: FileCounter,
  client: GoferClient,
  plan: FilesConfig,
  own: OwnMakers,
): Task {
  const builder = new TreeBuilder(kernel, client, own);
  registerTypes(builder.table);
  const [root, ...rest] = plan.mounts;
  if (root === undefined || root.target !== "/")
    throw new Unusable("the plan has no root file system");
  const rootFlags = root.write === "readonly" ? MS_RDONLY : 0;
  const rootFs = builder.make(root);
  const execFlag = rootFs.isNoExec ? MS_NOEXEC : 0;
  kernel.mounts = MountNamespace.create(builder.table, rootFs, execFlag, root.source ?? "none");
  const t = makeBootTask(kernel, files);
  makeEntries(t, plan.entries);
  for (const spec of rest) mountOne(t, builder, spec);
  for (const path of plan.directories ?? []) makeDirectories(t, utf8ToByteString(path), 0o755);
  kernel.mounts.rootMount.flags |= rootFlags;
  return t;
}
