// ARP (RFC 826) as tcpdump prints it.

import { type Dissection, hex } from "./dissection.ts";
import { ETHERTYPE_NAMES } from "./names.ts";

const HARDWARE: Readonly<Record<number, string>> = {
  1: "Ethernet",
  6: "TokenRing",
  7: "ArcNet",
  15: "FrameRelay",
  23: "Strip",
  24: "IEEE 1394",
  19: "ATM",
  32: "InfiniBand",
};
const OPERATIONS: Readonly<Record<number, string>> = {
  1: "Request",
  2: "Reply",
  3: "Reverse Request",
  4: "Reverse Reply",
  8: "Inverse Request",
  9: "Inverse Reply",
  10: "NACK Reply",
};
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_TRAIL = 0x1000;
const HEADER = 8;

/** `length`: what the enclosing layer says there is. */
export function decodeArp(d: Dissection, at: number, length: number, headed: boolean): void {
  d.protocol = "arp";
  d.need(at, HEADER);
  const hardware = d.u16(at);
  const protocol = d.u16(at + 2);
  const hardwareBytes = d.u8(at + 4);
  const protocolBytes = d.u8(at + 5);
  const operation = d.u16(at + 6);
  const sender = at + HEADER;
  const senderIp = sender + hardwareBytes;
  const target = senderIp + protocolBytes;
  const targetIp = target + hardwareBytes;
  d.need(targetIp, protocolBytes);
  const station = (o: number): string => linkAddress(d, o, hardwareBytes);
  const host = (o: number): string => protocolAddress(d, o, protocol, protocolBytes, hardwareBytes);
  if (d.wantsFields) {
    d.layer("arp", {
      hardware,
      type: protocol,
      operation,
      senderHardware: station(sender),
      senderAddress: host(senderIp),
      targetHardware: station(target),
      targetAddress: host(targetIp),
    });
  }
  if (!headed) d.put("ARP, ");
  const isUsual =
    (protocol === ETHERTYPE_IPV4 || protocol === ETHERTYPE_TRAIL) && protocolBytes === 4;
  if (!isUsual || hardwareBytes === 0 || d.verbosity > 0) {
    const hardwareName = HARDWARE[hardware] ?? `Unknown Hardware (${hardware})`;
    const type = ETHERTYPE_NAMES[protocol] ?? `Unknown Protocol (0x${hex(protocol, 4)})`;
    d.put(`${hardwareName} (len ${hardwareBytes}), ${type} (len ${protocolBytes})`);
    if (d.verbosity === 0) {
      d.put(`, length ${length}`);
      return;
    }
  }
  if (d.verbosity > 0) d.put(", ");
  d.put(`${OPERATIONS[operation] ?? `Unknown (${operation})`} `);
  switch (operation) {
    case 1: {
      const known = isNonzero(d, target, hardwareBytes) ? ` (${station(target)})` : "";
      d.put(`who-has ${host(targetIp)}${known} tell ${host(senderIp)}`);
      break;
    }
    case 2:
      d.put(`${host(senderIp)} is-at ${station(sender)}`);
      break;
    case 3:
    case 8:
      d.put(`who-is ${station(target)} tell ${station(sender)}`);
      break;
    case 4:
      d.put(`${station(target)} at ${host(targetIp)}`);
      break;
    case 9:
      d.put(`${station(sender)} at ${host(senderIp)}`);
      break;
    default:
      return;
  }
  d.put(`, length ${length}`);
}

function isNonzero(d: Dissection, at: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (d.u8(at + i) !== 0) return true;
  return false;
}

function linkAddress(d: Dissection, at: number, count: number): string {
  return count === 0 ? "<empty>" : d.hex(at, count, ":");
}

function protocolAddress(
  d: Dissection,
  at: number,
  protocol: number,
  count: number,
  hardwareBytes: number,
): string {
  if (protocol !== ETHERTYPE_IPV4 && protocol !== ETHERTYPE_TRAIL) {
    return `<wrong proto type ${`0x${hex(protocol, 4)}`}>`;
  }
  if (hardwareBytes === 0 && count === 0) return "<empty>";
  return count === 4 ? d.ipv4(at) : "<wrong len>";
}
