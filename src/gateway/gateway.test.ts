// The gateway with real host sockets on the loopback, and a guest's stack on the other end of its link.

import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import { SOCK_STREAM, socketpair } from "../host/unix-socket.ts";
import { EventLoopLink } from "../link/host/index.ts";
import {
  type DatagramEndpoint,
  IpAddr,
  NetErr,
  newDatagramInfo,
  Ready,
  Stack,
  type TcpEndpoint,
} from "../netstack/index.ts";
import { Gateway, type GatewayRefusal } from "./gateway.ts";
import { parseRule } from "./rule.ts";

const GUEST = IpAddr.v4(10, 0, 2, 15);
const ROUTER = IpAddr.v4(10, 0, 2, 2);
const ANY = IpAddr.v4(0, 0, 0, 0);
const WORLD = IpAddr.v4(192, 0, 2, 80);

class HostClock implements Clock {
  monotonicNs(): number {
    return Math.round(performance.now() * 1e6);
  }
  realtimeNs(): number {
    return Date.now() * 1e6;
  }
}

/** The sandbox's side: a stack driven by the event loop. */
class Guest {
  readonly clock = new HostClock();
  readonly stack = new Stack({
    clock: this.clock,
    rng: new SeededRng(2),
    limits: { ...DEFAULT_LIMITS },
  });
  readonly #link: EventLoopLink;
  readonly #waiting = new Set<() => void>();
  readonly #ticker: NodeJS.Timeout;

  constructor(fd: number) {
    const mac = new Uint8Array([2, 0, 0, 0, 0, 15]);
    const run = (): void => this.run();
    this.#link = new EventLoopLink({ fd, mtu: 1500, mac, onDelivered: run, onClosed: () => {} });
    this.stack.attach(this.#link, {
      name: "eth0",
      addresses: [{ addr: GUEST, prefixBits: 24 }],
      routes: [{ dst: ANY, prefixBits: 0, gateway: ROUTER }],
    });
    this.#ticker = setInterval(run, 5);
  }

  run(): void {
    this.stack.runTimers(this.clock.monotonicNs());
    for (const check of [...this.#waiting]) check();
  }

  /** Resolves when `done` holds after some event. */
  until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!done()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  async connect(addr: IpAddr, port: number): Promise<TcpEndpoint> {
    const endpoint = this.stack.endpoints.tcp(4);
    if (typeof endpoint === "number") throw new Error("no endpoint");
    endpoint.connect(addr, port);
    await this.until(() => (endpoint.readiness() & (Ready.Write | Ready.Error)) !== 0);
    return endpoint;
  }

  udp(): DatagramEndpoint {
    const endpoint = this.stack.endpoints.udp(4);
    if (typeof endpoint === "number") throw new Error("no endpoint");
    return endpoint;
  }

  close(): void {
    clearInterval(this.#ticker);
    this.#link.close();
  }
}

const buffer = new Uint8Array(1 << 20);
const bytes = (length: number): Uint8Array => {
  const b = new Uint8Array(length);
  new SeededRng(length).fill(b, 0, length);
  return b;
};

let guest: Guest;
let gateway: Gateway;
let link: EventLoopLink;
let refusals: GatewayRefusal[];
const servers: (Server | UdpSocket)[] = [];

function start(...allow: string[]): void {
  const ends = new Int32Array(2);
  expect(socketpair(SOCK_STREAM, ends)).toBe(0);
  refusals = [];
  gateway = new Gateway({
    clock: new HostClock(),
    rng: new SeededRng(1),
    allow: allow.map(parseRule),
    deny: [],
    router: ROUTER,
    prefixBits: 24,
    guest: GUEST,
    onRefused: (r) => refusals.push(r),
    resolve: async (name) => (name === "db.test" ? ["192.0.2.80"] : ["127.0.0.1"]),
  });
  link = new EventLoopLink({
    fd: ends[0],
    mtu: 1500,
    mac: new Uint8Array([2, 0, 0, 0, 0, 2]),
    onDelivered: () => gateway.run(),
    onClosed: () => {},
  });
  gateway.attach(link);
  guest = new Guest(ends[1]);
}

function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, onSocket);
  servers.push(server);
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
  );
}

function bindUdp(onMessage: (socket: UdpSocket, m: Buffer, port: number) => void): Promise<number> {
  const socket = createSocket("udp4");
  servers.push(socket);
  socket.on("message", (m, from) => onMessage(socket, m, from.port));
  return new Promise((resolve) =>
    socket.bind(0, "127.0.0.1", () => resolve(socket.address().port)),
  );
}

