import { describe, expect, it } from "vitest";
import { SeededRng } from "../../base/rng.ts";
import { IpAddr } from "../ip-addr.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { encodeTcp, SYN } from "../wire/tcp.ts";
import type { Endpoint } from "./endpoint.ts";
import { cookieEcn, cookieSack, cookieTimestamp, cookieWscale, SynCookies } from "./syn-cookie.ts";
import { FakeRoute, type Harness, LOCAL, listening, REMOTE } from "./testing.ts";

const MINUTE_NS = 60_000_000_000;
const PORTS = (80 << 16) | 4000;
const V6 = new IpAddr();
V6.w0 = 0x20010db8;
V6.w3 = 1;

function flooded(syncookies = 1, backlog = 1): Harness {
  const h = listening(backlog);
  h.tcp.settings.syncookies = syncookies;
  for (let port = 1000; port <= 1000 + backlog; port++) {
    h.peerPort = port;
    h.inject({ flags: "S", seq: 0, mss: 1460 });
  }
  h.take();
  h.peerPort = 4000;
  return h;
}

describe("a cookie", () => {
  it("names the largest MSS of its table that the SYN's allows, in both families", () => {
    const cookies = new SynCookies(new SeededRng(1));
    for (const [addr, mss, named] of [
      [LOCAL, 100, 536],
      [LOCAL, 1459, 1440],
      [LOCAL, 9000, 1460],
      [V6, 1000, 1220],
      [V6, 1440, 1440],
      [V6, 9000, 8940],
    ] as const) {
      const cookie = cookies.make(addr, REMOTE, PORTS, 77, mss, MINUTE_NS);
      expect(cookies.check(addr, REMOTE, PORTS, 77, cookie, MINUTE_NS)).toBe(named);
    }
  });

  it("is good for its minute and the next, for this connection and this sequence number only", () => {
    const cookies = new SynCookies(new SeededRng(1));
    const made = 254.5 * MINUTE_NS;
    const cookie = cookies.make(LOCAL, REMOTE, PORTS, 77, 1460, made);
    const check = (seq: number, ports: number, minutes: number): number =>
      cookies.check(LOCAL, REMOTE, ports, seq, cookie, made + minutes * MINUTE_NS);
    expect([check(77, PORTS, 0), check(77, PORTS, 1)]).toEqual([1460, 1460]);
    expect([check(77, PORTS, 2), check(77, PORTS, 200)]).toEqual([0, 0]);
    expect([check(99, PORTS, 0), check(77, PORTS + 1, 0)]).toEqual([0, 0]);
    expect(cookies.check(REMOTE, LOCAL, PORTS, 77, cookie, made)).toBe(0);
  });

  it("is hit by a blind guess no more often than the table and its age allow", () => {
    const cookies = new SynCookies(new SeededRng(1));
    const rng = new SeededRng(2);
    cookies.make(LOCAL, REMOTE, PORTS, 77, 1460, 0);
    let hits = 0;
    for (let i = 0; i < 100_000; i++) {
      if (cookies.check(LOCAL, REMOTE, PORTS, 77, rng.u32() | 0, 0) > 0) hits++;
    }
    // Eight of 2^32.
    expect(hits).toBe(0);
  });

  it("keeps scale, SACK and ECN in a timestamp that is never from the future", () => {
    for (let nowMs = 1_000; nowMs < 1_130; nowMs++) {
      for (const wscale of [-1, 0, 7, 14]) {
        const ts = cookieTimestamp(nowMs, wscale, true, nowMs % 2 === 0);
        expect(ts).toBeLessThanOrEqual(nowMs);
        expect(nowMs - ts).toBeLessThan(64);
        expect([cookieWscale(ts), cookieSack(ts), cookieEcn(ts)]).toEqual([
          wscale,
          true,
          nowMs % 2 === 0,
        ]);
      }
    }
  });
});

