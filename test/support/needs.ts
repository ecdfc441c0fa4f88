// Tests against real programs: where one is missing they are skipped and say why; under CI=true that is
// a failure, because CI installs them all.

import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, it } from "vitest";

export function which(program: string): string | null {
  const path = `${process.env.PATH ?? ""}${delimiter}/usr/sbin${delimiter}/sbin`;
  for (const dir of path.split(delimiter)) {
    const candidate = join(dir, program);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // not here: the next directory
    }
  }
  return null;
}

/** The real one: a container's may have none of its rights. */
function isRoot(): boolean {
  if (process.getuid?.() !== 0) return false;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  const CAP_NET_ADMIN = 1n << 12n;
  return (BigInt(`0x${effective ?? "0"}`) & CAP_NET_ADMIN) !== 0n;
}

/** Why a test of these requirements cannot run here; null when it can. "root" is a requirement too. */
export function missing(...requirements: string[]): string | null {
  for (const name of requirements) {
    if (name === "root") {
      if (!isRoot()) return "not root";
    } else if (which(name) === null) return `no ${name} on this machine`;
  }
  return null;
}

/** describe(), skipped with the reason in its name when something is missing. */
export function describeWith(requirements: string[], name: string, body: () => void): void {
  const reason = missing(...requirements);
  if (reason === null) {
    describe(name, body);
    return;
  }
  // "not root" is what the run as an ordinary user is for; only a missing program is CI's fault.
  if (process.env.CI === "true" && reason !== "not root") {
    describe(name, () => {
      it("has what it needs", () => {
        throw new Error(`${name}: ${reason}`);
      });
    });
    return;
  }
  process.stderr.write(`skipped: ${name}: ${reason}\n`);
  describe.skip(`${name} (${reason})`, body);
}
