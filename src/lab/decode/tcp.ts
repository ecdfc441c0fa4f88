// TCP (RFC 9293) as tcpdump prints it: flags, relative sequence numbers, options, and the first lines of what
// is spoken on the ports of HTTP and DNS.

import type { Family } from "../../netstack/index.ts";
import { type Addresses, shouldBe, transportSum } from "./checksums.ts";
import { type Dissection, hex } from "./dissection.ts";
import { decodeDns } from "./dns.ts";
import { decodeHttp } from "./http.ts";
import { decodeTcpOptions } from "./tcp-options.ts";
import type { TcpSequences } from "./tcp-sequence.ts";

const HEADER = 20;
const PROTO_TCP = 6;
export const FLAG_FIN = 1;
export const FLAG_SYN = 2;
export const FLAG_RST = 4;
export const FLAG_ACK = 16;
export const FLAG_URG = 32;

const FLAGS: readonly (readonly [number, string])[] = [
  [1, "F"],
  [2, "S"],
  [4, "R"],
  [8, "P"],
  [16, "."],
  [32, "U"],
  [64, "E"],
  [128, "W"],
  [256, "e"],
];
const FLAG_TEXTS = Array.from({ length: 512 }, (_, flags) => {
  const text = FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, letter]) => letter);
  return text.length === 0 ? "none" : text.join("");
});

const HTTP_PORTS = new Set([80, 8080, 3128]);
const DNS_PORT = 53;
const RST_TEXT_MAX = 30;

export interface TcpContext {
  family: Family;
  src: string;
  dst: string;
  addresses: Addresses;
  /** The addresses stand before the ports: not behind IPv6 extension headers. */
  showsAddresses: boolean;
  isFragment: boolean;
  sequences: TcpSequences;
  isAbsolute: boolean;
}

export function decodeTcp(d: Dissection, at: number, length: number, c: TcpContext): void {
  d.protocol = "tcp";
  if (!d.has(at, 4)) {
    d.text += `${c.src} > ${c.dst}:`;
    d.need(at, 4);
  }
  const sport = d.u16(at);
  const dport = d.u16(at + 2);
  d.text += c.showsAddresses ? `${c.src}.${sport} > ${c.dst}.${dport}: ` : `${sport} > ${dport}: `;
  const headerBytes = (d.u8(at + 12) >>> 4) * 4;
  if (headerBytes < HEADER) {
    d.text += ` tcp ${length - headerBytes} [bad hdr length ${headerBytes} - too short, < 20] (invalid)`;
    return;
  }
  const sequence = d.u32(at + 4);
  const acknowledgment = d.u32(at + 8);
  const window = d.u16(at + 14);
  const urgent = d.u16(at + 18);
  const flags = ((d.u8(at + 12) & 1) << 8) | d.u8(at + 13);
  d.text += `Flags [${FLAG_TEXTS[flags]}]`;
  const { sequences } = c;
  if (!c.isAbsolute && (flags & FLAG_ACK) !== 0) {
    const isSyn = (flags & FLAG_SYN) !== 0;
    sequences.relate(
      c.addresses.src,
      c.addresses.next,
      sport,
      dport,
      sequence,
      acknowledgment,
      isSyn,
    );
  } else sequences.absolute();
  if (headerBytes > length) {
    d.text += ` [bad hdr length ${headerBytes} - too long, > ${length}] (invalid)`;
    return;
  }
  const field = d.u16(at + 16);
  const wantsSum = (d.verbosity > 0 || d.wantsFields) && !c.isFragment;
  const sum = wantsSum ? transportSum(d, at, length, PROTO_TCP, c.addresses) : null;
  if (sum !== null && d.verbosity > 0) {
    const verdict = sum === 0 ? "correct" : `incorrect -> 0x${hex(shouldBe(field, sum), 4)}`;
    d.text += `, cksum 0x${hex(field, 4)} (${verdict})`;
  }
  const data = length - headerBytes;
  if (d.wantsFields) {
    d.layer("tcp", {
      sport,
      dport,
      flags: FLAG_TEXTS[flags],
      sequence,
      acknowledgment,
      window,
      urgent,
      headerBytes,
      checksum: field,
      checksumCorrect: sum === null ? null : sum === 0,
      length: data,
    });
  }
  const start = (sequence - sequences.sequenceBase) >>> 0;
  if (data > 0) d.text += `, seq ${start}:${(start + data) >>> 0}`;
  else if (d.verbosity > 1 || (flags & (FLAG_SYN | FLAG_FIN | FLAG_RST)) !== 0) {
    d.text += `, seq ${start}`;
  }
  if ((flags & FLAG_ACK) !== 0) {
    d.text += `, ack ${(acknowledgment - sequences.acknowledgmentBase) >>> 0}`;
  } else if (d.verbosity > 1 && acknowledgment !== 0) {
    d.text += `, [ack ${acknowledgment} != 0 while ACK flag not set]`;
  }
  d.text += `, win ${window}`;
  if ((flags & FLAG_URG) !== 0) d.text += `, urg ${urgent}`;
  else if (d.verbosity > 1 && urgent !== 0) {
    d.text += `, [urg ${urgent} != 0 while URG flag not set]`;
  }
  if (headerBytes > HEADER) {
    const isWhole = decodeTcpOptions(d, at + HEADER, headerBytes - HEADER, sequences.sackBase);
    if (!isWhole) return;
  }
  d.text += `, length ${data}`;
  if (data === 0) return;
  decodePayload(d, at, headerBytes, data, flags, sport, dport);
}

function decodePayload(
  d: Dissection,
  at: number,
  headerBytes: number,
  data: number,
  flags: number,
  sport: number,
  dport: number,
): void {
  const payload = at + headerBytes;
  if ((flags & FLAG_RST) !== 0) {
    if (d.verbosity > 0) {
      const more = data > RST_TEXT_MAX ? "+" : "";
      d.text += ` [RST${more} ${d.printable(payload, Math.min(data, RST_TEXT_MAX))}]`;
    }
    d.need(payload, data);
    return;
  }
  if (sport === DNS_PORT || dport === DNS_PORT) {
    decodeDnsOverTcp(d, payload, data);
  } else if (HTTP_PORTS.has(sport) || HTTP_PORTS.has(dport)) {
    d.text += ": ";
    decodeHttp(d, payload, data);
  }
}

/** RFC 1035 4.2.2: a length of two bytes in front. */
function decodeDnsOverTcp(d: Dissection, at: number, length: number): void {
  if (length < 2) {
    d.text += ` [DNS over TCP: length ${length} < 2] (invalid)`;
    return;
  }
  const prefix = d.u16(at);
  if (prefix !== length - 2) {
    d.text += ` [prefix length(${prefix}) != length(${length - 2})] (invalid)`;
    return;
  }
  d.text += " ";
  decodeDns(d, at + 2, length - 2, false);
}
