// Reading pieces of a program file into the kernel.

import { EIO } from "../../abi/errno.ts";
import type { Task } from "../kernel/task.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import { BytesIo } from "../vfs/io.ts";

/** Reads up to `length` bytes at offset; fewer at the end of the file. The bytes, or -errno. */
export function readFile(
  t: Task,
  file: FileDescription,
  offset: number,
  length: number,
): Uint8Array | number {
  const bytes = new Uint8Array(length);
  const io = new BytesIo(bytes);
  let done = 0;
  while (done < length) {
    const n = file.pread(t, io, offset + done);
    if (n < 0) return n;
    if (n === 0) break;
    done += n;
  }
  return done === length ? bytes : bytes.subarray(0, done);
}

/** As readFile, but less than `length` is an error. */
export function readExactly(
  t: Task,
  file: FileDescription,
  offset: number,
  length: number,
): Uint8Array | number {
  const bytes = readFile(t, file, offset, length);
  if (typeof bytes === "number") return bytes;
  return bytes.length === length ? bytes : -EIO;
}
