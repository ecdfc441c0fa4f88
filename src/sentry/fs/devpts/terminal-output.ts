// What goes to a terminal's screen: program output after c_oflag's processing, and the echo of what is typed
// (termios(3), n_tty.c do_output_char and echo_char). Keeps the cursor's column, which tabs and erasing need.

import {
  ECHOCTL,
  OCRNL,
  ONLCR,
  ONLRET,
  ONOCR,
  OPOST,
  TABDLY,
  XTABS,
} from "../../../abi/termios.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { TerminalSettings } from "./terminal-settings.ts";

export const NL = 10;
export const CR = 13;
export const TAB = 9;
export const BACKSPACE = 8;
export const BELL = 7;
const SPACE = 32;
export const CARET = 94;
const DEL = 127;

const OUTPUT_BYTES_MAX = 65_536;
/** One byte of the program may become as many: a tab. */
const BYTES_PER_BYTE_MAX = 8;

export class TerminalOutput {
  readonly queue = new ByteQueue(OUTPUT_BYTES_MAX);
  column = 0;
  readonly #settings: TerminalSettings;

  constructor(settings: TerminalSettings) {
    this.#settings = settings;
  }

  get hasRoom(): boolean {
    return this.queue.room >= BYTES_PER_BYTE_MAX;
  }

  /** Program output; how many bytes were taken. */
  write(src: Uint8Array, offset: number, length: number): number {
    if ((this.#settings.oflag & OPOST) === 0) return this.queue.put(src, offset, length);
    let taken = 0;
    while (taken < length && this.hasRoom) this.#process(src[offset + taken++]);
    return taken;
  }

  /** A typed character, control characters as ^X where ECHOCTL says so. */
  echo(c: number): void {
    if (this.#isControl(c) && c !== TAB && c !== NL && this.#showsControl) {
      this.put(CARET, c ^ 0x40);
      this.column += 2;
    } else this.#process(c);
  }
  /** As they are, and without the column. */
  put(...bytes: readonly number[]): void {
    for (const b of bytes) this.queue.putByte(b);
  }
  /** Takes the last `columns` columns off the screen. */
  rubOut(columns: number): void {
    for (let i = 0; i < columns; i++) {
      this.put(BACKSPACE, SPACE, BACKSPACE);
      this.column--;
    }
  }
  /** Columns of an echoed character other than a tab. */
  width(c: number): number {
    if (this.#isControl(c)) return this.#showsControl ? 2 : 0;
    return 1;
  }
  #isControl(c: number): boolean {
    return c < SPACE || c === DEL;
  }
  get #showsControl(): boolean {
    return (this.#settings.lflag & ECHOCTL) !== 0;
  }

  #process(byte: number): void {
    const oflag = this.#settings.oflag;
    let c = byte;
    if ((oflag & OPOST) === 0) {
      this.queue.putByte(c);
      return;
    }
    if (c === CR && (oflag & OCRNL) !== 0) c = NL;
    else if (c === CR && (oflag & ONOCR) !== 0 && this.column === 0) return;
    if (c === NL) {
      if ((oflag & ONLCR) !== 0) this.queue.putByte(CR);
      if ((oflag & (ONLCR | ONLRET)) !== 0) this.column = 0;
      this.queue.putByte(NL);
      return;
    }
    if (c === TAB) {
      const spaces = 8 - (this.column & 7);
      this.column += spaces;
      if ((oflag & TABDLY) === XTABS) for (let i = 0; i < spaces; i++) this.queue.putByte(SPACE);
      else this.queue.putByte(TAB);
      return;
    }
    if (c === CR) this.column = 0;
    else if (c === BACKSPACE) this.column = Math.max(0, this.column - 1);
    else if (c >= SPACE && c !== DEL && (!this.#settings.isUtf8 || (c & 0xc0) !== 0x80)) {
      this.column++;
    }
    this.queue.putByte(c);
  }
}
