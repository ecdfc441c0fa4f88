// Packets of a script: `<` or `>`, what the IP header must say, and TCP, UDP or ICMP.

import { setU16, setU32 } from "../../base/bytes.ts";
import type { EcnCheck, IcmpSpec, PacketSpec, TcpOptionSpec, TcpSpec } from "./ast.ts";
import { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG } from "./frame.ts";
import type { Scanner } from "./scanner.ts";

const FLAG_BITS: Readonly<Record<string, number>> = {
  F: FIN,
  S: SYN,
  R: RST,
  P: PSH,
  ".": ACK,
  U: URG,
  E: ECE,
  W: CWR,
  A: AE,
  "-": 0,
};

/** Payload of one packet at most; a merged one may be larger than IP's limit. */
const LENGTH_MAX = 16_000_000;

export function parsePacket(s: Scanner): PacketSpec {
  const isInbound = s.peek() === "<";
  s.at++;
  const packet: PacketSpec = {
    isInbound,
    ecn: null,
    tos: null,
    ttl: null,
    flowLabel: null,
    srcPort: 0,
    dstPort: 0,
    body: { kind: "udp", length: 0 },
  };
  parseIpInfo(s, packet);
  for (const word of ["ipv4", "ipv6", "gre", "mpls", "encap"]) {
    if (s.looksAt(`${word} `)) throw s.error(`encapsulation (${word}) is not supported`);
  }
  if (s.eatWord("icmp")) {
    packet.body = parseIcmp(s);
    return packet;
  }
  if (s.eatWord("udp")) {
    packet.body = { kind: "udp", length: parenthesised(s) };
    return packet;
  }
  parsePorts(s, packet);
  if (s.eatWord("udp")) packet.body = { kind: "udp", length: parenthesised(s) };
  else packet.body = parseTcp(s, isInbound);
  return packet;
}

function parseIpInfo(s: Scanner, packet: PacketSpec): void {
  const open = s.peek();
  if (open !== "[" && open !== "(") return;
  s.expect(open);
  const close = open === "[" ? "]" : ")";
  do {
    const at = s.at;
    const word = s.word();
    if (word === "tos" || word === "class") packet.tos = s.integer();
    else if (word === "ttl" || word === "hl" || word === "hlim") packet.ttl = s.integer();
    else if (word === "flowlabel") packet.flowLabel = s.integer();
    else if (word !== null && ["ect0", "ect1", "ce", "noecn", "ect01"].includes(word)) {
      packet.ecn = word as EcnCheck;
    } else throw s.error("expected ect0, ect1, ce, noecn, ect01, tos, ttl or flowlabel", at);
  } while (s.eat(","));
  s.expect(close);
}

function parsePorts(s: Scanner, packet: PacketSpec): void {
  const start = s.at;
  const text = s.match(/\d+\s*>\s*\d+/y);
  if (text === null) {
    s.at = start;
    return;
  }
  const [src, dst] = text.split(">").map(Number);
  packet.srcPort = src;
  packet.dstPort = dst;
}

function parenthesised(s: Scanner): number {
  s.expect("(");
  const n = s.integer();
  s.expect(")");
  return n;
}

/** start:end(length), where the three must agree. */
function parseSequence(s: Scanner): { seq: number; length: number } {
  const at = s.at;
  const seq = s.integer("a sequence number");
  s.expect(":");
  const end = s.integer();
  const length = parenthesised(s);
  if (length < 0 || length > LENGTH_MAX || (seq + length) >>> 0 !== end >>> 0) {
    throw s.error(`${seq}:${end}(${length}) does not add up`, at);
  }
  return { seq, length };
}

function parseTcp(s: Scanner, isInbound: boolean): TcpSpec {
  const at = s.at;
  const letters = s.need(/[FSRPUEWA.\-0-9]+/y, "TCP flags");
  let flags = 0;
  let ace: number | null = null;
  for (const letter of letters) {
    if (letter >= "0" && letter <= "7") {
      if (ace !== null) throw s.error("two ACE counts", at);
      ace = Number(letter);
      // AE, CWR and ECE are one number then.
      flags |= (ace & 4 ? AE : 0) | (ace & 2 ? CWR : 0) | (ace & 1 ? ECE : 0);
    } else if (FLAG_BITS[letter] === undefined) throw s.error(`no TCP flag '${letter}'`, at);
    else flags |= FLAG_BITS[letter];
  }
  const isAnySeq = !isInbound && s.eat("...");
  const { seq, length } = isAnySeq ? { seq: 0, length: parenthesised(s) } : parseSequence(s);
  const tcp: TcpSpec = {
    kind: "tcp",
    flags,
    ace,
    seq,
    seqMapping: isAnySeq ? "any" : s.eat("!") ? "absolute" : "relative",
    length,
    ack: 0,
    window: null,
    urgent: 0,
    options: [],
  };
  if (s.eatWord("ack")) tcp.ack = s.integer();
  if (s.eatWord("win")) tcp.window = s.integer();
  else if (isInbound) throw s.error("an inbound packet needs 'win'");
  if (s.eatWord("urg")) tcp.urgent = s.integer();
  if (s.peek() === "<") parseOptionsOrEvent(s, tcp);
  return tcp;
}

