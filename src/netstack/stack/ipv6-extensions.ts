// Walks IPv6 extension headers up to the upper-layer header or a fragment header (RFC 8200 4): options by
// the action bits of their type, routing headers only when they are used up (RFC 5095), a cap on how many
// (RFC 8504 5.3). Says what is wrong; sends nothing.

import { PROBLEM6_HEADER, PROBLEM6_NEXT_HEADER, PROBLEM6_OPTION } from "../wire/icmpv6.ts";
import { PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import {
  FRAGMENT_HEADER,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_NONE,
  NEXT_ROUTING,
} from "../wire/ipv6.ts";

const HEADERS_MAX = 8;
const OPTIONS_MAX = 8;
const OPTION_PAD1 = 0;
const OPTION_PADN = 1;
const ROUTING_RPL = 3;
const ROUTING_SEGMENTS = 4;
/** In a row no more than alignment needs, and nothing hidden in it (RFC 4942 2.1.9.5; Linux's ip6_parse_tlv). */
const PADDING_MAX = 7;
const OPTION_ROUTER_ALERT = 5;

export const WALK_UPPER = 0;
export const WALK_FRAGMENT = 1;
/** Dropped without an answer. */
export const WALK_DROP = 2;
/** Dropped with a parameter problem: code and pointer say which. */
export const WALK_PROBLEM = 3;

export class ExtensionWalk {
  /** The header the walk stopped at: its type, where it is, and where its type is written. */
  next = 0;
  at = 0;
  nextField = 0;
  /** Parameter problem: code, offset in the packet, and whether also a multicast packet is answered. */
  code = 0;
  pointer = 0;
  evenMulticast = false;
  /** It has been in fragments, or said so: no second time (IP6SKB_FRAGMENTED in ipv6_frag_rcv). */
  isFragmented = false;
  #headers = 0;

  /** From the header behind the fixed one. o: the IPv6 header. */
  begin(b: Uint8Array, o: number, end: number): number {
    this.#headers = 0;
    this.isFragmented = false;
    this.next = b[o + 6];
    this.nextField = o + 6;
    this.at = o + 40;
    return this.resume(b, o, end);
  }

  // @rfc 8200 4a
  /** On from (next, at, nextField), behind an atomic or reassembled fragment. */
  resume(b: Uint8Array, o: number, end: number): number {
    for (;;) {
      const isOptions = this.next === NEXT_HOP_BY_HOP || this.next === NEXT_DESTINATION;
      if (!isOptions && this.next !== NEXT_ROUTING && this.next !== NEXT_FRAGMENT) {
        return this.next === NEXT_NONE ? WALK_DROP : WALK_UPPER;
      }
      if (++this.#headers > HEADERS_MAX) return WALK_DROP;
      // Linux tells of no other header that it is cut off (ipv6_frag_rcv).
      const isCut = this.at + 8 > end;
      if (isCut && this.next !== NEXT_FRAGMENT) return WALK_DROP;
      if (this.next === NEXT_FRAGMENT) {
        return isCut || this.isFragmented
          ? this.problem(PROBLEM6_HEADER, this.at - o, false)
          : WALK_FRAGMENT;
      }
      if (this.next === NEXT_HOP_BY_HOP && this.at !== o + 40) {
        return this.problem(PROBLEM6_NEXT_HEADER, this.nextField - o, false);
      }
      const length = (b[this.at + 1] + 1) << 3;
      if (this.at + length > end) return WALK_DROP;
      const verdict = isOptions
        ? this.#options(b, o, this.at + 2, this.at + length)
        : this.#routing(b, o);
      if (verdict !== WALK_UPPER) return verdict;
      this.#skip(b, length);
    }
  }

  /** Past the fragment header that the walk stopped at. */
  skipFragment(b: Uint8Array): void {
    this.isFragmented = true;
    this.#skip(b, FRAGMENT_HEADER);
  }

  problem(code: number, pointer: number, evenMulticast: boolean): number {
    this.code = code;
    this.pointer = pointer;
    this.evenMulticast = evenMulticast;
    return WALK_PROBLEM;
  }

  #skip(b: Uint8Array, length: number): void {
    this.next = b[this.at];
    this.nextField = this.at;
    this.at += length;
  }

  // @rfc 5095 3
  // @rfc 8200 4.4
  #routing(b: Uint8Array, o: number): number {
    const type = b[this.at + 2];
    // Source routes of RPL and of segment routing are for whom they are switched on (ipv6_rpl_srh_rcv, ipv6_srh_rcv).
    if (type === ROUTING_RPL || type === ROUTING_SEGMENTS) return WALK_DROP;
    // No other type is understood: with segments left it is an error, without it is ignored.
    if (b[this.at + 3] === 0) return WALK_UPPER;
    return this.problem(PROBLEM6_HEADER, this.at + 2 - o, false);
  }

  #options(b: Uint8Array, o: number, from: number, end: number): number {
    let seen = 0;
    let padding = 0;
    let i = from;
    while (i < end) {
      const type = b[i];
      if (type === OPTION_PAD1) {
        if (++padding > PADDING_MAX) return WALK_DROP;
        i++;
        continue;
      }
      if (i + 2 > end || i + 2 + b[i + 1] > end) return WALK_DROP;
      if (type === OPTION_PADN) {
        padding += 2 + b[i + 1];
        if (padding > PADDING_MAX || !isZero(b, i + 2, i + 2 + b[i + 1])) return WALK_DROP;
      } else {
        padding = 0;
        if (++seen > OPTIONS_MAX) return WALK_DROP;
        const verdict = type === OPTION_ROUTER_ALERT ? WALK_UPPER : this.#unknown(type, i - o);
        if (verdict !== WALK_UPPER) return verdict;
      }
      i += 2 + b[i + 1];
    }
    return WALK_UPPER;
  }

  // @rfc 8200 4.2
  /** The two highest bits say what to do with an option that is not known. */
  #unknown(type: number, pointer: number): number {
    switch (type >>> 6) {
      case 0:
        return WALK_UPPER;
      case 1:
        return WALK_DROP;
      case 2:
        return this.problem(PROBLEM6_OPTION, pointer, true);
      default:
        return this.problem(PROBLEM6_OPTION, pointer, false);
    }
  }
}

