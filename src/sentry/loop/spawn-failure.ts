// Why a program could not be started, for the one who asked: what execve's errno does not say.

import { EACCES, ENOENT, ENOEXEC } from "../../abi/errno.ts";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import { utf8ToByteString } from "../../base/bytes.ts";
import type { SpawnRequest } from "../control/protocol.ts";
import type { Task } from "../kernel/task.ts";
import type { Path } from "../vfs/path.ts";
import { resolve } from "../vfs/resolve.ts";

/** A sentence without its end; the errno is said behind it. t: the boot task. */
export function whyNotStarted(t: Task, { argv, workdir }: SpawnRequest, errno: number): string {
  const cwd = resolve(t, AT_FDCWD, utf8ToByteString(workdir), true);
  if (typeof cwd === "number" || cwd.dentry.inode?.isDirectory !== true) {
    return `there is no directory ${workdir} to start in`;
  }
  const [name] = argv;
  if (errno === ENOENT) {
    if (!name.includes("/")) return `there is no "${name}" in the PATH of the sandbox`;
    const isThere = typeof from(t, cwd, name) !== "number";
    return isThere
      ? `"${name}" needs an interpreter that is not there`
      : `there is no "${name}" in the sandbox`;
  }
  if (errno === EACCES) return `"${name}" may not be executed`;
  if (errno === ENOEXEC) return `"${name}" is no program that this kernel can load`;
  return `"${name}" cannot be run in ${workdir}`;
}

function from(t: Task, cwd: Path, name: string): Path | number {
  const before = t.fs.cwd;
  t.fs.cwd = cwd;
  const found = resolve(t, AT_FDCWD, utf8ToByteString(name), true);
  t.fs.cwd = before;
  return found;
}
