// DHCP's options (RFC 2132 and others) as tcpdump prints them.

import { type Dissection, hex } from "./dissection.ts";

/**
 * Name and form of the value: i addresses, p pairs of addresses, l 32-bit numbers, L signed ones, s 16-bit
 * numbers, b decimal bytes, a text, B on or off, $ a form of its own.
 */
const TAGS: Readonly<Record<number, string>> = {
  0: " PAD",
  1: "iSubnet-Mask",
  2: "LTime-Zone",
  3: "iDefault-Gateway",
  4: "iTime-Server",
  5: "iIEN-Name-Server",
  6: "iDomain-Name-Server",
  7: "iLOG",
  8: "iCS",
  9: "iLPR-Server",
  10: "iIM",
  11: "iRL",
  12: "aHostname",
  13: "sBS",
  14: "aDP",
  15: "aDomain-Name",
  16: "iSS",
  17: "aRP",
  18: "aEP",
  19: "BIPF",
  20: "BSRT",
  21: "pPF",
  22: "sRSZ",
  23: "bTTL",
  24: "lMTU-Timeout",
  25: "sMTU-Table",
  26: "sMTU",
  27: "BLSN",
  28: "iBR",
  29: "BMD",
  30: "BMS",
  31: "BRouter-Discovery",
  32: "iRSA",
  33: "pStatic-Route",
  34: "BUT",
  35: "lAT",
  36: "BIE",
  37: "bTT",
  38: "lKI",
  39: "BKG",
  40: "aYD",
  41: "iYS",
  42: "iNTP",
  43: "bVendor-Option",
  44: "iNetbios-Name-Server",
  45: "iWDD",
  46: "$Netbios-Node",
  47: "aNetbios-Scope",
  50: "iRequested-IP",
  51: "lLease-Time",
  52: "$OO",
  53: " DHCP-Message",
  54: "iServer-ID",
  55: "bParameter-Request",
  56: "aMSG",
  57: "sMSZ",
  58: "lRN",
  59: "lRB",
  60: "aVendor-Class",
  61: "$Client-ID",
  66: "aTFTP",
  67: "aBF",
  77: "$User-Class",
  81: "$FQDN",
  82: "$Agent-Information",
  78: "bSLP-DA",
  79: "bSLP-SCOPE",
  85: "aSLP-NA",
  88: "aTZSTR",
  90: "bAUTH",
  91: "lLast-Transaction-Time",
  92: "iAssociated-IP",
  93: "sARCH",
  94: "bNDI",
  95: "aLDAP",
  97: "bGUID",
  100: "aPOSIX-TZ",
  101: "aTZ-Name",
  108: "$IPv6-Only-Preferred",
  112: "iNI",
  113: "aNITAG",
  114: "aURL",
  116: "BAuto-Configure",
  117: "sNSSEARCH",
  118: "iSUBNET",
  121: "$Classless-Static-Route",
  150: "iTFTP-Server-Address",
  161: "aMUD-URL",
  249: "$Classless-Static-Route-Microsoft",
  255: " END",
};
const PAD = 0;
const MESSAGE = 53;
const PARAMETERS = 55;
const END = 255;
const MESSAGES = [
  "",
  "Discover",
  "Offer",
  "Request",
  "Decline",
  "ACK",
  "NACK",
  "Release",
  "Inform",
  "",
  "LeaseQuery",
  "LeaseUnassigned",
  "LeaseUnknown",
  "LeaseActive",
];
const HARDWARE: Readonly<Record<number, string>> = {
  1: "ether",
  6: "ieee802",
  7: "arcnet",
  15: "frelay",
  23: "strip",
  24: "ieee1394",
};
const AGENT: Readonly<Record<number, string>> = {
  1: "Circuit-ID",
  2: "Remote-ID",
  6: "Subscriber-ID",
};

