// `netcell replay --decode`: prints what is in a capture. Reads the file piece by piece; what is in it is decoded
// by src/lab/decode. Exit status 1 when the file is broken somewhere: what could be read is printed first.

import { FrameDecoder, type PrintedText } from "../lab/index.ts";
import type { CapturedFrame, CaptureReader } from "../link/index.ts";
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

/** The column of times, as tcpdump has it: microseconds, nanoseconds only where there are any. */
class TimeColumn {
  readonly #form: string;
  /** The last second and its text: many frames share one, and a date costs more than the rest of a line. */
  #second = -1;
  #text = "";

  constructor(form: string) {
    this.#form = form;
  }

  put(line: PrintedText, { timed, seconds, nanoseconds }: CapturedFrame): void {
    if (this.#form === "none" || !timed) return;
    if (seconds !== this.#second) {
      this.#second = seconds;
      this.#text = this.#form === "epoch" ? `${seconds}.` : clockText(seconds);
    }
    line.put(this.#text);
    if (nanoseconds % 1000 === 0) line.putPadded(nanoseconds / 1000, 6);
    else line.putPadded(nanoseconds, 9);
    line.put(" ");
  }
}

function clockText(seconds: number): string {
  const date = new Date(seconds * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.`;
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
  const number =
    flags.json === true
      ? printFields(reader, decoder)
      : printLines(reader, decoder, new TimeColumn(flags.time));
  capture.close();
  const broken = brokenText(path, capture, reader.problem, number);
  if (broken === "") return 0;
  tell(broken);
  return 1;
}

function printLines(reader: CaptureReader, decoder: FrameDecoder, time: TimeColumn): number {
  let number = 0;
  decoder.clear();
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    number++;
    time.put(decoder.line, frame);
    decoder.print(frame);
    decoder.endLine();
    if (decoder.printedLength >= OUTPUT_BYTES) write(decoder);
  }
  write(decoder);
  return number;
}

/** A copy: the stream may hold on to it. */
function write(decoder: FrameDecoder): void {
  process.stdout.write(decoder.printed.slice(0, decoder.printedLength));
  decoder.clear();
}

function printFields(reader: CaptureReader, decoder: FrameDecoder): number {
  let output = "";
  let number = 0;
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    number++;
    output += `${JSON.stringify(fieldsOf(number, frame, decoder))}\n`;
    if (output.length < OUTPUT_BYTES) continue;
    process.stdout.write(output);
    output = "";
  }
  process.stdout.write(output);
  return number;
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
