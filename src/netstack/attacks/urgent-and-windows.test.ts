// Urgent pointers that lie (WinNuke; Urgent/11, CVE-2019-12255 to 12265) and windows that do (silly, shrunk,
// negative, zero): no under- or overflow, no byte twice, no stall, no dribble.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SeededRng } from "../../base/rng.ts";
import { NetErr } from "../net-error.ts";
import { ESTABLISHED } from "../tcp/state.ts";
import { established, type Harness } from "../tcp/testing.ts";

describe("urgent data", () => {
  it("WinNuke: URG with data, and nothing behind it, is one byte out of band", () => {
    const h = established();
    h.inject({ flags: "PU.", seq: 1, ack: 1, data: "x", urg: 1 });
    expect(h.ep.readUrgent(false)).toBe(120);
    expect(h.read()).toBe(NetErr.WouldBlock);
    h.inject({ flags: ".", seq: 2, ack: 1, data: "on" });
    expect(h.read()).toBe("on");
  });

  it.each([
    ["CVE-2019-12255: pointer 0", 0],
    ["pointer beyond the data", 60_000],
    ["pointer beyond the window", 65_535],
  ])("%s: nothing is read through it, the stream is whole", (_name, urg) => {
    const h = established();
    h.inject({ flags: "PU.", seq: 1, ack: 1, data: "abcdef", urg });
    expect(typeof h.ep.readUrgent(false)).toBe("number");
    expect(h.read()).toBe("abcdef");
  });

  it("CVE-2019-12260: a pointer in the SYN-ACK is a mark in the stream like any other, as on Linux", () => {
    const h = established({ syn: { flags: "SU.", urg: 5 } });
    h.inject({ flags: ".", seq: 1, ack: 1, data: "abcdefgh" });
    expect(h.read()).toBe("abc");
    expect(h.ep.readUrgent(false)).toBe("d".charCodeAt(0));
    expect(h.read()).toBe("efgh");
  });

  it("CVE-2019-12261: URG in a simultaneous open's SYN, and data with it, are like any other", () => {
    const h = established({ syn: { flags: "SU", urg: 9, ack: 0 } });
    h.inject({ flags: "S.", seq: 0, ack: 1 });
    h.inject({ flags: ".", seq: 1, ack: 1, data: "abc" });
    expect(h.state).toBe(ESTABLISHED);
    expect(h.read()).toBe("abc");
  });

  it("CVE-2019-12263: pointer and data race: a reader never gets a length below zero", () => {
    const h = established();
    h.inject({ flags: "U.", seq: 1, ack: 1, data: "abc", urg: 6 });
    expect(h.read()).toBe("abc");
    h.inject({ flags: "U.", seq: 4, ack: 1, data: "d", urg: 1 });
    h.inject({ flags: "U.", seq: 1, ack: 1, data: "abcd", urg: 2 });
    h.inject({ flags: ".", seq: 5, ack: 1, data: "ef" });
    const rest = String(h.read());
    const mark = h.ep.readUrgent(false);
    const more = h.read();
    expect(rest + (typeof more === "string" ? more : "")).toMatch(/^d?e?f?$/);
    expect(typeof mark).toBe("number");
  });

  it("a stream with urgent bytes thrown in arrives without exactly the bytes that were taken out", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1 << 30 }),
        fc.array(
          fc.record({
            length: fc.integer({ min: 0, max: 12 }),
            urg: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(65_535)),
            isUrgent: fc.boolean(),
            rewind: fc.integer({ min: 0, max: 6 }),
            reads: fc.boolean(),
          }),
          { maxLength: 30 },
        ),
        (_seed, steps) => {
          const h = established({ setup: (ep) => (ep.options.oobInline = true) });
          let seq = 1;
          let sent = "";
          let got = "";
          for (const s of steps) {
            const back = Math.min(s.rewind, sent.length);
            const fresh = "abcdefghijklm".slice(0, s.length);
            const data = sent.slice(sent.length - back) + fresh;
            h.inject({ flags: s.isUrgent ? "U." : ".", seq: seq - back, ack: 1, data, urg: s.urg });
            seq += fresh.length;
            sent += fresh;
            if (!s.reads) continue;
            for (let r = h.read(); typeof r === "string" && r !== ""; r = h.read()) got += r;
          }
          for (let r = h.read(); typeof r === "string" && r !== ""; r = h.read()) got += r;
          expect(got).toBe(sent);
        },
      ),
      { numRuns: 200, seed: 11 },
    );
  });
});

const right = (h: Harness, s: { ack: number; wnd: number }): number =>
  s.ack + (s.wnd << h.tcb.rcv.wscale);

