// `#!` files: which interpreter with which argument (execve(2), "Interpreter scripts"; Linux
// fs/binfmt_script.c, whose rules for long and odd first lines these are).

import { type ByteString, byteString } from "../../base/bytes.ts";

/** BINPRM_BUF_SIZE: all that is looked at of a file's start. */
export const HEAD_BYTES = 256;

export interface Script {
  interpreter: ByteString;
  /** The rest of the line as one argument; null: none. */
  argument: ByteString | null;
}

const SPACE = 0x20;
const TAB = 0x09;
const NEWLINE = 0x0a;
const HASH = 0x23;
const BANG = 0x21;

const isBlank = (byte: number): boolean => byte === SPACE || byte === TAB;

export const isScript = (head: Uint8Array): boolean => head[0] === HASH && head[1] === BANG;

/** head: the file's first HEAD_BYTES or fewer. Null: ENOEXEC. */
export function parseScript(head: Uint8Array): Script | null {
  if (!isScript(head)) return null;
  // A shorter file counts as filled up with NULs, and the last byte is always taken for one.
  const buffer = new Uint8Array(HEAD_BYTES);
  buffer.set(head.subarray(0, HEAD_BYTES - 1));
  let end = buffer.indexOf(NEWLINE);
  if (end < 0) {
    end = HEAD_BYTES - 1;
    const name = skipBlanks(buffer, 2, end);
    // No end of line: a name that may have been cut off must not be run.
    if (name === end || terminator(buffer, name, end) === end) return null;
  }
  while (end > 2 && isBlank(buffer[end - 1])) end--;
  const nameStart = skipBlanks(buffer, 2, end);
  if (nameStart === end) return null;
  const nameEnd = terminator(buffer, nameStart, end);
  if (nameEnd === nameStart) return null;
  const interpreter = byteString(buffer, nameStart, nameEnd - nameStart);
  if (nameEnd === end || buffer[nameEnd] === 0) return { interpreter, argument: null };
  const argumentStart = skipBlanks(buffer, nameEnd, end);
  if (argumentStart === end) return { interpreter, argument: null };
  let argumentEnd = argumentStart;
  while (argumentEnd < end && buffer[argumentEnd] !== 0) argumentEnd++;
  return { interpreter, argument: byteString(buffer, argumentStart, argumentEnd - argumentStart) };
}

function skipBlanks(buffer: Uint8Array, from: number, end: number): number {
  let i = from;
  while (i < end && isBlank(buffer[i])) i++;
  return i;
}

/** First blank or NUL, else end. */
function terminator(buffer: Uint8Array, from: number, end: number): number {
  let i = from;
  while (i < end && !isBlank(buffer[i]) && buffer[i] !== 0) i++;
  return i;
}
