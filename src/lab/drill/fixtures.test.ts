// Every script in fixtures/drill, in each family that the stack has; those in freebsd/ say `--profile=freebsd`.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type DrillFamily, runScript } from "./drill.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../../fixtures/drill");
const FAMILIES: readonly DrillFamily[] = ["ipv4", "mapped", "ipv6"];

const scripts = readdirSync(ROOT, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.name.endsWith(".pkt"))
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();

describe.each(FAMILIES)("drill scripts over %s", (family) => {
  it.each(scripts.map((path) => relative(ROOT, path)))("%s", (name) => {
    const text = readFileSync(join(ROOT, name), "latin1");
    const { state, line, column, message } = runScript(text, { family });
    const told = state === "failed" ? `${name}:${line}:${column} ${message}` : state;
    expect(told).toMatch(/^(passed|skipped)$/);
  });
});

it("has scripts that run, not only ones that are skipped", () => {
  const passed = scripts.filter(
    (path) => runScript(readFileSync(path, "latin1")).state === "passed",
  );
  expect(passed.length).toBeGreaterThan(40);
});
