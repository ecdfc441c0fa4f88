import { describe, expect, it } from "vitest";
import { NodeMacs } from "./node-macs.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

function mac(name: string, key: Uint8Array, message: Uint8Array, length = message.length): string {
  const algorithm = new NodeMacs().find(name);
  if (algorithm === null) return "none";
  const out = new Uint8Array(algorithm.macBytes);
  algorithm.mac(key, message, length, out);
  return Buffer.from(out).toString("hex");
}

describe("CMAC (RFC 4493 4, NIST SP 800-38B)", () => {
  const message = bytes(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" +
      "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
  );
  it.each([
    [0, "bb1d6929e95937287fa37d129b756746"],
    [16, "070a16b46b4d4144f79bdd9dd04a287c"],
    [40, "dfa66747de9ae63030ca32611497c827"],
    [64, "51f0bebf7e3b9d92fc49741779363cfe"],
  ])("of %i bytes", (length, expected) => {
    const key = bytes("2b7e151628aed2a6abf7158809cf4f3c");
    expect(mac("cmac(aes)", key, message, length)).toBe(expected);
  });

  it("with keys of 192 and 256 bits, and no others", () => {
    const key192 = bytes("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b");
    expect(mac("cmac(aes)", key192, message, 16)).toBe("9e99a7bf31e710900662f65e617c5184");
    const key256 = bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    expect(mac("cmac(aes)", key256, message, 40)).toBe("aaf3d8f1de5640c232f5b169b9c911e6");
    const takes = (n: number): boolean | undefined =>
      new NodeMacs().find("cmac(aes)")?.takesKeyOf(n);
    expect([0, 15, 16, 17, 24, 32, 33].map(takes)).toEqual([
      false,
      false,
      true,
      false,
      true,
      true,
      false,
    ]);
  });

  it("of messages of any length, one behind the other", () => {
    const cmac = new NodeMacs().find("cmac(aes)");
    const key = bytes("2b7e151628aed2a6abf7158809cf4f3c");
    const long = new Uint8Array(70_000).fill(7);
    const out = new Uint8Array(16);
    const seen = new Set<string>();
    for (const length of [70_000, 5, 2_048, 2_049, 0, 16]) {
      cmac?.mac(key, long, length, out);
      seen.add(Buffer.from(out).toString("hex"));
      // The longer one before it leaves nothing behind.
      expect(mac("cmac(aes)", key, long, length)).toBe(Buffer.from(out).toString("hex"));
    }
    expect(seen.size).toBe(6);
  });
});

describe("HMAC", () => {
  const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"));
  const message = ascii("what do ya want for nothing?");
  // RFC 2202 2 and 3, RFC 4231 4.3, RFC 2286 2.
  it.each([
    ["hmac(md5)", "750c783e6ab0b503eaa86e310a5db738"],
    ["hmac(sha1)", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"],
    ["hmac(rmd160)", "dda6c0213a485a9e24f4742064a7f033b43c4069"],
    ["hmac(sha224)", "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"],
    ["hmac(sha256)", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"],
  ])("%s", (name, expected) => {
    expect(mac(name, ascii("Jefe"), message)).toBe(expected);
  });

  it("of digests that nobody knows there is none", () => {
    for (const name of ["hmac(sha0)", "sha1", "hmac(sha1", "", "cmac(aes128)"]) {
      expect(mac(name, new Uint8Array(16), message)).toBe("none");
    }
  });
});