/** A port with nobody on it. */
async function closedPort(): Promise<number> {
  const port = await listen(() => {});
  await new Promise((done) => (servers.pop() as Server).close(done));
  return port;
}

beforeEach(() => start("host", "udp:host"));
afterEach(() => {
  guest.close();
  gateway.close();
  link.close();
  for (const server of servers.splice(0)) server.close();
});

describe("TCP", () => {
  it("carries bytes both ways, and each half-close by itself", async () => {
    const received: Buffer[] = [];
    const port = await listen((socket) => {
      socket.on("data", (chunk) => received.push(chunk));
      // Answers only after the guest's end of stream.
      socket.on("end", () => socket.end(Buffer.concat(received)));
    });
    const data = bytes(3_000_000);
    const endpoint = await guest.connect(ROUTER, port);
    let sent = 0;
    await guest.until(() => {
      const n = endpoint.write(data, sent, data.length - sent, 0);
      if (n > 0) sent += n;
      return sent === data.length;
    });
    endpoint.shutdown(false, true);
    const echoed = new Uint8Array(data.length);
    let got = 0;
    await guest.until(() => {
      for (;;) {
        const n = endpoint.read(buffer, 0, buffer.length, false);
        if (n <= 0) return n === 0;
        echoed.set(buffer.subarray(0, n), got);
        got += n;
      }
    });
    expect(got).toBe(data.length);
    expect(Buffer.compare(echoed, data)).toBe(0);
    endpoint.close();
  });

  it("refuses by rule and for a dead port at once, and completes no handshake first", async () => {
    const dead = await closedPort();
    const port = await listen(() => {});
    const refused = await guest.connect(WORLD, port);
    expect(refused.takeError()).toBe(NetErr.ConnectionRefused);
    expect(refusals).toEqual([
      {
        protocol: "tcp",
        address: "192.0.2.80",
        port,
        name: null,
        reason: "no --allow rule",
        suggestedRule: `192.0.2.80:${port}`,
      },
    ]);
    const nobody = await guest.connect(ROUTER, dead);
    expect(nobody.takeError()).toBe(NetErr.ConnectionRefused);
    expect(refusals.length).toBe(1);
  });

  it("passes resets on, both ways", async () => {
    const sockets: Socket[] = [];
    const port = await listen((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
    });
    const first = await guest.connect(ROUTER, port);
    await guest.until(() => sockets.length === 1);
    sockets[0].resetAndDestroy();
    await guest.until(() => (first.readiness() & Ready.Error) !== 0);
    expect(first.takeError()).toBe(NetErr.ConnectionReset);
    const second = await guest.connect(ROUTER, port);
    await guest.until(() => sockets.length === 2);
    const failed = new Promise<string>((resolve) =>
      sockets[1].once("error", (e: NodeJS.ErrnoException) => resolve(e.code ?? "")),
    );
    second.abort();
    expect(await failed).toBe("ECONNRESET");
  });

  it("holds 200 connections, and a slow one holds up no other", async () => {
    let accepted = 0;
    const port = await listen((socket) => {
      socket.on("error", () => {});
      socket.end(Buffer.alloc(accepted++ === 0 ? 4_000_000 : 200_000, 7));
    });
    // The first has more to say than all buffers on its way hold, and is never read.
    const all = [await guest.connect(ROUTER, port)];
    await guest.until(() => accepted === 1);
    all.push(
      ...(await Promise.all(Array.from({ length: 199 }, () => guest.connect(ROUTER, port)))),
    );
    let done = 0;
    const totals = new Array<number>(all.length).fill(0);
    await guest.until(() => {
      for (let i = 1; i < all.length; i++) {
        if (totals[i] < 0) continue;
        for (;;) {
          const n = all[i].read(buffer, 0, buffer.length, false);
          if (n > 0) totals[i] += n;
          else {
            if (n === 0) {
              expect(totals[i]).toBe(200_000);
              totals[i] = -1;
              done++;
            }
            break;
          }
        }
      }
      return done === all.length - 1;
    });
    for (const endpoint of all) endpoint.abort();
  });

  it("lets the host in through a published port", async () => {
    const port = await closedPort();
    await gateway.publish("tcp", "127.0.0.1", port, 8080);
    const listener = guest.stack.endpoints.tcp(4) as TcpEndpoint;
    listener.bind(ANY, 8080);
    listener.listen(8);
    const socket = connect(port, "127.0.0.1");
    socket.write("hello");
    let child: TcpEndpoint | null = null;
    await guest.until(() => (child = listener.accept()) !== null);
    const endpoint = child as unknown as TcpEndpoint;
    await guest.until(() => endpoint.readableBytes === 5);
    endpoint.read(buffer, 0, 5, false);
    endpoint.write(buffer, 0, 5, 0);
    const answer = await new Promise((resolve) => socket.once("data", resolve));
    expect(String(answer)).toBe("hello");
    socket.destroy();
  });
});

