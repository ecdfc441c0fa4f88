// One transfer between two real protocols over a bad wire, in virtual time, watched at every step: what the
// properties of properties.test.ts and of the long campaign are about. A broken promise is an Error. Not part
// of the product.

import { i32, u16 } from "../../base/bytes.ts";
import { SeededRng } from "../../base/rng.ts";
import { seqAdd, seqDiff } from "../../base/seqnum.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import { NetErr } from "../net-error.ts";
import { ACK, FIN, RST, SYN, tcpHeaderBytes } from "../wire/tcp.ts";
import { parseTcpOptions, TcpOptions } from "../wire/tcp-options.ts";
import type { Endpoint } from "./endpoint.ts";
import { TRANSITIONS } from "./on-segment.ts";
import { CLOSED, STATE_NAMES } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { Pair } from "./testing-pair.ts";

export interface World {
  seed: number;
  lossPercent: number;
  dupPercent: number;
  corruptPercent: number;
  reorderMs: number;
  delayMs: number;
  bytes: number;
  gso: boolean;
  congestion: string;
  receiveBuffer: number;
  readPieceBytes: number;
  withoutSack: boolean;
  socketMemoryBytes: number;
}

/** What a world is drawn from; `bytes` and `seed` are numbers up to a bound of the caller's. */
export const WORLD = {
  lossPercent: [0, 1, 5, 12, 20],
  dupPercent: [0, 2, 20],
  corruptPercent: [0, 0, 3, 10],
  reorderMs: [0, 0, 3, 60],
  delayMs: [0, 1, 20, 150],
  gso: [false, true],
  congestion: ["cubic", "reno"],
  receiveBuffer: [3_000, 20_000, 65_536],
  readPieceBytes: [100_000, 7_000, 900],
  withoutSack: [false, true],
  socketMemoryBytes: [64 << 20, 256 << 10, 96 << 10],
} as const;

export const byteAt = (i: number): number => (i * 31 + (i >>> 7)) & 255;

/**
 * Beyond cwnd may go: two segments of limited transmit (RFC 3042), a tail loss probe (RFC 8985 7.3), and what
 * PRR lets go when cwnd has just been set to the flight (RFC 9937).
 */
const FLIGHT_SLACK = 3;

/** Checks each segment on the wire against the promises of its sender. */
class Inspector {
  readonly #right = [0, 0];
  readonly #acked = [0, 0];
  readonly #sentEnd = [0, 0];
  readonly #scale = [0, 0];
  readonly #known = [false, false];
  readonly #started = [false, false];
  readonly #options = new TcpOptions();

