import { describe, expect, it } from "vitest";
import { NetErr } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import { established, type Harness } from "./testing.ts";

const FULL = "d".repeat(1460);

/** Past the quick ACKs of the beginning. */
function settled(syn = {}): Harness {
  const h = established({ syn });
  h.tcb.quickAcks = 0;
  return h;
}

describe("acknowledging", () => {
  // @rfc 5681 4.2a
  // @rfc 9293 MUST-40
  it("at once at the beginning, then every second full segment, else after 40 ms", () => {
    const h = established();
    h.inject({ flags: "P.", seq: 1, ack: 1, data: "a" });
    expect(h.take().length).toBe(1);
    h.tcb.quickAcks = 0;
    h.tcb.rcv.mss = 1460;
    h.inject({ flags: ".", seq: 2, ack: 1, data: FULL });
    expect(h.take()).toEqual([]);
    h.inject({ flags: ".", seq: 1462, ack: 1, data: FULL });
    expect(h.take()).toMatchObject([{ flags: ".", ack: 2922 }]);
    h.inject({ flags: "P.", seq: 2922, ack: 1, data: "z" });
    h.advanceMs(39);
    expect(h.take()).toEqual([]);
    h.advanceMs(2);
    expect(h.take()).toMatchObject([{ ack: 2923 }]);
    expect(h.tcp.stats.DelayedACKs).toBe(1);
  });

  // @rfc 9293 MUST-58 MUST-59
  it("lets data carry the ACK", () => {
    const h = settled();
    h.inject({ flags: "P.", seq: 1, ack: 1, data: "ping" });
    h.write("pong");
    expect(h.take()).toMatchObject([{ flags: "P.", ack: 5, data: "pong" }]);
    h.advanceMs(100);
    expect(h.take()).toEqual([]);
  });

  // @rfc 5681 4.2c
  // @rfc 2018 4a 4b
  it("disorder is acknowledged at once, with SACK blocks newest first", () => {
    const h = settled({ sackOk: true });
    h.inject({ flags: ".", seq: 11, ack: 1, data: "bbbbb" });
    h.inject({ flags: ".", seq: 31, ack: 1, data: "ddddd" });
    h.inject({ flags: ".", seq: 21, ack: 1, data: "ccccc" });
    expect(h.take().map((s) => s.sack)).toEqual([
      [[11, 16]],
      [
        [31, 36],
        [11, 16],
      ],
      [
        [21, 26],
        [31, 36],
        [11, 16],
      ],
    ]);
    h.inject({ flags: ".", seq: 1, ack: 1, data: "aaaaaaaaaa" });
    expect(h.take()).toMatchObject([{ ack: 16 }]);
    expect(h.read()).toBe("aaaaaaaaaabbbbb");
  });

  // @rfc 2883 4
  it("reports duplicates by DSACK (RFC 2883)", () => {
    const h = settled({ sackOk: true });
    h.inject({ flags: ".", seq: 1, ack: 1, data: "abc" });
    h.inject({ flags: ".", seq: 1, ack: 1, data: "abc" });
    expect(h.take().map((s) => s.sack)).toEqual([[[1, 4]]]);
  });

  it("SegmentSmack: one-byte islands are bounded, and honest data still gets through", () => {
    const h = settled({ sackOk: true });
    for (let i = 0; i < 5_000; i++) h.inject({ flags: ".", seq: 3 + 2 * i, ack: 1, data: "x" });
    expect(h.tcb.outOfOrder.count).toBe(128);
    expect(h.tcp.stats.TCPOFODrop).toBe(5_000 - 128);
    h.take();
    for (let i = 0; i < 20; i++) h.inject({ flags: ".", seq: 1 + 1460 * i, ack: 1, data: FULL });
    expect(h.ep.readableBytes).toBe(20 * 1460);
  });
});

describe("window", () => {
  // @rfc 7323 2.4
  it("closes as data waits unread, never takes the right edge back, reopens by an update", () => {
    const h = settled({ wscale: 0 });
    let edge = 0;
    let seq = 1;
    const shift = h.tcb.rcv.wscale;
    const watch = (): void => {
      for (const s of h.take()) {
        expect(s.ack + (s.wnd << shift)).toBeGreaterThanOrEqual(edge);
        edge = s.ack + (s.wnd << shift);
      }
    };
    for (let i = 0; i < 60; i++) {
      h.inject({ flags: ".", seq, ack: 1, data: FULL });
      watch();
      seq = 1 + h.ep.readableBytes;
    }
    h.advanceMs(100);
    watch();
    expect(h.ep.readableBytes).toBeGreaterThan(60_000);
    expect(edge - seq).toBeLessThan(1460 * 2);
    expect(h.tcp.stats.TCPZeroWindowDrop).toBeGreaterThan(0);
    h.read(40_000);
    const [update] = h.take();
    expect(update.ack + (update.wnd << shift)).toBeGreaterThan(edge + 20_000);
  });

  // @rfc 9293 MUST-39
  it("receiver's SWS avoidance: reading a little announces nothing", () => {
    const h = settled();
    let seq = 1;
    for (let i = 0; i < 60; i++) {
      h.inject({ flags: ".", seq, ack: 1, data: FULL });
      seq = 1 + h.ep.readableBytes;
    }
    h.advanceMs(100);
    h.take();
    h.read(10);
    h.read(10);
    expect(h.take()).toEqual([]);
  });

  it("frees its memory when everything has been read", () => {
    const h = settled();
    h.inject({ flags: ".", seq: 1, ack: 1, data: "abc" });
    expect(h.tcp.context.rings.usedBytes).toBeGreaterThan(0);
    h.read();
    expect(h.tcp.context.rings.usedBytes).toBe(0);
  });

  it("drops data rather than grow past the memory of all sockets", () => {
    const h = established({ limits: { socketMemoryBytes: 32 * 1024 } });
    let seq = 1;
    for (let i = 0; i < 44; i++) {
      h.inject({ flags: ".", seq, ack: 1, data: FULL });
      seq = 1 + h.ep.readableBytes;
    }
    expect(h.tcp.context.rings.usedBytes).toBeLessThanOrEqual(40 * 1024);
    expect(h.tcp.stats.TCPRcvQDrop).toBeGreaterThan(0);
    expect(h.ep.readableBytes).toBeGreaterThan(15_000);
  });
});

describe("FIN", () => {
  it("waits for the data in front of it when it comes early", () => {
    const h = settled();
    const masks: number[] = [];
    h.ep.onReadiness = (m) => masks.push(m);
    h.inject({ flags: "F.", seq: 4, ack: 1, data: "def" });
    expect(h.read()).toBe(NetErr.WouldBlock);
    expect(masks).toEqual([]);
    h.inject({ flags: ".", seq: 1, ack: 1, data: "abc" });
    expect(masks.pop()).toBe(Ready.Read | Ready.ReadClosed);
    expect(h.take().pop()).toMatchObject({ ack: 8 });
    expect(h.read()).toBe("abcdef");
    expect(h.read()).toBe("");
    expect(h.ep.readiness() & Ready.ReadClosed).not.toBe(0);
  });

  it("data behind it is not taken", () => {
    const h = settled();
    h.inject({ flags: "F.", seq: 1, ack: 1 });
    h.inject({ flags: ".", seq: 2, ack: 1, data: "late" });
    expect(h.ep.readableBytes).toBe(0);
  });
});
