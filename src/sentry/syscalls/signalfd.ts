// signalfd(2), signalfd4(2).

import { SFD_CLOEXEC, SFD_NONBLOCK } from "../../abi/epoll.ts";
import { EBADF, EFAULT, EINVAL } from "../../abi/errno.ts";
import { SIGSET_BYTES } from "../../abi/signal.ts";
import { SYS_signalfd, SYS_signalfd4 } from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import { SignalFile } from "../readiness/signal-file.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";

function signalfd(t: Task, a: SyscallArgs, flags: number): number {
  const fd = a.int(0);
  if ((flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) !== 0) return -EINVAL;
  if (a.size(2) !== SIGSET_BYTES) return -EINVAL;
  const low = t.mm.readU32(a.addr(1)) | 0;
  if (t.mm.faulted) return -EFAULT;
  const high = t.mm.readU32(a.addr(1) + 4) | 0;
  if (t.mm.faulted) return -EFAULT;
  if (fd === -1) {
    const file = new SignalFile(t, low, high, flags & SFD_NONBLOCK);
    return newDescriptor(t, file, (flags & SFD_CLOEXEC) !== 0);
  }
  const file = t.fds.get(fd);
  if (file === undefined) return -EBADF;
  if (!(file instanceof SignalFile)) return -EINVAL;
  file.setMask(low, high);
  return fd;
}

export const signalfdFamily: SyscallFamily = [
  [SYS_signalfd, (t: Task, a: SyscallArgs) => signalfd(t, a, 0)],
  [SYS_signalfd4, (t: Task, a: SyscallArgs) => signalfd(t, a, a.int(3))],
];