describe("UDP", () => {
  it("carries datagrams of any size to the host and back", async () => {
    const port = await bindUdp((socket, m, from) => socket.send(m, from));
    const endpoint = guest.udp();
    for (const length of [0, 1, 1472, 9000, 60_000]) {
      const data = bytes(length);
      expect(endpoint.send(data, 0, length, ROUTER, port)).toBe(length);
      const out = newDatagramInfo();
      let n = -1;
      await guest.until(() => (n = endpoint.receive(buffer, 0, buffer.length, out, false)) >= 0);
      expect(Buffer.compare(buffer.subarray(0, n), data)).toBe(0);
      expect([out.addr.toString(), out.port]).toEqual(["10.0.2.2", port]);
    }
  });

  it("refuses by rule at once, and tells of a port that nobody is on", async () => {
    const endpoint = guest.udp();
    endpoint.connect(WORLD, 9);
    endpoint.send(buffer, 0, 1, null, 0);
    await guest.until(() => (endpoint.readiness() & Ready.Error) !== 0);
    expect(endpoint.takeError()).toBe(NetErr.HostUnreachable);
    expect(refusals[0]).toMatchObject({ protocol: "udp", suggestedRule: "udp:192.0.2.80:9" });
    const dead = await bindUdp(() => {});
    await new Promise<void>((done) => (servers.pop() as UdpSocket).close(() => done()));
    endpoint.connect(ROUTER, dead);
    endpoint.send(buffer, 0, 1, null, 0);
    await guest.until(() => (endpoint.readiness() & Ready.Error) !== 0);
    expect(endpoint.takeError()).toBe(NetErr.ConnectionRefused);
  });

  it("lets the host in through a published port", async () => {
    const port = await bindUdp(() => {});
    await new Promise<void>((done) => (servers.pop() as UdpSocket).close(() => done()));
    await gateway.publish("udp", "127.0.0.1", port, 5353);
    const server = guest.udp();
    server.bind(ANY, 5353);
    const client = createSocket("udp4");
    servers.push(client);
    const answered = new Promise((resolve) => client.once("message", (m) => resolve(String(m))));
    client.send("ping", port, "127.0.0.1");
    const out = newDatagramInfo();
    await guest.until(() => server.receive(buffer, 0, 100, out, false) === 4);
    server.send(buffer, 0, 4, out.addr, out.port);
    expect(await answered).toBe("ping");
  });
});

describe("names", () => {
  it("answers for the host over UDP, and pings go to the router only", async () => {
    const endpoint = guest.udp();
    const name = "\x04host\x07netcell\x08internal\0";
    const query = Buffer.from(`\x12\x34\x01\0\0\x01\0\0\0\0\0\0${name}\0\x01\0\x01`, "latin1");
    endpoint.send(query, 0, query.length, ROUTER, 53);
    let n = -1;
    await guest.until(() => (n = endpoint.receive(buffer, 0, 512, newDatagramInfo(), false)) > 0);
    expect([...buffer.slice(n - 4, n)]).toEqual([10, 0, 2, 2]);
    const ping = guest.stack.endpoints.ping(4);
    if (typeof ping === "number") throw new Error("no endpoint");
    const echo = new Uint8Array([8, 0, 0, 0, 0, 0, 0, 1, 42]);
    ping.send(echo, 0, echo.length, ROUTER, 0);
    await guest.until(() => ping.receive(buffer, 0, 64, newDatagramInfo(), false) === echo.length);
    expect([buffer[0], buffer[8]]).toEqual([0, 42]);
    ping.options.receiveErrors = true;
    ping.send(echo, 0, echo.length, WORLD, 0);
    await guest.until(() => (ping.readiness() & Ready.Error) !== 0);
    expect(refusals[0]).toMatchObject({ protocol: "icmp", address: "192.0.2.80" });
  });
});
