// The stack alone: two of them joined in memory. Throughput, connections, the cost of a small segment, what
// an idle connection holds, and whether any of it grows with the number of connections. "native" is the npm
// package `tcpip` (lwIP in WebAssembly) where it can be found, on the same transfer.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ManualClock } from "../src/base/clock.ts";
import { ioBuffer, type TcpEndpoint } from "../src/netstack/index.ts";
import { median } from "./harness.ts";
import type { OwnProcess } from "./own-process.ts";
import { bestRate, bestRates, type SlowWork, type Work, wholeRates } from "./stack-rates.ts";
import { openMany, segmentAmongUs, smallSegmentUs } from "./stack-segments.ts";
import { TcpipPair } from "./stack-tcpip.ts";
import { PORT, World, type WorldConfig } from "./stack-world.ts";

const BIG_WRITE = 256 * 1024;
/** 64 MiB in turns. */
const PIECE_BYTES = 16 * 1024 * 1024;
const PIECES = 4;
const SMALL_BYTES = 64;
const IDLE_CONNECTIONS = 100_000;
/** What a turn takes where time is the benchmark's own. */
const TURN_NS = 50_000;

/** One connection, writer and reader taking turns as their buffers allow; counts bytes. */
function stream(world: World, isGreedy: boolean): Work {
  const [client, server] = world.connect(world.listen());
  const src = ioBuffer(BIG_WRITE).fill(0x61);
  const dst = ioBuffer(BIG_WRITE);
  return () => {
    // Until it is turned away, or only so much as the nearest cache holds.
    while (client.write(src, 0, src.length, 0) === src.length && isGreedy);
    world.settle();
    let bytes = 0;
    for (let n = server.read(dst, 0, dst.length, false); n > 0; ) {
      bytes += n;
      n = server.read(dst, 0, dst.length, false);
    }
    world.settle();
    return bytes;
  };
}

const gbitPerSecond = (bytesPerMs: number): number => (bytesPerMs * 8) / 1e6;

function throughput(config: WorldConfig, isGreedy: boolean): number {
  const world = new World(config);
  const bytesPerMs = bestRate(stream(world, isGreedy));
  world.close();
  return gbitPerSecond(bytesPerMs);
}

/** One connection over which SMALL_BYTES go there and back; counts the times. */
function echo(world: World): Work {
  const [client, server] = world.connect(world.listen());
  const src = new Uint8Array(SMALL_BYTES).fill(0x61);
  const dst = new Uint8Array(SMALL_BYTES);
  const send = (from: TcpEndpoint, to: TcpEndpoint): void => {
    from.write(src, 0, SMALL_BYTES, 0);
    world.settle();
    const n = to.read(dst, 0, SMALL_BYTES, false);
    if (n !== SMALL_BYTES) throw new Error(`${n} bytes arrived`);
  };
  return () => {
    send(client, server);
    send(server, client);
    return 1;
  };
}

/** `measure` of the same work on both stacks; the other's is null when the package is not there. */
async function besideTcpip(
  own: (world: World) => Work,
  other: (pair: TcpipPair) => Promise<SlowWork>,
  measure: (own: Work, other: SlowWork | null) => Promise<[number, number | null]>,
): Promise<[number, number | null]> {
  const world = new World();
  const pair = await TcpipPair.open();
  const rates = await measure(own(world), pair === null ? null : await other(pair));
  world.close();
  return rates;
}

const streams = (): Promise<[number, number | null]> =>
  besideTcpip(
    (world) => stream(world, false),
    (pair) => pair.stream(),
    (own, other) => wholeRates(own, other, PIECE_BYTES, PIECES),
  );

const echoes = (): Promise<[number, number | null]> =>
  besideTcpip(echo, (pair) => pair.echo(SMALL_BYTES), bestRates);

/** Connects, accepts, closes both ways; per second. */
function connectsPerSecond(): number {
  const world = new World();
  const listener = world.listen();
  const perMs = bestRate(() => {
    const [client, server] = world.connect(listener);
    // Both at once: both keep a TIME-WAIT, as many as the limit allows, and the client passes by the ports of its own.
    server.close();
    client.close();
    world.settle();
    return 1;
  });
  world.close();
  return perMs * 1_000;
}

function collector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