/** What a router alert in the hop-by-hop options says (RFC 2711 2.1); -1: there is none. */
export function routerAlertOf(b: Uint8Array, o: number, end: number): number {
  const from = o + 40;
  if (b[o + 6] !== NEXT_HOP_BY_HOP || from + 8 > end) return -1;
  const last = Math.min(from + ((b[from + 1] + 1) << 3), end);
  for (let i = from + 2; i + 2 <= last; ) {
    if (b[i] === OPTION_PAD1) {
      i++;
      continue;
    }
    const isAlert = b[i] === OPTION_ROUTER_ALERT && b[i + 1] === 2;
    if (isAlert && i + 4 <= last) return (b[i + 2] << 8) | b[i + 3];
    i += 2 + b[i + 1];
  }
  return -1;
}

function isZero(b: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (b[i] !== 0) return false;
  return true;
}

// @rfc 8200 4.5e
// @rfc 7112 5
/** RFC 7112: whether a first fragment holds every header up to and with the upper layer's. */
export function chainIsWhole(b: Uint8Array, from: number, end: number, first: number): boolean {
  let next = first;
  let at = from;
  for (let i = 0; i < HEADERS_MAX; i++) {
    if (next !== NEXT_DESTINATION && next !== NEXT_ROUTING && next !== NEXT_HOP_BY_HOP) {
      const need = next === PROTO_TCP ? 20 : next === PROTO_UDP || next === PROTO_ICMPV6 ? 8 : 0;
      return at + need <= end;
    }
    if (at + 8 > end) return false;
    next = b[at];
    at += (b[at + 1] + 1) << 3;
    if (at > end) return false;
  }
  return false;
}