/** `from`: the magic cookie. */
export function printDhcpOptions(d: Dissection, from: number): void {
  d.put("\n\t  Vendor-rfc1048 Extensions");
  d.put(`\n\t    Magic Cookie 0x${hex(d.u32(from), 8)}`);
  let at = from + 4;
  while (d.has(at, 1)) {
    const tag = d.u8(at++);
    if (tag === PAD && d.verbosity < 3) continue;
    if (tag === END && d.verbosity < 3) return;
    const form = tagOf(tag);
    const length = tag === PAD || tag === END ? 0 : d.u8(at++);
    d.put(`\n\t    ${form.slice(1)} (${tag}), length ${length}${length > 0 ? ": " : ""}`);
    if (tag === PAD) at = pads(d, at);
    d.need(at, length);
    if (tag === MESSAGE && length === 1) {
      const type = d.u8(at);
      d.put(MESSAGES[type] || `Unknown (${type})`);
    } else if (tag === PARAMETERS) parameters(d, at, length);
    else value(d, tag, form[0], at, length);
    at += length;
  }
}

const tagOf = (tag: number): string => TAGS[tag] ?? "?Unknown";

function pads(d: Dissection, from: number): number {
  let at = from;
  while (d.has(at, 1) && d.u8(at) === PAD) at++;
  if (at > from) d.put(`, occurs ${at - from + 1}`);
  return at;
}

function parameters(d: Dissection, at: number, length: number): void {
  for (let i = 0; i < length; i++) {
    const tag = d.u8(at + i);
    d.put(`${i % 4 === 0 ? "\n\t      " : ", "}${tagOf(tag).slice(1)} (${tag})`);
  }
}

function value(d: Dissection, tag: number, form: string, at: number, length: number): void {
  let kind = form;
  if (kind === "?") kind = length % 2 === 1 ? "b" : length % 4 === 2 ? "s" : "l";
  let used = length;
  switch (kind) {
    case "a":
      d.put(`"${d.printable(at, length)}"`);
      break;
    case "i":
      used = list(d, at, length, 4, (o) => d.ipv4(o));
      break;
    case "l":
      used = list(d, at, length, 4, (o) => String(d.u32(o)));
      break;
    case "L":
      used = list(d, at, length, 4, (o) => String(d.u32(o) | 0));
      break;
    case "s":
      used = list(d, at, length, 2, (o) => String(d.u16(o)));
      break;
    case "p":
      if (length < 8 || length % 8 !== 0) {
        d.put(`${length === 0 ? " " : ""}[length != N x 8 bytes]`);
      } else list(d, at, length, 8, (o) => `(${d.ipv4(o)}:${d.ipv4(o + 4)})`);
      break;
    case "B":
      if (length !== 1) d.put("[length != 1 byte] (invalid)");
      else {
        const on = d.u8(at);
        d.put(on === 0 ? "N" : on === 1 ? "Y" : `${on}?`);
      }
      break;
    case "$":
      used = special(d, tag, at, length);
      break;
    default:
      d.put(Array.from({ length }, (_, i) => d.u8(at + i)).join("."));
  }
  if (used < length) d.put(`\n\t  trailing data length ${length - used}`);
}

function list(
  d: Dissection,
  at: number,
  length: number,
  size: number,
  print: (o: number) => string,
): number {
  const count = Math.floor(length / size);
  for (let i = 0; i < count; i++) d.put(`${i > 0 ? "," : ""}${print(at + i * size)}`);
  return count * size;
}

/** How many bytes were used. */
function special(d: Dissection, tag: number, at: number, length: number): number {
  if (length < 1) {
    d.put("[length < 1 byte] (invalid)");
    return length;
  }
  const first = d.u8(at);
  switch (tag) {
    case 46:
      d.put({ 1: "b-node", 2: "p-node", 4: "m-node", 8: "h-node" }[first] ?? `#${first}`);
      return 1;
    case 52:
      d.put({ 1: "file", 2: "sname", 3: "file+sname" }[first] ?? `#${first}`);
      return 1;
    case 61:
      clientId(d, at, length, first);
      return length;
    case 77:
      userClass(d, at, length);
      return length;
    case 81:
      domainName(d, at, length, first);
      return length;
    case 82:
      agent(d, at, length);
      return length;
    case 108:
      d.put(length === 4 ? String(d.u32(at)) : "[length != 4 bytes] (invalid)");
      return length;
    default:
      routes(d, at, length);
      return length;
  }
}

