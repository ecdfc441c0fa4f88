// A parsed script: options, an initial command, events, a final command. Numbers are as written; what they
// mean on the live connection is the runner's business.

import type { Place } from "./drill-error.ts";

export interface Script {
  options: Map<string, string>;
  init: Command | null;
  events: ScriptEvent[];
  cleanup: Command | null;
  /** The event that must fail, for the script says so; null: none. */
  failure: Place | null;
}

export interface Command {
  text: string;
  place: Place;
}

/** Seconds. */
export interface EventTime {
  isRelative: boolean;
  /** `*`: whenever. */
  isAny: boolean;
  startS: number;
  /** End of a range a~b; null: none. */
  rangeEndS: number | null;
  /** End of a blocking call a...b; null: the call must not block. */
  blockingEndS: number | null;
}

export type ScriptEvent = { time: EventTime; place: Place } & (
  | { kind: "packet"; packet: PacketSpec }
  | { kind: "call"; call: CallSpec }
  | { kind: "command"; command: Command }
  | { kind: "code"; text: string }
);

export type EcnCheck = "ect0" | "ect1" | "ce" | "noecn" | "ect01";

export interface PacketSpec {
  isInbound: boolean;
  ecn: EcnCheck | null;
  tos: number | null;
  ttl: number | null;
  flowLabel: number | null;
  srcPort: number;
  dstPort: number;
  body: TcpSpec | UdpSpec | IcmpSpec;
}

export interface TcpSpec {
  kind: "tcp";
  flags: number;
  /** The letters leave ECN alone and a digit gave the ACE field. */
  ace: number | null;
  seq: number;
  /** `...(0)`: whatever it is; `!` behind it: the number itself, not counted from anywhere. */
  seqMapping: "relative" | "any" | "absolute";
  length: number;
  ack: number;
  window: number | null;
  urgent: number;
  /** null: `<...>`, not checked. */
  options: TcpOptionSpec[] | null;
}

export interface TcpOptionSpec {
  name: string;
  /** Option kind, and its bytes after kind and length as written (sequence numbers not mapped). */
  kind: number;
  bytes: Uint8Array;
  /** `md5 valid`: the bytes are made when the segment is. */
  isSigned?: boolean;
}

export interface UdpSpec {
  kind: "udp";
  length: number;
}

export interface IcmpSpec {
  kind: "icmp";
  type: string;
  code: string;
  mtu: number;
  id: number;
  /** What the error quotes: TCP by default, from `seq` with `length` bytes. */
  quoted:
    | { kind: "tcp"; seq: number; length: number }
    | { kind: "udp" | "raw"; length: number }
    | null;
}

export interface CallSpec {
  name: string;
  args: Expr[];
  result: Expr;
  errno: string | null;
  place: Place;
}

export type Expr = { place: Place } & (
  | { kind: "ellipsis" }
  | { kind: "number"; value: number }
  | { kind: "string"; value: string }
  | { kind: "word"; name: string }
  | { kind: "call"; name: string; args: Expr[] }
  | { kind: "or"; parts: Expr[] }
  | { kind: "invert"; value: Expr }
  /** [a, b] */
  | { kind: "list"; items: Expr[] }
  /** {name=value, ...}; `msg_iov(2)=` keeps only the name. */
  | { kind: "struct"; fields: Map<string, Expr> }
  /** {a, b} */
  | { kind: "tuple"; items: Expr[] }
);
