import fc from "fast-check";
import { expect, it } from "vitest";
import { newDatagramInfo } from "../endpoints.ts";
import { IpAddr } from "../ip-addr.ts";
import { DatagramQueue, SpareMemory } from "./datagram-queue.ts";

it("gives back what went in, in order, whatever the sizes", () => {
  const step = fc.oneof(
    fc.record({ put: fc.nat(3000) }),
    fc.record({ take: fc.nat(4000), peek: fc.boolean() }),
  );
  const addr = IpAddr.v4(10, 0, 0, 1);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const queue = new DatagramQueue(new SpareMemory());
      const model: Uint8Array[] = [];
      const dst = new Uint8Array(4001);
      const out = newDatagramInfo();
      let port = 0;
      let firstPort = 0;
      for (const s of steps) {
        if ("put" in s) {
          const bytes = Uint8Array.from({ length: s.put }, (_, i) => i * 7 + s.put);
          queue.put(bytes, 0, bytes.length, addr, port++, addr, 1, 64, 0, port * 10);
          model.push(bytes);
        } else if (model.length > 0) {
          const n = queue.take(dst, 1, s.take, out, s.peek);
          expect(Buffer.compare(dst.subarray(1, 1 + n), model[0].subarray(0, s.take))).toBe(0);
          expect([out.length, out.port, out.addr.toString()]).toEqual([
            model[0].length,
            firstPort,
            "10.0.0.1",
          ]);
          if (!s.peek) {
            model.shift();
            firstPort++;
          }
        }
        expect(queue.count).toBe(model.length);
        expect(queue.nextBytes).toBe(model[0]?.length ?? 0);
      }
    }),
  );
});

const FROM = IpAddr.v4(10, 0, 0, 1);
const TO = IpAddr.v4(10, 0, 0, 2);
type Flow = {
  addr?: IpAddr;
  port?: number;
  local?: IpAddr;
  nic?: number;
  ttl?: number;
  tos?: number;
};

/** As an endpoint with UDP_GRO has it. */
function arrive(queue: DatagramQueue, length: number, fill: number, flow: Flow = {}): void {
  const bytes = new Uint8Array(length).fill(fill);
  const { addr = FROM, port = 7, local = TO, nic = 1, ttl = 64, tos = 0 } = flow;
  if (queue.merge(bytes, 0, length, addr, port, local, nic, ttl, tos)) return;
  queue.put(bytes, 0, length, addr, port, local, nic, ttl, tos, 0);
}
/** [length, segment] of all. */
function all(queue: DatagramQueue): number[][] {
  const out = newDatagramInfo();
  const sizes: number[][] = [];
  while (queue.count > 0) {
    queue.take(new Uint8Array(0), 0, 0, out, false);
    sizes.push([out.length, out.segmentBytes]);
  }
  return sizes;
}

it("merges equal datagrams of one flow, ends with a shorter, and begins anew with a longer", () => {
  const queue = new DatagramQueue(new SpareMemory());
  for (const n of [100, 100, 40, 100, 100, 120, 0, 0, 5]) arrive(queue, n, n);
  expect(queue.nextBytes).toBe(240);
  const out = newDatagramInfo();
  const got = new Uint8Array(300);
  queue.take(got, 0, 300, out, false);
  expect([out.length, out.segmentBytes]).toEqual([240, 100]);
  expect(got.subarray(0, 240)).toEqual(
    Uint8Array.from([...Array(200).fill(100), ...Array(40).fill(40)]),
  );
  expect(all(queue)).toEqual([
    [200, 100],
    [120, 0],
    [0, 0],
    [0, 0],
    [5, 0],
  ]);
  expect(queue.chargedBytes).toBe(0);
});

it.each([
  ["address", { addr: IpAddr.v4(10, 0, 0, 9) }],
  ["port", { port: 8 }],
  ["destination", { local: IpAddr.v4(10, 0, 0, 9) }],
  ["interface", { nic: 2 }],
  ["TTL", { ttl: 63 }],
  ["TOS", { tos: 1 }],
])("does not merge over another %s", (_, flow) => {
  const queue = new DatagramQueue(new SpareMemory());
  arrive(queue, 10, 1);
  arrive(queue, 10, 2, flow);
  expect(all(queue)).toEqual([
    [10, 0],
    [10, 0],
  ]);
});

