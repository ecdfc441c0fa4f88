// Goal: the same seed gives the same run, byte for byte, and another seed another. Method: two stacks over a
// wire that loses, doubles and delays, everything captured; the captures are compared.

import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { ManualClock, MS, SECOND } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import { IpAddr, NetErr, Stack, type TcpEndpoint } from "../netstack/index.ts";
import { CaptureLink } from "./capture/capture-link.ts";
import { type PcapFormat, PcapWriter } from "./capture/pcap-writer.ts";
import { MemoryPair } from "./memory-pair.ts";

const A = IpAddr.v4(10, 0, 0, 1);
const B = IpAddr.v4(10, 0, 0, 2);
const PORT = 80;

/** What a run captured: its hash and how many bytes. */
function capture(seed: number, format: PcapFormat): { hash: string; bytes: number } {
  const clock = new ManualClock(1_700_000_000_000_000_000);
  const pair = new MemoryPair({ clock, delayNs: 3 * MS });
  const hash = createHash("sha256");
  let captured = 0;
  const sink = {
    write: (b: Uint8Array, o: number, n: number) => {
      captured += n;
      hash.update(b.subarray(o, o + n));
    },
  };
  const writer = new PcapWriter(sink, format);
  const wire = new SeededRng(seed);
  pair.a.filter = () => wire.below(100) >= 4;
  pair.b.filter = () => wire.below(100) >= 4;
  const make = (n: number): Stack =>
    new Stack({ clock, rng: new SeededRng(seed + n), limits: DEFAULT_LIMITS });
  const [a, b] = [make(1), make(2)];
  const ipv6 = { mode: "auto" } as const;
  a.attach(new CaptureLink(pair.a, writer, clock), {
    name: "eth0",
    addresses: [{ addr: A, prefixBits: 24 }],
    ipv6,
  });
  b.attach(pair.b, { name: "eth0", addresses: [{ addr: B, prefixBits: 24 }], ipv6 });
  const run = (until: number): void => {
    for (;;) {
      const next = Math.min(a.nextDeadlineNs(), b.nextDeadlineNs(), pair.nextDeadlineNs);
      if (next > until) break;
      clock.advanceToNs(next);
      pair.pump();
      a.runTimers(clock.monotonicNs());
      b.runTimers(clock.monotonicNs());
    }
    clock.advanceToNs(until);
  };
  const server = a.endpoints.tcp(4) as TcpEndpoint;
  expect(server.bind(A, PORT) || server.listen(4)).toBe(0);
  const clients = [1, 2, 3].map(() => b.endpoints.tcp(4) as TcpEndpoint);
  for (const c of clients) expect(c.connect(A, PORT)).toBe(NetErr.InProgress);
  const children: TcpEndpoint[] = [];
  const buffer = new Uint8Array(65_536);
  for (let step = 1; step <= 400; step++) {
    run(step * 10 * MS);
    for (const c of clients) c.write(buffer, 0, 3_000, 0);
    for (let child = server.accept(); child !== null; child = server.accept()) children.push(child);
    for (const child of children) child.read(buffer, 0, buffer.length, false);
  }
  for (const end of [...clients, ...children]) end.close();
  run(100 * SECOND);
  writer.flush();
  return { hash: hash.digest("hex"), bytes: captured };
}

it.each<PcapFormat>(["us", "pcapng"])("%s: one seed, one capture", (format) => {
  const first = capture(7, format);
  expect(first.bytes).toBeGreaterThan(1_000_000);
  expect(capture(7, format)).toEqual(first);
  expect(capture(8, format).hash).not.toBe(first.hash);
});
