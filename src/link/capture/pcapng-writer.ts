// Writes pcapng files (draft-ietf-opsawg-pcapng), little-endian, times in nanoseconds: sections, interfaces,
// packets with direction and comment, names, statistics, secrets, custom blocks.

import { putByteString, setU16Le, setU32Le, setU64Le, utf8ToByteString } from "../../base/bytes.ts";
import type { SinkBuffer } from "./byte-sink.ts";
import {
  BLOCK_CUSTOM,
  BLOCK_INTERFACE,
  BLOCK_NAMES,
  BLOCK_PACKET,
  BLOCK_SECRETS,
  BLOCK_SECTION,
  BLOCK_STATISTICS,
} from "./pcapng-blocks.ts";
import { OPTION_COMMENT, OPTION_END } from "./pcapng-options.ts";

const BLOCK_FRAME = 12;
const OPTION_HEADER = 4;
/** An option's length has 16 bits. */
const TEXT_BYTES_MAX = 65_535;

const padded = (length: number): number => (length + 3) & ~3;

export interface SectionTexts {
  comment?: string;
  hardware?: string;
  os?: string;
  application?: string;
}

export interface InterfaceTexts {
  linkType: number;
  snapBytes: number;
  name?: string;
  description?: string;
  comment?: string;
}

/** One option: a code and either text or bytes. */
interface Option {
  code: number;
  bytes: string;
}

export class PcapngWriter {
  readonly #buffer: SinkBuffer;

  constructor(buffer: SinkBuffer) {
    this.#buffer = buffer;
  }

  section(texts: SectionTexts = {}): void {
    const options = [
      text(OPTION_COMMENT, texts.comment),
      text(2, texts.hardware),
      text(3, texts.os),
      text(4, texts.application),
    ].filter((option) => option !== null);
    const at = this.#begin(BLOCK_SECTION, 16, options);
    const b = this.#buffer.bytes;
    setU32Le(b, at, 0x1a2b3c4d);
    setU16Le(b, at + 4, 1);
    setU16Le(b, at + 6, 0);
    // Section length unknown: -1.
    b.fill(0xff, at + 8, at + 16);
  }

  interface(about: InterfaceTexts): void {
    const options = [
      text(OPTION_COMMENT, about.comment),
      text(2, about.name),
      text(3, about.description),
      // if_tsresol: 10^-9 s.
      { code: 9, bytes: "\t" },
    ].filter((option) => option !== null);
    const at = this.#begin(BLOCK_INTERFACE, 8, options);
    const b = this.#buffer.bytes;
    setU16Le(b, at, about.linkType);
    setU16Le(b, at + 2, 0);
    setU32Le(b, at + 4, about.snapBytes);
  }

  /** One frame of bytes[offset, offset + length), `original` bytes long on the wire. Direction 0 is unknown. */
  packet(
    interfaceId: number,
    realtimeNs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    original: number,
    direction: number,
    comment: string,
  ): void {
    const note = comment === "" ? "" : utf8ToByteString(comment).slice(0, TEXT_BYTES_MAX);
    const noteBytes = note === "" ? 0 : OPTION_HEADER + padded(note.length);
    const flagBytes = direction === 0 ? 0 : 8;
    const optionBytes = noteBytes + flagBytes === 0 ? 0 : noteBytes + flagBytes + OPTION_HEADER;
    const body = 20 + padded(length) + optionBytes;
    const total = body + BLOCK_FRAME;
    const at = this.#buffer.reserve(total);
    const b = this.#buffer.bytes;
    const high = Math.floor(realtimeNs / 0x1_0000_0000);
    setU32Le(b, at, BLOCK_PACKET);
    setU32Le(b, at + 4, total);
    setU32Le(b, at + 8, interfaceId);
    setU32Le(b, at + 12, high);
    setU32Le(b, at + 16, realtimeNs - high * 0x1_0000_0000);
    setU32Le(b, at + 20, length);
    setU32Le(b, at + 24, original);
    b.set(bytes.subarray(offset, offset + length), at + 28);
    b.fill(0, at + 28 + length, at + total - 4);
    let o = at + 28 + padded(length);
    if (noteBytes > 0) o = putOption(b, o, OPTION_COMMENT, note);
    if (flagBytes > 0) {
      // epb_flags: bits 0-1 are the direction.
      setU16Le(b, o, 2);
      setU16Le(b, o + 2, 4);
      setU32Le(b, o + 4, direction);
    }
    setU32Le(b, at + total - 4, total);
  }