/** `<` may also begin... nothing else: every event starts with its time. */
function parseOptionsOrEvent(s: Scanner, tcp: TcpSpec): void {
  s.expect("<");
  if (s.eat("...")) {
    tcp.options = null;
    s.expect(">");
    return;
  }
  const options: TcpOptionSpec[] = [];
  if (!s.eat(">")) {
    do options.push(parseOption(s));
    while (s.eat(","));
    s.expect(">");
  }
  let bytes = 0;
  for (const option of options) bytes += optionBytes(option);
  if (bytes % 4 !== 0) throw s.error(`TCP options of ${bytes} bytes are no multiple of 4`);
  if (bytes > 40) throw s.error(`${bytes} bytes of TCP options do not fit in a header`);
  tcp.options = options;
}

export const optionBytes = (option: TcpOptionSpec): number =>
  option.kind <= 1 ? 1 : 2 + option.bytes.length;

function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  for (let i = 0; i < values.length; i++) setU32(bytes, 4 * i, values[i]);
  return bytes;
}

function hexBytes(s: Scanner, what: string): Uint8Array {
  const text = s.match(/[0-9a-fA-F]+/y) ?? "";
  if (text.length % 2 !== 0) throw s.error(`an odd number of digits in ${what}`);
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function parseOption(s: Scanner): TcpOptionSpec {
  const at = s.at;
  const name = s.word();
  switch (name) {
    case "nop":
      return { name, kind: 1, bytes: new Uint8Array(0) };
    case "eol":
      return { name, kind: 0, bytes: new Uint8Array(0) };
    case "mss": {
      const bytes = new Uint8Array(2);
      setU16(bytes, 0, s.integer());
      return { name, kind: 2, bytes };
    }
    case "wscale":
      return { name, kind: 3, bytes: Uint8Array.of(s.integer()) };
    case "sackOK":
      return { name, kind: 4, bytes: new Uint8Array(0) };
    case "sack":
      return { name, kind: 5, bytes: parseSackBlocks(s) };
    case "TS":
      return { name, kind: 8, bytes: parseTimestamps(s) };
    case "md5":
      if (s.match(/valid\b/y) !== null) {
        return { name, kind: 19, bytes: new Uint8Array(16), isSigned: true };
      }
      return { name, kind: 19, bytes: hexBytes(s, "md5") };
    case "FO":
      return { name, kind: 34, bytes: hexBytes(s, "the cookie") };
    case "FOEXP":
      return { name, kind: 254, bytes: Uint8Array.of(0xf9, 0x89, ...hexBytes(s, "the cookie")) };
    case "ECN":
      return parseAccEcn(s);
    default:
      throw s.error(`no TCP option '${name ?? s.peek()}'`, at);
  }
}

function parseSackBlocks(s: Scanner): Uint8Array {
  const edges: number[] = [];
  for (let text = s.match(/\d+\s*:\s*\d+/y); text !== null; text = s.match(/\d+\s*:\s*\d+/y)) {
    edges.push(...text.split(":").map(Number));
  }
  if (edges.length === 0) throw s.error("sack without a block");
  return words(...edges);
}

function parseTimestamps(s: Scanner): Uint8Array {
  if (!s.eatWord("val")) throw s.error("expected 'val'");
  const val = s.integer();
  if (!s.eatWord("ecr")) throw s.error("expected 'ecr'");
  return words(val, s.integer());
}

/** AccECN (RFC 9768): three 24-bit counters; which kind depends on the one that comes first. */
function parseAccEcn(s: Scanner): TcpOptionSpec {
  const bytes: number[] = [];
  let first = "";
  for (
    let name = s.match(/(?:e0b|ceb|e1b)\b/y);
    name !== null;
    name = s.match(/(?:e0b|ceb|e1b)\b/y)
  ) {
    if (first === "") first = name;
    const count = s.integer();
    bytes.push((count >>> 16) & 255, (count >>> 8) & 255, count & 255);
  }
  return { name: "ECN", kind: first === "e1b" ? 174 : 172, bytes: Uint8Array.from(bytes) };
}

function parseIcmp(s: Scanner): IcmpSpec {
  const type = s.word();
  if (type === null) throw s.error("expected an ICMP type");
  const icmp: IcmpSpec = { kind: "icmp", type, code: "", mtu: 0, id: 0, quoted: null };
  for (;;) {
    const at = s.at;
    const word = s.word();
    if (word === "mtu") icmp.mtu = s.integer();
    else if (word === "id") icmp.id = s.integer();
    else if (word !== null && icmp.code === "") icmp.code = word;
    else {
      s.at = at;
      break;
    }
  }
  if (s.eat("[")) {
    if (s.eatWord("udp")) icmp.quoted = { kind: "udp", length: parenthesised(s) };
    else if (s.eatWord("raw")) icmp.quoted = { kind: "raw", length: parenthesised(s) };
    else icmp.quoted = { kind: "tcp", ...parseSequence(s) };
    s.expect("]");
  }
  return icmp;
}
