// What `netcell fuzz` leaves of a failure: the case as JSON, its frames as a capture, a packetdrill script where one
// can say it, and the command that repeats it.

import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { FrameDecoder } from "../lab/decode/frame-decoder.ts";
import { type Case, caseToJson, type Failure, type Target } from "../lab/fuzz/index.ts";
import {
  CapturedFrame,
  DIRECTION_IN,
  DIRECTION_OUT,
  LINKTYPE_ETHERNET,
  PcapWriter,
} from "../link/index.ts";

export interface Seen {
  nowNs: number;
  bytes: Uint8Array;
  isOut: boolean;
}

/** Runs a case once more and keeps every frame. */
export function watched(
  target: Target<unknown>,
  found: Case<unknown>,
): { failure: Failure | null; frames: Seen[] } {
  const frames: Seen[] = [];
  const { failure } = target.run(found.seed, found.steps, (nowNs, bytes, length, isOut) => {
    frames.push({ nowNs, bytes: bytes.slice(0, length), isOut });
  });
  return { failure, frames };
}

export interface Report {
  law: string;
  message: string;
  seed: number;
  steps: number;
  files: string[];
  repeat: string;
}

const slug = (law: string): string => law.toLowerCase().replace(/[^a-z0-9]+/g, "-");

export function writeFailure(
  folder: string,
  target: Target<unknown>,
  found: Case<unknown>,
  failure: Failure,
): Report {
  mkdirSync(folder, { recursive: true });
  const base = join(folder, `${target.name}-${slug(failure.law)}-${found.seed}`);
  const files = [`${base}.json`];
  writeFileSync(files[0], caseToJson(target.name, found, failure));
  // A case that never ends cannot be watched.
  const { frames } = failure.law === "stuck" ? { frames: [] } : watched(target, found);
  if (frames.length > 0) {
    files.push(`${base}.pcap`);
    writeCapture(`${base}.pcap`, frames);
    const script = target.script?.(found.seed, found.steps, failure.law) ?? null;
    if (script !== null) {
      files.push(`${base}.pkt`);
      writeFileSync(`${base}.pkt`, script);
    }
  }
  return {
    law: failure.law,
    message: failure.message,
    seed: found.seed,
    steps: found.steps.length,
    files,
    repeat: `netcell fuzz --repeat ${files[0]}`,
  };
}

export function writeCapture(path: string, frames: readonly Seen[]): void {
  const fd = openSync(path, "w");
  const sink = {
    write: (bytes: Uint8Array, offset: number, length: number): void => {
      writeSync(fd, bytes, offset, length);
    },
  };
  const writer = new PcapWriter(sink, "us");
  for (const { nowNs, bytes, isOut } of frames) {
    writer.write(nowNs, bytes, 0, bytes.length, isOut ? DIRECTION_OUT : DIRECTION_IN);
  }
  writer.flush();
  closeSync(fd);
}

/** The exchange as tcpdump would print it; what leaves the stack is marked with >. */
export function exchange(frames: readonly Seen[]): string {
  const decoder = new FrameDecoder();
  return frames
    .map(({ nowNs, bytes, isOut }) => {
      const frame = new CapturedFrame();
      frame.bytes = bytes;
      frame.length = frame.originalLength = bytes.length;
      frame.linkType = LINKTYPE_ETHERNET;
      return `${isOut ? ">" : "<"} ${(nowNs / 1e9).toFixed(6)} ${decoder.text(frame)}\n`;
    })
    .join("");
}
