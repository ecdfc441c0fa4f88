// One frame while it is being decoded: the bytes, how far they may be read, and the text that grows (its base). Reading
// past the end throws TRUNCATED, which the layer that is being decoded turns into its mark ([|tcp]); nothing
// else is thrown, and nothing leaves FrameDecoder.

import { i32, u16, u32 } from "../../base/bytes.ts";
import { type Family, IPV4, IPV6, IpAddr } from "../../netstack/index.ts";
import { ipv6Text, PrintedText } from "./printed-text.ts";

/** The one exception of decoding: thrown without a stack, caught by decode.ts. */
export const TRUNCATED = { name: "TRUNCATED" } as const;

/** What `--json` gives of one layer: field names as the protocols' own documents have them. */
export interface DecodedLayer {
  protocol: string;
  [field: string]: unknown;
}

const scratch = new IpAddr();

export class Dissection extends PrintedText {
  bytes: Uint8Array = new Uint8Array(0);
  /** First byte that may not be read: the capture's end, or the enclosing layer's if that is nearer. */
  end = 0;
  /** Whose mark is printed when bytes run out. */
  protocol = "";
  /** 0 to 3, as -v to -vvv. */
  verbosity = 0;
  layers: DecodedLayer[] | null = null;

  begin(bytes: Uint8Array, offset: number, length: number, verbosity: number): void {
    this.bytes = bytes;
    this.end = offset + length;
    this.protocol = "";
    this.verbosity = verbosity;
  }

  /** Adds a layer to the fields, when anyone wants them. */
  layer(protocol: string, fields: Record<string, unknown>): void {
    this.layers?.push({ protocol, ...fields });
  }
  get wantsFields(): boolean {
    return this.layers !== null;
  }

  need(at: number, count: number): void {
    if (at + count > this.end) throw TRUNCATED;
  }
  has(at: number, count: number): boolean {
    return at + count <= this.end;
  }
  u8(at: number): number {
    if (at + 1 > this.end) throw TRUNCATED;
    return this.bytes[at];
  }
  u16(at: number): number {
    if (at + 2 > this.end) throw TRUNCATED;
    return u16(this.bytes, at);
  }
  u32(at: number): number {
    if (at + 4 > this.end) throw TRUNCATED;
    return u32(this.bytes, at);
  }

  address(at: number, family: Family): string {
    this.need(at, family === IPV4 ? 4 : 16);
    if (family === IPV4) return ipv4Text(i32(this.bytes, at));
    return ipv6Text(scratch.read(this.bytes, at, IPV6));
  }
  putAddress(at: number, family: Family): void {
    this.need(at, family === IPV4 ? 4 : 16);
    if (family === IPV4) this.putIpv4(i32(this.bytes, at));
    else this.putIpv6(scratch.read(this.bytes, at, IPV6));
  }
  ipv4(at: number): string {
    return this.address(at, IPV4);
  }
  ipv6(at: number): string {
    return this.address(at, IPV6);
  }

  /** Two digits a byte, with `separator` between. */
  hex(at: number, count: number, separator = ""): string {
    this.need(at, count);
    let text = "";
    for (let i = 0; i < count; i++) {
      if (i > 0) text += separator;
      text += HEX[this.bytes[at + i]];
    }
    return text;
  }
  mac(at: number): string {
    return this.hex(at, 6, ":");
  }
  /** Two digits a byte, with colons between. */
  putMac(at: number, count = 6): void {
    this.need(at, count);
    for (let i = 0; i < count; i++) {
      if (i > 0) this.putByte(COLON);
      const byte = this.bytes[at + i];
      this.putByte(DIGITS.charCodeAt(byte >>> 4));
      this.putByte(DIGITS.charCodeAt(byte & 15));
    }
  }

  /** Bytes as characters, those that cannot be printed as ^X and M-X. */
  printable(at: number, count: number): string {
    this.need(at, count);
    let text = "";
    for (let i = 0; i < count; i++) text += printableByte(this.bytes[at + i]);
    return text;
  }
}

const ipv4Text = (word: number): string =>
  `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;

const COLON = 58;
const DIGITS = "0123456789abcdef";
const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

export const hex = (value: number, digits = 0): string =>
  (value >>> 0).toString(16).padStart(digits, "0");

export function printableByte(byte: number): string {
  const meta = byte >= 128 ? "M-" : "";
  const c = byte & 127;
  if (c < 32 || c === 127) return `${meta}^${String.fromCharCode(c ^ 64)}`;
  return meta + String.fromCharCode(c);
}

/** "a, b" of the bits that are set, or `none`. */
export function bits(
  value: number,
  names: readonly (readonly [number, string])[],
  none = "none",
  separator = ", ",
): string {
  const found = names.filter(([bit]) => (value & bit) !== 0).map(([, name]) => name);
  return found.length === 0 ? none : found.join(separator);
}

/** Bytes in groups of two, sixteen a line. */
export function dump(d: Dissection, at: number, length: number, indent: string): string {
  const there = Math.max(0, Math.min(length, d.end - at));
  let text = "";
  for (let i = 0; i < there; i++) {
    if (i % 16 === 0) text += `${indent}0x${hex(i, 4)}: `;
    if (i % 2 === 0) text += " ";
    text += d.hex(at + i, 1);
  }
  return text;
}
