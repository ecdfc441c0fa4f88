// prctl(2) and arch_prctl(2): switches of one task or process.

import {
  CAP_LAST_CAP,
  CAP_SETPCAP,
  CAP_SYS_RESOURCE,
  SECBIT_KEEP_CAPS,
  SECBIT_NO_CAP_AMBIENT_RAISE,
  SECURE_ALL_BITS,
  SECURE_ALL_LOCKS,
} from "../../abi/capability.ts";
import { EFAULT, EINVAL, ENODEV, ENOMEM, EPERM } from "../../abi/errno.ts";
import * as pr from "../../abi/prctl.ts";
import { SYS_arch_prctl, SYS_prctl, SYS_seccomp } from "../../abi/syscall-numbers.ts";
import { byteString, putByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

const COMM_BYTES = 16;
const VMA_NAME_BYTES_MAX = 80;
const DEFAULT_SLACK_NS = 50_000;
const PR_TSC_ENABLE = 1;
const scratch = new Uint8Array(COMM_BYTES);

const isFlag = (value: number): boolean => value === 0 || value === 1;
/** The unused arguments of newer operations must be 0. */
const restIsZero = (a: SyscallArgs, from: number): boolean => {
  for (let i = from; i < 5; i++) if (a.addr(i) !== 0) return false;
  return true;
};

function sysPrctl(t: Task, a: SyscallArgs): number {
  const group = t.threadGroup;
  const value = a.addr(1);
  switch (a.int(0)) {
    case pr.PR_SET_PDEATHSIG:
      if (value > 64) return -EINVAL;
      t.parentDeathSignal = value;
      return 0;
    case pr.PR_GET_PDEATHSIG:
      return t.mm.writeU32(value, t.parentDeathSignal);
    case pr.PR_GET_DUMPABLE:
      return group.dumpable;
    case pr.PR_SET_DUMPABLE:
      if (!isFlag(value)) return -EINVAL;
      group.dumpable = value;
      return 0;
    case pr.PR_SET_NAME:
      return setName(t, value);
    case pr.PR_GET_NAME:
      scratch.fill(0);
      putByteString(scratch, 0, t.comm);
      return t.mm.copyOut(value, scratch, 0, COMM_BYTES) === COMM_BYTES ? 0 : -EFAULT;
    case pr.PR_GET_TIMING:
      return 0;
    case pr.PR_SET_TIMING:
      return value === 0 ? 0 : -EINVAL;
    case pr.PR_GET_TSC:
      return t.mm.writeU32(value, PR_TSC_ENABLE);
    case pr.PR_SET_TSC:
      return value === PR_TSC_ENABLE ? 0 : -EINVAL;
    case pr.PR_SET_TIMERSLACK:
      t.timerSlackNs = a.long(1) <= 0 ? DEFAULT_SLACK_NS : value;
      return 0;
    case pr.PR_GET_TIMERSLACK:
      return t.timerSlackNs;
    case pr.PR_SET_CHILD_SUBREAPER:
      group.isSubreaper = value !== 0;
      return 0;
    case pr.PR_GET_CHILD_SUBREAPER:
      return t.mm.writeU32(value, group.isSubreaper ? 1 : 0);
    case pr.PR_SET_NO_NEW_PRIVS:
      if (value !== 1 || !restIsZero(a, 2)) return -EINVAL;
      t.noNewPrivs = true;
      return 0;
    case pr.PR_GET_NO_NEW_PRIVS:
      if (!restIsZero(a, 1)) return -EINVAL;
      return t.noNewPrivs ? 1 : 0;
    case pr.PR_GET_TID_ADDRESS:
      return t.mm.writeU64(value, t.clearChildTid);
    case pr.PR_SET_THP_DISABLE:
    case pr.PR_GET_THP_DISABLE:
      // Huge pages are the memory file's affair: nothing to switch.
      return restIsZero(a, a.int(0) === pr.PR_SET_THP_DISABLE ? 2 : 1) ? 0 : -EINVAL;
    case pr.PR_SET_VMA:
      return setVmaName(t, a);
    case pr.PR_SET_MM:
      return t.creds.hasCapability(CAP_SYS_RESOURCE) ? -EINVAL : -EPERM;
    case pr.PR_GET_SECCOMP:
      return 0;
    case pr.PR_SET_SECCOMP:
      // As a kernel built without seccomp filters for programs.
      return -EINVAL;
    default:
      return capabilityControl(t, a);
  }
}

function setName(t: Task, addr: number): number {
  // Read a byte at a time: the string may end right before unmapped memory.
  let length = 0;
  while (length < COMM_BYTES - 1) {
    const byte = t.mm.readU8(addr + length);
    if (t.mm.faulted) return -EFAULT;
    if (byte === 0) break;
    scratch[length++] = byte;
  }
  t.comm = byteString(scratch, 0, length);
  return 0;
}

/** Names are for /proc/PID/maps only; checked and forgotten. */
function setVmaName(t: Task, a: SyscallArgs): number {
  if (a.addr(1) !== pr.PR_SET_VMA_ANON_NAME) return -EINVAL;
  if (a.addr(2) % 4096 !== 0) return -EINVAL;
  if (a.addr(4) !== 0) {
    const name = t.mm.copyInString(a.addr(4), VMA_NAME_BYTES_MAX);
    if (typeof name === "number") return name === -EFAULT ? -EFAULT : -EINVAL;
    for (let i = 0; i < name.length; i++) {
      const c = name.charCodeAt(i);
      if (c < 0x20 || c > 0x7e || "\\`$[]".includes(name[i])) return -EINVAL;
    }
  }
  return t.mm.vmas.find(a.addr(2)) === null ? -ENOMEM : 0;
}

function capabilityControl(t: Task, a: SyscallArgs): number {
  const value = a.addr(1);
  const c = t.creds;
  switch (a.int(0)) {
    case pr.PR_GET_KEEPCAPS:
      return (t.securebits & SECBIT_KEEP_CAPS) !== 0 ? 1 : 0;
    case pr.PR_SET_KEEPCAPS:
      if (!isFlag(value)) return -EINVAL;
      if ((t.securebits & (SECBIT_KEEP_CAPS << 1)) !== 0) return -EPERM;
      t.securebits =
        value === 1 ? t.securebits | SECBIT_KEEP_CAPS : t.securebits & ~SECBIT_KEEP_CAPS;
      return 0;
    case pr.PR_GET_SECUREBITS:
      return t.securebits;
    case pr.PR_SET_SECUREBITS: {
      const locks = t.securebits & SECURE_ALL_LOCKS;
      const changed = t.securebits ^ a.int(1);
      if ((a.int(1) & ~(SECURE_ALL_BITS | SECURE_ALL_LOCKS)) !== 0) return -EPERM;
      // A locked bit stays, and a lock is never taken off.
      if ((changed & (locks >> 1)) !== 0 || (locks & ~a.int(1)) !== 0) return -EPERM;
      if (!c.hasCapability(CAP_SETPCAP)) return -EPERM;
      t.securebits = a.int(1);
      return 0;
    }
    case pr.PR_CAPBSET_READ:
      if (value > CAP_LAST_CAP) return -EINVAL;
      return (c.capBounding[value >>> 5] >>> (value & 31)) & 1;
    case pr.PR_CAPBSET_DROP:
      if (!c.hasCapability(CAP_SETPCAP)) return -EPERM;
      if (value > CAP_LAST_CAP) return -EINVAL;
      t.creds = c.with({ capBounding: without(c.capBounding, value) });
      return 0;
    case pr.PR_CAP_AMBIENT:
      return ambient(t, a);
    default:
      return -EINVAL;
  }
}

type CapSet = readonly [number, number];
const has = (set: CapSet, cap: number): boolean => (set[cap >>> 5] & (1 << (cap & 31))) !== 0;
const without = (set: CapSet, cap: number): CapSet =>
  cap < 32 ? [set[0] & ~(1 << cap), set[1]] : [set[0], set[1] & ~(1 << (cap - 32))];
const withCap = (set: CapSet, cap: number): CapSet =>
  cap < 32 ? [set[0] | (1 << cap), set[1]] : [set[0], set[1] | (1 << (cap - 32))];

function ambient(t: Task, a: SyscallArgs): number {
  const c = t.creds;
  const cap = a.addr(2);
  if (a.addr(3) !== 0 || a.addr(4) !== 0) return -EINVAL;
  if (a.int(1) === pr.PR_CAP_AMBIENT_CLEAR_ALL) {
    if (cap !== 0) return -EINVAL;
    t.creds = c.with({ capAmbient: [0, 0] });
    return 0;
  }
  if (cap > CAP_LAST_CAP) return -EINVAL;
  switch (a.int(1)) {
    case pr.PR_CAP_AMBIENT_IS_SET:
      return has(c.capAmbient, cap) ? 1 : 0;
    case pr.PR_CAP_AMBIENT_LOWER:
      t.creds = c.with({ capAmbient: without(c.capAmbient, cap) });
      return 0;
    case pr.PR_CAP_AMBIENT_RAISE:
      if (!has(c.capPermitted, cap) || !has(c.capInheritable, cap)) return -EPERM;
      if ((t.securebits & SECBIT_NO_CAP_AMBIENT_RAISE) !== 0) return -EPERM;
      t.creds = c.with({ capAmbient: withCap(c.capAmbient, cap) });
      return 0;
    default:
      return -EINVAL;
  }
}

function sysArchPrctl(t: Task, a: SyscallArgs): number {
  const context = t.context;
  if (context === null) return -EINVAL;
  const value = a.addr(1);
  switch (a.int(0)) {
    case pr.ARCH_SET_FS:
      if (value >= t.mm.maxAddress) return -EPERM;
      context.fsBase = value;
      return 0;
    case pr.ARCH_SET_GS:
      if (value >= t.mm.maxAddress) return -EPERM;
      context.gsBase = value;
      return 0;
    case pr.ARCH_GET_FS:
      return t.mm.writeU64(value, context.fsBase);
    case pr.ARCH_GET_GS:
      return t.mm.writeU64(value, context.gsBase);
    case pr.ARCH_GET_CPUID:
      return 1;
    case pr.ARCH_SET_CPUID:
      return -ENODEV;
    default:
      return -EINVAL;
  }
}

export const prctlFamily: SyscallFamily = [
  [SYS_prctl, sysPrctl],
  [SYS_arch_prctl, sysArchPrctl],
  // Like a kernel without CONFIG_SECCOMP_FILTER: programs fall back by themselves.
  [SYS_seccomp, () => -EINVAL],
];
