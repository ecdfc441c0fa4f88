// The first stack of a program: strings, random bytes, auxiliary vector, pointers (System V ABI x86-64,
// 3.4.1; order of strings as Linux has it, which ps-like tools and setproctitle rely on).

import * as auxv from "../../abi/auxv.ts";
import { E2BIG, ENOMEM } from "../../abi/errno.ts";
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../../abi/mman.ts";
import { RLIMIT_STACK } from "../../abi/resource.ts";
import { type ByteString, putByteString, setU64Le } from "../../base/bytes.ts";
import { mapMemory, PLACE_FIXED } from "../mm/map.ts";
import type { MemoryManager } from "../mm/memory-manager.ts";
import { pageDown, pageUp } from "../mm/page.ts";
import { VMA_GROWSDOWN } from "../mm/vma.ts";

/** MAX_ARG_STRLEN, with the NUL. */
const STRING_BYTES_MAX = 131_072;
const ARG_BYTES_MIN = 131_072;
const ARG_BYTES_MAX = 6 * 1024 * 1024;
/** Mapped below the first contents, as Linux does (stack_expand in setup_arg_pages). */
const HEADROOM_BYTES = 128 * 1024;
const RANDOM_BYTES = 16;
const PLATFORM = "x86_64";

export interface StackStrings {
  execPath: ByteString;
  argv: readonly ByteString[];
  envp: readonly ByteString[];
}

/** 0, or -E2BIG by execve(2)'s "Limits on size of arguments and environment". */
export function checkStrings(strings: StackStrings, stackLimitBytes: number): number {
  const { execPath, argv, envp } = strings;
  const limit = Math.max(Math.min(stackLimitBytes / 4, ARG_BYTES_MAX), ARG_BYTES_MIN);
  let total = (Math.max(argv.length, 1) + envp.length) * 8 + execPath.length + 1;
  for (const list of [argv, envp]) {
    for (const text of list) {
      if (text.length + 1 > STRING_BYTES_MAX) return -E2BIG;
      total += text.length + 1;
    }
  }
  return total > limit ? -E2BIG : 0;
}

/**
 * Maps the stack and writes it. entries: [type, value] without those that point into the stack, which
 * are added here. The stack pointer, or -errno.
 */
export function buildStack(
  mm: MemoryManager,
  strings: StackStrings,
  entries: readonly (readonly [number, number])[],
  random: Uint8Array,
  execStack: boolean,
  jitterBytes: number,
): number {
  const { argv, envp, execPath } = strings;
  const top = mm.layout.stackTop;
  let stringBytes = 0;
  for (const text of argv) stringBytes += text.length + 1;
  for (const text of envp) stringBytes += text.length + 1;
  // From the top: 8 zero bytes, path, environment, arguments; then platform and random bytes.
  const stringsStart = top - 8 - (execPath.length + 1) - stringBytes;
  const platformAt = alignDown16(stringsStart - jitterBytes - (PLATFORM.length + 1));
  const randomAt = platformAt - RANDOM_BYTES;
  const words = 1 + argv.length + 1 + envp.length + 1 + 2 * (entries.length + 4);
  const sp = alignDown16(randomAt - words * 8);
  const error = mapStack(mm, sp, top, execStack);
  if (error < 0) return error;

  const image = new Uint8Array(top - sp);
  let string = stringsStart;
  let word = sp;
  const putWord = (value: number): void => {
    setU64Le(image, word - sp, value);
    word += 8;
  };
  const putString = (text: ByteString): number => {
    const at = string;
    putByteString(image, at - sp, text);
    string += text.length + 1;
    return at;
  };
  const info = mm.info;
  putWord(argv.length);
  info.argStart = string;
  for (const text of argv) putWord(putString(text));
  putWord(0);
  info.argEnd = string;
  info.envStart = string;
  for (const text of envp) putWord(putString(text));
  putWord(0);
  info.envEnd = string;
  const auxvStart = word;
  for (const [type, value] of entries) {
    putWord(type);
    putWord(value);
  }
  for (const value of [auxv.AT_RANDOM, randomAt, auxv.AT_EXECFN, putString(execPath)]) {
    putWord(value);
  }
  for (const value of [auxv.AT_PLATFORM, platformAt, auxv.AT_NULL, 0]) putWord(value);
  info.auxv = image.slice(auxvStart - sp, word - sp);
  info.stackStart = sp;
  putByteString(image, platformAt - sp, PLATFORM);
  image.set(random, randomAt - sp);
  return mm.copyOut(sp, image, 0, image.length) === image.length ? sp : -ENOMEM;
}

function mapStack(mm: MemoryManager, sp: number, top: number, execStack: boolean): number {
  const used = top - pageDown(sp);
  const limit = Math.max(used, mm.rlimits.rlimit(RLIMIT_STACK).soft);
  const length = pageUp(Math.min(used + HEADROOM_BYTES, limit));
  return mapMemory(mm, {
    addr: top - length,
    length,
    place: PLACE_FIXED,
    prot: PROT_READ | PROT_WRITE | (execStack ? PROT_EXEC : 0),
    maxProt: PROT_READ | PROT_WRITE | PROT_EXEC,
    flags: VMA_GROWSDOWN,
    mappable: null,
    offset: 0,
    populate: false,
    mayLock: false,
    label: "[stack]",
  });
}

const alignDown16 = (n: number): number => n - (n & 15);
