// Captures for the `lab` benchmarks, made where they are measured: a large one of TCP transfers between two stacks
// in virtual time, the same bytes every time, and the small ones of fixtures/pcap in one file. Measures nothing.

import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MS } from "../src/base/clock.ts";
import { openConnection, StreamSink, StreamSource, World } from "../src/lab/index.ts";
import { CaptureReader, LINKTYPE_ETHERNET, PcapWriter, sourceOf } from "../src/link/index.ts";
import { IpAddr } from "../src/netstack/index.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/pcap/", import.meta.url));
const MB = 1_000_000;
/** Of file for a byte of stream, about: headers, acknowledgments and the file's own. */
const OVERHEAD = 1.09;
const CONNECTIONS = 4;
const FIRST_PORT = 5_001;
const TRANSFER_LIMIT_NS = 3_600 * 1_000 * MS;

function writerTo(path: string): { writer: PcapWriter; close: () => void } {
  const fd = openSync(path, "w");
  const sink = {
    write: (bytes: Uint8Array, offset: number, length: number): void => {
      writeSync(fd, bytes, offset, length);
    },
  };
  const writer = new PcapWriter(sink, "ns");
  const close = (): void => {
    writer.flush();
    closeSync(fd);
  };
  return { writer, close };
}

/** About `megabytes` of transfers, one after the other, over a line that loses a frame now and then. */
export function writeTransfers(path: string, megabytes: number): void {
  const { writer, close } = writerTo(path);
  const world = new World({ seed: 1 });
  const [a, b] = [world.stack(), world.stack()];
  world.join(a, b, {
    capture: writer,
    conditions: { delayNs: 5 * MS, loss: 0.0002, rateBitsPerSecond: 1e9, queueFrames: 1_000 },
    backConditions: { loss: 0 },
  });
  const bytes = Math.floor((megabytes * MB) / OVERHEAD / CONNECTIONS);
  for (let i = 0; i < CONNECTIONS; i++) {
    const { from, to } = openConnection(world, a, b, IpAddr.v4(10, 0, 0, 2), {
      port: FIRST_PORT + i,
    });
    new StreamSource(from, bytes);
    const sink = new StreamSink(to);
    const isWhole = world.runUntil(() => sink.isAtEnd, TRANSFER_LIMIT_NS);
    if (!isWhole || sink.read !== bytes || sink.wrongAt >= 0) throw new Error("a transfer broke");
    to.close();
    from.close();
    world.run(100 * MS);
  }
  world.close();
  close();
}

/** The Ethernet frames of all fixtures, again and again until there are `count`. */
export function writeMixed(path: string, count: number): void {
  const files = readdirSync(FIXTURES)
    .filter((name) => /\.pcap(ng)?$/.test(name))
    .sort()
    .map((name) => new Uint8Array(readFileSync(FIXTURES + name)));
  const { writer, close } = writerTo(path);
  for (let written = 0, before = -1; written < count; ) {
    if (written === before) throw new Error("the fixtures hold no frame");
    before = written;
    for (const file of files) {
      const reader = new CaptureReader(sourceOf(file));
      for (let f = reader.next(); f !== null && written < count; f = reader.next()) {
        if (f.linkType !== LINKTYPE_ETHERNET) continue;
        writer.write(written * 1_000, f.bytes, f.offset, f.length);
        written++;
      }
    }
  }
  close();
}
