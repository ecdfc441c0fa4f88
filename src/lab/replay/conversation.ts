// One conversation of a capture: its two sides and its packets in the order in which they were captured.

import type { Family, IpAddr } from "../../netstack/index.ts";
import type { IpPacket } from "./ip-packet.ts";

/** Who began, and who answered. */
export const CLIENT = 0;
export const SERVER = 1;
export type Side = typeof CLIENT | typeof SERVER;

export const otherSide = (side: Side): Side => (side === CLIENT ? SERVER : CLIENT);

export type ConversationKind = "tcp" | "udp" | "echo";

/** A packet of the capture; an ICMP error counts as one of the side opposite to whom it is meant for. */
export interface CapturedPacket extends IpPacket {
  /** Of its frame in the capture, from 1. */
  number: number;
  /** Since the first frame of the capture. */
  timeNs: number;
  from: Side;
}

export interface Station {
  addr: IpAddr;
  /** Of ICMP echo: the identifier. */
  port: number;
}

export interface Conversation {
  kind: ConversationKind;
  family: Family;
  /** By side. */
  stations: [Station, Station];
  packets: CapturedPacket[];
  /** Bytes of packets held. */
  bytes: number;
}

export function conversationName(c: Conversation): string {
  const [client, server] = c.stations;
  const at = (s: Station): string =>
    c.kind === "echo" ? `${s.addr}` : s.addr.isV4 ? `${s.addr}:${s.port}` : `[${s.addr}]:${s.port}`;
  const id = c.kind === "echo" ? ` id ${client.port}` : "";
  return `${c.kind} ${at(client)} > ${at(server)}${id}`;
}
