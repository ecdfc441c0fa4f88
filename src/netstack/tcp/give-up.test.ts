import { describe, expect, it } from "vitest";
import { IPV4 } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import type { Endpoint } from "./endpoint.ts";
import { RingPool } from "./ring-pool.ts";
import { CLOSED, TIME_WAIT } from "./state.ts";
import { established, type Harness, REMOTE } from "./testing.ts";

describe("patience", () => {
  it("is tcp_retries2's: as long as so many doubled timeouts of 200 ms", () => {
    const h = established();
    h.tcp.settings.retries2 = 4;
    h.write("x");
    // (2^5 - 1) * 200 ms, judged at the next timeout.
    h.advanceMs(6_000);
    expect(h.state).not.toBe(CLOSED);
    h.advanceMs(60_000);
    expect(h.state).toBe(CLOSED);
    expect(h.ep.takeError()).toBe(NetErr.TimedOut);
  });

  it("for an orphan is tcp_orphan_retries'", () => {
    const h = established();
    h.tcp.settings.orphanRetries = 2;
    h.write("x");
    h.ep.close();
    h.advanceMs(10_000);
    expect(h.tcp.context.demux.count).toBe(0);
    const patient = established();
    patient.write("x");
    patient.ep.close();
    patient.advanceMs(60_000);
    expect(patient.tcp.context.demux.count).toBe(1);
    patient.advanceMs(150_000);
    expect(patient.tcp.context.demux.count).toBe(0);
  });
});

describe("FIN-WAIT-2 without an owner", () => {
  function finWait2(linger2S: number, finTimeoutS = 20): Harness {
    const h = established({ setup: (ep) => (ep.options.linger2Ns = linger2S * 1e9) });
    h.tcp.settings.finTimeoutNs = finTimeoutS * 1e9;
    const { tcb } = h;
    h.ep.close();
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 2 });
    // Kept as small as TIME-WAIT from now on, unless it takes longer.
    if (finTimeoutS <= 60)
      expect([h.tcp.context.demux.count, tcb.state]).toEqual([
        0,
        linger2S < 0 ? CLOSED : TIME_WAIT,
      ]);
    return h;
  }

  it("waits tcp_fin_timeout, or TCP_LINGER2", () => {
    for (const [linger2S, waitsS] of [
      [0, 20],
      [5, 5],
    ]) {
      const h = finWait2(linger2S);
      h.advanceMs(waitsS * 1_000 - 500);
      expect(h.tcp.context.timeWaits.count).toBe(1);
      h.advanceMs(1_000);
      expect(h.tcp.context.timeWaits.count).toBe(0);
    }
  });

  it("longer than TIME-WAIT it waits with all it has, for the time beyond that", () => {
    const h = finWait2(0, 100);
    expect(h.tcp.context.demux.count).toBe(1);
    h.advanceMs(40_500);
    expect([h.tcp.context.demux.count, h.tcp.context.timeWaits.count]).toEqual([0, 1]);
    h.advanceMs(40_000);
    expect(h.tcp.context.timeWaits.count).toBe(0);
  });

  it("the FIN begins TIME-WAIT, for its own minute; waits of all lengths end in their order", () => {
    const h = finWait2(5);
    h.inject({ flags: "F.", seq: 1, ack: 2 });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 2, ack: 2 }]);
    h.advanceMs(59_000);
    expect(h.tcp.context.timeWaits.count).toBe(1);
    h.inject({ flags: "F.", seq: 1, ack: 2 });
    expect(h.take()).toMatchObject([{ flags: ".", ack: 2 }]);
    h.advanceMs(61_000);
    expect(h.tcp.context.timeWaits.count).toBe(0);
    const table = h.tcp.context.timeWaits;
    const ends: number[] = [];
    for (const s of [30, 5, 70, 5, 1, 60]) {
      const tw = table.take();
      tw.ports = s * 100 + ends.length;
      tw.isFinWait2 = true;
      table.add(tw, 0, s * 1e9);
      ends.push(s);
    }
    expect([...table.all()].map((tw) => tw.endNs / 1e9)).toEqual([1, 5, 5, 30, 60, 70]);
  });

  it("data that nobody will read is answered by a RST, a repeated ACK by nothing, the rest by an ACK", () => {
    const h = finWait2(0);
    h.inject({ flags: ".", seq: 1, ack: 2 });
    expect(h.take()).toEqual([]);
    h.inject({ flags: ".", seq: 900_000, ack: 2, data: "far" });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 2, ack: 1 }]);
    h.inject({ flags: "R", seq: 900_000, ack: 2 });
    expect(h.tcp.context.timeWaits.count).toBe(1);
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 2, data: "new" });
    expect(h.take()).toMatchObject([{ flags: "R", seq: 2 }]);
    expect(h.tcp.context.timeWaits.count).toBe(0);
    const reset = finWait2(0);
    reset.inject({ flags: "R", seq: 100 });
    expect([reset.take(), reset.tcp.context.timeWaits.count]).toEqual([[], 0]);
  });

  it("does not wait at all with a negative TCP_LINGER2, and says so", () => {
    const h = finWait2(-1);
    expect(h.tcp.context.demux.count).toBe(0);
    expect(h.take()).toMatchObject([{ flags: "R.", seq: 2 }]);
    expect(h.tcp.stats.TCPAbortOnLinger).toBe(1);
  });
});

