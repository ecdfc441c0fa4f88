// Gives a task a descriptor for a file just made.

import { RLIMIT_NOFILE } from "../../abi/resource.ts";
import type { Task } from "../kernel/task.ts";
import type { FileDescription } from "../vfs/file-description.ts";

/** Takes over the reference: at the limit the file is closed again and the result is -EMFILE or -ENFILE. */
export function newDescriptor(t: Task, file: FileDescription, closeOnExec: boolean): number {
  const fd = t.fds.add(file, closeOnExec, 0, t.threadGroup.rlimit(RLIMIT_NOFILE).soft);
  if (fd < 0) file.decRef();
  return fd;
}
