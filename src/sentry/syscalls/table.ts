// The system call table: every family, laid out flat by number. A number without a handler is ENOSYS.

import { epollFamily } from "./epoll.ts";
import { eventfdFamily } from "./eventfd.ts";
import { execFamily } from "./exec.ts";
import type { SyscallFamily, SyscallHandler } from "./family.ts";
import { futexFamily } from "./futex.ts";
import { idsFamily } from "./ids.ts";
import { memoryFamily } from "./memory.ts";
import { pollFamily } from "./poll.ts";
import { prctlFamily } from "./prctl.ts";
import { processFamily } from "./process.ts";
import { processVmFamily } from "./process-vm.ts";
import { rlimitFamily } from "./rlimit.ts";
import { selectFamily } from "./select.ts";
import { signalFamily } from "./signal.ts";
import { signalfdFamily } from "./signalfd.ts";
import { systemFamily } from "./system.ts";
import { timeFamily } from "./time.ts";
import { timerfdFamily } from "./timerfd.ts";
import { waitFamily } from "./wait.ts";

/** Adding a family is one line here. */
const FAMILIES: readonly SyscallFamily[] = [
  epollFamily,
  eventfdFamily,
  execFamily,
  futexFamily,
  idsFamily,
  memoryFamily,
  pollFamily,
  prctlFamily,
  processFamily,
  processVmFamily,
  rlimitFamily,
  selectFamily,
  signalFamily,
  signalfdFamily,
  systemFamily,
  timeFamily,
  timerfdFamily,
  waitFamily,
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
