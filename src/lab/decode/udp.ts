// UDP (RFC 768) as tcpdump prints it, with DNS, mDNS and DHCP inside.

import { IPV4 } from "../../netstack/index.ts";
import { shouldBe, transportSum } from "./checksums.ts";
import { decodeDhcp } from "./dhcp.ts";
import { type Dissection, hex } from "./dissection.ts";
import { decodeDns } from "./dns.ts";
import type { TcpContext } from "./tcp.ts";

const HEADER = 8;
const PROTO_UDP = 17;
const DNS = 53;
const MDNS = 5353;
const DHCP_PORTS = [67, 68];

export function decodeUdp(d: Dissection, at: number, length: number, c: TcpContext): void {
  d.protocol = "udp";
  if (!d.has(at, 4)) {
    d.text += `${c.src} > ${c.dst}:`;
    d.need(at, 4);
  }
  const sport = d.u16(at);
  const dport = d.u16(at + 2);
  d.text += c.showsAddresses ? `${c.src}.${sport} > ${c.dst}.${dport}: ` : `${sport} > ${dport}: `;
  if (length < HEADER) {
    d.text += `[undersized-udp ${length} < 8] (invalid)`;
    return;
  }
  let told = d.u16(at + 4);
  const field = d.u16(at + 6);
  // RFC 2675: a jumbogram's length is zero.
  if (told === 0 && length > 65_535) told = length;
  if (told < HEADER) {
    d.text += `[undersized-udplength ${told} < 8] (invalid)`;
    return;
  }
  told -= HEADER;
  const data = Math.min(told, length - HEADER);
  const isSummed = c.family !== IPV4 || field !== 0;
  const wantsSum = (d.verbosity > 0 || d.wantsFields) && !c.isFragment && isSummed;
  const sum = wantsSum ? transportSum(d, at, data + HEADER, PROTO_UDP, c.addresses) : null;
  if (d.wantsFields) {
    d.layer("udp", {
      sport,
      dport,
      length: told,
      checksum: field,
      checksumCorrect: sum === null ? null : sum === 0,
    });
  }
  if (!c.isFragment && d.verbosity > (c.family === IPV4 ? 1 : 0)) {
    if (!isSummed) d.text += "[no cksum] ";
    else if (sum === 0) d.text += "[udp sum ok] ";
    else if (sum !== null) {
      d.text += `[bad udp cksum 0x${hex(field, 4)} -> 0x${hex(shouldBe(field, sum), 4)}!] `;
    }
  }
  const has = (port: number): boolean => sport === port || dport === port;
  if (has(DNS)) decodeDns(d, at + HEADER, data, false);
  else if (DHCP_PORTS.some(has)) decodeDhcp(d, at + HEADER, data);
  else if (has(MDNS)) decodeDns(d, at + HEADER, data, true);
  else if (told > data && !c.isFragment) d.text += `UDP, bad length ${told} > ${data}`;
  else d.text += `UDP, length ${told}`;
}
