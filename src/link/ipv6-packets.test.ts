// IPv6 packets between two stacks: UDP, TCP, fragments, ICMPv6 errors, path MTU, and any bytes at all.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MS, SECOND } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { IpAddr, NetErr, pseudoSum, sum16 } from "../netstack/index.ts";
import {
  A,
  ALL_NODES,
  ANY,
  B,
  buffer,
  bytesOf,
  frame,
  ICMPV6,
  icmp,
  ip,
  pattern,
  ROUTER,
  receive,
  u32Bytes,
  udp,
  World,
} from "./testing-ipv6.ts";

describe("datagrams and fragments", () => {
  // @rfc 8200 4.5f
  it("cross whole in any size, and in any order of their pieces", () => {
    const w = new World();
    const server = udp(w.b, ANY, 7000);
    const client = udp(w.a, ANY, 4000);
    for (const n of [0, 1232, 1452, 1453, 9000, 65_507, 65_527]) {
      expect(client.send(pattern(n), 0, n, B, 7000)).toBe(n);
      w.pair.b.reverse();
      w.run();
      expect(Buffer.compare(receive(server) as Uint8Array, pattern(n))).toBe(0);
    }
    expect(client.send(pattern(9), 0, 65_528, B, 7000)).toBe(NetErr.MessageTooLong);
  });

  const piece = (offset: number, more: boolean, length: number, id = 7, next = 17): Uint8Array =>
    frame(
      [
        next,
        0,
        offset >> 8,
        (offset & 0xf8) | Number(more),
        ...u32Bytes(id),
        ...new Array<number>(length).fill(0),
      ],
      {
        next: 44,
      },
    );

  // @rfc 5722 4
  it("that overlap are dropped with all the rest of it (RFC 5722)", () => {
    const w = new World();
    w.pair.a.inject(piece(0, true, 64));
    w.pair.a.inject(piece(56, false, 64));
    w.pair.a.inject(piece(64, false, 64));
    expect([w.a.counters.ip6ReasmOverlaps, w.a.counters.ip6ReasmOKs]).toEqual([1, 0]);
    w.run(61 * SECOND);
    expect(w.a.fragments6.bytesHeld).toBe(0);
  });

  // @rfc 8200 4.5a
  it("time out after 60 s, told of when the first is there", () => {
    const w = new World();
    w.pair.a.inject(piece(0, true, 64));
    w.pair.a.inject(piece(64, true, 64, 8));
    w.run(59 * SECOND);
    w.icmpSent();
    w.run(2 * SECOND);
    expect(w.icmpSent().filter((t) => t === 3)).toHaveLength(1);
    expect(w.a.counters.ip6ReasmTimeout).toBe(2);
    expect(w.a.fragments6.bytesHeld).toBe(0);
  });

  // @rfc 8200 4.5b
  // @rfc 7112 5
  it("that break the rules are answered with where", () => {
    const w = new World();
    udp(w.a, ANY, 0).send(pattern(1), 0, 1, B, 9);
    w.run();
    w.sent.length = 0;
    w.pair.a.inject(piece(0, true, 63));
    w.pair.a.inject(piece(65_528, false, 64));
    w.pair.a.inject(piece(0, true, 16, 9, 6));
    const problems = w.sent.map((p) => [p[40], p[41], p[47]]);
    expect(problems).toEqual([
      [4, 0, 4],
      [4, 0, 42],
      [4, 3, 0],
    ]);
  });

  // @rfc 6946 4
  it("that are atomic never meet others (RFC 6946)", () => {
    const w = new World();
    const server = udp(w.a, ANY, 7000);
    const payload = [0x10, 0, 0x1b, 0x58, 0, 8, 0, 0];
    const m = Uint8Array.from(payload);
    const sum = ~sum16(m, 0, 8, pseudoSum(B, A, 17, 8)) & 0xffff;
    payload.splice(6, 2, sum >> 8, sum & 255);
    w.pair.a.inject(piece(8, false, 64));
    w.pair.a.inject(frame([17, 0, 0, 0, ...u32Bytes(7), ...payload], { next: 44 }));
    expect(receive(server)).toEqual(new Uint8Array(0));
  });

  it("hold no more than the quota, and the honest one lives", () => {
    const limits = { reassemblyBytes: 64 * 1024 };
    const w = new World({ limits });
    const server = udp(w.a, ANY, 7000);
    for (let i = 0; i < 5000; i++) {
      w.pair.a.inject(piece(0, true, 1024, i));
      expect(w.a.fragments6.bytesHeld).toBeLessThanOrEqual(limits.reassemblyBytes);
    }
    const client = udp(w.b, ANY, 0);
    client.send(pattern(4000), 0, 4000, A, 7000);
    w.run();
    expect(receive(server)).toEqual(pattern(4000));
  });

  // @rfc 8200 8.1b
  it("without a checksum are dropped (RFC 8200 8.1)", () => {
    const w = new World();
    const server = udp(w.a, ANY, 7000);
    w.pair.a.inject(frame([0x10, 0, 0x1b, 0x58, 0, 8, 0, 0], { next: 17 }));
    expect([receive(server), w.a.counters.dropUdpChecksum]).toEqual([NetErr.WouldBlock, 1]);
  });
});

