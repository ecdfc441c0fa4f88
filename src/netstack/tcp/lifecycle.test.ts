import { describe, expect, it } from "vitest";
import { IPV4, IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import type { Endpoint } from "./endpoint.ts";
import {
  CLOSE_WAIT,
  CLOSED,
  CLOSING,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  TIME_WAIT,
} from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { established, Harness, handshake, LOCAL, listening, REMOTE } from "./testing.ts";

describe("closing", () => {
  // @rfc 9293 MUST-13
  it("first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT, gone after 60 s", () => {
    const h = established();
    const { tcb } = h;
    h.ep.close();
    expect(tcb.state).toBe(FIN_WAIT_1);
    expect(h.take()).toMatchObject([{ flags: "F.", seq: 1, ack: 1 }]);
    h.inject({ flags: ".", seq: 1, ack: 2 });
    expect([...h.tcp.context.timeWaits.all()].map((tw) => tw.isFinWait2)).toEqual([true]);
    h.inject({ flags: "F.", seq: 1, ack: 2 });
    expect([...h.tcp.context.timeWaits.all()].map((tw) => tw.isFinWait2)).toEqual([false]);
    expect(h.take()).toMatchObject([{ flags: ".", seq: 2, ack: 2 }]);
    expect(h.tcp.context.demux.count).toBe(0);
    h.advanceMs(59_000);
    expect(h.tcp.context.timeWaits.count).toBe(1);
    h.advanceMs(2_000);
    expect(h.tcp.context.timeWaits.count).toBe(0);
    expect(h.timers.size).toBe(0);
  });

  it("a FIN is owed until it is acknowledged, and who waits for that is told", () => {
    const h = established();
    const told: number[] = [];
    h.ep.onReadiness = (mask) => told.push(mask);
    h.write("rest");
    h.ep.shutdown(false, true);
    expect(h.ep.unackedBytes).toBe(5);
    h.inject({ flags: ".", seq: 1, ack: 5 });
    expect(h.ep.unackedBytes).toBe(1);
    told.length = 0;
    h.inject({ flags: ".", seq: 1, ack: 6 });
    expect([h.ep.unackedBytes, told.length]).toEqual([0, 1]);
  });

  it("second: CLOSE-WAIT, LAST-ACK, gone; what is written still goes", () => {
    const h = established();
    const { tcb } = h;
    h.inject({ flags: "F.", seq: 1, ack: 1 });
    expect(tcb.state).toBe(CLOSE_WAIT);
    expect(h.write("rest")).toBe(4);
    h.ep.close();
    expect(tcb.state).toBe(LAST_ACK);
    expect(h.take().map((s) => s.flags + s.data)).toEqual([".", "P.rest", "F."]);
    h.inject({ flags: ".", seq: 2, ack: 6 });
    expect(tcb.state).toBe(CLOSED);
    expect(h.tcp.context.demux.count).toBe(0);
  });

  it("both at once: CLOSING", () => {
    const h = established();
    const { tcb } = h;
    h.ep.close();
    h.inject({ flags: "F.", seq: 1, ack: 1 });
    expect(tcb.state).toBe(CLOSING);
    h.inject({ flags: ".", seq: 2, ack: 2 });
    expect(tcb.state).toBe(TIME_WAIT);
  });

  it("half-close: reading goes on after shutdown(write), writing is refused", () => {
    const h = established();
    expect(h.ep.shutdown(false, true)).toBe(0);
    expect(h.write("x")).toBe(NetErr.BrokenPipe);
    h.inject({ flags: ".", seq: 1, ack: 2, data: "more" });
    expect(h.state).toBe(FIN_WAIT_2);
    expect(h.read()).toBe("more");
    h.advanceMs(300_000);
    expect(h.state).toBe(FIN_WAIT_2);
    h.inject({ flags: "F.", seq: 5, ack: 2 });
    expect(h.read()).toBe("");
    expect(h.ep.readiness() & Ready.Hangup).not.toBe(0);
  });

  it("unread data, or linger 0: RST", () => {
    const h = established();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "never read" });
    h.take();
    h.ep.close();
    expect(h.take()).toMatchObject([{ flags: "R.", seq: 1 }]);
    const l = established({ setup: (ep) => (ep.options.lingerNs = 0) });
    l.ep.close();
    expect(l.take()).toMatchObject([{ flags: "R.", seq: 1 }]);
    expect(l.tcp.context.demux.count).toBe(0);
  });

  it("data for an orphan: RST; an orphan in FIN-WAIT-2 waits 60 s", () => {
    const h = established();
    h.ep.close();
    h.inject({ flags: ".", seq: 1, ack: 2, data: "hello?" });
    expect(h.take().pop()).toMatchObject({ flags: "R", seq: 2 });
    const w = established();
    w.ep.close();
    w.inject({ flags: ".", seq: 1, ack: 2 });
    w.advanceMs(61_000);
    expect(w.tcp.context.demux.count).toBe(0);
  });

  it("an orphan whose FIN is never acknowledged is given up after eight tries", () => {
    const h = established();
    h.ep.close();
    h.advanceMs(300_000);
    expect(h.tcp.context.demux.count).toBe(0);
  });
});

