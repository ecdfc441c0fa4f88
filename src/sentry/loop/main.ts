// The Sentry process: takes its configuration from the monitor, puts the kernel together, locks itself in,
// and runs the loop until nothing is left to do or the monitor goes.

import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { SIGKILL, setParentDeathSignal, setProcessName } from "../../host/process.ts";
import { SENTRY_FD, type SentryConfig } from "../control/protocol.ts";
import { ControlSocket } from "./control-socket.ts";
import { closeInherited } from "./lockdown.ts";
import { SentryProcess } from "./sentry-process.ts";

setProcessName("netcell-sentry");
setParentDeathSignal(SIGKILL);

closeInherited([0, 1, 2, ...Object.values(SENTRY_FD)]);

const control = new ControlSocket(SENTRY_FD.control);

function start(config: SentryConfig): void {
  const limits = { ...DEFAULT_LIMITS, ...config.limits };
  new SentryProcess({ ...config, limits }, control).run();
}

const first = control.receiveBlocking();
if (first?.type === "start") {
  try {
    start(first.config);
  } catch (error) {
    control.send({
      type: "fatal",
      message: error instanceof Error ? error.message : String(error),
    });
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  }
}
process.exit(0);
