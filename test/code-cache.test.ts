// The code caches that the build makes: V8 takes them, under the flags that our processes run with.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { GOFER_FLAGS, SENTRY_FLAGS } from "../src/sandbox/process-flags.ts";

const ASK = `
  const { readFileSync } = require("node:fs");
  const file = process.argv[1];
  const cachedData = readFileSync(file + ".cache");
  const script = new (require("node:vm").Script)(readFileSync(file, "latin1"), { cachedData });
  process.stdout.write(String(script.cachedDataRejected));`;

it.each([
  ["netcell", []],
  ["start-processes", []],
  ["sentry", SENTRY_FLAGS],
  ["gofer", GOFER_FLAGS],
] as const)("%s is not compiled anew at every start", (name, flags) => {
  const file = fileURLToPath(new URL(`../dist/code/${name}.js`, import.meta.url));
  const args = [...flags, "-e", ASK, "--", file];
  expect(execFileSync(process.execPath, args, { encoding: "utf8" })).toBe("false");
});
