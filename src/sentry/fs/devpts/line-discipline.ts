// The terminal line discipline (termios(3), Linux's n_tty): between the keyboard side (a pseudo terminal's
// master) and the program's side. Edits lines, echoes, turns characters into signals, processes output.
// No tasks here: signals go out through a callback, waiting is the descriptions' business.

import { SIGINT, SIGQUIT, SIGTSTP } from "../../../abi/signal.ts";
import {
  DEFAULT_CFLAG,
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ECHONL,
  ICANON,
  ICRNL,
  IEXTEN,
  IGNCR,
  IMAXBEL,
  INLCR,
  ISIG,
  ISTRIP,
  IUTF8,
  IXANY,
  IXON,
  NCCS,
  NOFLSH,
  OCRNL,
  ONLCR,
  ONLRET,
  ONOCR,
  OPOST,
  TABDLY,
  TERMIOS_CC,
  TERMIOS2_BYTES,
  VEOF,
  VEOL,
  VEOL2,
  VERASE,
  VINTR,
  VKILL,
  VLNEXT,
  VQUIT,
  VREPRINT,
  VSTART,
  VSTOP,
  VSUSP,
  VWERASE,
  XTABS,
} from "../../../abi/termios.ts";
import { setU32Le, u32Le } from "../../../base/bytes.ts";
import { ByteQueue } from "./byte-queue.ts";

const NL = 10;
const CR = 13;
const TAB = 9;
const BACKSPACE = 8;
const BELL = 7;
const SPACE = 32;
const CARET = 94;
const DEL = 127;

/** A line, and all that waits to be read, may not grow past this (N_TTY_BUF_SIZE). */
const INPUT_BYTES_MAX = 4096;
const OUTPUT_BYTES_MAX = 65_536;

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

export class LineDiscipline {
  readonly termios = defaultTermios();
  /** To the program: finished lines, or raw bytes. */
  readonly #input = new ByteQueue(INPUT_BYTES_MAX);
  /** Bytes of each finished line still in #input, in order; only canonical reads look. */
  #lines: number[] = [];
  /** The line being edited. */
  readonly #edit = new Uint8Array(INPUT_BYTES_MAX);
  #editLength = 0;
  #literalNext = false;
  /** To the screen. */
  readonly output = new ByteQueue(OUTPUT_BYTES_MAX);
  #column = 0;
  /** Column where the edited line starts. */
  #editColumn = 0;
  /** ^S was typed, or tcflow(TCOOFF). */
  isStopped = false;
  /** Called with SIGINT, SIGQUIT or SIGTSTP for the foreground group. */
  onSignal: (signo: number) => void = () => {};
  /** Something can be read by the program; by the screen; flushed, stopped, started (packet mode). */
  onInput: () => void = () => {};
  onOutput: () => void = () => {};
  onPacket: (bits: number) => void = () => {};

