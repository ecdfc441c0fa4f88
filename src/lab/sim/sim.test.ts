import { describe, expect, it } from "vitest";
import { MS, SECOND } from "../../base/clock.ts";
import { PcapWriter } from "../../link/index.ts";
import { IpAddr, type Stack } from "../../netstack/index.ts";
import { openConnection, type TransferConfig } from "./conversation.ts";
import { StreamSink, StreamSource } from "./streams.ts";
import { World } from "./world.ts";

const MiB = 1 << 20;
const B = IpAddr.v4(10, 0, 0, 2);

/** Seconds that `bytes` take from a to b. */
function transfer(
  w: World,
  a: Stack,
  b: Stack,
  bytes: number,
  config: TransferConfig & { to?: IpAddr } = {},
): number {
  const { from, to } = openConnection(w, a, b, config.to ?? B, config);
  const begin = w.nowNs;
  const source = new StreamSource(from, bytes);
  const sink = new StreamSink(to);
  expect(w.runUntil(() => sink.isAtEnd || source.error !== 0)).toBe(true);
  expect(sink).toMatchObject({ read: bytes, wrongAt: -1, error: 0 });
  to.close();
  from.close();
  return (w.nowNs - begin) / SECOND;
}

describe("a world", () => {
  it("carries a stream over any cable, byte for byte, at the speed that the line allows", () => {
    const w = new World();
    const [a, b] = [w.stack(), w.stack()];
    w.join(a, b, { conditions: { delayNs: 10 * MS, rateBitsPerSecond: 100e6, queueFrames: 200 } });
    const seconds = transfer(w, a, b, 8 * MiB);
    // 8 MiB at 100 Mbit/s are 0.67 s on the wire; headers and slow start come on top.
    expect(seconds).toBeGreaterThan(0.67);
    expect(seconds).toBeLessThan(1.2);
  });

  it("survives a cable that loses, doubles, damages and reorders", () => {
    const w = new World({ seed: 7 });
    const [a, b] = [w.stack(), w.stack()];
    const bad = { loss: 0.02, duplicate: 0.02, corrupt: 0.01, reorder: 0.05, delayNs: 5 * MS };
    const cable = w.join(a, b, { conditions: bad });
    transfer(w, a, b, 2 * MiB);
    expect(cable.a.out.counters.corrupted).toBeGreaterThan(0);
    expect(b.tcp.stats.InCsumErrors).toBeGreaterThan(0);
  });

  it("is the same world again with the same seed, and another with another", () => {
    const capture = (seed: number): string => {
      const parts: string[] = [];
      const sink = {
        write: (bytes: Uint8Array, offset: number, length: number) => {
          parts.push(String.fromCharCode(...bytes.subarray(offset, offset + length)));
        },
      };
      const writer = new PcapWriter(sink, "ns", true);
      const w = new World({ seed });
      const [a, b] = [w.stack(), w.stack()];
      w.join(a, b, { capture: writer, conditions: { loss: 0.05, jitterNs: 3 * MS } });
      transfer(w, a, b, MiB / 4);
      return parts.join("");
    };
    expect(capture(3)).toBe(capture(3));
    expect(capture(3)).not.toBe(capture(4));
  });

  it("waits while a cable is cut, and goes on when it is mended", () => {
    const w = new World();
    const [a, b] = [w.stack(), w.stack()];
    const cable = w.join(a, b, { conditions: { delayNs: MS, rateBitsPerSecond: 50e6 } });
    w.after(100 * MS, () => cable.cut());
    w.after(5100 * MS, () => cable.mend());
    const seconds = transfer(w, a, b, 2 * MiB);
    expect(seconds).toBeGreaterThan(5);
    expect(seconds).toBeLessThan(12);
  });

  it("drops just what a predicate names", () => {
    const w = new World();
    const [a, b] = [w.stack(), w.stack()];
    const cable = w.join(a, b, { conditions: { delayNs: MS } });
    let fins = 0;
    cable.a.out.filter = (pkt) => {
      const tcp = pkt.start + 14 + 20;
      const isFin = pkt.bytes[pkt.start + 23] === 6 && (pkt.bytes[tcp + 13] & 1) !== 0;
      return !(isFin && fins++ < 2);
    };
    transfer(w, a, b, 1000);
    expect(fins).toBeGreaterThanOrEqual(3);
  });

  it("shares a line fairly between two flows", () => {
    const w = new World({ seed: 2 });
    const [a, b] = [w.stack(), w.stack()];
    w.join(a, b, { conditions: { delayNs: 10 * MS, rateBitsPerSecond: 20e6, queueFrames: 60 } });
    const sinks = [5001, 5002].map((port) => {
      const { from, to } = openConnection(w, a, b, B, { port });
      new StreamSource(from, 1 << 30);
      return new StreamSink(to);
    });
    w.run(60 * SECOND);
    const [one, two] = sinks.map((sink) => sink.read);
    expect(Math.min(one, two) / Math.max(one, two)).toBeGreaterThan(0.5);
    // Together they fill it: 20 Mbit/s for a minute are 150 MB.
    expect(one + two).toBeGreaterThan(120e6);
  }, 60_000);

  it("holds a thousand stacks on one switch", () => {
    const w = new World();
    const lan = w.switch();
    const address = (i: number): IpAddr => IpAddr.v4(10, 9, i >>> 8, i & 255);
    const stacks = Array.from({ length: 1000 }, (_, i) => {
      const stack = w.stack();
      w.plug(lan, stack, { addresses: [`10.9.${(i + 1) >>> 8}.${(i + 1) & 255}/16`] });
      return stack;
    });
    const flows = Array.from({ length: 20 }, (_, i) => {
      const [a, b] = [stacks[i * 31], stacks[999 - i * 17]];
      const { from, to } = openConnection(w, a, b, address(1000 - i * 17));
      new StreamSource(from, 20_000);
      return new StreamSink(to);
    });
    expect(w.runUntil(() => flows.every((sink) => sink.isAtEnd))).toBe(true);
    for (const sink of flows) expect(sink).toMatchObject({ read: 20_000, wrongAt: -1 });
  }, 60_000);

  it("carries IPv6 as well", () => {
    const w = new World();
    const [a, b] = [w.stack(), w.stack()];
    w.join(a, b, { a: ["fd00::1/64"], b: ["fd00::2/64"], conditions: { loss: 0.01 } });
    const to = new IpAddr();
    to.w0 = 0xfd00_0000 | 0;
    to.w3 = 2;
    transfer(w, a, b, MiB, { to });
  });
});
