// The Gofer process: its socket at descriptor 3, whose first message is the configuration as JSON; it comes from
// the monitor, before the Sentry is told of anything. Ends when the socket closes or the monitor dies. Exit status 2 with one line on stderr when a tree cannot be served.

import { setProcessName } from "../../host/process.ts";
import { ReceiveBuffer } from "../../host/unix-socket.ts";
import { type GoferConfig, MESSAGE_BYTES_MAX } from "../protocol.ts";
import { confine } from "./confine.ts";
import { openDescriptorLimit } from "./descriptor-limit.ts";
import { installGoferFilter } from "./filter.ts";
import { serve } from "./serve.ts";

const SOCKET_FD = 3;
/** Descriptors kept for the process itself, files on their way and listings. */
const RESERVED_DESCRIPTORS = 64;

function main(): void {
  setProcessName("netcell-gofer");
  process.umask(0);
  const input = new ReceiveBuffer(MESSAGE_BYTES_MAX);
  const length = input.receive(SOCKET_FD);
  if (length <= 0) return; // given up before it began
  const config = JSON.parse(
    new TextDecoder().decode(input.bytes.subarray(0, length)),
  ) as GoferConfig;
  const handles = Math.max(32, Math.min(4096, openDescriptorLimit() - RESERVED_DESCRIPTORS));
  serve(SOCKET_FD, config, {
    handles,
    confine: (server) => void confine(server, installGoferFilter),
  });
}

try {
  main();
  process.exitCode = 0;
} catch (error) {
  process.stderr.write(`netcell-gofer: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
