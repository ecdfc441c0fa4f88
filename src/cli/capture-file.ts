// Capture files as the command line names them: opened for reading, with one sentence when that fails, or made.
// What gzip has packed is unpacked first, into a file without a name: captures may be larger than memory.

import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { type CaptureProblem, CaptureReader, PcapWriter } from "../link/index.ts";
import { NetcellError } from "../sandbox/errors.ts";

export interface OpenCapture {
  reader: CaptureReader;
  /** Packed by gzip: offsets are those of the unpacked file. */
  isPacked: boolean;
  /** What is wrong with the packing; "" when nothing. */
  packingProblem: string;
  close(): void;
}

/** RFC 1952 2.3.1. */
const GZIP_MAGIC = [0x1f, 0x8b];
/** Where packed data are broken, all of the pieces before is still unpacked. */
const PIECE_BYTES = 4096;
const RETRY_MS = 10;

/** "-" is standard input. */
export async function openCapture(path: string): Promise<OpenCapture> {
  const fd = path === "-" ? 0 : open(path);
  const head = new Uint8Array(GZIP_MAGIC.length);
  let headBytes = 0;
  for (let n = -1; n !== 0 && headBytes < head.length; headBytes += n) {
    n = readPiece(fd, path, head, headBytes, head.length - headBytes);
  }
  const isPacked = headBytes === head.length && GZIP_MAGIC.every((byte, i) => head[i] === byte);
  if (isPacked) return unpacked(fd, path, head);
  let headRead = 0;
  const reader = new CaptureReader({
    read: (into, offset, length) => {
      if (headRead === headBytes) return readPiece(fd, path, into, offset, length);
      const n = Math.min(length, headBytes - headRead);
      into.set(head.subarray(headRead, headRead + n), offset);
      headRead += n;
      return n;
    },
  });
  return { reader, isPacked, packingProblem: "", close: () => closeFile(fd) };
}

function closeFile(fd: number): void {
  if (fd !== 0) closeSync(fd);
}

function open(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : `it cannot be opened (${code})`;
    throw new NetcellError("ERR_USAGE", `${path}: ${why}.`);
  }
}

function readPiece(fd: number, path: string, into: Uint8Array, offset: number, length: number) {
  for (;;) {
    try {
      return readSync(fd, into, offset, length, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why = code === "EISDIR" ? "it is a directory" : `it cannot be read (${code})`;
      if (code !== "EAGAIN") throw new NetcellError("ERR_USAGE", `${path}: ${why}.`);
      // Standard input that somebody made non-blocking.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

/** A file that nobody else sees, and that is gone when it is closed. */
function scratchFile(): number {
  const path = join(tmpdir(), `netcell-${randomUUID()}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return fd;
}

async function unpacked(fd: number, path: string, head: Uint8Array): Promise<OpenCapture> {
  let { scratch, packingProblem, goodBytes } = await unpack(fd, path, head, Infinity);
  if (packingProblem !== "" && fd !== 0) {
    // What the piece in which it broke had until then was lost with it: once more, with that one byte by byte.
    closeSync(scratch);
    const again = open(path);
    readPiece(again, path, head, 0, head.length);
    ({ scratch, packingProblem } = await unpack(again, path, head, goodBytes));
    closeFile(again);
  }
  closeFile(fd);
  let at = 0;
  const reader = new CaptureReader({
    read: (into, offset, length) => {
      const n = readSync(scratch, into, offset, length, at);
      at += n;
      return n;
    },
  });
  return { reader, isPacked: true, packingProblem, close: () => closeSync(scratch) };
}

/** What follows `head`, unpacked into a scratch file; from `carefulFrom` on each byte by itself. */
async function unpack(fd: number, path: string, head: Uint8Array, carefulFrom: number) {
  const scratch = scratchFile();
  const gunzip = createGunzip();
  let packingProblem = "";
  let failure: NetcellError | null = null;
  const ended = new Promise<void>((resolve) => {
    gunzip.on("data", (data: Buffer) => {
      try {
        for (let at = 0; at < data.length; ) at += writeSync(scratch, data, at);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const message = `${path} cannot be unpacked into ${tmpdir()} (${code}).`;
        failure = new NetcellError("ERR_USAGE", message);
        resolve();
      }
    });
    gunzip.once("end", resolve);
    gunzip.once("error", ({ message }) => {
      packingProblem = `gzip: ${message}`;
      resolve();
    });
  });
  const put = (bytes: Uint8Array): Promise<unknown> =>
    Promise.race([ended, new Promise((done) => gunzip.write(bytes, done))]);
  await put(head);
  let goodBytes = head.length;
  while (packingProblem === "" && failure === null) {
    const piece = new Uint8Array(goodBytes >= carefulFrom ? 1 : PIECE_BYTES);
    const n = readPiece(fd, path, piece, 0, piece.length);
    if (n === 0) break;
    await put(piece.subarray(0, n));
    if (packingProblem === "") goodBytes += n;
  }
  gunzip.end();
  await ended;
  if (failure !== null) throw failure;
  return { scratch, packingProblem, goodBytes };
}

/** Where the file breaks, in one sentence; "" when it is whole. */
export function brokenText(
  path: string,
  capture: OpenCapture,
  problem: CaptureProblem | null,
  frames: number,
): string {
  const { isPacked, packingProblem } = capture;
  if (problem === null && packingProblem === "") return "";
  const parts = [];
  if (problem !== null) {
    parts.push(`at byte ${problem.offset}${isPacked ? " (unpacked)" : ""}: ${problem.message}`);
  }
  if (packingProblem !== "") parts.push(packingProblem);
  return `${path}: ${parts.join("; ")}; ${frames} frames were read.`;
}

export interface NewCapture {
  writer: PcapWriter;
  close(): void;
}

/** pcapng by suffix, else classic with nanoseconds. */
export function createCapture(path: string): NewCapture {
  let fd: number;
  try {
    fd = openSync(path, "w");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new NetcellError("ERR_USAGE", `${path} cannot be written (${code}).`);
  }
  const sink = {
    write: (bytes: Uint8Array, offset: number, length: number): void => {
      writeSync(fd, bytes, offset, length);
    },
  };
  const writer = new PcapWriter(sink, path.endsWith(".pcapng") ? "pcapng" : "ns");
  return {
    writer,
    close: () => {
      writer.flush();
      closeSync(fd);
    },
  };
}
