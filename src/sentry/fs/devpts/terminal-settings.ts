// A terminal's settings: struct termios2 as tcsetattr(3) left it, and what the line discipline asks of it.

import {
  DEFAULT_CFLAG,
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ICANON,
  ICRNL,
  IEXTEN,
  ISIG,
  IUTF8,
  IXON,
  NCCS,
  ONLCR,
  OPOST,
  TERMIOS_CC,
  TERMIOS2_BYTES,
} from "../../../abi/termios.ts";
import { setU32Le, u32Le } from "../../../base/bytes.ts";

/** struct termios2 of a fresh terminal. */
function defaultTermios(): Uint8Array {
  const t = new Uint8Array(TERMIOS2_BYTES);
  setU32Le(t, 0, ICRNL | IXON);
  setU32Le(t, 4, OPOST | ONLCR);
  setU32Le(t, 8, DEFAULT_CFLAG);
  setU32Le(t, 12, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
  const cc = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0];
  for (let i = 0; i < cc.length && i < NCCS; i++) t[TERMIOS_CC + i] = cc[i];
  setU32Le(t, 36, 38_400);
  setU32Le(t, 40, 38_400);
  return t;
}

export class TerminalSettings {
  readonly bytes = defaultTermios();

  get iflag(): number {
    return u32Le(this.bytes, 0);
  }
  get oflag(): number {
    return u32Le(this.bytes, 4);
  }
  get lflag(): number {
    return u32Le(this.bytes, 12);
  }
  /** A control character, by V*. */
  cc(index: number): number {
    return this.bytes[TERMIOS_CC + index];
  }
  get isCanonical(): boolean {
    return (this.lflag & ICANON) !== 0;
  }
  get isUtf8(): boolean {
    return (this.iflag & IUTF8) !== 0;
  }
  get echoes(): boolean {
    return (this.lflag & ECHO) !== 0;
  }
}