  /** `address`: 4 or 16 bytes. */
  names(records: readonly { address: Uint8Array; names: readonly string[] }[]): void {
    const coded = records.map(({ address, names }) => {
      const value =
        String.fromCharCode(...address) + names.map((n) => `${utf8ToByteString(n)}\0`).join("");
      return { code: address.length === 4 ? 1 : 2, bytes: value };
    });
    const body = coded.reduce((sum, { bytes }) => sum + OPTION_HEADER + padded(bytes.length), 0);
    // The record that ends the list looks as the option that ends a list.
    let at = this.#begin(BLOCK_NAMES, body + OPTION_HEADER, []);
    for (const { code, bytes } of coded) at = putOption(this.#buffer.bytes, at, code, bytes);
    setU32Le(this.#buffer.bytes, at, OPTION_END);
  }

  statistics(interfaceId: number, realtimeNs: number, received: number, dropped: number): void {
    const count = (code: number, value: number): Option => {
      const eight = new Uint8Array(8);
      setU64Le(eight, 0, value);
      return { code, bytes: String.fromCharCode(...eight) };
    };
    const at = this.#begin(BLOCK_STATISTICS, 12, [count(4, received), count(5, dropped)]);
    const b = this.#buffer.bytes;
    const high = Math.floor(realtimeNs / 0x1_0000_0000);
    setU32Le(b, at, interfaceId);
    setU32Le(b, at + 4, high);
    setU32Le(b, at + 8, realtimeNs - high * 0x1_0000_0000);
  }

  /** `type`: 0x544c534b is a TLS key log. */
  secrets(type: number, bytes: Uint8Array): void {
    const at = this.#begin(BLOCK_SECRETS, 8 + padded(bytes.length), []);
    setU32Le(this.#buffer.bytes, at, type);
    setU32Le(this.#buffer.bytes, at + 4, bytes.length);
    this.#buffer.bytes.set(bytes, at + 8);
  }

  /** `enterprise`: the IANA private enterprise number that says what the bytes mean. */
  custom(enterprise: number, bytes: Uint8Array): void {
    const at = this.#begin(BLOCK_CUSTOM, 4 + padded(bytes.length), []);
    setU32Le(this.#buffer.bytes, at, enterprise);
    this.#buffer.bytes.set(bytes, at + 4);
  }

  /** A whole block with a body of `fixed` zero bytes to be filled, then its options; returns where it begins. */
  #begin(type: number, fixed: number, options: readonly Option[]): number {
    let optionBytes = options.length === 0 ? 0 : OPTION_HEADER;
    for (const { bytes } of options) optionBytes += OPTION_HEADER + padded(bytes.length);
    const total = BLOCK_FRAME + fixed + optionBytes;
    const at = this.#buffer.reserve(total);
    const b = this.#buffer.bytes;
    b.fill(0, at, at + total);
    setU32Le(b, at, type);
    setU32Le(b, at + 4, total);
    setU32Le(b, at + total - 4, total);
    let o = at + 8 + fixed;
    for (const { code, bytes } of options) o = putOption(b, o, code, bytes);
    return at + 8;
  }
}

function text(code: number, value: string | undefined): Option | null {
  if (value === undefined || value === "") return null;
  return { code, bytes: utf8ToByteString(value).slice(0, TEXT_BYTES_MAX) };
}

/** The padding is zero already. Returns where the next one goes. */
function putOption(b: Uint8Array, o: number, code: number, value: string): number {
  setU16Le(b, o, code);
  setU16Le(b, o + 2, value.length);
  putByteString(b, o + OPTION_HEADER, value);
  return o + OPTION_HEADER + padded(value.length);
}
