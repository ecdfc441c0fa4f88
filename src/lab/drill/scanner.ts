// Characters of a script as the parsers take them: the language has no one set of tokens (flags, hex
// strings and numbers look alike), so each grammar rule says what it expects next. Knows comments, line
// and column; `--define` words are replaced here.

import { DrillError, type Place } from "./drill-error.ts";

/** Longest script read; anything larger is refused rather than held. */
export const SCRIPT_CHARS_MAX = 4_000_000;

export class Scanner {
  readonly text: string;
  at = 0;
  readonly #lineStarts: number[] = [0];

  constructor(text: string) {
    this.text = text;
    for (let i = 0; i < text.length; i++) if (text[i] === "\n") this.#lineStarts.push(i + 1);
    if (text.length > SCRIPT_CHARS_MAX) throw this.error("the script is too long");
  }

  place(at: number = this.at): Place {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle] <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - this.#lineStarts[low] + 1 };
  }

  error(message: string, at: number = this.at): DrillError {
    return new DrillError("syntax", this.place(at), message);
  }

  /** Skips spaces and comments. A `#` line at the very start (#!) is a comment as well. */
  space(): void {
    const { text } = this;
    for (;;) {
      const c = text[this.at];
      if (c === " " || c === "\t" || c === "\n" || c === "\r" || c === "\f") this.at++;
      else if (c === "/" && text[this.at + 1] === "/") this.#toLineEnd();
      else if (c === "/" && text[this.at + 1] === "*") {
        const end = text.indexOf("*/", this.at + 2);
        if (end < 0) throw this.error("the comment has no end");
        this.at = end + 2;
      } else if (c === "#" && this.at === 0) this.#toLineEnd();
      else return;
    }
  }

  #toLineEnd(): void {
    const end = this.text.indexOf("\n", this.at);
    this.at = end < 0 ? this.text.length : end + 1;
  }

  get isEnd(): boolean {
    this.space();
    return this.at >= this.text.length;
  }

  peek(): string {
    this.space();
    return this.text[this.at] ?? "";
  }

  looksAt(s: string): boolean {
    this.space();
    return this.text.startsWith(s, this.at);
  }

  eat(s: string): boolean {
    if (!this.looksAt(s)) return false;
    this.at += s.length;
    return true;
  }

  expect(s: string): void {
    if (!this.eat(s)) throw this.error(`expected '${s}', found ${this.#found()}`);
  }

  #found(): string {
    const rest = this.text.slice(this.at, this.at + 20).split("\n")[0];
    return rest === "" ? "the end" : `'${rest}'`;
  }

  /** Matches a sticky pattern after space; null leaves the position after the space. */
  match(pattern: RegExp): string | null {
    this.space();
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return null;
    this.at += found[0].length;
    return found[0];
  }

  need(pattern: RegExp, what: string): string {
    const found = this.match(pattern);
    if (found === null) throw this.error(`expected ${what}, found ${this.#found()}`);
    return found;
  }

  word(): string | null {
    return this.match(/[A-Za-z_][A-Za-z0-9_]*/y);
  }

  eatWord(word: string): boolean {
    const start = this.at;
    if (this.word() === word) return true;
    this.at = start;
    return false;
  }

  /** Decimal or hexadecimal, with a sign. */
  integer(what = "a number"): number {
    const text = this.need(/-?(?:0[xX][0-9a-fA-F]+|\d+)/y, what);
    return text.startsWith("-") ? -Number(text.slice(1)) : Number(text);
  }

  /** What stands between two delimiters, taken as it is; the opening one has been eaten. */
  until(close: string, what: string): string {
    const start = this.at;
    const end = this.text.indexOf(close, start);
    if (end < 0) throw this.error(`${what} has no end`, start);
    this.at = end + close.length;
    return this.text.slice(start, end);
  }
}
