import fc from "fast-check";
import { expect, it } from "vitest";
import { slabWords } from "../../base/slab.ts";
import { IpAddr } from "../ip-addr.ts";
import { checksum, pseudoSum, sum16, updateChecksum } from "./checksum.ts";

/** RFC 1071 4.1, word by word. */
function reference(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += (i & 1) === 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

it("adds up RFC 1071's example", () => {
  expect(sum16(new Uint8Array([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0, 8)).toBe(
    0xddf2,
  );
});

it("agrees with the definition at any offset, alignment and length", () => {
  const bytes = fc.uint8Array({ minLength: 200, maxLength: 2000 });
  fc.assert(
    fc.property(bytes, fc.nat(9), fc.nat(150), fc.nat(2000), (b, base, offset, wanted) => {
      const view = b.subarray(base);
      const length = Math.min(wanted, view.length - offset);
      const piece = view.slice(offset, offset + length);
      expect(sum16(view, offset, length)).toBe(reference(piece));
      // In two pieces, the first of even length.
      const cut = (length >> 1) & ~1;
      const first = sum16(view, offset, cut);
      expect(sum16(view, offset + cut, length - cut, first)).toBe(reference(piece));
    }),
  );
});

it("agrees with itself in the slab", () => {
  // Somebody's block: it gets its bytes back.
  const at = 4096;
  const block = new Uint8Array(slabWords.buffer, at, 2100);
  const before = block.slice();
  const bytes = fc.uint8Array({ minLength: 200, maxLength: 2000 });
  fc.assert(
    fc.property(bytes, fc.nat(99), fc.nat(150), fc.nat(2000), (b, base, offset, wanted) => {
      block.fill(0xff);
      block.set(b, base);
      const length = Math.min(wanted, b.length - offset);
      expect(sum16(block, base + offset, length, 7, at)).toBe(sum16(b, offset, length, 7));
    }),
  );
  block.set(before);
});

it("does not overflow on the largest packet", () => {
  const ones = new Uint8Array(65_536).fill(0xff);
  expect(sum16(ones, 0, 65_535)).toBe(reference(ones.subarray(0, 65_535)));
});

it("updates a field as if it had been computed anew", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), fc.nat(0xffff), (b, word) => {
      b[10] = b[11] = 0;
      // All zero is the one case where two representations of zero meet (RFC 1624 2).
      fc.pre(b.some((v) => v !== 0) && word !== 0);
      const before = checksum(b, 0, 20);
      const old = (b[4] << 8) | b[5];
      b[4] = word >>> 8;
      b[5] = word;
      expect(updateChecksum(before, old, word)).toBe(checksum(b, 0, 20));
    }),
  );
});

it("sums the pseudo header of both families", () => {
  const v4 = pseudoSum(IpAddr.v4(10, 0, 0, 1), IpAddr.v4(10, 0, 0, 2), 17, 8);
  expect(v4).toBe(reference(new Uint8Array([10, 0, 0, 1, 10, 0, 0, 2, 0, 17, 0, 8])));
  const bytes = new Uint8Array(40);
  bytes.set([0xfd, 0, 0, 1], 0);
  bytes.set([0xfd, 0, 0, 2], 16);
  bytes.set([0, 0, 0, 100, 0, 0, 0, 6], 32);
  const src = new IpAddr().read(bytes, 0, 6);
  const dst = new IpAddr().read(bytes, 16, 6);
  expect(pseudoSum(src, dst, 6, 100)).toBe(reference(bytes));
});
