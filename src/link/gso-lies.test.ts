// A TAP peer that lies in its virtio-net header (gso_size 0, csum_start past the end, types that are not
// what the frame is): either the header is refused, or what it says is harmless for the segmenter, for the
// stack, and for a switch that hands the frame on. Nothing throws, nothing grows.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { setU16Le } from "../base/bytes.ts";
import { ManualClock } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import { completeChecksum, IpAddr, PacketBuffer, Segmenter, Stack } from "../netstack/index.ts";
import { MemoryPair } from "./memory-pair.ts";
import { readVirtioNet, VNET_HEADER } from "./virtio-net.ts";

const A = IpAddr.v4(10, 0, 0, 1);

const frames = fc
  .tuple(
    fc.constantFrom(0x0800, 0x86dd, 0x0806, 0x1234),
    fc.constantFrom(6, 17, 1, 58),
    fc.uint8Array({ minLength: 0, maxLength: 400, size: "max" }),
    fc.boolean(),
  )
  .map(([type, protocol, bytes, honest]) => {
    const f = Uint8Array.from([
      2,
      0,
      0,
      0,
      0,
      1,
      2,
      0,
      0,
      0,
      0,
      2,
      type >> 8,
      type & 255,
      ...bytes,
    ]);
    if (honest && f.length >= 54) {
      f.set([0x45, 0, (f.length - 14) >> 8, f.length - 14, 0, 1, 0, 0, 64, protocol], 14);
      f.set([10, 0, 0, 2, 10, 0, 0, 1], 26);
      f[46] = 0x50;
    }
    return f;
  });
const header = fc.record({
  flags: fc.constantFrom(0, 1, 1, 1, 2, 3, 255),
  type: fc.constantFrom(0, 1, 1, 4, 4, 3, 5, 0x81, 255),
  headerBytes: fc.oneof(fc.nat(120), fc.constantFrom(0, 54, 65_535)),
  size: fc.oneof(fc.nat(2_000), fc.constantFrom(0, 1, 65_535)),
  start: fc.oneof(fc.nat(120), fc.constantFrom(34, 34, 54, 0, 65_535)),
  offset: fc.oneof(fc.nat(60), fc.constantFrom(6, 16, 16, 65_535)),
});

describe("virtio-net headers that lie", () => {
  it("are refused, or do no harm anywhere behind", () => {
    const clock = new ManualClock();
    const pair = new MemoryPair({ clock });
    const stack = new Stack({ clock, rng: new SeededRng(1), limits: DEFAULT_LIMITS });
    const nic = stack.attach(pair.a, { name: "eth0", addresses: [{ addr: A, prefixBits: 24 }] });
    const segmenter = new Segmenter();
    let taken = 0;
    fc.assert(
      fc.property(frames, header, (frame, h) => {
        const raw = new Uint8Array(VNET_HEADER);
        raw[0] = h.flags;
        raw[1] = h.type;
        const words = [h.headerBytes, h.size, h.start, h.offset];
        for (let i = 0; i < 4; i++) setU16Le(raw, 2 + 2 * i, words[i]);
        const receive = (): PacketBuffer | null => {
          const pkt = new PacketBuffer(2_048);
          pkt.reset();
          pkt.bytes.fill(0xee);
          pkt.bytes.set(frame, pkt.start);
          pkt.end = pkt.start + frame.length;
          return readVirtioNet(raw, 0, pkt) ? pkt : null;
        };
        const cut = receive();
        if (cut === null) return;
        taken++;
        if (cut.gsoType !== 0) {
          let pieces = 0;
          segmenter.each(cut, (piece) => {
            pieces++;
            expect(piece.length).toBeLessThanOrEqual(frame.length);
            return true;
          });
          // Each carries a byte at least.
          expect(pieces).toBeLessThanOrEqual(frame.length);
        }
        const forwarded = receive() as PacketBuffer;
        if (forwarded.checksumPartial) completeChecksum(forwarded);
        expect(forwarded.bytes[forwarded.end]).toBe(0xee);
        nic.deliver(receive() as PacketBuffer);
        pair.pump();
      }),
      { numRuns: 3_000, seed: 4 },
    );
    expect(taken).toBeGreaterThan(500);
    expect(nic.counters.rxPackets).toBe(taken);
  });
});
