// The long campaign of the attacks: any bytes as frames, a million spoofed SYNs, a hundred thousand fragments
// that never become whole. NETCELL_RUNS and NETCELL_SEED as in tcp-properties.test.ts.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SECOND } from "../../src/base/clock.ts";
import { Arena } from "../../src/netstack/attacks/testing.ts";
import { ip4, PORT, segment, stranger } from "../../src/netstack/attacks/testing-frames.ts";

const numRuns = 100 * Number(process.env.NETCELL_RUNS ?? 2_000);
const seed = Number(process.env.NETCELL_SEED ?? Date.now() | 0);

/** What must hold at every moment. */
function check({ victim, limits, nic }: Arena): void {
  const most: [number, number][] = [
    [victim.fragments.bytesHeld, limits.reassemblyBytes],
    [victim.fragments6.bytesHeld, limits.reassemblyBytes],
    [nic.neighbors.size, limits.neighborEntries],
    [nic.neighbors6.size, limits.neighborEntries],
    [victim.tcp.context.halfOpenCount, limits.halfOpenConnections],
    [victim.tcp.context.rings.usedBytes, 1.25 * limits.socketMemoryBytes],
    [victim.routes.entries.length, limits.routes],
  ];
  for (const [is, most_] of most) if (is > most_) throw new Error(`${is} of ${most_}`);
}

describe("any bytes", () => {
  it(`${numRuns} frames, seed ${seed}: none throws, none holds more than the quota`, () => {
    const arena = new Arena({ ipv6: { mode: "auto" } });
    const honest = arena.connect(arena.listen());
    arena.isRecording = false;
    const head = fc.constantFrom<readonly number[]>(
      [],
      [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0],
      [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60],
      [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60],
      [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0],
    );
    const raw = fc
      .tuple(head, fc.uint8Array({ maxLength: 400 }))
      .map(([h, b]) => Uint8Array.from([...h, ...b]));
    const tcp = fc
      .record({
        sport: fc.nat(65_535),
        dport: fc.constantFrom(PORT, 9),
        flags: fc.nat(255),
        seq: fc.integer(),
        ack: fc.integer(),
        urgent: fc.nat(65_535),
        window: fc.nat(65_535),
        options: fc.uint8Array({ maxLength: 40 }).map((o) => [...o.subarray(0, o.length & ~3)]),
        data: fc.uint8Array({ maxLength: 100 }),
      })
      .map((o) => segment(o));
    let n = 0;
    fc.assert(
      fc.property(fc.oneof(raw, tcp), (frame) => {
        arena.inject(frame);
        check(arena);
        if (++n % 5_000 === 0) honest.livesOn(5_000);
      }),
      { numRuns, seed },
    );
    arena.run(100 * SECOND);
    expect(arena.victim.fragments.bytesHeld + arena.victim.fragments6.bytesHeld).toBe(0);
  });
});

describe("floods at their full size", () => {
  it("a million spoofed SYNs: fixed memory, and an honest connection lives on", () => {
    const arena = new Arena();
    const honest = arena.connect(arena.listen(PORT, 1_024));
    arena.isRecording = false;
    for (let n = 0; n < 1_000_000; n++) {
      arena.inject(segment({ src: stranger(n), sport: 1 + (n >> 16), seq: n }));
      if (n % 10_000 === 0) check(arena);
      if (n % 100_000 === 0) honest.livesOn(10_000);
    }
    honest.livesOn();
  });

  it("a hundred thousand first fragments: bounded bytes", () => {
    const arena = new Arena();
    const honest = arena.connect(arena.listen());
    for (let n = 0; n < 100_000; n++) {
      arena.inject(ip4(new Uint8Array(8), { src: stranger(n), id: n & 0xffff, more: true }));
      if (n % 1_000 === 0) check(arena);
    }
    honest.livesOn();
    arena.run(31 * SECOND);
    expect(arena.victim.fragments.bytesHeld).toBe(0);
  });
});
