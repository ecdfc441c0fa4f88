// Signed connections in worlds: over links that hand over batches, and over a line that loses, doubles and turns around
// while keys change and somebody throws in what he has changed.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ManualClock, MS } from "../../base/clock.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import { MemoryPair } from "../../link/index.ts";
import { NodeMacs } from "../../sentry/loop/node-macs.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import { IPV4, IPV6, IpAddr } from "../ip-addr.ts";
import { PacketBuffer } from "../stack/packet-buffer.ts";
import { Stack } from "../stack/stack.ts";
import type { AoKeySpec } from "./ao-keys.ts";
import type { Endpoint } from "./endpoint.ts";
import { LOCAL, REMOTE, text } from "./testing.ts";
import { Pair } from "./testing-pair.ts";

const macs = new NodeMacs();
const NO_CHOICE = { isCurrent: false, isRnext: false };

const key = (
  id: number,
  addr: IpAddr,
  prefixBits: number,
  algorithm = "hmac(sha1)",
): AoKeySpec => ({
  addr,
  prefixBits,
  sendId: id,
  receiveId: id,
  macBytes: 8 + 4 * (id % 3),
  excludesOptions: false,
  isOfDevice: false,
  algorithm,
  secret: text(`secret ${id}`),
});

const V6 = (last: number): IpAddr => {
  const addr = new IpAddr();
  addr.w0 = 0xfd00_0000 | 0;
  addr.w3 = last;
  return addr;
};

/** 200 kB over a link that gives frames in batches: what the server's stack made of them. */
function transfer(family: typeof IPV4 | typeof IPV6, isSigned: boolean): [string, Stack, Stack] {
  const clock = new ManualClock();
  const pair = new MemoryPair({ clock, batches: true });
  const limits = DEFAULT_LIMITS;
  const a = new Stack({ clock, rng: new SeededRng(1), limits, macs });
  const b = new Stack({ clock, rng: new SeededRng(2), limits, macs });
  const [A, B] =
    family === IPV4 ? [IpAddr.v4(10, 0, 0, 1), IpAddr.v4(10, 0, 0, 2)] : [V6(1), V6(2)];
  const prefixBits = family === IPV4 ? 24 : 64;
  a.attach(pair.a, { name: "eth0", addresses: [{ addr: A, prefixBits }] });
  b.attach(pair.b, { name: "eth0", addresses: [{ addr: B, prefixBits }] });
  const listener = b.endpoints.tcp(family) as TcpEndpoint;
  const client = a.endpoints.tcp(family) as TcpEndpoint;
  const any = family === IPV4 ? IpAddr.v4(0, 0, 0, 0) : new IpAddr();
  for (const e of isSigned ? [listener, client] : []) {
    expect(e.addAoKey(key(1, any, 0, "cmac(aes128)"), NO_CHOICE)).toBe(0);
  }
  const data = new Uint8Array(200_000);
  new SeededRng(3).fill(data, 0, data.length);
  const got = new Uint8Array(data.length);
  let [sent, received] = [0, 0];
  let server: TcpEndpoint | null = null;
  let isStarted = false;
  for (let round = 0; round < 20_000 && received < data.length; round++) {
    // IPv6's addresses are there when nobody else has them.
    if (!isStarted && round > 3_000 * (family === IPV6 ? 1 : 0)) {
      isStarted = true;
      expect([listener.bind(B, 80), listener.listen(1)]).toEqual([0, 0]);
      client.connect(B, 80);
    }
    const w = isStarted ? client.write(data, sent, data.length - sent, 0) : 0;
    if (w > 0) sent += w;
    pair.pump();
    clock.advanceNs(MS);
    a.runTimers(clock.monotonicNs());
    b.runTimers(clock.monotonicNs());
    server ??= isStarted ? listener.accept() : null;
    const r = server?.read(got, received, got.length - received, false) ?? 0;
    if (r > 0) received += r;
  }
  return [Buffer.compare(got, data) === 0 ? "whole" : `${received} bytes`, a, b];
}

describe("over a link that gives batches", () => {
  it.each([IPV4, IPV6] as const)("IPv%i: signed segments stay as they were sent", (family) => {
    const [plain, , plainB] = transfer(family, false);
    const [signed, a, b] = transfer(family, true);
    expect([plain, signed]).toEqual(["whole", "whole"]);
    expect(b.tcp.stats).toMatchObject({ TCPAOBad: 0, TCPAORequired: 0 });
    // Each of them was looked at by itself, where unsigned ones became large packets.
    expect(b.tcp.stats.InSegs).toBe(a.tcp.stats.OutSegs);
    expect(plainB.tcp.stats.InSegs).toBeLessThan(b.tcp.stats.InSegs / 2);
  });
});

