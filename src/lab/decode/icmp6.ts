// ICMPv6 (RFC 4443) as tcpdump prints it; Neighbour Discovery's options and MLDv2 have files of their own.

import { type Addresses, shouldBe, transportSum } from "./checksums.ts";
import { bits, type Dissection, dump, hex } from "./dissection.ts";
import { printMld1, printMld2Query, printMld2Report } from "./mld.ts";
import { printNdpOptions, routerPreference } from "./ndp-options.ts";

const PROTO_ICMPV6 = 58;
const QUOTED = 8;
const IPV6_HEADER = 40;

const TYPES: Readonly<Record<number, string>> = {
  1: "destination unreachable",
  2: "packet too big",
  3: "time exceeded in-transit",
  4: "parameter problem",
  128: "echo request",
  129: "echo reply",
  130: "multicast listener query",
  131: "multicast listener report",
  132: "multicast listener done",
  133: "router solicitation",
  134: "router advertisement",
  135: "neighbor solicitation",
  136: "neighbor advertisement",
  137: "redirect",
  143: "multicast listener report v2",
};
const UNREACHABLE: Readonly<Record<number, string>> = {
  0: "unreachable route",
  1: " unreachable prohibited",
  2: "beyond scope",
  3: "unreachable address",
  4: "unreachable port",
};
const PROBLEMS = ["erroneous", "next header", "option", "incomplete header chain"];
const ROUTER_FLAGS: readonly (readonly [number, string])[] = [
  [0x80, "managed"],
  [0x40, "other stateful"],
  [0x20, "home agent"],
  [0x02, "ipv6 only"],
];
const NEIGHBOR_FLAGS: readonly (readonly [number, string])[] = [
  [0x80, "router"],
  [0x40, "solicited"],
  [0x20, "override"],
];
/** With -v their length stands in front. */
const NDP = new Set([133, 134, 135, 136, 137]);

export interface Icmp6Context {
  isFragment: boolean;
  addresses: Addresses;
}

export function decodeIcmp6(d: Dissection, at: number, length: number, c: Icmp6Context): void {
  d.protocol = "icmp6";
  if (length === 0) {
    d.put("ICMP6, length 0 (invalid)");
    return;
  }
  const wantsSum = (d.verbosity > 0 || d.wantsFields) && !c.isFragment;
  const sum = wantsSum ? transportSum(d, at, length, PROTO_ICMPV6, c.addresses) : null;
  if (sum !== null && d.verbosity > 0) {
    const field = d.u16(at + 2);
    d.put(
      sum === 0
        ? "[icmp6 sum ok] "
        : `[bad icmp6 cksum 0x${hex(field, 4)} -> 0x${hex(shouldBe(field, sum), 4)}!] `,
    );
  }
  const type = d.u8(at);
  const name = TYPES[type] ?? `unknown icmp6 type (${type})`;
  d.put(`ICMP6, ${name}`);
  if (d.verbosity > 0 && NDP.has(type)) d.put(`, length ${length}`);
  const code = d.u8(at + 1);
  if (d.wantsFields) {
    const checksumCorrect = sum === null ? null : sum === 0;
    d.layer("icmpv6", { type, code, description: name, checksumCorrect, length });
  }
  if (TYPES[type] === undefined) {
    d.put(`, length ${length}`);
    if (d.verbosity <= 1) d.put(dump(d, at, length, "\n\t"));
    return;
  }
  if (!body(d, at, length, type, code)) return;
  if (d.verbosity === 0) d.put(`, length ${length}`);
}

/** False when nothing may follow. */
function body(d: Dissection, at: number, length: number, type: number, code: number): boolean {
  switch (type) {
    case 1:
      return unreachable(d, at, length, code);
    case 2:
      d.put(`, mtu ${d.u32(at + 4)}`);
      return true;
    case 3:
      if (code === 0) d.put(` for ${d.ipv6(at + QUOTED + 24)}`);
      else d.put(code === 1 ? " (reassembly)" : `, unknown code (${code})`);
      return true;
    case 4: {
      d.need(at + QUOTED + 24, 16);
      const problem = PROBLEMS[code];
      d.put(problem === undefined ? `, code-#${code}` : `, ${problem} - octet ${d.u32(at + 4)}`);
      return true;
    }
    case 128:
    case 129:
      d.put(`, id ${d.u16(at + 4)}, seq ${d.u16(at + 6)}`);
      return true;
    case 130:
      if (length === 24) printMld1(d, at);
      else if (length >= 28) {
        d.put(" v2");
        printMld2Query(d, at, length);
      } else d.put(` unknown-version (len ${length}) `);
      return true;
    case 131:
    case 132:
      printMld1(d, at);
      return true;
    case 143:
      printMld2Report(d, at, length);
      return true;
    default:
      return discovery(d, at, length, type);
  }
}

function discovery(d: Dissection, at: number, length: number, type: number): boolean {
  let options = 8;
  switch (type) {
    case 134: {
      options = 16;
      if (d.verbosity === 0) break;
      const flags = d.u8(at + 5);
      d.put(`\n\thop limit ${d.u8(at + 4)}, Flags [${bits(flags, ROUTER_FLAGS)}]`);
      d.put(`, pref ${routerPreference(flags)}, router lifetime ${d.u16(at + 6)}s`);
      d.put(`, reachable time ${d.u32(at + 8)}ms, retrans timer ${d.u32(at + 12)}ms`);
      break;
    }
    case 135:
      options = 24;
      d.put(`, who has ${d.ipv6(at + 8)}`);
      break;
    case 136:
      options = 24;
      d.put(`, tgt is ${d.ipv6(at + 8)}`);
      if (d.verbosity > 0) d.put(`, Flags [${bits(d.u8(at + 4), NEIGHBOR_FLAGS)}]`);
      break;
    case 137:
      options = 40;
      d.put(`, ${d.ipv6(at + 24)} to ${d.ipv6(at + 8)}`);
      break;
  }
  if (d.verbosity > 0 && !printNdpOptions(d, at + options, length - options)) {
    d.put(" [|icmp6]");
    return false;
  }
  return true;
}

function unreachable(d: Dissection, at: number, length: number, code: number): boolean {
  const name = UNREACHABLE[code];
  d.put(`, ${name ?? `unknown unreach code (${code})`}`);
  const target = (): string => d.ipv6(at + QUOTED + 24);
  if (code === 2) d.put(` ${target()}, source address ${d.ipv6(at + QUOTED + 8)}`);
  else if (code === 4) {
    const next = d.u8(at + QUOTED + 6);
    const port = d.u16(at + QUOTED + IPV6_HEADER + 2);
    if (next === 6 || next === 17) {
      d.put(`, ${target()} ${next === 6 ? "tcp" : "udp"} port ${port}`);
    } else d.put(`, ${target()} protocol ${next} port ${port} unreachable`);
  } else if (name !== undefined) d.put(` ${target()}`);
  else if (d.verbosity <= 1) {
    d.put(dump(d, at, length, "\n\t"));
    return false;
  }
  return true;
}
