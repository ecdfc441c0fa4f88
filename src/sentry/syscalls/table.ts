// The system call table: every family, laid out flat by number. A number without a handler is ENOSYS.

import type { SyscallFamily, SyscallHandler } from "./family.ts";
import { memoryFamily } from "./memory.ts";
import { processVmFamily } from "./process-vm.ts";

/** In alphabetical order; adding a family is one line here. */
const FAMILIES: readonly SyscallFamily[] = [memoryFamily, processVmFamily];

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