type Step =
  | { do: "write"; fromA: boolean; bytes: number }
  | { do: "ask"; ofA: boolean; id: number }
  | { do: "wait"; ms: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("write" as const),
      fromA: fc.boolean(),
      bytes: fc.integer({ min: 1, max: 4_000 }),
    }),
    fc.record({
      do: fc.constant("ask" as const),
      ofA: fc.boolean(),
      id: fc.integer({ min: 1, max: 3 }),
    }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 300 }) }),
  ),
  { minLength: 1, maxLength: 12 },
);

/** A copy with one byte changed arrives as well; its checksum is in order. */
function throwIn(pair: Pair, fromA: boolean, bytes: Uint8Array, rng: SeededRng): void {
  const pkt = new PacketBuffer(bytes.length + 256);
  pkt.bytes.set(bytes, pkt.start);
  pkt.l4 = pkt.start;
  pkt.end = pkt.start + bytes.length;
  // Not of the ports: who gets it has no connection there.
  pkt.bytes[pkt.start + 4 + rng.below(bytes.length - 4)] ^= 1 << rng.below(8);
  pkt.src.set(fromA ? LOCAL : REMOTE);
  pkt.dst.set(fromA ? REMOTE : LOCAL);
  pkt.checksumValid = true;
  (fromA ? pair.b : pair.a).onPacket(pkt);
}

describe("while keys change", () => {
  it("both streams arrive, nothing is taken for bad but what somebody has changed, and that changes nothing", () => {
    fc.assert(
      fc.property(steps, fc.integer(), fc.boolean(), (list, seed, hasAttacker) => {
        const rng = new SeededRng(seed);
        const pair = new Pair({ macs, seed: 1 + (seed & 0xff) });
        for (const tcp of [pair.a, pair.b]) {
          const before = tcp.context.secrets.isn.bind(tcp.context.secrets);
          // Half of the connections wrap around at once.
          tcp.context.secrets.isn = (...of) => (rng.below(2) === 0 ? -2_000 : before(...of));
        }
        const [client, child] = pair.connect((e) => {
          for (const id of [1, 2, 3]) {
            expect(e.addAoKey(key(id, IpAddr.v4(10, 0, 0, 0), 24), NO_CHOICE)).toBe(0);
          }
        });
        let isThrown = false;
        pair.fate = () => ({
          copies: rng.below(8) === 0 ? rng.below(3) : 1,
          extraMs: rng.below(30),
        });
        pair.onSegment = (fromA, bytes) => {
          if (!hasAttacker || rng.below(4) > 0 || isThrown) return;
          isThrown = true;
          throwIn(pair, fromA, bytes, rng);
          isThrown = false;
        };
        const wrote = [0, 0];
        const read = [0, 0];
        const ends: [Endpoint, Endpoint] = [client, child];
        const buffer = new Uint8Array(4_096);
        const drain = (): void => {
          for (const i of [0, 1]) {
            for (let n = 1; n > 0; ) {
              n = ends[1 - i].read(buffer, 0, buffer.length, false);
              for (let k = 0; k < n; k++)
                if (buffer[k] !== ((read[i] + k) & 255)) throw new Error("another byte");
              if (n > 0) read[i] += n;
            }
          }
        };
        for (const step of list) {
          if (step.do === "wait") pair.run(step.ms);
          else if (step.do === "ask") {
            const settings = {
              currentId: -1,
              isRequired: false,
              acceptsIcmps: false,
              counters: null,
            };
            expect(ends[step.ofA ? 0 : 1].setAo({ ...settings, rnextId: step.id })).toBe(0);
          } else {
            const i = step.fromA ? 0 : 1;
            const data = Uint8Array.from({ length: step.bytes }, (_, k) => wrote[i] + k);
            wrote[i] += Math.max(0, ends[i].write(data, 0, data.length, 0));
          }
          drain();
        }
        const isDone = pair.run(120_000, () => {
          drain();
          return read[0] === wrote[0] && read[1] === wrote[1];
        });
        expect([isDone, client.state, child.state]).toEqual([true, 1, 1]);
        for (const { stats } of [pair.a, pair.b]) {
          if (!hasAttacker) {
            expect(stats).toMatchObject({ TCPAOBad: 0, TCPAOKeyNotFound: 0, TCPAORequired: 0 });
          }
          expect(stats.TCPAOGood).toBeGreaterThan(0);
        }
        client.close();
        if (rng.below(2) === 0) pair.run(50);
        child.close();
        pair.run(300_000);
        // The listener's are left.
        expect([pair.a, pair.b].map((tcp) => tcp.context.signingKeyCount)).toEqual([0, 3]);
      }),
      { numRuns: Number(globalThis.process?.env.NETCELL_RUNS ?? 40) },
    );
  });
});
