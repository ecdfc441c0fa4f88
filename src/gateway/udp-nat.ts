// UDP through the gateway: one host socket per flow (guest port, far address, far port), gone after a
// while of silence. The policy is asked once per flow; refused datagrams are answered with an ICMP error.

import { createSocket, type Socket } from "node:dgram";
import type { IpAddr, PacketBuffer, Stack } from "../netstack/index.ts";
import type { Policy } from "./policy.ts";
import { answerProhibited } from "./prohibited.ts";

const IDLE_MS = 60_000;
const SWEEP_MS = 10_000;

/** Datagrams held while the host socket is being connected. */
const QUEUE_MAX = 32;

interface Flow {
  socket: Socket;
  /** Null once connected. */
  queue: Buffer[] | null;
  lastUsedMs: number;
}

export interface UdpNatOptions {
  stack: Stack;
  policy: Policy;
  router: IpAddr;
  /** Null: no IPv6 inside. */
  router6: IpAddr | null;
  namesOf: (address: string) => readonly string[];
  refused: (address: string, port: number, reason: string, suggestedRule: string) => void;
  kick: () => void;
  /** Answers a query to the router's port 53. */
  dns: (query: Uint8Array) => Promise<Uint8Array | null>;
  /** Flows at once; the one silent for longest makes room. */
  limit: number;
  nowMs: () => number;
}

const DNS_PORT = 53;

export class UdpNat {
  readonly #o: UdpNatOptions;
  /** Insertion order is order of use. */
  readonly #flows = new Map<string, Flow>();
  #sweeper: NodeJS.Timeout | null = null;
  #queries = 0;

  constructor(options: UdpNatOptions) {
    this.#o = options;
    options.stack.udp.setForwarder({
      onDatagram: (pkt, src, dst) => this.#onDatagram(pkt, src, dst),
    });
  }

  /** False: port unreachable. */
  #onDatagram(pkt: PacketBuffer, srcPort: number, dstPort: number): boolean {
    const { policy, router, router6, namesOf } = this.#o;
    const isHost = pkt.dst.equals(router) || (router6 !== null && pkt.dst.equals(router6));
    const data = Buffer.from(pkt.bytes.subarray(pkt.payload, pkt.end));
    if (isHost && dstPort === DNS_PORT) {
      this.#query(data, pkt.dst.clone(), pkt.src.clone(), srcPort);
      return true;
    }
    if (pkt.dst.isMulticast || pkt.dst.isLimitedBroadcast) return true;
    const guest = pkt.src.toString();
    const address = pkt.dst.toString();
    const key = `${guest} ${srcPort} ${address} ${dstPort}`;
    let flow = this.#flows.get(key);
    if (flow === undefined) {
      const names = namesOf(address);
      const verdict = policy.check({ protocol: "udp", address, port: dstPort, names, isHost });
      if (!verdict.allowed) {
        this.#o.refused(address, dstPort, verdict.reason, verdict.suggestedRule);
        answerProhibited(this.#o.stack, pkt);
        return true;
      }
      flow = this.#open(key, pkt.src.clone(), srcPort, pkt.dst.clone(), dstPort, isHost);
    } else {
      this.#flows.delete(key);
      this.#flows.set(key, flow);
    }
    flow.lastUsedMs = this.#o.nowMs();
    if (flow.queue === null) flow.socket.send(data);
    else if (flow.queue.length < QUEUE_MAX) flow.queue.push(data);
    return true;
  }

  #query(data: Uint8Array, asked: IpAddr, guest: IpAddr, port: number): void {
    const QUERIES_MAX = 512;
    if (this.#queries >= QUERIES_MAX) return;
    this.#queries++;
    void this.#o.dns(data).then((reply) => {
      this.#queries--;
      if (reply === null) return;
      const { stack, kick } = this.#o;
      stack.udp.sendFrom(asked, DNS_PORT, guest, port, reply, 0, reply.length);
      kick();
    });
  }

  #open(
    key: string,
    guest: IpAddr,
    guestPort: number,
    far: IpAddr,
    farPort: number,
    isHost: boolean,
  ): Flow {
    if (this.#flows.size >= this.#o.limit) {
      const oldest = this.#flows.keys().next().value as string;
      this.#close(oldest);
    }
    const { stack, kick } = this.#o;
    const socket = createSocket(far.isV4 ? "udp4" : "udp6");
    const flow: Flow = { socket, queue: [], lastUsedMs: this.#o.nowMs() };
    socket.on("message", (message) => {
      flow.lastUsedMs = this.#o.nowMs();
      stack.udp.sendFrom(far, farPort, guest, guestPort, message, 0, message.length);
      kick();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#close(key);
      if (error.code !== "ECONNREFUSED") return;
      stack.udp.answerUnreachable(guest, guestPort, far, farPort);
      kick();
    });
    // Connected: only the far side's answers are taken, and its refusals come back as errors.
    socket.connect(farPort, isHost ? (far.isV4 ? "127.0.0.1" : "::1") : far.toString(), () => {
      for (const data of flow.queue ?? []) socket.send(data);
      flow.queue = null;
    });
    this.#flows.set(key, flow);
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
    return flow;
  }

  #sweep(): void {
    const limit = this.#o.nowMs() - IDLE_MS;
    for (const [key, flow] of this.#flows) if (flow.lastUsedMs < limit) this.#close(key);
    if (this.#flows.size === 0 && this.#sweeper !== null) {
      clearInterval(this.#sweeper);
      this.#sweeper = null;
    }
  }

  #close(key: string): void {
    const flow = this.#flows.get(key);
    this.#flows.delete(key);
    flow?.socket.close();
  }

  close(): void {
    this.#o.stack.udp.setForwarder(null);
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    for (const key of [...this.#flows.keys()]) this.#close(key);
  }
}
