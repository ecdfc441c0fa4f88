// TCP_TX_DELAY between two stacks: what leaves later is what was sent, the memory that it takes is bounded, and a stack
// that goes away leaves no timer behind.

import { expect, it } from "vitest";
import { ManualClock, MS } from "../base/clock.ts";
import { DEFAULT_LIMITS, KiB, type Limits } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import { IpAddr, Stack, type TcpEndpoint } from "../netstack/index.ts";
import { MemoryPair } from "./memory-pair.ts";

const A = IpAddr.v4(10, 0, 0, 1);
const B = IpAddr.v4(10, 0, 0, 2);
const PORT = 80;
const DELAY_MS = 50;

class Pair {
  readonly clock = new ManualClock();
  readonly link = new MemoryPair({ clock: this.clock });
  readonly a: Stack;
  readonly b: Stack;
  readonly client: TcpEndpoint;
  readonly server: TcpEndpoint;

  constructor(limits: Partial<Limits> = {}) {
    const { clock } = this;
    const all = { ...DEFAULT_LIMITS, ...limits };
    this.a = new Stack({ clock, rng: new SeededRng(1), limits: all });
    this.b = new Stack({ clock, rng: new SeededRng(2), limits: all });
    this.a.attach(this.link.a, { name: "eth0", addresses: [{ addr: A, prefixBits: 24 }] });
    this.b.attach(this.link.b, { name: "eth0", addresses: [{ addr: B, prefixBits: 24 }] });
    const listener = this.b.endpoints.tcp(4) as TcpEndpoint;
    listener.bind(B, PORT);
    listener.listen(8);
    this.client = this.a.endpoints.tcp(4) as TcpEndpoint;
    this.client.connect(B, PORT);
    this.run(1);
    this.server = listener.accept() as TcpEndpoint;
    expect(this.client.setTiming("txDelayUs", DELAY_MS * 1_000)).toBe(0);
  }

  run(ms: number): void {
    const { clock, a, b } = this;
    const until = clock.monotonicNs() + ms * MS;
    for (;;) {
      this.link.pump();
      const next = Math.min(a.nextDeadlineNs(), b.nextDeadlineNs());
      if (next > until) break;
      clock.advanceToNs(next);
      a.runTimers(clock.monotonicNs());
      b.runTimers(clock.monotonicNs());
    }
    clock.advanceToNs(until);
    this.link.pump();
  }
  write(bytes: Uint8Array): number {
    return this.client.write(bytes, 0, bytes.length, 0);
  }
  read(): Uint8Array {
    const out = new Uint8Array(64 * KiB);
    return out.slice(0, Math.max(0, this.server.read(out, 0, out.length, false)));
  }
}

/** Not toEqual: it takes seconds for so many elements. */
const isSame = (got: Uint8Array, want: Uint8Array): boolean =>
  got.length === want.length && got.every((byte, i) => byte === want[i]);

const pattern = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i * 7);

it("arrives when it was to leave, in order, and unharmed by what the ring holds by then", () => {
  const p = new Pair();
  const sent = pattern(10_000);
  expect(p.write(sent)).toBe(sent.length);
  p.run(DELAY_MS - 1);
  expect(p.read()).toHaveLength(0);
  // A reset leaves behind the data; the ring's block is another's meanwhile.
  p.client.abort();
  const other = p.a.endpoints.tcp(4) as TcpEndpoint;
  other.connect(B, PORT);
  p.run(0);
  expect(other.write(new Uint8Array(10_000), 0, 10_000, 0)).toBe(10_000);
  p.run(1);
  expect(isSame(p.read(), sent)).toBe(true);
  p.run(DELAY_MS);
  expect(p.server.state).toBe(7);
});

it("holds no more than its share of the sockets' memory, and the stream goes on", () => {
  const p = new Pair({ socketMemoryBytes: 512 * KiB });
  const sent = pattern(150_000);
  let written = 0;
  let received = 0;
  for (let i = 0; i < 400 && received < sent.length; i++) {
    if (written < sent.length) written += Math.max(0, p.write(sent.subarray(written)));
    p.run(10);
    const got = p.read();
    expect(isSame(got, sent.subarray(received, received + got.length))).toBe(true);
    received += got.length;
  }
  expect(received).toBe(sent.length);
  expect(p.a.counters.dropLinkFull).toBeGreaterThan(0);
});

it("a stack that is closed leaves no timer", () => {
  const p = new Pair();
  p.write(pattern(1_000));
  expect(p.a.departures.count).toBe(1);
  p.a.close();
  expect(p.a.departures.count).toBe(0);
  expect(p.a.timers.size).toBe(0);
});
