import { describe, expect, it } from "vitest";
import { WRITE_MORE } from "../endpoints.ts";
import { NetErr } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import { CA_LOSS, CA_OPEN, CA_RECOVERY, CLOSED } from "./state.ts";
import { established, type Harness, type Seg } from "./testing.ts";

const MSS = 1460;
const lengths = (segs: Seg[]): number[] => segs.map((s) => s.data.length);
const big = (n: number): string => "x".repeat(n);

/** cwnd full: ten segments out. */
function tenOut(syn: Partial<Seg> = { sackOk: true }, rttMs = 0): Harness {
  const h = established({ syn, rttMs });
  h.write(big(30 * MSS));
  expect(h.take().length).toBe(10);
  return h;
}

describe("what may go", () => {
  // @rfc 5681 3.1a
  // @rfc 9293 MUST-19 MUST-61
  it("IW10, then two for each ACK in slow start; PSH on the last", () => {
    const h = tenOut();
    h.inject({ flags: ".", seq: 1, ack: 1 + 2 * MSS });
    expect(h.take().length).toBe(4);
    expect(h.tcb.cwnd).toBe(12);
    h.ep.options.noDelay = true;
    const small = established();
    small.write("bye");
    expect(small.take()).toMatchObject([{ flags: "P.", data: "bye" }]);
  });

  // @rfc 9293 MUST-17
  it("Nagle holds a second small segment until the first is acknowledged", () => {
    const h = established();
    h.write("a");
    h.write("b");
    h.write("c");
    expect(h.take().map((s) => s.data)).toEqual(["a"]);
    h.inject({ flags: ".", seq: 1, ack: 2 });
    expect(h.take().map((s) => s.data)).toEqual(["bc"]);
    h.ep.options.noDelay = true;
    h.write("d");
    expect(h.take().map((s) => s.data)).toEqual(["d"]);
  });

  // @rfc 9293 MUST-60
  it("TCP_CORK holds what is small for 200 ms, and lets go when it is pulled", () => {
    const h = established();
    h.ep.options.cork = true;
    h.write(big(MSS + 10));
    expect(lengths(h.take())).toEqual([MSS]);
    h.inject({ flags: ".", seq: 1, ack: 1 + MSS });
    h.advanceMs(199);
    expect(h.take()).toEqual([]);
    h.advanceMs(2);
    expect(lengths(h.take())).toEqual([10]);
    h.write("tail");
    h.ep.options.cork = false;
    h.inject({ flags: ".", seq: 1, ack: 1 + MSS + 10 });
    expect(h.take().map((s) => s.data)).toEqual(["tail"]);
  });

  it("MSG_MORE waits for the write that ends it", () => {
    const h = established();
    h.write("head ", WRITE_MORE);
    expect(h.take()).toEqual([]);
    h.write("body");
    expect(h.take().map((s) => s.data)).toEqual(["head body"]);
  });

  // @rfc 9293 MUST-38
  it("sender's SWS avoidance: no dribbling into a small window, until the persist timer", () => {
    const h = established({ syn: { wnd: 2_000 } });
    h.write(big(5_000));
    // Half of the largest window is the most a segment carries (Linux's tcp_bound_to_half_wnd).
    expect(lengths(h.take())).toEqual([1_000, 1_000]);
    h.inject({ flags: ".", seq: 1, ack: 2_001, wnd: 100 });
    expect(h.take()).toEqual([]);
    h.advanceMs(250);
    expect(lengths(h.take())).toEqual([100]);
  });

  // @rfc 9293 MUST-35 MUST-36
  it("zero window: probes without data, backed off, for ever while they are answered", () => {
    const h = established();
    h.write("abc");
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 4, wnd: 0 });
    h.write("defg");
    expect(h.take()).toEqual([]);
    for (let i = 0; i < 40; i++) {
      h.advanceMs(121_000);
      const probes = h.take();
      expect(probes.length).toBeGreaterThan(0);
      expect(probes[0]).toMatchObject({ flags: ".", seq: 3, data: "" });
      h.inject({ flags: ".", seq: 1, ack: 4, wnd: 0 });
    }
    h.inject({ flags: ".", seq: 1, ack: 4, wnd: 5_000 });
    expect(h.take().map((s) => s.data)).toEqual(["defg"]);
  });

  it("zero window and silence: times out", () => {
    const h = established();
    h.write("abc");
    h.inject({ flags: ".", seq: 1, ack: 4, wnd: 0 });
    h.write("defg");
    h.advanceMs(3_600_000);
    expect(h.state).toBe(CLOSED);
    expect(h.ep.takeError()).toBe(NetErr.TimedOut);
  });

  // @rfc 9293 MUST-34
  // @rfc 7323 2.4
  it("tolerates a window that is taken back", () => {
    const h = tenOut();
    h.inject({ flags: ".", seq: 1, ack: 1 + MSS, wnd: 100 });
    expect(h.take()).toEqual([]);
    h.advanceMs(1_000);
    expect(h.take().length).toBeGreaterThan(0);
    h.inject({ flags: ".", seq: 1, ack: 1 + 10 * MSS, wnd: 65_535 });
    expect(h.take().length).toBeGreaterThan(0);
  });

  it("hands the link 64 KiB pieces of whole segments when it segments for us", () => {
    const h = established({ gsoBytesMax: 65_000, syn: { sackOk: true, wscale: 7 } });
    h.ep.options.sendBufferBytes = 1 << 20;
    h.write(big(200_000));
    expect(lengths(h.take())).toEqual([5 * MSS, 5 * MSS]);
    h.inject({ flags: ".", seq: 1, ack: 1 + 10 * MSS, wnd: 60_000 });
    h.inject({ flags: ".", seq: 1, ack: 1 + 30 * MSS, wnd: 60_000 });
    for (const n of lengths(h.take())) expect(n % MSS).toBe(0);
    h.inject({ flags: ".", seq: 1, ack: 1 + 70 * MSS, wnd: 60_000 });
    expect(Math.max(...lengths(h.take()))).toBeLessThanOrEqual(44 * MSS);
  });

  it("turns the writer away at the buffer's end and calls when a third is free", () => {
    const h = established({ setup: (ep) => (ep.options.sendBufferLocked = true) });
    h.ep.options.sendBufferBytes = 9_000;
    const masks: number[] = [];
    h.ep.onReadiness = (m) => masks.push(m);
    // A piece that was begun is filled, beyond the limit if need be; no other is begun.
    expect(h.write(big(50_000))).toBe(46_720);
    expect(h.write("x")).toBe(NetErr.WouldBlock);
    h.inject({ flags: ".", seq: 1, ack: 1 + 10 * MSS });
    expect(masks).toEqual([]);
    h.inject({ flags: ".", seq: 1, ack: 1 + 30 * MSS });
    expect(masks).toEqual([Ready.Write]);
  });

  // @rfc 5681 4.1
  it("restarts from the initial window after an idle time (RFC 5681 4.1)", () => {
    const h = established();
    h.tcb.cwnd = 100;
    h.write("x");
    h.inject({ flags: ".", seq: 1, ack: 2 });
    h.advanceMs(60_000);
    h.write("y");
    expect(h.tcb.cwnd).toBe(10);
  });
});

