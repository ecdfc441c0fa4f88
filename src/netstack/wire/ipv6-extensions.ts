// Extension headers that a user has put in front of what it sends (RFC 8200 4.1, RFC 3542 4 to 7; Linux's
// ipv6_txoptions): kept as they were given, checked for their lengths, and written between the IPv6 header and the
// upper layer's in the order that RFC 8200 recommends. Headers that come are walked by stack/ipv6-extensions.ts.

import { IPV6, IpAddr } from "../ip-addr.ts";
import { IPV6_HEADER, IPV6_NEXT, NEXT_DESTINATION, NEXT_HOP_BY_HOP, NEXT_ROUTING } from "./ipv6.ts";

/** Of a header: its length counts 8 bytes each, without the first. */
export const extensionBytes = (b: Uint8Array, at: number): number => (b[at + 1] + 1) << 3;

/** A routing header's: type, segments left; of segment routing the index of the last segment, and its list. */
export const ROUTING_TYPE = 2;
const SEGMENTS_LEFT = 3;
const LAST_ENTRY = 4;
const SEGMENTS = 8;
const SEGMENT_BYTES = 16;
export const ROUTING_SEGMENT_LIST = 4;

/** seg6_validate_srh: whether these bytes are one segment routing header, with nothing behind it (RFC 8754 2). */
export function isSegmentList(b: Uint8Array, at: number, length: number): boolean {
  if (length < SEGMENTS || b[at + ROUTING_TYPE] !== ROUTING_SEGMENT_LIST) return false;
  if (extensionBytes(b, at) !== length || b[at + SEGMENTS_LEFT] > b[at + LAST_ENTRY]) return false;
  let from = SEGMENTS + (b[at + LAST_ENTRY] + 1) * SEGMENT_BYTES;
  // What follows the segments are TLVs.
  while (from < length) {
    if (from + 2 > length) return false;
    from += 2 + b[at + from + 1];
  }
  return from === length;
}

/** Which header is which. */
export interface ExtensionParts {
  readonly hopByHop: Uint8Array | null;
  /** In front of a routing header, and without one not sent (RFC 3542 6). */
  readonly beforeRouting: Uint8Array | null;
  readonly routing: Uint8Array | null;
  /** The last one, for the destination alone. */
  readonly destination: Uint8Array | null;
}

const bytesOf = (header: Uint8Array | null): number =>
  header === null ? 0 : extensionBytes(header, 0);

/** Never changed. */
export class ExtensionHeaders implements ExtensionParts {
  readonly hopByHop: Uint8Array | null;
  readonly beforeRouting: Uint8Array | null;
  readonly routing: Uint8Array | null;
  readonly destination: Uint8Array | null;
  /** Of all that are sent; and of those that each fragment bears. */
  readonly length: number;
  readonly unfragmentableBytes: number;

  constructor(parts: ExtensionParts) {
    this.hopByHop = parts.hopByHop;
    this.beforeRouting = parts.beforeRouting;
    this.routing = parts.routing;
    this.destination = parts.destination;
    const routed = this.routing === null ? 0 : bytesOf(this.routing) + bytesOf(this.beforeRouting);
    this.unfragmentableBytes = bytesOf(this.hopByHop) + routed;
    this.length = this.unfragmentableBytes + bytesOf(this.destination);
  }

  get hasSourceRoute(): boolean {
    return this.routing !== null;
  }
  /** Where packets go first (fl6_update_dst). Precondition: hasSourceRoute. */
  get firstHop(): IpAddr {
    const routing = this.routing as Uint8Array;
    const at = SEGMENTS + routing[SEGMENTS_LEFT] * SEGMENT_BYTES;
    return new IpAddr().read(routing, at, IPV6);
  }

  /**
   * Into the room behind the IPv6 header at o, in front of what is of type `next`. finalDst: where a source route ends,
   * to whose first hop the IPv6 header goes.
   */
  write(b: Uint8Array, o: number, next: number, finalDst: IpAddr): void {
    const { destination } = this;
    const type = destination === null ? next : NEXT_DESTINATION;
    const end = this.writeUnfragmentable(b, o, type, finalDst);
    if (destination !== null) put(b, end, destination, next);
  }

  /** The last one alone, in front of what will be cut into fragments. Precondition: there is one. */
  writeDestination(b: Uint8Array, at: number, next: number): void {
    put(b, at, this.destination as Uint8Array, next);
  }
  get destinationBytes(): number {
    return this.length - this.unfragmentableBytes;
  }

  /** What each fragment bears, in front of what is of type `next`: where it ended. */
  writeUnfragmentable(b: Uint8Array, o: number, next: number, finalDst: IpAddr): number {
    let field = o + IPV6_NEXT;
    let at = o + IPV6_HEADER;
    b[field] = next;
    const add = (header: Uint8Array | null, type: number): void => {
      if (header === null) return;
      b[field] = type;
      put(b, at, header, next);
      field = at;
      at += bytesOf(header);
    };
    add(this.hopByHop, NEXT_HOP_BY_HOP);
    if (this.routing === null) return at;
    add(this.beforeRouting, NEXT_DESTINATION);
    // ipv6_push_rthdr4: where it ends is the first of the segments, which are listed from the last on.
    const route = at;
    add(this.routing, NEXT_ROUTING);
    finalDst.write(b, route + SEGMENTS, IPV6);
    return at;
  }
}

function put(b: Uint8Array, at: number, header: Uint8Array, next: number): void {
  const length = bytesOf(header);
  for (let i = 0; i < length; i++) b[at + i] = header[i];
  b[at] = next;
}
