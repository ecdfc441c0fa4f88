// RFC 9293 3.10.7.4 step by step, and the attacks on each step.

import { describe, expect, it } from "vitest";
import { NetErr } from "../net-error.ts";
import { CLOSED, ESTABLISHED } from "./state.ts";
import { established, type Harness } from "./testing.ts";

const withTs = (tsVal = 1_000): Harness => {
  const h = established({ syn: { ts: [tsVal, 0], sackOk: true } });
  h.tsVal = tsVal;
  return h;
};

describe("first, sequence number", () => {
  it("accepts by the table of 3.4, and answers what it does not accept", () => {
    const h = established();
    const wnd = h.tcb.rcv.wnd;
    h.inject({ flags: ".", seq: 1 + wnd + 5, ack: 1, data: "zz" });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 1, ack: 1 }]);
    h.inject({ flags: ".", seq: -100, ack: 1, data: "old" });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 1, ack: 1 }]);
    expect(h.read()).toBe(NetErr.WouldBlock);
  });

  it("limits its answers to stray ACKs without data", () => {
    const h = established();
    for (let i = 0; i < 20; i++) h.inject({ flags: ".", seq: -100, ack: 1 });
    expect(h.take().length).toBe(1);
    h.advanceMs(500);
    h.inject({ flags: ".", seq: -100, ack: 1 });
    expect(h.take().length).toBe(1);
  });

  it("trims what is old in front and what is beyond the window behind", () => {
    const h = established();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "abc" });
    h.inject({ flags: ".", seq: 2, ack: 1, data: "bcde" });
    expect(h.read()).toBe("abcde");
  });

  // @rfc 7323 5.3a 5.5
  it("PAWS: drops a segment older than TS.Recent, but not one after 24 days of silence", () => {
    const h = withTs();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "no", ts: [999, 0] });
    expect(h.tcp.stats.PAWSEstab).toBe(1);
    expect(h.read()).toBe(NetErr.WouldBlock);
    h.advanceMs(25 * 24 * 3600 * 1000);
    h.inject({ flags: ".", seq: 1, ack: 1, data: "yes", ts: [999, 0] });
    expect(h.read()).toBe("yes");
  });

  it("PAWS poisoning: a segment outside the window does not move TS.Recent", () => {
    const h = withTs();
    h.inject({ flags: ".", seq: 5_000_000, ack: 1, data: "x", ts: [0x7000_0000, 0] });
    h.inject({ flags: ".", seq: 1, ack: 99_999, data: "x", ts: [0x7000_0000, 0] });
    expect(h.tcb.tsRecent).toBe(1_000);
    h.inject({ flags: ".", seq: 1, ack: 1, data: "ok", ts: [1_001, 0] });
    expect(h.read()).toBe("ok");
  });
});

describe("second, RST (RFC 5961 3)", () => {
  // @rfc 5961 3.2b
  // @rfc 9293 MUST-12
  it("resets at exactly RCV.NXT", () => {
    const h = established();
    h.inject({ flags: "R", seq: 1 });
    expect(h.state).toBe(CLOSED);
    expect(h.read()).toBe(NetErr.ConnectionReset);
    expect(h.read()).toBe("");
    expect(h.write("x")).toBe(NetErr.BrokenPipe);
  });

  it("challenges anywhere else in the window, ignores outside it", () => {
    const h = established();
    h.inject({ flags: "R", seq: 2 });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 1, ack: 1 }]);
    h.inject({ flags: "R", seq: 9_999_999 });
    h.inject({ flags: "R", seq: -1 });
    expect(h.take()).toEqual([]);
    expect(h.state).toBe(ESTABLISHED);
  });

  it("keeps data that arrived before it readable", () => {
    const h = established();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "last words" });
    h.inject({ flags: "R", seq: 11 });
    expect(h.read()).toBe("last words");
    expect(h.read()).toBe(NetErr.ConnectionReset);
  });
});

describe("fourth, SYN (RFC 5961 4)", () => {
  // @rfc 5961 4.2
  it("challenges and stays, in the window or out of it", () => {
    const h = established();
    h.inject({ flags: "S", seq: 10 });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 1, ack: 1 }]);
    h.advanceMs(600);
    h.inject({ flags: "S", seq: -5_000_000 });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 1, ack: 1 }]);
    expect(h.state).toBe(ESTABLISHED);
    expect(h.tcp.stats.TCPSYNChallenge).toBe(2);
  });
});

