// Replay of zeek's trace folder (testing/btest/Traces), from a checkout that NETCELL_ZEEK_TRACES names: not part of
// this repository. No capture makes it throw; streams are those that tshark puts together wherever the capture is
// whole; and the stack does as captured in all of them. Ten minutes.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type Conversation, Extractor, replayConversation, traceTcp } from "../../src/lab/index.ts";
import { CaptureReader, sourceOf } from "../../src/link/index.ts";
import { which } from "../support/needs.ts";

const FOLDER = process.env.NETCELL_ZEEK_TRACES;
/** Of zeek's folder in November 2026: 1060 streams compared, 2440 conversations passed and none failed. */
const COMPARED_MIN = 1_000;
const PASSED_MIN = 2_400;
/** Streams asked for in one run of tshark. */
const STREAMS_MAX = 200;

function captures(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return captures(path);
    return /\.(pcap|pcapng|trace|cap)(\.gz)?$/.test(entry.name) ? [path] : [];
  });
}

function conversationsOf(file: string): Conversation[] {
  const found: Conversation[] = [];
  const extractor = new Extractor((conversation) => found.push(conversation));
  const bytes = readFileSync(file);
  const reader = new CaptureReader(sourceOf(file.endsWith(".gz") ? gunzipSync(bytes) : bytes));
  for (let frame = reader.next(); frame !== null; frame = reader.next()) extractor.add(frame);
  extractor.finish();
  return found;
}

/** What it could read: its status is 2 where a capture is cut short. */
function tshark(file: string, argv: readonly string[]): string {
  const { stdout, error } = spawnSync(which("tshark") ?? "", ["-n", "-r", file, ...argv], {
    encoding: "utf8",
    maxBuffer: 1 << 30,
    stdio: ["ignore", "pipe", "ignore"],
  });
  if (error !== undefined) throw error;
  return stdout;
}

/** tshark's number of the stream that each frame belongs to. */
function streamNumbers(file: string): Map<number, number> {
  const numbers = new Map<number, number>();
  const fields = ["-Y", "tcp", "-T", "fields", "-e", "frame.number", "-e", "tcp.stream"];
  for (const line of tshark(file, fields).trimEnd().split("\n")) {
    const [frame, stream] = line.split("\t");
    if (/^\d+$/.test(stream ?? "")) numbers.set(Number(frame), Number(stream));
  }
  return numbers;
}

/** Both directions of each stream, in hex: of whom tshark calls node 0, and of the other. */
function followed(file: string, streams: readonly number[]): Map<number, [string, string]> {
  const argv = streams.flatMap((stream) => ["-z", `follow,tcp,raw,${stream}`]);
  const found = new Map<number, [string, string]>();
  let current: [string, string] | null = null;
  for (const line of tshark(file, ["-q", ...argv]).split("\n")) {
    const filter = /^Filter: tcp\.stream eq (\d+)/.exec(line);
    if (filter !== null) {
      current = ["", ""];
      found.set(Number(filter[1]), current);
    } else if (current !== null && /^\t[0-9a-f]+$/.test(line)) current[1] += line.slice(1);
    else if (current !== null && /^[0-9a-f]+$/.test(line)) current[0] += line;
  }
  return found;
}

/** Every byte of both streams was captured, once and for all, and by frames that nobody drops. */
function isWhole(conversation: Conversation): boolean {
  const trace = traceTcp(conversation);
  if (trace.problem !== "" || !trace.hasHandshake || trace.damaged > 0) return false;
  const segments = conversation.packets.filter(({ protocol }) => protocol === 6);
  if (trace.segments.length !== segments.length) return false;
  return trace.sides.every(({ stream }) => stream.missingBytes === 0 && stream.conflicts === 0);
}

const isThere = FOLDER !== undefined && which("tshark") !== null;
const note = isThere
  ? ""
  : " (skipped: NETCELL_ZEEK_TRACES names no folder, or there is no tshark)";
describe.skipIf(!isThere)(`zeek's traces${note}`, () => {
  const files = isThere ? captures(FOLDER as string) : [];

  it("makes the streams that tshark makes", { timeout: 3_600_000 }, () => {
    let compared = 0;
    const different: string[] = [];
    for (const file of files) {
      const whole = conversationsOf(file).filter((c) => c.kind === "tcp" && isWhole(c));
      if (whole.length === 0) continue;
      const numbers = streamNumbers(file);
      const asked = whole.slice(0, STREAMS_MAX).map((c) => numbers.get(c.packets[0].number) ?? -1);
      const theirs = followed(
        file,
        asked.filter((stream) => stream >= 0),
      );
      whole.slice(0, STREAMS_MAX).forEach((c, i) => {
        const pair = theirs.get(asked[i]);
        if (pair === undefined) return;
        const ours = traceTcp(c).sides.map(({ stream }) =>
          Buffer.from(stream.bytes).toString("hex"),
        );
        compared++;
        // Which of the two is node 0 is tshark's affair.
        const isSame =
          (ours[0] === pair[0] && ours[1] === pair[1]) ||
          (ours[0] === pair[1] && ours[1] === pair[0]);
        if (!isSame) different.push(`${file} stream ${asked[i]}`);
      });
    }
    console.log(`${compared} streams compared`);
    expect(different).toEqual([]);
    expect(compared).toBeGreaterThan(COMPARED_MIN);
  });

  it("plays them without an exception, and the stack does as captured", {
    timeout: 3_600_000,
  }, () => {
    const failed: string[] = [];
    let passed = 0;
    for (const file of files) {
      for (const [i, conversation] of conversationsOf(file).entries()) {
        const outcome = replayConversation(conversation, i + 1);
        if (outcome.state === "passed") passed++;
        else if (outcome.state === "failed") failed.push(`${file} ${i + 1}: ${outcome.verdict}`);
      }
    }
    console.log(`${passed} passed, ${failed.length} failed`);
    expect(failed).toEqual([]);
    expect(passed).toBeGreaterThan(PASSED_MIN);
  });
});
