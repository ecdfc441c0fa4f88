// Integers in byte arrays at an offset. No bounds checks: callers prove the length once
// (a typed array read past its end gives undefined, which `| 0` and `>>> 0` turn into 0, never a throw).
// Big-endian forms have no suffix (the network's order); little-endian forms end in Le (Linux on x86-64).

export const u8 = (b: Uint8Array, o: number): number => b[o];
export const u16 = (b: Uint8Array, o: number): number => (b[o] << 8) | b[o + 1];
export const u32 = (b: Uint8Array, o: number): number =>
  ((b[o] << 24) | (b[o + 1] << 16) | (b[o + 2] << 8) | b[o + 3]) >>> 0;
/** As u32, but signed: the form sequence numbers and IPv4 words are kept in. */
export const i32 = (b: Uint8Array, o: number): number =>
  (b[o] << 24) | (b[o + 1] << 16) | (b[o + 2] << 8) | b[o + 3];

export function setU8(b: Uint8Array, o: number, v: number): void {
  b[o] = v;
}
export function setU16(b: Uint8Array, o: number, v: number): void {
  b[o] = v >>> 8;
  b[o + 1] = v;
}
export function setU32(b: Uint8Array, o: number, v: number): void {
  b[o] = v >>> 24;
  b[o + 1] = v >>> 16;
  b[o + 2] = v >>> 8;
  b[o + 3] = v;
}

export const u16Le = (b: Uint8Array, o: number): number => b[o] | (b[o + 1] << 8);
export const i16Le = (b: Uint8Array, o: number): number => (u16Le(b, o) << 16) >> 16;
export const u32Le = (b: Uint8Array, o: number): number =>
  (b[o] | (b[o + 1] << 8) | (b[o + 2] << 16) | (b[o + 3] << 24)) >>> 0;
export const i32Le = (b: Uint8Array, o: number): number =>
  b[o] | (b[o + 1] << 8) | (b[o + 2] << 16) | (b[o + 3] << 24);
/** Unsigned 64-bit as a number: exact below 2^53, rounded above. */
export const u64Le = (b: Uint8Array, o: number): number =>
  u32Le(b, o) + u32Le(b, o + 4) * 0x1_0000_0000;
/** Signed 64-bit as a number: exact within +-2^53. */
export const i64Le = (b: Uint8Array, o: number): number =>
  u32Le(b, o) + i32Le(b, o + 4) * 0x1_0000_0000;

export function setU16Le(b: Uint8Array, o: number, v: number): void {
  b[o] = v;
  b[o + 1] = v >>> 8;
}
export function setU32Le(b: Uint8Array, o: number, v: number): void {
  b[o] = v;
  b[o + 1] = v >>> 8;
  b[o + 2] = v >>> 16;
  b[o + 3] = v >>> 24;
}
/** Writes a number in [-2^63, 2^64) in two's complement; exact for safe integers. */
export function setU64Le(b: Uint8Array, o: number, v: number): void {
  const hi = Math.floor(v / 0x1_0000_0000);
  setU32Le(b, o, v - hi * 0x1_0000_0000);
  setU32Le(b, o + 4, hi);
}

/** Text kept one byte per UTF-16 unit (latin1): how the Sentry holds every path, name and argument. */
export type ByteString = string;

export function byteString(b: Uint8Array, o: number, length: number): ByteString {
  let s = "";
  for (let i = o; i < o + length; i++) s += String.fromCharCode(b[i]);
  return s;
}

/** Writes the low byte of each unit; returns the count written. */
export function putByteString(b: Uint8Array, o: number, s: ByteString): number {
  for (let i = 0; i < s.length; i++) b[o + i] = s.charCodeAt(i);
  return s.length;
}

/** UTF-8 text to the byte string of its encoding (what crosses from JavaScript into the sandbox). */
export function utf8ToByteString(s: string): ByteString {
  // encodeURIComponent is the one UTF-8 encoder that the core library has without a host's types.
  return encodeURIComponent(s).replace(/%([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** UTF-8 bytes to text; what is not UTF-8 is taken byte for byte. */
export function utf8Text(b: Uint8Array, o: number, length: number): string {
  const text = byteString(b, o, length);
  try {
    return decodeURIComponent(
      text.replace(/[%\x80-\xff]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`),
    );
  } catch {
    return text; // not UTF-8
  }
}
