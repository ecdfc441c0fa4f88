// Attacks on the lists that SACK and disorder keep: SACK Panic, SACK slowness, excess resource consumption
// by a tiny MSS (CVE-2019-11477, 11478, 11479), SegmentSmack (CVE-2018-5390). Work is counted in records
// visited, never in time.

import { describe, expect, it } from "vitest";
import type { SentRecord } from "../tcp/sent-list.ts";
import { MSS_MIN, OUT_OF_ORDER_RANGES_MAX, SENT_RECORDS_MAX } from "../tcp/state.ts";
import { established, type Harness } from "../tcp/testing.ts";

const TINY = { mss: 1, sackOk: true, wscale: 14, wnd: 65_535 } as const;

/** A sender with as many records out as there may be. */
function crowded(mss = 1): Harness {
  const h = established({ syn: { ...TINY, mss } });
  h.inject({ flags: ".", seq: 1, ack: 1, wnd: 65_535 });
  h.tcb.cwnd = 100_000;
  h.ep.options.sendBufferBytes = 6 << 20;
  const record = h.network.onSend;
  h.network.onSend = () => {};
  for (let i = 0; i < 6; i++) h.write("y".repeat(100_000));
  h.network.onSend = record;
  return h;
}

/** Counts how often the links of the list are followed while `run` runs. */
function visits(h: Harness, run: () => void): number {
  let count = 0;
  for (let r: SentRecord | null = h.tcb.sent.head; r !== null; ) {
    const record: SentRecord = r;
    r = record.next;
    let next = r;
    Object.defineProperty(record, "next", {
      configurable: true,
      enumerable: true,
      get: () => {
        count++;
        return next;
      },
      set: (value: SentRecord | null) => {
        next = value;
      },
    });
  }
  run();
  return count;
}

describe("SACK Panic (CVE-2019-11477)", () => {
  it("no record counts more segments than fit, whatever is merged or cut", () => {
    const h = crowded();
    for (let k = 0; k < 2_000; k++) {
      const from = 1 + MSS_MIN * ((k * 37) % 9_000);
      h.inject({ flags: ".", seq: 1, ack: 1, wnd: 65_535, sack: [[from, from + 5 * MSS_MIN]] });
    }
    const { sent } = h.tcb;
    let segs = 0;
    let bytes = 0;
    for (let r = sent.head; r !== null; r = r.next) {
      expect(r.segs).toBeGreaterThan(0);
      expect(r.segs).toBeLessThan(65_536);
      segs += r.segs;
      bytes += r.end - r.seq;
    }
    expect(segs).toBe(sent.packetsOut);
    expect(bytes).toBe(h.tcb.snd.nxt - h.tcb.snd.una);
    expect(sent.recordCount).toBeLessThanOrEqual(2 * SENT_RECORDS_MAX);
    expect(sent.inFlight).toBeGreaterThanOrEqual(0);
  });

  it("the smallest MSS option is taken as 48, as Linux's tcp_min_snd_mss (CVE-2019-11479)", () => {
    for (const mss of [1, 8, 47]) {
      expect(established({ syn: { mss } }).tcb.snd.mss).toBe(MSS_MIN);
    }
    // With timestamps the payload of a full segment shrinks, but never to nothing.
    const h = established({ syn: { mss: 1, ts: [1, 0] } });
    expect(h.tcb.snd.mss).toBeGreaterThanOrEqual(36);
  });
});

