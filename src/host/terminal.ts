// The output side of a terminal of ours (termios(3)). Not raw input: Node does that, and undoes it at exit.

import { SYS_ioctl } from "../abi/syscall-numbers.ts";
import { addressOf, sys } from "./raw-syscall.ts";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
/** struct termios of the kernel: c_iflag, c_oflag, ... */
const TERMIOS_BYTES = 36;
const C_OFLAG = 1;
const OPOST = 1;

/** What is written reaches the screen as it is: no carriage return before a line feed. 0 or -errno. */
export function clearOutputProcessing(fd: number): number {
  const termios = new Uint32Array(TERMIOS_BYTES / 4);
  const address = addressOf(new Uint8Array(termios.buffer));
  const r = sys(SYS_ioctl, fd, TCGETS, address, 0, 0, 0);
  if (r < 0) return r;
  termios[C_OFLAG] &= ~OPOST;
  return sys(SYS_ioctl, fd, TCSETS, address, 0, 0, 0);
}
