import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MD5_BYTES, Md5 } from "./md5.ts";

const bytesOf = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));

function digest(...pieces: Uint8Array[]): string {
  const md5 = new Md5().begin();
  for (const piece of pieces) md5.add(piece, 0, piece.length);
  const out = new Uint8Array(MD5_BYTES);
  md5.end(out, 0);
  return [...out].map((b) => b.toString(16).padStart(2, "0")).join("");
}

describe("MD5", () => {
  it.each([
    ["", "d41d8cd98f00b204e9800998ecf8427e"],
    ["a", "0cc175b9c0f1b6a831c399e269772661"],
    ["abc", "900150983cd24fb0d6963f7d28e17f72"],
    ["message digest", "f96b697d7cb7938d525a2f31aaf161d0"],
    ["abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"],
    [
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
      "d174ab98d277d9f5a5611c2c9f419d9f",
    ],
    [
      "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
      "57edf4a22be3c955ac49da2e2107b67a",
    ],
  ])("RFC 1321 A.5: %j", (text, want) => {
    expect(digest(bytesOf(text))).toBe(want);
  });

  it("does not care how the message is cut", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), fc.nat(300), (bytes, i, j) => {
        const [a, b] = [Math.min(i, j, bytes.length), Math.min(Math.max(i, j), bytes.length)];
        const cut = [bytes.slice(0, a), bytes.slice(a, b), bytes.slice(b)];
        expect(digest(...cut)).toBe(digest(bytes));
      }),
    );
  });
});
