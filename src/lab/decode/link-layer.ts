// What is around the packet: Ethernet with VLAN tags, Linux's cooked captures, BSD's loopback, raw IP.

import { u16, u32, u32Le } from "../../base/bytes.ts";
import {
  type CapturedFrame,
  LINKTYPE_ETHERNET,
  LINKTYPE_IPV4,
  LINKTYPE_IPV6,
  LINKTYPE_LINUX_SLL,
  LINKTYPE_LINUX_SLL2,
  LINKTYPE_LOOP,
  LINKTYPE_NULL,
  LINKTYPE_RAW,
  LINKTYPE_RAW_BSD,
  LINKTYPE_RAW_OLD,
} from "../../link/index.ts";
import { type Dissection, hex } from "./dissection.ts";
import { ETHERTYPE_NAMES } from "./names.ts";

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
const isVlan = (type: number): boolean =>
  type === 0x8100 || type === 0x88a8 || type === 0x9100 || type === 0x9200;
const LARGEST_LENGTH = 1500;

/** What was found behind the link's header. */
export interface LinkPayload {
  /** Ethernet type; 0: not to be decoded further, a sentence or mark has been printed. */
  type: number;
  at: number;
  /** By the frame's length on the wire. */
  length: number;
  /** The header was printed, so that the packet's kind need not be said again. */
  headed: boolean;
}

const NO_TAGS: readonly number[] = [];
const found: LinkPayload = { type: 0, at: 0, length: 0, headed: false };

function payload(type: number, at: number, length: number, headed = false): LinkPayload {
  found.type = type;
  found.at = at;
  found.length = length;
  found.headed = headed;
  return found;
}

const KNOWN: ReadonlySet<number> = new Set([
  ...[LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_NULL, LINKTYPE_LOOP],
  ...[LINKTYPE_RAW, LINKTYPE_RAW_OLD, LINKTYPE_RAW_BSD, LINKTYPE_IPV4, LINKTYPE_IPV6],
]);

export const isKnownLinkType = (linkType: number): boolean => KNOWN.has(linkType);

/** `shown`: print the header, as -e does. */
export function decodeLinkLayer(d: Dissection, frame: CapturedFrame, shown: boolean): LinkPayload {
  const { offset: at, originalLength: length, linkType } = frame;
  switch (linkType) {
    case LINKTYPE_ETHERNET:
      return ethernet(d, at, length, shown);
    case LINKTYPE_LINUX_SLL:
      d.need(at, 16);
      return payload(d.u16(at + 14), at + 16, length - 16);
    case LINKTYPE_LINUX_SLL2:
      d.need(at, 20);
      return payload(d.u16(at), at + 20, length - 20);
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP:
      d.need(at, 4);
      return payload(familyType(d.bytes, at), at + 4, length - 4);
    case LINKTYPE_RAW:
    case LINKTYPE_RAW_OLD:
    case LINKTYPE_RAW_BSD:
      d.need(at, 1);
      return payload(d.u8(at) >>> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4, at, length);
    case LINKTYPE_IPV4:
      return payload(ETHERTYPE_IPV4, at, length);
    case LINKTYPE_IPV6:
      return payload(ETHERTYPE_IPV6, at, length);
    default:
      d.put(`[link type ${linkType} is not known, length ${length}]`);
      return payload(0, at, length);
  }
}

/** The protocol family as the host that captured wrote it: small in its own byte order. */
function familyType(b: Uint8Array, at: number): number {
  const little = u32Le(b, at);
  const family = little < 0x10000 ? little : u32(b, at);
  return family === 2 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
}

function ethernet(d: Dissection, at: number, length: number, shown: boolean): LinkPayload {
  if (!d.has(at, 14)) {
    d.put(" [|ether]");
    return payload(0, at, length);
  }
  let o = at + 12;
  let type = u16(d.bytes, o);
  o += 2;
  let tags = NO_TAGS;
  if (shown) d.put(`${d.mac(at + 6)} > ${d.mac(at)}, `);
  let isLengthShown = false;
  while (isVlan(type)) {
    if (!d.has(o, 4)) {
      d.put("[|vlan]");
      return payload(0, o, length);
    }
    const tag = d.u16(o);
    if (d.wantsFields) tags = [...tags, tag];
    if (shown) {
      d.put(typeText(type));
      d.put(isLengthShown ? ", " : `, length ${length}: `);
      isLengthShown = true;
      d.put(`vlan ${tag & 0xfff}, p ${tag >>> 13}${(tag & 0x1000) !== 0 ? ", DEI" : ""}, `);
    }
    type = d.u16(o + 2);
    o += 4;
  }
  const left = length - (o - at);
  if (d.wantsFields) {
    d.layer("ethernet", {
      dst: d.mac(at),
      src: d.mac(at + 6),
      type,
      vlans: tags.map((t) => t & 0xfff),
    });
  }
  if (type <= LARGEST_LENGTH) {
    d.put(`802.3, length ${Math.min(type, left)}`);
    return payload(0, o, left);
  }
  if (shown) d.put(`${typeText(type)}${isLengthShown ? ", " : `, length ${length}: `}`);
  if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_ARP || type === ETHERTYPE_IPV6) {
    return payload(type, o, left, shown);
  }
  if (!shown) d.put(`${d.mac(at + 6)} > ${d.mac(at)}, ${typeText(type)}, length ${length}: `);
  return payload(0, o, left);
}

const typeText = (type: number): string =>
  `ethertype ${ETHERTYPE_NAMES[type] ?? "Unknown"} (0x${hex(type, 4)})`;
