import fc from "fast-check";
import { expect, it } from "vitest";
import { IPV6, IpAddr } from "../../netstack/index.ts";
import { PrintedText } from "./printed-text.ts";

const printed = (put: (text: PrintedText) => void): string => {
  const text = new PrintedText();
  put(text);
  return text.textFrom(0);
};

it("prints whole numbers of 32 bits as JavaScript does", () => {
  const edges = Array.from({ length: 10 }, (_, n) => [10 ** n, 10 ** n - 1]).flat();
  const numbers = fc.oneof(
    fc.nat(0xffffffff),
    fc.constantFrom(...edges, 0x7fffffff, 0x80000000, 0xffffffff),
  );
  fc.assert(
    fc.property(numbers, fc.nat(12), (value, digits) => {
      expect(printed((t) => t.putNumber(value))).toBe(String(value));
      expect(printed((t) => t.putPadded(value, digits))).toBe(String(value).padStart(digits, "0"));
    }),
    { numRuns: 2_000 },
  );
});

it("prints addresses as their own text, whichever it printed before", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.array(fc.nat(3), { minLength: 16, maxLength: 16 }).map((list) => Uint8Array.from(list)),
  );
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 20 }), fc.integer(), (list, word) => {
      for (const b of [...list, ...list]) {
        const addr = new IpAddr().read(b, 0, IPV6);
        expect(printed((t) => t.putIpv6(addr))).toBe(addr.toString());
      }
      expect(printed((t) => t.putIpv4(word))).toBe(new IpAddr().setV4(word).toString());
    }),
  );
});

it("grows to what is printed", () => {
  const piece = "0123456789".repeat(700);
  const text = new PrintedText();
  for (let i = 0; i < 10; i++) {
    text.put(piece);
    text.putByte(0x41);
    text.putNumber(4_294_967_295);
  }
  expect(text.textFrom(0)).toBe(`${piece}A4294967295`.repeat(10));
  expect(text.textFrom(70_000)).toBe(`${piece}A4294967295`.repeat(10).slice(70_000));
});
