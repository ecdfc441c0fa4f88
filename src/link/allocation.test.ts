// The established path makes no object per packet: no views, no closures, no buffers, no boxed numbers. Counted
// by the heap's own statistics over a long stream, in modules of its own: what other tests have taught the
// compiler, and what they hold of the slab, is none of it.

import { getHeapStatistics } from "node:v8";
import { expect, it, vi } from "vitest";
import { ManualClock } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import { IPV4, type TcpEndpoint } from "../netstack/index.ts";

const PORT = 7000;
const WRITE_BYTES = 256 * 1024;
const BATCHES_MAX = 300;
const WRITES_PER_BATCH = 4;
/**
 * One boxed number is 16, a view 96. What is left, 2.3, is the test's own: the statistics it asks for, and the
 * views over a user's memory, some for each write of 180 packets.
 */
const BYTES_PER_PACKET_MAX = 4;

it("moves a stream without allocating per packet", async () => {
  vi.resetModules();
  const { IpAddr, Stack } = await import("../netstack/index.ts");
  const { MemoryPair } = await import("./memory-pair.ts");
  const A = IpAddr.v4(10, 0, 0, 1);
  const B = IpAddr.v4(10, 0, 0, 2);
  const clock = new ManualClock();
  const pair = new MemoryPair({ clock, mtu: 1500 });
  const a = new Stack({ clock, rng: new SeededRng(1), limits: DEFAULT_LIMITS });
  const b = new Stack({ clock, rng: new SeededRng(2), limits: DEFAULT_LIMITS });
  a.attach(pair.a, { name: "eth0", addresses: [{ addr: A, prefixBits: 24 }] });
  const nic = b.attach(pair.b, { name: "eth0", addresses: [{ addr: B, prefixBits: 24 }] });
  const listener = b.tcp.newEndpoint(IPV4) as TcpEndpoint;
  listener.bind(B, PORT);
  listener.listen(1);
  const client = a.tcp.newEndpoint(IPV4) as TcpEndpoint;
  client.connect(B, PORT);
  pair.pump();
  const server = listener.accept() as TcpEndpoint;
  const bytes = new Uint8Array(WRITE_BYTES);
  let written = 0;
  let received = 0;
  const write = (): void => {
    written += client.write(bytes, 0, bytes.length, 0);
    clock.advanceNs(50_000);
    pair.pump();
    for (let n = server.read(bytes, 0, bytes.length, false); n > 0; ) {
      received += n;
      n = server.read(bytes, 0, bytes.length, false);
    }
    pair.pump();
  };
  const packetsOf = (): number => nic.counters.rxPackets + nic.counters.txPackets;
  // Interpreted code boxes every fraction, and the optimising compiler comes when it comes: the first batch
  // without garbage will do, for what is allocated per packet is allocated in every one.
  let least = Number.POSITIVE_INFINITY;
  let batches = 0;
  while (least >= BYTES_PER_PACKET_MAX && batches++ < BATCHES_MAX) {
    const packets = packetsOf();
    const before = getHeapStatistics().used_heap_size;
    for (let k = 0; k < WRITES_PER_BATCH; k++) write();
    const used = getHeapStatistics().used_heap_size - before;
    // Less than before: the collector ran.
    if (used >= 0) least = Math.min(least, used / (packetsOf() - packets));
  }
  expect(received).toBe(written);
  expect(least).toBeLessThan(BYTES_PER_PACKET_MAX);
}, 60_000);