function clientId(d: Dissection, at: number, length: number, type: number): void {
  if (type === 0) d.put(`"${d.printable(at + 1, length - 1)}"`);
  else if (type === 255) {
    if (length < 9) {
      d.put("[length < 9 bytes] (invalid)");
      return;
    }
    d.put(`IAID ${d.hex(at + 1, 4, ":")}, DUID ${d.hex(at + 5, length - 5, ":")}`);
  } else d.put(`${HARDWARE[type] ?? `hardware-type ${type}`} ${d.hex(at + 1, length - 1, ":")}`);
}

/** RFC 3004. */
function userClass(d: Dissection, at: number, length: number): void {
  if (length < 2) {
    d.put("[length < 2 bytes] (invalid)");
    return;
  }
  let o = at;
  for (let number = 1; o < at + length; number++) {
    const size = d.u8(o++);
    d.put(`\n\t      instance#${number}: `);
    if (size === 0) {
      d.put("[suboption length == 0] (invalid)");
      return;
    }
    if (o + size > at + length) {
      d.put(`[length ${at + length - o} < suboption length ${size} (invalid)`);
      return;
    }
    d.put(`"${d.printable(o, size)}", length ${size}`);
    o += size;
  }
}

/** RFC 4702. */
function domainName(d: Dissection, at: number, length: number, flags: number): void {
  if (length < 3) {
    d.put("[length < 3 bytes] (invalid)");
    return;
  }
  if ((flags & 0xf0) !== 0) d.put(`[MBZ nibble 0x${hex((flags & 0xf0) >>> 4)} != 0]  (invalid)`);
  if ((flags & 0x0f) !== 0) {
    const names = ["S", "O", "E", "N"].filter((_, i) => (flags & (1 << i)) !== 0);
    d.put(`[${names.join("")}] `);
  }
  if (d.u8(at + 1) !== 0 || d.u8(at + 2) !== 0) d.put(`${d.u8(at + 1)}/${d.u8(at + 2)} `);
  d.put(`"${d.printable(at + 3, length - 3)}"`);
}

/** RFC 3046. */
function agent(d: Dissection, at: number, length: number): void {
  if (length < 2) {
    d.put("[length < 2 bytes] (invalid)");
    return;
  }
  let o = at;
  while (o < at + length) {
    const kind = d.u8(o);
    const size = o + 1 < at + length ? d.u8(o + 1) : 0;
    o += 2;
    const name = AGENT[kind] ?? "Unknown";
    d.put(`\n\t      ${name} SubOption ${kind}, length ${size}: `);
    if (o + size > at + length) {
      d.put("length goes past end of option");
      return;
    }
    if (AGENT[kind] !== undefined) d.put(d.printable(o, size));
    o += size;
  }
}

/** RFC 3442. */
function routes(d: Dissection, at: number, length: number): void {
  if (length < 5) {
    d.put("[length < 5 bytes] (invalid)");
    return;
  }
  let o = at;
  const end = at + length;
  while (o < end) {
    if (o > at) d.put(",");
    const bits = d.u8(o++);
    if (bits > 32) {
      d.put(`[Mask width (${bits}) > 32] (invalid)`);
      return;
    }
    const octets = (bits + 7) >>> 3;
    if (end - o < octets + 4) {
      d.put(`[Remaining length (${end - o}) < ${octets + 4} bytes] (invalid)`);
      return;
    }
    const net = Array.from({ length: 4 }, (_, i) => (i < octets ? d.u8(o + i) : 0));
    d.put(bits === 0 ? "(default" : `(${net.join(".")}/${bits}`);
    d.put(`:${d.ipv4(o + octets)})`);
    o += octets + 4;
  }
}
