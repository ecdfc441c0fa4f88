// `netcell list` and `netcell kill`: the sandboxes that other netcells of this user run.

import { constants } from "node:os";
import { NetcellError } from "../sandbox/errors.ts";
import { listSandboxes, signalSandbox } from "../sandbox/registry.ts";

export async function list(asJson: boolean): Promise<number> {
  const sandboxes = await listSandboxes();
  if (asJson) process.stdout.write(`${JSON.stringify(sandboxes)}\n`);
  else {
    const rows = [["ID", "PID", "STARTED", "PROGRAM"]];
    for (const { id, pid, startedMs, argv } of sandboxes) {
      rows.push([id, String(pid), new Date(startedMs).toISOString().slice(0, 19), argv.join(" ")]);
    }
    const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i].length)));
    for (const row of rows) {
      const cells = row.map((cell, i) => (i < widths.length ? cell.padEnd(widths[i]) : cell));
      process.stdout.write(`${cells.join("  ")}\n`);
    }
  }
  return 0;
}

/** TERM, SIGTERM or 15. */
function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^(?!SIG)/, "SIG");
  const number = /^\d+$/.test(text)
    ? Number(text)
    : (constants.signals as Record<string, number | undefined>)[name];
  if (number === undefined || number < 1 || number > 64) {
    throw new NetcellError("ERR_USAGE", `"${text}" is no signal.`);
  }
  return number;
}

export async function kill(id: string, signal: string | undefined): Promise<number> {
  await signalSandbox(id, signalNumber(signal ?? "TERM"));
  return 0;
}
