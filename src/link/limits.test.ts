// What one peer can take of a stack is bounded, and an honest connection lives on while somebody sits at the
// limit. Hostile frames come with addresses that nobody answers for.

import { beforeEach, describe, expect, it } from "vitest";
import { ManualClock, MS } from "../base/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import {
  type DatagramEndpoint,
  ETHERTYPE_8021Q,
  IpAddr,
  NetErr,
  Ready,
  Stack,
  type TcpEndpoint,
} from "../netstack/index.ts";
import { MemoryPair } from "./memory-pair.ts";

const A = IpAddr.v4(10, 0, 0, 1);
const B = IpAddr.v4(10, 0, 0, 2);
const PORT = 80;
const TCP = 6;
const UDP = 17;
const ICMP = 1;

const LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  sockets: 8,
  connections: 4,
  halfOpenConnections: 16,
  timeWaitConnections: 4,
  signingKeys: 64,
  socketMemoryBytes: 512 * 1024,
  reassemblyBytes: 64 * 1024,
  routes: 16,
  interfaces: 6,
  neighborEntries: 8,
  neighborQueuePackets: 4,
  icmpErrorsPerSecond: 10,
};

let clock: ManualClock;
let pair: MemoryPair;
let a: Stack;
let b: Stack;
let listener: TcpEndpoint;
let honest: { client: TcpEndpoint; server: TcpEndpoint };

function run(forNs: number): void {
  const until = clock.monotonicNs() + forNs;
  for (;;) {
    pair.pump();
    const next = Math.min(a.nextDeadlineNs(), b.nextDeadlineNs());
    if (next > until) break;
    clock.advanceToNs(next);
    a.runTimers(clock.monotonicNs());
    b.runTimers(clock.monotonicNs());
  }
  clock.advanceToNs(until);
  pair.pump();
}

function tcp(stack: Stack): TcpEndpoint {
  const endpoint = stack.endpoints.tcp(4);
  if (typeof endpoint === "number") throw new Error("no endpoint");
  return endpoint;
}

function dial(): TcpEndpoint {
  const client = tcp(b);
  expect(client.connect(A, PORT)).toBe(NetErr.InProgress);
  return client;
}

beforeEach(() => {
  clock = new ManualClock();
  pair = new MemoryPair({ clock });
  a = new Stack({ clock, rng: new SeededRng(1), limits: { ...LIMITS } });
  b = new Stack({ clock, rng: new SeededRng(2), limits: DEFAULT_LIMITS });
  a.attach(pair.a, { name: "eth0", addresses: [{ addr: A, prefixBits: 8 }] });
  b.attach(pair.b, { name: "eth0", addresses: [{ addr: B, prefixBits: 8 }] });
  listener = tcp(a);
  expect(listener.bind(A, PORT)).toBe(0);
  expect(listener.listen(128)).toBe(0);
  const client = dial();
  run(10 * MS);
  const server = listener.accept();
  if (server === null) throw new Error("no connection");
  honest = { client, server };
});

function pass(from: TcpEndpoint, to: TcpEndpoint, bytes: number): void {
  const data = new Uint8Array(bytes);
  new SeededRng(bytes).fill(data, 0, bytes);
  const got = new Uint8Array(bytes);
  let sent = 0;
  let received = 0;
  for (let round = 0; round < 1000 && received < bytes; round++) {
    const n = sent < bytes ? from.write(data, sent, bytes - sent, 0) : 0;
    if (n > 0) sent += n;
    run(1 * MS);
    const r = to.read(got, received, bytes - received, false);
    if (r > 0) received += r;
  }
  expect(received).toBe(bytes);
  // Not toEqual: it takes seconds for so many elements.
  expect(got.every((byte, i) => byte === data[i])).toBe(true);
}

function livesOn(): void {
  pass(honest.client, honest.server, 100_000);
  pass(honest.server, honest.client, 100_000);
}

function sum(bytes: Uint8Array, from: number, to: number, seed = 0): number {
  let s = seed;
  for (let i = from; i < to; i += 2) s += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
  return s;
}

function put16(f: Uint8Array, at: number, value: number): void {
  f[at] = value >> 8;
  f[at + 1] = value;
}