describe("metrics of a path", () => {
  /** One connection with the round trip, closed in order. */
  function visit(h: Harness, port: number, rttMs: number): Endpoint {
    const ep = h.tcp.newEndpoint(IPV4) as Endpoint;
    h.ep = ep;
    h.peerPort = port;
    ep.connect(REMOTE, port);
    h.advanceMs(rttMs);
    h.inject({ flags: "S.", seq: 0, ack: 1, mss: 1460 });
    return ep;
  }

  it("seed the next connection's first timeout, not its estimate", () => {
    const h = established({ rttMs: 400 });
    h.ep.close();
    h.advanceMs(400);
    h.inject({ flags: "F.", seq: 1, ack: 2 });
    expect(h.tcp.context.metrics.size).toBe(1);
    const next = visit(h, 4001, 10);
    expect(next.tcb?.rtt.rtoUs).toBe(1_200_000);
    expect(next.tcb?.rtt.srttUs).toBe(10_000);
    h.tcp.flushMetrics();
    expect(visit(h, 4002, 10).tcb?.rtt.rtoUs).toBe(210_000);
  });

  it("are not kept with tcp_no_metrics_save, and are bounded", () => {
    const h = established({ rttMs: 400 });
    h.tcp.settings.noMetricsSave = 1;
    h.ep.close();
    h.inject({ flags: "F.", seq: 1, ack: 2 });
    const { metrics } = h.tcp.context;
    expect(metrics.size).toBe(0);
    const addr = REMOTE.clone();
    for (let i = 0; i < 5_000; i++) {
      addr.w3 = i;
      metrics.obtain(addr);
    }
    expect(metrics.size).toBe(1_024);
  });
});

it("memory pressure begins at two thirds, ends below the half, and stops growth in between", () => {
  const stats = { TCPMemoryPressures: 0 };
  const pool = new RingPool(1 << 20, stats);
  const blocks: Uint8Array[] = [];
  while (!pool.isUnderPressure) {
    const block = pool.take(4096);
    if (block === null) break;
    blocks.push(block);
  }
  expect(pool.usedBytes).toBeGreaterThan((2 / 3) * (1 << 20));
  expect(stats.TCPMemoryPressures).toBe(1);
  while (pool.usedBytes > 1 << 19) pool.give(blocks.pop() as Uint8Array);
  expect(pool.isUnderPressure).toBe(true);
  pool.give(blocks.pop() as Uint8Array);
  expect(pool.isUnderPressure).toBe(false);

  const h = established();
  h.tcp.context.rings.isUnderPressure = true;
  const before = h.tcb.rcv.bufferBytes;
  for (let i = 0; i < 40; i++) {
    h.advanceMs(10);
    h.inject({ flags: "P.", seq: 1 + 1000 * i, ack: 1, data: "x".repeat(1000) });
    h.read();
  }
  expect(h.tcb.rcv.bufferBytes).toBe(before);
});