describe("a listener with cookies", () => {
  // @rfc 4987 3.6
  it("sends none while there is room, and drops where they are off", () => {
    const h = listening(4);
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    expect(h.tcp.stats.SyncookiesSent).toBe(0);
    const off = flooded(0);
    off.inject({ flags: "S", seq: 0, mss: 1460 });
    expect(off.take()).toEqual([]);
    expect(off.tcp.stats.TCPReqQFullDrop).toBe(1);
  });

  it("answers under pressure, keeps nothing, and opens with all options by the ACK", () => {
    const h = flooded();
    const before = h.tcp.context.demux.count;
    h.inject({ flags: "S", seq: 0, mss: 1300, sackOk: true, wscale: 9, ts: [5_000, 0] });
    const [synAck] = h.take();
    expect(synAck).toMatchObject({ flags: "S.", ack: 1, mss: 1460, wscale: 7, sackOk: true });
    expect(h.tcp.context.demux.count).toBe(before);
    h.advanceMs(900);
    expect(h.take().filter((s) => s.flags === "S." && s.ack === 1 && s.mss === 1300)).toEqual([]);
    h.inject({
      flags: "P.",
      seq: 1,
      ack: 1,
      wnd: 10,
      data: "hello",
      ts: [5_900, synAck.ts?.[0] ?? 0],
    });
    const child = h.ep.accept() as Endpoint;
    const { tcb } = child;
    expect([tcb?.sackOk, tcb?.snd.wscale, tcb?.snd.wnd, tcb?.snd.peerMss]).toEqual([
      true,
      9,
      10 << 9,
      1300,
    ]);
    expect(child.readableBytes).toBe(5);
    const { SyncookiesSent, SyncookiesRecv, TCPReqQFullDoCookies } = h.tcp.stats;
    expect([SyncookiesSent, SyncookiesRecv, TCPReqQFullDoCookies]).toEqual([1, 1, 1]);
  });

  it("forgets all options but the MSS when there is no timestamp to hold them", () => {
    const h = flooded();
    h.inject({ flags: "S", seq: 0, mss: 1460, sackOk: true, wscale: 9 });
    expect(h.take()).toMatchObject([{ flags: "S.", wscale: -1, sackOk: false, ts: null }]);
    h.inject({ flags: ".", seq: 1, ack: 1, wnd: 1_000 });
    const tcb = (h.ep.accept() as Endpoint).tcb;
    expect([tcb?.sackOk, tcb?.wscaleOk, tcb?.rcv.wscale, tcb?.snd.wnd]).toEqual([
      false,
      false,
      0,
      1_000,
    ]);
  });

  it("resets what is no cookie, counts it, and looks at none when none is out", () => {
    const h = flooded();
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 99 });
    expect(h.take()).toMatchObject([{ flags: "R" }]);
    expect(h.tcp.stats.SyncookiesFailed).toBe(1);
    h.advanceMs(121_000);
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 1 });
    expect(h.take()).toMatchObject([{ flags: "R" }]);
    expect(h.tcp.stats.SyncookiesFailed).toBe(1);
  });

  it("does not open beyond the accept queue", () => {
    const h = listening(0);
    h.tcp.settings.syncookies = 2;
    for (const port of [5000, 5001]) {
      h.peerPort = port;
      h.inject({ flags: "S", seq: 0, mss: 1460 });
    }
    h.inject({ flags: ".", seq: 1, ack: 1 });
    expect(h.ep.listener?.queueLength).toBe(1);
    h.peerPort = 5000;
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    expect(h.tcp.stats.ListenOverflows).toBe(1);
  });

  // @rfc 4987 3.6
  it("stands 100,000 spoofed SYNs in fixed memory while an honest client connects", () => {
    const h = listening(64);
    const route = new FakeRoute();
    const { network, tcp } = h;
    const record = network.onSend;
    const findRoute = network.findRoute.bind(network);
    network.findRoute = () => route;
    let answers = 0;
    network.onSend = () => {
      answers++;
    };
    const pkt: PacketBuffer = network.allocPacket();
    pkt.l4 = pkt.start;
    pkt.end = pkt.start + 20;
    pkt.dst.set(LOCAL);
    pkt.checksumValid = true;
    const src = IpAddr.v4(10, 1, 0, 0);
    for (let i = 0; i < 100_000; i++) {
      src.w3 = 0x0a01_0000 + (i & 0xffff);
      pkt.src.set(src);
      encodeTcp(pkt.bytes, pkt.start, ((1024 + (i >> 6)) << 16) | 80, i, 0, 20, SYN, 1000, 0);
      tcp.onPacket(pkt);
    }
    expect(answers).toBe(100_000);
    expect(tcp.context.demux.count).toBe(65);
    expect(h.timers.size).toBe(65);
    network.findRoute = findRoute;
    network.onSend = record;
    h.peerPort = 999;
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    h.inject({ flags: "P.", seq: 1, ack: 1, data: "x" });
    expect((h.ep.accept() as Endpoint).readableBytes).toBe(1);
  });
});
