// `netcell replay --save NAME`: what is kept of a conversation: its frames as a capture, a packet script for
// `netcell drill`, and a test for Vitest that runs both. Written whole, or not at all where it cannot hold.

import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { cutCapture, packetScript, type ReplayOptions, type ReplayOutcome } from "../lab/index.ts";
import { NetcellError } from "../sandbox/errors.ts";
import { openCapture } from "./capture-file.ts";
import { tell } from "./output.ts";

export async function saveConversations(
  name: string,
  capturePath: string,
  outcomes: readonly ReplayOutcome[],
  options: ReplayOptions,
): Promise<void> {
  const played = outcomes.filter(({ state }) => state !== "skipped");
  if (played.length === 0) throw new NetcellError("ERR_USAGE", "there is nothing to save.");
  for (const outcome of played) {
    const own = played.length === 1 ? name : `${name}-${outcome.index}`;
    await save(own, capturePath, outcome, options);
  }
}

async function save(
  name: string,
  capturePath: string,
  outcome: ReplayOutcome,
  options: ReplayOptions,
): Promise<void> {
  const side = outcome.side === 0 ? "client" : "server";
  const capture = await openCapture(capturePath);
  write(`${name}.pcapng`, cutCapture(capture.reader, outcome.conversation));
  capture.close();
  const isTcp = outcome.conversation.kind === "tcp";
  const script = isTcp ? packetScript(outcome.conversation, { ...options, side }) : null;
  const hasScript = script !== null && script.problem === "";
  if (hasScript) write(`${name}.pkt`, script.text);
  else if (script !== null) tell(`${name}.pkt is not written: ${script.problem}.`);
  const pace = options.pace ?? "captured";
  const settings = { side, pace, seed: options.seed ?? 1 };
  write(`${name}.test.ts`, testText(basename(name), outcome.name, settings, hasScript));
}

function testText(name: string, title: string, settings: object, hasScript: boolean): string {
  const fields = Object.entries(settings).map(([k, v]) => `${k}: ${JSON.stringify(v)}`);
  const imports = hasScript
    ? "type ReplayOutcome, replayCapture, runScript"
    : "type ReplayOutcome, replayCapture";
  const script = `
it("answers packet by packet as the script says", () => {
  const outcome = runScript(readFileSync(new URL("./${name}.pkt", import.meta.url), "latin1"));
  expect(outcome).toMatchObject({ state: "passed" });
});
`;
  return `// Made by netcell replay --save from a capture.

import { readFileSync } from "node:fs";
import { ${imports} } from "netcell/lab";
import { CaptureReader, sourceOf } from "netcell/link";
import { expect, it } from "vitest";

it(${JSON.stringify(`${title}: goes as captured`)}, () => {
  const capture = readFileSync(new URL("./${name}.pcapng", import.meta.url));
  const outcomes: ReplayOutcome[] = [];
  const reader = new CaptureReader(sourceOf(capture));
  replayCapture(reader, { ${fields.join(", ")} }, null, (o) => outcomes.push(o));
  expect(outcomes.map(({ state, problems }) => ({ state, problems }))).toEqual([
    { state: "passed", problems: [] },
  ]);
});
${hasScript ? script : ""}`;
}

function write(path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(path, content);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new NetcellError("ERR_USAGE", `${path} cannot be written (${code}).`);
  }
}
