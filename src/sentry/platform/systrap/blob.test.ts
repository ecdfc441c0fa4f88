import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import * as layout from "./layout.ts";

const native = resolve(dirname(fileURLToPath(import.meta.url)), "../../../../native");
const hasCompiler = ["gcc", "objcopy"].every((c) => spawnSync(c, ["--version"]).status === 0);
/** Other compilers make other, equally good bytes: only the one that made these is compared. */
const compiler = hasCompiler
  ? execFileSync("gcc", ["-dumpfullversion"], { encoding: "utf8" }).trim()
  : "";
const MADE_BY = "12.2.0";

describe("native code", () => {
  it.skipIf(compiler !== MADE_BY)(`is what its source builds to (needs gcc ${MADE_BY})`, () => {
    const r = spawnSync(process.execPath, [resolve(native, "build.mjs"), "--check"], {
      encoding: "utf8",
    });
    expect(r.stderr).toBe("");
    expect(r.status).toBe(0);
  });

  it("agrees with the Sentry about the layout of the shared area", () => {
    const header = readFileSync(resolve(native, "x86_64/layout.h"), "latin1");
    const values = layout as unknown as Record<string, number>;
    const defines = [...header.matchAll(/^#define (\w+) (0x[0-9a-f]+|\d+)/gm)];
    expect(defines.length).toBeGreaterThan(50);
    for (const [, name, value] of defines)
      expect([name, values[name]]).toEqual([name, Number(value)]);
  });
});
