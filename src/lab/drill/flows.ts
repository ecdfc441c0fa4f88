// Which connection of a script a packet belongs to: one that comes in, by the ports written or by where the script
// stands; one that goes out, by what it is. Runner plays them.

import type { PacketSpec } from "./ast.ts";
import { mismatch, type Place } from "./drill-error.ts";
import type { Flow } from "./flow.ts";
import { PROTO_TCP, type SeenPacket, SYN } from "./frame.ts";
import type { DrillProcess } from "./process.ts";

/** Of the packets that name no port. */
const FIRST_REMOTE_PORT = 32_768;

export class Flows {
  readonly #process: DrillProcess;
  #nextRemotePort = FIRST_REMOTE_PORT;

  constructor(process: DrillProcess) {
    this.#process = process;
  }

  /** A SYN to a listener (or to nobody) begins a new flow, as does a packet with ports of its own. */
  ofInbound(packet: PacketSpec): Flow {
    const process = this.#process;
    const { body, srcPort, dstPort } = packet;
    if (srcPort !== 0 || dstPort !== 0) {
      const localPort = dstPort || process.config.bindPort;
      const known = process.findFlow(localPort, srcPort);
      if (known !== null) return known;
      return this.#newPeer(localPort, srcPort || this.#nextRemotePort++);
    }
    const flow = process.underTest;
    const isForListener = flow === null || flow.isListening;
    if (body.kind === "tcp" && isForListener) {
      const endpointPort = flow?.socket?.endpoint.localPort ?? process.config.bindPort;
      return this.#newPeer(endpointPort || process.config.bindPort, this.#nextRemotePort++);
    }
    if (body.kind === "udp" && (flow === null || flow.remotePort === 0)) {
      const target = flow ?? process.newFlow(null);
      target.takePorts();
      target.localPort ||= process.config.bindPort;
      target.remotePort ||= process.config.connectPort;
      return target;
    }
    return flow ?? this.#newPeer(process.config.bindPort, this.#nextRemotePort++);
  }

  #newPeer(localPort: number, remotePort: number): Flow {
    const flow = this.#process.newFlow(null);
    flow.localPort = localPort;
    flow.remotePort = remotePort;
    return flow;
  }

  ofOutbound(packet: PacketSpec, place: Place): Flow {
    const process = this.#process;
    if (packet.srcPort !== 0 || packet.dstPort !== 0) {
      const localPort = packet.srcPort || process.config.bindPort;
      const known = process.findFlow(localPort, packet.dstPort);
      if (known !== null) return known;
    }
    const flow = process.underTest;
    if (flow === null) throw mismatch(place, "no connection that the packet could belong to");
    flow.takePorts();
    return flow;
  }
}

/** The first sequence number of ours, as the script has it and as it is. */
export function learnIsn(packet: PacketSpec, seen: SeenPacket, flow: Flow): void {
  if (packet.body.kind !== "tcp" || seen.tcp === null) return;
  if ((packet.body.flags & SYN) === 0 || (seen.tcp.flags & SYN) === 0) return;
  if (flow.liveIsn !== null && seen.tcp.seq === flow.liveIsn) return;
  flow.scriptIsn = packet.body.seq;
  flow.liveIsn = seen.tcp.seq;
}

/** Whether what was seen may be what the script wants next. */
export function belongs(seen: SeenPacket, flow: Flow, packet: PacketSpec): boolean {
  const isWantedIcmp = packet.body.kind === "icmp";
  if (seen.protocol === PROTO_TCP || seen.protocol === 17) {
    if (isWantedIcmp) return false;
    if ((seen.protocol === PROTO_TCP) !== (packet.body.kind === "tcp")) return false;
    const isPeer = flow.remotePort === 0 || seen.dstPort === flow.remotePort;
    return isPeer && (flow.localPort === 0 || seen.srcPort === flow.localPort);
  }
  return isWantedIcmp && (seen.protocol === 1 || isIcmp6Error(seen));
}

/** Neighbour discovery and group reports are no part of any exchange. */
const isIcmp6Error = (seen: SeenPacket): boolean => seen.protocol === 58 && seen.body[0] < 130;
