// `netcell replay --decode`: prints what is in a capture. Reads the file piece by piece; what is in it is decoded
// by src/lab/decode. Exit status 1 when the file is broken somewhere: what could be read is printed first.

import { closeSync, openSync, readSync } from "node:fs";
import { FrameDecoder } from "../lab/index.ts";
import { type ByteSource, type CapturedFrame, CaptureReader } from "../link/index.ts";
import { NetcellError } from "../sandbox/errors.ts";
import { tell } from "./output.ts";

export interface ReplayFlags {
  decode?: boolean;
  verbose: number;
  link?: boolean;
  absolute?: boolean;
  time: string;
  json?: boolean;
}

const VERBOSITY_MAX = 3;
/** Written at once: a system call for every line would take longer than the decoding. */
const OUTPUT_BYTES = 64 * 1024;

function open(path: string): number {
  if (path === "-") return 0;
  try {
    return openSync(path, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : `it cannot be opened (${code})`;
    throw new NetcellError("ERR_USAGE", `${path}: ${why}.`);
  }
}

const two = (value: number): string => String(value).padStart(2, "0");

/** As tcpdump: microseconds, nanoseconds only where there are any. */
function timeText(frame: CapturedFrame, form: string): string {
  if (form === "none" || !frame.timed) return "";
  const digits = String(frame.nanoseconds).padStart(9, "0");
  const fraction = digits.endsWith("000") ? digits.slice(0, 6) : digits;
  if (form === "epoch") return `${frame.seconds}.${fraction} `;
  const date = new Date(frame.seconds * 1000);
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${clock}.${fraction} `;
}

export function replay(path: string, flags: ReplayFlags): number {
  if (flags.decode !== true) {
    throw new NetcellError(
      "ERR_USAGE",
      "playing a capture against the stack is not there yet; --decode prints its frames.",
    );
  }
  if (!["local", "epoch", "none"].includes(flags.time)) {
    throw new NetcellError("ERR_USAGE", `--time takes local, epoch or none, not ${flags.time}.`);
  }
  const fd = open(path);
  const source: ByteSource = {
    read: (into, offset, length) => readSync(fd, into, offset, length, null),
  };
  const reader = new CaptureReader(source);
  const decoder = new FrameDecoder({
    verbosity: Math.min(flags.verbose, VERBOSITY_MAX),
    link: flags.link,
    absolute: flags.absolute,
  });
  let output = "";
  let number = 0;
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    number++;
    output +=
      flags.json === true
        ? `${JSON.stringify(fieldsOf(number, frame, decoder))}\n`
        : `${timeText(frame, flags.time)}${decoder.text(frame)}\n`;
    if (output.length >= OUTPUT_BYTES) {
      process.stdout.write(output);
      output = "";
    }
  }
  process.stdout.write(output);
  if (fd !== 0) closeSync(fd);
  const { problem } = reader;
  if (problem === null) return 0;
  tell(`${path}: at byte ${problem.offset}: ${problem.message}; ${number} frames were read.`);
  return 1;
}

function fieldsOf(number: number, frame: CapturedFrame, decoder: FrameDecoder): object {
  return {
    number,
    seconds: frame.timed ? frame.seconds : null,
    nanoseconds: frame.timed ? frame.nanoseconds : null,
    capturedLength: frame.length,
    length: frame.originalLength,
    linkType: frame.linkType,
    interfaceId: frame.interfaceId,
    direction: ["unknown", "in", "out", "unknown"][frame.direction],
    comments: frame.comments,
    layers: decoder.layers(frame),
  };
}
