// TCP's options as tcpdump prints them.

import type { Dissection } from "./dissection.ts";

const END = 0;
const NOP = 1;
/** What nearly every segment has (RFC 7323 appendix A). */
const NOP_NOP_TIMESTAMPS = 0x0101080a;

const KNOWN: Readonly<Record<number, string>> = {
  0: "eol",
  1: "nop",
  2: "mss",
  3: "wscale",
  4: "sackOK",
  5: "sack",
  6: "echo",
  7: "echoreply",
  8: "TS",
  11: "cc",
  12: "ccnew",
  13: "ccecho",
  19: "md5",
  20: "scps",
  28: "uto",
  29: "tcp-ao",
  30: "mptcp",
  34: "tfo",
  254: "exp",
};
const NAMES = Array.from({ length: 256 }, (_, kind) => KNOWN[kind] ?? `unknown-${kind}`);

/** Bytes of value that an option of a fixed form has. */
const FIXED_OF: Readonly<Record<number, number>> = {
  2: 2,
  3: 1,
  6: 4,
  7: 4,
  8: 8,
  11: 4,
  12: 4,
  13: 4,
  19: 16,
  20: 2,
  28: 2,
};
/** By kind; -1: of another form. */
const FIXED = Int8Array.from({ length: 256 }, (_, kind) => FIXED_OF[kind] ?? -1);

/** False when an option is broken: nothing more is printed of the packet. */
export function decodeTcpOptions(
  d: Dissection,
  from: number,
  length: number,
  sackBase: number,
): boolean {
  if (length === 12 && d.has(from, 12) && d.u32(from) === NOP_NOP_TIMESTAMPS) {
    d.put(", options [nop,nop,TS");
    putTimestamps(d, from + 4);
    d.put("]");
    return true;
  }
  d.put(", options [");
  const end = from + length;
  let at = from;
  let isFirst = true;
  while (at < end) {
    if (!isFirst) d.put(",");
    const kind = d.u8(at);
    let size = 1;
    if (kind > NOP) {
      size = d.u8(at + 1);
      if (size < 2 || at + size > end) return bad(d, isFirst);
    }
    d.put(NAMES[kind]);
    const used = printOption(d, kind, at + 2, size - 2, end, sackBase);
    if (used < 0) return bad(d, isFirst);
    const told = kind > NOP ? used + 2 : 1;
    if (told !== size) d.put(`[len ${size}]`);
    isFirst = false;
    at += told;
    if (kind === END) break;
  }
  d.put("]");
  return true;
}

function bad(d: Dissection, isFirst: boolean): false {
  d.put("[bad opt]");
  if (!isFirst) d.put("]");
  return false;
}

/** How many bytes of value were printed; -1: they leave the header. */
function printOption(
  d: Dissection,
  kind: number,
  at: number,
  size: number,
  end: number,
  sackBase: number,
): number {
  const fixed = FIXED[kind];
  if (fixed >= 0) {
    if (at + fixed > end) return -1;
    printFixed(d, kind, at);
    return fixed;
  }
  switch (kind) {
    case 0:
    case 1:
    case 4:
      return 0;
    case 5:
      return printSack(d, at, size, end, sackBase);
    case 34:
      d.put(" ");
      printCookie(d, at, size);
      return size;
    case 254: {
      if (size < 2) return -1;
      const magic = d.u16(at);
      d.put("-");
      if (magic === 0xf989) {
        d.put("tfo");
        printCookie(d, at + 2, size - 2);
      } else d.put(magic.toString(16).padStart(4, "0"));
      return size;
    }
    case 29:
      return printAuthentication(d, at, size);
    default:
      if (size > 0) d.put(` 0x${d.hex(at, size)}`);
      return size;
  }
}

function printFixed(d: Dissection, kind: number, at: number): void {
  switch (kind) {
    case 2:
      d.put(` ${d.u16(at)}`);
      break;
    case 3:
      d.put(` ${d.u8(at)}`);
      break;
    case 8:
      putTimestamps(d, at);
      break;
    case 19:
      d.put(` ${d.hex(at, 16)}`);
      break;
    case 20:
      d.put(` cap ${d.hex(at, 1)} id ${d.u8(at + 1)}`);
      break;
    case 28: {
      const value = d.u16(at);
      const seconds = (value & 1) !== 0 ? (value >>> 1) * 60 : value >>> 1;
      d.put(` 0x${value.toString(16)} ${seconds}`);
      break;
    }
    default:
      d.put(` ${d.u32(at)}`);
  }
}

function putTimestamps(d: Dissection, at: number): void {
  d.need(at, 8);
  d.put(" val ");
  d.putNumber(d.u32(at));
  d.put(" ecr ");
  d.putNumber(d.u32(at + 4));
}

function printSack(d: Dissection, at: number, size: number, end: number, base: number): number {
  if (size % 8 !== 0) {
    d.put(" invalid sack");
    return size;
  }
  d.put(` ${size / 8} `);
  for (let i = 0; i < size; i += 8) {
    if (at + i + 8 > end) return -1;
    const left = (d.u32(at + i) - base) >>> 0;
    const right = (d.u32(at + i + 4) - base) >>> 0;
    d.put("{");
    d.putNumber(left);
    d.put(":");
    d.putNumber(right);
    d.put("}");
  }
  return size;
}

/** RFC 7413 4.1.1. */
function printCookie(d: Dissection, at: number, size: number): void {
  if (size === 0) d.put(" cookiereq");
  else if (size % 2 !== 0 || size < 4 || size > 16) {
    d.put("len invalid");
  } else d.put(` cookie ${d.hex(at, size)}`);
}

/** RFC 5925 2.2. */
function printAuthentication(d: Dissection, at: number, size: number): number {
  if (size < 2) {
    d.put(" (invalid)");
    return size;
  }
  d.put(` keyid ${d.u8(at)} rnextkeyid ${d.u8(at + 1)}`);
  if (size > 2) d.put(` mac 0x${d.hex(at + 2, size - 2)}`);
  return size;
}