describe("silly windows (RFC 9293 3.8.6.2)", () => {
  // @rfc 9293 MUST-39
  it("receiver: a reader of single bytes never makes it announce less than a segment", () => {
    const h = established({ setup: (ep) => (ep.options.receiveBufferBytes = 8_000) });
    let seq = 1;
    let edge = 0;
    for (let i = 0; i < 4_000; i++) {
      if (i % 700 === 0) {
        const room = h.tcb.rcv.wnd - (h.tcb.rcv.nxt - h.tcb.rcv.wup);
        const data = "x".repeat(Math.min(1_460, Math.max(room, 0)));
        if (data !== "") h.inject({ flags: ".", seq, ack: 1, data });
        seq += data.length;
      }
      h.read(1);
      for (const s of h.take()) {
        const now = right(h, s);
        expect(now).toBeGreaterThanOrEqual(edge);
        if (edge > 0 && now > edge) expect(now - edge).toBeGreaterThanOrEqual(1_460);
        edge = Math.max(edge, now);
      }
    }
  });

  // @rfc 9293 MUST-38
  it("sender: a peer that opens by single bytes gets no tinygrams for it", () => {
    const h = established({ syn: { wnd: 1_460 } });
    h.write("x".repeat(8_000));
    h.take();
    let small = 0;
    for (let i = 0; i < 1_000; i++) {
      h.inject({ flags: ".", seq: 1, ack: 1_461, wnd: i % 700 });
      for (const s of h.take()) if (s.data.length > 0 && s.data.length < 700) small++;
    }
    expect(small).toBe(0);
  });

  // @rfc 9293 MUST-34
  it("shrunk and negative windows: the sender goes back, never beyond, and never stalls for good", () => {
    const h = established({ syn: { wnd: 20_000 } });
    h.write("x".repeat(30_000));
    h.take();
    const out = h.tcb.snd.nxt - h.tcb.snd.iss;
    // Taken back to far below what is out: a window that is negative from where the sender stands.
    h.inject({ flags: ".", seq: 1, ack: 1_461, wnd: 100 });
    h.advanceMs(10_000);
    for (const s of h.take()) expect(s.seq + s.data.length).toBeLessThanOrEqual(out);
    h.inject({ flags: ".", seq: 1, ack: 1_461, wnd: 60_000 });
    for (let i = 0; i < 200 && h.tcb.snd.una - h.tcb.snd.iss < 30_001; i++) {
      for (const s of h.take()) {
        h.inject({ flags: ".", seq: 1, ack: Math.min(s.seq + s.data.length, 30_001), wnd: 60_000 });
      }
      h.advanceMs(500);
    }
    expect(h.tcb.snd.una - h.tcb.snd.iss).toBe(30_001);
  });

  // @rfc 9293 MUST-37
  it("zero-window hold: probes back off to two minutes and carry nothing new", () => {
    const h = established({ syn: { wnd: 0 } });
    h.write("x".repeat(100));
    h.take();
    let probes = 0;
    for (let s = 0; s < 3_600; s++) {
      h.advanceMs(1_000);
      for (const p of h.take()) {
        probes++;
        expect(p.data.length).toBeLessThanOrEqual(1);
        h.inject({ flags: ".", seq: 1, ack: 1, wnd: 0 });
      }
    }
    expect(h.state).toBe(ESTABLISHED);
    expect(probes).toBeGreaterThan(25);
    expect(probes).toBeLessThan(60);
  });

  it("the sender's and the receiver's promises hold for any sequence of windows and reads", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1 << 30 }), (seed) => {
        const rng = new SeededRng(seed);
        const h = established({ syn: { wnd: 5_000 } });
        let edge = 5_001;
        let una = 1;
        let written = 1;
        for (let i = 0; i < 60; i++) {
          if (rng.below(3) === 0) {
            const n = h.write("x".repeat(1 + rng.below(4_000)));
            if (n > 0) written += n;
          }
          for (const s of h.take()) {
            expect(s.seq + s.data.length).toBeLessThanOrEqual(Math.max(edge, una + 1));
          }
          const out = h.tcb.snd.nxt - h.tcb.snd.iss;
          una = Math.max(una, Math.min(una + rng.below(3_000), out));
          const wnd = rng.below(4) === 0 ? 0 : rng.below(9_000);
          edge = Math.max(edge, una + wnd);
          h.inject({ flags: ".", seq: 1, ack: una, wnd });
          if (rng.below(5) === 0) h.advanceMs(rng.below(400));
        }
        expect(written).toBeGreaterThan(0);
      }),
      { numRuns: 60, seed: 12 },
    );
  });
});
