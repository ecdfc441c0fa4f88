// Loss recovery with SACK, step by step: RACK-TLP (RFC 8985), PRR (RFC 9937), F-RTO (RFC 5682), Eifel (RFC
// 3522, 4015) and DSACK undo (RFC 2883, 3708).

import { describe, expect, it } from "vitest";
import { IPV4 } from "../ip-addr.ts";
import type { Endpoint } from "./endpoint.ts";
import { CA_CWR, CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY } from "./state.ts";
import { established, Harness, REMOTE, type Seg } from "./testing.ts";

const MSS = 1_460;
const at = (n: number): number => 1 + n * MSS;
const segs = (h: Harness): number[] => h.take().map((s) => (s.seq - 1) / MSS);
const ack = (h: Harness, n: number, sack: [number, number][] = [], more: Partial<Seg> = {}): void =>
  h.inject({
    flags: ".",
    seq: 1,
    ack: at(n),
    sack: sack.map(([a, b]) => [at(a), at(b)] as const),
    ...more,
  });

/** Ten segments out on a path of 100 ms; 20 more wait. */
function flight(total = 30): Harness {
  const h = established({ syn: { sackOk: true }, rttMs: 100 });
  h.write("x".repeat(total * MSS));
  expect(h.take().length).toBe(Math.min(10, total));
  return h;
}

describe("RACK (RFC 8985 6.2)", () => {
  // @rfc 8985 3 6.2.4 6.2.5
  it("one SACK above a hole: lost a quarter of the least RTT after the RTT has passed", () => {
    const h = flight(4);
    h.advanceMs(100);
    ack(h, 0, [[3, 4]]);
    expect([h.tcb.caState, h.tcb.sent.lostOut]).toEqual([CA_DISORDER, 0]);
    h.advanceMs(26);
    expect(segs(h)).toEqual([]);
    h.advanceMs(2);
    expect(h.tcb.caState).toBe(CA_RECOVERY);
    expect(segs(h)[0]).toBe(0);
  });

  // @rfc 8985 6.2.5
  it("three SACKed: at once, and everything sent before them is lost", () => {
    const h = flight();
    h.advanceMs(100);
    ack(h, 0, [[5, 8]]);
    expect([h.tcb.caState, h.tcb.sent.lostOut]).toEqual([CA_RECOVERY, 5]);
    expect(segs(h)[0]).toBe(0);
  });

  // @rfc 8985 6.2.3
  it("a hole that fills by itself is reordering: the degree is learned, nothing was sent again", () => {
    const h = flight();
    h.advanceMs(100);
    ack(h, 0, [[9, 10]]);
    ack(h, 9);
    expect(h.tcb.reordering).toBe(10);
    expect(h.tcb.loss.reordSeen).toBe(1);
    expect(h.tcp.stats.RetransSegs).toBe(0);
  });

  // @rfc 8985 6.2.1
  it("a retransmission that is lost is sent again without a timeout", () => {
    const h = flight();
    h.advanceMs(100);
    ack(h, 0, [[1, 4]]);
    expect(segs(h)).toContain(0);
    ack(h, 0, [[1, 6]]);
    expect(segs(h)).toContain(10);
    h.advanceMs(100);
    // Segments sent after the retransmission arrive, it does not.
    ack(h, 0, [[1, 11]]);
    h.advanceMs(30);
    expect(h.tcp.stats.TCPLostRetransmit).toBe(1);
    expect(segs(h)).toContain(0);
    expect(h.tcp.stats.TCPTimeouts).toBe(0);
  });
});

describe("tail loss probe (RFC 8985 7)", () => {
  // @rfc 8985 7.2
  it("after two round trips the last segment goes again; a DSACK shows it was needless", () => {
    const h = flight(4);
    h.advanceMs(201);
    expect(segs(h)).toEqual([]);
    h.advanceMs(2);
    expect(segs(h)).toEqual([3]);
    const { cwnd } = h.tcb;
    ack(h, 4, [[3, 4]]);
    expect([h.tcb.cwnd >= cwnd, h.tcb.caState]).toEqual([true, CA_OPEN]);
  });

  // @rfc 8985 7.3
  it("new data goes first, beyond cwnd", () => {
    const h = flight();
    h.advanceMs(203);
    expect(segs(h)).toEqual([10]);
  });

  // @rfc 8985 7.4
  it("an ACK beyond the probe without a DSACK: the probe repaired a loss, the window is cut", () => {
    const h = flight(4);
    h.advanceMs(203);
    h.write("y".repeat(MSS));
    h.take();
    ack(h, 5);
    expect(h.tcp.stats.TCPLossProbeRecovery).toBe(1);
    expect(h.tcb.cwnd).toBe(7);
  });

  // @rfc 8985 7.3
  it("one probe per episode, then the retransmission timeout", () => {
    const h = flight(4);
    h.advanceMs(203);
    expect(segs(h)).toEqual([3]);
    h.advanceMs(310);
    expect(segs(h)[0]).toBe(0);
    expect([h.tcb.caState, h.tcp.stats.TCPLossProbes]).toEqual([CA_LOSS, 1]);
  });
});

