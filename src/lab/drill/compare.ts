// Whether what the stack sent is what the script expects. Stricter than the language's first home: the
// transport checksum is verified (frame.ts) and so is the echoed timestamp. Consecutive segments are one
// packet where the script expects a longer one, as a device without offload would show it.

import { u16, u32 } from "../../base/bytes.ts";
import type { IcmpSpec, PacketSpec, TcpOptionSpec, TcpSpec } from "./ast.ts";
import { mismatch, type Place } from "./drill-error.ts";
import type { Flow } from "./flow.ts";
import {
  ACK,
  AE,
  CWR,
  ECE,
  FIN,
  type OptionBytes,
  PROTO_TCP,
  PSH,
  type SeenPacket,
  type SeenTcp,
  SYN,
} from "./frame.ts";
import { icmpCodes } from "./icmp-names.ts";
import { KIND_MD5, md5Digest } from "./md5.ts";

const KIND_SACK = 5;
const KIND_TIMESTAMPS = 8;
/** Flags that segments of one burst may differ in. */
const BURST_FLAGS = FIN | PSH | CWR;

export interface CompareRules {
  /** 0: timestamps' pace is not checked. */
  tsTickUs: number;
  toleranceUs: number;
  /** Order and padding of TCP options are the implementation's own affair (RFC 9293 3.2). */
  anyOptionOrder: boolean;
  md5Secret: Uint8Array;
}

/** Of several segments: the last one's header, the first one's sequence number and CWR. */
export function merge(parts: readonly SeenPacket[], place: Place): SeenPacket {
  const first = parts[0];
  const last = parts[parts.length - 1];
  if (parts.length === 1 || first.tcp === null || last.tcp === null) return last;
  let length = 0;
  let next = first.tcp.seq;
  for (const part of parts) {
    const tcp = part.tcp as SeenTcp;
    if (tcp.seq !== next)
      throw mismatch(place, "the segments of the packet do not follow each other");
    if (tcp.ack !== first.tcp.ack)
      throw mismatch(place, "the segments of the packet differ in ack");
    if (((tcp.flags ^ first.tcp.flags) & ~BURST_FLAGS) !== 0) {
      throw mismatch(place, "the segments of the packet differ in flags");
    }
    const isInner = part !== last && part !== first;
    if (isInner && part.payload.length !== first.payload.length) {
      throw mismatch(place, "the segments of the packet differ in size");
    }
    length += part.payload.length;
    next = (tcp.seq + part.payload.length) >>> 0;
  }
  const flags = (last.tcp.flags & ~CWR) | (first.tcp.flags & CWR);
  return {
    ...last,
    tcp: { ...last.tcp, seq: first.tcp.seq, flags },
    payload: new Uint8Array(length),
  };
}

/** The place's words for a difference; null: none. */
export function difference(
  spec: PacketSpec,
  seen: SeenPacket,
  flow: Flow,
  rules: CompareRules,
): string | null {
  if (seen.fault !== "") return seen.fault;
  const inIp = ipDifference(spec, seen);
  if (inIp !== null) return inIp;
  if (spec.body.kind === "tcp") {
    if (seen.tcp === null) return `expected TCP, got protocol ${seen.protocol}`;
    return tcpDifference(spec.body, seen, flow, rules);
  }
  if (spec.body.kind === "udp") {
    if (seen.protocol !== 17) return `expected UDP, got ${describe(seen, flow)}`;
    const length = seen.payload.length;
    return length === spec.body.length ? null : `expected ${spec.body.length} bytes, got ${length}`;
  }
  return icmpDifference(spec.body, seen);
}

function ipDifference(spec: PacketSpec, seen: SeenPacket): string | null {
  const ecn = seen.tos & 3;
  const wanted = { noecn: [0], ect1: [1], ect0: [2], ce: [3], ect01: [1, 2] };
  if (spec.ecn !== null && !wanted[spec.ecn].includes(ecn)) {
    return `expected ${spec.ecn}, got ECN field ${ecn}`;
  }
  if (spec.tos !== null && spec.tos !== seen.tos)
    return `expected tos ${spec.tos}, got ${seen.tos}`;
  if (spec.ttl !== null && spec.ttl !== seen.ttl)
    return `expected ttl ${spec.ttl}, got ${seen.ttl}`;
  if (spec.flowLabel !== null && spec.flowLabel !== seen.flowLabel) {
    return `expected flow label ${spec.flowLabel}, got ${seen.flowLabel}`;
  }
  return null;
}

