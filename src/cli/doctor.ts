// `netcell doctor`: what this machine offers a sandbox, tried rather than guessed, and what to do where
// something is missing. Exit status 0 when programs can be run.

import { accessSync, constants, readFileSync } from "node:fs";
import { Sandbox } from "../sandbox/sandbox.ts";

interface Finding {
  name: string;
  /** "ok", "missing" (programs still run) or "failed" (they do not). */
  state: "ok" | "missing" | "failed";
  detail: string;
}

function tap(): Finding {
  const name = "TAP device (--net tap)";
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return {
      name,
      state: "missing",
      detail: "/dev/net/tun cannot be opened; --net gateway needs none",
    };
  }
  const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  const CAP_NET_ADMIN = 12n;
  const mayCreate =
    capabilities !== null && ((BigInt(`0x${capabilities[1]}`) >> CAP_NET_ADMIN) & 1n) === 1n;
  return mayCreate
    ? { name, state: "ok", detail: "devices can be made" }
    : {
        name,
        state: "missing",
        detail: "no CAP_NET_ADMIN: only a device that root has made for this user can be attached",
      };
}

async function program(): Promise<Finding> {
  const name = "running a program";
  try {
    await using box = await Sandbox.start({ net: "none" });
    const { stdout, status } = await box.run(["/bin/sh", "-c", "echo works"], {
      timeoutMs: 20_000,
    });
    if (status === 0 && stdout === "works\n") {
      return { name, state: "ok", detail: "/bin/sh ran in a sandbox" };
    }
    return { name, state: "failed", detail: `/bin/sh ended with status ${status}` };
  } catch (error) {
    return {
      name,
      state: "failed",
      detail: error instanceof Error ? error.message : String(error),
    };
  }
}

async function confinement(): Promise<Finding> {
  const name = "confinement of the Sentry";
  const status = readFileSync("/proc/self/status", "utf8");
  return /^Seccomp:/m.test(status)
    ? { name, state: "ok", detail: "seccomp filters are available" }
    : {
        name,
        state: "failed",
        detail: "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)",
      };
}

export async function doctor(asJson: boolean): Promise<number> {
  const findings = [await program(), await confinement(), tap()];
  if (asJson) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
  else {
    for (const { name, state, detail } of findings) {
      process.stdout.write(`${state.padEnd(8)} ${name}: ${detail}\n`);
    }
  }
  return findings.some(({ state }) => state === "failed") ? 1 : 0;
}
