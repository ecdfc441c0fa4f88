// Two stacks joined in memory in one process, on the process's own clock, with big limits: the workplace of
// the `stack` benchmarks. Nothing of the Sentry, the gateway or the host's network takes part.

import type { Clock } from "../src/base/clock.ts";
import { DEFAULT_LIMITS, GiB, type Limits } from "../src/base/limits.ts";
import { SeededRng } from "../src/base/rng.ts";
import { MemoryPair } from "../src/link/index.ts";
import { IPV4, IpAddr, Stack, type TcpEndpoint } from "../src/netstack/index.ts";

export const A = IpAddr.v4(10, 0, 0, 1);
export const B = IpAddr.v4(10, 0, 0, 2);
export const PORT = 7000;

const LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  sockets: 1_000_000,
  connections: 1_000_000,
  halfOpenConnections: 100_000,
  socketMemoryBytes: 2 * GiB,
  timers: 1_000_000,
};

/** Stands still during a turn, as the Sentry's does for its stack. */
class ProcessClock implements Clock {
  #nowNs = 0;

  constructor() {
    this.refresh();
  }
  monotonicNs(): number {
    return this.#nowNs;
  }
  realtimeNs(): number {
    return Date.now() * 1e6;
  }
  refresh(): void {
    this.#nowNs = Math.floor(performance.now() * 1e6);
  }
}

export interface WorldConfig {
  mtu?: number;
  /** The process's own, unless said otherwise. */
  clock?: Clock;
  /** A link that takes 64 KiB segments and needs no checksums: virtio, or the gateway's. */
  hasOffload?: boolean;
  /** What is under way arrives at once: segments are merged (GRO). */
  batches?: boolean;
}

export class World {
  readonly clock: Clock;
  readonly pair: MemoryPair;
  readonly a: Stack;
  readonly b: Stack;

  constructor(config: WorldConfig = {}) {
    const clock = config.clock ?? new ProcessClock();
    this.clock = clock;
    const hasOffload = config.hasOffload ?? false;
    this.pair = new MemoryPair({
      clock,
      batches: config.batches,
      mtu: config.mtu ?? 1500,
      checksumOffload: hasOffload,
      gsoBytesMax: hasOffload ? 65_535 : 0,
    });
    this.a = new Stack({ clock, rng: new SeededRng(1), limits: LIMITS });
    this.b = new Stack({ clock, rng: new SeededRng(2), limits: LIMITS });
    this.a.attach(this.pair.a, { name: "eth0", addresses: [{ addr: A, prefixBits: 24 }] });
    this.b.attach(this.pair.b, { name: "eth0", addresses: [{ addr: B, prefixBits: 24 }] });
  }

  /** Everything that can happen now. */
  settle(): void {
    do {
      this.clock.refresh?.();
      this.pair.pump();
      const now = this.clock.monotonicNs();
      if (this.a.nextDeadlineNs() <= now) this.a.runTimers(now);
      if (this.b.nextDeadlineNs() <= now) this.b.runTimers(now);
    } while (this.pair.nextDeadlineNs !== Number.POSITIVE_INFINITY);
  }

  listen(port = PORT): TcpEndpoint {
    const listener = open(this.b);
    must(listener.bind(B, port));
    must(listener.listen(4096));
    return listener;
  }

  /** An established connection: its client at A, its server at B. */
  connect(listener: TcpEndpoint, port = PORT): [TcpEndpoint, TcpEndpoint] {
    const client = open(this.a);
    client.connect(B, port);
    this.settle();
    const server = listener.accept();
    if (server === null) throw new Error("no connection came up");
    return [client, server];
  }

  close(): void {
    this.a.close();
    this.b.close();
  }
}

export function open(stack: Stack): TcpEndpoint {
  const endpoint = stack.endpoints.tcp(IPV4);
  if (typeof endpoint === "number") throw new Error(`no endpoint: ${endpoint}`);
  return endpoint;
}

export function must(error: number): void {
  if (error !== 0) throw new Error(`the stack says ${error}`);
}
