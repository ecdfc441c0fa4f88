// The little Python of `%{ }%` blocks: assignments, `assert`, `print`, arithmetic, comparisons (chained),
// `and`/`or`/`not`, strings and `%` formatting. Run when the event is reached; variables live on.

import { DrillError, type Place } from "./drill-error.ts";

type Value = number | string | boolean;

const TOKEN =
  /\s*(?:(\d+\.\d+|0[xX][0-9a-fA-F]+|\d+)|([A-Za-z_]\w*)|('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|(\*\*|\/\/|<<|>>|[<>=!]=|[-+*/%&|^]=|[-+*/%&|^~<>=(),;]))/y;
const DEPTH_MAX = 64;

export class PythonScope {
  readonly variables = new Map<string, Value>();
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** Throws a DrillError at `place` when an assertion fails or the code is none. */
  run(code: string, place: Place): void {
    let line = place.line;
    for (const raw of joinOpenLines(code)) {
      const at = { line, column: raw.startsWithBlock ? place.column : 1 };
      for (const statement of splitStatements(raw.text)) {
        new Evaluator(statement, this.variables, at, this.#print).statement();
      }
      line += raw.lines;
    }
  }
}

interface LogicalLine {
  text: string;
  lines: number;
  startsWithBlock: boolean;
}

/** Lines, those with an open parenthesis joined with what follows; comments removed. */
function joinOpenLines(code: string): LogicalLine[] {
  const out: LogicalLine[] = [];
  let text = "";
  let lines = 0;
  for (const line of code.split("\n")) {
    text += ` ${withoutComment(line)}`;
    lines++;
    if (text.endsWith("\\")) {
      text = text.slice(0, -1);
      continue;
    }
    const open = text.replace(/'[^']*'|"[^"]*"/g, "");
    if ((open.match(/\(/g)?.length ?? 0) > (open.match(/\)/g)?.length ?? 0)) continue;
    out.push({ text, lines, startsWithBlock: out.length === 0 });
    text = "";
    lines = 0;
  }
  if (text.trim() !== "") out.push({ text, lines, startsWithBlock: false });
  return out;
}

function withoutComment(line: string): string {
  const m = /^(?:[^#'"]|'[^']*'|"[^"]*")*/.exec(line);
  return m === null ? line : m[0];
}

function splitStatements(text: string): string[] {
  const parts = text.match(/(?:[^;'"]|'[^']*'|"[^"]*")+/g) ?? [];
  return parts.filter((part) => part.trim() !== "");
}

/** Loosest first. */
const LEVELS: readonly (readonly string[])[] = [
  ["|"],
  ["^"],
  ["&"],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "//", "%"],
];
const COMPARISONS = ["==", "!=", "<", "<=", ">", ">="];

class Evaluator {
  readonly #tokens: string[] = [];
  readonly #variables: Map<string, Value>;
  readonly #place: Place;
  readonly #print: (line: string) => void;
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(
    text: string,
    variables: Map<string, Value>,
    place: Place,
    print: (s: string) => void,
  ) {
    this.#text = text.trim();
    this.#variables = variables;
    this.#place = place;
    this.#print = print;
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < this.#text.length) {
      const m = TOKEN.exec(this.#text);
      if (m === null) throw this.#error("is not understood");
      this.#tokens.push(m[0].trim());
    }
  }

  #error(message: string): DrillError {
    return new DrillError("syntax", this.#place, `code '${this.#text}' ${message}`);
  }

  statement(): void {
    const [first, second] = this.#tokens;
    if (first === "assert") this.#assert();
    else if (first === "print") {
      this.#at = 1;
      this.#print(String(this.#expression()));
    } else if (second === "=" || /^[-+*/%&|^]=$/.test(second ?? "")) this.#assign(first, second);
    else this.#expression();
    if (this.#at < this.#tokens.length)
      throw this.#error(`has more at '${this.#tokens[this.#at]}'`);
  }

  #assert(): void {
    this.#at = 1;
    const value = this.#expression();
    let message = "";
    if (this.#take(",")) message = ` (${this.#expression()})`;
    if (isTrue(value)) return;
    throw new DrillError("mismatch", this.#place, `expected ${this.#condition()}${message}`);
  }

  #condition(): string {
    return this.#text.replace(/^assert\s+/, "").split(",")[0];
  }

  #assign(name: string, operator: string): void {
    this.#at = 2;
    const value = this.#expression();
    if (operator === "=") this.#variables.set(name, value);
    else this.#variables.set(name, this.#apply(operator[0], this.#variable(name), value));
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #expression(): Value {
    if (++this.#depth > DEPTH_MAX) throw this.#error("is nested too deeply");
    let value = this.#conjunction();
    while (this.#take("or")) {
      const right = this.#conjunction();
      value = isTrue(value) ? value : right;
    }
    this.#depth--;
    return value;
  }

  #conjunction(): Value {
    let value = this.#negation();
    while (this.#take("and")) {
      const right = this.#negation();
      value = isTrue(value) ? right : value;
    }
    return value;
  }

  #negation(): Value {
    if (this.#take("not")) return !isTrue(this.#negation());
    return this.#comparison();
  }

  #comparison(): Value {
    let left = this.#binary(0);
    let result: Value = left;
    for (let first = true; COMPARISONS.includes(this.#tokens[this.#at]); first = false) {
      const operator = this.#tokens[this.#at++];
      const right = this.#binary(0);
      const holds = compare(operator, left, right);
      result = first ? holds : isTrue(result) && holds;
      left = right;
    }
    return result;
  }

  #binary(level: number): Value {
    if (level === LEVELS.length) return this.#unary();
    let value = this.#binary(level + 1);
    while (LEVELS[level].includes(this.#tokens[this.#at])) {
      const operator = this.#tokens[this.#at++];
      value = this.#apply(operator, value, this.#binary(level + 1));
    }
    return value;
  }

  #unary(): Value {
    if (this.#take("-")) return -this.#number(this.#unary());
    if (this.#take("+")) return this.#number(this.#unary());
    if (this.#take("~")) return ~this.#number(this.#unary());
    return this.#primary();
  }

  #primary(): Value {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw this.#error("ends too early");
    if (token === "(") {
      const value = this.#expression();
      if (this.#take(",")) {
        // A tuple, as the right side of %: kept as text parts.
        const parts = [value];
        while (this.#tokens[this.#at] !== ")") {
          parts.push(this.#expression());
          if (!this.#take(",")) break;
        }
        if (!this.#take(")")) throw this.#error("misses ')'");
        return parts.map(String).join("\u0000");
      }
      if (!this.#take(")")) throw this.#error("misses ')'");
      return value;
    }
    if (/^[0-9]/.test(token)) return Number(token);
    if (token[0] === "'" || token[0] === '"') return token.slice(1, -1);
    if (token === "True") return true;
    if (token === "False") return false;
    if (["abs", "int", "min", "max", "round"].includes(token) && this.#take("(")) {
      return this.#callFunction(token);
    }
    return this.#variable(token);
  }

  #callFunction(name: string): Value {
    const args: number[] = [];
    do args.push(this.#number(this.#expression()));
    while (this.#take(","));
    if (!this.#take(")")) throw this.#error("misses ')'");
    if (name === "abs") return Math.abs(args[0]);
    if (name === "int") return Math.trunc(args[0]);
    if (name === "round") return Math.round(args[0]);
    return name === "min" ? Math.min(...args) : Math.max(...args);
  }

  #variable(name: string): Value {
    const value = this.#variables.get(name);
    if (value === undefined) throw this.#error(`uses '${name}', which is not defined`);
    return value;
  }

  #number(value: Value): number {
    if (typeof value === "string") throw this.#error("uses a string as a number");
    return Number(value);
  }

  #apply(operator: string, left: Value, right: Value): Value {
    if (typeof left === "string") {
      if (operator === "%") return format(left, right);
      if (operator === "+") return left + String(right);
    }
    const a = this.#number(left);
    const b = this.#number(right);
    switch (operator) {
      case "+":
        return a + b;
      case "-":
        return a - b;
      case "*":
        return a * b;
      case "/":
        return a / b;
      case "//":
        return Math.floor(a / b);
      case "%":
        return b === 0 ? 0 : a - b * Math.floor(a / b);
      case "&":
        return Number(BigInt(a) & BigInt(b));
      case "|":
        return Number(BigInt(a) | BigInt(b));
      case "^":
        return Number(BigInt(a) ^ BigInt(b));
      case "<<":
        return a * 2 ** b;
      default:
        return Math.floor(a / 2 ** b);
    }
  }
}

const isTrue = (value: Value): boolean => value !== 0 && value !== "" && value !== false;

function compare(operator: string, a: Value, b: Value): boolean {
  const [x, y] = typeof a === "string" || typeof b === "string" ? [a, b] : [Number(a), Number(b)];
  switch (operator) {
    case "==":
      return x === y;
    case "!=":
      return x !== y;
    case "<":
      return x < y;
    case "<=":
      return x <= y;
    case ">":
      return x > y;
    default:
      return x >= y;
  }
}

function format(template: string, value: Value): string {
  const values = typeof value === "string" ? value.split("\u0000") : [String(value)];
  let i = 0;
  return template.replace(/%[-+0-9.]*[dsfxiu]/g, () => values[i++] ?? "");
}
