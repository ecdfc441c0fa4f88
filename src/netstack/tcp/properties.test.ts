// Goal: whatever the network does, the stream arrives as it was sent, and the sender and receiver keep
// their promises. Method: two real protocols in virtual time; a seeded wire loses, doubles and delays.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { i32, u16 } from "../../base/bytes.ts";
import { SeededRng } from "../../base/rng.ts";
import { seqAdd, seqDiff } from "../../base/seqnum.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import { ACK, RST, SYN } from "../wire/tcp.ts";
import { parseTcpOptions, TcpOptions } from "../wire/tcp-options.ts";
import type { Endpoint } from "./endpoint.ts";
import { Pair } from "./testing-pair.ts";

interface World {
  seed: number;
  lossPercent: number;
  dupPercent: number;
  reorderMs: number;
  delayMs: number;
  bytes: number;
  gso: boolean;
  congestion: "cubic" | "reno";
  receiveBuffer: number;
  readPieceBytes: number;
  withoutSack: boolean;
}

const world = fc.record<World>({
  seed: fc.integer({ min: 1, max: 1 << 30 }),
  lossPercent: fc.constantFrom(0, 1, 5, 12, 20),
  dupPercent: fc.constantFrom(0, 2, 20),
  reorderMs: fc.constantFrom(0, 0, 3, 60),
  delayMs: fc.constantFrom(0, 1, 20, 150),
  bytes: fc.integer({ min: 1, max: 250_000 }),
  gso: fc.boolean(),
  congestion: fc.constantFrom("cubic", "reno"),
  receiveBuffer: fc.constantFrom(3_000, 20_000, 65_536),
  readPieceBytes: fc.constantFrom(100_000, 7_000, 900),
  withoutSack: fc.boolean(),
});

const byteAt = (i: number): number => (i * 31 + (i >>> 7)) & 255;

/** Checks each segment on the wire against the promises of its sender. */
class Inspector {
  readonly #right = [0, 0];
  readonly #scale = [0, 0];
  readonly #known = [false, false];
  readonly #options = new TcpOptions();
  readonly complaints: string[] = [];

  look(fromA: boolean, b: Uint8Array): void {
    const side = fromA ? 0 : 1;
    const flags = b[13];
    if ((flags & RST) !== 0) return;
    const isSyn = (flags & SYN) !== 0;
    if (isSyn) {
      parseTcpOptions(this.#options, b, 0, true);
      this.#scale[side] = Math.max(0, this.#options.windowScale);
    }
    if ((flags & ACK) === 0) return;
    const shift = isSyn ? 0 : this.#scale[side];
    const right = seqAdd(i32(b, 8), u16(b, 14) << shift);
    if (this.#known[side] && seqDiff(right, this.#right[side]) < 0) {
      this.complaints.push(
        `${fromA ? "a" : "b"}: right edge retreats by ${this.#right[side] - right}`,
      );
    }
    this.#known[side] = true;
    this.#right[side] = right;
  }
}

function checkSender(ep: Endpoint): string | null {
  const tcb = ep.tcb;
  if (tcb === null) return null;
  const { snd, sent } = tcb;
  if (seqDiff(snd.nxt, seqAdd(snd.una, Math.max(snd.maxWnd, 1))) > 1) return "beyond the window";
  let segs = 0;
  let sacked = 0;
  let lost = 0;
  let retrans = 0;
  let at = snd.una;
  for (let r = sent.head; r !== null; r = r.next) {
    if (r.seq !== at) return "hole in the list of what was sent";
    at = r.end;
    segs += r.segs;
    if (r.flags & 1) sacked += r.segs;
    if (r.flags & 2) lost += r.segs;
    if (r.flags & 4) retrans += r.segs;
  }
  if (sent.head !== null && at !== snd.nxt) return "list ends before SND.NXT";
  if (segs !== sent.packetsOut || lost !== sent.lostOut || retrans !== sent.retransOut) {
    return `counters ${segs}/${sent.packetsOut} ${lost}/${sent.lostOut} ${retrans}/${sent.retransOut}`;
  }
  if (tcb.sackOk && sacked !== sent.sackedOut) return `sacked ${sacked}/${sent.sackedOut}`;
  if (sent.inFlight < 0) return "negative flight";
  return null;
}

function transfer(w: World): void {
  const pair = new Pair({ seed: w.seed, delayMs: w.delayMs, gsoBytesMax: w.gso ? 65_000 : 0 });
  const rng = new SeededRng(w.seed);
  const inspector = new Inspector();
  pair.onSegment = (fromA, bytes) => inspector.look(fromA, bytes);
  const [a, b] = pair.connect((ep: TcpEndpoint) => {
    ep.options.congestion = w.congestion;
    ep.options.receiveBufferBytes = w.receiveBuffer;
    ep.options.receiveBufferLocked = w.receiveBuffer < 65_536;
  });
  if (w.withoutSack) for (const ep of [a, b]) if (ep.tcb !== null) ep.tcb.sackOk = false;
  pair.fate = () => ({
    copies: rng.below(100) < w.lossPercent ? 0 : rng.below(100) < w.dupPercent ? 2 : 1,
    extraMs: w.reorderMs > 0 ? rng.below(w.reorderMs) : 0,
  });
  const source = new Uint8Array(w.bytes).map((_, i) => byteAt(i));
  const piece = new Uint8Array(w.readPieceBytes);
  let written = 0;
  let got = 0;
  let isWrong = false;
  let steps = 0;
  const step = (): boolean => {
    while (written < w.bytes) {
      const n = a.write(source, written, w.bytes - written, 0);
      if (n <= 0) break;
      written += n;
      if (written === w.bytes) a.shutdown(false, true);
    }
    const problem = checkSender(a);
    if (problem !== null) throw new Error(problem);
    if (w.readPieceBytes < 1_000 && steps++ % 3 !== 0) return false;
    const n = b.read(piece, 0, piece.length, false);
    for (let i = 0; i < n; i++) if (piece[i] !== byteAt(got + i)) isWrong = true;
    if (n > 0) got += n;
    return isWrong || n === 0;
  };
  // A reader that takes little per event is woken by a clock of its own.
  let isDone = false;
  for (let i = 0; i < 400_000 && !isDone; i++) isDone = pair.run(50, step);
  expect(isWrong).toBe(false);
  expect(got).toBe(w.bytes);
  expect(inspector.complaints).toEqual([]);
  b.close();
  a.close();
  pair.fate = () => ({ copies: 1, extraMs: 0 });
  pair.run(400_000);
  expect(pair.a.context.demux.count + pair.b.context.demux.count).toBe(0);
  expect(pair.a.context.rings.usedBytes + pair.b.context.rings.usedBytes).toBe(0);
  expect(pair.timers.size).toBe(0);
}

describe("two TCPs over a bad wire", () => {
  it("deliver the stream exactly, keep the right edge and the scoreboard consistent", () => {
    fc.assert(fc.property(world, transfer), { numRuns: 60 });
  }, 60_000);
});
