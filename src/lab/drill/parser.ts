// A whole script: `--option[=value]`*, an optional command, events each with its time, an optional command
// at the end. Defined words (-D K=V) are put in before parsing, outside strings and commands too, as the
// language has it.

import type { Command, EventTime, Script, ScriptEvent } from "./ast.ts";
import { parseCall } from "./parse-call.ts";
import { parsePacket } from "./parse-packet.ts";
import { Scanner } from "./scanner.ts";

/** Events of one script; the longest public one has 242. */
const EVENTS_MAX = 100_000;

export function parseScript(
  text: string,
  defines: ReadonlyMap<string, string>,
  words: ReadonlySet<string> = NO_WORDS,
): Script {
  const s = new Scanner(withoutBranches(text, words));
  const options = parseOptions(s);
  const all = new Map(defines);
  for (const [key, value] of options) if (key.startsWith("define:")) all.set(key.slice(7), value);
  const scanner = all.size === 0 ? s : redefine(s, all);
  const lines = text.split("\n");
  const script: Script = { options, init: null, events: [], cleanup: null, failure: null };
  if (scanner.peek() === "`") script.init = parseCommand(scanner);
  while (!scanner.isEnd) {
    if (scanner.peek() === "`") {
      script.cleanup = parseCommand(scanner);
      if (!scanner.isEnd) throw scanner.error("nothing may follow the final command");
      break;
    }
    if (script.events.length >= EVENTS_MAX) throw scanner.error("too many events");
    const event = parseEvent(scanner);
    if (isSaidToFail(lines, event.place.line)) script.failure ??= event.place;
    script.events.push(event);
  }
  return script;
}

/** `// Failure: ...` in the line above: the script tests the checks, and this event has to fail. */
const isSaidToFail = (lines: readonly string[], line: number): boolean =>
  /^\s*\/\/ Failure:/.test(lines[line - 2] ?? "");

const NO_WORDS: ReadonlySet<string> = new Set();

/** #ifdef, #ifndef, #else, #endif: what does not hold becomes empty lines, so that places stay. */
function withoutBranches(text: string, words: ReadonlySet<string>): string {
  if (!/^#(ifdef|ifndef)\b/m.test(text)) return text;
  /** Of each open branch: does it hold? */
  const open: boolean[] = [];
  const lines = text.split("\n").map((line) => {
    const found = /^#(ifdef|ifndef|else|endif)\b\s*(\w*)/.exec(line);
    if (found === null) return open.includes(false) ? "" : line;
    const [, name, word] = found;
    if (name === "endif") open.pop();
    else if (name === "else") open.push(!open.pop());
    else open.push(words.has(word) === (name === "ifdef"));
    return "";
  });
  return lines.join("\n");
}

/** Replaces defined words by spaces-padded values where that keeps columns, and anyhow keeps lines. */
function redefine(s: Scanner, defines: ReadonlyMap<string, string>): Scanner {
  const head = s.text.slice(0, s.at).replace(/[^\n]/g, " ");
  const body = s.text
    .slice(s.at)
    .replace(/\b[A-Za-z_][A-Za-z0-9_]*\b/g, (word) => defines.get(word) ?? word);
  return new Scanner(head + body);
}

function parseOptions(s: Scanner): Map<string, string> {
  const options = new Map<string, string>();
  while (s.looksAt("--")) {
    s.expect("--");
    const name = s.need(/[a-z_A-Z0-9]+/y, "an option");
    let value = "";
    if (s.text[s.at] === "=") {
      s.at++;
      value = s.match(/[^\s]+/y) ?? "";
    }
    if (name === "define") {
      const [key, ...rest] = value.split("=");
      options.set(`define:${key}`, rest.join("="));
    } else options.set(name, value);
  }
  return options;
}

function parseCommand(s: Scanner): Command {
  s.space();
  const place = s.place();
  s.expect("`");
  return { text: s.until("`", "the command"), place };
}

const NUMBER = /\d+(?:\.\d*)?|\.\d+/y;

function seconds(s: Scanner): number {
  return Number(s.need(NUMBER, "a time"));
}

function parseTime(s: Scanner): EventTime {
  const time: EventTime = {
    isRelative: false,
    isAny: false,
    startS: 0,
    rangeEndS: null,
    blockingEndS: null,
  };
  if (s.eat("*")) {
    time.isAny = true;
    return time;
  }
  time.isRelative = s.eat("+");
  // "0...0.2": the number must not take the first of the three dots.
  const text = s.need(/\d+(?:\.(?!\.)\d*)?|\.\d+/y, "the time of an event");
  time.startS = Number(text);
  if (s.eat("~")) {
    s.eat("+");
    time.rangeEndS = seconds(s);
  } else if (s.eat("...")) {
    s.eat("+");
    time.blockingEndS = seconds(s);
  }
  return time;
}

function parseEvent(s: Scanner): ScriptEvent {
  const timeAt = s.at;
  const time = parseTime(s);
  s.space();
  const at = s.at;
  const place = s.place(at);
  const next = s.peek();
  if (next !== ">" && (time.isAny || time.rangeEndS !== null)) {
    throw s.error("only an outbound packet may come at any time or in a range", timeAt);
  }
  if (next === "<" || next === ">") return { time, place, kind: "packet", packet: parsePacket(s) };
  if (next === "`") return { time, place, kind: "command", command: parseCommand(s) };
  if (s.eat("%{")) return { time, place, kind: "code", text: s.until("}%", "the code") };
  const name = s.word();
  if (name === null) throw s.error("expected a packet, a system call, a command or code");
  return { time, place, kind: "call", call: parseCall(s, name, at) };
}