it("merges 64 at most, and no more than one datagram can be", () => {
  const small = new DatagramQueue(new SpareMemory());
  for (let i = 0; i < 130; i++) arrive(small, 10, i);
  expect(all(small)).toEqual([
    [640, 10],
    [640, 10],
    [20, 10],
  ]);
  const large = new DatagramQueue(new SpareMemory());
  for (let i = 0; i < 4; i++) arrive(large, 30_000, i);
  expect(all(large)).toEqual([
    [60_000, 30_000],
    [60_000, 30_000],
  ]);
});

it("leaves alone what somebody has looked at", () => {
  const queue = new DatagramQueue(new SpareMemory());
  arrive(queue, 10, 1);
  queue.take(new Uint8Array(10), 0, 10, newDatagramInfo(), true);
  arrive(queue, 10, 2);
  arrive(queue, 10, 3);
  expect(all(queue)).toEqual([
    [10, 0],
    [20, 10],
  ]);
});

it("holds little memory when it is empty, whatever it held: all together, however many", () => {
  const spare = new SpareMemory();
  const queues = Array.from({ length: 20 }, () => new DatagramQueue(spare));
  const held = (): number => queues.reduce((sum, q) => sum + q.heldBytes, 0);
  const out = newDatagramInfo();
  const dst = new Uint8Array(1_000);
  for (const count of [1_000, 1_000, 1]) {
    for (const queue of queues) {
      for (let i = 0; i < count; i++) {
        queue.put(new Uint8Array(1_000).fill(i), 0, 1_000, FROM, i, TO, 1, 64, 0, i);
      }
      for (let i = 0; i < count; i++) {
        queue.take(dst, 0, 1_000, out, false);
        if (out.port !== i || dst[999] !== (i & 255)) throw new Error(`not datagram ${i}`);
      }
    }
    expect(held()).toBeLessThanOrEqual(8 * 1024 * 1024 + queues.length * 32 * 1024);
  }
  // What was kept is kept for whoever uses it, and given back.
  expect(held()).toBeGreaterThan(1024 * 1024);
  for (const queue of queues) queue.clear();
  expect(held()).toBe(0);
});

it("is peeked at from any byte on, wherever the ring begins; an empty datagram is seen once", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 20 }),
      fc.nat(5),
      fc.nat(20_000),
      fc.integer({ min: 1, max: 1000 }),
      (sizes, taken, skip, room) => {
        const queue = new DatagramQueue(new SpareMemory());
        const dst = new Uint8Array(1000);
        // The ring's ends are somewhere.
        for (let i = 0; i < taken; i++) {
          arrive(queue, 700, 0);
          queue.take(dst, 0, 700, newDatagramInfo(), false);
        }
        sizes.forEach((size, i) => {
          arrive(queue, size, i + 1, { port: i + 1 });
        });
        const out = newDatagramInfo();
        const n = queue.peekAt(skip, dst, 0, room, out);
        let left = skip;
        const at = sizes.findIndex((size) => {
          if (left < size) return true;
          left -= size;
          return false;
        });
        if (at < 0) expect(n).toBe(-1);
        else {
          expect([n, out.length, out.port]).toEqual([
            Math.min(room, sizes[at] - left),
            sizes[at],
            at + 1,
          ]);
          expect(dst.subarray(0, n).every((byte) => byte === at + 1)).toBe(true);
        }
        expect(queue.count).toBe(sizes.length);
      },
    ),
  );
  const queue = new DatagramQueue(new SpareMemory());
  arrive(queue, 0, 0);
  arrive(queue, 3, 5);
  const out = newDatagramInfo();
  expect([0, 0, 3].map((skip) => queue.peekAt(skip, new Uint8Array(9), 0, 9, out))).toEqual([
    0, 3, -1,
  ]);
});
