// ICMP (RFC 792, 950, 1191, 1256) as tcpdump prints it; with -v the packet that an error quotes.

import { plainSum, shouldBe } from "./checksums.ts";
import { type Dissection, hex } from "./dissection.ts";
import type { IpDecoders } from "./ip-payload.ts";

const HEADER = 8;
/** Where the quoted header's fields stand. */
const QUOTED_PROTOCOL = HEADER + 9;
const QUOTED_DST = HEADER + 16;

const OTHER: Readonly<Record<number, string>> = {
  4: "source quench",
  6: "alternate host address",
  9: "router advertisement",
  10: "router solicitation",
  15: "information request",
  16: "information reply",
  17: "address mask request",
};
const ERRORS = new Set([3, 4, 5, 11, 12]);

/** By code; $ is the quoted destination. */
const UNREACHABLE: Readonly<Record<number, string>> = {
  0: "net $ unreachable",
  1: "host $ unreachable",
  5: "$ unreachable - source route failed",
  6: "net $ unreachable - unknown",
  7: "host $ unreachable - unknown",
  8: "$ unreachable - source host isolated",
  9: "net $ unreachable - admin prohibited",
  10: "host $ unreachable - admin prohibited",
  11: "net $ unreachable - tos prohibited",
  12: "host $ unreachable - tos prohibited",
  13: "host $ unreachable - admin prohibited filter",
  14: "host $ unreachable - host precedence violation",
  15: "host $ unreachable - precedence cutoff",
};
const REDIRECTS = [
  "redirect $ to net",
  "redirect $ to host",
  "redirect-tos $ to net",
  "redirect-tos $ to host",
];

export function decodeIcmp(
  d: Dissection,
  at: number,
  length: number,
  isFragment: boolean,
  decoders: IpDecoders,
): void {
  d.protocol = "icmp";
  const type = d.u8(at);
  const code = d.u8(at + 1);
  const what = describe(d, at, type, code);
  d.put(`ICMP ${what}, length ${length}`);
  const wantsSum = (d.verbosity > 0 || d.wantsFields) && !isFragment;
  const sum = wantsSum ? plainSum(d, at, length) : null;
  if (d.wantsFields) {
    const checksumCorrect = sum === null ? null : sum === 0;
    d.layer("icmp", {
      type,
      code,
      description: what,
      checksum: d.u16(at + 2),
      checksumCorrect,
      length,
    });
  }
  if (d.verbosity === 0) return;
  if (sum !== null && sum !== 0) {
    const field = d.u16(at + 2);
    d.put(` (wrong icmp cksum ${hex(field)} (->${hex(shouldBe(field, sum))})!)`);
  }
  if (!ERRORS.has(type)) return;
  d.put("\n\t");
  const quoted = d.u16(at + HEADER + 2);
  const outerEnd = d.end;
  d.end = Math.min(outerEnd, at + HEADER + quoted);
  decoders.ipv4(d, at + HEADER, quoted);
  d.end = outerEnd;
}

function describe(d: Dissection, at: number, type: number, code: number): string {
  switch (type) {
    case 0:
    case 8:
      return `echo ${type === 8 ? "request" : "reply"}, id ${d.u16(at + 4)}, seq ${d.u16(at + 6)}`;
    case 3:
      return unreachable(d, at, code);
    case 5: {
      const gateway = d.ipv4(at + 4);
      const target = d.ipv4(at + QUOTED_DST);
      const form = REDIRECTS[code];
      if (form === undefined) return `redirect-#${code} ${target} to ${gateway}`;
      return `${form.replace("$", target)} ${gateway}`;
    }
    case 9:
      return routers(d, at);
    case 11:
      d.need(at + QUOTED_DST, 4);
      if (code === 0) return "time exceeded in-transit";
      if (code === 1) return "ip reassembly time exceeded";
      return `time exceeded-#${code}`;
    case 12:
      if (code !== 0) return `parameter problem - code ${code}`;
      return `parameter problem - octet ${d.u8(at + 4)}`;
    case 13:
      return `time stamp query id ${d.u16(at + 4)} seq ${d.u16(at + 6)}`;
    case 14: {
      const times = [8, 12, 16].map((o) => timeOfDay(d.u32(at + o)));
      const head = `time stamp reply id ${d.u16(at + 4)} seq ${d.u16(at + 6)}`;
      return `${head}: org ${times[0]}, recv ${times[1]}, xmit ${times[2]}`;
    }
    case 18:
      return `address mask is 0x${hex(d.u32(at + 8), 8)}`;
    default:
      return OTHER[type] ?? `type-#${type}`;
  }
}

function unreachable(d: Dissection, at: number, code: number): string {
  const target = d.ipv4(at + QUOTED_DST);
  const protocol = d.u8(at + QUOTED_PROTOCOL);
  if (code === 2) return `${target} protocol ${protocol} unreachable`;
  if (code === 3) {
    const headerBytes = (d.u8(at + HEADER) & 15) * 4;
    const port = d.u16(at + HEADER + headerBytes + 2);
    if (protocol === 6) return `${target} tcp port ${port} unreachable`;
    if (protocol === 17) return `${target} udp port ${port} unreachable`;
    return `${target} protocol ${protocol} port ${port} unreachable`;
  }
  if (code === 4) {
    const mtu = d.u16(at + 6);
    return `${target} unreachable - need to frag${mtu !== 0 ? ` (mtu ${mtu})` : ""}`;
  }
  return UNREACHABLE[code]?.replace("$", target) ?? `${target} unreachable - #${code}`;
}

/** RFC 1256. */
function routers(d: Dissection, at: number): string {
  const lifetime = d.u16(at + 6);
  const two = (value: number): string => String(value).padStart(2, "0");
  let text = "router advertisement lifetime ";
  if (lifetime < 60) text += String(lifetime);
  else if (lifetime < 3600) text += `${Math.floor(lifetime / 60)}:${two(lifetime % 60)}`;
  else {
    const minutes = Math.floor((lifetime % 3600) / 60);
    text += `${Math.floor(lifetime / 3600)}:${two(minutes)}:${two(lifetime % 60)}`;
  }
  const count = d.u8(at + 4);
  const size = d.u8(at + 5);
  text += ` ${count}:`;
  if (size !== 2) return `${text} [size ${size}]`;
  for (let i = 0; i < count; i++) {
    const o = at + 8 + i * 8;
    text += ` {${d.ipv4(o)} ${d.u32(o + 4)}}`;
  }
  return text;
}

/** Milliseconds since midnight UTC. */
function timeOfDay(ms: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const seconds = Math.floor(ms / 1000);
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return `${clock}.${String(ms % 1000).padStart(3, "0")}`;
}
