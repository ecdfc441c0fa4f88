// Pipes for a program's standard streams (pipe(2), fcntl(2) F_SETPIPE_SZ).

import { SYS_fcntl, SYS_pipe2 } from "../abi/syscall-numbers.ts";
import { addressOf, sys } from "./raw-syscall.ts";

const O_CLOEXEC = 0o2000000;
const F_SETPIPE_SZ = 1031;

const ends = new Int32Array(2);

/** [read end, write end], close-on-exec; or -errno. Grown to `bytes` if the host allows. */
export function pipe(bytes = 0): [number, number] | number {
  const r = sys(SYS_pipe2, addressOf(new Uint8Array(ends.buffer)), O_CLOEXEC, 0, 0, 0, 0);
  if (r < 0) return r;
  // Beyond the host's limit for ordinary users it is refused: the default size serves too.
  if (bytes > 0) sys(SYS_fcntl, ends[1], F_SETPIPE_SZ, bytes, 0, 0, 0);
  return [ends[0], ends[1]];
}
