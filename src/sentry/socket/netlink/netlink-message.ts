// Reading and writing netlink messages and their attributes (netlink(7), rtnetlink(7)).

import {
  NLM_F_MULTI,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSGHDR_BYTES,
  nlAlign,
  RTATTR_BYTES,
} from "../../../abi/netlink.ts";
import { AF_INET, AF_INET6, AF_UNSPEC } from "../../../abi/socket.ts";
import { putByteString, setU16Le, setU32Le, u16Le, u32Le } from "../../../base/bytes.ts";
import { type Family, IPV4, IPV6, IpAddr } from "../../../netstack/index.ts";

/** Messages of a dump are packed into datagrams of about this size: what small readers have room for. */
const DATAGRAM_BYTES = 3800;

const EMPTY = new Uint8Array(0);

/** Builds the answer to one request: datagrams of one or more messages. */
export class NetlinkWriter {
  readonly datagrams: Uint8Array[] = [];
  readonly #sequence: number;
  readonly #portId: number;
  #bytes = new Uint8Array(8192);
  /** End of the complete messages, and of the one being written. */
  #end = 0;
  #at = 0;

  constructor(sequence: number, portId: number) {
    this.#sequence = sequence;
    this.#portId = portId;
  }

  /** Begins a message; its fixed part of `bodyBytes` is zero, at the offset returned. */
  begin(type: number, flags: number, bodyBytes: number): number {
    if (this.#end >= DATAGRAM_BYTES) this.flush();
    this.#at = this.#end;
    this.#room(NLMSGHDR_BYTES + bodyBytes);
    const b = this.#bytes;
    const start = this.#end;
    b.fill(0, start, start + NLMSGHDR_BYTES + bodyBytes);
    setU16Le(b, start + 4, type);
    setU16Le(b, start + 6, flags);
    setU32Le(b, start + 8, this.#sequence);
    setU32Le(b, start + 12, this.#portId);
    this.#at = start + NLMSGHDR_BYTES + nlAlign(bodyBytes);
    return start + NLMSGHDR_BYTES;
  }
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  attribute(type: number, value: Uint8Array): void {
    const size = RTATTR_BYTES + value.length;
    this.#room(this.#at - this.#end + nlAlign(size));
    const b = this.#bytes;
    setU16Le(b, this.#at, size);
    setU16Le(b, this.#at + 2, type);
    b.set(value, this.#at + RTATTR_BYTES);
    b.fill(0, this.#at + size, this.#at + nlAlign(size));
    this.#at += nlAlign(size);
  }
  attributeU32(type: number, value: number): void {
    const bytes = new Uint8Array(4);
    setU32Le(bytes, 0, value);
    this.attribute(type, bytes);
  }
  attributeU8(type: number, value: number): void {
    this.attribute(type, Uint8Array.of(value));
  }
  /** With its NUL. */
  attributeString(type: number, value: string): void {
    const bytes = new Uint8Array(value.length + 1);
    putByteString(bytes, 0, value);
    this.attribute(type, bytes);
  }

  /** Begins an attribute of attributes; end it with endNest. */
  beginNest(type: number): number {
    const at = this.#at;
    this.attribute(type, EMPTY);
    return at;
  }
  endNest(at: number): void {
    setU16Le(this.#bytes, at, this.#at - at);
  }
  /** Fixed bytes inside a nest, which are zero, at the offset returned. */
  raw(bytes: number): number {
    this.#room(this.#at - this.#end + bytes);
    const at = this.#at;
    this.#bytes.fill(0, at, at + bytes);
    this.#at += bytes;
    return at;
  }
  /** What has been written since `at`, an offset that raw() returned. */
  lengthSince(at: number): number {
    return this.#at - at;
  }

  finish(): void {
    setU32Le(this.#bytes, this.#end, this.#at - this.#end);
    this.#end = nlAlign(this.#at);
  }

  /** The end of a dump. */
  done(): void {
    this.begin(NLMSG_DONE, NLM_F_MULTI, 4);
    this.finish();
    this.flush();
  }

  /** errno 0: an acknowledgement. Quotes the request: all of it, or its header only. */
  error(errno: number, request: Uint8Array, whole: boolean): void {
    const quoted = whole ? request.length : NLMSGHDR_BYTES;
    const at = this.begin(NLMSG_ERROR, 0, 4 + quoted);
    setU32Le(this.#bytes, at, -errno);
    this.#bytes.set(request.subarray(0, quoted), at + 4);
    this.finish();
    this.flush();
  }

  flush(): void {
    if (this.#end === 0) return;
    this.datagrams.push(this.#bytes.slice(0, this.#end));
    this.#end = 0;
    this.#at = 0;
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * (this.#end + bytes));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** Walks attributes in [offset, end); stops at one that cannot be. */
export function* attributesOf(
  bytes: Uint8Array,
  offset: number,
  end: number,
): Generator<{ type: number; offset: number; length: number }> {
  let at = offset;
  while (at + RTATTR_BYTES <= end) {
    const size = u16Le(bytes, at);
    if (size < RTATTR_BYTES || at + size > end) return;
    yield {
      type: u16Le(bytes, at + 2) & 0x3fff,
      offset: at + RTATTR_BYTES,
      length: size - RTATTR_BYTES,
    };
    at += nlAlign(size);
  }
}

/** The family at the start of a request's body as ours, or 0. */
export function ipFamily(request: Uint8Array): 0 | 4 | 6 {
  if (request[NLMSGHDR_BYTES] === AF_INET) return IPV4;
  return request[NLMSGHDR_BYTES] === AF_INET6 ? IPV6 : 0;
}

/** An attribute's address; null: too short for one. */
export function addressIn(
  request: Uint8Array,
  offset: number,
  length: number,
  family: Family,
): IpAddr | null {
  return length < (family === IPV4 ? 4 : 16) ? null : new IpAddr().read(request, offset, family);
}

export const familyOf = (addr: IpAddr): number => (addr.isV4 ? AF_INET : AF_INET6);
/** Whether a dump of this family (AF_UNSPEC: of all) is to have it. */
export const wantsFamily = (filter: number, family: number): boolean =>
  filter === AF_UNSPEC || filter === family;

export function bytesOf(addr: IpAddr): Uint8Array {
  const bytes = new Uint8Array(addr.isV4 ? 4 : 16);
  addr.write(bytes, 0, addr.isV4 ? IPV4 : IPV6);
  return bytes;
}

export const messageLength = (bytes: Uint8Array, at: number): number => u32Le(bytes, at);
