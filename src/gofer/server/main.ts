// The Gofer process: `node main.js CONFIG-JSON`, its socket at descriptor 3. Ends when the socket closes
// or the monitor dies. Exit status 2 with one line on stderr when a tree cannot be served.

import { setProcessName } from "../../host/process.ts";
import type { GoferConfig } from "../protocol.ts";
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
  const config = JSON.parse(process.argv[2] ?? "") as GoferConfig;
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
