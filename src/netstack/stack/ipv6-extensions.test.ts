import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  chainIsWhole,
  ExtensionWalk,
  WALK_DROP,
  WALK_FRAGMENT,
  WALK_PROBLEM,
  WALK_UPPER,
} from "./ipv6-extensions.ts";

const HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION = 60;
const UDP = 17;
const TCP = 6;

/** [type, body after the two first bytes] in order; each names the next. */
function packet(headers: readonly (readonly [number, number[]])[], upper = UDP): Uint8Array {
  const bytes = new Array<number>(40).fill(0);
  bytes[0] = 0x60;
  bytes[6] = headers[0]?.[0] ?? upper;
  headers.forEach(([type, body], i) => {
    const next = headers[i + 1]?.[0] ?? upper;
    const length = type === FRAGMENT ? 0 : (body.length + 2) / 8 - 1;
    bytes.push(next, length, ...body);
  });
  bytes.push(...new Array<number>(24).fill(0));
  return Uint8Array.from(bytes);
}

/** Six bytes: one option of this type without data, padded. */
const option = (type: number): number[] => [type, 0, 1, 2, 0, 0];

function walked(b: Uint8Array): { verdict: number; walk: ExtensionWalk } {
  const walk = new ExtensionWalk();
  return { verdict: walk.begin(b, 0, b.length), walk };
}

describe("a chain of extension headers", () => {
  it("leads to the upper layer, and remembers where its type stands", () => {
    const { verdict, walk } = walked(
      packet([
        [HOP, option(5)],
        [DESTINATION, option(0x1e)],
      ]),
    );
    expect([verdict, walk.next, walk.at, walk.nextField]).toEqual([WALK_UPPER, UDP, 56, 48]);
  });

  it("stops at a fragment header", () => {
    const { verdict, walk } = walked(
      packet([
        [DESTINATION, option(1)],
        [FRAGMENT, [0, 1, 0, 0, 0, 9]],
      ]),
    );
    expect([verdict, walk.at]).toEqual([WALK_FRAGMENT, 48]);
  });

  // RFC 8200 4.2: the two highest bits of an unknown option.
  // @rfc 8200 4.2
  it.each([
    [0x1e, WALK_UPPER, undefined],
    [0x5e, WALK_DROP, undefined],
    [0x9e, WALK_PROBLEM, true],
    [0xde, WALK_PROBLEM, false],
  ])("does with option %i as its type says", (type, expected, evenMulticast) => {
    const { verdict, walk } = walked(packet([[DESTINATION, option(type)]]));
    expect(verdict).toBe(expected);
    if (expected === WALK_PROBLEM) {
      expect([walk.code, walk.pointer, walk.evenMulticast]).toEqual([2, 42, evenMulticast]);
    }
  });

  // @rfc 8200 4.4
  it("refuses a routing header in use, also type 0, and passes over one used up", () => {
    const used = walked(packet([[ROUTING, [0, 1, 0, 0, 0, 0]]]));
    expect([used.verdict, used.walk.code, used.walk.pointer]).toEqual([WALK_PROBLEM, 0, 42]);
    expect(walked(packet([[ROUTING, [0, 0, 0, 0, 0, 0]]])).verdict).toBe(WALK_UPPER);
  });

  it("takes no source route of RPL or segment routing, used up or not", () => {
    for (const type of [3, 4]) {
      for (const left of [0, 1]) {
        const bytes = packet([[ROUTING, [type, left, 0, 0, 0, 0]]]);
        expect(walked(bytes).verdict).toBe(WALK_DROP);
      }
    }
  });

  it("takes padding for alignment, not for hiding", () => {
    const of = (options: number[]) => walked(packet([[DESTINATION, options]])).verdict;
    expect(of([0, 0, 0, 0, 0, 0])).toBe(WALK_UPPER);
    expect(of([1, 4, 0, 0, 0, 0])).toBe(WALK_UPPER);
    expect(of([1, 4, 0, 7, 0, 0])).toBe(WALK_DROP);
    expect(of([1, 4, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0])).toBe(WALK_DROP);
  });

  it("finds a fragment header that is cut off a problem, others not", () => {
    const cut = packet([[FRAGMENT, [0, 1, 0, 0, 0, 9]]]).subarray(0, 47);
    const { verdict, walk } = walked(cut);
    expect([verdict, walk.code, walk.pointer]).toEqual([WALK_PROBLEM, 0, 40]);
    expect(walked(packet([[DESTINATION, option(1)]]).subarray(0, 47)).verdict).toBe(WALK_DROP);
  });

  it("finds a second fragment header a problem", () => {
    const bytes = packet([
      [44, [0, 0, 0, 0, 0, 1]],
      [44, [0, 0, 0, 0, 0, 2]],
    ]);
    const walk = new ExtensionWalk();
    expect(walk.begin(bytes, 0, bytes.length)).toBe(WALK_FRAGMENT);
    walk.skipFragment(bytes);
    expect(walk.resume(bytes, 0, bytes.length)).toBe(WALK_PROBLEM);
    expect([walk.code, walk.pointer]).toEqual([0, 48]);
  });

  // @rfc 8200 4a
  it("takes hop-by-hop options in the first place only", () => {
    const { verdict, walk } = walked(
      packet([
        [DESTINATION, option(1)],
        [HOP, option(1)],
      ]),
    );
    expect([verdict, walk.code, walk.pointer]).toEqual([WALK_PROBLEM, 1, 40]);
  });

  it("gives up on many headers, many options, and lengths beyond the packet", () => {
    const many = new Array(9).fill([DESTINATION, option(1)] as const);
    expect(walked(packet(many)).verdict).toBe(WALK_DROP);
    expect(walked(packet(many.slice(1))).verdict).toBe(WALK_UPPER);
    const options = new Array(11).fill([0x1e, 0]).flat();
    expect(walked(packet([[DESTINATION, options]])).verdict).toBe(WALK_DROP);
    const long = packet([[DESTINATION, option(1)]]);
    long[41] = 200;
    expect(walked(long).verdict).toBe(WALK_DROP);
    const optionBeyond = packet([[DESTINATION, [0x1e, 99, 0, 0, 0, 0]]]);
    expect(walked(optionBeyond).verdict).toBe(WALK_DROP);
  });

  it("is bounded and stays inside for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 40, maxLength: 200 }), (b) => {
        const { walk, verdict } = walked(b);
        expect(verdict).toBeLessThanOrEqual(WALK_PROBLEM);
        expect(walk.at).toBeLessThanOrEqual(b.length);
      }),
    );
  });
});

describe("a first fragment (RFC 7112)", () => {
  it.each([
    [TCP, 20, true],
    [TCP, 19, false],
    [UDP, 8, true],
    [UDP, 7, false],
  ])("with protocol %i and %i bytes is whole: %s", (protocol, length, whole) => {
    expect(chainIsWhole(new Uint8Array(length), 0, length, protocol)).toBe(whole);
  });
  it("needs the options before the upper layer too", () => {
    const b = new Uint8Array(32);
    b[0] = TCP;
    expect(chainIsWhole(b, 0, 28, DESTINATION)).toBe(true);
    expect(chainIsWhole(b, 0, 27, DESTINATION)).toBe(false);
  });
});