function tcpDifference(
  spec: TcpSpec,
  seen: SeenPacket,
  flow: Flow,
  rules: CompareRules,
): string | null {
  const tcp = seen.tcp as SeenTcp;
  if (spec.flags !== tcp.flags) return `expected ${specText(spec)}, got ${describe(seen, flow)}`;
  const isSyn = (spec.flags & SYN) !== 0;
  const seq = spec.seqMapping === "absolute" ? tcp.seq : flow.toScript(tcp.seq, isSyn);
  const seqRight = spec.seqMapping === "any" || seq === spec.seq >>> 0;
  const ackRight = (spec.flags & ACK) === 0 || flow.peerToLive(spec.ack, isSyn) === tcp.ack;
  const isSame = seqRight && seen.payload.length === spec.length && ackRight;
  if (!isSame) return `expected ${specText(spec)}, got ${describe(seen, flow)}`;
  if (spec.window !== null && spec.window !== tcp.window) {
    return `expected win ${spec.window}, got win ${tcp.window}`;
  }
  if (spec.urgent !== tcp.urgent) return `expected urg ${spec.urgent}, got urg ${tcp.urgent}`;
  if (seen.payload.some((byte) => byte !== 0)) return "the payload is not what was written";
  if (spec.options === null) return null;
  for (const option of spec.options) {
    if (option.isSigned && !isSigned(seen, rules.md5Secret))
      return "the segment is not rightly signed";
  }
  return optionsDifference(spec.options, tcp, flow, rules);
}

function isSigned(seen: SeenPacket, secret: Uint8Array): boolean {
  const got = seen.tcp?.options.find((option) => option.kind === KIND_MD5)?.bytes;
  const wanted = md5Digest(seen.src, seen.dst, seen.family, seen.body, secret);
  return got?.length === wanted.length && wanted.every((byte, i) => byte === got[i]);
}

function optionsDifference(
  written: readonly TcpOptionSpec[],
  tcp: SeenTcp,
  flow: Flow,
  rules: CompareRules,
): string | null {
  const wanted = rules.anyOptionOrder ? inOrder(written) : written;
  const got = rules.anyOptionOrder ? inOrder(tcp.options) : tcp.options;
  const same =
    wanted.length === got.length && wanted.every((w, i) => isSameOption(w, got[i], flow));
  if (!same) return `expected <${specOptionsText(wanted)}>, got <${optionsText(got)}>`;
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i].kind !== KIND_TIMESTAMPS) continue;
    const wrong = timestampDifference(wanted[i], got[i], flow, rules);
    if (wrong !== null) return wrong;
  }
  return null;
}

const inOrder = <T extends OptionBytes>(options: readonly T[]): T[] =>
  options.filter((option) => option.kind > 1).sort((a, b) => a.kind - b.kind);

function isSameOption(wanted: TcpOptionSpec, got: OptionBytes, flow: Flow): boolean {
  if (wanted.kind !== got.kind || wanted.bytes.length !== got.bytes.length) return false;
  if (wanted.kind === KIND_TIMESTAMPS || wanted.isSigned) return true;
  if (wanted.kind !== KIND_SACK) return wanted.bytes.every((byte, i) => byte === got.bytes[i]);
  for (let i = 0; i + 4 <= wanted.bytes.length; i += 4) {
    if (flow.peerToLive(u32(wanted.bytes, i), false) !== u32(got.bytes, i)) return false;
  }
  return true;
}

function timestampDifference(
  wanted: TcpOptionSpec,
  got: OptionBytes,
  flow: Flow,
  rules: CompareRules,
): string | null {
  const val = u32(wanted.bytes, 0);
  const ecr = u32(wanted.bytes, 4);
  const liveVal = u32(got.bytes, 0);
  const liveEcr = u32(got.bytes, 4);
  if (flow.firstScriptTs !== null && rules.tsTickUs > 0) {
    const moved = (liveVal - flow.firstLiveTs) | 0;
    const expected = (val - flow.firstScriptTs) | 0;
    if (Math.abs(moved - expected) * rules.tsTickUs > rules.toleranceUs) {
      return `expected TS val ${val}, got ${(flow.firstScriptTs + moved) >>> 0}`;
    }
  }
  flow.noteTimestamp(val, liveVal);
  if (liveEcr === ecr) return null;
  // Scripts are loose about the echo; what was never sent, though, may not be echoed.
  if (liveEcr !== 0 && flow.peerTimestamps.has(liveEcr)) return null;
  return `expected TS ecr ${ecr}, got ${liveEcr}`;
}

