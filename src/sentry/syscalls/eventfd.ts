// eventfd(2), eventfd2(2).

import { EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE } from "../../abi/epoll.ts";
import { EINVAL } from "../../abi/errno.ts";
import { SYS_eventfd, SYS_eventfd2 } from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import { EventFile } from "../readiness/event-file.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { newDescriptor } from "./new-descriptor.ts";

function create(t: Task, initial: number, flags: number): number {
  if ((flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) !== 0) return -EINVAL;
  const file = new EventFile(initial, (flags & EFD_SEMAPHORE) !== 0, flags & EFD_NONBLOCK);
  return newDescriptor(t, file, (flags & EFD_CLOEXEC) !== 0);
}

export const eventfdFamily: SyscallFamily = [
  [SYS_eventfd, (t: Task, a: SyscallArgs) => create(t, a.uint(0), 0)],
  [SYS_eventfd2, (t: Task, a: SyscallArgs) => create(t, a.uint(0), a.int(1))],
];
