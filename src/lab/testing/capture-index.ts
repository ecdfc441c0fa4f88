// fixtures/pcap/index.json: what each capture is and what comes of it, in its types, and how a capture is looked
// at to find out. Not part of the product.

import { CaptureReader, sourceOf } from "../../link/index.ts";
import type { DecodedLayer } from "../decode/dissection.ts";
import { FrameDecoder } from "../decode/frame-decoder.ts";
import { replayCapture } from "../replay/replay.ts";
import { Feed, type Outcome } from "./feed.ts";

export interface IndexedCapture {
  file: string;
  /** One sentence. */
  about: string;
  /** "written": byte by byte, by what stands in src/lab/testing; "recorded": from real programs on TAP. */
  origin: "written" | "recorded";
  frames: number;
  /** Layers whose checksum is wrong. */
  badChecksums: number;
  /** Frames with each protocol. */
  protocols: Record<string, number>;
  /** Fed to the victim of the attack tests as a hostile peer. */
  outcome: Outcome;
  /** Of recorded ones: conversations by what became of them when either side was played. */
  replay?: Record<string, number>;
}

/** Each conversation twice: we are the client, then the server. */
export function replayBothSides(file: Uint8Array): Record<string, number> {
  const states: Record<string, number> = {};
  for (const side of ["client", "server"] as const) {
    replayCapture(new CaptureReader(sourceOf(file)), { seed: 1, side }, null, (outcome) => {
      states[outcome.state] = (states[outcome.state] ?? 0) + 1;
    });
  }
  return states;
}

/** Everything but name and sentence. */
export function examine(
  file: Uint8Array,
  origin: IndexedCapture["origin"],
): Omit<IndexedCapture, "file" | "about" | "origin"> {
  const reader = new CaptureReader(sourceOf(file));
  const decoder = new FrameDecoder({ verbosity: 3, link: true });
  const protocols: Record<string, number> = {};
  let frames = 0;
  let badChecksums = 0;
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    frames++;
    const layers = decoder.layers(frame);
    const text = decoder.text(frame);
    if (typeof text !== "string" || text === "") throw new Error(`frame ${frames} has no text`);
    badChecksums += layers.filter((layer) => layer.checksumCorrect === false).length;
    for (const name of new Set(layers.map((layer: DecodedLayer) => layer.protocol))) {
      protocols[name] = (protocols[name] ?? 0) + 1;
    }
  }
  if (reader.problem !== null) throw new Error(reader.problem.message);
  const examined = { frames, badChecksums, protocols, outcome: new Feed().play(file) };
  return origin === "written" ? examined : { ...examined, replay: replayBothSides(file) };
}
