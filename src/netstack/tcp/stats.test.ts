import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { TcpStats } from "./stats.ts";
import { established, listening } from "./testing.ts";

const text = readFileSync(new URL("../../sentry/fs/proc/net-counters.ts", import.meta.url), "utf8");

describe("counters", () => {
  it("are all shown in /proc/net/snmp or netstat, under Linux's names", () => {
    const shown = new Set(text.match(/"[^"]*"/g)?.flatMap((s) => s.slice(1, -1).split(" ")));
    // Our own: Linux has no such counter.
    const own = ["TCPTimeWaitAssassinationIgnored"];
    const hidden = Object.keys(new TcpStats()).filter((name) => !shown.has(name));
    expect(hidden).toEqual(own);
  });

  it("tell ACKs of new data, pure ACKs and data apart", () => {
    const h = established();
    h.write("12345");
    h.inject({ flags: ".", seq: 1, ack: 6 });
    h.inject({ flags: ".", seq: 1, ack: 6, wnd: 60_000 });
    h.inject({ flags: "P.", seq: 1, ack: 6, data: "x" });
    const { TCPHPAcks, TCPPureAcks, TCPHPHits } = h.tcp.stats;
    expect([TCPHPAcks, TCPPureAcks, TCPHPHits]).toEqual([1, 1, 1]);
  });

  it("name the reason of each ACK that is held back", () => {
    const h = established({ syn: { ts: [100, 0] } });
    const counts = (): number[] => {
      const { stats } = h.tcp;
      return [stats.TCPACKSkippedPAWS, stats.TCPACKSkippedSeq, stats.TCPACKSkippedChallenge];
    };
    h.tsVal = 50;
    for (let i = 0; i < 3; i++) h.inject({ flags: ".", seq: 1, ack: 1 });
    expect(counts()).toEqual([2, 0, 0]);
    h.tsVal = 100;
    for (let i = 0; i < 3; i++) h.inject({ flags: ".", seq: 900_000, ack: 1 });
    expect(counts()).toEqual([2, 3, 0]);
    expect(h.tcp.stats.BeyondWindow).toBe(3);
    for (let i = 0; i < 3; i++) h.inject({ flags: "R", seq: 5 });
    expect(counts()).toEqual([2, 3, 3]);
  });

  it("count data that joins what is unread, and what memory could not be found for", () => {
    const h = established({ limits: { socketMemoryBytes: 4_096 } });
    // Four kilobytes anybody may have; what comes then finds no memory.
    for (const seq of [1, 1_001, 2_001, 3_001, 4_001, 4_097, 4_097]) {
      h.inject({ flags: ".", seq, ack: 1, data: "x".repeat(1_000) });
    }
    const { TCPRcvCoalesce, PruneCalled, RcvPruned, TCPRcvQDrop } = h.tcp.stats;
    expect(TCPRcvCoalesce).toBeGreaterThan(2);
    expect(PruneCalled).toBeGreaterThan(RcvPruned);
    expect(RcvPruned).toBe(2);
    expect(TCPRcvQDrop).toBe(RcvPruned);
  });

  it("count a child reset before it was one", () => {
    const h = listening();
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    h.inject({ flags: "R", seq: 1 });
    expect(h.tcp.stats.EmbryonicRsts).toBe(1);
  });

  it("say what was under way when a timeout came", () => {
    const h = established({ syn: { sackOk: true } });
    h.write("x".repeat(5_000));
    h.inject({ flags: ".", seq: 1, ack: 1, sack: [[1461, 2921]] });
    h.advanceMs(5_000);
    const { TCPSackFailures, TCPSackRecoveryFail, TCPLossFailures } = h.tcp.stats;
    expect(TCPSackFailures + TCPSackRecoveryFail).toBe(1);
    expect(TCPLossFailures).toBe(0);
  });
});
