// The system call table: every family, laid out flat by number. A number without a handler is ENOSYS.

import { attrSyscalls } from "./attr.ts";
import { directorySyscalls } from "./directory.ts";
import { epollFamily } from "./epoll.ts";
import { eventfdFamily } from "./eventfd.ts";
import { execFamily } from "./exec.ts";
import type { SyscallFamily, SyscallHandler } from "./family.ts";
import { fcntlSyscalls } from "./fcntl.ts";
import { fileHandleSyscalls } from "./file-handle.ts";
import { futexFamily } from "./futex.ts";
import { idsFamily } from "./ids.ts";
import { inotifySyscalls } from "./inotify.ts";
import { jobControlFamily } from "./job-control.ts";
import { memfdSyscalls } from "./memfd.ts";
import { memoryFamily } from "./memory.ts";
import { mountSyscalls } from "./mount.ts";
import { openSyscalls } from "./open.ts";
import { pidfdFamily } from "./pidfd.ts";
import { pollFamily } from "./poll.ts";
import { prctlFamily } from "./prctl.ts";
import { processFamily } from "./process.ts";
import { processVmFamily } from "./process-vm.ts";
import { readWriteSyscalls } from "./read-write.ts";
import { renameLinkSyscalls } from "./rename-link.ts";
import { rlimitFamily } from "./rlimit.ts";
import { schedulingFamily } from "./scheduling.ts";
import { selectFamily } from "./select.ts";
import { shmFamily } from "./shm.ts";
import { signalFamily } from "./signal.ts";
import { signalSendFamily } from "./signal-send.ts";
import { signalfdFamily } from "./signalfd.ts";
import { socketFamily } from "./socket.ts";
import { socketIoFamily } from "./socket-io.ts";
import { socketOptionsFamily } from "./socket-options.ts";
import { spliceSyscalls } from "./splice.ts";
import { statSyscalls } from "./stat.ts";
import { systemFamily } from "./system.ts";
import { timeFamily } from "./time.ts";
import { timerfdFamily } from "./timerfd.ts";
import { waitFamily } from "./wait.ts";
import { xattrSyscalls } from "./xattr.ts";

/** Adding a family is one line here. */
const FAMILIES: readonly SyscallFamily[] = [
  attrSyscalls,
  directorySyscalls,
  epollFamily,
  eventfdFamily,
  execFamily,
  fcntlSyscalls,
  fileHandleSyscalls,
  futexFamily,
  idsFamily,
  inotifySyscalls,
  memfdSyscalls,
  jobControlFamily,
  memoryFamily,
  mountSyscalls,
  openSyscalls,
  pidfdFamily,
  pollFamily,
  prctlFamily,
  processVmFamily,
  processFamily,
  readWriteSyscalls,
  renameLinkSyscalls,
  rlimitFamily,
  schedulingFamily,
  selectFamily,
  shmFamily,
  signalFamily,
  signalSendFamily,
  signalfdFamily,
  socketIoFamily,
  socketOptionsFamily,
  socketFamily,
  spliceSyscalls,
  statSyscalls,
  systemFamily,
  timeFamily,
  timerfdFamily,
  waitFamily,
  xattrSyscalls,
];

const TABLE_LENGTH = 512;

export function buildSyscallTable(
  families: readonly SyscallFamily[] = FAMILIES,
): readonly (SyscallHandler | undefined)[] {
  const table: (SyscallHandler | undefined)[] = new Array(TABLE_LENGTH).fill(undefined);
  for (const family of families) {
    for (const [nr, handler] of family) {
      if (table[nr] !== undefined) throw new Error(`system call ${nr} is offered twice`);
      table[nr] = handler;
    }
  }
  return table;
}
