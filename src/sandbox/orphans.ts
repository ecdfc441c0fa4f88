// For a process that is nothing but a monitor (the command line): what a killed Sentry leaves, its stubs, comes
// to us to be reaped, as an init that does not reap would keep the dead for ever. Not for a library's user:
// there other orphans would come too, and they are not ours to reap.

import { setChildSubreaper, WNOHANG, waitpid } from "../host/process.ts";

const POLL_MS = 1;

/** Before the first sandbox is started. */
export function adoptOrphans(): void {
  setChildSubreaper();
}

/** When all sandboxes are closed: reaps every child there is, those first that are about to end. */
export async function reapOrphans(limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  for (;;) {
    const pid = waitpid(-1, WNOHANG);
    if (pid < 0 || performance.now() > end) return;
    if (pid === 0) await new Promise((go) => setTimeout(go, POLL_MS));
  }
}