describe("ICMPv6", () => {
  // @rfc 4443 4.1 4.2
  it("answers echoes, and carries pings", () => {
    const w = new World();
    const ping = w.a.endpoints.ping(6);
    if (typeof ping === "number") throw new Error("no endpoint");
    const request = Uint8Array.from([128, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3]);
    expect(ping.send(request, 0, request.length, B, 0)).toBe(request.length);
    w.run();
    const reply = receive(ping) as Uint8Array;
    expect([reply[0], reply[7], ...reply.slice(8)]).toEqual([129, 1, 1, 2, 3]);
  });

  // @rfc 4443 2.2 3.1
  it("refuses a port to its sender, and is limited in how often", () => {
    const w = new World({ limits: { icmpErrorsPerSecond: 10 } });
    const client = udp(w.a, ANY, 0);
    expect(client.connect(B, 9)).toBe(0);
    client.send(pattern(1), 0, 1, null, 0);
    w.run();
    expect(client.takeError()).toBe(NetErr.ConnectionRefused);
    for (let i = 0; i < 500; i++) {
      client.takeError();
      client.send(pattern(1), 0, 1, null, 0);
      w.pair.pump();
    }
    expect(w.b.counters.icmp6OutDestUnreachs).toBeLessThanOrEqual(51);
    expect(w.b.counters.icmp6OutRateLimitHost).toBeGreaterThan(400);
  });

  // @rfc 4443 2.4e
  // @rfc 8200 4b
  it("names an unknown next header, also behind others, but never answers a group or an error", () => {
    const w = new World();
    udp(w.a, ANY, 0).send(pattern(1), 0, 1, B, 9);
    w.run();
    w.sent.length = 0;
    w.pair.a.inject(frame(new Array<number>(16).fill(0), { next: 200 }));
    w.pair.a.inject(frame([200, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], { next: 60 }));
    w.pair.a.inject(frame(new Array<number>(16).fill(0), { next: 200, dst: ALL_NODES }));
    w.pair.a.inject(frame([ICMPV6, 0, 0x9e, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], { next: 60 }));
    expect(w.sent.map((p) => [p[40], p[41], p[47]])).toEqual([
      [4, 1, 6],
      [4, 1, 40],
    ]);
    w.pair.a.inject(
      frame([17, 0, 0x9e, 4, 0, 0, 0, 0, ...new Array<number>(8).fill(0)], {
        next: 60,
        dst: ALL_NODES,
      }),
    );
    expect(w.sent.slice(2).map((p) => [p[40], p[41], p[47]])).toEqual([[4, 2, 42]]);
  });

  // @rfc 8201 4d
  // @rfc 4443 2.4d 3.2
  it("lowers a path's MTU only for what we sent, and never below 1280", () => {
    const w = new World();
    const client = udp(w.a, ANY, 4000);
    client.connect(B, 9);
    const mtu = () => {
      const path = w.a.findRoute(null, B);
      return typeof path === "number" ? 0 : path.mtu;
    };
    const tooBig = (size: number, srcPort: number): Uint8Array => {
      const quoted = [0x60, 0, 0, 0, 0, 8, 17, 64, ...bytesOf(A), ...bytesOf(B)];
      quoted.push(srcPort >> 8, srcPort & 255, 0, 9, 0, 8, 0, 0);
      return icmp([2, 0, 0, 0, ...u32Bytes(size), ...quoted]);
    };
    w.pair.a.inject(tooBig(1400, 4001));
    expect(mtu()).toBe(1500);
    w.pair.a.inject(tooBig(1279, 4000));
    expect(mtu()).toBe(1500);
    w.pair.a.inject(tooBig(1400, 4000));
    expect(mtu()).toBe(1400);
    w.pair.a.inject(tooBig(1450, 4000));
    expect(mtu()).toBe(1400);
    w.run(601 * SECOND);
    expect(mtu()).toBe(1500);
  });
});

