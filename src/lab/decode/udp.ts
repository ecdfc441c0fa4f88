// UDP (RFC 768) as tcpdump prints it, with DNS, mDNS and DHCP inside.

import { IPV4 } from "../../netstack/index.ts";
import { shouldBe, transportSum } from "./checksums.ts";
import { decodeDhcp } from "./dhcp.ts";
import { type Dissection, hex } from "./dissection.ts";
import { decodeDns } from "./dns.ts";
import { putStations, type TcpContext } from "./tcp.ts";

const HEADER = 8;
const PROTO_UDP = 17;
const DNS = 53;
const MDNS = 5353;
const DHCP_SERVER = 67;
const DHCP_CLIENT = 68;

export function decodeUdp(d: Dissection, at: number, length: number, c: TcpContext): void {
  d.protocol = "udp";
  putStations(d, at, c);
  const sport = d.u16(at);
  const dport = d.u16(at + 2);
  if (length < HEADER) {
    d.put(`[undersized-udp ${length} < 8] (invalid)`);
    return;
  }
  let told = d.u16(at + 4);
  const field = d.u16(at + 6);
  // RFC 2675: a jumbogram's length is zero.
  if (told === 0 && length > 65_535) told = length;
  if (told < HEADER) {
    d.put(`[undersized-udplength ${told} < 8] (invalid)`);
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
    if (!isSummed) d.put("[no cksum] ");
    else if (sum === 0) d.put("[udp sum ok] ");
    else if (sum !== null) {
      d.put(`[bad udp cksum 0x${hex(field, 4)} -> 0x${hex(shouldBe(field, sum), 4)}!] `);
    }
  }
  if (sport === DNS || dport === DNS) decodeDns(d, at + HEADER, data, false);
  else if (isDhcp(sport) || isDhcp(dport)) decodeDhcp(d, at + HEADER, data);
  else if (sport === MDNS || dport === MDNS) decodeDns(d, at + HEADER, data, true);
  else if (told > data && !c.isFragment) d.put(`UDP, bad length ${told} > ${data}`);
  else {
    d.put("UDP, length ");
    d.putNumber(told);
  }
}

const isDhcp = (port: number): boolean => port === DHCP_SERVER || port === DHCP_CLIENT;