describe("fifth, ACK", () => {
  it("drops a segment without ACK", () => {
    const h = established();
    h.inject({ flags: "P", seq: 1, data: "x" });
    expect(h.read()).toBe(NetErr.WouldBlock);
  });

  it("optimistic ACK: beyond SND.NXT is dropped with its data, as on Linux; nothing is counted", () => {
    const h = established();
    h.write("abc");
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 1_000, data: "evil" });
    expect(h.take()).toEqual([]);
    expect(h.ep.unackedBytes).toBe(3);
    expect(h.read()).toBe(NetErr.WouldBlock);
  });

  // @rfc 5961 5.2
  it("blind data: an ACK older than SND.UNA - MAX.SND.WND is refused (RFC 5961 5.2)", () => {
    const h = established();
    h.inject({ flags: ".", seq: 1, ack: 1 - 70_000, data: "evil" });
    expect(h.read()).toBe(NetErr.WouldBlock);
    expect(h.tcp.stats.TCPChallengeACK).toBe(1);
  });

  it("ACK division: ten ACKs for one segment open the window as one would", () => {
    const one = established();
    const ten = established();
    for (const h of [one, ten]) {
      h.write("x".repeat(14_600));
      h.take();
    }
    one.inject({ flags: ".", seq: 1, ack: 1461 });
    for (let i = 1; i <= 10; i++) ten.inject({ flags: ".", seq: 1, ack: 1 + 146 * i });
    expect(ten.tcb.cwnd).toBe(one.tcb.cwnd);
    expect(one.tcb.cwnd).toBe(11);
  });

  it("duplicate-ACK spoofing cannot inflate beyond what is out", () => {
    const h = established({ syn: { sackOk: false } });
    h.write("x".repeat(14_600));
    h.take();
    for (let i = 0; i < 500; i++) h.inject({ flags: ".", seq: 1, ack: 1 });
    expect(h.tcb.sent.inFlight).toBeGreaterThanOrEqual(0);
    expect(h.tcb.sent.sackedOut).toBeLessThan(10);
  });

  it("takes the window from new segments only (SND.WL1, SND.WL2)", () => {
    const h = established();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "ab", wnd: 5_000 });
    h.inject({ flags: ".", seq: 1, ack: 1, wnd: 9 });
    expect(h.tcb.snd.wnd).toBe(5_000);
  });

  it("SACK for what was never sent, upside down or below SND.UNA marks nothing", () => {
    const h = established({ syn: { sackOk: true } });
    h.write("x".repeat(5_000));
    h.take();
    h.inject({
      flags: ".",
      seq: 1,
      ack: 1,
      sack: [
        [5_002, 9_000],
        [3_000, 2_000],
        [2 ** 31 - 5, 2 ** 31 + 5],
      ],
    });
    expect(h.tcb.sent.sackedOut).toBe(0);
    expect(h.tcp.stats.TCPSACKDiscard).toBe(3);
  });

  it("SACK Panic: tiny MSS and scattered blocks keep the scoreboard bounded and consistent", () => {
    const h = established({ syn: { mss: 48, sackOk: true, wscale: 14, wnd: 65_535 } });
    h.inject({ flags: ".", seq: 1, ack: 1, wnd: 65_535 });
    h.tcb.cwnd = 100_000;
    h.ep.options.sendBufferBytes = 6 << 20;
    for (let i = 0; i < 5; i++) h.write("y".repeat(100_000));
    h.network.onSend = () => {};
    expect(h.tcb.sent.recordCount).toBe(8_192);
    for (let k = 0; k < 800; k++) {
      const from = 1 + 48 * (2 * k + 1);
      h.inject({ flags: ".", seq: 1, ack: 1, wnd: 65_535, sack: [[from, from + 48]] });
    }
    expect(h.tcb.sent.recordCount).toBeLessThanOrEqual(2 * 8_192);
    expect(h.tcb.sent.inFlight).toBeGreaterThanOrEqual(0);
  });
});

describe("sixth, URG", () => {
  // @rfc 9293 MUST-30 MUST-33 MUST-62
  it("takes the byte out of the stream and stops a read at the mark", () => {
    const h = established();
    h.inject({ flags: "PU.", seq: 1, ack: 1, data: "abXcd", urg: 3 });
    expect(h.ep.readUrgent(true)).toBe("X".charCodeAt(0));
    expect(h.read()).toBe("ab");
    expect(h.ep.atMark).toBe(true);
    expect(h.ep.readUrgent(false)).toBe("X".charCodeAt(0));
    expect(h.ep.readUrgent(false)).toBe(NetErr.InvalidArgument);
    expect(h.read()).toBe("cd");
    expect(h.ep.atMark).toBe(false);
  });

  it("leaves it in the stream with SO_OOBINLINE, and a read still stops in front of it", () => {
    const h = established({ setup: (ep) => (ep.options.oobInline = true) });
    h.inject({ flags: "PU.", seq: 1, ack: 1, data: "abXcd", urg: 3 });
    expect(h.read()).toBe("ab");
    expect(h.ep.atMark).toBe(true);
    expect(h.read()).toBe("Xcd");
  });

  // @rfc 9293 MUST-31
  it("survives pointers to 0, beyond the data, backwards, and changed by a retransmission", () => {
    const h = established();
    h.inject({ flags: "U.", seq: 1, ack: 1, urg: 0 });
    h.inject({ flags: "U.", seq: 1, ack: 1, data: "ab", urg: 60_000 });
    expect(h.ep.readUrgent(false)).toBe(NetErr.WouldBlock);
    h.inject({ flags: "U.", seq: 1, ack: 1, data: "ab", urg: 1 });
    h.inject({ flags: "U.", seq: 3, ack: 1, data: "cd", urg: 65_535 });
    expect(h.read()).toBe("abcd");
    h.inject({ flags: "R", seq: 5 });
    expect(h.state).toBe(CLOSED);
  });
});

describe("malformed segments", () => {
  it("any bytes as a segment: counted or handled, never thrown", () => {
    const h = established();
    let x = 12345;
    const random = (): number => (x = (Math.imul(x, 1103515245) + 12345) >>> 0) >>> 16;
    const pkt = h.network.allocPacket();
    for (let i = 0; i < 20_000; i++) {
      const length = random() % 80;
      for (let k = 0; k < length; k++) pkt.bytes[pkt.start + k] = random();
      if (length >= 4 && i % 2 === 0) {
        pkt.bytes.set(
          [h.peerPort >> 8, h.peerPort & 255, h.localPort >> 8, h.localPort & 255],
          pkt.start,
        );
      }
      pkt.l4 = pkt.start;
      pkt.end = pkt.start + length;
      pkt.src.setV4(0x0a000002);
      pkt.dst.setV4(0x0a000001);
      pkt.checksumValid = i % 3 !== 0;
      h.tcp.onPacket(pkt);
      h.take();
    }
    expect(h.tcp.stats.InErrs).toBeGreaterThan(1_000);
  });
});
