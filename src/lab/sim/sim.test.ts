import { describe, expect, it } from "vitest";
import { MS, SECOND } from "../../base/clock.ts";
import { PcapWriter } from "../../link/index.ts";
import { IpAddr, parseIp, type Stack } from "../../netstack/index.ts";
import { openConnection, type TransferConfig } from "./conversation.ts";
import { jainIndex } from "./fairness.ts";
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

  it("waits through a line that flaps, and comes back every time", () => {
    const w = new World();
    const [a, b] = [w.stack(), w.stack()];
    const cable = w.join(a, b, { conditions: { delayNs: MS, rateBitsPerSecond: 20e6 } });
    let cuts = 0;
    const flaps = cable.flap({ firstNs: 50 * MS, downNs: 300 * MS, upNs: 400 * MS, times: 3 });
    const watch = (): void => {
      if (cable.isCut) cuts++;
      if (flaps.isArmed) w.after(100 * MS, watch);
    };
    w.after(100 * MS, watch);
    const seconds = transfer(w, a, b, 4 * MiB);
    expect(cuts).toBe(9);
    expect(cable.isCut).toBe(false);
    // 1.7 s on the wire and 0.9 s of darkness.
    expect(seconds).toBeGreaterThan(2.6);
    expect(seconds).toBeLessThan(8);
  });

  it("parts a switch into groups that do not hear each other, and mends it", () => {
    const w = new World();
    const lan = w.switch();
    const stacks = [1, 2, 3, 4].map((i) => {
      const stack = w.stack();
      const conditions = { delayNs: MS, rateBitsPerSecond: 10e6, queueFrames: 50 };
      w.plug(lan, stack, { addresses: [`10.5.0.${i}/24`], conditions });
      return stack;
    });
    const [a, b, c, d] = stacks;
    const at = (i: number): IpAddr => IpAddr.v4(10, 5, 0, i);
    const { from, to } = openConnection(w, a, c, at(3));
    new StreamSource(from, 50_000_000);
    const sink = new StreamSink(to);
    w.run(100 * MS);
    w.part(lan, [a, b], [c, d]);
    w.run(SECOND);
    const read = sink.read;
    w.run(20 * SECOND);
    expect(sink.read).toBe(read);
    expect(lan.droppedParted).toBeGreaterThan(0);
    // Within a group all goes on, and a stranger in the other is not even resolved.
    transfer(w, a, b, 10_000, { to: at(2), port: 6000 });
    transfer(w, c, d, 10_000, { to: at(4), port: 6000 });
    expect(() => openConnection(w, b, d, at(4), { port: 7000 })).toThrow("no connection");
    lan.mend();
    w.run(60 * SECOND);
    expect(sink.read).toBeGreaterThan(read);
    expect(sink.wrongAt).toBe(-1);
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
    w.run(20 * SECOND);
    const [one, two] = sinks.map((sink) => sink.read);
    expect(jainIndex([one, two])).toBeGreaterThan(0.9);
    // Together they fill it: 20 Mbit/s for 20 s are 50 MB.
    expect(one + two).toBeGreaterThan(40e6);
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

  it("says how fast it is: simulated seconds per real second", () => {
    let realNs = 0;
    const w = new World({ stopwatch: () => (realNs += 10 * MS) });
    expect(w.speed).toBe(null);
    w.run(SECOND);
    w.run(SECOND);
    expect(w.speed).toBe(100);
    expect(new World().speed).toBe(null);
  });

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

describe("fairness", () => {
  it.each([
    [[], 1],
    [[0, 0], 1],
    [[3, 3, 3], 1],
    [[1, 0, 0, 0], 0.25],
    [[3, 1], 0.8],
  ])("of %j is %f", (shares, index) => {
    expect(jainIndex(shares)).toBe(index);
  });
});

describe("routers", () => {
  it("hand packets on, say when one is too large for the next line, and refuse what they have no route for", () => {
    const w = new World();
    const [client, router, next, server] = [w.stack(), w.router(), w.router(), w.stack()];
    w.join(client, router, { a: ["10.1.0.1/24"], b: ["10.1.0.2/24"] });
    w.join(router, next, { a: ["10.8.0.1/24"], b: ["10.8.0.2/24"], mtu: 700 });
    w.join(next, server, { a: ["10.2.0.1/24"], b: ["10.2.0.2/24"] });
    w.route(client, "default4", "10.1.0.2");
    w.route(router, "10.2.0.0/24", "10.8.0.2");
    w.route(next, "10.1.0.0/24", "10.8.0.1");
    w.route(server, "10.1.0.0/24", "10.2.0.1");
    const to = IpAddr.v4(10, 2, 0, 2);
    transfer(w, client, server, MiB / 4, { to });
    expect(client.counters.icmpInDestUnreachs).toBeGreaterThan(0);
    expect(router.counters.icmpOutDestUnreachs).toBe(client.counters.icmpInDestUnreachs);
    expect(() => openConnection(w, client, server, IpAddr.v4(10, 3, 0, 1))).toThrow("listen");
    expect(() => w.route(client, "10.9.0.0/16", "192.0.2.1")).not.toThrow();
    expect(() => w.route(server, "10.9.0.0/16", "192.0.2.1")).toThrow("NetworkUnreachable");
    expect(() => w.route(server, "10.9.0.0/16", "10.2.0")).toThrow("no address");
  });

  it("carry IPv6", () => {
    const w = new World();
    const [client, router, server] = [w.stack(), w.router(), w.stack()];
    w.join(client, router, { a: ["fd01::1/64"], b: ["fd01::2/64"] });
    w.join(router, server, { a: ["fd02::1/64"], b: ["fd02::2/64"] });
    w.route(client, "default6", "fd01::2");
    w.route(server, "fd01::/64", "fd02::1");
    transfer(w, client, server, 100_000, { to: parseIp("fd02::2") as IpAddr });
  });
});
