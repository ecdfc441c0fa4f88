// IPv6 extension headers as programs see them (RFC 3542, and RFC 2292's numbers for them): what a socket puts in front
// of all it sends, what one sendmsg puts, what recvmsg tells of those that came. Linux's ipv6_set_opt_hdr,
// ip6_datagram_send_ctl and ip6_datagram_recv_specific_ctl of a kernel without Mobile IPv6: of routing headers only
// those of segment routing can be sent, and by a socket only. The headers themselves: netstack's wire/ipv6-extensions.ts.

import { CAP_NET_RAW } from "../../../abi/capability.ts";
import { EINVAL, EPERM } from "../../../abi/errno.ts";
import {
  IPV6_2292DSTOPTS,
  IPV6_2292HOPOPTS,
  IPV6_2292RTHDR,
  IPV6_DSTOPTS,
  IPV6_HOPOPTS,
  IPV6_RTHDR,
  IPV6_RTHDRDSTOPTS,
} from "../../../abi/in.ts";
import { SOL_IPV6 } from "../../../abi/socket.ts";
import {
  ExtensionHeaders,
  extensionBytes,
  isSegmentList,
  NEXT_DESTINATION,
  NEXT_HOP_BY_HOP,
  NEXT_ROUTING,
  type ReceivedExtensions,
} from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import type { ControlWriter } from "../control.ts";
import { resultOf } from "../errno-of.ts";
import type { InetSocket } from "./inet-socket.ts";
import type { IpState } from "./ip-state.ts";

/** struct ipv6_opt_hdr; and the longest that it can tell of, but for one (ipv6_set_opt_hdr). */
const HEADER_BYTES = 2;
const OPTION_BYTES_MAX = 8 * 255;

type Part = "hopByHop" | "beforeRouting" | "routing" | "destination";

const PARTS: ReadonlyMap<number, Part> = new Map([
  [IPV6_HOPOPTS, "hopByHop"],
  [IPV6_RTHDRDSTOPTS, "beforeRouting"],
  [IPV6_RTHDR, "routing"],
  [IPV6_DSTOPTS, "destination"],
]);

export const isExtensionOption = (name: number): boolean => PARTS.has(name);

/** Copied from what the program gave, and put together when all of it is known. */
export class ExtensionChoices {
  hopByHop: Uint8Array | null = null;
  beforeRouting: Uint8Array | null = null;
  routing: Uint8Array | null = null;
  destination: Uint8Array | null = null;
  /** The last choice was of one of these. */
  isEmpty = true;

  reset(): void {
    if (this.isEmpty) return;
    this.hopByHop = this.beforeRouting = this.routing = this.destination = null;
    this.isEmpty = true;
  }

  headers(): ExtensionHeaders | null {
    const isNone =
      this.hopByHop === null &&
      this.beforeRouting === null &&
      this.routing === null &&
      this.destination === null;
    return isNone ? null : new ExtensionHeaders(this);
  }

  /** One control message: 0, -errno, or null when it is none of an extension header. */
  take(t: Task, type: number, b: Uint8Array, at: number, length: number): number | null {
    switch (type) {
      case IPV6_HOPOPTS:
      case IPV6_2292HOPOPTS:
        if (this.hopByHop !== null) return -EINVAL;
        return this.#take(t, "hopByHop", b, at, length);
      case IPV6_2292DSTOPTS: {
        const isSecond = this.destination !== null;
        const refused = this.#take(t, "destination", b, at, length);
        return refused === 0 && isSecond ? -EINVAL : refused;
      }
      case IPV6_DSTOPTS:
        return this.#take(t, "destination", b, at, length);
      case IPV6_RTHDRDSTOPTS:
        return this.#take(t, "beforeRouting", b, at, length);
      case IPV6_RTHDR:
      case IPV6_2292RTHDR:
        // Of no type known to one that is not a socket's own (without CONFIG_IPV6_MIP6).
        return -EINVAL;
      default:
        return null;
    }
  }

