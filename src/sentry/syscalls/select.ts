// select(2) and pselect6(2): three bit sets in, the ready bits of each out.

import { EAGAIN, EBADF, EFAULT, EINVAL, ERESTARTNOHAND } from "../../abi/errno.ts";
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from "../../abi/poll.ts";
import { SYS_pselect6, SYS_select } from "../../abi/syscall-numbers.ts";
import { BLOCKED, type Task } from "../kernel/task.ts";
import { O_PATH } from "../vfs/file-description.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";
import { writeRemaining } from "./poll.ts";
import {
  readTimespecNs,
  readTimevalNs,
  useTemporaryMask,
  writeTimespec,
  writeTimeval,
} from "./timeouts.ts";

/** What makes a bit of each set ready (fs/select.c). */
const SET_BITS = [
  POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
  POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
  POLLPRI,
];
const INFINITE = Number.POSITIVE_INFINITY;

/** Asked-for and found bits of the three sets. */
let asked = [new Uint8Array(128), new Uint8Array(128), new Uint8Array(128)];
let found = [new Uint8Array(128), new Uint8Array(128), new Uint8Array(128)];

function load(t: Task, addrs: readonly number[], bytes: number): number {
  if (asked[0].length < bytes) {
    asked = asked.map(() => new Uint8Array(bytes));
    found = found.map(() => new Uint8Array(bytes));
  }
  for (let k = 0; k < 3; k++) {
    if (addrs[k] === 0) asked[k].fill(0, 0, bytes);
    else if (t.mm.copyIn(addrs[k], asked[k], 0, bytes) !== bytes) return -EFAULT;
    found[k].fill(0, 0, bytes);
  }
  return 0;
}

/** Looks at every descriptor below n; the count of ready bits, or -EBADF. */
function scan(t: Task, n: number, wait: boolean): number {
  let ready = 0;
  for (let fd = 0; fd < n; fd++) {
    const at = fd >>> 3;
    const all = asked[0][at] | asked[1][at] | asked[2][at];
    if (all === 0) {
      fd |= 7;
      continue;
    }
    const bit = 1 << (fd & 7);
    if ((all & bit) === 0) continue;
    const file = t.fds.get(fd);
    if (file === undefined || (file.flags & O_PATH) !== 0) return -EBADF;
    const mask = wait ? 0 : file.poll();
    let wanted = 0;
    for (let k = 0; k < 3; k++) {
      if ((asked[k][at] & bit) === 0) continue;
      wanted |= SET_BITS[k];
      if ((mask & SET_BITS[k]) === 0) continue;
      found[k][at] |= bit;
      ready++;
    }
    if (wait) t.waitFor(file.waiters, wanted);
  }
  return ready;
}

const addrs = [0, 0, 0];

function doSelect(t: Task, a: SyscallArgs, timeoutNs: number): number {
  let n = a.int(0);
  if (n < 0) return -EINVAL;
  // Descriptors past the table cannot be open; Linux does not even look at their bits.
  n = Math.min(n, Math.max(64, Math.ceil(t.fds.end / 64) * 64));
  const bytes = Math.ceil(n / 64) * 8;
  for (let k = 0; k < 3; k++) addrs[k] = a.addr(k + 1);
  const loaded = load(t, addrs, bytes);
  if (loaded < 0) return loaded;
  const ready = scan(t, n, false);
  if (ready < 0) return ready;
  if (ready === 0 && timeoutNs !== 0) {
    scan(t, n, true);
    const parked = t.park(timeoutNs, ERESTARTNOHAND);
    if (parked !== -EAGAIN) return parked;
  }
  for (let k = 0; k < 3; k++) {
    if (addrs[k] !== 0 && t.mm.copyOut(addrs[k], found[k], 0, bytes) !== bytes) return -EFAULT;
  }
  return ready;
}

function select(t: Task, a: SyscallArgs): number {
  const addr = a.addr(4);
  const timeout = addr === 0 ? INFINITE : readTimevalNs(t.mm, addr);
  if (timeout < 0) return timeout;
  const startNs = t.kernel.clock.monotonicNs();
  const result = doSelect(t, a, timeout);
  if (result !== BLOCKED && addr !== 0) writeRemaining(t, addr, timeout, startNs, writeTimeval);
  return result;
}

function pselect6(t: Task, a: SyscallArgs): number {
  const addr = a.addr(4);
  const timeout = addr === 0 ? INFINITE : readTimespecNs(t.mm, addr);
  if (timeout < 0) return timeout;
  // The sixth argument points at { mask pointer, mask size }.
  const pair = a.addr(5);
  if (pair !== 0) {
    const maskAddr = t.mm.readU64(pair);
    if (t.mm.faulted) return -EFAULT;
    const maskBytes = t.mm.readU64(pair + 8);
    if (t.mm.faulted) return -EFAULT;
    const masked = useTemporaryMask(t, maskAddr, maskBytes);
    if (masked < 0) return masked;
  }
  const startNs = t.kernel.clock.monotonicNs();
  const result = doSelect(t, a, timeout);
  if (result !== BLOCKED && addr !== 0) writeRemaining(t, addr, timeout, startNs, writeTimespec);
  return result;
}

export const selectFamily: SyscallFamily = [
  [SYS_select, select],
  [SYS_pselect6, pselect6],
];
