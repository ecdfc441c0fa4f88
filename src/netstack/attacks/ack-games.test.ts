// A receiver that cheats (Savage et al. 1999, RFC 5681 and 3465): optimistic ACKs, ACK division, spoofed
// duplicate ACKs, SACKs for what was never sent. The window grows by data that arrived, by nothing else.
// And low-rate attacks on the retransmission timer (Kuzmanovic & Knightly 2003, "Shrew").

import { describe, expect, it } from "vitest";
import { CA_OPEN } from "../tcp/state.ts";
import { established, type Harness } from "../tcp/testing.ts";

const TEN = "x".repeat(14_600);

function sending(options: Parameters<typeof established>[0] = {}): Harness {
  const h = established({ rttMs: 50, ...options });
  h.ep.options.sendBufferBytes = 4 << 20;
  h.write(TEN.repeat(20));
  h.take();
  return h;
}

describe("optimistic ACK", () => {
  it("for what was never sent is dropped: nothing is freed, the window stays, no RTT is taken", () => {
    const h = sending();
    const { cwnd } = h.tcb;
    const { srttUs } = h.tcb.rtt;
    const out = h.tcb.sent.packetsOut;
    for (let i = 1; i <= 200; i++) h.inject({ flags: ".", seq: 1, ack: 14_601 + 1_460 * i });
    expect(h.tcb.sent.packetsOut).toBe(out);
    expect(h.tcb.cwnd).toBe(cwnd);
    expect(h.tcb.rtt.srttUs).toBe(srttUs);
    expect(h.take()).toEqual([]);
  });

  it("of the whole flight at once grows the window by what was sent, not by more", () => {
    const h = sending();
    h.advanceMs(1);
    h.inject({ flags: ".", seq: 1, ack: 14_601 });
    expect(h.tcb.cwnd).toBeLessThanOrEqual(20);
  });
});

describe("ACK division", () => {
  // @rfc 5681 3.1c
  it("a thousand ACKs for one segment grow the window as one does", () => {
    const h = sending();
    for (let i = 1; i <= 1_000; i++) h.inject({ flags: ".", seq: 1, ack: 1 + i });
    expect(h.tcb.cwnd).toBe(10);
    h.inject({ flags: ".", seq: 1, ack: 1_461 });
    expect(h.tcb.cwnd).toBe(11);
  });

  // @rfc 5681 3.1d
  it("in congestion avoidance too", () => {
    const one = sending();
    const many = sending();
    for (const h of [one, many]) h.tcb.ssthresh = 5;
    for (let s = 1; s <= 10; s++) {
      one.inject({ flags: ".", seq: 1, ack: 1 + 1_460 * s });
      for (let i = 1; i <= 20; i++)
        many.inject({ flags: ".", seq: 1, ack: 1_460 * (s - 1) + 73 * i + 1 });
    }
    expect(many.tcb.cwnd).toBe(one.tcb.cwnd);
    expect(one.tcb.cwnd).toBeLessThanOrEqual(11);
  });
});

describe("duplicate-ACK spoofing", () => {
  it.each([
    // Without SACK a duplicate says that some segment arrived, and nobody can check it: the peer's window
    // is the bound, as on Linux.
    ["without SACK", false, 65_535 / 1_460],
    ["with SACK negotiated and none sent", true, 20],
  ])("%s: five hundred of them do not grow the window", (_name, sackOk, most) => {
    const h = sending({ syn: { sackOk } });
    for (let i = 0; i < 500; i++) h.inject({ flags: ".", seq: 1, ack: 1 });
    expect(h.tcb.sent.inFlight).toBeGreaterThanOrEqual(0);
    expect(h.take().length).toBeLessThanOrEqual(most);
    expect(h.tcb.cwnd).toBeLessThanOrEqual(10);
  });
});

