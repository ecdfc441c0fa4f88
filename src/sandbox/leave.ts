// The end of the command line's process.

import { exitGroup } from "../host/process.ts";

/**
 * Ends the process at once, without the orderly end of Node, which takes apart what the host takes back in one go.
 * measured: 4 ms instead of 14. Precondition: nothing waits to be written.
 */
export function leave(status: number): void {
  exitGroup(status);
}
