// A captured and a replayed connection side by side: which packet answers to which, and what is different. Packets
// of the played side are the same by construction; they hold the two columns together.

import { FIN, RST, SYN } from "../drill/frame.ts";
import type { Side } from "./conversation.ts";
import { segmentText, type WireSegment } from "./wire-segment.ts";

export type Mark =
  /** The same numbers and flags. */
  | "same"
  /** In the same place, but not the same. */
  | "changed"
  | "captured"
  | "replayed";

export interface DiffRow {
  mark: Mark;
  captured: WireSegment | null;
  replayed: WireSegment | null;
}

/** How far ahead the next common packet is looked for. */
const AHEAD_MAX = 40;
const KIND = SYN | FIN | RST;

function keyOf(s: WireSegment, side: Side): string {
  if (s.from === side && s.number > 0) return `#${s.number}`;
  return `${s.from} ${s.flags & KIND} ${s.at} ${s.length} ${s.ack}`;
}

/** `side`: the one that was played. */
export function align(
  captured: readonly WireSegment[],
  replayed: readonly WireSegment[],
  side: Side,
): DiffRow[] {
  const rows: DiffRow[] = [];
  const keysA = captured.map((s) => keyOf(s, side));
  const keysB = replayed.map((s) => keyOf(s, side));
  let i = 0;
  let j = 0;
  while (i < captured.length || j < replayed.length) {
    const [skipA, skipB] = nextCommon(keysA, i, keysB, j);
    pairUp(captured.slice(i, i + skipA), replayed.slice(j, j + skipB), rows);
    i += skipA;
    j += skipB;
    if (i >= captured.length || j >= replayed.length) continue;
    const [a, b] = [captured[i++], replayed[j++]];
    const isSame = a.from === side || isAlike(a, b);
    rows.push({ mark: isSame ? "same" : "changed", captured: a, replayed: b });
  }
  return rows;
}

/** How many of each are to be passed over until both have the same packet. */
function nextCommon(
  a: readonly string[],
  i: number,
  b: readonly string[],
  j: number,
): [number, number] {
  const [restA, restB] = [a.length - i, b.length - j];
  if (restA === 0 || restB === 0) return [restA, restB];
  for (let sum = 0; sum <= AHEAD_MAX; sum++) {
    for (let skipA = 0; skipA <= sum; skipA++) {
      const skipB = sum - skipA;
      if (skipA < restA && skipB < restB && a[i + skipA] === b[j + skipB]) return [skipA, skipB];
    }
  }
  return [Math.min(restA, AHEAD_MAX), Math.min(restB, AHEAD_MAX)];
}

/** Packets without a twin: in one row where they are of one kind, else each alone. */
function pairUp(a: readonly WireSegment[], b: readonly WireSegment[], rows: DiffRow[]): void {
  let j = 0;
  for (const captured of a) {
    const twin = b.findIndex((s, k) => k >= j && s.from === captured.from && overlaps(s, captured));
    if (twin < 0) {
      rows.push({ mark: "captured", captured, replayed: null });
      continue;
    }
    for (; j < twin; j++) rows.push({ mark: "replayed", captured: null, replayed: b[j] });
    rows.push({ mark: "changed", captured, replayed: b[twin] });
    j = twin + 1;
  }
  for (; j < b.length; j++) rows.push({ mark: "replayed", captured: null, replayed: b[j] });
}

function overlaps(a: WireSegment, b: WireSegment): boolean {
  if ((a.length === 0) !== (b.length === 0) || (a.flags & KIND) !== (b.flags & KIND)) return false;
  if (a.length === 0) return a.at === b.at;
  return a.at < b.at + b.length && b.at < a.at + a.length;
}

function isAlike(a: WireSegment, b: WireSegment): boolean {
  return (
    a.flags === b.flags &&
    (a.window === 0) === (b.window === 0) &&
    a.sacks.length === b.sacks.length &&
    a.sackPermitted === b.sackPermitted &&
    a.hasTimestamps === b.hasTimestamps
  );
}

/** Rows in which the side that was not played did something else. */
export function countDifferences(rows: readonly DiffRow[], side: Side): number {
  let count = 0;
  for (const { mark, captured, replayed } of rows) {
    if (mark !== "same" && (captured ?? replayed)?.from !== side) count++;
  }
  return count;
}

// --- As text ---

const MARKS: Readonly<Record<Mark, string>> = {
  same: " ",
  changed: "~",
  captured: "-",
  replayed: "+",
};
const COLUMN = 62;

export interface DiffTextOptions {
  /** Rows around a difference; null: all rows. */
  context: number | null;
  rowsMax: number;
}

/** Two columns, captured and replayed; times count from each one's first packet. */
export function diffText(rows: readonly DiffRow[], side: Side, options: DiffTextOptions): string {
  const shown = shownRows(rows, side, options.context);
  const startA = rows.find((row) => row.captured !== null)?.captured?.timeNs ?? 0;
  const startB = rows.find((row) => row.replayed !== null)?.replayed?.timeNs ?? 0;
  const lines = [`  ${"captured".padEnd(COLUMN)} | replayed`];
  let last = -1;
  let count = 0;
  for (const i of shown) {
    if (count++ === options.rowsMax) {
      lines.push(`  ... ${shown.length - options.rowsMax} more rows`);
      break;
    }
    if (i > last + 1) lines.push("  ...");
    last = i;
    const { mark, captured, replayed } = rows[i];
    const isPlayed = (captured ?? replayed)?.from === side;
    const left = cell(captured, startA, isPlayed);
    lines.push(`${MARKS[mark]} ${left.padEnd(COLUMN)} | ${cell(replayed, startB, isPlayed)}`);
  }
  return lines.map((line) => line.trimEnd()).join("\n");
}

function cell(s: WireSegment | null, startNs: number, isPlayed: boolean): string {
  if (s === null) return "";
  const seconds = ((s.timeNs - startNs) / 1e9).toFixed(6);
  return `${seconds} ${isPlayed ? "<" : ">"} ${segmentText(s)}`;
}

function shownRows(rows: readonly DiffRow[], side: Side, context: number | null): number[] {
  const all = rows.map((_, i) => i);
  if (context === null) return all;
  const near = new Set<number>();
  rows.forEach(({ mark, captured, replayed }, i) => {
    if (mark === "same" || (captured ?? replayed)?.from === side) return;
    for (let k = i - context; k <= i + context; k++) near.add(k);
  });
  return all.filter((i) => near.has(i));
}
