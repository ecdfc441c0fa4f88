// Segments from who does not see the connection (RFC 5961, 4953, 1337; Watson's "Slipping in the window"):
// a reset must hit one number exactly, a SYN is never obeyed, data needs a recent acknowledgment.

import { describe, expect, it } from "vitest";
import { NetErr } from "../net-error.ts";
import { CLOSED, ESTABLISHED } from "../tcp/state.ts";
import { established, type Harness } from "../tcp/testing.ts";

const wnd = (h: Harness): number => h.tcb.rcv.wnd;

describe("blind RST", () => {
  // @rfc 5961 3.2c
  it("of every number in the window only RCV.NXT resets; others are challenged, at most twice a second", () => {
    const h = established();
    for (let seq = 2; seq < wnd(h); seq += 997) h.inject({ flags: "R", seq });
    expect(h.state).toBe(ESTABLISHED);
    expect(h.take()).toHaveLength(1);
    h.advanceMs(1_000);
    for (let seq = 2; seq < wnd(h); seq += 997) h.inject({ flags: "R.", seq, ack: 1 });
    expect(h.take()).toHaveLength(1);
    expect(h.state).toBe(ESTABLISHED);
    h.inject({ flags: "R", seq: 1 });
    expect(h.state).toBe(CLOSED);
  });

  // @rfc 5961 3.2a
  it("a million guesses outside the window are neither obeyed nor answered", () => {
    const h = established();
    for (let i = 0; i < 20_000; i++) h.inject({ flags: "R", seq: 100_000 + i * 200_003 });
    expect(h.take()).toEqual([]);
    expect(h.state).toBe(ESTABLISHED);
  });

  it("the guess needs more tries with a larger window, never fewer: the edge moves, the rule does not", () => {
    const h = established();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "abc" });
    h.take();
    h.inject({ flags: "R", seq: 1 });
    h.inject({ flags: "R", seq: 3 });
    expect(h.state).toBe(ESTABLISHED);
    h.inject({ flags: "R", seq: 4 });
    expect(h.state).toBe(CLOSED);
  });
});

describe("blind SYN", () => {
  it("anywhere, with data and options: challenged within the limit, nothing renegotiated", () => {
    const h = established({ syn: { mss: 1_460, wscale: 7, sackOk: true } });
    const { mss, wscale } = h.tcb.snd;
    for (const seq of [1, 2, 30_000, -1, 5_000_000]) {
      h.inject({ flags: "S", seq, mss: 48, wscale: 14, data: "evil" });
      h.inject({ flags: "S.", seq, ack: 1, mss: 48, data: "evil" });
    }
    expect(h.take()).toHaveLength(1);
    expect(h.tcb.snd).toMatchObject({ mss, wscale });
    expect(h.read()).toBe(NetErr.WouldBlock);
    expect(h.state).toBe(ESTABLISHED);
  });

  it("a challenge is an ACK of what is, so that a true but forgetful peer can reset", () => {
    const h = established();
    h.inject({ flags: "S", seq: 777 });
    expect(h.take()).toMatchObject([{ flags: ".", seq: 1, ack: 1 }]);
    h.inject({ flags: "R", seq: 1 });
    expect(h.state).toBe(CLOSED);
  });
});

describe("blind data", () => {
  // @rfc 5961 5.2
  it("with an ACK older than the largest window, or of what was never sent, is not taken", () => {
    const h = established();
    h.write("abc");
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 4 });
    for (let k = 1; k < 64; k++) {
      h.inject({ flags: "P.", seq: 1, ack: 4 + k * 0x0400_0000, data: "evil" });
      h.inject({ flags: "P.", seq: 1, ack: 4 - k * 0x0400_0000, data: "evil" });
    }
    expect(h.read()).toBe(NetErr.WouldBlock);
    expect(h.tcb.snd.una - h.tcb.snd.iss).toBe(4);
  });

  it("without an ACK, or with no flags at all, is dropped", () => {
    const h = established();
    for (const flags of ["", "P", "F", "FPU", "U"]) h.inject({ flags, seq: 1, data: "evil" });
    expect(h.read()).toBe(NetErr.WouldBlock);
    expect(h.state).toBe(ESTABLISHED);
  });

  it("beyond the window's right edge is answered and not kept", () => {
    const h = established();
    h.inject({ flags: ".", seq: 1 + wnd(h), ack: 1, data: "evil" });
    expect(h.take()).toMatchObject([{ flags: ".", ack: 1 }]);
    expect(h.tcp.context.rings.usedBytes).toBe(0);
  });
});

