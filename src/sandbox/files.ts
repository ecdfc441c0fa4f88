// What the program sees as its files: which trees of the host the Gofer serves, and where the Sentry
// mounts them. /proc, /sys, /dev and /dev/shm are the Sentry's own and always there.

import { accessSync, constants, realpathSync, type Stats, statSync } from "node:fs";
import { resolve } from "node:path";
import type { TreeConfig } from "../gofer/index.ts";
import { defaultView } from "../gofer/server/index.ts";
import type { MountSpec, RootEntry } from "../sentry/control/protocol.ts";
import { NetcellError } from "./errors.ts";
import type { SandboxOptions, WriteMode } from "./options.ts";

export interface FilesPlan {
  trees: TreeConfig[];
  root: { mounts: MountSpec[]; entries: RootEntry[] };
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
  ): void {
    const id = this.trees.length;
    this.trees.push({ id, hostPath, writable: write === "through", ...more });
    const mount: MountSpec = { type: "gofer", target, tree: id, write, source: hostPath };
    if (isFile) mount.isFile = true;
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
  for (const { target, sizeBytes } of options.tmpfs ?? []) {
    const mount: MountSpec = { type: "tmpfs", target, mode: 0o1777, source: "tmpfs" };
    if (sizeBytes !== undefined) mount.sizeBytes = sizeBytes;
    plan.mounts.push(mount);
  }
  for (const { source, target, writable } of options.binds ?? []) {
    const path = resolve(source);
    const stat = statOf(path, "bind source");
    if (!stat.isDirectory() && !stat.isFile()) {
      throw new NetcellError("ERR_HOST", `bind source "${path}" is neither file nor directory.`);
    }
    plan.serve(
      realpathSync(path),
      target,
      writable === true ? "through" : "readonly",
      stat.isFile(),
    );
  }
  return { trees: plan.trees, root: { mounts: plan.mounts, entries: plan.entries }, workdir };
}
