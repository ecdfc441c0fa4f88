// execve(2), execveat(2).

import { E2BIG, EFAULT, EINVAL, ENAMETOOLONG } from "../../abi/errno.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from "../../abi/fcntl.ts";
import { RLIMIT_STACK } from "../../abi/resource.ts";
import { SYS_execve, SYS_execveat } from "../../abi/syscall-numbers.ts";
import type { ByteString } from "../../base/bytes.ts";
import { KiB, MiB } from "../../base/limits.ts";
import type { Task } from "../kernel/task.ts";
import { ExecWait, finishExec, loadProgram } from "../kernel/task-exec.ts";
import { openForExec } from "../vfs/open.ts";
import { copyInPath } from "../vfs/resolve.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

/** MAX_ARG_STRLEN. */
const STRING_BYTES_MAX = 128 * KiB;
const POINTER_BYTES = 8;

/** Bytes that argv and envp may take together: a quarter of the stack limit, within Linux's bounds. */
function budgetOf(t: Task): number {
  return Math.min(6 * MiB, Math.max(128 * KiB, t.rlimit(RLIMIT_STACK).soft / 4));
}

/** A NULL-terminated array of strings; -errno. A null array is an empty one. */
function copyInStrings(t: Task, addr: number, out: ByteString[], budget: number): number {
  if (addr === 0) return budget;
  let left = budget;
  for (let at = addr; ; at += POINTER_BYTES) {
    const pointer = t.mm.readU64(at);
    if (t.mm.faulted) return -EFAULT;
    if (pointer === 0) return left;
    const text = t.mm.copyInString(pointer, STRING_BYTES_MAX);
    if (typeof text === "number") return text === -ENAMETOOLONG ? -E2BIG : text;
    left -= text.length + 1 + POINTER_BYTES;
    if (left < 0) return -E2BIG;
    out.push(text);
  }
}

function exec(
  t: Task,
  dirfd: number,
  pathAddr: number,
  argvAddr: number,
  envpAddr: number,
  flags: number,
): number {
  if (t.syscallState instanceof ExecWait) return finishExec(t, t.syscallState);
  const path = copyInPath(t, pathAddr);
  if (typeof path === "number") return path;
  const file = openForExec(t, dirfd, path, flags);
  if (typeof file === "number") return file;
  const argv: ByteString[] = [];
  const envp: ByteString[] = [];
  let left = copyInStrings(t, argvAddr, argv, budgetOf(t));
  if (left >= 0) left = copyInStrings(t, envpAddr, envp, left);
  if (left < 0) {
    file.decRef();
    return left;
  }
  // Linux since 5.18: there is always an argv[0].
  if (argv.length === 0) argv.push("");
  const wait = loadProgram(t, file, nameOf(dirfd, path), argv, envp);
  file.decRef();
  return typeof wait === "number" ? wait : finishExec(t, wait);
}

/** What scripts and AT_EXECFN see of a program that was named by a descriptor. */
function nameOf(dirfd: number, path: ByteString): ByteString {
  if (path.startsWith("/") || dirfd === AT_FDCWD) return path;
  return path === "" ? `/dev/fd/${dirfd}` : `/dev/fd/${dirfd}/${path}`;
}

function sysExecve(t: Task, a: SyscallArgs): number {
  return exec(t, AT_FDCWD, a.addr(0), a.addr(1), a.addr(2), 0);
}

function sysExecveat(t: Task, a: SyscallArgs): number {
  const flags = a.int(4);
  if ((flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) !== 0) return -EINVAL;
  return exec(t, a.int(0), a.addr(1), a.addr(2), a.addr(3), flags);
}

export const execFamily: SyscallFamily = [
  [SYS_execve, sysExecve],
  [SYS_execveat, sysExecveat],
];
