// Fast Open (RFC 7413): cookies against known vectors, the client's cache and SYN, the server's early child.

import { describe, expect, it } from "vitest";
import { SeededRng } from "../../base/rng.ts";
import { IPV4, IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import type { Endpoint } from "./endpoint.ts";
import { FastOpenCache, makeCookie, serverKeys } from "./fastopen-cookie.ts";
import { TcpSettings } from "./settings.ts";
import { ESTABLISHED, SYN_RECEIVED } from "./state.ts";
import { Harness, listening, REMOTE, text } from "./testing.ts";

const hex = (b: Uint8Array): string => [...b].map((x) => x.toString(16).padStart(2, "0")).join("");

describe("cookie (4.1.2)", () => {
  // @rfc 7413 4.1.2
  it("is SipHash of both addresses, as Linux makes it", () => {
    const keys = Int32Array.of(0xa1a1a1a1, 0xb2b2b2b2, 0xc3c3c3c3, 0xd4d4d4d4);
    const out = new Uint8Array(8);
    makeCookie(out, keys, 0, IpAddr.v4(192, 0, 2, 1), IpAddr.v4(192, 168, 0, 1));
    expect(hex(out)).toBe("3021b9d889017eeb");
    const client = new IpAddr().read(
      Uint8Array.of(0xfd, 0x3d, 0xfa, 0x7b, 0xd1, 0x7d, ...Array(9).fill(0), 1),
      0,
      6,
    );
    const server = new IpAddr().read(
      Uint8Array.of(0xfd, 0x3d, 0x0a, 0x0b, 0x17, 0xd6, ...Array(9).fill(0), 1),
      0,
      6,
    );
    makeCookie(out, keys, 0, client, server);
    expect(hex(out)).toBe("c1d1e9742a47a9bc");
  });

  it("the stack draws a key of its own when none is set", () => {
    const settings = new TcpSettings();
    const keys = serverKeys(settings, new SeededRng(1));
    expect([keys.length, keys.some((k) => k !== 0)]).toEqual([4, true]);
    expect(serverKeys(settings, new SeededRng(2))).toEqual(keys);
  });

  // @rfc 7413 4.1.3
  it("a client remembers a bounded number of servers, the oldest forgotten", () => {
    const cache = new FastOpenCache();
    for (let i = 0; i < 1_100; i++) cache.obtain(IpAddr.v4(10, 0, i >> 8, i & 255));
    expect(cache.find(IpAddr.v4(10, 0, 0, 0))).toBeNull();
    expect(cache.find(IpAddr.v4(10, 0, 4, 0))).not.toBeNull();
  });
});

describe("client (4.2.1)", () => {
  function client(fastopen: number): Harness {
    const h = new Harness();
    h.tcp.settings.fastopen = fastopen;
    h.ep = h.tcp.newEndpoint(IPV4) as Endpoint;
    return h;
  }
  const data = text("GET /");

  // @rfc 7413 4.2.1a
  it("without a cookie the SYN asks for one and carries nothing", () => {
    const h = client(1);
    expect(h.ep.connectWithData(REMOTE, 4000, data, 0, 5)).toBe(NetErr.InProgress);
    expect(h.take()).toMatchObject([{ flags: "S", data: "" }]);
    expect(h.ep.connectWithData(REMOTE, 4000, data, 0, 5)).toBe(NetErr.AlreadyConnecting);
  });

  it("is refused when switched off", () => {
    expect(client(0).ep.connectWithData(REMOTE, 4000, data, 0, 5)).toBe(NetErr.NotSupported);
  });

  it("data in the SYN, acknowledged with it", () => {
    const h = client(5);
    expect(h.ep.connectWithData(REMOTE, 4000, data, 0, 5)).toBe(5);
    expect(h.take()).toMatchObject([{ flags: "S", data: "GET /" }]);
    h.inject({ flags: "S.", seq: 0, ack: 6, mss: 1460 });
    expect(h.state).toBe(ESTABLISHED);
    expect(h.ep.unackedBytes).toBe(0);
    expect(h.take()).toMatchObject([{ flags: ".", seq: 6, ack: 1, data: "" }]);
  });

  // @rfc 7413 4.2.1b
  it("data that the SYN-ACK leaves out goes again at once, with no cut of the window", () => {
    const h = client(5);
    h.ep.connectWithData(REMOTE, 4000, data, 0, 5);
    h.take();
    h.inject({ flags: "S.", seq: 0, ack: 1, mss: 1460 });
    expect(h.take()).toMatchObject([{ flags: "P.", seq: 1, ack: 1, data: "GET /" }]);
    expect(h.tcb.cwnd).toBe(10);
  });

  // @rfc 7413 4.2.1c
  it("a lost SYN is repeated without data", () => {
    const h = client(5);
    h.ep.connectWithData(REMOTE, 4000, data, 0, 5);
    h.take();
    h.advanceMs(1_001);
    expect(h.take()).toMatchObject([{ flags: "S", data: "" }]);
  });
});

describe("server (4.2.2)", () => {
  // @rfc 7413 4.2.2a
  it("with data in a SYN it accepts at once, answers, and goes on when the handshake ends", () => {
    const h = listening(4);
    h.tcp.settings.fastopen = 0x602;
    h.inject({ flags: "S", seq: 0, mss: 1460, data: "hello" });
    expect(h.take()).toMatchObject([{ flags: "S.", ack: 6 }]);
    const child = h.ep.accept() as unknown as Endpoint;
    expect(child.state).toBe(SYN_RECEIVED);
    const b = new Uint8Array(16);
    expect(child.read(b, 0, 16, false)).toBe(5);
    expect(child.write(text("hi"), 0, 2, 0)).toBe(2);
    expect(h.take()).toMatchObject([{ flags: "P.", seq: 1, ack: 6, data: "hi" }]);
    h.inject({ flags: ".", seq: 6, ack: 3 });
    expect([child.state, child.unackedBytes]).toEqual([ESTABLISHED, 0]);
    expect([h.tcp.context.halfOpenCount, h.tcp.context.connectionCount]).toEqual([0, 1]);
    h.inject({ flags: "R", seq: 6 });
    expect(h.tcp.context.connectionCount).toBe(0);
  });

  it("early children are connections: no more of them than there may be", () => {
    const h = listening(16, { limits: { connections: 3 } });
    h.tcp.settings.fastopen = 0x602;
    for (let port = 1_000; port < 1_010; port++) {
      h.peerPort = port;
      h.inject({ flags: "S", seq: 0, mss: 1460, data: "hello" });
      h.inject({ flags: ".", seq: 6, ack: 1 });
      h.ep.accept();
      expect(h.tcp.context.connectionCount).toBeLessThanOrEqual(3);
    }
    expect(h.tcp.context.connectionCount).toBe(3);
  });

  // @rfc 7413 4.2.2b 5.1
  it("no more early children than the queue allows: then the handshake is ordinary", () => {
    const h = listening(4);
    h.tcp.settings.fastopen = 0x202;
    h.ep.options.fastOpenQueue = 1;
    for (const [port, taken] of [
      [4001, 6],
      [4002, 1],
    ]) {
      h.peerPort = port;
      h.inject({ flags: "S", seq: 0, mss: 1460, data: "hello" });
      expect(h.take()).toMatchObject([{ flags: "S.", ack: taken }]);
    }
    expect(h.tcp.stats.TCPFastOpenListenOverflow).toBe(1);
  });
});
