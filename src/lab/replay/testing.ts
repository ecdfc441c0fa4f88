// Vocabulary of replay's tests: captures of worlds, in memory, and their frames changed on the way.

import { MS } from "../../base/clock.ts";
import {
  type CapturedFrame,
  CaptureReader,
  type Conditions,
  PcapWriter,
  sourceOf,
} from "../../link/index.ts";
import { IpAddr, type TcpEndpoint } from "../../netstack/index.ts";
import { openConnection } from "../sim/conversation.ts";
import { StreamSink, StreamSource } from "../sim/streams.ts";
import { World } from "../sim/world.ts";
import type { Conversation } from "./conversation.ts";
import { Extractor } from "./extract.ts";
import type { ReplayOptions, ReplayOutcome } from "./outcome.ts";
import { replayConversation } from "./replay.ts";

export interface CapturedWorld {
  seed?: number;
  conditions?: Partial<Conditions>;
  isIpv6?: boolean;
  /** From the client, and from the server. */
  bytes: [number, number];
  configure?: (endpoint: TcpEndpoint) => void;
}

const SERVER_V4 = IpAddr.v4(10, 0, 0, 2);

/** The capture, taken at the client, of one connection in which both sides send their bytes and close. */
export function captureOf(config: CapturedWorld): Uint8Array {
  const chunks: Uint8Array[] = [];
  const sink = {
    write: (bytes: Uint8Array, offset: number, length: number) => {
      chunks.push(bytes.slice(offset, offset + length));
    },
  };
  const capture = new PcapWriter(sink, "ns");
  const w = new World({ seed: config.seed });
  const [client, server] = [w.stack(), w.stack()];
  const server6 = new IpAddr();
  server6.w0 = 0xfd00_0000 | 0;
  server6.w3 = 2;
  const addresses = config.isIpv6 === true ? { a: ["fd00::1/64"], b: ["fd00::2/64"] } : {};
  w.join(client, server, {
    ...addresses,
    capture,
    conditions: { delayNs: 5 * MS, ...config.conditions },
  });
  const to = config.isIpv6 === true ? server6 : SERVER_V4;
  const ends = openConnection(w, client, server, to, { configure: config.configure });
  for (const [i, from] of [ends.from, ends.to].entries()) new StreamSource(from, config.bytes[i]);
  const sinks = [ends.from, ends.to].map((end) => {
    const send = end.onReadiness;
    const read = new StreamSink(end);
    end.onReadiness = (mask) => {
      send?.(mask);
      read.pump();
    };
    return read;
  });
  w.runUntil(() => sinks.every(({ isAtEnd }) => isAtEnd));
  ends.from.close();
  ends.to.close();
  w.run(1e9);
  capture.flush();
  return concat(chunks);
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/** Looks at each frame (it may shorten it) and says how many times it is in the changed capture. */
export type FrameChange = (frame: CapturedFrame, number: number) => number;

export function conversationsIn(
  capture: Uint8Array,
  change: FrameChange = () => 1,
): Conversation[] {
  const found: Conversation[] = [];
  const extractor = new Extractor((conversation) => found.push(conversation));
  const reader = new CaptureReader(sourceOf(capture));
  let number = 0;
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    for (let times = change(frame, ++number); times > 0; times--) extractor.add(frame);
  }
  extractor.finish();
  return found;
}

/** Of the first conversation. */
export function replayed(
  capture: Uint8Array,
  options: ReplayOptions = {},
  change?: FrameChange,
): ReplayOutcome {
  return replayConversation(conversationsIn(capture, change)[0], 1, { keep: true, ...options });
}