describe("PRR (RFC 9937)", () => {
  // @rfc 9937 6a 6b 6c
  it("leads the flight to ssthresh in proportion and ends there", () => {
    const h = flight();
    h.advanceMs(100);
    let sent = 0;
    for (let n = 2; n <= 10; n++) {
      ack(h, 0, [[1, n]]);
      sent += segs(h).length;
      expect(h.tcb.sent.inFlight).toBeLessThanOrEqual(10);
    }
    // Two by limited transmit, then 0.7 of what is delivered.
    expect(sent).toBe(2 + Math.ceil(0.7 * 7));
    h.advanceMs(20);
    ack(h, 12);
    expect([h.tcb.caState, h.tcb.cwnd, h.tcb.ssthresh]).toEqual([CA_OPEN, 7, 7]);
  });
});

describe("undo", () => {
  // @rfc 5682 3.1
  it("F-RTO: data never sent again is SACKed after a timeout, so it was spurious (RFC 5682 3.1)", () => {
    const h = flight();
    h.advanceMs(520);
    h.take();
    expect([h.tcb.caState, h.tcb.cwnd]).toEqual([CA_LOSS, 1]);
    ack(h, 1);
    // Step 2b: new data, no retransmission.
    expect(Math.min(...segs(h))).toBeGreaterThanOrEqual(10);
    ack(h, 2);
    expect(h.tcb.caState).toBe(CA_OPEN);
    expect(h.tcb.cwnd).toBeGreaterThanOrEqual(10);
    expect([h.tcp.stats.TCPSpuriousRTOs, h.tcb.sent.lostOut]).toEqual([1, 0]);
  });

  it("F-RTO: duplicates after new data say that the loss was real", () => {
    const h = flight();
    h.advanceMs(520);
    h.take();
    ack(h, 1);
    h.take();
    ack(h, 1, [[11, 12]]);
    expect(h.tcb.loss.isFrto).toBe(false);
    expect(segs(h)).toContain(1);
  });

  // @rfc 3522 3.2
  it("Eifel: the ACK echoes a timestamp from before the retransmission (RFC 3522)", () => {
    const h = established({ syn: { sackOk: true, ts: [1, 0] }, rttMs: 100 });
    h.tsVal = 2;
    h.write("x".repeat(30 * 1_448));
    const sentTs = (h.take()[0].ts as readonly [number, number])[0];
    h.advanceMs(700);
    h.take();
    expect(h.tcb.caState).toBe(CA_LOSS);
    h.inject({ flags: ".", seq: 1, ack: 1 + 1_448, ts: [3, sentTs] });
    expect([h.tcb.caState, h.tcp.stats.TCPLossUndo]).toEqual([CA_OPEN, 1]);
    expect(h.tcb.cwnd).toBeGreaterThanOrEqual(10);
  });

  it("DSACKs for every retransmission restore cwnd and ssthresh (RFC 3708)", () => {
    const h = flight();
    h.advanceMs(100);
    ack(h, 0, [[1, 4]]);
    expect(segs(h)).toContain(0);
    const ssthresh = h.tcb.loss.priorSsthresh;
    ack(h, 4);
    h.advanceMs(5);
    ack(h, 6, [[0, 1]]);
    expect(h.tcp.stats.TCPDSACKUndo).toBe(1);
    expect([h.tcb.ssthresh, h.tcb.cwnd >= 10]).toEqual([ssthresh, true]);
  });
});

describe("ECN (RFC 3168)", () => {
  function marked(): Harness {
    const h = flight();
    h.tcb.ecnOk = true;
    return h;
  }

  // @rfc 9438 4.6
  // @rfc 3168 6.1.2a 6.1.2b
  it("an echo reduces once per window, without a retransmission; CWR goes with new data", () => {
    const h = marked();
    h.advanceMs(100);
    h.tcb.ctx.segment.flags = 0;
    const echo = (n: number): void => ack(h, n, [], { flags: ".E" });
    echo(1);
    expect(h.tcb.caState).toBe(CA_CWR);
    const { ssthresh } = h.tcb;
    expect(ssthresh).toBe(7);
    echo(3);
    expect([h.tcb.ssthresh, h.tcp.stats.RetransSegs]).toEqual([ssthresh, 0]);
    ack(h, 10);
    expect(h.take().filter((s) => s.flags.includes("W")).length).toBe(1);
  });

  // @rfc 3168 6.1.1a 6.1.1b
  it("asks in its SYN when told to, agrees by ECE alone, and marks new data only", () => {
    const h = new Harness();
    h.tcp.settings.ecn = 1;
    h.ep = h.tcp.newEndpoint(IPV4) as Endpoint;
    h.ep.connect(REMOTE, h.peerPort);
    expect(h.take()).toMatchObject([{ flags: "SEW" }]);
    h.inject({ flags: "S.E", seq: 0, ack: 1, mss: 1460, sackOk: true });
    expect(h.tcb.ecnOk).toBe(true);
    const marks: number[] = [];
    const { onSend } = h.network;
    h.network.onSend = (pkt, route) => {
      marks.push(pkt.tos & 3);
      onSend(pkt, route);
    };
    h.write("x");
    h.advanceMs(1_100);
    expect(marks.slice(0, 2)).toEqual([2, 0]);
  });

  // @rfc 3168 6.1.1c
  it("a SYN with the flags that is lost is repeated without them", () => {
    const h = new Harness();
    h.tcp.settings.ecn = 1;
    h.ep = h.tcp.newEndpoint(IPV4) as Endpoint;
    h.ep.connect(REMOTE, h.peerPort);
    h.take();
    h.advanceMs(1_001);
    expect(h.take()).toMatchObject([{ flags: "S" }]);
  });
});
