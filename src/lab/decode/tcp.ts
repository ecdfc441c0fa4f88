// TCP (RFC 9293) as tcpdump prints it: flags, relative sequence numbers, options, and the first lines of what
// is spoken on the ports of HTTP and DNS.

import { type Family, IPV4, IpAddr } from "../../netstack/index.ts";
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
const FLAGS_PRINTED = FLAG_TEXTS.map((text) => `Flags [${text}]`);

const DOT = 46;
const COLON = 58;
const isHttp = (port: number): boolean => port === 80 || port === 8080 || port === 3128;
const DNS_PORT = 53;
const RST_TEXT_MAX = 30;

export interface TcpContext {
  family: Family;
  /** Where the header's addresses stand in the frame. */
  srcAt: number;
  dstAt: number;
  addresses: Addresses;
  /** The addresses stand before the ports: not behind IPv6 extension headers. */
  showsAddresses: boolean;
  isFragment: boolean;
  sequences: TcpSequences;
  isAbsolute: boolean;
}

export const newContext = (sequences: TcpSequences, isAbsolute: boolean): TcpContext => ({
  family: IPV4,
  srcAt: 0,
  dstAt: 0,
  addresses: { src: new IpAddr(), next: new IpAddr(), dst: new IpAddr() },
  showsAddresses: true,
  isFragment: false,
  sequences,
  isAbsolute,
});

/** Addresses and ports as TCP and UDP have them in front; without ports where those are cut off. */
export function putStations(d: Dissection, at: number, c: TcpContext): void {
  const hasPorts = d.has(at, 4);
  if (hasPorts && !c.showsAddresses) {
    d.putNumber(d.u16(at));
    d.put(" > ");
    d.putNumber(d.u16(at + 2));
    d.put(": ");
    return;
  }
  putStation(d, c.srcAt, c.family, hasPorts ? at : -1);
  d.put(" > ");
  putStation(d, c.dstAt, c.family, hasPorts ? at + 2 : -1);
  d.put(hasPorts ? ": " : ":");
  if (!hasPorts) d.need(at, 4);
}

function putStation(d: Dissection, addressAt: number, family: Family, portAt: number): void {
  d.putAddress(addressAt, family);
  if (portAt < 0) return;
  d.putByte(DOT);
  d.putNumber(d.u16(portAt));
}

export function decodeTcp(d: Dissection, at: number, length: number, c: TcpContext): void {
  d.protocol = "tcp";
  putStations(d, at, c);
  const sport = d.u16(at);
  const dport = d.u16(at + 2);
  const headerBytes = (d.u8(at + 12) >>> 4) * 4;
  if (headerBytes < HEADER) {
    d.put(
      ` tcp ${length - headerBytes} [bad hdr length ${headerBytes} - too short, < 20] (invalid)`,
    );
    return;
  }
  const sequence = d.u32(at + 4);
  const acknowledgment = d.u32(at + 8);
  const window = d.u16(at + 14);
  const urgent = d.u16(at + 18);
  const flags = ((d.u8(at + 12) & 1) << 8) | d.u8(at + 13);
  d.put(FLAGS_PRINTED[flags]);
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
    d.put(` [bad hdr length ${headerBytes} - too long, > ${length}] (invalid)`);
    return;
  }
  const field = d.u16(at + 16);
  const wantsSum = (d.verbosity > 0 || d.wantsFields) && !c.isFragment;
  const sum = wantsSum ? transportSum(d, at, length, PROTO_TCP, c.addresses) : null;
  if (sum !== null && d.verbosity > 0) {
    const verdict = sum === 0 ? "correct" : `incorrect -> 0x${hex(shouldBe(field, sum), 4)}`;
    d.put(`, cksum 0x${hex(field, 4)} (${verdict})`);
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
  putNumbers(d, c.sequences, sequence, acknowledgment, flags, data);
  d.put(", win ");
  d.putNumber(window);
  if ((flags & FLAG_URG) !== 0) d.put(`, urg ${urgent}`);
  else if (d.verbosity > 1 && urgent !== 0) {
    d.put(`, [urg ${urgent} != 0 while URG flag not set]`);
  }
  if (headerBytes > HEADER) {
    const isWhole = decodeTcpOptions(d, at + HEADER, headerBytes - HEADER, sequences.sackBase);
    if (!isWhole) return;
  }
  d.put(", length ");
  d.putNumber(data);
  if (data === 0) return;
  decodePayload(d, at, headerBytes, data, flags, sport, dport);
}

function putNumbers(
  d: Dissection,
  sequences: TcpSequences,
  sequence: number,
  acknowledgment: number,
  flags: number,
  data: number,
): void {
  const start = (sequence - sequences.sequenceBase) >>> 0;
  if (data > 0 || d.verbosity > 1 || (flags & (FLAG_SYN | FLAG_FIN | FLAG_RST)) !== 0) {
    d.put(", seq ");
    d.putNumber(start);
    if (data > 0) {
      d.putByte(COLON);
      d.putNumber((start + data) >>> 0);
    }
  }
  if ((flags & FLAG_ACK) !== 0) {
    d.put(", ack ");
    d.putNumber((acknowledgment - sequences.acknowledgmentBase) >>> 0);
  } else if (d.verbosity > 1 && acknowledgment !== 0) {
    d.put(`, [ack ${acknowledgment} != 0 while ACK flag not set]`);
  }
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
      d.put(` [RST${more} ${d.printable(payload, Math.min(data, RST_TEXT_MAX))}]`);
    }
    d.need(payload, data);
    return;
  }
  if (sport === DNS_PORT || dport === DNS_PORT) {
    decodeDnsOverTcp(d, payload, data);
  } else if (isHttp(sport) || isHttp(dport)) {
    d.put(": ");
    decodeHttp(d, payload, data);
  }
}

/** RFC 1035 4.2.2: a length of two bytes in front. */
function decodeDnsOverTcp(d: Dissection, at: number, length: number): void {
  if (length < 2) {
    d.put(` [DNS over TCP: length ${length} < 2] (invalid)`);
    return;
  }
  const prefix = d.u16(at);
  if (prefix !== length - 2) {
    d.put(` [prefix length(${prefix}) != length(${length - 2})] (invalid)`);
    return;
  }
  d.put(" ");
  decodeDns(d, at + 2, length - 2, false);
}
