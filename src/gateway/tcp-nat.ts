// TCP through the gateway: a SYN from the guest is checked against the policy, the host is dialled, and only
// then is the guest's handshake completed; a refusal by policy or by the far side is a reset at once.
// Published ports are the same the other way round.

import { createServer, type Server, Socket } from "node:net";
import {
  type ForwardRequest,
  type IpAddr,
  NetErr,
  Ready,
  type Stack,
  type TcpEndpoint,
} from "../netstack/index.ts";
import type { Policy } from "./policy.ts";
import { TcpRelay } from "./tcp-relay.ts";

const READ_BYTES = 256 * 1024;
/**
 * Where host sockets read to: what arrives goes into the endpoint's ring before the next socket reads. A
 * connection whose guest lags behind gets a buffer of its own; thousands of idle ones share this.
 */
const sharedRead = Buffer.allocUnsafeSlow(READ_BYTES);

export interface TcpNatOptions {
  stack: Stack;
  policy: Policy;
  router: IpAddr;
  /** Null: no IPv6 inside. */
  router6: IpAddr | null;
  namesOf: (address: string) => readonly string[];
  /** A connection was refused by policy. */
  refused: (address: string, port: number, reason: string, suggestedRule: string) => void;
  /** The stack was called from outside its run: flush what it wants to send. */
  kick: () => void;
  /** Connections at once, both directions together. */
  limit: number;
}

export class TcpNat {
  readonly #o: TcpNatOptions;
  readonly #relays = new Set<TcpRelay>();
  readonly #dialling = new Set<Socket>();
  readonly #dirty: TcpRelay[] = [];
  readonly #servers: Server[] = [];

  constructor(options: TcpNatOptions) {
    this.#o = options;
    options.stack.tcp.setForwarder((request) => this.#onSyn(request));
  }

  get count(): number {
    return this.#relays.size + this.#dialling.size;
  }

  /** Moves bytes of every connection that something happened to. */
  pump(): void {
    // A relay may become dirty again while others are pumped: those wait for the next round.
    for (const relay of this.#dirty.splice(0)) relay.pump();
    if (this.#dirty.length > 0) this.#o.kick();
  }

  #onSyn(request: ForwardRequest): void {
    const { policy, router, router6, namesOf, limit } = this.#o;
    const to = request.localAddr;
    const isHost = to.equals(router) || (router6 !== null && to.equals(router6));
    const address = request.localAddr.toString();
    const port = request.localPort;
    const names = namesOf(address);
    const verdict = policy.check({ protocol: "tcp", address, port, names, isHost });
    if (!verdict.allowed) {
      request.reject();
      this.#o.refused(address, port, verdict.reason, verdict.suggestedRule);
      return;
    }
    if (this.count >= limit) {
      request.drop();
      return;
    }
    this.#dial(request, isHost ? (to.isV4 ? "127.0.0.1" : "::1") : address, port);
  }

  #dial(request: ForwardRequest, host: string, port: number): void {
    let relay: TcpRelay | null = null;
    let own: Buffer | null = null;
    const socket = new Socket({
      allowHalfOpen: true,
      onread: {
        buffer: () => own ?? sharedRead,
        callback: (n: number, bytes: Uint8Array): boolean => {
          if (relay === null || relay.fromHost(bytes, n)) return true;
          if (own === null) {
            own = Buffer.allocUnsafeSlow(READ_BYTES);
            relay.movePending(own);
          }
          return false;
        },
      },
    } as ConstructorParameters<typeof Socket>[0]);
    this.#dialling.add(socket);
    socket.once("error", () => {
      if (!this.#dialling.delete(socket)) return;
      socket.destroy();
      if (request.isPending) request.reject();
      this.#o.kick();
    });
    socket.once("connect", () => {
      this.#dialling.delete(socket);
      socket.setNoDelay(true);
      const endpoint = request.accept();
      if (endpoint === null) {
        socket.destroy();
        return;
      }
      relay = this.#join(endpoint, socket);
      this.#o.kick();
    });
    socket.connect({ host, port });
  }

  #join(endpoint: TcpEndpoint, socket: Socket): TcpRelay {
    endpoint.options.noDelay = true;
    endpoint.optionsChanged();
    const relay = new TcpRelay(
      endpoint,
      socket,
      (dirty) => {
        this.#dirty.push(dirty);
        this.#o.kick();
      },
      (ended) => this.#relays.delete(ended),
    );
    this.#relays.add(relay);
    return relay;
  }

  /** Host connections to address:hostPort become connections to `guest`:port. Resolves when listening. */
  publish(address: string, hostPort: number, guest: IpAddr, port: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      if (this.count >= this.#o.limit) socket.destroy();
      else this.#enter(socket, guest, port);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port: hostPort }, () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
  }

  #enter(socket: Socket, guest: IpAddr, port: number): void {
    const { stack } = this.#o;
    socket.on("error", () => {});
    const endpoint = stack.endpoints.tcp(guest.family);
    if (typeof endpoint === "number") {
      socket.destroy();
      return;
    }
    this.#dialling.add(socket);
    const fail = (): void => {
      this.#dialling.delete(socket);
      endpoint.close();
      socket.resetAndDestroy();
    };
    endpoint.onReadiness = (mask) => {
      if ((mask & (Ready.Error | Ready.Hangup)) !== 0) fail();
      else if ((mask & Ready.Write) !== 0) {
        this.#dialling.delete(socket);
        const relay = this.#join(endpoint, socket);
        socket.on("data", (chunk: Buffer) => {
          if (!relay.fromHost(chunk, chunk.length)) socket.pause();
        });
        socket.resume();
      }
    };
    const r = endpoint.connect(guest, port);
    if (r !== 0 && r !== NetErr.InProgress) fail();
    this.#o.kick();
  }

  close(): void {
    this.#o.stack.tcp.setForwarder(null);
    for (const server of this.#servers) server.close();
    for (const socket of this.#dialling) socket.destroy();
    for (const relay of [...this.#relays]) relay.destroy();
    this.#dialling.clear();
  }
}
