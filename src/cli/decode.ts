// `netcell replay --decode`: prints what is in a capture. Reads the file piece by piece; what is in it is decoded
// by src/lab/decode. Exit status 1 when the file is broken somewhere: what could be read is printed first.

import { FrameDecoder } from "../lab/index.ts";
import type { CapturedFrame } from "../link/index.ts";
import { NetcellError } from "../sandbox/errors.ts";
import { brokenText, openCapture } from "./capture-file.ts";
import { tell } from "./output.ts";

export interface DecodeFlags {
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

export async function decode(path: string, flags: DecodeFlags): Promise<number> {
  if (!["local", "epoch", "none"].includes(flags.time)) {
    throw new NetcellError("ERR_USAGE", `--time takes local, epoch or none, not ${flags.time}.`);
  }
  const capture = await openCapture(path);
  const { reader } = capture;
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
  capture.close();
  const broken = brokenText(path, capture, reader.problem, number);
  if (broken === "") return 0;
  tell(broken);
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
