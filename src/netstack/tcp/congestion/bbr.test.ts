import { describe, expect, it } from "vitest";
import type { Endpoint } from "../endpoint.ts";
import { established, text } from "../testing.ts";
import { Pair } from "../testing-pair.ts";
import type { Bbr } from "./bbr.ts";
import { WindowedMax } from "./windowed-max.ts";

describe("the windowed maximum", () => {
  it("keeps the best of the window and falls back to the best after it", () => {
    const max = new WindowedMax();
    max.reset(0, 100);
    expect(max.add(10, 3, 50)).toBe(100);
    expect(max.add(10, 6, 40)).toBe(100);
    expect(max.add(10, 10, 30)).toBe(100);
    expect(max.add(10, 11, 30)).toBe(50);
    expect(max.add(10, 12, 200)).toBe(200);
    expect(max.add(10, 30, 1)).toBe(1);
  });
});

const RATE_BYTES_PER_MS = 625;
const SEGMENT_BYTES = 1_500;

/** A bottleneck of 5 Mbit/s with a queue of `queueMs` in front of b; ACKs go free. */
function bottleneck(pair: Pair, queueMs: number): { dropped: number; worstMs: number } {
  const seen = { dropped: 0, worstMs: 0 };
  let freeAtMs = 0;
  let isData = false;
  pair.onSegment = (fromA) => {
    isData = fromA;
  };
  pair.fate = () => {
    if (!isData) return { copies: 1, extraMs: 0 };
    const nowMs = pair.clock.monotonicNs() / 1_000_000;
    const startMs = Math.max(freeAtMs, nowMs);
    if (startMs - nowMs > queueMs) {
      seen.dropped++;
      return { copies: 0, extraMs: 0 };
    }
    freeAtMs = startMs + SEGMENT_BYTES / RATE_BYTES_PER_MS;
    seen.worstMs = Math.max(seen.worstMs, startMs - nowMs);
    return { copies: 1, extraMs: freeAtMs - nowMs };
  };
  return seen;
}

/** Writes and reads for `ms`; bytes that arrived. */
function transfer(pair: Pair, from: Endpoint, to: Endpoint, ms: number): number {
  const chunk = new Uint8Array(64 * 1024);
  let bytes = 0;
  pair.run(ms, () => {
    from.write(chunk, 0, chunk.length, 0);
    for (;;) {
      const n = to.read(chunk, 0, chunk.length, false);
      if (n <= 0) break;
      bytes += n;
    }
    return false;
  });
  return bytes;
}

function bbrPair(queueMs: number): {
  pair: Pair;
  a: Endpoint;
  b: Endpoint;
  seen: { dropped: number; worstMs: number };
} {
  const pair = new Pair({ delayMs: 20 });
  const [a, b] = pair.connect((ep) => {
    ep.options.congestion = "bbr";
  });
  const seen = bottleneck(pair, queueMs);
  return { pair, a, b, seen };
}

describe("BBR", () => {
  it("paces from the first segments: the initial window at 2.885 per RTT", () => {
    const h = established({
      rttMs: 100,
      setup: (ep) => {
        ep.options.congestion = "bbr";
      },
    });
    const { tcb } = h;
    expect(tcb.congestion.name).toBe("bbr");
    const rate = ((10 * tcb.snd.mss) / 0.1) * (739 / 256) * 0.99;
    expect(tcb.loss.pacingRate).toBeCloseTo(rate, 0);
  });

  it("fills a bottleneck with a deep queue without filling the queue", () => {
    const { pair, a, b, seen } = bbrPair(1_000);
    transfer(pair, a, b, 2_000);
    seen.worstMs = 0;
    const bytes = transfer(pair, a, b, 5_000);
    // 5 Mbit/s are 3.1 MB in 5 s; the queue stays below two round trips, though it has room for fifty.
    expect(bytes).toBeGreaterThan(0.85 * 3_125_000 * (1_448 / 1_500));
    expect(seen.worstMs).toBeLessThan(90);
    expect(seen.dropped).toBe(0);
  });

  it("goes on at speed where every hundredth segment is lost", () => {
    const { pair, a, b } = bbrPair(200);
    const inner = pair.fate;
    let n = 0;
    pair.fate = () => (++n % 100 === 0 ? { copies: 0, extraMs: 0 } : inner());
    transfer(pair, a, b, 3_000);
    const bytes = transfer(pair, a, b, 3_000);
    expect(bytes).toBeGreaterThan(0.7 * 1_875_000);
  });

  it("probes the round trip every ten seconds with four segments in flight, and comes back", () => {
    const { pair, a, b } = bbrPair(500);
    transfer(pair, a, b, 3_000);
    const usual = a.tcb?.cwnd ?? 0;
    expect(usual).toBeGreaterThan(20);
    let least = usual;
    for (let i = 0; i < 90; i++) {
      transfer(pair, a, b, 100);
      least = Math.min(least, a.tcb?.cwnd ?? 0);
    }
    expect(least).toBe(4);
    transfer(pair, a, b, 1_500);
    expect(a.tcb?.cwnd).toBeGreaterThan(20);
  });

  it("can be chosen on an open connection, and left", () => {
    const h = established();
    h.ep.options.congestion = "bbr";
    h.ep.optionsChanged();
    expect((h.tcb.congestion as Bbr).name).toBe("bbr");
    h.ep.write(text("x"), 0, 1, 0);
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 2 });
    h.ep.options.congestion = "reno";
    h.ep.optionsChanged();
    expect(h.tcb.congestion.name).toBe("reno");
  });
});
