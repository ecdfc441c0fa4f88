// Capture files as the command line names them: opened for reading, with one sentence when that fails, or made.

import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { CaptureReader, PcapWriter } from "../link/index.ts";
import { NetcellError } from "../sandbox/errors.ts";

export interface OpenCapture {
  reader: CaptureReader;
  close(): void;
}

/** "-" is standard input. */
export function openCapture(path: string): OpenCapture {
  const fd = path === "-" ? 0 : open(path);
  const reader = new CaptureReader({
    read: (into, offset, length) => readSync(fd, into, offset, length, null),
  });
  return {
    reader,
    close: () => {
      if (fd !== 0) closeSync(fd);
    },
  };
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