describe("SACK cheating", () => {
  it("blocks for what was never sent, behind the acknowledged, upside down or huge mark nothing", () => {
    const h = sending({ syn: { sackOk: true } });
    const nxt = h.tcb.snd.nxt - h.tcb.snd.iss;
    for (const block of [
      [nxt + 1, nxt + 1_461],
      [nxt - 1_460, nxt + 1],
      [2_921, 1_461],
      [1_461, 1_461],
      [2 ** 31 - 9, 2 ** 31 + 9],
      [-100_000, -90_000],
    ] as const) {
      h.inject({ flags: ".", seq: 1, ack: 1, sack: [block] });
    }
    expect(h.tcb.sent.sackedOut).toBe(0);
    expect(h.tcb.caState).toBe(CA_OPEN);
  });

  it("SACKing all but the first segment again and again is one loss, one cut", () => {
    const h = sending({ syn: { sackOk: true } });
    const nxt = h.tcb.snd.nxt - h.tcb.snd.iss;
    for (let i = 0; i < 100; i++) h.inject({ flags: ".", seq: 1, ack: 1, sack: [[1_461, nxt]] });
    expect(h.tcb.ssthresh).toBeGreaterThanOrEqual(5);
    expect(h.tcb.sent.inFlight).toBeGreaterThanOrEqual(0);
  });

  it("DSACKs that name more than was ever repeated undo nothing (RFC 3708)", () => {
    const h = sending({ syn: { sackOk: true } });
    h.inject({ flags: ".", seq: 1, ack: 1_461 });
    const { ssthresh, cwnd } = h.tcb;
    for (let i = 0; i < 50; i++) h.inject({ flags: ".", seq: 1, ack: 1_461, sack: [[1, 1_461]] });
    expect(h.tcb).toMatchObject({ ssthresh, cwnd });
    expect(h.tcp.stats.TCPDSACKIgnoredDubious).toBe(50);
  });

  // @rfc 2018 8b
  it("reneging: SACKed and never acknowledged data is sent again after the timeout", () => {
    const h = sending({ syn: { sackOk: true } });
    const nxt = h.tcb.snd.nxt - h.tcb.snd.iss;
    h.inject({ flags: ".", seq: 1, ack: 1, sack: [[1_461, nxt]] });
    h.take();
    for (let i = 0; i < 12 && h.tcb.sent.sackedOut > 0; i++) {
      h.advanceMs(2_000);
      h.inject({ flags: ".", seq: 1, ack: 1_461 });
    }
    const again = h.take().filter((s) => s.seq >= 1_461);
    expect(again.length).toBeGreaterThan(0);
  });
});

describe("timestamps that lie", () => {
  // @rfc 7323 4.1
  it("an echo from the future or of another age gives no RTT sample", () => {
    for (const echo of [0x7fff_ffff, -1, 1]) {
      const h = sending({ syn: { ts: [1, 0] } });
      h.advanceMs(10);
      const before = h.tcb.rtt.rtoUs;
      h.inject({ flags: ".", seq: 1, ack: 1_461, ts: [2, echo] });
      expect(h.tcb.rtt.rtoUs).toBeLessThanOrEqual(Math.max(before, 1_000_000));
      expect(h.tcb.rtt.srttUs).toBeGreaterThanOrEqual(0);
    }
  });
});

describe("Shrew: bursts at the pace of the retransmission timer", () => {
  // @rfc 5681 3.1e
  // @rfc 6298 5.5
  it("each loss doubles the timer from no less than 200 ms; one segment goes at each", () => {
    const h = sending();
    const gaps: number[] = [];
    let last = 0;
    for (let ms = 0; ms < 30_000; ms += 10) {
      h.advanceMs(10);
      const sent = h.take();
      if (sent.length === 0) continue;
      expect(sent.length).toBeLessThanOrEqual(2);
      gaps.push(ms - last);
      last = ms;
    }
    // The first is a tail loss probe (RFC 8985), then timeouts at doubling distances.
    const timeouts = gaps.slice(2);
    expect(Math.min(...gaps.slice(1))).toBeGreaterThanOrEqual(190);
    for (let i = 1; i < timeouts.length; i++) {
      expect(timeouts[i]).toBeGreaterThan(1.9 * timeouts[i - 1]);
    }
    expect(h.tcb.cwnd).toBe(1);
  });
});
