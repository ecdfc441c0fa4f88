// Macs over Node's crypto (OpenSSL): HMAC with the digests that Linux's crypto API knows by these names, and CMAC
// (RFC 4493) made of CBC. The module is loaded when the first key is set: few programs set one, and loading takes
// milliseconds of a start. measured: 4 us for a message of 60 bytes, 6 us for one of 1500 (Node 20, a busy machine).

import type { MacAlgorithm, Macs } from "../../base/macs.ts";

type Crypto = typeof import("node:crypto");

const load = (): Crypto => process.getBuiltinModule("node:crypto");

/** Linux's name of the digest, OpenSSL's, bytes. */
const DIGESTS: readonly (readonly [string, string, number])[] = [
  ["md5", "md5", 16],
  ["sha1", "sha1", 20],
  ["sha224", "sha224", 28],
  ["sha256", "sha256", 32],
  ["sha384", "sha384", 48],
  ["sha512", "sha512", 64],
  ["sha3-224", "sha3-224", 28],
  ["sha3-256", "sha3-256", 32],
  ["sha3-384", "sha3-384", 48],
  ["sha3-512", "sha3-512", 64],
  ["rmd160", "ripemd160", 20],
  ["sm3", "sm3", 32],
];

class Hmac implements MacAlgorithm {
  readonly name: string;
  readonly macBytes: number;
  readonly #digest: string;
  readonly #crypto: Crypto;

  constructor(crypto: Crypto, name: string, digest: string, macBytes: number) {
    this.#crypto = crypto;
    this.name = `hmac(${name})`;
    this.#digest = digest;
    this.macBytes = macBytes;
  }

  takesKeyOf(): boolean {
    return true;
  }

  mac(key: Uint8Array, message: Uint8Array, length: number, out: Uint8Array): void {
    const made = this.#crypto.createHmac(this.#digest, key);
    out.set(made.update(message.subarray(0, length)).digest());
  }
}

const BLOCK_BYTES = 16;
const ZERO = new Uint8Array(BLOCK_BYTES);

/** RFC 4493 2.3: times x in GF(2^128). */
function doubled(block: Uint8Array): Uint8Array {
  const out = block.map((byte, i) => (byte << 1) | ((block[i + 1] ?? 0) >>> 7));
  if (block[0] >= 0x80) out[BLOCK_BYTES - 1] ^= 0x87;
  return out;
}

class AesCmac implements MacAlgorithm {
  readonly name = "cmac(aes)";
  readonly macBytes = BLOCK_BYTES;
  readonly #crypto: Crypto;
  #padded = new Uint8Array(2_048);
  /** K1 of each key (RFC 4493 2.3): a key's bytes never change. */
  readonly #subkeys = new WeakMap<Uint8Array, Uint8Array>();

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  takesKeyOf(bytes: number): boolean {
    return bytes === 16 || bytes === 24 || bytes === 32;
  }

  /** The last block of CBC over the message, into which a subkey has been mixed at its end. */
  mac(key: Uint8Array, message: Uint8Array, length: number, out: Uint8Array): void {
    const blocks = Math.max(1, Math.ceil(length / BLOCK_BYTES));
    const bytes = blocks * BLOCK_BYTES;
    if (this.#padded.length < bytes) this.#padded = new Uint8Array(2 * bytes);
    const padded = this.#padded;
    padded.set(message.subarray(0, length));
    padded.fill(0, length, bytes);
    let subkey = this.#subkey(key);
    if (length < bytes) {
      padded[length] = 0x80;
      subkey = doubled(subkey);
    }
    for (let i = 0; i < BLOCK_BYTES; i++) padded[bytes - BLOCK_BYTES + i] ^= subkey[i];
    out.set(this.#cbc(key, padded.subarray(0, bytes)).subarray(bytes - BLOCK_BYTES));
  }

  #subkey(key: Uint8Array): Uint8Array {
    let made = this.#subkeys.get(key);
    if (made === undefined) {
      made = doubled(this.#cbc(key, ZERO));
      this.#subkeys.set(key, made);
    }
    return made;
  }

  #cbc(key: Uint8Array, plain: Uint8Array): Uint8Array {
    const cipher = this.#crypto.createCipheriv(`aes-${8 * key.length}-cbc`, key, ZERO);
    return cipher.setAutoPadding(false).update(plain);
  }
}

export class NodeMacs implements Macs {
  readonly #made = new Map<string, MacAlgorithm>();

  find(name: string): MacAlgorithm | null {
    const known = this.#made.get(name);
    if (known !== undefined) return known;
    const made = this.#make(name);
    if (made !== null) this.#made.set(name, made);
    return made;
  }

  #make(name: string): MacAlgorithm | null {
    if (name === "cmac(aes)") return new AesCmac(load());
    for (const [digest, openssl, bytes] of DIGESTS) {
      if (name === `hmac(${digest})`) return tried(new Hmac(load(), digest, openssl, bytes));
    }
    return null;
  }
}

/** A build of OpenSSL, or its rules (FIPS), may refuse a digest: then there is none, and no surprise with a segment. */
function tried(made: MacAlgorithm): MacAlgorithm | null {
  try {
    made.mac(ZERO, ZERO, ZERO.length, new Uint8Array(made.macBytes));
    return made;
  } catch {
    return null;
  }
}
