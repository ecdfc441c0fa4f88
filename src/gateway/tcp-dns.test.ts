// What a guest can make the name server hold over TCP is bounded, and all that it asks is answered.

import { describe, expect, it, vi } from "vitest";
import { ManualClock, MS } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import { MemoryPair } from "../link/index.ts";
import { IpAddr, Stack, type TcpEndpoint } from "../netstack/index.ts";
import { serveDnsOverTcp } from "./tcp-dns.ts";

const ROUTER = IpAddr.v4(10, 0, 2, 2);
const GUEST = IpAddr.v4(10, 0, 2, 15);

class Guest {
  readonly clock = new ManualClock();
  readonly pair = new MemoryPair({ clock: this.clock });
  readonly router = new Stack({
    clock: this.clock,
    rng: new SeededRng(1),
    limits: DEFAULT_LIMITS,
  });
  readonly guest = new Stack({
    clock: this.clock,
    rng: new SeededRng(2),
    limits: DEFAULT_LIMITS,
  });
  /** Questions with the resolver, and how to answer each. */
  readonly open: (() => void)[] = [];
  most = 0;

  constructor() {
    const net = (addr: IpAddr) => ({ name: "eth0", addresses: [{ addr, prefixBits: 24 }] });
    this.router.attach(this.pair.a, net(ROUTER));
    this.guest.attach(this.pair.b, net(GUEST));
    const answer = (query: Uint8Array): Promise<Uint8Array> =>
      new Promise((resolve) => {
        this.open.push(() => resolve(query));
        this.most = Math.max(this.most, this.open.length);
      });
    serveDnsOverTcp(this.router, ROUTER, { answer }, () => this.run());
  }

  run(): void {
    const until = this.clock.monotonicNs() + 100 * MS;
    while (this.clock.monotonicNs() < until) {
      this.pair.pump();
      this.router.runTimers(this.clock.monotonicNs());
      this.guest.runTimers(this.clock.monotonicNs());
      this.clock.advanceNs(5 * MS);
    }
  }

  connect(): TcpEndpoint {
    const client = this.guest.endpoints.tcp(4);
    if (typeof client === "number") throw new Error("no endpoint");
    client.connect(ROUTER, 53);
    this.run();
    return client;
  }

  async answerAll(): Promise<void> {
    while (this.open.length > 0) {
      for (const answer of this.open.splice(0)) answer();
      // The answers go out, and more questions come in.
      await new Promise((go) => setImmediate(go));
      this.run();
    }
  }
}

/** `count` messages of four bytes that tell which they are, with their lengths. */
function questions(count: number): Uint8Array {
  const bytes = new Uint8Array(6 * count);
  for (let i = 0; i < count; i++) bytes.set([0, 4, 0, 0, i >> 8, i & 255], 6 * i);
  return bytes;
}

describe("the name server over TCP", () => {
  it("has few questions of one client with the resolver, however many it sends; all are answered", async () => {
    const g = new Guest();
    const client = g.connect();
    const asked = questions(2_000);
    expect(client.write(asked, 0, asked.length, 0)).toBe(asked.length);
    client.shutdown(false, true);
    g.run();
    expect(g.open.length).toBeGreaterThan(0);
    await g.answerAll();
    expect(g.most).toBeLessThanOrEqual(32);
    const answers = new Uint8Array(asked.length + 1);
    let length = 0;
    for (let n = 1; n > 0; length += Math.max(0, n)) {
      n = client.read(answers, length, answers.length - length, false);
      g.run();
    }
    expect(answers.subarray(0, length)).toEqual(asked);
    // And then the end.
    expect(client.read(answers, 0, 1, false)).toBe(0);
  });

  it("lets go of clients that ask nothing, so that others have their turn", () => {
    vi.useFakeTimers();
    try {
      const g = new Guest();
      const idle = Array.from({ length: 64 }, () => g.connect());
      g.connect();
      expect(g.router.tcp.context.connectionCount).toBe(64);
      vi.advanceTimersByTime(31_000);
      g.run();
      for (const client of idle) client.close();
      g.run();
      expect(g.router.tcp.context.connectionCount).toBe(0);
      const late = g.connect();
      expect(late.write(questions(1), 0, 6, 0)).toBe(6);
      g.run();
      expect(g.open).toHaveLength(1);
    } finally {
      vi.useRealTimers();
    }
  });
});
