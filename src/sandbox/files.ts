// What the program sees as its files: which trees of the host the Gofer serves, and where the Sentry mounts them.
// /proc, /sys, /dev, /dev/pts and /dev/shm are the Sentry's own and always there.

import { accessSync, constants, realpathSync, type Stats, statSync } from "node:fs";
import { resolve } from "node:path";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from "../abi/mount.ts";
import type { TreeConfig } from "../gofer/index.ts";
import { defaultView } from "../gofer/server/index.ts";
import type { FilesConfig, MountSpec, RootEntry } from "../sentry/control/protocol.ts";
import { NetcellError } from "./errors.ts";
import type { Mount, SandboxOptions, WriteMode } from "./options.ts";

export interface FilesPlan {
  trees: TreeConfig[];
  root: FilesConfig;
  /** Where programs start unless told otherwise. */
  workdir: string;
}

function statOf(path: string, what: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "EACCES" ? "may not be read" : "does not exist";
    throw new NetcellError("ERR_HOST", `${what} "${path}" ${why}.`, error);
  }
}

function mustRead(directory: string, what: string): void {
  try {
    accessSync(directory, constants.R_OK | constants.X_OK);
  } catch (error) {
    throw new NetcellError("ERR_HOST", `${what} "${directory}" may not be read.`, error);
  }
}

const STRICT = MS_NOSUID | MS_NOEXEC | MS_NODEV;

/** In every sandbox, unless the caller says what is mounted there. /dev/shm: as large as container engines make it. */
const OWN_MOUNTS: readonly MountSpec[] = [
  { type: "proc", target: "/proc", source: "proc", flags: STRICT },
  { type: "sysfs", target: "/sys", source: "sysfs", flags: STRICT },
  { type: "devtmpfs", target: "/dev", source: "devtmpfs", flags: MS_NOSUID },
  { type: "devpts", target: "/dev/pts", source: "devpts", flags: MS_NOSUID | MS_NOEXEC },
  { type: "tmpfs", target: "/dev/shm", source: "shm", flags: STRICT, data: "size=64m,mode=1777" },
];

class Plan {
  readonly trees: TreeConfig[] = [];
  readonly mounts: MountSpec[] = [];
  readonly entries: RootEntry[] = [];

  serve(
    hostPath: string,
    target: string,
    write: WriteMode,
    isFile: boolean,
    more: Partial<TreeConfig> = {},
    flags = 0,
  ): void {
    const id = this.trees.length;
    this.trees.push({ id, hostPath, writable: write === "through", ...more });
    const mount: MountSpec = { type: "gofer", target, tree: id, write, source: hostPath };
    if (isFile) mount.isFile = true;
    if (flags !== 0) mount.flags = flags;
    this.mounts.push(mount);
  }

  bind(source: string, target: string, isWritable: boolean, flags = 0): void {
    const path = resolve(source);
    const stat = statOf(path, "bind source");
    if (!stat.isDirectory() && !stat.isFile()) {
      throw new NetcellError("ERR_HOST", `bind source "${path}" is neither file nor directory.`);
    }
    const write = isWritable ? "through" : "readonly";
    this.serve(realpathSync(path), target, write, stat.isFile(), {}, flags);
  }

  mount({ type, target, source, flags = 0, data }: Mount): void {
    if (type === "bind") {
      this.bind(source ?? "", target, (flags & MS_RDONLY) === 0, flags);
      return;
    }
    const mount: MountSpec = { type, target, flags, source: source ?? type };
    if (data !== undefined) mount.data = data;
    this.mounts.push(mount);
  }
}

function hostView(plan: Plan, write: WriteMode): string {
  const cwd = process.cwd();
  const view = defaultView(cwd);
  plan.mounts.push({ type: "tmpfs", target: "/", mode: 0o755, source: "none" });
  plan.entries.push(...view.entries);
  for (const { tree, target, isFile } of view.mounts) {
    const isCwd = target === cwd;
    const { hostPath, exclude, publicOnly } = tree;
    plan.serve(hostPath, target, isCwd ? write : "overlay", isFile, {
      ...(exclude === undefined ? {} : { exclude }),
      ...(publicOnly === undefined ? {} : { publicOnly }),
    });
  }
  const isShown = view.mounts.some(({ target }) => cwd === target || cwd.startsWith(`${target}/`));
  return isShown ? cwd : "/";
}

/** Throws ERR_HOST for what is not there, ERR_USAGE for what makes no sense. */
export function composeFiles(options: SandboxOptions): FilesPlan {
  const plan = new Plan();
  const write = options.write ?? "overlay";
  let workdir = "/";
  if (options.rootfs === undefined) workdir = hostView(plan, write);
  else {
    const rootfs = resolve(options.rootfs);
    if (!statOf(rootfs, "rootfs").isDirectory()) {
      throw new NetcellError("ERR_HOST", `rootfs "${rootfs}" is not a directory.`);
    }
    mustRead(rootfs, "rootfs");
    plan.serve(realpathSync(rootfs), "/", write, false);
  }
  const { mounts = [], tmpfs = [], binds = [] } = options;
  const targets = mounts.map(({ target }) => target);
  const own = OWN_MOUNTS.filter(({ target }) => !targets.includes(target));
  const isCovered = ({ target }: MountSpec): boolean =>
    targets.some((at) => target.startsWith(`${at}/`));
  plan.mounts.push(...own.filter((mount) => !isCovered(mount)));
  for (const mount of mounts) plan.mount(mount);
  // /dev/pts, say, in a /dev of the caller's own.
  plan.mounts.push(...own.filter(isCovered));
  for (const { target, sizeBytes } of tmpfs) {
    const mount: MountSpec = { type: "tmpfs", target, mode: 0o1777, source: "tmpfs" };
    if (sizeBytes !== undefined) mount.sizeBytes = sizeBytes;
    plan.mounts.push(mount);
  }
  for (const { source, target, writable } of binds) plan.bind(source, target, writable === true);
  const { directories, maskedPaths, readonlyPaths } = options;
  const root: FilesConfig = { mounts: plan.mounts, entries: plan.entries };
  if (directories !== undefined) root.directories = directories;
  if (maskedPaths !== undefined) root.maskedPaths = maskedPaths;
  if (readonlyPaths !== undefined) root.readonlyPaths = readonlyPaths;
  return { trees: plan.trees, root, workdir };
}