function heldBytes(gc: () => void): number {
  gc();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

/** Bytes per idle connection: each of IDLE_CONNECTIONS with both ends here, so divided by twice as many. */
function idleBytes(gc: () => void): number {
  const world = new World();
  const warm = world.connect(world.listen(PORT - 1), PORT - 1);
  const before = heldBytes(gc);
  const { clients, servers } = openMany(world, IDLE_CONNECTIONS / 2);
  const bytes = heldBytes(gc) - before;
  if (warm.length + clients.length + servers.length < IDLE_CONNECTIONS) {
    throw new Error("connections are missing");
  }
  world.close();
  return bytes / IDLE_CONNECTIONS;
}

/**
 * Bytes of heap allocated per packet of a stream; runs in which the collector ran are left out. The process's
 * clock would cost a boxed number, which is none of the stack's.
 */
function allocatedPerPacket(): number {
  const clock = new ManualClock();
  const world = new World({ clock });
  const [client, server] = world.connect(world.listen());
  const src = ioBuffer(BIG_WRITE).fill(0x61);
  const dst = ioBuffer(BIG_WRITE);
  const nic = world.b.nics[1];
  const batch = (): void => {
    for (let i = 0; i < 4; i++) {
      client.write(src, 0, src.length, 0);
      clock.advanceNs(TURN_NS);
      world.settle();
      while (server.read(dst, 0, dst.length, false) > 0);
      world.settle();
    }
  };
  for (let i = 0; i < 2_000; i++) batch();
  const perPacket = (work: () => void): number[] => {
    const samples: number[] = [];
    for (let i = 0; i < 500; i++) {
      const packets = nic.counters.rxPackets + nic.counters.txPackets;
      const before = process.memoryUsage().heapUsed;
      work();
      const bytes = process.memoryUsage().heapUsed - before;
      const count = nic.counters.rxPackets + nic.counters.txPackets - packets;
      if (bytes >= 0) samples.push(bytes / Math.max(count, 1));
    }
    return samples;
  };
  // The question itself leaves some too.
  const asked = median(perPacket(() => {}));
  const packets = nic.counters.rxPackets + nic.counters.txPackets;
  batch();
  const perBatch = nic.counters.rxPackets + nic.counters.txPackets - packets;
  const samples = perPacket(batch).map((bytes) => Math.max(0, bytes - asked / perBatch));
  world.close();
  return median(samples);
}

/** [netcell, native] */
type Figures = [number, number | null];

interface Benchmark {
  name: string;
  unit: string;
  target: string;
  run: () => Figures | Promise<Figures>;
}

const alone = (figure: number): Figures => [figure, null];
const mapped = ([own, other]: Figures, figure: (perMs: number) => number): Figures => [
  figure(own),
  other === null ? null : figure(other),
];

const BENCHMARKS: readonly Benchmark[] = [
  {
    name: "idle connection",
    unit: "bytes",
    target: "<= 3000",
    run: () => alone(idleBytes(collector())),
  },
  {
    name: "heap allocated per packet",
    unit: "bytes",
    target: "0",
    run: () => alone(allocatedPerPacket()),
  },
  {
    name: "TCP, 64 KiB segments",
    unit: "Gbit/s",
    target: ">= 8",
    run: () => alone(throughput({ hasOffload: true }, false)),
  },
  {
    name: "TCP, MTU 1500",
    unit: "Gbit/s",
    target: ">= 1.5",
    run: () => alone(throughput({}, false)),
  },
  {
    name: "TCP, MTU 1500, buffers full",
    unit: "Gbit/s",
    target: ">= 1.5",
    run: () => alone(throughput({}, true)),
  },
  {
    name: "TCP, MTU 1500, in batches",
    unit: "Gbit/s",
    target: ">= 1.5",
    run: () => alone(throughput({ batches: true }, false)),
  },
  {
    name: "64 bytes there and back",
    unit: "us",
    target: "< tcpip",
    run: async () => mapped(await echoes(), (perMs) => 1_000 / perMs),
  },
  {
    name: "64 MiB, MTU 1500",
    unit: "Gbit/s",
    target: ">= 8x tcpip",
    run: async () => mapped(await streams(), gbitPerSecond),
  },
  {
    name: "connect and close",
    unit: "per s",
    target: ">= 40000",
    run: () => alone(connectsPerSecond()),
  },
  {
    name: "small segments received, one connection",
    unit: "us",
    target: "<= 1.5 us",
    run: () => alone(smallSegmentUs()),
  },
  ...[10, 1_000, 100_000].map((n) => ({
    name: `segment and its ACK, ${n} connections`,
    unit: "us",
    target: "flat",
    run: () => alone(segmentAmongUs(n)),
  })),
];

export const STACK: readonly OwnProcess[] = BENCHMARKS.map(({ name, unit, target, run }) => ({
  name: `stack: ${name}`,
  run: async () => {
    const [netcell, native] = await run();
    return [{ name: `stack: ${name}`, unit, target, native, netcell }];
  },
}));
