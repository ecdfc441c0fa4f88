import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ManualClock, MS, SECOND } from "../base/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import {
  checksum,
  ErrorOrigin,
  IpAddr,
  NeighborState,
  NetErr,
  newDatagramInfo,
  pseudoSum,
  Ready,
  Stack,
  type UdpEndpoint,
} from "../netstack/index.ts";
import { MemoryPair } from "./memory-pair.ts";

const A = IpAddr.v4(10, 0, 0, 1);
const B = IpAddr.v4(10, 0, 0, 2);
const OFF_LINK = IpAddr.v4(192, 0, 2, 9);
const ANY = IpAddr.v4(0, 0, 0, 0);

class World {
  readonly clock = new ManualClock();
  readonly pair: MemoryPair;
  readonly a: Stack;
  readonly b: Stack;

  constructor(
    options: {
      mtu?: number;
      limits?: Partial<Limits>;
      promiscuousB?: boolean;
      checksumOffload?: boolean;
    } = {},
  ) {
    const { clock } = this;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.pair = new MemoryPair({
      clock,
      mtu: options.mtu,
      checksumOffload: options.checksumOffload,
    });
    this.a = new Stack({ clock, rng: new SeededRng(1), limits });
    this.b = new Stack({ clock, rng: new SeededRng(2), limits });
    this.a.attach(this.pair.a, {
      name: "eth0",
      addresses: [{ addr: A, prefixBits: 24 }],
      routes: [{ dst: ANY, prefixBits: 0, gateway: B }],
    });
    this.b.attach(this.pair.b, {
      name: "eth0",
      addresses: [{ addr: B, prefixBits: 24 }],
      promiscuous: options.promiscuousB,
    });
  }

  run(forNs = 0): void {
    const until = this.clock.monotonicNs() + forNs;
    for (;;) {
      this.pair.pump();
      const next = Math.min(this.a.nextDeadlineNs(), this.b.nextDeadlineNs());
      if (next > until) break;
      this.clock.advanceToNs(next);
      this.a.runTimers(this.clock.monotonicNs());
      this.b.runTimers(this.clock.monotonicNs());
    }
    this.clock.advanceToNs(until);
    this.pair.pump();
  }
}

function udp(stack: Stack, addr: IpAddr, port: number): UdpEndpoint {
  const endpoint = stack.endpoints.udp(4);
  if (typeof endpoint === "number") throw new Error("no endpoint");
  expect(endpoint.bind(addr, port)).toBe(0);
  return endpoint as UdpEndpoint;
}

function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  new SeededRng(length).fill(bytes, 0, length);
  return bytes;
}

const buffer = new Uint8Array(70_000);
function receive(endpoint: UdpEndpoint, info = newDatagramInfo()): Uint8Array | number {
  const n = endpoint.receive(buffer, 0, buffer.length, info, false);
  return n < 0 ? n : buffer.slice(0, n);
}

