// Loads a program for execve: reads the ELF or `#!` file and builds a new address space with its stack.

import type { ByteString } from "../../base/bytes.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import type { Credentials } from "../kernel/credentials.ts";
import type { Task } from "../kernel/task.ts";
import type { MemoryFile } from "../mm/memory-file.ts";
import type { MemoryManager, RlimitSource } from "../mm/memory-manager.ts";
import type { Platform } from "../platform/platform.ts";
import type { FileDescription } from "../vfs/file-description.ts";

/** The part of the Kernel that the loader needs; a Kernel is one. */
export interface LoaderKernel {
  readonly platform: Platform;
  readonly memoryFile: MemoryFile;
  readonly rng: Rng;
  readonly limits: Limits;
}

export interface LoadRequest {
  kernel: LoaderKernel;
  /** The task that executes; for the first program of a sandbox, the task being made. */
  task: Task;
  /** Opened for reading, execute permission checked. The loader does not keep or release it. */
  file: FileDescription;
  /** As the program named it: AT_EXECFN, argv of scripts, comm. */
  path: ByteString;
  /** Opens an interpreter (PT_INTERP or `#!`) with execute permission checked; the loader releases it. */
  openInterpreter(path: ByteString): FileDescription | number;
  argv: readonly ByteString[];
  envp: readonly ByteString[];
  /** After set-user-ID: what AT_UID.. show. */
  creds: Credentials;
  /** AT_SECURE. */
  secure: boolean;
  rlimits: RlimitSource;
  /** personality(ADDR_NO_RANDOMIZE) is false here. */
  randomize: boolean;
}

export interface LoadedProgram {
  mm: MemoryManager;
  entry: number;
  stackPointer: number;
  /** For comm: last component of the path (of the script, for scripts). */
  name: ByteString;
  /** The file that was mapped as the program (the interpreter of a script): /proc/PID/exe. */
  exeFile: FileDescription;
}

/** -errno: ENOEXEC, EACCES, ENOENT, E2BIG, ELIBBAD, ELOOP, EINVAL, ENOMEM, EIO. */
export function load(_request: LoadRequest): LoadedProgram | number {
  throw new Error("not yet written");
}
