// A failing case of the target `stack` as a packetdrill script, where one can say it: the frames of one TCP
// connection over IPv4 that a peer opened, in their order and times, with what the stack answered. What it answered
// is the failure; whoever mends it corrects these lines.

import { i32, u16, u32 } from "../../base/bytes.ts";

export interface SeenFrame {
  nowNs: number;
  bytes: Uint8Array;
  isOut: boolean;
}

/** A call of the application, as a line of the script says it. */
export interface SeenCall {
  nowNs: number;
  call: string;
}

const IP = 14;
const TCP = 34;

const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [1, "F"],
  [2, "S"],
  [4, "R"],
  [8, "P"],
  [32, "U"],
  [64, "E"],
  [128, "W"],
];

/** Segments over IPv4 without IP options; others cannot be in the script. */
function isSegment(b: Uint8Array): boolean {
  return b.length >= 54 && u16(b, 12) === 0x0800 && b[IP] === 0x45 && b[IP + 9] === 6;
}

class Script {
  readonly lines: string[] = [];
  /** The first sequence number of the peer, and of the stack. */
  #iss: number | null = null;
  #theirIss: number | null = null;
  #lastNs = 0;
  readonly #showsWindows: boolean;

  constructor(showsWindows: boolean) {
    this.#showsWindows = showsWindows;
  }

  #after(nowNs: number): string {
    const after = ((nowNs - this.#lastNs) / 1e9).toFixed(3);
    this.#lastNs = nowNs;
    return after;
  }

  addCall({ nowNs, call }: SeenCall): void {
    this.lines.push(`+${this.#after(nowNs)} ${call}`);
  }

  add({ nowNs, bytes: b, isOut }: SeenFrame): boolean {
    const flags = b[TCP + 13];
    const isSyn = (flags & 2) !== 0;
    if (!isOut && isSyn) this.#iss ??= i32(b, TCP + 4);
    if (isOut && isSyn) this.#theirIss ??= i32(b, TCP + 4);
    if (this.#iss === null) return false;
    const [mine, other] = isOut ? [this.#theirIss, this.#iss] : [this.#iss, this.#theirIss];
    const seq = mine === null ? u32(b, TCP + 4) : (i32(b, TCP + 4) - mine) >>> 0;
    const header = (b[TCP + 12] >>> 4) << 2;
    const length = u16(b, IP + 2) - 20 - header;
    if (header < 20 || length < 0) return false;
    const letters = FLAG_LETTERS.filter(([bit]) => (flags & bit) !== 0).map(([, c]) => c);
    const hasAck = (flags & 16) !== 0;
    let text = `${letters.join("")}${hasAck ? "." : ""} ${seq}:${(seq + length) >>> 0}(${length})`;
    if (hasAck)
      text += ` ack ${other === null ? u32(b, TCP + 8) : (i32(b, TCP + 8) - other) >>> 0}`;
    // How large a window is depends on the limits of the stack under test, which are small.
    if (!isOut || this.#showsWindows) text += ` win ${u16(b, TCP + 14)}`;
    const options = optionText(b, TCP + 20, TCP + header, isOut);
    if (options === null) return false;
    if (options !== "") text += ` <${options}>`;
    this.lines.push(`+${this.#after(nowNs)}${isOut ? " >" : " <"} ${text}`);
    return true;
  }
}

/** null: options that a script cannot say; timestamps echo numbers that are drawn anew each time. */
function optionText(b: Uint8Array, from: number, to: number, isOut: boolean): string | null {
  // What the stack sends is compared; its options are its own affair here.
  if (isOut) return from === to ? "" : "...";
  const words: string[] = [];
  for (let o = from; o < to; ) {
    const kind = b[o];
    if (kind === 0) words.push("eol");
    if (kind === 1) words.push("nop");
    if (kind < 2) {
      o++;
      continue;
    }
    const size = b[o + 1];
    if (size < 2 || o + size > to) return null;
    if (kind === 2) words.push(`mss ${u16(b, o + 2)}`);
    else if (kind === 3) words.push(`wscale ${b[o + 2]}`);
    else if (kind === 4) words.push("sackOK");
    else return null;
    o += size;
  }
  return words.join(",");
}

/** null: not a single connection that a peer opened over IPv4. */
export function drillScript(events: readonly (SeenFrame | SeenCall)[], law: string): string | null {
  const isCall = (e: SeenFrame | SeenCall): e is SeenCall => "call" in e;
  const seen = events.filter((e) => isCall(e) || u16(e.bytes, 12) !== 0x0806);
  const segments = seen.filter((e) => !isCall(e)) as SeenFrame[];
  if (segments.length === 0 || !segments.every((f) => isSegment(f.bytes))) return null;
  const tuple = (f: SeenFrame): number =>
    f.isOut ? (u16(f.bytes, TCP + 2) << 16) | u16(f.bytes, TCP) : u32(f.bytes, TCP) | 0;
  if (new Set(segments.map(tuple)).size !== 1) return null;
  const script = new Script(/window|edge/.test(law));
  for (const one of seen) {
    if (isCall(one)) script.addCall(one);
    else if (!script.add(one)) return null;
  }
  return [
    `// Found by netcell fuzz: ${law}.`,
    "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
    "+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0",
    "+0 bind(3, ..., ...) = 0",
    "+0 listen(3, 8) = 0",
    ...script.lines,
    "",
  ].join("\n");
}
