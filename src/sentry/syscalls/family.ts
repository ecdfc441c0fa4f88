// How a file of system calls offers them to the table.

import type { Task } from "../kernel/task.ts";
import type { SyscallArgs } from "./args.ts";

/**
 * Handles one call: a result >= 0, -errno, -ERESTART*, or BLOCKED after parking. Must be safe to run
 * again from the start after BLOCKED. Results above 2^31 (addresses, offsets) are plain numbers.
 */
export type SyscallHandler = (t: Task, a: SyscallArgs) => number;

/** [number, handler] pairs, keyed by abi/syscall-numbers.ts. */
export type SyscallFamily = readonly (readonly [number, SyscallHandler])[];
