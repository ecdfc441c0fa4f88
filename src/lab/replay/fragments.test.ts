import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IpAddr } from "../../netstack/index.ts";
import { PROTO_UDP } from "../drill/frame.ts";
import { Fragments } from "./fragments.ts";
import type { IpPacket } from "./ip-packet.ts";

const CONTENT = Uint8Array.from({ length: 100 }, (_, i) => i);

/** CONTENT[from, to). */
function part(from: number, to: number, lost = 0): IpPacket {
  return {
    src: IpAddr.v4(10, 0, 0, 1),
    dst: IpAddr.v4(10, 0, 0, 2),
    tos: from,
    ttl: 64,
    protocol: PROTO_UDP,
    bytes: CONTENT.slice(from, to - lost),
    length: to - from,
    cuts: null,
    isDamaged: false,
  };
}

function adder(fragments = new Fragments()) {
  return (from: number, to: number, { id = 1, lost = 0 } = {}) =>
    fragments.add(part(from, to, lost), id, from, to < CONTENT.length, PROTO_UDP);
}

describe("fragments", () => {
  it("give the whole packet in any order, and say how and in which order it was cut", () => {
    const pieces = fc.shuffledSubarray(["0-24", "24-48", "48-88", "88-100"], { minLength: 4 });
    fc.assert(
      fc.property(pieces, (order) => {
        const add = adder();
        const ranges = order.map((range) => range.split("-").map(Number));
        const results = ranges.map(([from, to]) => add(from, to));
        expect(results.slice(0, -1)).toEqual([null, null, null]);
        const whole = results[3];
        expect(whole?.bytes).toEqual(CONTENT);
        expect(whole?.length).toBe(CONTENT.length);
        expect(whole?.cuts).toEqual(ranges.map(([at, to]) => ({ offset: at, length: to - at })));
        // Its header is the first fragment's (RFC 791 3.2).
        expect(whole?.tos).toBe(0);
      }),
    );
  });

  it("that come twice count once", () => {
    const add = adder();
    expect([add(0, 48), add(0, 48)]).toEqual([null, null]);
    expect(add(48, 100)?.cuts).toHaveLength(2);
  });

  it("that overlap spoil their packet, and not the next one with their number", () => {
    const add = adder();
    expect([add(0, 48), add(40, 100)]).toEqual([null, null]);
    expect(add(0, 48)).toBeNull();
    expect(add(48, 100)?.bytes).toEqual(CONTENT);
  });

  it("of other packets do not mix", () => {
    const add = adder();
    expect([add(0, 48, { id: 1 }), add(48, 100, { id: 2 })]).toEqual([null, null]);
    expect(add(0, 48, { id: 2 })?.bytes).toEqual(CONTENT);
    expect(add(48, 100, { id: 1 })?.bytes).toEqual(CONTENT);
  });

  it("that the capture cut off, or that reach beyond any packet, are none", () => {
    const add = adder();
    expect(add(0, 48, { lost: 8 })).toBeNull();
    expect(add(48, 100)).toBeNull();
    const beyond = { ...part(0, 48) };
    expect(new Fragments().add(beyond, 1, 65_528, false, PROTO_UDP)).toBeNull();
  });

  it("are waited for by so many packets only: the oldest is forgotten", () => {
    const add = adder();
    for (let id = 0; id <= 256; id++) add(0, 48, { id });
    expect(add(48, 100, { id: 256 })?.bytes).toEqual(CONTENT);
    expect(add(48, 100, { id: 1 })?.bytes).toEqual(CONTENT);
    expect(add(48, 100, { id: 0 })).toBeNull();
  });
});
