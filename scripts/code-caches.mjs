// V8's code caches beside dist/code/*.js (see start.cjs): of the functions that a short run of a sandbox compiles,
// because what is in a cache costs time whether it is called or not. Where no sandbox can be run, of all functions.

import { spawnSync } from "node:child_process";
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { GOFER_FLAGS, SENTRY_FLAGS } from "../dist/sandbox/process-flags.js";

const FLAGS = { netcell: [], "start-processes": [], sentry: SENTRY_FLAGS, gofer: GOFER_FLAGS };
const RUN_MS = 30_000;

const cache = (name) => `dist/code/${name}.js.cache`;
const fresh = (name) => `${cache(name)}.new`;
const isWritten = (name) => existsSync(fresh(name)) && statSync(fresh(name)).size > 0;
const names = Object.keys(FLAGS);

function write(how, name) {
  const args = [...FLAGS[name], "scripts/write-code-cache.cjs", how, name];
  return spawnSync(process.execPath, args, { timeout: RUN_MS, killSignal: "SIGKILL" });
}

for (const name of names) {
  rmSync(cache(name), { force: true });
  rmSync(fresh(name), { force: true });
}
const ran = write("record", "netcell");
if (ran.status !== 0 || !names.every(isWritten)) for (const name of names) write("whole", name);
for (const name of names) if (isWritten(name)) renameSync(fresh(name), cache(name));
