// Compiles a C program of test/programs once per run, into a directory of its own.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export class CPrograms {
  readonly directory = mkdtempSync(join(tmpdir(), "netcell-c-"));

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
    rmSync(this.directory, { recursive: true, force: true });
  }
}
