// What a fault may be about, as typed predicates on the headers of a frame: tcp.fin, udp.port(53),
// both(tcp.data, from("10.0.0.1")). They hold no state: counting is the faults' business.

import { IpAddr, parseIp } from "../../netstack/index.ts";
import {
  type PacketView,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_TCP,
  PROTO_UDP,
  TCP_ACK,
  TCP_CWR,
  TCP_ECE,
  TCP_FIN,
  TCP_PSH,
  TCP_RST,
  TCP_SYN,
  TCP_URG,
} from "./packet-view.ts";

export type PacketPredicate = (packet: PacketView) => boolean;

const ETHERTYPE_ARP = 0x0806;
const CONTROL = TCP_SYN | TCP_FIN | TCP_RST;

/** As tcpdump writes them: "S.", "FP.", "R". */
const LETTERS: Record<string, number> = {
  F: TCP_FIN,
  S: TCP_SYN,
  R: TCP_RST,
  P: TCP_PSH,
  ".": TCP_ACK,
  U: TCP_URG,
  E: TCP_ECE,
  W: TCP_CWR,
};
const NAMES: Record<string, number> = {
  FIN: TCP_FIN,
  SYN: TCP_SYN,
  RST: TCP_RST,
  PSH: TCP_PSH,
  ACK: TCP_ACK,
  URG: TCP_URG,
  ECE: TCP_ECE,
  CWR: TCP_CWR,
};

/** "S." as tcpdump writes it, or "SYN", "SYN-ACK", "SYN,ACK"; a RangeError where it is neither. */
export function tcpFlags(text: string): number {
  let flags = 0;
  const names = text.split(/[-,|+ ]/).filter((name) => name !== "");
  if (names.length > 0 && names.every((name) => Object.hasOwn(NAMES, name))) {
    for (const name of names) flags |= NAMES[name];
    return flags;
  }
  for (const letter of text) {
    if (!Object.hasOwn(LETTERS, letter)) {
      throw new RangeError(`"${text}" are no TCP flags; write for example "S." or "SYN-ACK"`);
    }
    flags |= LETTERS[letter];
  }
  return flags;
}

const isTcp: PacketPredicate = (p) => p.protocol === PROTO_TCP;
const isUdp: PacketPredicate = (p) => p.protocol === PROTO_UDP;
const isIcmp: PacketPredicate = (p) => p.protocol === PROTO_ICMP || p.protocol === PROTO_ICMPV6;
const has = (flag: number): PacketPredicate => {
  return (p) => p.protocol === PROTO_TCP && (p.flags & flag) !== 0;
};
const ofPort = (protocol: number) => {
  return (port: number): PacketPredicate =>
    (p) =>
      p.protocol === protocol && (p.sport === port || p.dport === port);
};

export const anyPacket: PacketPredicate = () => true;

export const tcp = Object.assign(isTcp, {
  /** The opening one, without ACK. */
  syn: ((p) => isTcp(p) && (p.flags & (TCP_SYN | TCP_ACK)) === TCP_SYN) as PacketPredicate,
  synAck: ((p) =>
    isTcp(p) && (p.flags & (TCP_SYN | TCP_ACK)) === (TCP_SYN | TCP_ACK)) as PacketPredicate,
  fin: has(TCP_FIN),
  rst: has(TCP_RST),
  push: has(TCP_PSH),
  urgent: has(TCP_URG),
  /** At least one byte of payload. */
  data: ((p) => isTcp(p) && p.payloadBytes > 0) as PacketPredicate,
  /** An ACK that carries nothing: the end of a handshake, an acknowledgment, a window update. */
  pureAck: ((p) =>
    isTcp(p) &&
    p.payloadBytes === 0 &&
    (p.flags & (CONTROL | TCP_ACK)) === TCP_ACK) as PacketPredicate,
  zeroWindow: ((p) => isTcp(p) && p.window === 0 && (p.flags & CONTROL) === 0) as PacketPredicate,
  /** Just these flags. */
  flags: (text: string): PacketPredicate => {
    const wanted = tcpFlags(text);
    return (p) => isTcp(p) && p.flags === wanted;
  },
  /** From or to. */
  port: ofPort(PROTO_TCP),
});

export const udp = Object.assign(isUdp, { port: ofPort(PROTO_UDP) });

/** ICMP and ICMPv6. */
export const icmp = Object.assign(isIcmp, {
  type: (type: number): PacketPredicate => {
    return (p) => isIcmp(p) && p.icmpType === type;
  },
});

export const arp: PacketPredicate = (p) => p.etherType === ETHERTYPE_ARP;
export const ipv4: PacketPredicate = (p) => p.family === 4;
export const ipv6: PacketPredicate = (p) => p.family === 6;
export const fragment: PacketPredicate = (p) => p.isFragment;
/** Frames of more than this many bytes, Ethernet header and all. */
export const longerThan = (bytes: number): PacketPredicate => {
  return (p) => p.frameBytes > bytes;
};

function address(text: string | IpAddr): IpAddr {
  const addr = typeof text === "string" ? parseIp(text) : text.clone();
  if (!(addr instanceof IpAddr)) throw new RangeError(`"${text}" is no address`);
  return addr;
}

export function from(addr: string | IpAddr): PacketPredicate {
  const wanted = address(addr);
  return (p) => p.family !== 0 && p.src.equals(wanted);
}

export function to(addr: string | IpAddr): PacketPredicate {
  const wanted = address(addr);
  return (p) => p.family !== 0 && p.dst.equals(wanted);
}

export function both(...all: readonly PacketPredicate[]): PacketPredicate {
  return (p) => all.every((one) => one(p));
}

export function either(...any: readonly PacketPredicate[]): PacketPredicate {
  return (p) => any.some((one) => one(p));
}

export function not(one: PacketPredicate): PacketPredicate {
  return (p) => !one(p);
}