  look(fromA: boolean, b: Uint8Array, tcb: Tcb | null): void {
    const side = fromA ? 0 : 1;
    const flags = b[13];
    if ((flags & RST) !== 0) return;
    const isSyn = (flags & SYN) !== 0;
    if (isSyn) {
      parseTcpOptions(this.#options, b, 0, true);
      this.#scale[side] = Math.max(0, this.#options.windowScale);
    }
    this.#sequence(side, b, flags, tcb);
    if ((flags & ACK) === 0) return;
    const ack = i32(b, 8);
    const right = seqAdd(ack, u16(b, 14) << (isSyn ? 0 : this.#scale[side]));
    if (this.#known[side]) {
      if (seqDiff(ack, this.#acked[side]) < 0) throw new Error("an acknowledgment goes back");
      if (seqDiff(right, this.#right[side]) < 0) throw new Error("the right edge retreats");
    }
    this.#known[side] = true;
    this.#acked[side] = ack;
    this.#right[side] = right;
  }

  /** New data follows what was sent before it without a hole, within the peer's window and cwnd. */
  #sequence(side: number, b: Uint8Array, flags: number, tcb: Tcb | null): void {
    const seq = i32(b, 4);
    const data = b.length - tcpHeaderBytes(b, 0);
    const end = seqAdd(seq, data + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0));
    if (!this.#started[side]) {
      this.#started[side] = true;
      this.#sentEnd[side] = end;
      return;
    }
    if (seqDiff(seq, this.#sentEnd[side]) > 0) throw new Error("a hole in what was sent");
    if (seqDiff(end, this.#sentEnd[side]) <= 0) return;
    this.#sentEnd[side] = end;
    if (data === 0) return;
    const other = 1 - side;
    if (this.#known[other] && seqDiff(seqAdd(seq, data), this.#right[other]) > 0) {
      // The peer's latest window may still be on its way; a larger one never was announced.
      throw new Error("sent beyond the window");
    }
    if (tcb !== null && tcb.sent.inFlight > tcb.cwnd + FLIGHT_SLACK) {
      throw new Error(`${tcb.sent.inFlight} in flight with a window of ${tcb.cwnd}`);
    }
  }
}

/** The scoreboard agrees with the list it counts. */
export function checkSender(tcb: Tcb): void {
  const { snd, sent } = tcb;
  if (tcb.state === CLOSED) return;
  if (seqDiff(snd.nxt, seqAdd(snd.una, Math.max(snd.maxWnd, 1))) > 1)
    throw new Error("beyond MAX.SND.WND");
  let segs = 0;
  let sacked = 0;
  let lost = 0;
  let retrans = 0;
  let at = snd.una;
  for (let r = sent.head; r !== null; r = r.next) {
    if (r.seq !== at) throw new Error("hole in the list of what was sent");
    at = r.end;
    segs += r.segs;
    if (r.flags & 1) sacked += r.segs;
    if (r.flags & 2) lost += r.segs;
    if (r.flags & 4) retrans += r.segs;
  }
  if (sent.head !== null && at !== snd.nxt) throw new Error("list ends before SND.NXT");
  if (segs !== sent.packetsOut || lost !== sent.lostOut || retrans !== sent.retransOut) {
    const counted = `${sent.packetsOut}, ${sent.lostOut}, ${sent.retransOut}`;
    throw new Error(`${segs}, ${lost}, ${retrans} counted as ${counted}`);
  }
  if (tcb.sackOk && sacked !== sent.sackedOut)
    throw new Error(`sacked ${sacked}/${sent.sackedOut}`);
  if (sent.inFlight < 0) throw new Error("negative flight");
}

/** From now on each change of state must be in RFC 9293's diagram (figure 5). */
export function watchStates(tcb: Tcb, seen: Set<string> = new Set()): void {
  let state = tcb.state;
  Object.defineProperty(tcb, "state", {
    configurable: true,
    get: () => state,
    set: (next: number) => {
      const allowed = TRANSITIONS.find(([from]) => from === state)?.[1];
      const name = `${STATE_NAMES[state]} -> ${STATE_NAMES[next]}`;
      if (next !== state && !allowed?.includes(next))
        throw new Error(`${name} is not in the diagram`);
      if (next !== state) seen.add(name);
      state = next;
    },
  });
}

function corrupt(bytes: Uint8Array, rng: SeededRng): Uint8Array {
  const copy = bytes.slice();
  copy[rng.below(copy.length)] ^= 1 << rng.below(8);
  return copy;
}

function fatesOf(w: World, pair: Pair): void {
  const rng = new SeededRng(w.seed);
  pair.fate = () => ({
    copies: rng.below(100) < w.lossPercent ? 0 : rng.below(100) < w.dupPercent ? 2 : 1,
    extraMs: w.reorderMs > 0 ? rng.below(w.reorderMs) : 0,
  });
  // A piece that the link is to cut has no checksum yet: only whole segments can be seen to be damaged.
  if (w.corruptPercent > 0 && !w.gso) {
    pair.mangle = (bytes) => (rng.below(100) < w.corruptPercent ? corrupt(bytes, rng) : bytes);
  }
}

/** Throws when a promise is broken. The bytes that arrived, and in how many virtual milliseconds. */
export function transfer(w: World): { segments: number; ms: number } {
  const limits = { socketMemoryBytes: w.socketMemoryBytes };
  const gsoBytesMax = w.gso ? 65_000 : 0;
  const pair = new Pair({ seed: w.seed, delayMs: w.delayMs, gsoBytesMax, limits });
  const inspector = new Inspector();
  let segments = 0;
  let a: Endpoint | null = null;
  let b: Endpoint | null = null;
  pair.onSegment = (fromA, bytes) => {
    segments++;
    inspector.look(fromA, bytes, (fromA ? a : b)?.tcb ?? null);
  };
  [a, b] = pair.connect((ep: TcpEndpoint) => {
    ep.options.congestion = w.congestion;
    ep.options.receiveBufferBytes = w.receiveBuffer;
    ep.options.receiveBufferLocked = w.receiveBuffer < 65_536;
  });
  for (const { tcb } of [a, b]) {
    if (tcb === null) continue;
    if (w.withoutSack) tcb.sackOk = false;
    watchStates(tcb);
  }
  fatesOf(w, pair);
  const startNs = pair.clock.monotonicNs();
  const { got, error } = stream(w, pair, a, b);
  // Where fifteen tries in a row can all be lost, or eight once it is closed (tcp_orphan_retries), a connection may
  // give up (RFC 9293's R2), and says so.
  const isBad = w.lossPercent + (w.gso ? 0 : w.corruptPercent) > 20;
  const hasGivenUp = isBad && error === NetErr.TimedOut;
  if (got !== w.bytes && !hasGivenUp) throw new Error(`${got} of ${w.bytes} bytes arrived`);
  const ms = (pair.clock.monotonicNs() - startNs) / 1e6;
  finish(pair, a, b);
  return { segments, ms };
}

/** Writes all, reads all; how many bytes were read. Each is compared as it comes. */
/** The bytes that arrived; what went wrong with the writer, whether a call of its said so or nobody asked yet. */
function stream(w: World, pair: Pair, a: Endpoint, b: Endpoint): { got: number; error: number } {
  const source = new Uint8Array(w.bytes).map((_, i) => byteAt(i));
  const piece = new Uint8Array(w.readPieceBytes);
  let written = 0;
  let got = 0;
  let steps = 0;
  let error = 0;
  const quota = 1.25 * w.socketMemoryBytes;
  const step = (): boolean => {
    while (written < w.bytes) {
      const n = a.write(source, written, w.bytes - written, 0);
      if (n === NetErr.TimedOut) error = n;
      if (n <= 0) break;
      written += n;
      if (written === w.bytes) a.shutdown(false, true);
    }
    if (a.tcb !== null) checkSender(a.tcb);
    for (const p of [pair.a, pair.b]) {
      if (p.context.rings.usedBytes > quota) throw new Error("more memory than the quota");
    }
    // A slow reader is not there at every event.
    if (w.readPieceBytes < 1_000 && steps++ % 3 !== 0) return false;
    const n = b.read(piece, 0, piece.length, false);
    if (got + n > written) throw new Error("more arrived than was sent");
    for (let i = 0; i < n; i++) {
      if (piece[i] !== byteAt(got + i)) throw new Error(`byte ${got + i} is wrong`);
    }
    if (n > 0) got += n;
    return n === 0;
  };
  let isDone = false;
  for (let i = 0; i < 400_000 && !isDone; i++) isDone = pair.run(50, step);
  return { got, error: error || a.takeError() };
}

/** Nothing is left of a connection when both ends have closed it. */
function finish(pair: Pair, a: Endpoint, b: Endpoint): void {
  b.close();
  a.close();
  pair.fate = () => ({ copies: 1, extraMs: 0 });
  pair.mangle = (bytes) => bytes;
  pair.run(400_000);
  const contexts = [pair.a.context, pair.b.context];
  for (const { demux, rings, orphanCount, connectionCount, timeWaits } of contexts) {
    const left = demux.count + rings.usedBytes + orphanCount + connectionCount + timeWaits.count;
    if (left !== 0) throw new Error("something is left of the connection");
  }
  if (pair.timers.size !== 0) throw new Error("a timer is left");
}
