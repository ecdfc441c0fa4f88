// The terminal line discipline (termios(3), Linux's n_tty): between the keyboard side (a pseudo terminal's
// master) and the program's side. Edits lines, turns characters into signals; what the screen gets is
// terminal-output.ts's.
// No tasks here: signals go out through a callback, waiting is the descriptions' business.

import { SIGINT, SIGQUIT, SIGTSTP } from "../../../abi/signal.ts";
import {
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
  IXANY,
  IXON,
  NOFLSH,
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
} from "../../../abi/termios.ts";
import { ByteQueue } from "./byte-queue.ts";
import { BACKSPACE, BELL, CARET, CR, NL, TAB, TerminalOutput } from "./terminal-output.ts";
import { TerminalSettings } from "./terminal-settings.ts";

/** A line, and all that waits to be read, may not grow past this (N_TTY_BUF_SIZE). */
const INPUT_BYTES_MAX = 4096;

export class LineDiscipline {
  readonly settings = new TerminalSettings();
  /** To the program: finished lines, or raw bytes. */
  readonly #input = new ByteQueue(INPUT_BYTES_MAX);
  /** Bytes of each finished line still in #input, in order; only canonical reads look. */
  #lines: number[] = [];
  /** The line being edited. */
  readonly #edit = new Uint8Array(INPUT_BYTES_MAX);
  #editLength = 0;
  #literalNext = false;
  readonly #screen = new TerminalOutput(this.settings);
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

  /** To the screen. */
  get output(): ByteQueue {
    return this.#screen.queue;
  }

  /** Bytes that a read would give now. */
  get readable(): number {
    if (!this.settings.isCanonical) return this.#input.length;
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
    return this.settings.isCanonical && this.#lines.length === 0 ? Math.max(1, free) : free;
  }

  /** Takes bytes for the program: at most one line in canonical mode. 0 for an end-of-file line. */
  take(dst: Uint8Array, offset: number, length: number): number {
    if (!this.settings.isCanonical) {
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
    const wasCanonical = this.settings.isCanonical;
    for (let i = 0; i < length; i++) this.settings.bytes[i] = bytes[i];
    if (wasCanonical === this.settings.isCanonical) return;
    if (this.settings.isCanonical) {
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
    const iflag = this.settings.iflag;
    const lflag = this.settings.lflag;
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
          : c === this.settings.cc(VINTR)
            ? SIGINT
            : c === this.settings.cc(VQUIT)
              ? SIGQUIT
              : c === this.settings.cc(VSUSP)
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
    if (c === this.settings.cc(VSTOP) && c !== 0) {
      this.setStopped(true);
      return true;
    }
    if (c === this.settings.cc(VSTART) && c !== 0) {
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
    if ((this.settings.lflag & NOFLSH) === 0) {
      this.flushInput();
      this.flushOutput();
      this.onPacket(3);
    }
    if (this.isStopped) this.setStopped(false);
    if (this.settings.echoes) this.#screen.echo(c);
    this.onSignal(signo);
  }

  /** Canonical mode's editing. True: the character did something and is not stored. */
  #editByte(c: number, lflag: number): boolean {
    if (c !== 0) {
      if (c === this.settings.cc(VERASE)) {
        this.#erase(1);
        return true;
      }
      if (c === this.settings.cc(VKILL)) {
        this.#kill();
        return true;
      }
      if ((lflag & IEXTEN) !== 0) {
        if (c === this.settings.cc(VWERASE)) {
          this.#eraseWord();
          return true;
        }
        if (c === this.settings.cc(VLNEXT)) {
          this.#literalNext = true;
          if ((lflag & (ECHO | ECHOCTL)) === (ECHO | ECHOCTL)) this.#screen.put(CARET, BACKSPACE);
          return true;
        }
        if (c === this.settings.cc(VREPRINT) && (lflag & ECHO) !== 0) {
          this.#reprint(c);
          return true;
        }
      }
      if (c === this.settings.cc(VEOF)) {
        this.#endLine();
        return true;
      }
    }
    const isEnd =
      c === NL ||
      (c !== 0 &&
        (c === this.settings.cc(VEOL) ||
          ((lflag & IEXTEN) !== 0 && c === this.settings.cc(VEOL2))));
    if (!isEnd) return false;
    if ((lflag & ECHO) !== 0 || (c === NL && (lflag & ECHONL) !== 0)) this.#screen.echo(c);
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
    if (!this.settings.isCanonical) {
      this.#input.putByte(c);
      if (this.settings.echoes) this.#screen.echo(c);
      return;
    }
    // One byte stays free for the newline.
    if (this.#editLength + this.#input.length >= INPUT_BYTES_MAX - 1) {
      if ((this.settings.iflag & IMAXBEL) !== 0) this.#screen.put(BELL);
      return;
    }
    if (this.#editLength === 0) this.#editColumn = this.#screen.column;
    this.#edit[this.#editLength++] = c;
    if (this.settings.echoes) this.#screen.echo(c);
  }

  // --- Erasing ---

  /** Takes `count` characters off the edited line, and off the screen. */
  #erase(count: number): void {
    for (let i = 0; i < count && this.#editLength > 0; i++) {
      let c = this.#edit[--this.#editLength];
      // A UTF-8 character goes as a whole.
      while (this.settings.isUtf8 && (c & 0xc0) === 0x80 && this.#editLength > 0) {
        c = this.#edit[--this.#editLength];
      }
      if (!this.settings.echoes) continue;
      if ((this.settings.lflag & ECHOE) === 0) {
        this.#screen.echo(this.settings.cc(VERASE));
        continue;
      }
      const screen = this.#screen;
      screen.rubOut(c === TAB ? screen.column - this.#columnOfEdit() : screen.width(c));
    }
  }
  /** Where the cursor belongs after the edited line as it is now. */
  #columnOfEdit(): number {
    let column = this.#editColumn;
    const utf8 = this.settings.isUtf8;
    for (let i = 0; i < this.#editLength; i++) {
      const c = this.#edit[i];
      if (c === TAB) column += 8 - (column & 7);
      else if (!utf8 || (c & 0xc0) !== 0x80) column += this.#screen.width(c);
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
    const lflag = this.settings.lflag;
    if ((lflag & ECHO) !== 0 && (lflag & (ECHOE | ECHOK | ECHOKE)) === (ECHOE | ECHOK | ECHOKE)) {
      this.#erase(this.#editLength);
      return;
    }
    this.#editLength = 0;
    if ((lflag & ECHO) === 0) return;
    this.#screen.echo(this.settings.cc(VKILL));
    if ((lflag & ECHOK) !== 0) this.#screen.echo(NL);
  }

  #reprint(c: number): void {
    this.#screen.echo(c);
    this.#screen.echo(NL);
    this.#editColumn = this.#screen.column;
    for (let i = 0; i < this.#editLength; i++) this.#screen.echo(this.#edit[i]);
  }

  // --- Program output ---

  get canWrite(): boolean {
    return !this.isStopped && this.#screen.hasRoom;
  }
  /** How many bytes were taken. */
  write(src: Uint8Array, offset: number, length: number): number {
    if (this.isStopped) return 0;
    const taken = this.#screen.write(src, offset, length);
    if (taken > 0) this.onOutput();
    return taken;
  }
}
