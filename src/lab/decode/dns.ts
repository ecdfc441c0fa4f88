// DNS messages (RFC 1035, 6891, 6762) as tcpdump prints them.

import type { Dissection } from "./dissection.ts";
import { printName, skipName } from "./dns-name.ts";
import { className, DNS_TYPES, printRecord } from "./dns-records.ts";

const HEADER = 12;
const OPERATIONS = [
  "",
  " inv_q",
  " stat",
  " op3",
  " notify",
  " update",
  " op6",
  " op7",
  " op8",
  " updateA",
  " updateD",
  " updateDA",
  " updateM",
  " updateMA",
  " zoneInit",
  " zoneRef",
];
const CODES = [
  "",
  " FormErr",
  " ServFail",
  " NXDomain",
  " NotImp",
  " Refused",
  " YXDomain",
  " YXRRSet",
  " NXRRSet",
  " NotAuth",
  " NotZone",
  " Resp11",
  " Resp12",
  " Resp13",
  " Resp14",
  " NoChange",
  " BadVers",
  "Resp17",
  " Resp18",
  " Resp19",
  " Resp20",
  "Resp21",
  " Resp22",
  " BadCookie",
];
const OPT = 41;
const IQUERY = 1;
const CLASS_IN = 1;
export function decodeDns(d: Dissection, at: number, length: number, isMdns: boolean): void {
  d.protocol = "domain";
  if (length < HEADER) {
    d.put(`domain [length ${length} < 12] (invalid)`);
    return;
  }
  d.need(at, HEADER);
  const flags = d.u16(at + 2);
  const counts = [4, 6, 8, 10].map((o) => d.u16(at + o));
  const isResponse = (flags & 0x8000) !== 0;
  const code = extendedCode(d, at, flags & 15, counts);
  if (d.wantsFields) {
    const [questions, answers, authorities, additionals] = counts;
    const id = d.u16(at);
    const counted = { questions, answers, authorities, additionals };
    d.layer("dns", { id, response: isResponse, opcode: (flags >>> 11) & 15, code, ...counted });
  }
  const isWhole = isResponse
    ? response(d, at, flags, code, counts, isMdns)
    : request(d, at, flags, counts, isMdns);
  d.put(isWhole ? ` (${length})` : " [|domain]");
}

/** RFC 6891 6.1.3: the upper bits stand in the OPT record. */
function extendedCode(d: Dissection, message: number, low: number, counts: number[]): number {
  let at = message + HEADER;
  for (let i = 0; i < counts[0]; i++) {
    at = skipName(d, at);
    if (at < 0 || !d.has(at, 5)) return low;
    at += 4;
  }
  for (let i = 0; i < counts[1] + counts[2] + counts[3]; i++) {
    at = skipName(d, at);
    if (at < 0 || !d.has(at, 10)) return low;
    const isAdditional = i >= counts[1] + counts[2];
    if (isAdditional && d.u16(at) === OPT) return low | (d.u8(at + 4) << 4);
    at += 10 + d.u16(at + 8);
    if (!d.has(at, 1)) return low;
  }
  return low;
}

function response(
  d: Dissection,
  at: number,
  flags: number,
  code: number,
  counts: number[],
  isMdns: boolean,
): boolean {
  const [questions, answers, authorities, additionals] = counts;
  d.put(`${d.u16(at)}${OPERATIONS[(flags >>> 11) & 15]}${CODES[code] ?? ` Resp${code}`}`);
  if ((flags & 0x0400) !== 0) d.put("*");
  if ((flags & 0x0080) === 0) d.put("-");
  if ((flags & 0x0200) !== 0) d.put("|");
  if ((flags & 0x0020) !== 0) d.put("$");
  if (questions !== 1) d.put(` [${questions}q]`);
  let o = at + HEADER;
  for (let i = 0; i < questions; i++) {
    if (i > 0) d.put(",");
    if (d.verbosity > 1) {
      d.put(" q:");
      o = question(d, o, at, isMdns);
    } else {
      o = skipName(d, o);
      if (o >= 0) o += 4;
    }
    if (o < 0) return false;
  }
  d.put(` ${answers}/${authorities}/${additionals}`);
  o = section(d, o, at, answers, "", isMdns, true);
  if (o < 0 || d.verbosity <= 1) return o >= 0;
  o = section(d, o, at, authorities, " ns:", isMdns, false);
  if (o < 0) return false;
  return section(d, o, at, additionals, " ar:", isMdns, false) >= 0;
}

function request(
  d: Dissection,
  at: number,
  flags: number,
  counts: number[],
  isMdns: boolean,
): boolean {
  const [questions, answers, authorities, additionals] = counts;
  const operation = (flags >>> 11) & 15;
  d.put(`${d.u16(at)}${OPERATIONS[operation]}`);
  if ((flags & 0x0100) !== 0) d.put("+");
  if ((flags & 0x0010) !== 0) d.put("%");
  if ((flags & 0x06cf) !== 0) d.put(` [b2&3=0x${flags.toString(16)}]`);
  if (operation === IQUERY) {
    if (questions !== 0) d.put(` [${questions}q]`);
    if (answers !== 1) d.put(` [${answers}a]`);
  } else {
    if (answers !== 0) d.put(` [${answers}a]`);
    if (questions !== 1) d.put(` [${questions}q]`);
  }
  if (authorities !== 0) d.put(` [${authorities}n]`);
  if (additionals !== 0) d.put(` [${additionals}au]`);
  let o = at + HEADER;
  for (let i = 0; i < questions; i++) {
    if (i > 0 && o >= d.end) return false;
    o = question(d, o, at, isMdns);
    if (o < 0) return false;
  }
  if (d.verbosity <= 1) return true;
  o = section(d, o, at, answers, "", isMdns, true);
  if (o < 0) return false;
  o = section(d, o, at, authorities, " ns:", isMdns, false);
  if (o < 0) return false;
  return section(d, o, at, additionals, " ar:", isMdns, false) >= 0;
}

/** `count` records with commas between; where they end, or -1. */
function section(
  d: Dissection,
  from: number,
  message: number,
  count: number,
  label: string,
  isMdns: boolean,
  isFirst: boolean,
): number {
  if (count === 0) return from;
  if (!isFirst && from >= d.end) return -1;
  d.put(label);
  let o = printRecord(d, from, message, isMdns);
  let left = count - 1;
  while (o >= 0 && o < d.end && left > 0) {
    d.put(",");
    o = printRecord(d, o, message, isMdns);
    left--;
  }
  return left > 0 ? -1 : o;
}

function question(d: Dissection, at: number, message: number, isMdns: boolean): number {
  const o = skipName(d, at);
  if (o < 0 || !d.has(o, 4)) return -1;
  const type = d.u16(o);
  const raw = d.u16(o + 2);
  const kind = isMdns ? raw & 0x7fff : raw;
  d.put(` ${DNS_TYPES[type] ?? `Type${type}`}`);
  if (kind !== CLASS_IN) d.put(` ${className(kind)}`);
  if (isMdns) d.put((raw & 0x8000) !== 0 ? " (QU)" : " (QM)");
  d.put("? ");
  const end = printName(d, at, message);
  return end < 0 ? -1 : end + 4;
}
