// How much a sender gets through a bottleneck: one flow over one line in virtual time, for a grid of loss, round-trip
// time, buffer and congestion control. What is measured is the stack's, to the byte: one seed, one number.

import { MS, SECOND } from "../../base/clock.ts";
import { IpAddr } from "../../netstack/index.ts";
import { openConnection } from "./conversation.ts";
import { StreamSink, StreamSource } from "./streams.ts";
import { World, type WorldConfig } from "./world.ts";

export interface GoodputCell {
  congestion: string;
  /** Of data frames, by chance. */
  loss: number;
  rttMs: number;
  /** Of the bottleneck, in bandwidth-delay products. */
  buffer: number;
}

export interface Goodput {
  bitsPerSecond: number;
  /** Of the line. */
  share: number;
  /** Simulated seconds per real second, where the stopwatch is given. */
  speed: number | null;
}

/** The bottleneck. */
export const GOODPUT_LINE_BITS_PER_SECOND = 10e6;
const FRAME_BYTES = 1514;
const WARM_UP_NS = 2 * SECOND;
const MEASURED_NS = 10 * SECOND;
const ENDLESS = 1e12;
/** No buffer is so short that a burst of two does not fit. */
const QUEUE_FRAMES_MIN = 4;

const FIRST_PORT = 5001;

function queueFrames(rttMs: number, buffer: number): number {
  const bdpFrames = (GOODPUT_LINE_BITS_PER_SECOND * (rttMs / 1000)) / (8 * FRAME_BYTES);
  return Math.max(QUEUE_FRAMES_MIN, Math.round(bdpFrames * buffer));
}

/** "cubic loss=1% rtt=50ms buffer=1" */
export function cellName({ congestion, loss, rttMs, buffer }: GoodputCell): string {
  return `${congestion} loss=${+(loss * 100).toFixed(3)}% rtt=${rttMs}ms buffer=${buffer}`;
}

export function goodput(
  cell: GoodputCell,
  seed: number,
  stopwatch?: WorldConfig["stopwatch"],
): Goodput {
  const world = new World({ seed, stopwatch });
  const [a, b] = [world.stack(), world.stack()];
  world.join(a, b, {
    conditions: {
      loss: cell.loss,
      delayNs: (cell.rttMs / 2) * MS,
      rateBitsPerSecond: GOODPUT_LINE_BITS_PER_SECOND,
      queueFrames: queueFrames(cell.rttMs, cell.buffer),
    },
    backConditions: { loss: 0, rateBitsPerSecond: 0 },
  });
  const { from, to } = openConnection(world, a, b, IpAddr.v4(10, 0, 0, 2), {
    configure: (endpoint) => {
      endpoint.options.congestion = cell.congestion;
    },
  });
  new StreamSource(from, ENDLESS);
  const sink = new StreamSink(to);
  world.run(WARM_UP_NS);
  const begin = sink.read;
  world.run(MEASURED_NS);
  if (sink.wrongAt >= 0) throw new Error(`${cellName(cell)}: byte ${sink.wrongAt} is wrong`);
  const bitsPerSecond = ((sink.read - begin) * 8) / (MEASURED_NS / SECOND);
  const { speed } = world;
  world.close();
  return { bitsPerSecond, share: bitsPerSecond / GOODPUT_LINE_BITS_PER_SECOND, speed };
}

/**
 * What flows with these congestion controls get of one bottleneck of `buffer` bandwidth-delay products, each begun
 * half a second after the one before: shares of the line over the last half of the run.
 */
export function shareLine(
  congestion: readonly string[],
  { rttMs, buffer }: Pick<GoodputCell, "rttMs" | "buffer">,
  seed: number,
  seconds: number,
): number[] {
  const world = new World({ seed });
  const [a, b] = [world.stack(), world.stack()];
  world.join(a, b, {
    conditions: {
      delayNs: (rttMs / 2) * MS,
      rateBitsPerSecond: GOODPUT_LINE_BITS_PER_SECOND,
      queueFrames: queueFrames(rttMs, buffer),
    },
    backConditions: { rateBitsPerSecond: 0 },
  });
  const sinks = congestion.map((name, i) => {
    const { from, to } = openConnection(world, a, b, IpAddr.v4(10, 0, 0, 2), {
      port: FIRST_PORT + i,
      configure: (endpoint) => {
        endpoint.options.congestion = name;
      },
    });
    new StreamSource(from, ENDLESS);
    const sink = new StreamSink(to);
    world.run(SECOND / 2);
    return sink;
  });
  world.run((seconds / 2) * SECOND);
  const begin = sinks.map(({ read }) => read);
  world.run((seconds / 2) * SECOND);
  world.close();
  const most = (GOODPUT_LINE_BITS_PER_SECOND / 8) * (seconds / 2);
  return sinks.map(({ read }, i) => (read - begin[i]) / most);
}
