// Resource records (RFC 1035 3.2, 3596, 2782, 6891 and others) as tcpdump prints them.

import { byteString } from "../../base/bytes.ts";
import { type Dissection, printableByte } from "./dissection.ts";
import { printName, skipName } from "./dns-name.ts";
import { relative } from "./igmp.ts";

export const DNS_TYPES: Readonly<Record<number, string>> = {
  1: "A",
  2: "NS",
  3: "MD",
  4: "MF",
  5: "CNAME",
  6: "SOA",
  7: "MB",
  8: "MG",
  9: "MR",
  10: "NULL",
  11: "WKS",
  12: "PTR",
  13: "HINFO",
  14: "MINFO",
  15: "MX",
  16: "TXT",
  17: "RP",
  18: "AFSDB",
  24: "SIG",
  25: "KEY",
  28: "AAAA",
  29: "LOC",
  33: "SRV",
  35: "NAPTR",
  37: "CERT",
  38: "A6",
  39: "DNAME",
  41: "OPT",
  42: "APL",
  43: "DS",
  44: "SSHFP",
  45: "IPSECKEY",
  46: "RRSIG",
  47: "NSEC",
  48: "DNSKEY",
  49: "DHCID",
  50: "NSEC3",
  51: "NSEC3PARAM",
  52: "TLSA",
  53: "SMIMEA",
  55: "HIP",
  59: "CDS",
  60: "CDNSKEY",
  61: "OPENPGPKEY",
  62: "CSYNC",
  63: "ZONEMD",
  64: "SVCB",
  65: "HTTPS",
  99: "SPF",
  108: "EUI48",
  109: "EUI64",
  249: "TKEY",
  250: "TSIG",
  251: "IXFR",
  252: "AXFR",
  253: "MAILB",
  254: "MAILA",
  255: "ANY",
  256: "URI",
  257: "CAA",
};
const OPT = 41;
const CLASSES: Readonly<Record<number, string>> = { 1: "IN", 3: "CHAOS", 4: "HS", 255: "ANY" };

export const className = (number: number): string => CLASSES[number] ?? `(Class ${number})`;
const CLASS_IN = 1;

/** Where the next one begins, or -1. */
export function printRecord(d: Dissection, from: number, message: number, isMdns: boolean): number {
  let at: number;
  if (d.verbosity > 0) {
    d.put(" ");
    at = printName(d, from, message);
    if (at < 0) return -1;
  } else at = skipName(d, from);
  // A record that is cut off ends the message without a mark.
  if (at < 0 || !d.has(at, 10)) return d.end;
  const type = d.u16(at);
  const raw = d.u16(at + 2);
  const kind = isMdns ? raw & 0x7fff : raw;
  if (kind !== CLASS_IN && type !== OPT) d.put(` ${className(kind)}`);
  if (isMdns && (raw & 0x8000) !== 0) d.put(" (Cache flush)");
  if (type !== OPT && d.verbosity > 2) d.put(` [${relative(d.u32(at + 4))}]`);
  const length = d.u16(at + 8);
  d.put(` ${DNS_TYPES[type] ?? `Type${type}`}`);
  const data = at + 10;
  if (!d.has(data, length)) return -1;
  if (type === OPT) {
    d.put(` UDPsize=${kind}`);
    if ((d.u16(at + 6) & 0x8000) !== 0) d.put(" DO");
    return length > 0 ? options(d, data, data + length) : data + length;
  }
  return value(d, type, data, length, message) ? data + length : -1;
}

function value(d: Dissection, type: number, at: number, length: number, message: number): boolean {
  switch (type) {
    case 1:
      if (!d.has(at, 4)) return false;
      d.put(` ${d.ipv4(at)}`);
      return true;
    case 2:
    case 5:
    case 12:
    case 39:
      d.put(" ");
      return printName(d, at, message) >= 0;
    case 6:
      return d.verbosity === 0 || authority(d, at, message);
    case 15:
      if (!d.has(at, 2)) return false;
      d.put(" ");
      if (printName(d, at + 2, message) < 0) return false;
      d.put(` ${d.u16(at)}`);
      return true;
    case 16:
      return texts(d, at, at + length);
    case 28:
      if (!d.has(at, 16)) return false;
      d.put(` ${d.ipv6(at)}`);
      return true;
    case 33:
      if (!d.has(at, 6)) return false;
      d.put(" ");
      if (printName(d, at + 6, message) < 0) return false;
      d.put(`:${d.u16(at + 4)} ${d.u16(at)} ${d.u16(at + 2)}`);
      return true;
    case 256:
      if (length < 4) d.put(` len ${length} is too short (< 4)`);
      else {
        d.put(` ${d.u16(at)} ${d.u16(at + 2)} ${d.printable(at + 4, length - 4)}`);
      }
      return true;
    case 250:
      return d.verbosity === 0 || signature(d, at, message);
    default:
      return true;
  }
}

function authority(d: Dissection, at: number, message: number): boolean {
  d.put(" ");
  let o = printName(d, at, message);
  if (o < 0) return false;
  d.put(" ");
  o = printName(d, o, message);
  if (o < 0 || !d.has(o, 20)) return false;
  for (let i = 0; i < 5; i++) d.put(` ${d.u32(o + i * 4)}`);
  return true;
}

function texts(d: Dissection, from: number, end: number): boolean {
  let o = from;
  while (o < end) {
    const length = d.u8(o);
    d.put(' "');
    const there = Math.min(length, d.end - o - 1);
    for (let i = 1; i <= there; i++) d.put(printableByte(d.u8(o + i)));
    if (there < length) return false;
    d.put('"');
    o += 1 + length;
  }
  return true;
}

/** RFC 8945. */
function signature(d: Dissection, at: number, message: number): boolean {
  d.put(" ");
  let o = printName(d, at, message);
  if (o < 0) return false;
  o += 6;
  if (!d.has(o, 4)) return false;
  d.put(` fudge=${d.u16(o)} maclen=${d.u16(o + 2)}`);
  o += 4 + d.u16(o + 2);
  if (!d.has(o, 6)) return false;
  d.put(` origid=${d.u16(o)} error=${d.u16(o + 2)} otherlen=${d.u16(o + 4)}`);
  return true;
}

const OPTION_NAMES: Readonly<Record<number, string>> = {
  1: "LLQ",
  2: "UL",
  3: "NSID",
  5: "DAU",
  6: "DHU",
  7: "N3U",
  8: "ECS",
  9: "EXPIRE",
  10: "COOKIE",
  11: "KEEPALIVE",
  12: "PADDING",
  13: "CHAIN",
  14: "KEY-TAG",
  16: "CLIENT-TAG",
  17: "SERVER-TAG",
};

/** RFC 6891 6.1.2. */
function options(d: Dissection, from: number, end: number): number {
  d.put(" [");
  let o = from;
  while (o < end) {
    if (!d.has(o, 4)) return -1;
    const code = d.u16(o);
    const length = d.u16(o + 2);
    d.put(OPTION_NAMES[code] ?? `Opt${code}`);
    if (!d.has(o + 4, length)) return -1;
    if (code === 3 && length > 0) d.put(` ${byteString(d.bytes, o + 4, length)}`);
    else if (length > 0) d.put(` ${d.hex(o + 4, length)}`);
    o += 4 + length;
    if (o < end) d.put(",");
  }
  d.put("]");
  return end;
}