describe("TIME-WAIT", () => {
  function timeWait(): Harness {
    const setup = (ep: Endpoint): void => {
      ep.options.reuseAddress = true;
    };
    const h = established({ syn: { ts: [100, 0] }, setup });
    h.tsVal = 100;
    h.ep.close();
    h.inject({ flags: "F.", seq: 1, ack: 2 });
    h.take();
    return h;
  }

  // @rfc 1337 3
  it("ignores a RST (RFC 1337), answers a repeated FIN and starts over", () => {
    const h = timeWait();
    h.inject({ flags: "R", seq: 2 });
    expect(h.tcp.context.timeWaits.count).toBe(1);
    h.advanceMs(50_000);
    h.inject({ flags: "F.", seq: 1, ack: 2 });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 2, ack: 2 }]);
    h.advanceMs(50_000);
    expect(h.tcp.context.timeWaits.count).toBe(1);
  });

  // @rfc 6191 2
  it("yields to a newer SYN when someone listens (RFC 6191), not to an older one", () => {
    const h = timeWait();
    const listener = h.tcp.newEndpoint(IPV4) as Endpoint;
    listener.options.reuseAddress = true;
    expect(listener.bind(LOCAL, h.localPort)).toBe(0);
    listener.listen(5);
    h.inject({ flags: "S", seq: -50, ts: [90, 0], mss: 1460 });
    expect(h.take()).toMatchObject([{ flags: "." }]);
    const oldNxt = h.tcb.snd.nxt;
    h.inject({ flags: "S", seq: 1_000, ts: [200, 0], mss: 1460 });
    const oldIss = h.iss;
    expect(h.take()).toMatchObject([{ flags: "S." }]);
    expect((oldIss - oldNxt) | 0).toBeGreaterThan(0);
  });

  it("ends by the exact RST where RFC 1337 is off, and frees the port", () => {
    const h = timeWait();
    h.tcp.settings.rfc1337 = 0;
    h.inject({ flags: "R", seq: 3 });
    expect(h.tcp.context.timeWaits.count).toBe(1);
    h.inject({ flags: "R", seq: 2 });
    expect(h.tcp.context.timeWaits.count).toBe(0);
    const next = h.tcp.newEndpoint(IPV4) as Endpoint;
    expect(next.bind(LOCAL, h.localPort)).toBe(0);
  });

  it("answers bare ACKs out of place at most once in half a second, data always", () => {
    const h = timeWait();
    for (let i = 0; i < 5; i++) h.inject({ flags: ".", seq: 9, ack: 2 });
    expect(h.take().length).toBe(1);
    expect(h.tcp.stats.TCPACKSkippedTimeWait).toBe(4);
    h.inject({ flags: "P.", seq: 2, ack: 2, data: "late" });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 2, ack: 2, ts: [expect.anything(), 100] }]);
    h.inject({ flags: ".", seq: 2, ack: 2 });
    expect(h.take()).toEqual([]);
  });

  it("gives way to our own connect a second later, with numbers above the old ones (RFC 6191)", () => {
    const h = timeWait();
    h.tcp.settings.twReuse = 1;
    const again = (): number => {
      const next = h.tcp.newEndpoint(IPV4) as Endpoint;
      next.options.reuseAddress = true;
      expect(next.bind(LOCAL, h.localPort)).toBe(0);
      const error = next.connect(REMOTE, h.peerPort);
      if (error !== NetErr.InProgress) next.close();
      return error;
    };
    expect(again()).toBe(NetErr.AddressNotAvailable);
    h.advanceMs(1_100);
    const oldIss = h.iss;
    expect(again()).toBe(NetErr.InProgress);
    expect((h.iss - oldIss) | 0).toBe(2 + 65_537);
    expect(h.tcp.stats.TWRecycled).toBe(1);
    expect(h.tcp.context.timeWaits.count).toBe(0);
  });

  it("lets the user read what came before the end", () => {
    const h = established();
    h.ep.shutdown(false, true);
    h.inject({ flags: "P.", seq: 1, ack: 2, data: "last words" });
    h.inject({ flags: "F.", seq: 11, ack: 2 });
    expect(h.tcp.context.timeWaits.count).toBe(1);
    expect(h.read()).toBe("last words");
    expect(h.read()).toBe("");
    h.ep.close();
    expect(h.tcp.context.timeWaits.count).toBe(1);
    expect(h.tcp.context.rings.usedBytes).toBe(0);
  });

  it("is bounded", () => {
    const h = listening(100, { limits: { timeWaitConnections: 10 } });
    for (let port = 1; port <= 50; port++) {
      handshake(h, port);
      const child = h.ep.accept();
      child?.close();
      h.inject({ flags: "F.", seq: 1, ack: 2 });
      h.take();
      h.advanceMs(1);
    }
    expect(h.tcp.context.timeWaits.count).toBe(10);
    expect(h.tcp.context.demux.count).toBe(0);
    expect(h.tcp.stats.TCPTimeWaitOverflow).toBe(40);
  });
});

