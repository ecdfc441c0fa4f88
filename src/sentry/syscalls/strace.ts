// --strace: one line per system call, in the manner of strace -f -o. A call that sleeps shows twice, as
// "<unfinished ...>" and "... resumed", so that the last line of a program that hangs says what it waits
// for. Not a way to change or delay calls, and not fast.

import { ERESTARTSYS, errnoName } from "../../abi/errno.ts";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import * as signal from "../../abi/signal.ts";
import { SYS_exit, SYS_exit_group, SYSCALL_NAMES } from "../../abi/syscall-numbers.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { SyscallTrace } from "../kernel/kernel.ts";
import { NO_RESULT, type Task } from "../kernel/task.ts";
import type { UserMemory } from "../mm/user-memory.ts";
import type { SyscallArgs } from "./args.ts";
import { SYSCALL_SIGNATURES } from "./strace-calls.ts";

/** Bytes of data shown of one argument, and of a path. */
const DATA_BYTES = 32;
const PATH_BYTES = 4096;
const ARGV_SHOWN = 32;
const UNKNOWN_ARGUMENTS = "xxxxxx";

const SIGNAL_NAMES: readonly string[] = (() => {
  const names: string[] = [];
  for (const [name, value] of Object.entries(signal)) {
    if (typeof value === "number" && /^SIG[A-Z0-9]+$/.test(name) && value > 0)
      names[value] ??= name;
  }
  return names;
})();

interface OpenCall {
  name: string;
  /** What is shown of the arguments so far; the rest is known with the result. */
  text: string;
  /** From the first argument on that waits for the result (bytes got, at this address; -1: none). */
  late: string[];
  gotAt: number;
  wasShown: boolean;
}

const hex = (value: number): string => (value === 0 ? "0" : `0x${value.toString(16)}`);
const pointer = (value: number): string => (value === 0 ? "NULL" : hex(value));

function showByte(code: number): string {
  switch (code) {
    case 0x0a:
      return "\\n";
    case 0x09:
      return "\\t";
    case 0x0d:
      return "\\r";
    case 0x22:
      return '\\"';
    case 0x5c:
      return "\\\\";
  }
  if (code >= 0x20 && code < 0x7f) return String.fromCharCode(code);
  return `\\${code.toString(8).padStart(3, "0")}`;
}

function quote(text: ByteString): string {
  let quoted = '"';
  for (let i = 0; i < text.length; i++) quoted += showByte(text.charCodeAt(i));
  return `${quoted}"`;
}

function showString(mm: UserMemory, addr: number): string {
  if (addr === 0) return "NULL";
  const text = mm.copyInString(addr, PATH_BYTES);
  return typeof text === "number" ? pointer(addr) : quote(text);
}

const data = new Uint8Array(DATA_BYTES);

function showData(mm: UserMemory, addr: number, length: number): string {
  if (addr === 0) return "NULL";
  const n = mm.copyIn(addr, data, 0, Math.min(length, DATA_BYTES));
  if (n < 0) return pointer(addr);
  let text = "";
  for (let i = 0; i < n; i++) text += String.fromCharCode(data[i]);
  return quote(text) + (length > n ? "..." : "");
}

/** argv as a list of strings, envp as their number. */
function showVector(mm: UserMemory, addr: number, onlyCount: boolean): string {
  if (addr === 0) return "NULL";
  const shown: string[] = [];
  let count = 0;
  for (; count < PATH_BYTES; count++) {
    const at = mm.readU64(addr + 8 * count);
    if (mm.faulted) return pointer(addr);
    if (at === 0) break;
    if (!onlyCount && count < ARGV_SHOWN) shown.push(showString(mm, at));
  }
  if (onlyCount) return `${pointer(addr)} /* ${count} vars */`;
  if (count > ARGV_SHOWN) shown.push("...");
  return `[${shown.join(", ")}]`;
}

function showWord(kind: string, args: SyscallArgs, i: number): string {
  switch (kind) {
    case "f":
      return args.int(i) === AT_FDCWD ? "AT_FDCWD" : String(args.int(i));
    case "d":
      return String(args.int(i));
    case "u":
      return String(args.uint(i));
    case "z":
      return String(args.size(i));
    case "l":
      return String(args.long(i));
    case "o":
      return args.uint(i) === 0 ? "0" : `0${args.uint(i).toString(8)}`;
    case "s":
      return SIGNAL_NAMES[args.int(i)] ?? String(args.int(i));
    case "&":
      return pointer(args.addr(i));
    default:
      return hex(args.addr(i));
  }
}

function showArgument(t: Task, kind: string, args: SyscallArgs, i: number): string {
  switch (kind) {
    case "p":
      return showString(t.mm, args.addr(i));
    case "v":
      return showVector(t.mm, args.addr(i), false);
    case "e":
      return showVector(t.mm, args.addr(i), true);
    case "w":
      return showData(t.mm, args.addr(i), args.size(i + 1));
    default:
      return showWord(kind, args, i);
  }
}

function showResult(result: number): string {
  if (result === NO_RESULT) return "?";
  if (result >= 0) return result < 0x1_0000_0000 ? String(result) : hex(result);
  return -result >= ERESTARTSYS ? "? ERESTARTSYS (To be restarted)" : `-1 ${errnoName(-result)}`;
}

export class Strace implements SyscallTrace {
  readonly #write: (line: string) => void;
  /** Who is killed in a call never ends it. */
  readonly #open = new WeakMap<Task, OpenCall>();

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  enter(t: Task, nr: number, args: SyscallArgs): void {
    const name = SYSCALL_NAMES[nr] ?? `syscall_${hex(nr >>> 0)}`;
    const kinds = SYSCALL_SIGNATURES.get(name) ?? UNKNOWN_ARGUMENTS;
    const got = kinds.indexOf("r");
    const count = got < 0 ? kinds.length : got;
    const shown: string[] = [];
    const late: string[] = [];
    for (let i = 0; i < kinds.length; i++) {
      (i < count ? shown : late).push(showArgument(t, kinds[i], args, i));
    }
    if (nr === SYS_exit || nr === SYS_exit_group) {
      this.#write(`${t.tid} ${name}(${shown.join(", ")}) = ?`);
      return;
    }
    // Held until the call is over, when it is known what was read.
    const text = shown.join(", ");
    const gotAt = got < 0 ? -1 : args.addr(got);
    this.#open.set(t, { name, text, late, gotAt, wasShown: false });
  }

  blocked(t: Task): void {
    const call = this.#open.get(t);
    if (call === undefined || call.wasShown) return;
    call.wasShown = true;
    this.#write(`${t.tid} ${call.name}(${call.text} <unfinished ...>`);
  }

  exit(t: Task, _nr: number, result: number): void {
    const call = this.#open.get(t);
    if (call === undefined) return;
    this.#open.delete(t);
    const { late } = call;
    if (call.gotAt >= 0 && result >= 0) late[0] = showData(t.mm, call.gotAt, result);
    const gap = call.text !== "" && late.length > 0 ? ", " : "";
    const start = call.wasShown ? `<... ${call.name} resumed>` : `${call.name}(${call.text}`;
    this.#write(`${t.tid} ${start}${gap}${late.join(", ")}) = ${showResult(result)}`);
  }
}
