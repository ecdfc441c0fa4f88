// A small assembler for seccomp programs in classic BPF (seccomp(2), linux/filter.h): allow-lists with
// argument checks. Rules are tried in order; what no rule answers gets the default action. Rules that look
// at the number only are cached by the kernel (since 5.11), so their order costs nothing.

import { SYS_seccomp } from "../abi/syscall-numbers.ts";
import { addressOf, pinnedBytes, sys } from "./raw-syscall.ts";

export const SECCOMP_RET_KILL_PROCESS = 0x8000_0000;
export const SECCOMP_RET_TRAP = 0x0003_0000;
export const SECCOMP_RET_ERRNO = 0x0005_0000;
export const SECCOMP_RET_ALLOW = 0x7fff_0000;

export interface ArgumentCheck {
  /** 0..5 */
  index: number;
  /** The value, after `mask` when given, must be one of these. */
  values: readonly number[];
  mask?: number;
  /** An int: the kernel looks at the low 32 bits only, and so do we. Otherwise the high ones must be 0. */
  isInt?: boolean;
}
export interface SyscallRule {
  nr: number;
  /** All must hold, or the next rules are tried. */
  args?: readonly ArgumentCheck[];
  /** Default: allow. */
  action?: number;
}
export interface SeccompPolicy {
  /** Calls of another architecture's ABI (int 0x80). */
  foreignArch: number;
  /** Only calls made from [start, start+length) are looked at by rules; others get `otherwise`. */
  origin?: { start: number; length: number; otherwise: number };
  rules: readonly SyscallRule[];
  defaultAction: number;
}

const LD_W_ABS = 0x20;
const AND_K = 0x54;
const JEQ_K = 0x15;
const JGE_K = 0x35;
const RET_K = 0x06;
const AUDIT_ARCH_X86_64 = 0xc000_003e;
const DATA_NR = 0;
const DATA_ARCH = 4;
const DATA_IP = 8;
const DATA_ARGS = 16;

type Instruction = [code: number, jumpTrue: number, jumpFalse: number, k: number];

/** Instructions of one check; falls out of the end when it holds, else jumps `toEnd(remaining)` further. */
function checkCode(check: ArgumentCheck): Instruction[] {
  const low = DATA_ARGS + 8 * check.index;
  const code: Instruction[] = [];
  const FAIL = -1;
  if (check.isInt !== true) {
    code.push([LD_W_ABS, 0, 0, low + 4]);
    code.push([JEQ_K, 0, FAIL, 0]);
  }
  code.push([LD_W_ABS, 0, 0, low]);
  if (check.mask !== undefined) code.push([AND_K, 0, 0, check.mask]);
  check.values.forEach((value, i) => {
    const left = check.values.length - 1 - i;
    code.push([JEQ_K, left, left === 0 ? FAIL : 0, value]);
  });
  return code;
}

function ruleCode(rule: SyscallRule): Instruction[] {
  const code: Instruction[] = [[JEQ_K, 0, -1, rule.nr]];
  for (const check of rule.args ?? []) code.push(...checkCode(check));
  code.push([RET_K, 0, 0, rule.action ?? SECCOMP_RET_ALLOW]);
  // A failed check goes on behind the rule, where the number is loaded again if it was overwritten.
  if (code.length > 200) throw new Error("a seccomp rule is too long");
  return code.map(([op, t, f, k], i) => [op, t, f === -1 ? code.length - 1 - i : f, k]);
}

/** The program as an array of struct sock_filter. */
export function assembleSeccomp(policy: SeccompPolicy): Uint8Array {
  const program: Instruction[] = [
    [LD_W_ABS, 0, 0, DATA_ARCH],
    [JEQ_K, 1, 0, AUDIT_ARCH_X86_64],
    [RET_K, 0, 0, policy.foreignArch],
  ];
  if (policy.origin !== undefined) {
    const { start, length, otherwise } = policy.origin;
    const low = start % 2 ** 32;
    program.push([LD_W_ABS, 0, 0, DATA_IP + 4]);
    program.push([JEQ_K, 0, 3, Math.floor(start / 2 ** 32)]);
    program.push([LD_W_ABS, 0, 0, DATA_IP]);
    program.push([JGE_K, 0, 1, low]);
    program.push([JGE_K, 0, 1, low + length]);
    program.push([RET_K, 0, 0, otherwise]);
  }
  let numberIsLoaded = false;
  for (const rule of policy.rules) {
    if (!numberIsLoaded) program.push([LD_W_ABS, 0, 0, DATA_NR]);
    program.push(...ruleCode(rule));
    numberIsLoaded = (rule.args ?? []).length === 0;
  }
  program.push([RET_K, 0, 0, policy.defaultAction]);
  const bytes = new Uint8Array(8 * program.length);
  const view = new DataView(bytes.buffer);
  program.forEach(([code, jumpTrue, jumpFalse, k], i) => {
    view.setUint16(8 * i, code, true);
    view.setUint8(8 * i + 2, jumpTrue);
    view.setUint8(8 * i + 3, jumpFalse);
    view.setUint32(8 * i + 4, k, true);
  });
  return bytes;
}

const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_FILTER_FLAG_TSYNC = 1;

/** Loads a program into the calling thread (all threads with TSYNC). 0 or -errno. Cannot be undone. */
export function loadSeccomp(program: Uint8Array, flags: number): number {
  const fprog = pinnedBytes(16);
  const filter = pinnedBytes(program.length);
  filter.set(program);
  const view = new DataView(fprog.buffer);
  view.setUint16(0, program.length / 8, true);
  view.setBigUint64(8, BigInt(addressOf(filter)), true);
  return sys(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, addressOf(fprog), 0, 0, 0);
}