describe("keepalive", () => {
  // @rfc 9293 MUST-24 MUST-26 MUST-27 MUST-29
  it("probes after the idle time, is satisfied by any answer, gives up after the count", () => {
    const h = established({
      setup: (ep) => {
        Object.assign(ep.options, {
          keepAlive: true,
          keepIdleNs: 10e9,
          keepIntervalNs: 2e9,
          keepCount: 3,
        });
      },
    });
    h.advanceMs(10_100);
    expect(h.take()).toMatchObject([{ flags: ".", seq: 0, data: "" }]);
    h.inject({ flags: ".", seq: 1, ack: 1 });
    h.advanceMs(9_000);
    expect(h.take()).toEqual([]);
    h.advanceMs(20_000);
    expect(h.take().map((s) => s.flags)).toEqual([".", ".", ".", "R."]);
    expect(h.ep.takeError()).toBe(NetErr.TimedOut);
  });
});

describe("ports", () => {
  const make = (h: Harness): Endpoint => h.tcp.newEndpoint(IPV4) as Endpoint;
  const ANY = new IpAddr().setV4(0);

  // @rfc 9293 MUST-43
  it("binds by Linux's rules", () => {
    const h = new Harness();
    const a = make(h);
    expect(a.bind(LOCAL, 80)).toBe(0);
    expect(a.bind(LOCAL, 81)).toBe(NetErr.InvalidArgument);
    expect(make(h).bind(LOCAL, 80)).toBe(NetErr.AddressInUse);
    expect(make(h).bind(ANY, 80)).toBe(NetErr.AddressInUse);
    expect(make(h).bind(IpAddr.v4(9, 9, 9, 9), 80)).toBe(NetErr.AddressNotAvailable);
    a.options.reuseAddress = true;
    const b = make(h);
    b.options.reuseAddress = true;
    expect(b.bind(LOCAL, 80)).toBe(0);
    expect(a.listen(1)).toBe(0);
    expect(b.listen(1)).toBe(NetErr.AddressInUse);
    b.close();
    a.close();
    expect(make(h).bind(ANY, 80)).toBe(0);
  });

  it("a connection left behind keeps its port from those without SO_REUSEADDR", () => {
    const h = listening();
    handshake(h, 1001);
    const child = h.ep.accept();
    h.ep.close();
    expect(make(h).bind(LOCAL, 80)).toBe(NetErr.AddressInUse);
    child?.abort();
    child?.close();
    expect(make(h).bind(LOCAL, 80)).toBe(0);
  });

  it("chooses different ephemeral ports that do not run in sequence", () => {
    const h = new Harness();
    const ports = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const ep = make(h);
      ep.connect(REMOTE, 80);
      ports.add(ep.localPort);
    }
    expect(ports.size).toBe(200);
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(32_768);
  });

  it("SO_REUSEPORT listeners share the connections", () => {
    const h = new Harness();
    const eps = [make(h), make(h), make(h)];
    for (const ep of eps) {
      ep.options.reusePort = true;
      expect(ep.bind(LOCAL, 80) || ep.listen(1_000)).toBe(0);
    }
    h.localPort = 80;
    for (let port = 1; port <= 300; port++) handshake(h, port);
    const counts = eps.map((ep) => {
      let n = 0;
      while (ep.accept() !== null) n++;
      return n;
    });
    expect(counts.reduce((x, y) => x + y)).toBe(300);
    for (const n of counts) expect(n).toBeGreaterThan(50);
  });
});