  get #iflag(): number {
    return u32Le(this.termios, 0);
  }
  get #oflag(): number {
    return u32Le(this.termios, 4);
  }
  get lflag(): number {
    return u32Le(this.termios, 12);
  }
  cc(index: number): number {
    return this.termios[TERMIOS_CC + index];
  }
  get isCanonical(): boolean {
    return (this.lflag & ICANON) !== 0;
  }

  /** Bytes that a read would give now. */
  get readable(): number {
    if (!this.isCanonical) return this.#input.length;
    return this.#lines.length === 0 ? 0 : Math.max(1, this.#lines[0]);
  }
  /** In canonical mode: a line is there (it may be empty: end of file). */
  get hasLine(): boolean {
    return this.#lines.length > 0;
  }
  /** FIONREAD. */
  get inputLength(): number {
    return this.#input.length;
  }
  /** Typed bytes that still fit. */
  get room(): number {
    const free = INPUT_BYTES_MAX - this.#input.length - this.#editLength;
    // Canonical mode always listens: a newline or ^C must get through.
    return this.isCanonical && this.#lines.length === 0 ? Math.max(1, free) : free;
  }

  /** Takes bytes for the program: at most one line in canonical mode. 0 for an end-of-file line. */
  take(dst: Uint8Array, offset: number, length: number): number {
    if (!this.isCanonical) {
      this.#lines = [];
      return this.#input.take(dst, offset, length);
    }
    const line = this.#lines[0] ?? 0;
    const n = this.#input.take(dst, offset, Math.min(length, line));
    if (n === line) this.#lines.shift();
    else this.#lines[0] = line - n;
    return n;
  }

  /** New settings: what was edited becomes readable when lines are over, and the other way round. */
  setTermios(bytes: Uint8Array, length: number): void {
    const wasCanonical = this.isCanonical;
    for (let i = 0; i < length; i++) this.termios[i] = bytes[i];
    if (wasCanonical === this.isCanonical) return;
    if (this.isCanonical) {
      this.#lines = this.#input.length > 0 ? [this.#input.length] : [];
    } else {
      this.#input.put(this.#edit, 0, this.#editLength);
      this.#editLength = 0;
      this.#lines = [];
      if (this.#input.length > 0) this.onInput();
    }
  }

  flushInput(): void {
    this.#input.clear();
    this.#lines = [];
    this.#editLength = 0;
    this.#literalNext = false;
  }
  flushOutput(): void {
    this.output.clear();
  }

  /** Typed bytes. Returns how many were taken: all, or fewer when a raw reader is behind. */
  receive(src: Uint8Array, offset: number, length: number): number {
    const before = this.#input.length + this.#lines.length;
    const outputBefore = this.output.length;
    let taken = 0;
    while (taken < length && this.room > 0) this.#receiveByte(src[offset + taken++]);
    if (this.output.length !== outputBefore) this.onOutput();
    if (this.#input.length + this.#lines.length !== before) this.onInput();
    return taken;
  }

  #receiveByte(byte: number): void {
    const iflag = this.#iflag;
    const lflag = this.lflag;
    let c = (iflag & ISTRIP) !== 0 ? byte & 0x7f : byte;
    if (this.#literalNext) {
      this.#literalNext = false;
      this.#store(c);
      return;
    }
    if ((iflag & IXON) !== 0 && this.#flowControl(c, iflag)) return;
    if ((lflag & ISIG) !== 0) {
      const signo =
        c === 0
          ? 0
          : c === this.cc(VINTR)
            ? SIGINT
            : c === this.cc(VQUIT)
              ? SIGQUIT
              : c === this.cc(VSUSP)
                ? SIGTSTP
                : 0;
      if (signo !== 0) {
        this.#signal(signo, c);
        return;
      }
    }
    if (c === CR) {
      if ((iflag & IGNCR) !== 0) return;
      if ((iflag & ICRNL) !== 0) c = NL;
    } else if (c === NL && (iflag & INLCR) !== 0) c = CR;
    if ((lflag & ICANON) !== 0 && this.#editByte(c, lflag)) return;
    this.#store(c);
  }

  #flowControl(c: number, iflag: number): boolean {
    if (c === this.cc(VSTOP) && c !== 0) {
      this.setStopped(true);
      return true;
    }
    if (c === this.cc(VSTART) && c !== 0) {
      this.setStopped(false);
      return true;
    }
    if (this.isStopped && (iflag & IXANY) !== 0) this.setStopped(false);
    return false;
  }

  setStopped(stopped: boolean): void {
    if (this.isStopped === stopped) return;
    this.isStopped = stopped;
    this.onPacket(stopped ? 4 : 8);
    if (!stopped) this.onOutput();
  }

  #signal(signo: number, c: number): void {
    if ((this.lflag & NOFLSH) === 0) {
      this.flushInput();
      this.flushOutput();
      this.onPacket(3);
    }
    if (this.isStopped) this.setStopped(false);
    if ((this.lflag & ECHO) !== 0) this.#echo(c);
    this.onSignal(signo);
  }

  /** Canonical mode's editing. True: the character did something and is not stored. */
  #editByte(c: number, lflag: number): boolean {
    if (c !== 0) {
      if (c === this.cc(VERASE)) {
        this.#erase(1);
        return true;
      }
      if (c === this.cc(VKILL)) {
        this.#kill();
        return true;
      }
      if ((lflag & IEXTEN) !== 0) {
        if (c === this.cc(VWERASE)) {
          this.#eraseWord();
          return true;
        }
        if (c === this.cc(VLNEXT)) {
          this.#literalNext = true;
          if ((lflag & (ECHO | ECHOCTL)) === (ECHO | ECHOCTL)) this.#putEcho([CARET, BACKSPACE]);
          return true;
        }
        if (c === this.cc(VREPRINT) && (lflag & ECHO) !== 0) {
          this.#reprint(c);
          return true;
        }
      }
      if (c === this.cc(VEOF)) {
        this.#endLine();
        return true;
      }
    }
    const isEnd =
      c === NL ||
      (c !== 0 && (c === this.cc(VEOL) || ((lflag & IEXTEN) !== 0 && c === this.cc(VEOL2))));
    if (!isEnd) return false;
    if ((lflag & ECHO) !== 0 || (c === NL && (lflag & ECHONL) !== 0)) this.#echo(c);
    this.#edit[this.#editLength++] = c;
    this.#endLine();
    return true;
  }

  #endLine(): void {
    this.#input.put(this.#edit, 0, this.#editLength);
    this.#lines.push(this.#editLength);
    this.#editLength = 0;
  }

  #store(c: number): void {
    if (!this.isCanonical) {
      this.#input.putByte(c);
      if ((this.lflag & ECHO) !== 0) this.#echo(c);
      return;
    }
    // One byte stays free for the newline.
    if (this.#editLength + this.#input.length >= INPUT_BYTES_MAX - 1) {
      if ((this.#iflag & IMAXBEL) !== 0) this.#putEcho([BELL]);
      return;
    }
    if (this.#editLength === 0) this.#editColumn = this.#column;
    this.#edit[this.#editLength++] = c;
    if ((this.lflag & ECHO) !== 0) this.#echo(c);
  }

  // --- Erasing ---

  /** Takes `count` characters off the edited line, and off the screen. */
  #erase(count: number): void {
    for (let i = 0; i < count && this.#editLength > 0; i++) {
      let c = this.#edit[--this.#editLength];
      // A UTF-8 character goes as a whole.
      while ((this.#iflag & IUTF8) !== 0 && (c & 0xc0) === 0x80 && this.#editLength > 0) {
        c = this.#edit[--this.#editLength];
      }
      if ((this.lflag & ECHO) === 0) continue;
      if ((this.lflag & ECHOE) === 0) {
        this.#echo(this.cc(VERASE));
        continue;
      }
      let width = c === TAB ? this.#column - this.#columnOfEdit() : this.#width(c);
      while (width-- > 0) {
        this.#putEcho([BACKSPACE, SPACE, BACKSPACE]);
        this.#column--;
      }
    }
  }
  #width(c: number): number {
    if (c < SPACE || c === DEL) return (this.lflag & ECHOCTL) !== 0 ? 2 : 0;
    return 1;
  }
  /** Where the cursor belongs after the edited line as it is now. */
  #columnOfEdit(): number {
    let column = this.#editColumn;
    const utf8 = (this.#iflag & IUTF8) !== 0;
    for (let i = 0; i < this.#editLength; i++) {
      const c = this.#edit[i];
      if (c === TAB) column += 8 - (column & 7);
      else if (!utf8 || (c & 0xc0) !== 0x80) column += this.#width(c);
    }
    return column;
  }

  #eraseWord(): void {
    const isWord = (c: number): boolean =>
      (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95 || c >= 128;
    let seen = false;
    while (this.#editLength > 0) {
      const word = isWord(this.#edit[this.#editLength - 1]);
      if (seen && !word) break;
      if (word) seen = true;
      this.#erase(1);
    }
  }

  #kill(): void {
    const lflag = this.lflag;
    if ((lflag & ECHO) !== 0 && (lflag & (ECHOE | ECHOK | ECHOKE)) === (ECHOE | ECHOK | ECHOKE)) {
      this.#erase(this.#editLength);
      return;
    }
    this.#editLength = 0;
    if ((lflag & ECHO) === 0) return;
    this.#echo(this.cc(VKILL));
    if ((lflag & ECHOK) !== 0) this.#echo(NL);
  }

  #reprint(c: number): void {
    this.#echo(c);
    this.#echo(NL);
    this.#editColumn = this.#column;
    for (let i = 0; i < this.#editLength; i++) this.#echo(this.#edit[i]);
  }

  // --- Output ---

  #echo(c: number): void {
    const isControl = c < SPACE || c === DEL;
    if ((this.lflag & ECHOCTL) !== 0 && isControl && c !== TAB && c !== NL) {
      this.#putEcho([CARET, c ^ 0x40]);
      this.#column += 2;
    } else this.#process(c);
  }
  #putEcho(bytes: readonly number[]): void {
    for (const b of bytes) this.output.putByte(b);
  }

  /** Room for program output: one byte may become eight. */
  get canWrite(): boolean {
    return !this.isStopped && this.output.room >= 8;
  }

  /** Program output, processed; how many bytes were taken. */
  write(src: Uint8Array, offset: number, length: number): number {
    if (this.isStopped) return 0;
    let taken = 0;
    if ((this.#oflag & OPOST) === 0) {
      taken = this.output.put(src, offset, length);
    } else {
      while (taken < length && this.output.room >= 8) this.#process(src[offset + taken++]);
    }
    if (taken > 0) this.onOutput();
    return taken;
  }

  #process(byte: number): void {
    const oflag = this.#oflag;
    let c = byte;
    if ((oflag & OPOST) === 0) {
      this.output.putByte(c);
      return;
    }
    if (c === CR && (oflag & OCRNL) !== 0) c = NL;
    else if (c === CR && (oflag & ONOCR) !== 0 && this.#column === 0) return;
    if (c === NL) {
      if ((oflag & ONLCR) !== 0) this.output.putByte(CR);
      if ((oflag & (ONLCR | ONLRET)) !== 0) this.#column = 0;
      this.output.putByte(NL);
      return;
    }
    if (c === TAB) {
      const spaces = 8 - (this.#column & 7);
      this.#column += spaces;
      if ((oflag & TABDLY) === XTABS) for (let i = 0; i < spaces; i++) this.output.putByte(SPACE);
      else this.output.putByte(TAB);
      return;
    }
    if (c === CR) this.#column = 0;
    else if (c === BACKSPACE) this.#column = Math.max(0, this.#column - 1);
    else if (c >= SPACE && c !== DEL && ((this.#iflag & IUTF8) === 0 || (c & 0xc0) !== 0x80)) {
      this.#column++;
    }
    this.output.putByte(c);
  }
}
