// The options of Neighbour Discovery (RFC 4861 4.6, 4191, 8106, 8781) as tcpdump prints them.

import { IPV6, IpAddr } from "../../netstack/index.ts";
import { bits, type Dissection, dump } from "./dissection.ts";
import { printName } from "./dns-name.ts";

const NAMES: Readonly<Record<number, string>> = {
  1: "source link-address",
  2: "destination link-address",
  3: "prefix info",
  4: "redirected header",
  5: "mtu",
  7: "advertisement interval",
  8: "homeagent information",
  14: "nonce",
  24: "route info",
  25: "rdnss",
  31: "dnssl",
  38: "pref64",
};
const PREFIX_FLAGS: readonly (readonly [number, string])[] = [
  [0x80, "onlink"],
  [0x40, "auto"],
  [0x20, "router"],
];
const PREF64_LENGTHS = ["96", "64", "56", "48", "40", "32"];
const scratch = new IpAddr();

export const routerPreference = (flags: number): string =>
  ["medium", "high", "rsv", "low"][(flags >>> 3) & 3];

const lifetime = (seconds: number): string =>
  seconds === 0xffff_ffff ? "infinity" : `${seconds}s`;

/** False when an option is cut off or empty. */
export function printNdpOptions(d: Dissection, from: number, length: number): boolean {
  let at = from;
  let left = length;
  while (at < d.end) {
    if (!d.has(at, 2)) return false;
    if (left <= 0) return true;
    const type = d.u8(at);
    const units = d.u8(at + 1);
    const size = units * 8;
    if (units === 0 || !d.has(at, size)) return false;
    d.put(`\n\t  ${NAMES[type] ?? "unknown"} option (${type}), length ${size} (${units}): `);
    if (!option(d, at, type, units, from)) return true;
    if (d.verbosity > 1) d.put(dump(d, at + 2, size - 2, "\n\t    "));
    at += size;
    left -= size;
  }
  return true;
}

/** False: the rest of the options is not looked at. */
function option(d: Dissection, at: number, type: number, units: number, first: number): boolean {
  const size = units * 8;
  switch (type) {
    case 1:
    case 2:
      d.put(d.hex(at + 2, size - 2, ":"));
      break;
    case 3: {
      d.put(`${d.ipv6(at + 16)}/${d.u8(at + 2)}${units !== 4 ? "badlen" : ""}`);
      d.put(`, Flags [${bits(d.u8(at + 3), PREFIX_FLAGS)}]`);
      d.put(`, valid time ${lifetime(d.u32(at + 4))}, pref. time ${lifetime(d.u32(at + 8))}`);
      break;
    }
    case 4:
      d.put(dump(d, first, size, "\n\t    "));
      break;
    case 5:
      d.put(` ${d.u32(at + 4)}${units !== 1 ? "bad option length" : ""}`);
      break;
    case 7:
      d.put(` ${d.u32(at + 4)}ms`);
      break;
    case 8:
      d.put(` preference ${d.u16(at + 4)}, lifetime ${d.u16(at + 6)}`);
      break;
    case 14:
      d.put(` ${d.hex(at + 2, size - 2)}`);
      break;
    case 24:
      return routeInformation(d, at, units);
    case 25:
      d.put(` lifetime ${d.u32(at + 4)}s,`);
      for (let i = 0; i < (units - 1) >> 1; i++) d.put(` addr: ${d.ipv6(at + 8 + i * 16)}`);
      break;
    case 31: {
      d.put(` lifetime ${d.u32(at + 4)}s, domain(s):`);
      let o = at + 8;
      while (o >= 0 && o < at + size && d.u8(o) !== 0) {
        d.put(" ");
        o = printName(d, o, first);
      }
      break;
    }
    case 38: {
      if (units !== 2) d.put("bad option length! ");
      const word = d.u16(at + 2);
      const bytes = new Uint8Array(16);
      d.need(at + 4, 12);
      bytes.set(d.bytes.subarray(at + 4, at + 16));
      const bitsOf = PREF64_LENGTHS[word & 7] ?? "??";
      d.put(
        `${scratch.read(bytes, 0, IPV6)}/${bitsOf} (plc ${word & 7}), lifetime ${word & 0xfff8}s`,
      );
      break;
    }
    default:
      if (d.verbosity <= 1) {
        d.put(dump(d, at + 2, size - 2, "\n\t  "));
        return false;
      }
  }
  return true;
}

/** RFC 4191 2.3. */
function routeInformation(d: Dissection, at: number, units: number): boolean {
  d.need(at + 4, 4);
  if (units > 3) return false;
  const bytes = new Uint8Array(16);
  const given = (units - 1) * 8;
  d.need(at + 8, given);
  bytes.set(d.bytes.subarray(at + 8, at + 8 + given));
  d.put(` ${scratch.read(bytes, 0, IPV6)}/${d.u8(at + 2)}`);
  d.put(`, pref=${routerPreference(d.u8(at + 3))}, lifetime=${lifetime(d.u32(at + 4))}`);
  return true;
}