describe("readiness", () => {
  it("tells each stage as Linux's poll does", () => {
    const h = new Harness();
    h.ep = h.tcp.newEndpoint(IPV4) as Endpoint;
    expect(h.ep.readiness()).toBe(Ready.Write | Ready.Hangup);
    h.ep.connect(REMOTE, 4000);
    expect(h.ep.readiness()).toBe(0);
    h.take();
    h.inject({ flags: "S.", seq: 0, ack: 1, mss: 1460 });
    expect(h.ep.readiness()).toBe(Ready.Write);
    expect(h.state).toBe(ESTABLISHED);
    h.inject({ flags: "F.", seq: 1, ack: 1, data: "x" });
    expect(h.ep.readiness()).toBe(Ready.Read | Ready.ReadClosed | Ready.Write);
    h.inject({ flags: "R", seq: 3 });
    expect(h.ep.readiness()).toBe(
      Ready.Read | Ready.ReadClosed | Ready.Write | Ready.Error | Ready.Hangup,
    );
  });
});

it("numbers that must not be guessed differ by tuple, and grow with time for one tuple", () => {
  const isn = (h: Harness, port: number): number => {
    const ep = h.tcp.newEndpoint(IPV4) as Endpoint;
    ep.bind(LOCAL, port);
    ep.connect(REMOTE, 80);
    h.take();
    ep.close();
    return h.iss;
  };
  const h = new Harness();
  const seen = new Set<number>();
  for (let port = 1; port < 500; port++) seen.add(isn(h, port));
  expect(seen.size).toBe(499);
  const first = isn(h, 1000);
  h.advanceMs(4);
  expect((isn(h, 1000) - first) | 0).toBe(1_000);
  expect(isn(new Harness({ seed: 2 }), 1000)).not.toBe(first);
});

describe("what a child has of its listener", () => {
  it("are options of its own before anybody accepts it: its buffer grows alone", () => {
    const h = listening();
    const before = { ...h.ep.options };
    handshake(h, 1_001);
    const child = h.ep.accept() as Endpoint;
    const tcb = child.tcb as Tcb;
    expect(tcb.options).toBe(child.options);
    const first = child.options.sendBufferBytes;
    // The writer is turned away; with each ACK the congestion window grows, and the buffer with it.
    for (let i = 0; i < 12; i++) {
      while (child.write(new Uint8Array(65_536), 0, 65_536, 0) > 0);
      h.inject({ flags: ".", seq: 1, ack: tcb.snd.nxt - tcb.snd.iss });
    }
    expect(child.options.sendBufferBytes).toBeGreaterThan(first);
    expect(h.ep.options).toEqual(before);
  });
});
