// `netcell list` and `netcell kill`: finding and ending sandboxes of other netcells.

import { type ChildProcess, spawn } from "node:child_process";
import { afterEach, expect, it } from "vitest";
import { CLI, netcell } from "./support/cell.ts";
import { until } from "./support/processes.ts";

const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});

interface Listed {
  id: string;
  pid: number;
  argv: string[];
}
const listed = async (): Promise<Listed[]> =>
  JSON.parse((await netcell(["list", "--json"])).stdout) as Listed[];

async function start(...argv: string[]): Promise<{ child: ChildProcess; entry: Listed }> {
  const child = spawn(process.execPath, [CLI, "run", "--", ...argv], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  running.push(child);
  await new Promise((go) => child.stdout?.once("data", go));
  for (;;) {
    const entry = (await listed()).find(({ pid }) => pid === child.pid);
    if (entry !== undefined) return { child, entry };
  }
}
const ended = (child: ChildProcess): Promise<unknown> =>
  until(() => child.exitCode !== null || child.signalCode !== null);

it("lists what runs, sends it signals by the beginning of its id, and forgets it", async () => {
  const argv = ["sh", "-c", "trap 'echo usr1' USR1; echo started; while :; do sleep 0.05; done"];
  const { child, entry } = await start(...argv);
  expect(entry.argv).toEqual(argv);
  const table = (await netcell(["list"])).stdout;
  expect(table).toMatch(/^ID +PID +STARTED +PROGRAM\n/);
  expect(table).toContain(`${entry.id}  ${entry.pid}`);
  let out = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  expect((await netcell(["kill", entry.id, "usr1"])).status).toBe(0);
  await until(() => out.includes("usr1"));
  expect((await netcell(["kill", entry.id.slice(0, 7)])).status).toBe(0);
  await ended(child);
  expect(child.exitCode).toBe(143);
  expect((await listed()).some(({ id }) => id === entry.id)).toBe(false);
});

it("forgets a sandbox whose monitor was killed", async () => {
  const { child, entry } = await start("sh", "-c", "echo started; sleep 1000");
  child.kill("SIGKILL");
  await ended(child);
  expect((await listed()).some(({ id }) => id === entry.id)).toBe(false);
});

it.each([
  ["00000000x", "TERM", /there is no sandbox "00000000x"/],
  ["00000000", "BREAKFAST", /"BREAKFAST" is no signal/],
])("kill %s %s is refused in one sentence", async (id, signal, message) => {
  const r = await netcell(["kill", id, signal]);
  expect(r.status).toBe(125);
  expect(r.stderr).toMatch(message);
});
