// What a small segment costs him who receives it: alone, and among very many connections.

import { ManualClock, SECOND } from "../src/base/clock.ts";
import type { TcpEndpoint } from "../src/netstack/index.ts";
import { SHORT_SLICE_MS, SLICE_MS, SLICES, warmUp } from "./stack-rates.ts";
import { PORT, World } from "./stack-world.ts";

const SMALL_BYTES = 64;
const BURST = 32;
const CONNECTIONS_PER_PORT = 20_000;
const BEST_OF = (SLICES * SLICE_MS) / SHORT_SLICE_MS;

interface Connections {
  clients: TcpEndpoint[];
  servers: TcpEndpoint[];
}

/** Opens `count` connections over as many ports as they need. */
export function openMany(world: World, count: number): Connections {
  const clients: TcpEndpoint[] = [];
  const servers: TcpEndpoint[] = [];
  for (let port = PORT; clients.length < count; port++) {
    const listener = world.listen(port);
    for (let i = 0; i < CONNECTIONS_PER_PORT && clients.length < count; i++) {
      const [client, server] = world.connect(listener, port);
      client.options.noDelay = true;
      clients.push(client);
      servers.push(server);
    }
  }
  return { clients, servers };
}

/** A stopwatch over parts of a round. */
class Spent {
  ms = 0;
  #since = 0;

  start(): void {
    this.#since = performance.now();
  }
  stop(): void {
    this.ms += performance.now() - this.#since;
  }
}

/** The least that one of `burst` took. Slices are too short for the CPU's clock: by the wall's, between two other users. */
function leastUs(round: () => void, spent: Spent, burst: number): number {
  warmUp(() => {
    round();
    return burst;
  });
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < BEST_OF; i++) {
    spent.ms = 0;
    let rounds = 0;
    for (const until = performance.now() + SHORT_SLICE_MS; performance.now() < until; rounds++)
      round();
    best = Math.min(best, spent.ms / (rounds * burst));
  }
  return best * 1_000;
}

/** Microseconds that B spends on one of a burst of small segments of one connection, the reading and few ACKs included. */
export function smallSegmentUs(): number {
  const world = new World();
  const { clients, servers } = openMany(world, 1);
  const src = new Uint8Array(SMALL_BYTES).fill(0x61);
  const dst = new Uint8Array(64 * 1024);
  const spent = new Spent();
  const us = leastUs(
    () => {
      for (let i = 0; i < BURST; i++) clients[0].write(src, 0, SMALL_BYTES, 0);
      spent.start();
      world.pair.b.pump();
      servers[0].read(dst, 0, dst.length, false);
      spent.stop();
      world.settle();
    },
    spent,
    BURST,
  );
  world.close();
  return us;
}

/**
 * Microseconds that B spends on a small segment, its ACK and the reading, round robin over `count` connections. Each has
 * one every second of a time that is the benchmark's own, so that each segment means the same work whatever `count` is:
 * among few connections and on a running clock most ACKs would fall away (measured: half the time).
 */
export function segmentAmongUs(count: number): number {
  const clock = new ManualClock();
  const world = new World({ clock });
  const { clients, servers } = openMany(world, count);
  const src = new Uint8Array(SMALL_BYTES).fill(0x61);
  const dst = new Uint8Array(64 * 1024);
  const burst = Math.min(BURST, count);
  const stepNs = Math.floor((SECOND * burst) / count);
  const spent = new Spent();
  let next = 0;
  const round = (): void => {
    for (let i = 0; i < burst; i++) clients[(next + i) % count].write(src, 0, SMALL_BYTES, 0);
    spent.start();
    world.pair.b.pump();
    for (let i = 0; i < burst; i++) {
      servers[(next + i) % count].read(dst, 0, dst.length, false);
    }
    spent.stop();
    next = (next + burst) % count;
    clock.advanceNs(stepNs);
    spent.start();
    if (world.b.nextDeadlineNs() <= clock.monotonicNs()) world.b.runTimers(clock.monotonicNs());
    spent.stop();
    world.settle();
  };
  const segments = world.b.tcp.stats.InSegs;
  const sent = world.b.tcp.stats.OutSegs;
  const us = leastUs(round, spent, burst);
  const acks = (world.b.tcp.stats.OutSegs - sent) / (world.b.tcp.stats.InSegs - segments);
  if (acks < 0.9) throw new Error(`only ${acks} ACKs for a segment: that is other work`);
  world.close();
  return us;
}
