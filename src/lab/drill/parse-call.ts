// System calls of a script: `name(args) = result [ERRNO] [(note)]`, with C-like values in place of memory.

import type { CallSpec, Expr } from "./ast.ts";
import type { Scanner } from "./scanner.ts";

const NESTING_MAX = 32;

export function parseCall(s: Scanner, name: string, at: number): CallSpec {
  const place = s.place(at);
  s.expect("(");
  const args = parseList(s, ")", 0);
  s.expect("=");
  const result = parseExpr(s, 0);
  let errno: string | null = null;
  // An errno is a word that no event can begin with.
  const word = s.match(/E[A-Z0-9]+\b/y);
  if (word !== null) errno = word;
  if (s.peek() === "(") {
    s.expect("(");
    s.until(")", "the note");
  }
  return { name, args, result, errno, place };
}

function parseList(s: Scanner, close: string, depth: number): Expr[] {
  const items: Expr[] = [];
  if (s.eat(close)) return items;
  do {
    items.push(parseExpr(s, depth + 1));
  } while (s.eat(","));
  s.expect(close);
  return items;
}

export function parseExpr(s: Scanner, depth: number): Expr {
  if (depth > NESTING_MAX) throw s.error("nested too deeply");
  const first = parsePrimary(s, depth);
  if (s.peek() !== "|") return first;
  const parts = [first];
  while (s.eat("|")) parts.push(parsePrimary(s, depth));
  return { kind: "or", parts, place: first.place };
}

function parsePrimary(s: Scanner, depth: number): Expr {
  s.space();
  const place = s.place();
  if (s.eat("...")) return { kind: "ellipsis", place };
  if (s.eat("~")) return { kind: "invert", value: parsePrimary(s, depth + 1), place };
  if (s.eat("[")) return { kind: "list", items: parseList(s, "]", depth), place };
  if (s.eat("{")) return parseBraces(s, depth, place);
  if (s.peek() === '"') return parseString(s);
  const number = s.match(/-?(?:0[xX][0-9a-fA-F]+|\d+)/y);
  if (number !== null) {
    const value = number.startsWith("-") ? -Number(number.slice(1)) : Number(number);
    return { kind: "number", value, place };
  }
  const name = s.word();
  if (name === null) throw s.error("expected a value");
  if (s.peek() === "(") {
    s.expect("(");
    return { kind: "call", name, args: parseList(s, ")", depth), place };
  }
  return { kind: "word", name, place };
}

function parseString(s: Scanner): Expr {
  const place = s.place();
  let value = "";
  // Adjacent strings are one, as in C.
  while (s.peek() === '"') {
    const raw = s.need(/"(?:[^"\\\n]|\\.)*"/y, "a string on one line");
    value += raw.slice(1, -1).replace(/\\x([0-9a-fA-F]{1,2})|\\(.)/g, unescapeOne);
  }
  return { kind: "string", value, place };
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "0": "\0" };
const unescapeOne = (_: string, hex: string | undefined, c: string): string =>
  hex !== undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : (ESCAPES[c] ?? c);

function parseBraces(s: Scanner, depth: number, place: Expr["place"]): Expr {
  const start = s.at;
  const isStruct = s.match(/[A-Za-z_][A-Za-z0-9_]*\s*(?:\([^()]*\))?\s*=/y) !== null;
  s.at = start;
  if (!isStruct) return { kind: "tuple", items: parseList(s, "}", depth), place };
  const fields = new Map<string, Expr>();
  do {
    const name = s.word();
    if (name === null) throw s.error("expected a field");
    // msg_name(...)=, msg_iov(2)=: the count repeats what follows.
    if (s.peek() === "(") {
      s.expect("(");
      parseList(s, ")", depth);
    }
    s.expect("=");
    fields.set(name, parseExpr(s, depth + 1));
  } while (s.eat(","));
  s.expect("}");
  return { kind: "struct", fields, place };
}