describe("SACK slowness (CVE-2019-11478)", () => {
  it("blocks anywhere in the list cost an ACK some dozens of records, not the list", () => {
    const h = crowded();
    const { sent } = h.tcb;
    const end = h.tcb.snd.nxt - h.tcb.snd.iss;
    const inject = (k: number): void => {
      const low = 1 + MSS_MIN * 2 * k;
      const high = end - MSS_MIN * 2 * k;
      const middle = 1 + MSS_MIN * (3_000 + 2 * k);
      const blocks = [high, low, middle].map((at): [number, number] => [at, at + MSS_MIN]);
      h.inject({ flags: ".", seq: 1, ack: 1, wnd: 65_535, sack: blocks });
    };
    // What is lost by now has been found, and the blocks before cut the list into pieces.
    for (let k = 1; k <= 40; k++) inject(k);
    expect(sent.recordCount).toBeGreaterThan(SENT_RECORDS_MAX / 2);
    let worst = 0;
    for (let k = 41; k <= 80; k++)
      worst = Math.max(
        worst,
        visits(h, () => inject(k)),
      );
    expect(worst).toBeLessThanOrEqual(3 * 3 * 64);
    expect(sent.recordCount).toBeLessThanOrEqual(2 * SENT_RECORDS_MAX);
  });

  it("a block that grows over all of the list is walked once, however often it is named", () => {
    const h = crowded();
    const { sent } = h.tcb;
    const end = h.tcb.snd.nxt - h.tcb.snd.iss;
    const grow = (to: number): void =>
      h.inject({ flags: ".", seq: 1, ack: 1, wnd: 65_535, sack: [[1 + MSS_MIN, to]] });
    for (let to = 1 + 2 * MSS_MIN; to < end / 2; to += 50 * MSS_MIN) grow(to);
    const half = Math.floor(end / 2 / MSS_MIN) * MSS_MIN + 1;
    grow(half);
    let total = 0;
    for (let k = 1; k <= 20; k++) total += visits(h, () => grow(half + k * MSS_MIN));
    expect(sent.sackedOut).toBeGreaterThan(1_000);
    expect(total).toBeLessThanOrEqual(20 * 2 * 64);
  });

  it("fragmenting the list by odd blocks stops at a cap; the stream is still acknowledged", () => {
    const h = crowded();
    for (let k = 0; k < 1_500; k++) {
      const from = 1 + ((k * 7_919) % 380_000);
      h.inject({ flags: ".", seq: 1, ack: 1, wnd: 65_535, sack: [[from, from + 3]] });
    }
    expect(h.tcb.sent.recordCount).toBeLessThanOrEqual(2 * SENT_RECORDS_MAX);
    const end = h.tcb.snd.nxt - h.tcb.snd.iss;
    h.inject({ flags: ".", seq: 1, ack: end, wnd: 65_535 });
    expect(h.tcb.snd.una).toBe(h.tcb.snd.iss + end);
  });
});

describe("SegmentSmack (CVE-2018-5390)", () => {
  it("one-byte islands: a bounded list, whose every range is found in few steps", () => {
    const h = established({ syn: { sackOk: true } });
    for (let i = 0; i < 12_000; i++) {
      h.inject({ flags: ".", seq: 3 + 2 * ((i * 7_919) % 30_000), ack: 1, data: "z" });
    }
    expect(h.tcb.outOfOrder.count).toBeLessThanOrEqual(OUT_OF_ORDER_RANGES_MAX);
    expect(h.tcp.stats.TCPOFODrop).toBeGreaterThan(6_000);
    // Memory is the window's, not the segments'.
    expect(h.tcp.context.rings.usedBytes).toBeLessThanOrEqual(131_072);
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "ab" });
    expect(h.take().at(-1)?.ack).toBeGreaterThanOrEqual(3);
    expect(String(h.read()).startsWith("ab")).toBe(true);
  });

  it("the same bytes over and over, shifted by one, are held once", () => {
    const h = established({ syn: { sackOk: true } });
    for (let i = 0; i < 2_000; i++) {
      h.inject({ flags: ".", seq: 100 + (i % 200), ack: 1, data: "abcdefgh".repeat(20) });
    }
    expect(h.tcb.outOfOrder.count).toBe(1);
    expect(h.tcp.context.rings.usedBytes).toBeLessThanOrEqual(65_536);
  });

  // @rfc 5681 4.2b
  it("each out-of-order segment is answered by one ACK of one packet", () => {
    const h = established({ syn: { sackOk: true } });
    h.take();
    for (let i = 0; i < 1_000; i++) h.inject({ flags: ".", seq: 3 + 2 * i, ack: 1, data: "z" });
    expect(h.take().length).toBeLessThanOrEqual(1_000);
  });
});
