// Process and thread ids of the sandbox: one name space for tasks, processes, groups and sessions.

import type { ProcessGroup, Session } from "./process-group.ts";
import type { Task } from "./task.ts";
import type { ThreadGroup } from "./thread-group.ts";

/** /proc/sys/kernel/pid_max of a 64-bit Linux. */
export const PID_MAX = 4_194_304;
/** After the first round Linux does not go back to the low ids. */
const RESERVED_PIDS = 300;

export class PidTable {
  /** By tid; the leader of a zombie stays until it is reaped. */
  readonly tasks = new Map<number, Task>();
  /** By tgid; zombies too. */
  readonly groups = new Map<number, ThreadGroup>();
  readonly processGroups = new Map<number, ProcessGroup>();
  readonly sessions = new Map<number, Session>();
  #last = 0;

  /** The next id that nothing bears. The limit on tasks keeps the table far from full. */
  allocate(): number {
    do {
      this.#last = this.#last + 1 >= PID_MAX ? RESERVED_PIDS : this.#last + 1;
    } while (
      this.tasks.has(this.#last) ||
      this.processGroups.has(this.#last) ||
      this.sessions.has(this.#last)
    );
    return this.#last;
  }
  /** An id that was never shown to anybody is the next one again: a failed first spawn leaves 1 to the second. */
  giveBack(id: number): void {
    if (this.#last === id) this.#last = id - 1;
  }
  /** The most recent id, as /proc/loadavg shows it. */
  get last(): number {
    return this.#last;
  }
}
