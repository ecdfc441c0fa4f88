// `netcell replay`: plays one side of each conversation in a capture against our stack. One line for each, the sum
// last; exit status 1 when one failed or the file is broken. What is played and judged is in src/lab/replay.

import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import {
  align,
  type CaptureReplay,
  type Conversation,
  type DiffRow,
  diffText,
  type ExtractCounts,
  Extractor,
  type ReplayOptions,
  type ReplayOutcome,
  replayCapture,
  reportPage,
  segmentText,
} from "../lab/index.ts";
import type { CaptureReader } from "../link/index.ts";
import { NetcellError } from "../sandbox/errors.ts";
import { brokenText, createCapture, openCapture } from "./capture-file.ts";
import { sandboxFlagsOf } from "./flags.ts";
import { paceText, tell } from "./output.ts";
import { parseCount } from "./quantities.ts";
import { onlyOf, optionsOf, type ReplayFlags } from "./replay-flags.ts";
import { saveConversations } from "./replay-save.ts";

/** Of a conversation that failed: rows around each difference, and how many at most. */
const CONTEXT_ROWS = 2;
const FAILED_ROWS_MAX = 40;
const ALL_ROWS_MAX = 1_000_000;

export async function replay(
  path: string,
  argv: readonly string[],
  flags: ReplayFlags,
): Promise<number> {
  const options = optionsOf(flags);
  const only = onlyOf(flags);
  if (flags.save !== undefined && path === "-") {
    throw new NetcellError("ERR_USAGE", "--save reads the capture twice: give it as a file.");
  }
  const capture = await openCapture(path);
  const recording = flags.pcap === undefined ? null : createCapture(flags.pcap);
  if (recording !== null) options.pcap = recording.writer;
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const begin = process.hrtime.bigint();
  let simulatedNs = 0;
  const reported: ReplayOutcome[] = [];
  const onOutcome = (outcome: ReplayOutcome): void => {
    sum[outcome.state]++;
    simulatedNs += outcome.replayNs;
    if (flags.report !== undefined || flags.save !== undefined) reported.push(outcome);
    print(outcome, flags);
  };
  const result =
    argv.length === 0
      ? replayCapture(capture.reader, options, only, onOutcome)
      : await againstProgram(capture.reader, argv, flags, options, only, onOutcome);
  capture.close();
  recording?.close();
  if (flags.report !== undefined) {
    writeFile(flags.report, reportPage(`Replay of ${basename(path)}`, reported));
  }
  if (flags.save !== undefined) await saveConversations(flags.save, path, reported, options);
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  const { frames, others, broken } = result.counts;
  if (flags.json === true) {
    const simulatedSeconds = simulatedNs / 1e9;
    const sums = { ...sum, frames, others, broken, simulatedSeconds, seconds };
    process.stdout.write(`${JSON.stringify(sums)}\n`);
  } else {
    const { passed, failed, skipped } = sum;
    const time = paceText(simulatedNs / 1e9, seconds);
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped; ${time}\n`);
  }
  const brokenWhere = brokenText(path, capture, result.problem, frames);
  if (brokenWhere !== "") tell(brokenWhere);
  const { unknownLinks } = result.counts;
  if (unknownLinks > 0) tell(unknownLinksText(path, result.counts));
  const hasNothing = unknownLinks > 0 && unknownLinks === frames;
  return sum.failed > 0 || brokenWhere !== "" || hasNothing ? 1 : 0;
}

function unknownLinksText(path: string, counts: ExtractCounts): string {
  const { frames, unknownLinks, unknownLinkType, unknownLinkOffset } = counts;
  const where = `${path === "-" ? "standard input" : path}: at byte ${unknownLinkOffset}`;
  const passed = `${unknownLinks} of ${frames} frames were passed over`;
  return `${where}: link type ${unknownLinkType} is not known; ${passed}.`;
}

/** All connections of the capture, one after the other, with one run of the program. */
async function againstProgram(
  reader: CaptureReader,
  argv: readonly string[],
  flags: ReplayFlags,
  options: ReplayOptions,
  only: ReadonlySet<number> | null,
  onOutcome: (outcome: ReplayOutcome) => void,
): Promise<CaptureReplay> {
  const found: { conversation: Conversation; index: number }[] = [];
  let index = 0;
  const extractor = new Extractor((conversation) => {
    index++;
    if (conversation.kind === "echo" || only?.has(index) === false) return;
    found.push({ conversation, index });
  });
  let startMs = -1;
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    if (startMs < 0 && frame.timed) startMs = frame.seconds * 1000 + frame.nanoseconds / 1e6;
    extractor.add(frame);
  }
  extractor.finish();
  if (found.length === 0) {
    const message = "the capture has no TCP connection or UDP exchange to play to a program.";
    throw new NetcellError("ERR_USAGE", message);
  }
  // Beside connections, datagrams are mostly questions for names: only where they are asked for.
  const connections = found.filter(({ conversation }) => conversation.kind === "tcp");
  const conversations = only === null && connections.length > 0 ? connections : found;
  const { replayProgram } = await import("./replay-program.ts");
  const outcomes = await replayProgram({
    argv,
    conversations,
    side: options.side === "server" ? "server" : "client",
    pace: flags.pace === undefined ? "fast" : (options.pace ?? "fast"),
    isLoose: flags.loose === true,
    port: flags.port === undefined ? 0 : parseCount("--port", flags.port),
    startMs: Math.max(0, startMs),
    flags: {
      ...sandboxFlagsOf(flags),
      log: flags.log,
      strace: flags.strace,
      seed: flags.seed,
    },
    pcap: options.pcap,
  });
  outcomes.forEach(onOutcome);
  return { counts: extractor.counts, problem: reader.problem };
}

function writeFile(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new NetcellError("ERR_USAGE", `${path} cannot be written (${code}).`);
  }
}

const WORDS = { passed: "ok", failed: "not ok", skipped: "skip" } as const;
const SIDES = ["client", "server"] as const;

function print(outcome: ReplayOutcome, flags: ReplayFlags): void {
  const { state, index, name, side, verdict, captured, replayed } = outcome;
  const wantsRows = flags.diff === true || state === "failed";
  const rows = wantsRows && replayed.length > 0 ? align(captured, replayed, side) : [];
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(fieldsOf(outcome, rows))}\n`);
    return;
  }
  process.stdout.write(`${WORDS[state]} ${index} ${name}, ${SIDES[side]} played: ${verdict}\n`);
  if (rows.length === 0) return;
  const shown =
    flags.diff === true
      ? { context: null, rowsMax: ALL_ROWS_MAX }
      : { context: CONTEXT_ROWS, rowsMax: FAILED_ROWS_MAX };
  process.stdout.write(`${diffText(rows, side, shown)}\n`);
}

function fieldsOf(outcome: ReplayOutcome, rows: readonly DiffRow[]): object {
  const { index, name, side, state, verdict, problems, received, sent, counts } = outcome;
  const fields = {
    index,
    name,
    played: SIDES[side],
    state,
    verdict,
    problems,
    received,
    sent,
    counts,
    capturedSeconds: outcome.capturedNs / 1e9,
    replayedSeconds: outcome.replayNs / 1e9,
  };
  if (rows.length === 0) return fields;
  return {
    ...fields,
    diff: rows.map(({ mark, captured, replayed }) => ({
      mark,
      captured: captured === null ? null : segmentText(captured),
      replayed: replayed === null ? null : segmentText(replayed),
    })),
  };
}
