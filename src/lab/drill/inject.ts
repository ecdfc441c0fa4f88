// From a packet of the script to the frame that goes in: script numbers mapped to live ones.

import { setU32, u32 } from "../../base/bytes.ts";
import { IPV4, type IpAddr } from "../../netstack/index.ts";
import type { IcmpSpec, PacketSpec, TcpSpec } from "./ast.ts";
import { DrillError, mismatch, type Place } from "./drill-error.ts";
import type { Flow } from "./flow.ts";
import {
  ACK,
  type IpHead,
  icmpBytes,
  ipFrame,
  ipPacket,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_TCP,
  PROTO_UDP,
  SYN,
  setTcpSum,
  tcpBytes,
  udpBytes,
} from "./frame.ts";
import { icmpCodes } from "./icmp-names.ts";
import { md5Digest } from "./md5.ts";

const SYN_SENT = 2;
const KIND_SACK = 5;
const KIND_TIMESTAMPS = 8;
/** IP protocol number reserved for raw IP. */
const PROTO_RAW = 255;
/** An error and what it quotes stay within IPv4's smallest MTU (RFC 1812 4.3.2.3). */
const QUOTED_BYTES_MAX = 548;

export interface InjectRules {
  tsEcrScaled: boolean;
  md5Secret: Uint8Array;
}

const ECN_BITS: Readonly<Record<string, number>> = { noecn: 0, ect1: 1, ect0: 2, ce: 3, ect01: 2 };

function ipHead(spec: PacketSpec, src: IpAddr, dst: IpAddr, protocol: number): IpHead {
  const ecn = spec.ecn === null ? 0 : ECN_BITS[spec.ecn];
  return {
    src,
    dst,
    tos: spec.tos ?? ecn,
    ttl: spec.ttl ?? 255,
    flowLabel: spec.flowLabel ?? 0,
    protocol,
  };
}

export function inboundFrame(
  spec: PacketSpec,
  flow: Flow,
  macs: { ours: Uint8Array; peers: Uint8Array },
  rules: InjectRules,
  place: Place,
): Uint8Array {
  const { local, remote } = flow;
  if (spec.body.kind === "icmp") {
    const protocol = local.family === IPV4 ? PROTO_ICMP : PROTO_ICMPV6;
    const ip = ipHead(spec, remote, local, protocol);
    return ipFrame(macs.ours, macs.peers, ip, icmpError(spec.body, flow, ip, place));
  }
  const srcPort = spec.srcPort || flow.remotePort;
  const dstPort = spec.dstPort || flow.localPort;
  if (spec.body.kind === "udp") {
    const ip = ipHead(spec, remote, local, PROTO_UDP);
    return ipFrame(macs.ours, macs.peers, ip, udpBytes(ip, srcPort, dstPort, spec.body.length));
  }
  const ip = ipHead(spec, remote, local, PROTO_TCP);
  const tcp = spec.body;
  const head = {
    srcPort,
    dstPort,
    seq: flow.peerToLive(tcp.seq, (tcp.flags & SYN) !== 0),
    ack: (tcp.flags & ACK) !== 0 ? flow.toLive(tcp.ack, (tcp.flags & SYN) !== 0) : tcp.ack >>> 0,
    flags: tcp.flags,
    window: tcp.window ?? 0,
    urgent: tcp.urgent,
    options: liveOptions(tcp, flow, rules, place),
  };
  // A stray SYN on an open connection does not begin it anew.
  const isOpening = flow.peerIsn === null || flow.socket?.tcp?.state === SYN_SENT;
  if ((tcp.flags & SYN) !== 0 && isOpening) flow.peerIsn = head.seq;
  const body = tcpBytes(ip, head, tcp.length);
  signBody(tcp, ip, body, rules.md5Secret);
  return ipFrame(macs.ours, macs.peers, ip, body);
}

/** `md5 valid` (RFC 2385). */
function signBody(tcp: TcpSpec, ip: IpHead, body: Uint8Array, secret: Uint8Array): void {
  let at = 20;
  for (const option of tcp.options ?? []) {
    if (option.isSigned) {
      body.set(md5Digest(ip.src, ip.dst, ip.src.family, body, secret), at + 2);
      setTcpSum(ip, body);
    }
    at += option.kind <= 1 ? 1 : 2 + option.bytes.length;
  }
}

function liveOptions(tcp: TcpSpec, flow: Flow, rules: InjectRules, place: Place): Uint8Array {
  const out: number[] = [];
  for (const option of tcp.options ?? []) {
    if (option.kind <= 1) {
      out.push(option.kind);
      continue;
    }
    const bytes = option.bytes.slice();
    if (option.kind === KIND_SACK) {
      for (let i = 0; i + 4 <= bytes.length; i += 4)
        setU32(bytes, i, flow.toLive(u32(bytes, i), false));
    }
    if (option.kind === KIND_TIMESTAMPS) {
      flow.peerTimestamps.add(u32(bytes, 0));
      if ((tcp.flags & ACK) !== 0) {
        const echoed = flow.liveTimestamp(u32(bytes, 4), rules.tsEcrScaled);
        if (echoed === null) {
          throw mismatch(place, `TS ecr ${u32(bytes, 4)}: no such timestamp has been sent`);
        }
        setU32(bytes, 4, echoed);
      }
    }
    out.push(option.kind, bytes.length + 2, ...bytes);
  }
  return Uint8Array.from(out);
}

function icmpError(spec: IcmpSpec, flow: Flow, ip: IpHead, place: Place): Uint8Array {
  const family = flow.local.family;
  const numbers = icmpCodes(spec, family);
  if (numbers === null) {
    const text = `${spec.type} ${spec.code}`.trim();
    throw new DrillError("unsupported", place, `no ICMP '${text}' in IPv${family}`);
  }
  const [type, code] = numbers;
  const rest = spec.mtu !== 0 ? spec.mtu : spec.id << 16;
  return icmpBytes(ip, type, code, rest, quotedPacket(spec, flow));
}

/** The packet of ours that the error is about. */
function quotedPacket(spec: IcmpSpec, flow: Flow): Uint8Array {
  const quoted = spec.quoted ?? { kind: "tcp" as const, seq: 0, length: 0 };
  const base = { src: flow.local, dst: flow.remote, tos: 0, ttl: 64, flowLabel: 0 };
  if (quoted.kind === "raw") {
    return ipPacket({ ...base, protocol: PROTO_RAW }, new Uint8Array(quoted.length));
  }
  if (quoted.kind !== "tcp") {
    const ip = { ...base, protocol: PROTO_UDP };
    const body = udpBytes(ip, flow.localPort, flow.remotePort, quoted.length);
    return ipPacket(ip, body).subarray(0, QUOTED_BYTES_MAX);
  }
  const ip = { ...base, protocol: PROTO_TCP };
  const body = tcpBytes(
    ip,
    {
      srcPort: flow.localPort,
      dstPort: flow.remotePort,
      seq: flow.toLive(quoted.seq, false),
      ack: 0,
      flags: ACK,
      window: 0,
      urgent: 0,
      options: new Uint8Array(0),
    },
    quoted.length,
  );
  return ipPacket(ip, body).subarray(0, QUOTED_BYTES_MAX);
}