describe("blind FIN and window", () => {
  it("a FIN out of order closes nothing until all before it is there", () => {
    const h = established();
    h.inject({ flags: "F.", seq: 500, ack: 1 });
    expect(h.state).toBe(ESTABLISHED);
    expect(h.read()).toBe(NetErr.WouldBlock);
  });

  it("a zero window from an old segment does not stall the sender (SND.WL1, SND.WL2)", () => {
    const h = established();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "abc", wnd: 60_000 });
    h.inject({ flags: ".", seq: 0, ack: 1, wnd: 0 });
    h.take();
    h.write("x");
    expect(h.take()).toMatchObject([{ data: "x" }]);
  });
});

describe("during the handshake", () => {
  it("SYN-SENT: a RST without the right ACK, a SYN-ACK of another number, and data change nothing", () => {
    const h = established({ syn: { flags: "R", ack: 99 } });
    expect(h.state).not.toBe(ESTABLISHED);
    h.inject({ flags: "R", seq: 0 });
    h.inject({ flags: "R.", seq: 0, ack: 2 });
    h.inject({ flags: "P.", seq: 1, ack: 1, data: "evil" });
    expect(h.state).toBe(2);
    h.inject({ flags: "S.", seq: 0, ack: 1, mss: 1_460 });
    expect(h.state).toBe(ESTABLISHED);
    expect(h.read()).toBe(NetErr.WouldBlock);
  });
});

describe("TIME-WAIT", () => {
  function inTimeWait(): Harness {
    const h = established({ syn: { ts: [1_000, 0] } });
    h.tsVal = 1_000;
    h.ep.close();
    h.inject({ flags: "F.", seq: 1, ack: 2 });
    h.take();
    return h;
  }
  const inTable = (h: Harness): number => h.tcp.context.timeWaits.count;

  it("assassination: no RST, no old duplicate and no stray ACK ends it early (RFC 1337)", () => {
    const h = inTimeWait();
    for (const seq of [1, 2, 3, 50_000, -1]) {
      h.inject({ flags: "R", seq });
      h.inject({ flags: "R.", seq, ack: 2 });
      h.inject({ flags: ".", seq, ack: 2, data: "old" });
    }
    expect(inTable(h)).toBe(1);
    h.advanceMs(61_000);
    expect(inTable(h)).toBe(0);
  });

  it("an old SYN, by number or by timestamp, does not open anew", () => {
    const h = inTimeWait();
    h.inject({ flags: "S", seq: -50, ts: [999, 0] });
    h.inject({ flags: "S", seq: 1, ts: [999, 0] });
    expect(h.tcp.stats.TWRecycled).toBe(0);
    expect(inTable(h)).toBe(1);
  });

  it("stray data cannot keep it alive for ever: only the FIN starts the clock anew", () => {
    const h = inTimeWait();
    for (let i = 0; i < 70; i++) {
      h.advanceMs(1_000);
      h.inject({ flags: ".", seq: 1, ack: 2, data: "x", ts: [1_000, 0] });
    }
    expect(inTable(h)).toBe(0);
  });
});

describe("PAWS", () => {
  const withTs = (): Harness => {
    const h = established({ syn: { ts: [1_000, 0], sackOk: true } });
    h.tsVal = 1_000;
    return h;
  };

  // @rfc 7323 4.3
  it("poisoning: a future timestamp counts only in an acceptable segment", () => {
    const h = withTs();
    const future = 0x7000_0000;
    h.inject({ flags: ".", seq: 9_000_000, ack: 1, data: "x", ts: [future, 0] });
    h.inject({ flags: ".", seq: 1, ack: 77_777, data: "x", ts: [future, 0] });
    h.inject({ flags: "R", seq: 2, ts: [future, 0] });
    h.inject({ flags: "S", seq: 2, ts: [future, 0] });
    h.inject({ flags: ".", seq: 500, ack: 1, data: "early", ts: [future, 0] });
    expect(h.tcb.tsRecent).toBe(1_000);
    h.inject({ flags: ".", seq: 1, ack: 1, data: "ok", ts: [1_001, 0] });
    expect(h.read()).toBe("ok");
  });

  it("wrapped sequence numbers: yesterday's segment with a fitting number is old by its timestamp", () => {
    const h = withTs();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "new", ts: [5_000, 0] });
    h.inject({ flags: ".", seq: 4, ack: 1, data: "old", ts: [4_999, 0] });
    expect(h.read()).toBe("new");
    expect(h.tcp.stats.PAWSEstab).toBe(1);
  });

  it("timestamps themselves wrap: later is later across 2^31 and 2^32", () => {
    const h = withTs();
    let seq = 1;
    for (const ts of [0x7fff_fffe, 0x7fff_ffff, -0x8000_0000, -2, -1, 0, 5]) {
      h.inject({ flags: ".", seq, ack: 1, data: "a", ts: [ts, 0] });
      seq++;
    }
    expect(h.read()).toBe("aaaaaaa");
    expect(h.tcp.stats.PAWSEstab).toBe(0);
  });
});
