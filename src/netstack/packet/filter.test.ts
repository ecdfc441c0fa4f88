import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NetErr } from "../net-error.ts";
import { type FilterPacket, SocketFilter } from "./filter.ts";

const frame = (bytes: Uint8Array): FilterPacket => ({
  bytes,
  start: 0,
  end: bytes.length,
  link: 0,
  network: 14,
  protocol: 0x0800,
  type: 0,
  nicId: 2,
  hardwareType: 1,
  vlan: 0,
});
const make = (...code: number[]): SocketFilter | number => SocketFilter.make(Int32Array.from(code));
const run = (packet: FilterPacket, ...code: number[]): number =>
  (make(...code) as SocketFilter).run(packet);

/** An IPv4 UDP datagram in Ethernet, options of `options` bytes in its IP header. */
function datagram(srcPort: number, dstPort: number, options = 0): Uint8Array {
  const b = new Uint8Array(14 + 20 + options + 8);
  b[12] = 8;
  b[14] = 0x45 + options / 4;
  b[23] = 17;
  const udp = 34 + options;
  b[udp] = srcPort >>> 8;
  b[udp + 1] = srcPort;
  b[udp + 2] = dstPort >>> 8;
  b[udp + 3] = dstPort;
  return b;
}

// What `tcpdump -ddd 'ip and udp dst port 53'` makes.
const UDP_DST_53 = [
  [40, 0, 0, 12],
  [21, 0, 8, 2048],
  [48, 0, 0, 23],
  [21, 0, 6, 17],
  [40, 0, 0, 20],
  [69, 4, 0, 8191],
  [177, 0, 0, 14],
  [72, 0, 0, 16],
  [21, 0, 1, 53],
  [6, 0, 0, 262144],
  [6, 0, 0, 0],
].flat();

describe("classic BPF", () => {
  it("runs what libpcap makes, over IP headers of any length", () => {
    expect(run(frame(datagram(4000, 53)), ...UDP_DST_53)).toBe(262_144);
    expect(run(frame(datagram(4000, 53, 12)), ...UDP_DST_53)).toBe(262_144);
    expect(run(frame(datagram(53, 4000)), ...UDP_DST_53)).toBe(0);
    expect(run(frame(datagram(1, 53).subarray(0, 20)), ...UDP_DST_53)).toBe(0);
  });

  it("counts in 32 bits without a sign", () => {
    const p = frame(new Uint8Array(20));
    // ld #-1; jgt #1 : an unsigned comparison
    expect(run(p, 0, 0, 0, -1, 0x25, 0, 1, 1, 6, 0, 0, 7, 6, 0, 0, 8)).toBe(7);
    // ld #-1; div #2; ret a
    expect(run(p, 0, 0, 0, -1, 0x34, 0, 0, 2, 0x16, 0, 0, 0)).toBe(0x7fff_ffff);
    // ld #3; neg; ret a
    expect(run(p, 0, 0, 0, 3, 0x84, 0, 0, 0, 0x16, 0, 0, 0)).toBe(0xffff_fffd);
    // ldx #0; ld #3; div x; ret a: division by zero drops the packet
    expect(run(p, 1, 0, 0, 0, 0, 0, 0, 3, 0x3c, 0, 0, 0, 0x16, 0, 0, 0)).toBe(0);
  });

  it("answers what is asked about a packet, and reads relative to its headers", () => {
    const p = frame(datagram(1, 2));
    // ld proto; ret a, and ld ifindex; ret a
    expect(run(p, 0x20, 0, 0, -0x1000, 0x16, 0, 0, 0)).toBe(0x0800);
    expect(run(p, 0x20, 0, 0, -0x1000 + 8, 0x16, 0, 0, 0)).toBe(2);
    // ldb [net + 9]; ret a
    expect(run(p, 0x30, 0, 0, -0x10_0000 + 9, 0x16, 0, 0, 0)).toBe(17);
    expect(run(p, 0x30, 0, 0, -0x30_0000, 0x16, 0, 0, 0)).toBe(0);
  });

  it("refuses what could loop, leave its memory or read what was not written", () => {
    const bad = NetErr.InvalidArgument;
    expect(make()).toBe(bad);
    expect(make(0, 0, 0, 1)).toBe(bad);
    expect(make(5, 0, 0, -1, 6, 0, 0, 0)).toBe(bad);
    expect(make(0x15, 200, 0, 1, 6, 0, 0, 0)).toBe(bad);
    expect(make(2, 0, 0, 16, 6, 0, 0, 0)).toBe(bad);
    expect(make(0x60, 0, 0, 3, 0x16, 0, 0, 0)).toBe(bad);
    expect(make(0x34, 0, 0, 0, 6, 0, 0, 0)).toBe(bad);
    // One way round the store: jeq #0 jumps over it.
    expect(make(0x15, 1, 0, 0, 2, 0, 0, 3, 0x60, 0, 0, 3, 0x16, 0, 0, 0)).toBe(bad);
    expect(make(2, 0, 0, 3, 0x60, 0, 0, 3, 0x16, 0, 0, 0)).not.toBe(bad);
  });

  it("ends, whatever program is accepted", () => {
    const codes = [
      0, 1, 2, 3, 4, 5, 6, 7, 0x15, 0x16, 0x20, 0x28, 0x30, 0x34, 0x40, 0x60, 0x87, 0xb1,
    ];
    const instruction = fc.tuple(
      fc.constantFrom(...codes),
      fc.nat(6),
      fc.nat(6),
      fc.oneof(fc.nat(20), fc.integer()),
    );
    const program = fc.array(instruction, { minLength: 1, maxLength: 12 });
    let accepted = 0;
    fc.assert(
      fc.property(program, fc.uint8Array({ maxLength: 60 }), (list, bytes) => {
        const made = make(...list.flat(), 6, 0, 0, 5);
        if (typeof made === "number") return;
        accepted++;
        expect(made.run(frame(bytes))).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 2000, seed: 7 },
    );
    expect(accepted).toBeGreaterThan(50);
  });
});