describe("TCP over IPv6", () => {
  it("carries a stream both ways, IPv4 peers of a dual-stack listener included", () => {
    const w = new World();
    w.a.interfaces.addAddress(w.nicA, IpAddr.v4(10, 0, 0, 1), 24);
    w.b.interfaces.addAddress(w.nicB, IpAddr.v4(10, 0, 0, 2), 24);
    const listener = w.b.endpoints.tcp(6);
    if (typeof listener === "number") throw new Error("no endpoint");
    expect(listener.bind(ANY, 80)).toBe(0);
    expect(listener.listen(5)).toBe(0);
    for (const to of [B, IpAddr.v4(10, 0, 0, 2)]) {
      const client = w.a.endpoints.tcp(6);
      if (typeof client === "number") throw new Error("no endpoint");
      client.connect(to, 80);
      w.run(10 * MS);
      const server = listener.accept();
      if (server === null) throw new Error(`no connection by ${to}`);
      const data = pattern(50_000);
      let got = 0;
      for (let at = 0, i = 0; got < data.length && i < 2000; i++) {
        const n = client.write(data, at, data.length - at, 0);
        if (n > 0) at += n;
        w.run(1 * MS);
        const m = server.read(buffer, got, buffer.length - got, false);
        if (m > 0) got += m;
      }
      expect(Buffer.compare(buffer.subarray(0, got), data)).toBe(0);
      expect(server.remoteAddr.family).toBe(to.family);
      client.close();
      server.close();
      w.run(100 * MS);
    }
    const syn = w.sent.find((p) => p[6] === 6 && (p[53] & 2) !== 0) as Uint8Array;
    // MSS: the link's 1500 without 40 of IPv6 and 20 of TCP.
    expect([syn[60], syn[61], (syn[62] << 8) | syn[63]]).toEqual([2, 4, 1440]);
  });

  it("answers a connection to itself on ::1", () => {
    const w = new World();
    const listener = w.a.endpoints.tcp(6);
    const client = w.a.endpoints.tcp(6);
    if (typeof listener === "number" || typeof client === "number") throw new Error("none");
    listener.bind(ip("::1"), 80);
    listener.listen(1);
    client.connect(ip("::1"), 80);
    w.run();
    expect(listener.accept()).not.toBeNull();
    expect(w.sent.filter((p) => p[6] === 6)).toEqual([]);
  });
});

describe("any bytes from the wire", () => {
  it("are counted, never thrown, and hold no memory for long", () => {
    const w = new World({ a: { mode: "auto" } });
    w.run(3 * SECOND);
    const next = fc.constantFrom(0, 6, 17, 43, 44, 58, 60, 59, 255);
    const type = fc.constantFrom(1, 2, 3, 4, 128, 130, 133, 134, 135, 136, 137, 143);
    const src = fc.constantFrom(B, ROUTER, ANY, ALL_NODES, ip("::1"), ip("::ffff:1.2.3.4"), A);
    const dst = fc.constantFrom(A, ALL_NODES, ip("ff02::1:ff00:a"), ip("ff02::2"), ip("::1"));
    const body = fc.uint8Array({ maxLength: 120 });
    fc.assert(
      fc.property(next, type, src, dst, body, fc.boolean(), (n, t, s, d, bytes, valid) => {
        const options = { src: s, dst: d, next: n, hopLimit: valid ? 255 : 64 };
        const make = n === ICMPV6 && valid ? icmp : frame;
        w.pair.a.inject(make([t, 0, 0, 0, ...bytes], options));
        w.run(1 * MS);
        expect(w.nicA.neighbors6.size).toBeLessThanOrEqual(DEFAULT_LIMITS.neighborEntries);
      }),
      { numRuns: 2000 },
    );
    w.run(70 * SECOND);
    expect(w.a.fragments6.bytesHeld).toBe(0);
  });
});
