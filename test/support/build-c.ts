// Compiles a C program of test/programs once per run, into a directory of its own.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export class CPrograms {
  #directory: string | null = null;

  /** Made when first needed: a suite of which nothing runs has no end either, at which to remove it. */
  get directory(): string {
    this.#directory ??= mkdtempSync(join(tmpdir(), "netcell-c-"));
    return this.#directory;
  }

  /** Path of the executable. */
  build(name: string, ...flags: string[]): string {
    const source = fileURLToPath(new URL(`../programs/${name}.c`, import.meta.url));
    const suffix = flags.includes("-static") ? "-static" : "";
    const output = join(this.directory, `${name}${suffix}`);
    execFileSync("gcc", ["-O2", "-pthread", "-o", output, source, ...flags, "-lm"], {
      stdio: "pipe",
    });
    return output;
  }
  remove(): void {
    if (this.#directory !== null) rmSync(this.#directory, { recursive: true, force: true });
  }
}