function icmpDifference(spec: IcmpSpec, seen: SeenPacket): string | null {
  const numbers = icmpCodes(spec, seen.family);
  if (numbers === null) return `no ICMP type '${spec.type} ${spec.code}' in this family`;
  const [type, code] = numbers;
  const isIcmp = seen.protocol === 1 || seen.protocol === 58;
  if (!isIcmp || seen.body.length < 8) return `expected ICMP, got protocol ${seen.protocol}`;
  if (seen.body[0] !== type || seen.body[1] !== code) {
    return `expected ICMP type ${type} code ${code}, got type ${seen.body[0]} code ${seen.body[1]}`;
  }
  if (spec.mtu !== 0 && u16(seen.body, 6) !== spec.mtu) {
    return `expected mtu ${spec.mtu}, got ${u16(seen.body, 6)}`;
  }
  return null;
}

const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [FIN, "F"],
  [SYN, "S"],
  [4, "R"],
  [PSH, "P"],
  [ACK, "."],
  [0x20, "U"],
  [ECE, "E"],
  [CWR, "W"],
  [AE, "A"],
];

export function flagsText(flags: number): string {
  let text = "";
  for (const [bit, letter] of FLAG_LETTERS) if ((flags & bit) !== 0) text += letter;
  return text === "" ? "-" : text;
}

export function specText(spec: TcpSpec): string {
  const ack = (spec.flags & ACK) !== 0 ? ` ack ${spec.ack}` : "";
  const end = (spec.seq + spec.length) >>> 0;
  return `${flagsText(spec.flags)} ${spec.seq}:${end}(${spec.length})${ack}`;
}

/** In the language's own form, numbers as the script would write them. */
export function describe(seen: SeenPacket, flow: Flow | null): string {
  if (seen.protocol !== PROTO_TCP || seen.tcp === null) {
    if (seen.protocol === 17) return `udp (${seen.payload.length})`;
    return `icmp type ${seen.body[0]} code ${seen.body[1]} (${seen.body.length})`;
  }
  const { tcp } = seen;
  const isSyn = (tcp.flags & SYN) !== 0;
  const seq = flow === null ? tcp.seq : flow.toScript(tcp.seq, isSyn);
  const scriptAck = flow === null ? tcp.ack : flow.peerToScript(tcp.ack, isSyn);
  const ack = (tcp.flags & ACK) !== 0 ? ` ack ${scriptAck}` : "";
  const length = seen.payload.length;
  const options = tcp.options.length > 0 ? ` <${optionsText(tcp.options)}>` : "";
  const urgent = tcp.urgent > 0 ? ` urg ${tcp.urgent}` : "";
  const end = (seq + length) >>> 0;
  return `${flagsText(tcp.flags)} ${seq}:${end}(${length})${ack} win ${tcp.window}${urgent}${options}`;
}

const specOptionsText = (options: readonly TcpOptionSpec[]): string => optionsText(options);

function optionsText(options: readonly OptionBytes[]): string {
  return options.map(optionText).join(",");
}

function optionText({ kind, bytes }: OptionBytes): string {
  const hex = (): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  switch (kind) {
    case 0:
      return "eol";
    case 1:
      return "nop";
    case 2:
      return `mss ${u16(bytes, 0)}`;
    case 3:
      return `wscale ${bytes[0]}`;
    case 4:
      return "sackOK";
    case KIND_SACK: {
      const blocks: string[] = [];
      for (let i = 0; i + 8 <= bytes.length; i += 8) {
        blocks.push(`${u32(bytes, i)}:${u32(bytes, i + 4)}`);
      }
      return `sack ${blocks.join(" ")}`;
    }
    case KIND_TIMESTAMPS:
      return `TS val ${u32(bytes, 0)} ecr ${u32(bytes, 4)}`;
    case 34:
      return bytes.length > 0 ? `FO ${hex()}` : "FO";
    default:
      return `kind ${kind} ${hex()}`;
  }
}