/** An IPv4 frame to A from the n-th stranger; `field`: where the payload has its checksum, if any. */
function frame(n: number, protocol: number, payload: Uint8Array, field = -1, frag = 0): Uint8Array {
  const f = new Uint8Array(34 + payload.length);
  f.set([...pair.a.mac, 2, 9, 9, 9, n >> 8, n, 8, 0]);
  f.set([0x45, 0, 0, 0, n >> 8, n, frag >> 8, frag, 64, protocol, 0, 0, 10, 7, n >> 8, n], 14);
  f.set([10, 0, 0, 1], 30);
  put16(f, 16, 20 + payload.length);
  put16(f, 24, ~sum(f, 14, 34));
  f.set(payload, 34);
  if (field >= 0) {
    const pseudo = protocol === ICMP ? 0 : sum(f, 26, 34, protocol + payload.length);
    put16(f, 34 + field, ~sum(f, 34, f.length, pseudo));
  }
  return f;
}

const syn = (n: number): Uint8Array => {
  const p = new Uint8Array(20);
  put16(p, 0, 1024 + (n % 60_000));
  put16(p, 2, PORT);
  p.set([n >> 8, n, 1, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff], 4);
  return frame(n, TCP, p, 16);
};

describe("an honest connection lives on while somebody", () => {
  it("floods the listener with SYNs, and a new one gets in when the flood is over", () => {
    for (let n = 0; n < 2000; n++) {
      pair.a.inject(syn(n));
      expect(a.tcp.context.halfOpenCount).toBeLessThanOrEqual(LIMITS.halfOpenConnections);
      if (n % 500 === 499) livesOn();
    }
    // The backlog of the one listener is full before the table of all is.
    expect(a.tcp.context.halfOpenCount).toBeGreaterThan(0);
    const late = dial();
    run(150_000 * MS);
    expect(late.readiness() & Ready.Write).not.toBe(0);
    livesOn();
  });

  it("holds all connections there may be", () => {
    for (let i = 0; i < 20; i++) dial();
    run(100 * MS);
    let accepted = 0;
    while (listener.accept() !== null) accepted++;
    expect(accepted).toBe(LIMITS.connections - 1);
    livesOn();
  });

  it("opens sockets until none is left", () => {
    const opened: { close(): void }[] = [];
    for (;;) {
      const endpoint = a.endpoints.udp(4);
      if (typeof endpoint === "number") break;
      opened.push(endpoint);
    }
    expect(opened).toHaveLength(LIMITS.sockets);
    livesOn();
    opened[0].close();
    expect(typeof a.endpoints.udp(4)).not.toBe("number");
  });

  it("opens and closes until all TIME-WAITs there may be are taken", () => {
    for (let i = 0; i < 20; i++) {
      const client = dial();
      run(5 * MS);
      listener.accept()?.close();
      run(5 * MS);
      client.close();
      run(5 * MS);
      expect(a.tcp.context.timeWaits.count).toBeLessThanOrEqual(LIMITS.timeWaitConnections);
    }
    expect(a.tcp.stats.TCPTimeWaitOverflow).toBe(20 - LIMITS.timeWaitConnections);
    livesOn();
    const late = dial();
    run(10 * MS);
    expect(late.readiness() & Ready.Write).not.toBe(0);
  });

  it("sets all signing keys there may be", () => {
    const key = Uint8Array.of(1);
    const hoard = tcp(a);
    const set = (n: number): number => hoard.setMd5Key(IpAddr.v4(10, 1, 0, n), 32, key);
    const results = Array.from({ length: 100 }, (_, n) => set(n));
    expect(results.indexOf(NetErr.NoBuffers)).toBe(LIMITS.signingKeys);
    livesOn();
    expect(hoard.setMd5Key(IpAddr.v4(10, 1, 0, 0), 32, null)).toBe(0);
    expect([set(0), set(101)]).toEqual([0, NetErr.NoBuffers]);
    hoard.close();
    expect(a.tcp.context.signingKeyCount).toBe(0);
    expect(tcp(a).setMd5Key(B, 32, key)).toBe(0);
  });

  it("never closes its half of what we have closed", () => {
    for (let i = 0; i < 6; i++) {
      dial();
      run(5 * MS);
      listener.accept()?.close();
      run(5 * MS);
      expect(a.tcp.context.orphanCount).toBe(0);
      expect(a.tcp.context.timeWaits.count).toBeLessThanOrEqual(LIMITS.timeWaitConnections);
    }
    expect(a.tcp.stats.TCPTimeWaitOverflow).toBeGreaterThan(0);
    livesOn();
    run(61_000 * MS);
    expect(a.tcp.context.timeWaits.count).toBe(0);
    const late = dial();
    run(10 * MS);
    expect(late.readiness() & Ready.Write).not.toBe(0);
  });

  it("fills the memory of all sockets with what nobody reads", () => {
    const data = new Uint8Array(1 << 20);
    const hoards = [dial(), dial(), dial()];
    run(10 * MS);
    const servers = hoards.map(() => listener.accept());
    for (let i = 0; i < 500; i++) {
      for (const client of hoards) client.write(data, 0, data.length, 0);
      for (const server of servers) server?.write(data, 0, data.length, 0);
      run(2 * MS);
    }
    const { rings } = a.tcp.context;
    expect(rings.isUnderPressure).toBe(true);
    expect(a.tcp.stats.TCPMemoryPressures).toBeGreaterThan(0);
    expect(rings.usedBytes).toBeLessThanOrEqual(LIMITS.socketMemoryBytes * 1.25);
    livesOn();
  });

  it("fills the table of routes", () => {
    let refused = 0;
    for (let n = 0; n < 100; n++) {
      const dst = IpAddr.v4(172, 16, n, 0);
      const nicId = a.nicByName("eth0")?.id ?? 0;
      const route = { dst, prefixBits: 24, gateway: B, nicId, src: null, mtu: 0, advmss: 0 };
      if (a.routes.add(route as Parameters<typeof a.routes.add>[0]) !== 0) refused++;
    }
    expect(refused).toBeGreaterThan(80);
    expect(a.routes.entries.length).toBeLessThanOrEqual(LIMITS.routes);
    livesOn();
  });

  it("makes all VLAN interfaces there may be, and takes them away again", () => {
    const parent = a.nicByName("eth0");
    if (parent === null) throw new Error("no eth0");
    const add = (vid: number) =>
      a.interfaces.addVlan(parent, { name: `v${vid}`, vid, protocol: ETHERTYPE_8021Q });
    const made = Array.from({ length: 20 }, (_, n) => add(n + 1));
    expect(made.filter((nic) => nic === NetErr.NoBuffers)).toHaveLength(16);
    expect(a.nics).toHaveLength(LIMITS.interfaces);
    livesOn();
    for (const nic of made) if (typeof nic !== "number") a.interfaces.remove(nic);
    expect(a.nics).toHaveLength(2);
    livesOn();
  });

  it("sends pieces of datagrams that never become whole", () => {
    for (let n = 0; n < 1000; n++) {
      pair.a.inject(frame(n, UDP, new Uint8Array(1400), -1, 0x2000));
      expect(a.fragments.bytesHeld).toBeLessThanOrEqual(LIMITS.reassemblyBytes);
      if (n % 250 === 249) livesOn();
    }
  });

  it("pings from a thousand addresses that do not exist", () => {
    for (let n = 0; n < 1000; n++) {
      pair.a.inject(frame(n, ICMP, Uint8Array.of(8, 0, 0, 0, 0, 1, 0, 1), 2));
      if (n % 250 === 249) livesOn();
    }
    expect(a.nics[1].neighbors.entries().length).toBeLessThanOrEqual(LIMITS.neighborEntries);
    run(60_000 * MS);
    livesOn();
  });

  it("makes every timer there may be: they are as many as what the other limits allow", () => {
    const most = LIMITS.connections + LIMITS.halfOpenConnections + 2 * LIMITS.neighborEntries + 16;
    for (let i = 0; i < 6; i++) dial();
    for (let n = 0; n < 500; n++) {
      pair.a.inject(syn(n));
      pair.a.inject(frame(n, UDP, new Uint8Array(1400), -1, 0x2000));
      pair.a.inject(frame(500 + n, ICMP, Uint8Array.of(8, 0, 0, 0, 0, 1, 0, 1), 2));
      expect(a.timers.size).toBeLessThanOrEqual(most);
      if (n % 250 === 249) livesOn();
    }
    expect(a.timers.size).toBeGreaterThan(LIMITS.halfOpenConnections);
    livesOn();
  });

  it("asks a thousand closed ports", () => {
    for (let n = 0; n < 1000; n++) {
      pair.a.inject(frame(n, UDP, Uint8Array.of(4, 0, n >> 8 || 1, n, 0, 8, 0, 0)));
    }
    expect(a.counters.icmpOutRateLimitGlobal).toBeGreaterThan(900);
    livesOn();
  });

  it("sends datagrams that nobody reads to all sockets there are", () => {
    const sockets: DatagramEndpoint[] = [];
    for (let port = 5000; sockets.length < 6; port++) {
      const endpoint = a.endpoints.udp(4) as DatagramEndpoint;
      endpoint.options.receiveBufferBytes = LIMITS.socketMemoryBytes;
      expect(endpoint.bind(A, port)).toBe(0);
      sockets.push(endpoint);
    }
    const p = new Uint8Array(1_408);
    for (let n = 0; n < 3_000; n++) {
      put16(p, 2, 5_000 + (n % 6));
      put16(p, 4, p.length);
      pair.a.inject(frame(n, UDP, p));
      // One datagram may be the one that reaches the limit.
      expect(a.socketMemoryBytes).toBeLessThanOrEqual(LIMITS.socketMemoryBytes + 2_000);
      if (n % 1_000 === 999) livesOn();
    }
    expect(a.counters.dropReceiveQueueFull).toBeGreaterThan(1_000);
    for (const s of sockets) s.close();
    expect(a.socketMemoryBytes).toBe(0);
  });

  it("never reads, and has all that one socket may hold written to it and by it", () => {
    const greedy = dial();
    run(10 * MS);
    const server = listener.accept() as TcpEndpoint;
    const data = new Uint8Array(1 << 20);
    for (let i = 0; i < 50; i++) {
      greedy.write(data, 0, data.length, 0);
      server.write(data, 0, data.length, 0);
      run(5 * MS);
    }
    expect(server.sendMemoryBytes).toBeLessThanOrEqual(2 * LIMITS.socketBufferBytesMax);
    expect(server.receiveMemoryBytes).toBeLessThanOrEqual(LIMITS.socketBufferBytesMax);
    expect(server.receiveMemoryBytes).toBeGreaterThan(0);
    livesOn();
  });

  it("makes us send to neighbours that do not answer", () => {
    const { neighbors } = a.nics[1];
    const socket = a.endpoints.udp(4) as DatagramEndpoint;
    const data = new Uint8Array(1_000);
    for (let n = 0; n < 2_000; n++) {
      socket.send(data, 0, data.length, IpAddr.v4(10, 8, 0, n % 20), 9);
      if (n % 500 === 499) livesOn();
    }
    expect(neighbors.entries().length).toBeLessThanOrEqual(LIMITS.neighborEntries);
    expect(a.counters.dropNeighborQueueFull).toBeGreaterThan(0);
    run(10_000 * MS);
    livesOn();
  });
});