describe("loss", () => {
  // @rfc 6675 5a
  it("SACK: three segments SACKed above a hole retransmit it at once and cut the window once", () => {
    const h = tenOut({ sackOk: true }, 100);
    const sack = (to: number): void =>
      h.inject({ flags: ".", seq: 1, ack: 1, sack: [[1 + MSS, 1 + to * MSS]] });
    h.advanceMs(100);
    sack(2);
    sack(3);
    // Limited transmit (RFC 3042): each of the first two lets one new segment out.
    expect(h.take().map((s) => s.seq)).toEqual([1 + 10 * MSS, 1 + 11 * MSS]);
    sack(4);
    expect(h.take().map((s) => s.seq)).toEqual([1]);
    expect(h.tcb.caState).toBe(CA_RECOVERY);
    // PRR leads the flight down to ssthresh, and the nine segments of the ACK that ends it count for CUBIC.
    expect(h.tcb.ssthresh).toBe(7);
    const cwnd = 8;
    h.inject({ flags: ".", seq: 1, ack: 1 + 12 * MSS });
    expect(h.tcb.caState).toBe(CA_OPEN);
    expect(h.tcb.cwnd).toBe(cwnd);
    expect(h.tcb.sent.sackedOut).toBe(0);
  });

  // @rfc 6675 5b
  // @rfc 2018 5
  it("SACK: retransmits each of several holes, and only holes", () => {
    const h = tenOut();
    h.inject({
      flags: ".",
      seq: 1,
      ack: 1,
      sack: [
        [1 + MSS, 1 + 3 * MSS],
        [1 + 4 * MSS, 1 + 8 * MSS],
      ],
    });
    const again = h.take().map((s) => (s.seq - 1) / MSS);
    expect(again[0]).toBe(0);
    expect(again).toContain(3);
    expect(again.filter((n) => n < 8)).toEqual([0, 3]);
  });

  // @rfc 6582 3.2.2 3.2.3
  // @rfc 5681 3.2a
  it("NewReno: three duplicate ACKs, then a partial ACK retransmits the next hole (RFC 6582)", () => {
    const h = tenOut({ sackOk: false });
    // The first ACK with data's sequence number counts as a window update.
    h.inject({ flags: ".", seq: 1, ack: 1 });
    for (let i = 0; i < 3; i++) h.inject({ flags: ".", seq: 1, ack: 1 });
    expect(h.take().map((s) => (s.seq - 1) / MSS)).toEqual([10, 11, 0]);
    h.inject({ flags: ".", seq: 1, ack: 1 + 4 * MSS });
    expect([h.tcb.sent.lostOut, h.tcb.sent.inFlight]).toEqual([1, h.tcb.ssthresh]);
    // PRR holds the flight at ssthresh: the next duplicate lets the hole's segment go.
    h.inject({ flags: ".", seq: 1, ack: 1 + 4 * MSS });
    expect(h.take().map((s) => (s.seq - 1) / MSS)).toEqual([4]);
    expect(h.tcb.caState).toBe(CA_RECOVERY);
  });

  // @rfc 5681 3.1e
  // @rfc 6298 2.1 3 5.5
  // @rfc 9293 MUST-18 MUST-19
  it("RTO: at 1 s before a sample could shorten it, doubling, one segment; Karn takes no sample", () => {
    const h = established({ syn: { sackOk: true } });
    h.tcp.settings.earlyRetrans = 0;
    h.write(big(30 * MSS));
    h.take();
    const { rtoUs } = h.tcb.rtt;
    expect(rtoUs).toBe(200_001);
    h.advanceMs(201);
    expect(h.take().map((s) => s.seq)).toEqual([1]);
    expect([h.tcb.caState, h.tcb.cwnd]).toEqual([CA_LOSS, 1]);
    h.advanceMs(399);
    expect(h.take()).toEqual([]);
    h.advanceMs(2);
    expect(h.take().map((s) => s.seq)).toEqual([1]);
    h.inject({ flags: ".", seq: 1, ack: 1 + MSS });
    // The back-off stays until a valid sample comes; F-RTO tries new data (RFC 5682 2.1 step 2b).
    expect([h.tcb.rtt.rtoUs, h.tcb.backoff]).toEqual([rtoUs, 2]);
    expect(h.take().map((s) => s.seq)).toEqual([1 + 10 * MSS, 1 + 11 * MSS]);
  });

  // @rfc 6675 5.1
  // @rfc 2018 8a 8b
  it("RTO with a SACKed head: the peer reneged, its SACKs are forgotten (RFC 2018 8)", () => {
    const h = tenOut();
    h.inject({ flags: ".", seq: 1, ack: 1, sack: [[1 + MSS, 1 + 3 * MSS]] });
    h.inject({ flags: ".", seq: 1, ack: 1 + MSS });
    h.take();
    expect(h.tcb.sent.sackedOut).toBe(2);
    h.advanceMs(300);
    expect(h.tcb.sent.sackedOut).toBe(0);
    expect(h.tcp.stats.TCPSACKReneging).toBe(1);
    expect(h.take()[0].seq).toBe(1 + MSS);
  });

  // @rfc 5482 3
  // @rfc 9293 MUST-20 MUST-21
  it("gives up after about 15 minutes; a user timeout cuts that short", () => {
    const h = tenOut();
    h.advanceMs(900_000);
    expect(h.state).not.toBe(CLOSED);
    h.advanceMs(200_000);
    expect(h.ep.takeError()).toBe(NetErr.TimedOut);
    const u = established();
    u.ep.options.userTimeoutNs = 5e9;
    u.write("x");
    u.advanceMs(8_000);
    expect(u.ep.takeError()).toBe(NetErr.TimedOut);
  });

  // @rfc 1191 6.5
  it("cuts what is in flight smaller when the path MTU falls", () => {
    const h = tenOut();
    Object.assign(h.tcb.route as object, { mtu: 1_000 });
    h.tcp.onIcmpError({
      kind: 5,
      type: 3,
      code: 4,
      mtu: 1_000,
      pointer: 0,
      from: h.tcb.remote,
      to: h.tcb.local,
      nicId: 1,
      ttl: 64,
      tos: 0,
      carrier: null,
      src: h.tcb.local,
      dst: h.tcb.remote,
      protocol: 6,
      bytes: quote(h, 1),
      l3: 0,
      l4: 0,
      end: 8,
    });
    for (const s of h.take()) expect(s.data.length).toBeLessThanOrEqual(960);
    expect(h.tcb.snd.mss).toBe(960);
    h.inject({ flags: ".", seq: 1, ack: 1 + 10 * MSS });
    expect(h.tcb.cwnd).toBeGreaterThanOrEqual(10);
    expect(h.tcb.caState).toBe(CA_OPEN);
  });

  it("tries again when the route is gone for a while", () => {
    const h = established();
    Object.assign(h.tcb.route as object, { isValid: false });
    h.network.findError = NetErr.NetworkUnreachable;
    h.write("x");
    expect(h.take()).toEqual([]);
    h.network.findError = 0;
    h.advanceMs(1_000);
    expect(h.take()[0]).toMatchObject({ data: "x" });
  });

  // @rfc 9293 MUST-47 MUST-54
  it("ICMP errors: out of flight ignored, soft until the connection times out", () => {
    const h = established();
    h.write("x");
    const error = {
      kind: 2,
      type: 3,
      code: 1,
      mtu: 0,
      pointer: 0,
      from: h.tcb.remote,
      to: h.tcb.local,
      nicId: 1,
      ttl: 64,
      tos: 0,
      carrier: null,
      protocol: 6,
      l3: 0,
      l4: 0,
      end: 8,
    };
    const send = (seq: number): void =>
      h.tcp.onIcmpError({ ...error, src: h.tcb.local, dst: h.tcb.remote, bytes: quote(h, seq) });
    send(-500);
    expect(h.tcp.stats.OutOfWindowIcmps).toBe(1);
    send(1);
    expect(h.ep.readiness() & Ready.Error).toBe(0);
    h.advanceMs(1_200_000);
    expect(h.ep.takeError()).toBe(NetErr.HostUnreachable);
  });
});

function quote(h: Harness, seq: number): Uint8Array {
  const n = (h.iss + seq) >>> 0;
  const ports = [h.localPort >> 8, h.localPort & 255, h.peerPort >> 8, h.peerPort & 255];
  return new Uint8Array([...ports, n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
}