describe("address resolution", () => {
  // @rfc 826 1
  it("asks once, sends what waited, and remembers both ways", () => {
    const w = new World();
    const server = udp(w.b, B, 7000);
    const client = udp(w.a, A, 0);
    for (let i = 0; i < 3; i++) client.send(pattern(10 + i), 0, 10 + i, B, 7000);
    w.run();
    expect(w.a.counters.arpOutRequests).toBe(1);
    expect([1, 2, 3].map(() => (receive(server) as Uint8Array).length)).toEqual([10, 11, 12]);
    expect(w.a.nics[1].neighbors.find(B)?.state).toBe(NeighborState.Reachable);
    // The one who was asked learned too, but has no proof.
    expect(w.b.nics[1].neighbors.find(A)?.state).toBe(NeighborState.Stale);
  });

  // @rfc 1122 2.3.2.1b
  it("gives up after three probes and tells the connected sender", () => {
    const w = new World();
    w.pair.a.filter = () => false;
    const client = udp(w.a, A, 0);
    client.options.receiveErrors = true;
    expect(client.connect(B, 9)).toBe(0);
    client.send(pattern(5), 0, 5, null, 0);
    w.run(2 * SECOND);
    expect(client.takeError()).toBe(0);
    w.run(2 * SECOND);
    expect(w.a.counters.arpOutRequests).toBe(3);
    expect(client.readiness() & Ready.Error).toBe(Ready.Error);
    expect(client.takeError()).toBe(NetErr.HostUnreachable);
  });

  // @rfc 4861 7.3
  // @rfc 1122 2.3.2.1a
  it("probes a stale neighbour by unicast, and is then idle", () => {
    const w = new World();
    const server = udp(w.b, B, 7000);
    const client = udp(w.a, A, 0);
    client.send(pattern(1), 0, 1, B, 7000);
    w.run(60 * SECOND);
    expect(w.a.nics[1].neighbors.find(B)?.state).toBe(NeighborState.Stale);
    client.send(pattern(1), 0, 1, B, 7000);
    w.run(4 * SECOND);
    expect(w.a.nics[1].neighbors.find(B)?.state).toBe(NeighborState.Delay);
    w.run(2 * SECOND);
    expect(w.a.nics[1].neighbors.find(B)?.state).toBe(NeighborState.Reachable);
    w.run(100 * SECOND);
    expect(w.a.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    expect(w.b.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    expect(server.nextBytes).toBe(1);
  });

  it("makes no entry for an answer that nobody asked for", () => {
    const w = new World();
    const frame = new Uint8Array(42);
    frame.set([2, 0, 0, 0, 0, 1, 2, 9, 9, 9, 9, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2], 0);
    frame.set([2, 9, 9, 9, 9, 9, 10, 0, 0, 77, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1], 22);
    w.pair.a.inject(frame);
    expect(w.a.counters.arpInReplies).toBe(1);
    expect(w.a.nics[1].neighbors.size).toBe(0);
  });

  it("holds no more entries than its limit", () => {
    const w = new World({ limits: { neighborEntries: 8 } });
    const frame = new Uint8Array(42);
    for (let i = 10; i < 200; i++) {
      frame.set([255, 255, 255, 255, 255, 255, 2, 9, 9, 9, 9, i, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1], 0);
      frame.set([2, 9, 9, 9, 9, i, 10, 0, 0, i, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1], 22);
      w.pair.a.inject(frame);
    }
    expect(w.a.nics[1].neighbors.size).toBe(8);
  });
});

describe("UDP between two stacks", () => {
  // @rfc 1122 4.1.4
  it("keeps datagrams whole, with their sender", () => {
    const w = new World();
    const server = udp(w.b, ANY, 7000);
    const client = udp(w.a, A, 4000);
    for (const n of [0, 1, 1472]) expect(client.send(pattern(n), 0, n, B, 7000)).toBe(n);
    w.run();
    const info = newDatagramInfo();
    for (const n of [0, 1, 1472]) {
      expect(Buffer.compare(receive(server, info) as Uint8Array, pattern(n))).toBe(0);
      expect([info.addr.toString(), info.port, info.localAddr.toString()]).toEqual([
        "10.0.0.1",
        4000,
        "10.0.0.2",
      ]);
    }
    expect(receive(server)).toBe(NetErr.WouldBlock);
  });

  // @rfc 791 3.2
  // @rfc 1122 3.2.1.4 3.3.2a
  it("fragments what does not fit, and reassembles it in any order", () => {
    for (const n of [1473, 9000, 65_507]) {
      const w = new World();
      const server = udp(w.b, B, 7000);
      const client = udp(w.a, A, 0);
      client.send(pattern(1), 0, 1, B, 7000);
      w.run();
      receive(server);
      client.send(pattern(n), 0, n, B, 7000);
      w.pair.b.reverse();
      w.run();
      expect(Buffer.compare(receive(server) as Uint8Array, pattern(n))).toBe(0);
      expect(w.b.fragments.bytesHeld).toBe(0);
      expect(w.b.counters.ipReasmOKs).toBe(1);
    }
  });

  it("refuses what cannot be sent", () => {
    const w = new World();
    const client = udp(w.a, A, 0);
    expect(client.send(buffer, 0, 65_508, B, 7000)).toBe(NetErr.MessageTooLong);
    expect(client.send(buffer, 0, 1, null, 0)).toBe(NetErr.DestinationRequired);
    expect(client.send(buffer, 0, 1, IpAddr.v4(10, 0, 0, 255), 7000)).toBe(NetErr.NotPermitted);
    client.options.mtuDiscover = 2;
    client.options.receiveErrors = true;
    expect(client.send(buffer, 0, 1473, B, 7000)).toBe(NetErr.MessageTooLong);
    // ip_local_error: what a router would have said, and no pending error.
    const told = {
      origin: ErrorOrigin.Local,
      error: NetErr.MessageTooLong,
      info: 1500,
      port: 0,
    };
    expect(client.takeErrorEntry()).toMatchObject(told);
    expect(client.takeError()).toBe(0);
    w.a.routes.remove(w.a.routes.entries[w.a.routes.entries.length - 1]);
    expect(client.send(buffer, 0, 1, OFF_LINK, 7000)).toBe(NetErr.NetworkUnreachable);
  });

  // @rfc 1122 3.2.2.1 4.1.3.1 4.1.3.3
  it("reports a closed port to a connected endpoint only", () => {
    const w = new World();
    const connected = udp(w.a, A, 0);
    const loose = udp(w.a, A, 0);
    expect(connected.connect(B, 9)).toBe(0);
    connected.send(pattern(3), 0, 3, null, 0);
    loose.send(pattern(3), 0, 3, B, 9);
    w.run();
    expect(connected.send(pattern(3), 0, 3, null, 0)).toBe(NetErr.ConnectionRefused);
    expect(loose.takeError()).toBe(0);
    expect(w.b.counters.icmpOutDestUnreachs).toBe(2);
  });

  it("quotes a packet with the checksum that its sender left to the link", () => {
    const w = new World({ checksumOffload: true });
    let quoted: Uint8Array | null = null;
    w.pair.b.filter = (pkt) => {
      const frame = pkt.bytes.slice(pkt.start, pkt.end);
      if (frame[12] === 8 && frame[13] === 0) quoted = frame.subarray(14 + 20 + 8);
      return true;
    };
    udp(w.a, A, 4000).send(pattern(31), 0, 31, B, 9);
    w.run();
    const packet = quoted as unknown as Uint8Array;
    expect(packet.length).toBe(20 + 8 + 31);
    const UDP = 17;
    expect(checksum(packet, 20, 8 + 31, pseudoSum(A, B, UDP, 8 + 31))).toBe(0);
  });

  it("limits errors per second", () => {
    const w = new World({ limits: { icmpErrorsPerSecond: 10 } });
    const client = udp(w.a, A, 0);
    client.send(pattern(1), 0, 1, B, 9);
    w.run(SECOND);
    for (let i = 0; i < 200; i++) client.send(pattern(1), 0, 1, B, 9);
    w.run();
    expect(w.b.counters.icmpOutDestUnreachs).toBeLessThanOrEqual(52);
    expect(w.b.counters.icmpOutRateLimitHost).toBeGreaterThan(140);
  });

  it("bounds the receive queue and counts what it drops", () => {
    const w = new World();
    const server = udp(w.b, B, 7000);
    server.options.receiveBufferBytes = 4000;
    const client = udp(w.a, A, 0);
    for (let i = 0; i < 10; i++) {
      client.send(pattern(1000), 0, 1000, B, 7000);
      w.run();
    }
    expect(w.b.counters.udpInDatagrams).toBe(3);
    expect(w.b.counters.dropReceiveQueueFull).toBe(7);
    server.close();
    expect(w.b.socketMemoryBytes).toBe(0);
  });

  // @rfc 1122 4.1.3.5
  it("gives a datagram to the most specific endpoint", () => {
    const w = new World();
    const any = w.b.endpoints.udp(4) as UdpEndpoint;
    const bound = w.b.endpoints.udp(4) as UdpEndpoint;
    const peer = w.b.endpoints.udp(4) as UdpEndpoint;
    for (const e of [any, bound, peer]) e.options.reuseAddress = true;
    expect(any.bind(ANY, 7000)).toBe(0);
    expect(bound.bind(B, 7000)).toBe(0);
    expect(peer.bind(B, 7000)).toBe(0);
    expect(peer.connect(A, 4000)).toBe(0);
    udp(w.a, A, 4000).send(pattern(4), 0, 4, B, 7000);
    udp(w.a, A, 4001).send(pattern(5), 0, 5, B, 7000);
    w.run();
    expect([any.nextBytes, bound.nextBytes, peer.nextBytes]).toEqual([0, 5, 4]);
    const other = w.b.endpoints.udp(4) as UdpEndpoint;
    expect(other.bind(ANY, 7000)).toBe(NetErr.AddressInUse);
  });

  // @rfc 1122 3.3.6
  it("reaches everyone by broadcast, when asked for, ourselves too", () => {
    const w = new World();
    const here = udp(w.a, ANY, 7000);
    const there = udp(w.b, ANY, 7000);
    const client = udp(w.a, A, 0);
    client.options.broadcast = true;
    for (const to of [IpAddr.v4(10, 0, 0, 255), IpAddr.v4(255, 255, 255, 255)]) {
      expect(client.send(pattern(7), 0, 7, to, 7000)).toBe(7);
      w.run();
      expect(receive(here)).toEqual(pattern(7));
      expect(receive(there)).toEqual(pattern(7));
    }
    client.send(pattern(7), 0, 7, IpAddr.v4(10, 0, 0, 255), 7001);
    w.run();
    expect(w.b.counters.icmpOutDestUnreachs).toBe(0);
  });

  it("reaches members of a group only", () => {
    const w = new World();
    const group = IpAddr.v4(239, 1, 2, 3);
    const member = udp(w.b, ANY, 7000);
    const stranger = w.b.endpoints.udp(4) as UdpEndpoint;
    const nicId = w.b.nics[1].id;
    expect(member.memberships.join(group, nicId)).toBe(0);
    expect(stranger.bind(B, 7001)).toBe(0);
    const client = udp(w.a, A, 0);
    client.send(pattern(7), 0, 7, group, 7000);
    client.send(pattern(7), 0, 7, group, 7001);
    w.run();
    expect(receive(member)).toEqual(pattern(7));
    expect(stranger.nextBytes).toBe(0);
    expect(member.memberships.leave(group, nicId)).toBe(0);
    client.send(pattern(7), 0, 7, group, 7000);
    w.run();
    expect(receive(member)).toBe(NetErr.WouldBlock);
  });

  it("works over the loopback in the call itself", () => {
    const w = new World();
    const localhost = IpAddr.v4(127, 0, 0, 1);
    const server = udp(w.a, ANY, 7000);
    const client = udp(w.a, ANY, 0);
    client.send(pattern(60_000), 0, 60_000, localhost, 7000);
    expect(Buffer.compare(receive(server) as Uint8Array, pattern(60_000))).toBe(0);
    client.send(pattern(3), 0, 3, A, 7000);
    expect(receive(server)).toEqual(pattern(3));
    expect(client.connect(localhost, 9)).toBe(0);
    client.send(pattern(3), 0, 3, null, 0);
    expect(client.takeError()).toBe(NetErr.ConnectionRefused);
  });
});

describe("ICMP", () => {
  // @rfc 1122 3.2.2.6a 3.2.2.6b
  it("answers pings, also fragmented ones", () => {
    const w = new World();
    const ping = w.a.endpoints.ping(4);
    if (typeof ping === "number") throw new Error("no endpoint");
    for (const n of [8, 64, 5000]) {
      const request = new Uint8Array(n);
      request.set(pattern(n));
      request.set([8, 0, 0, 0, 0, 0, 0, 1]);
      expect(ping.send(request, 0, n, B, 0)).toBe(n);
      w.run();
      expect(ping.receive(buffer, 0, buffer.length, newDatagramInfo(), false)).toBe(n);
      expect(buffer[0]).toBe(0);
      expect(buffer.slice(8, n)).toEqual(request.slice(8));
    }
    expect(w.a.counters.icmpInCsumErrors).toBe(0);
  });

  // @rfc 8201 4c
  // @rfc 1191 3 6.3
  // @rfc 1122 3.3.3
  it("learns a smaller path MTU only from what it sent itself", () => {
    const w = new World();
    const client = udp(w.a, A, 4000);
    const path = w.a.findRoute(A, OFF_LINK);
    if (typeof path === "number") throw new Error("no route");
    const told = (srcPort: number, mtu: number): Uint8Array => {
      const f = new Uint8Array(14 + 20 + 8 + 28);
      f.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
      f.set([0x45, 0, 0, 56, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1], 14);
      f.set([3, 4, 0, 0, 0, 0, mtu >>> 8, mtu & 255], 34);
      f.set([0x45, 0, 5, 0xdc, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9], 42);
      f.set([srcPort >>> 8, srcPort & 255, 0x1b, 0x58, 5, 0xc8, 0, 0], 62);
      fixChecksum(f, 14, 20, 24);
      fixChecksum(f, 34, 36, 36);
      return f;
    };
    w.pair.a.inject(told(4001, 1000));
    expect(path.mtu).toBe(1500);
    client.send(pattern(1), 0, 1, OFF_LINK, 7000);
    w.pair.a.inject(told(4000, 60));
    expect(path.mtu).toBe(1500);
    w.pair.a.inject(told(4000, 1000));
    expect(path.mtu).toBe(1000);
    w.pair.a.inject(told(4000, 1400));
    expect(path.mtu).toBe(1000);
    w.pair.a.inject(told(4000, 68));
    expect([path.mtu, path.mtuLocked]).toEqual([552, true]);
    w.run(601 * SECOND);
    expect([path.mtu, path.mtuLocked]).toEqual([1500, false]);
  });
});

/** Writes the Internet checksum of f[from, from+length) at `at`. */
function fixChecksum(f: Uint8Array, from: number, length: number, at: number): void {
  f[at] = f[at + 1] = 0;
  let s = 0;
  for (let i = 0; i < length; i++) s += (i & 1) === 0 ? f[from + i] << 8 : f[from + i];
  while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
  f[at] = ~s >>> 8;
  f[at + 1] = ~s;
}

/** An IPv4 frame to A with a right header checksum. */
function ipFrame(
  header: { src?: number[]; dst?: number[]; protocol?: number; id?: number; frag?: number },
  payload: Uint8Array,
): Uint8Array {
  const f = new Uint8Array(34 + payload.length);
  const total = 20 + payload.length;
  f.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
  const { id = 1, frag = 0, protocol = 17 } = header;
  f.set([0x45, 0, total >> 8, total & 255, id >> 8, id & 255, frag >> 8, frag & 255], 14);
  f.set(
    [64, protocol, 0, 0, ...(header.src ?? [10, 0, 0, 2]), ...(header.dst ?? [10, 0, 0, 1])],
    22,
  );
  fixChecksum(f, 14, 20, 24);
  f.set(payload, 34);
  return f;
}

describe("hostile packets", () => {
  it("drops packets with impossible addresses, each with its reason", () => {
    const w = new World();
    const bad = [
      [10, 0, 0, 1], // LAND
      [127, 0, 0, 1],
      [224, 0, 0, 1],
      [255, 255, 255, 255],
      [10, 0, 0, 255],
      [0, 0, 0, 0],
      [240, 0, 0, 1],
    ];
    for (const src of bad) w.pair.a.inject(ipFrame({ src }, pattern(20)));
    expect(w.a.counters.dropIpMartianSource).toBe(bad.length);
    w.pair.a.inject(ipFrame({ dst: [127, 0, 0, 1] }, pattern(20)));
    w.pair.a.inject(ipFrame({ dst: [10, 0, 0, 77] }, pattern(20)));
    expect(w.a.counters.dropIpMartianDestination).toBe(1);
    expect(w.a.counters.dropIpNotLocal).toBe(1);
    expect(w.a.nics[1].counters.txPackets).toBe(0);
  });

  it("drops a whole datagram when fragments overlap, and what still comes of it", () => {
    const w = new World();
    const at = (offset: number, length: number, more: boolean, id = 5): Uint8Array =>
      ipFrame({ id, frag: (more ? 0x2000 : 0) | (offset >> 3) }, pattern(length));
    for (const f of [at(0, 64, true), at(56, 64, true), at(64, 8, false), at(0, 64, true)]) {
      w.pair.a.inject(f);
    }
    expect(w.a.counters.ipReasmOverlaps).toBe(1);
    expect(w.a.counters.ipReasmOKs).toBe(0);
    // Teardrop: the second inside the first.
    w.pair.a.inject(at(0, 64, true, 6));
    w.pair.a.inject(at(24, 8, false, 6));
    expect(w.a.counters.ipReasmOverlaps).toBe(2);
    // Ping of death: past 65535.
    w.pair.a.inject(at(65_528, 64, false, 7));
    expect(w.a.counters.dropFragmentBad).toBe(1);
    w.run(31 * SECOND);
    expect(w.a.fragments.bytesHeld).toBe(0);
    // Only the honest, incomplete one is reported; here none had a first fragment and no poison.
    expect(w.a.counters.icmpOutTimeExcds).toBe(0);
  });

  // @rfc 1122 3.3.2b
  it("tells the sender when reassembly timed out, if it has the first fragment", () => {
    const w = new World();
    w.pair.a.inject(ipFrame({ id: 1, frag: 0x2000 }, pattern(64)));
    w.pair.a.inject(ipFrame({ id: 2, frag: 0x2008 }, pattern(64)));
    w.run(31 * SECOND);
    expect(w.a.counters.ipReasmTimeout).toBe(2);
    expect(w.a.counters.icmpOutTimeExcds).toBe(1);
  });

  it("bounds the memory of fragments and lets the newest live", () => {
    const limits = { reassemblyBytes: 64 * 1024 };
    const w = new World({ limits });
    for (let id = 1; id < 2000; id++) {
      w.pair.a.inject(ipFrame({ id, frag: 0x2000 }, pattern(1400)));
      expect(w.a.fragments.bytesHeld).toBeLessThanOrEqual(limits.reassemblyBytes);
    }
    const server = udp(w.a, A, 7000);
    const client = udp(w.b, B, 0);
    client.send(pattern(5000), 0, 5000, A, 7000);
    w.run();
    expect(receive(server)).toEqual(pattern(5000));
  });

  it("never throws, whatever bytes come, and holds no memory for them", () => {
    const w = new World({ promiscuousB: true });
    udp(w.b, ANY, 7000);
    const prefix = fc.constantFrom(
      [],
      [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0],
      [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4],
      [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 60],
    );
    const body = fc.uint8Array({ maxLength: 120 });
    const protocol = fc.constantFrom(1, 2, 17, 200);
    const frag = fc.constantFrom(0, 0, 0x2000, 0x2001, 1, 0x1fff);
    fc.assert(
      fc.property(prefix, body, protocol, frag, (head, bytes, proto, fragWord) => {
        w.pair.b.inject(new Uint8Array([...head, ...bytes]));
        const f = ipFrame(
          { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], protocol: proto, frag: fragWord },
          bytes,
        );
        f.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
        if (proto === 1 && bytes.length >= 8) fixChecksum(f, 34, bytes.length, 36);
        w.pair.b.inject(f);
        w.pair.pump();
        w.clock.advanceNs(MS);
        expect(w.b.fragments.bytesHeld).toBeLessThanOrEqual(DEFAULT_LIMITS.reassemblyBytes);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a gateway's side", () => {
  it("hands datagrams to any address to the forwarder and answers in their name", () => {
    const w = new World({ promiscuousB: true });
    w.b.udp.setForwarder({
      onDatagram: (pkt, srcPort, dstPort) => {
        if (dstPort !== 53) return false;
        const reply = pkt.bytes.slice(pkt.payload, pkt.end).reverse();
        w.b.udp.sendFrom(
          pkt.dst.clone(),
          dstPort,
          pkt.src.clone(),
          srcPort,
          reply,
          0,
          reply.length,
        );
        return true;
      },
    });
    const client = udp(w.a, A, 0);
    expect(client.connect(OFF_LINK, 53)).toBe(0);
    client.send(new Uint8Array([1, 2, 3]), 0, 3, null, 0);
    w.run();
    expect(receive(client)).toEqual(new Uint8Array([3, 2, 1]));
    client.connect(OFF_LINK, 54);
    client.send(new Uint8Array([1]), 0, 1, null, 0);
    w.run();
    expect(client.takeError()).toBe(NetErr.ConnectionRefused);
  });
});
