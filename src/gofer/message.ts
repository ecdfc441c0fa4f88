// Cursors that build and take apart messages (protocol.ts). The reader never goes past the message's end:
// after a bad length `failed` is set and it yields zeros and "".

import {
  type ByteString,
  byteString,
  i32Le,
  i64Le,
  putByteString,
  setU16Le,
  setU32Le,
  setU64Le,
  u16Le,
  u32Le,
  u64Le,
} from "../base/bytes.ts";
import { HEADER_BYTES, MESSAGE_BYTES_MAX } from "./protocol.ts";

export class MessageWriter {
  readonly bytes: Uint8Array;
  length = HEADER_BYTES;

  constructor(bytes: Uint8Array = new Uint8Array(MESSAGE_BYTES_MAX)) {
    this.bytes = bytes;
  }
  /** Starts a message. last: the handle of a request; a reply's result is set by finish(). */
  begin(op: number, sequence: number, last: number): this {
    this.length = HEADER_BYTES;
    setU16Le(this.bytes, 4, op);
    setU16Le(this.bytes, 6, 0);
    setU32Le(this.bytes, 8, sequence);
    setU32Le(this.bytes, 12, last);
    return this;
  }
  room(): number {
    return this.bytes.length - this.length;
  }
  u16(value: number): this {
    setU16Le(this.bytes, this.length, value);
    this.length += 2;
    return this;
  }
  u32(value: number): this {
    setU32Le(this.bytes, this.length, value);
    this.length += 4;
    return this;
  }
  u64(value: number): this {
    setU64Le(this.bytes, this.length, value);
    this.length += 8;
    return this;
  }
  string(value: ByteString): this {
    this.u16(value.length);
    this.length += putByteString(this.bytes, this.length, value);
    return this;
  }
  raw(src: Uint8Array, offset: number, length: number): this {
    for (let i = 0; i < length; i++) this.bytes[this.length + i] = src[offset + i];
    this.length += length;
    return this;
  }
  /** Writes the length. */
  finish(): number {
    setU32Le(this.bytes, 0, this.length);
    return this.length;
  }
}

export class MessageReader {
  bytes: Uint8Array;
  offset = 0;
  end = 0;
  failed = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  /** Points at a received datagram. False: not even a whole message. */
  begin(length: number): boolean {
    this.offset = HEADER_BYTES;
    this.end = length;
    this.failed = false;
    return length >= HEADER_BYTES && length <= this.bytes.length && u32Le(this.bytes, 0) === length;
  }
  get op(): number {
    return u16Le(this.bytes, 4);
  }
  get flags(): number {
    return u16Le(this.bytes, 6);
  }
  get sequence(): number {
    return u32Le(this.bytes, 8);
  }
  get handle(): number {
    return u32Le(this.bytes, 12);
  }
  get result(): number {
    return i32Le(this.bytes, 12);
  }
  /** Where the next `length` bytes stand, or -1. */
  take(length: number): number {
    if (this.failed || this.end - this.offset < length) {
      this.failed = true;
      return -1;
    }
    const at = this.offset;
    this.offset += length;
    return at;
  }
  u16(): number {
    const at = this.take(2);
    return at < 0 ? 0 : u16Le(this.bytes, at);
  }
  u32(): number {
    const at = this.take(4);
    return at < 0 ? 0 : u32Le(this.bytes, at);
  }
  i32(): number {
    return this.u32() | 0;
  }
  u64(): number {
    const at = this.take(8);
    return at < 0 ? 0 : u64Le(this.bytes, at);
  }
  i64(): number {
    const at = this.take(8);
    return at < 0 ? 0 : i64Le(this.bytes, at);
  }
  string(max: number): ByteString {
    const length = this.u16();
    if (length > max) this.failed = true;
    const at = this.take(length);
    return at < 0 ? "" : byteString(this.bytes, at, length);
  }
  /** All of the message was used, and nothing was short. */
  get isDone(): boolean {
    return !this.failed && this.offset === this.end;
  }
}
