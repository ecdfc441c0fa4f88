import fc from "fast-check";
import { expect, it } from "vitest";
import type { DatagramInfo } from "../endpoints.ts";
import { IpAddr } from "../ip-addr.ts";
import { DatagramQueue } from "./datagram-queue.ts";

const info = (): DatagramInfo => ({
  addr: new IpAddr(),
  port: 0,
  localAddr: new IpAddr(),
  nicId: 0,
  ttl: 0,
  tos: 0,
  length: 0,
  timeNs: 0,
  segmentBytes: 0,
});

it("gives back what went in, in order, whatever the sizes", () => {
  const step = fc.oneof(
    fc.record({ put: fc.nat(3000) }),
    fc.record({ take: fc.nat(4000), peek: fc.boolean() }),
  );
  const addr = IpAddr.v4(10, 0, 0, 1);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const queue = new DatagramQueue();
      const model: Uint8Array[] = [];
      const dst = new Uint8Array(4001);
      const out = info();
      let port = 0;
      let firstPort = 0;
      for (const s of steps) {
        if ("put" in s) {
          const bytes = Uint8Array.from({ length: s.put }, (_, i) => i * 7 + s.put);
          queue.put(bytes, 0, bytes.length, addr, port++, addr, 1, 64, 0, port * 10);
          model.push(bytes);
        } else if (model.length > 0) {
          const n = queue.take(dst, 1, s.take, out, s.peek);
          expect(dst.slice(1, 1 + n)).toEqual(model[0].slice(0, s.take));
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
