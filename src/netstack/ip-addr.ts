// An IP address of either family as four 32-bit words; IPv4 is held IPv4-mapped (::ffff:a.b.c.d), so
// hashing, comparing and demultiplexing know one form. Mutable, because packets reuse theirs:
// whoever keeps an address past the call copies it (clone or set).

import { i32, setU32 } from "../base/bytes.ts";

export const IPV4 = 4;
export const IPV6 = 6;
export type Family = typeof IPV4 | typeof IPV6;

const MAPPED = 0xffff;

export class IpAddr {
  w0 = 0;
  w1 = 0;
  w2 = 0;
  w3 = 0;

  static v4(a: number, b: number, c: number, d: number): IpAddr {
    return new IpAddr().setV4((a << 24) | (b << 16) | (c << 8) | d);
  }

  get isV4(): boolean {
    return this.w2 === MAPPED && this.w0 === 0 && this.w1 === 0;
  }
  get family(): Family {
    return this.isV4 ? IPV4 : IPV6;
  }
  /** The IPv4 word (int32). Precondition: isV4. */
  get v4(): number {
    return this.w3;
  }

  setV4(word: number): this {
    this.w0 = 0;
    this.w1 = 0;
    this.w2 = MAPPED;
    this.w3 = word | 0;
    return this;
  }
  set(other: IpAddr): this {
    this.w0 = other.w0;
    this.w1 = other.w1;
    this.w2 = other.w2;
    this.w3 = other.w3;
    return this;
  }
  /** Reads 4 (IPv4) or 16 (IPv6) bytes in network order. */
  read(bytes: Uint8Array, offset: number, family: Family): this {
    if (family === IPV4) return this.setV4(i32(bytes, offset));
    this.w0 = i32(bytes, offset);
    this.w1 = i32(bytes, offset + 4);
    this.w2 = i32(bytes, offset + 8);
    this.w3 = i32(bytes, offset + 12);
    return this;
  }
  /** Writes 4 (IPv4) or 16 bytes. */
  write(bytes: Uint8Array, offset: number, family: Family): void {
    if (family === IPV4) {
      setU32(bytes, offset, this.w3);
      return;
    }
    setU32(bytes, offset, this.w0);
    setU32(bytes, offset + 4, this.w1);
    setU32(bytes, offset + 8, this.w2);
    setU32(bytes, offset + 12, this.w3);
  }
  clone(): IpAddr {
    return new IpAddr().set(this);
  }
  equals(other: IpAddr): boolean {
    return (
      this.w3 === other.w3 && this.w2 === other.w2 && this.w1 === other.w1 && this.w0 === other.w0
    );
  }
  /** 0.0.0.0 or ::. */
  get isUnspecified(): boolean {
    return this.w3 === 0 && this.w0 === 0 && this.w1 === 0 && (this.w2 === 0 || this.w2 === MAPPED);
  }
  /** 127.0.0.0/8 or ::1. */
  get isLoopback(): boolean {
    if (this.isV4) return this.w3 >>> 24 === 127;
    return this.w0 === 0 && this.w1 === 0 && this.w2 === 0 && this.w3 === 1;
  }
  /** 224.0.0.0/4 or ff00::/8. */
  get isMulticast(): boolean {
    return this.isV4 ? this.w3 >>> 28 === 0xe : this.w0 >>> 24 === 0xff;
  }
  /** 255.255.255.255. */
  get isLimitedBroadcast(): boolean {
    return this.isV4 && this.w3 === -1;
  }

  toString(): string {
    if (this.isV4) {
      const w = this.w3;
      return `${w >>> 24}.${(w >>> 16) & 255}.${(w >>> 8) & 255}.${w & 255}`;
    }
    return formatV6([this.w0, this.w1, this.w2, this.w3]);
  }
}

/** RFC 5952: lower case, the longest run of two or more zero groups (the first of equals) as "::". */
function formatV6(words: readonly number[]): string {
  const groups: number[] = [];
  for (const w of words) groups.push(w >>> 16, w & 0xffff);
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let j = i;
    while (j < 8 && groups[j] === 0) j++;
    if (j - i > bestLength) {
      best = i;
      bestLength = j - i;
    }
    if (j > i) i = j;
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(":");
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}
