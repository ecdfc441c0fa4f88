// Published UDP ports: datagrams to a host port go to the guest, each client by an endpoint of its own at
// the router's address, so that the guest's answers find their way back. Gone after a while of silence.

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import {
  type DatagramEndpoint,
  type DatagramInfo,
  type IpAddr,
  newDatagramInfo,
  Ready,
  type Stack,
} from "../netstack/index.ts";

const IDLE_MS = 60_000;
const SWEEP_MS = 10_000;

interface Client {
  endpoint: DatagramEndpoint;
  lastUsedMs: number;
}

export interface UdpPublisherOptions {
  stack: Stack;
  router: IpAddr;
  guest: IpAddr;
  kick: () => void;
  nowMs: () => number;
  /** Clients at once, of all ports; the one silent for longest makes room. */
  limit: number;
}

export class UdpPublisher {
  readonly #o: UdpPublisherOptions;
  /** By host port, client address and port; insertion order is order of use. */
  readonly #clients = new Map<string, Client>();
  readonly #sockets: Socket[] = [];
  readonly #buffer = new Uint8Array(65_535);
  readonly #info: DatagramInfo = newDatagramInfo();
  #sweeper: NodeJS.Timeout | null = null;

  constructor(options: UdpPublisherOptions) {
    this.#o = options;
  }

  /** Resolves when the host port is bound. */
  publish(address: string, hostPort: number, port: number): Promise<void> {
    const socket = createSocket("udp4");
    this.#sockets.push(socket);
    socket.on("message", (message, from) => this.#toGuest(socket, message, from, port));
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(hostPort, address, () => {
        socket.removeListener("error", reject);
        // A client that is gone shows as an error of a later send.
        socket.on("error", () => {});
        resolve();
      });
    });
  }

  #toGuest(socket: Socket, message: Uint8Array, from: RemoteInfo, port: number): void {
    const key = `${port} ${from.address} ${from.port}`;
    const client = this.#clients.get(key) ?? this.#open(socket, from, port);
    if (client === null) return;
    this.#clients.delete(key);
    this.#clients.set(key, client);
    client.lastUsedMs = this.#o.nowMs();
    // What the guest refuses is lost, as datagrams are.
    client.endpoint.takeError();
    client.endpoint.send(message, 0, message.length, null, 0);
    this.#o.kick();
  }

  #open(socket: Socket, from: RemoteInfo, port: number): Client | null {
    const { stack, router, guest, limit, nowMs } = this.#o;
    if (this.#clients.size >= limit) this.#close(this.#clients.keys().next().value as string);
    const endpoint = stack.endpoints.udp(guest.family);
    if (typeof endpoint === "number") return null;
    if (endpoint.bind(router, 0) < 0 || endpoint.connect(guest, port) < 0) {
      endpoint.close();
      return null;
    }
    const client: Client = { endpoint, lastUsedMs: nowMs() };
    let isQueued = false;
    endpoint.onReadiness = () => {
      if (isQueued) return;
      isQueued = true;
      // Out of the stack's run first.
      queueMicrotask(() => {
        isQueued = false;
        this.#toClient(socket, client, from);
      });
    };
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
    return client;
  }

  #toClient(socket: Socket, client: Client, to: RemoteInfo): void {
    const { endpoint } = client;
    client.lastUsedMs = this.#o.nowMs();
    for (;;) {
      endpoint.takeError();
      if ((endpoint.readiness() & Ready.Read) === 0) return;
      const n = endpoint.receive(this.#buffer, 0, this.#buffer.length, this.#info, false);
      if (n < 0) return;
      socket.send(this.#buffer.slice(0, n), to.port, to.address);
    }
  }

  #sweep(): void {
    const limit = this.#o.nowMs() - IDLE_MS;
    for (const [key, client] of this.#clients) if (client.lastUsedMs < limit) this.#close(key);
    if (this.#clients.size > 0 || this.#sweeper === null) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  #close(key: string): void {
    this.#clients.get(key)?.endpoint.close();
    this.#clients.delete(key);
  }

  close(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    for (const socket of this.#sockets.splice(0)) socket.close();
    for (const key of [...this.#clients.keys()]) this.#close(key);
  }
}