describe("every limit of a stack", () => {
  /** Limits of the Sentry, not of its stack. */
  const OTHERS = ["memoryBytes", "tasks", "files", "descriptorsPerProcess", "tmpfsBytes"];
  OTHERS.push("inodes", "mappings", "pipeBytesMax", "millicores");
  // Held by what is in front of the stack (impair/).
  OTHERS.push("linkBitsPerSecond");
  /** Where somebody sits at it above. */
  const TESTED: Record<string, RegExp> = {
    sockets: /opens sockets until none is left/,
    connections: /holds all connections/,
    halfOpenConnections: /floods the listener/,
    timeWaitConnections: /TIME-WAITs there may be/,
    signingKeys: /signing keys/,
    socketBufferBytesMax: /all that one socket may hold/,
    socketMemoryBytes: /datagrams that nobody reads/,
    reassemblyBytes: /pieces of datagrams/,
    neighborEntries: /addresses that do not exist/,
    routes: /table of routes/,
    interfaces: /all VLAN interfaces/,
    neighborQueuePackets: /neighbours that do not answer/,
    icmpErrorsPerSecond: /closed ports/,
    timers: /every timer there may be/,
  };

  it("has a test of its own here", ({ task }) => {
    const titles = task.file.tasks.flatMap((t) => ("tasks" in t ? t.tasks : [])).map((t) => t.name);
    for (const name of Object.keys(DEFAULT_LIMITS).filter((n) => !OTHERS.includes(n))) {
      expect(titles.filter((title) => TESTED[name]?.test(title))).toHaveLength(1);
    }
  });
});
