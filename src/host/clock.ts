// The host's clocks (clock_gettime(2)), exact to the nanosecond.

import { SYS_clock_gettime } from "../abi/syscall-numbers.ts";
import { addressOf, declare, pinnedBytes, sys } from "./raw-syscall.ts";

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_BOOTTIME = 7;

const timespec = pinnedBytes(16);
const timespecView = new DataView(timespec.buffer);
const timespecAddress = addressOf(timespec);
/** libc's, so by the host's vDSO where there is one. */
const clockGettime = declare<(clock: number, timespec: number) => number>(
  "int clock_gettime(int, uintptr_t)",
);

/** Allocates: not for hot paths. */
export function hostClockNs(clock: number): bigint {
  if (clockGettime(clock, timespecAddress) !== 0)
    sys(SYS_clock_gettime, clock, timespecAddress, 0, 0, 0, 0);
  return timespecView.getBigInt64(0, true) * 1_000_000_000n + timespecView.getBigInt64(8, true);
}
/** As a double. */
export function hostClockNumberNs(clock: number): number {
  clockGettime(clock, timespecAddress);
  const seconds = timespecView.getUint32(0, true) + timespecView.getInt32(4, true) * 0x1_0000_0000;
  return seconds * 1e9 + timespecView.getUint32(8, true);
}