  #take(t: Task, part: Part, b: Uint8Array, at: number, length: number): number {
    if (length < HEADER_BYTES || length < extensionBytes(b, at)) return -EINVAL;
    if (!t.creds.hasCapability(CAP_NET_RAW)) return -EPERM;
    this[part] = b.slice(at, at + extensionBytes(b, at));
    this.isEmpty = false;
    return 0;
  }
}

export function setExtensionOption(
  t: Task,
  s: InetSocket,
  name: number,
  value: Uint8Array,
  length: number,
): number {
  const part = PARTS.get(name);
  if (part === undefined) return -EINVAL;
  if (part !== "routing" && !t.creds.hasCapability(CAP_NET_RAW)) return -EPERM;
  // None takes it away.
  let header: Uint8Array | null = null;
  if (length > 0) {
    if (length < HEADER_BYTES || (length & 7) !== 0 || length > OPTION_BYTES_MAX) return -EINVAL;
    const bytes = extensionBytes(value, 0);
    if (bytes > length) return -EINVAL;
    if (part === "routing" && !isSegmentList(value, 0, length)) return -EINVAL;
    header = value.slice(0, bytes);
  }
  const parts = new ExtensionChoices();
  const old = s.endpoint.extensions;
  if (old !== null) {
    for (const each of PARTS.values()) parts[each] = old[each];
  }
  parts[part] = header;
  return resultOf(s.endpoint.setExtensions(parts.headers()));
}

/** ipv6_getsockopt_sticky: how many bytes of it. */
export function getExtensionOption(
  s: InetSocket,
  name: number,
  out: Uint8Array,
  maxLength: number,
): number {
  const part = PARTS.get(name);
  const header = part === undefined ? null : (s.endpoint.extensions?.[part] ?? null);
  if (header === null) return 0;
  const length = Math.min(header.length, maxLength);
  out.set(header.subarray(0, length));
  return length;
}

/** What came, in its order. */
export function putExtensionHeaders(
  ip: IpState,
  { first, bytes }: ReceivedExtensions,
  control: ControlWriter,
): void {
  let next = first;
  for (let at = 0; at + HEADER_BYTES <= bytes.length; at += extensionBytes(bytes, at)) {
    if (next === NEXT_HOP_BY_HOP) {
      if (ip.receiveHopOptions) put(control, IPV6_HOPOPTS, bytes, at);
    } else if (next === NEXT_DESTINATION) {
      if (ip.receiveDestinationOptions) put(control, IPV6_DSTOPTS, bytes, at);
    } else if (next === NEXT_ROUTING) {
      if (ip.receiveRouting) put(control, IPV6_RTHDR, bytes, at);
    }
    next = bytes[at];
  }
}

/** As RFC 2292 has it: of each the last one in its place. */
export function putOldExtensionHeaders(
  ip: IpState,
  { first, bytes }: ReceivedExtensions,
  control: ControlWriter,
): void {
  let next = first;
  let before = -1;
  let routing = -1;
  let behind = -1;
  for (let at = 0; at + HEADER_BYTES <= bytes.length; at += extensionBytes(bytes, at)) {
    if (next === NEXT_DESTINATION) behind = at;
    else if (next === NEXT_ROUTING) {
      routing = at;
      before = behind;
      behind = -1;
    }
    next = bytes[at];
  }
  if (first === NEXT_HOP_BY_HOP && ip.receiveOldHopOptions) {
    put(control, IPV6_2292HOPOPTS, bytes, 0);
  }
  const { receiveOldDestinationOptions } = ip;
  if (receiveOldDestinationOptions && before >= 0) put(control, IPV6_2292DSTOPTS, bytes, before);
  if (ip.receiveOldRouting && routing >= 0) put(control, IPV6_2292RTHDR, bytes, routing);
  if (receiveOldDestinationOptions && behind >= 0) put(control, IPV6_2292DSTOPTS, bytes, behind);
}

function put(control: ControlWriter, type: number, bytes: Uint8Array, at: number): void {
  const length = Math.min(extensionBytes(bytes, at), bytes.length - at);
  control.put(SOL_IPV6, type, bytes, at, length);
}
