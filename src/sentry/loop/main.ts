// The Sentry process: takes its configuration from the monitor, puts the kernel together, locks itself in,
// and runs the loop until nothing is left to do or the monitor goes.

import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { exitGroup, SIGKILL, setParentDeathSignal, setProcessName } from "../../host/process.ts";
import { SENTRY_FD, type SentryConfig, Unusable } from "../control/protocol.ts";
import { ControlSocket } from "./control-socket.ts";
import { closeInherited } from "./lockdown.ts";
import { SentryProcess } from "./sentry-process.ts";

setProcessName("netcell-sentry");
setParentDeathSignal(SIGKILL);

closeInherited([0, 1, 2, ...Object.values(SENTRY_FD)]);

const control = new ControlSocket(SENTRY_FD.control);

function fail(error: unknown): void {
  if (error instanceof Unusable) {
    const message = `the sandbox cannot be set up: ${error.message}.`;
    control.send({ type: "unusable", message });
    return;
  }
  control.send({
    type: "fatal",
    message: error instanceof Error ? error.message : String(error),
  });
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
}

/** The exit status. */
function serve(config: SentryConfig): number {
  const limits = { ...DEFAULT_LIMITS, ...config.limits };
  let sentry: SentryProcess | null = null;
  try {
    sentry = new SentryProcess({ ...config, limits }, control);
    sentry.run();
    return 0;
  } catch (error) {
    fail(error);
    return 1;
  } finally {
    sentry?.end();
  }
}

const first = control.receiveBlocking();
if (first?.type === "start") {
  const status = serve(first.config);
  // All that was written is written: Node's own end would only cost time.
  if (status === 0) exitGroup(0);
  process.exit(status);
}
process.exit(0);
