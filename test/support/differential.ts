// Our sender and Linux's before the same receiver (linux-sender.py has its twin), which loses what it is told
// to and acknowledges every segment after a delay. The host's kernel sends to it over a TUN device in real
// time, our stack in virtual time. Timers cannot be compared to the millisecond, so scenarios are chosen
// that acknowledgments alone decide. Both send single segments (tcp_min_tso_segs 1): that Linux puts off what
// could become a larger piece (tcp_tso_should_defer) is not done here.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SeededRng } from "../../src/base/rng.ts";
import { fillInfo } from "../../src/netstack/tcp/info.ts";
import { established, type Harness } from "../../src/netstack/tcp/testing.ts";
import { newTcpInfo } from "../../src/netstack/tcp-info.ts";

const MSS = 1460;
const SENDER = fileURLToPath(new URL("./linux-sender.py", import.meta.url));

export interface Scenario {
  /** [segment, n]: its n-th transmission is lost. */
  drops: [number, number][];
  delayMs: number;
  bytes: number;
  limitMs: number;
}
type Info = Record<
  "lost" | "sacked" | "unacked" | "retrans" | "ssthresh" | "cwnd" | "reordering" | "caState",
  number
>;
type Block = [number, number];
type Event = ["sent", number, number] | ["ack", number, Block[], Info];

/** What a receiver that keeps everything acknowledges: the newest block first, duplicates by DSACK. */
class Receiver {
  nxt = 1;
  ranges: Block[] = [];

  arrived(seq: number, end: number): [number, Block[]] {
    const isOld = end <= this.nxt || this.ranges.some(([a, b]) => a <= seq && end <= b);
    let low = seq;
    let high = end;
    const merged: Block[] = [];
    for (const [a, b] of this.ranges) {
      if (b < low || a > high) merged.push([a, b]);
      else [low, high] = [Math.min(a, low), Math.max(b, high)];
    }
    merged.push([low, high]);
    this.ranges = merged.sort((x, y) => x[0] - y[0]);
    while (this.ranges.length > 0 && this.ranges[0][0] <= this.nxt) {
      this.nxt = Math.max(this.nxt, (this.ranges.shift() as Block)[1]);
    }
    const holds = ([a, b]: Block): boolean => a <= seq && seq < b;
    const rest = this.ranges.filter((r) => !holds(r)).sort((x, y) => y[0] - x[0]);
    const blocks = [...this.ranges.filter(holds), ...rest];
    return [this.nxt, (isOld ? [[seq, end] as Block, ...blocks] : blocks).slice(0, 4)];
  }
}

function infoOf(h: Harness): Info {
  const info = newTcpInfo();
  fillInfo(h.tcb, h.state, info);
  const { lost, sacked, unacked, retrans, reordering, caState } = info;
  return {
    lost,
    sacked,
    unacked,
    retrans,
    ssthresh: info.sndSsthresh,
    cwnd: info.sndCwnd,
    reordering,
    caState,
  };
}

export function ours(s: Scenario): Event[] {
  const h = established({
    rttMs: s.delayMs,
    syn: { mss: MSS, sackOk: true, wscale: 7 },
    setup: (ep) => {
      ep.options.congestion = "reno";
      ep.options.sendBufferBytes = 4 << 20;
    },
  });
  h.tcp.settings.minTsoSegs = 1;
  const drops = new Set(s.drops.map(([i, n]) => `${i} ${n}`));
  const sent = new Map<number, number>();
  const due: { at: number; seq: number; end: number }[] = [];
  const log: Event[] = [];
  const receiver = new Receiver();
  let now = 0;
  const collect = (): void => {
    for (const { seq: first, data } of h.take()) {
      for (let at = 0; at < data.length; at += MSS) {
        const seq = first + at;
        const length = Math.min(MSS, data.length - at);
        const n = (sent.get(seq) ?? 0) + 1;
        sent.set(seq, n);
        log.push(["sent", seq, length]);
        const isLost = drops.has(`${Math.floor((seq - 1) / MSS)} ${n}`);
        if (!isLost) due.push({ at: now + s.delayMs, seq, end: seq + length });
      }
    }
  };
  h.write("x".repeat(s.bytes));
  collect();
  for (; now < s.limitMs && receiver.nxt < s.bytes + 1; now++) {
    while (due.length > 0 && due[0].at <= now) {
      const { seq, end } = due.shift() as (typeof due)[0];
      const [ack, sack] = receiver.arrived(seq, end);
      h.inject({ flags: ".", seq: 1, ack, wnd: 65_535, sack });
      log.push(["ack", ack, sack, infoOf(h)]);
      collect();
      // No two segments leave at one moment: RACK tells them apart by it.
      h.advanceMs(0.02);
    }
    h.advanceMs(1);
    collect();
  }
  return log;
}

export function linux(s: Scenario): Event[] {
  const r = spawnSync("unshare", ["-n", "python3", SENDER], {
    input: JSON.stringify(s),
    encoding: "utf8",
  });
  if (r.status !== 0) throw new Error(r.stderr);
  return JSON.parse(r.stdout) as Event[];
}

export const acks = (log: Event[]): Event[] => log.filter(([kind]) => kind === "ack");
/** In order of their numbers: what went before an acknowledgment and what after is not seen from outside. */
export const transmissions = (log: Event[]): string[] =>
  log.filter(([kind]) => kind === "sent").map(([, seq, length]) => `${seq} ${length}`);

export const scenario = (drops: [number, number][], segments = 60): Scenario => ({
  drops,
  delayMs: 40,
  bytes: segments * MSS,
  limitMs: 4_000,
});

/** A few losses within one round trip, so that one recovery repairs them and no timer has a say. */
export function burst(seed: number): Scenario {
  const rng = new SeededRng(seed);
  const drops: [number, number][] = [];
  const first = 10 + rng.below(12);
  const percent = 10 + rng.below(40);
  for (let i = first; i < first + 10; i++) if (rng.below(100) < percent) drops.push([i, 1]);
  return scenario(drops, 60);
}
