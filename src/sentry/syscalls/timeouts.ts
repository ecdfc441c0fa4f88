// Times as programs hand them over: struct timespec and struct timeval to nanoseconds and back.

import { EFAULT, EINVAL } from "../../abi/errno.ts";
import { i64Le, setU64Le } from "../../base/bytes.ts";
import { SECOND, US } from "../../base/clock.ts";
import type { UserMemory } from "../mm/user-memory.ts";

const scratch = new Uint8Array(16);

/** struct timespec: nanoseconds, -EFAULT, or -EINVAL for a time that is negative or not normal. */
export function readTimespecNs(mm: UserMemory, addr: number): number {
  if (mm.copyIn(addr, scratch, 0, 16) !== 16) return -EFAULT;
  return timespecNs(scratch, 0);
}

export function timespecNs(bytes: Uint8Array, offset: number): number {
  const seconds = i64Le(bytes, offset);
  const nanos = i64Le(bytes, offset + 8);
  if (seconds < 0 || nanos < 0 || nanos >= SECOND) return -EINVAL;
  return seconds * SECOND + nanos;
}

/** struct timeval: as readTimespecNs, but whole seconds may hide in the microseconds (select(2)). */
export function readTimevalNs(mm: UserMemory, addr: number): number {
  if (mm.copyIn(addr, scratch, 0, 16) !== 16) return -EFAULT;
  const seconds = i64Le(scratch, 0);
  const micros = i64Le(scratch, 8);
  if (seconds < 0 || micros < 0) return -EINVAL;
  return seconds * SECOND + micros * US;
}

export function putTimespec(bytes: Uint8Array, offset: number, ns: number): void {
  const seconds = Math.floor(ns / SECOND);
  setU64Le(bytes, offset, seconds);
  setU64Le(bytes, offset + 8, ns - seconds * SECOND);
}

/** 0 or -EFAULT. */
export function writeTimespec(mm: UserMemory, addr: number, ns: number): number {
  putTimespec(scratch, 0, ns);
  return mm.copyOut(addr, scratch, 0, 16) === 16 ? 0 : -EFAULT;
}

export function writeTimeval(mm: UserMemory, addr: number, ns: number): number {
  const seconds = Math.floor(ns / SECOND);
  setU64Le(scratch, 0, seconds);
  setU64Le(scratch, 8, Math.floor((ns - seconds * SECOND) / US));
  return mm.copyOut(addr, scratch, 0, 16) === 16 ? 0 : -EFAULT;
}

/** The signal mask of ppoll, pselect6 and epoll_pwait for the length of the call; addr 0: none. */
export function useTemporaryMask(
  t: {
    readonly mm: UserMemory;
    setTemporaryMask(low: number, high: number): void;
  },
  addr: number,
  bytes: number,
): number {
  if (addr === 0) return 0;
  if (bytes !== 8) return -EINVAL;
  const low = t.mm.readU32(addr);
  if (t.mm.faulted) return -EFAULT;
  const high = t.mm.readU32(addr + 4);
  if (t.mm.faulted) return -EFAULT;
  t.setTemporaryMask(low | 0, high | 0);
  return 0;
}
