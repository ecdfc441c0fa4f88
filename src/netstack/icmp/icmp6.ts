// ICMPv6 (RFC 4443): answers echoes, sends errors (rate-limited; never about errors, and about multicasts
// only where RFC 4443 2.4 says so), hands received errors to the protocol they quote, and Neighbour
// Discovery and multicast listener queries to the interface they came in by.

import { completeQuoted } from "../stack/checksum-partial.ts";
import { FlowKey } from "../stack/flow-key.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { Stack } from "../stack/stack.ts";
import {
  ICMP_KIND_HOST_UNREACHABLE,
  ICMP_KIND_PACKET_TOO_BIG,
  type IcmpError,
  type TransportProtocol,
} from "../stack/transport.ts";
import {
  ICMP_HEADER,
  ICMP_UNREACHABLE,
  icmpCode,
  icmpType,
  UNREACHABLE_PROTOCOL,
  writeIcmp,
} from "../wire/icmp.ts";
import {
  checkIcmp6,
  finishIcmp6,
  ICMP6_ECHO,
  ICMP6_ECHO_REPLY,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_PARAMETER_PROBLEM,
  ICMP6_TIME_EXCEEDED,
  ICMP6_UNREACHABLE,
  icmp6Rest,
  isIcmp6Error,
  MLD_QUERY,
  NDP_REDIRECT,
  NDP_ROUTER_SOLICIT,
  UNREACHABLE6_ADDRESS,
  UNREACHABLE6_PORT,
} from "../wire/icmpv6.ts";
import { PROTO_ICMPV6 } from "../wire/ipv4.ts";
import {
  fragmentOffset,
  IPV6_HEADER,
  IPV6_MIN_MTU,
  ipv6Next,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_ROUTING,
} from "../wire/ipv6.ts";
import type { IcmpForwarder } from "./icmp.ts";
import { icmp6Kind } from "./icmp-kind.ts";
import { PingTable } from "./ping-endpoint.ts";
import { dispatchIcmpError, newIcmpError, setCarrier, setNoCarrier } from "./quoted.ts";
import { ALLOWED, LIMITED_FOR_HOST, LIMITED_GLOBALLY, RateLimit } from "./rate-limit.ts";

const ICMP6_FLOW = new FlowKey();
ICMP6_FLOW.protocol = PROTO_ICMPV6;

/** As much of the packet as fits in IPv6's minimum MTU. */
const QUOTED_MAX = IPV6_MIN_MTU - IPV6_HEADER - ICMP_HEADER;
const QUOTED_HEADERS_MAX = 8;

export class Icmp6Protocol implements TransportProtocol {
  readonly protocol = PROTO_ICMPV6;
  readonly pings: PingTable;
  readonly #stack: Stack;
  readonly limit: RateLimit;
  readonly #error = newIcmpError();
  #forwarder: IcmpForwarder | null = null;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.pings = new PingTable(stack);
    this.limit = new RateLimit(stack.clock, stack.rng, stack.limits.icmpErrorsPerSecond);
  }

  setForwarder(forwarder: IcmpForwarder | null): void {
    this.#forwarder = forwarder;
  }

  // @rfc 4443 2.4b
  onPacket(pkt: PacketBuffer): void {
    const stack = this.#stack;
    const counters = stack.counters;
    if (pkt.src.isV4) {
      counters.ipInUnknownProtos++;
      counters.dropIpUnknownProtocol++;
      stack.icmp.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_PROTOCOL, 0);
      return;
    }
    counters.icmp6InMsgs++;
    const length = pkt.end - pkt.l4;
    const checked = pkt.checksumValid && length >= ICMP_HEADER;
    if (!checked && !checkIcmp6(pkt.bytes, pkt.l4, length, pkt.src, pkt.dst)) {
      counters.icmp6InErrors++;
      counters.icmp6InCsumErrors++;
      counters.dropIcmpBad++;
      return;
    }
    pkt.payload = pkt.l4 + ICMP_HEADER;
    const type = icmpType(pkt.bytes, pkt.l4);
    if (isIcmp6Error(type)) {
      this.#onError(pkt, type, icmpCode(pkt.bytes, pkt.l4));
      return;
    }
    if (type === ICMP6_ECHO) {
      counters.icmp6InEchos++;
      this.#onEcho(pkt);
    } else if (type === ICMP6_ECHO_REPLY) {
      counters.icmp6InEchoReplies++;
      this.pings.onReply(pkt);
    } else this.#onLinkMessage(pkt, type);
  }

  #onLinkMessage(pkt: PacketBuffer, type: number): void {
    const ipv6 = this.#stack.nicById(pkt.nicId)?.ipv6 ?? null;
    if (ipv6 !== null && type === MLD_QUERY) ipv6.onGroupQuery(pkt);
    else if (ipv6 !== null && type >= NDP_ROUTER_SOLICIT && type <= NDP_REDIRECT) {
      ipv6.ndp.input(pkt, type);
    } else this.#stack.counters.dropIcmpUnknown++;
  }

  /** Errors about pings of our own: to the ping endpoint. */
  onIcmpError(error: IcmpError): void {
    this.pings.onIcmpError(error);
  }
  mayHaveSent(error: IcmpError): boolean {
    return this.pings.mayHaveSent(error);
  }

  #onEcho(pkt: PacketBuffer): void {
    // RFC 4443 allows silence for multicast; Linux answers, but a Smurf is a Smurf.
    if (pkt.linkBroadcast || pkt.src.isUnspecified) return;
    if (!this.#stack.isLocalAddress(pkt.dst)) {
      if (!this.#forwarder?.onEcho(pkt)) {
        this.sendError(pkt, ICMP6_UNREACHABLE, UNREACHABLE6_ADDRESS, 0);
      }
      return;
    }
    this.replyToEcho(pkt);
  }

  // @rfc 4443 4.1
  /** Sends the echo reply to the request in pkt, in the name of its destination. */
  replyToEcho(pkt: PacketBuffer): void {
    const stack = this.#stack;
    const route = stack.findRoute(pkt.dst, pkt.src, pkt.nicId, 0, ICMP6_FLOW);
    if (typeof route === "number") {
      stack.counters.ip6OutNoRoutes++;
      return;
    }
    const reply = stack.allocPacket();
    const length = pkt.end - pkt.l4;
    reply.bytes.set(pkt.bytes.subarray(pkt.l4, pkt.end), reply.start);
    reply.end = reply.start + length;
    reply.l4 = reply.start;
    reply.protocol = PROTO_ICMPV6;
    reply.tos = pkt.tos;
    reply.bytes[reply.l4] = ICMP6_ECHO_REPLY;
    finishIcmp6(reply.bytes, reply.l4, length, route.src, route.dst);
    stack.counters.icmp6OutMsgs++;
    stack.counters.icmp6OutEchoReplies++;
    stack.sendPacket(route, reply, false);
  }

  // @rfc 4443 2.4a 3.2
  #onError(pkt: PacketBuffer, type: number, code: number): void {
    const counters = this.#stack.counters;
    if (type === ICMP6_UNREACHABLE) counters.icmp6InDestUnreachs++;
    else if (type === ICMP6_PACKET_TOO_BIG) counters.icmp6InPktTooBigs++;
    else if (type === ICMP6_TIME_EXCEEDED) counters.icmp6InTimeExcds++;
    else if (type === ICMP6_PARAMETER_PROBLEM) counters.icmp6InParmProblems++;
    const kind = icmp6Kind(type, code);
    const error = this.#error;
    const nic = this.#stack.nicById(pkt.nicId);
    if (kind === 0 || !this.#readQuoted(pkt.bytes, pkt.payload, pkt.end)) {
      counters.icmp6InErrors++;
      counters.dropIcmpBad++;
      return;
    }
    if (!(this.#stack.isLocalAddress(error.src) || nic?.promiscuous)) {
      counters.dropIcmpUnrelated++;
      return;
    }
    error.kind = kind;
    error.type = type;
    error.code = code;
    setCarrier(error, pkt);
    error.pointer = type === ICMP6_PARAMETER_PROBLEM ? icmp6Rest(pkt.bytes, pkt.l4) : 0;
    error.mtu = kind === ICMP_KIND_PACKET_TOO_BIG ? icmp6Rest(pkt.bytes, pkt.l4) : 0;
    dispatchIcmpError(this.#stack, error);
  }

  // @rfc 4443 2.4d
  /** Fills src, dst, protocol and l4 of the error from the packet [o, end); false: cannot be told. */
  #readQuoted(b: Uint8Array, o: number, end: number): boolean {
    if (end - o < IPV6_HEADER + 8 || b[o] >>> 4 !== 6) return false;
    const error = this.#error;
    error.src.read(b, o + 8, 6);
    error.dst.read(b, o + 24, 6);
    // Mapped addresses in a quoted IPv6 header would be taken for IPv4's own endpoints.
    if (error.src.isV4 || error.dst.isV4) return false;
    let next = ipv6Next(b, o);
    let at = o + IPV6_HEADER;
    for (let i = 0; i < QUOTED_HEADERS_MAX && at + 8 <= end; i++) {
      if (next === NEXT_FRAGMENT) {
        if (fragmentOffset(b, at) !== 0) return false;
        next = b[at];
        at += 8;
      } else if (next === NEXT_HOP_BY_HOP || next === NEXT_ROUTING || next === NEXT_DESTINATION) {
        next = b[at];
        at += (b[at + 1] + 1) << 3;
      } else {
        error.protocol = next;
        error.bytes = b;
        error.l3 = o;
        error.l4 = at;
        error.end = end;
        return true;
      }
    }
    return false;
  }

  /** A neighbour did not answer: tells the sender of the packet (header at pkt.l3), as an error from ourselves. */
  localUnreachable(pkt: PacketBuffer): void {
    if (!this.#readQuoted(pkt.bytes, pkt.l3, pkt.end)) return;
    const error = this.#error;
    error.kind = ICMP_KIND_HOST_UNREACHABLE;
    error.type = ICMP6_UNREACHABLE;
    error.code = UNREACHABLE6_ADDRESS;
    setNoCarrier(error);
    dispatchIcmpError(this.#stack, error);
  }

  sendProblem(pkt: PacketBuffer, code: number, pointer: number, evenMulticast: boolean): void {
    this.sendError(pkt, ICMP6_PARAMETER_PROBLEM, code, pointer, evenMulticast);
  }

  // @rfc 4443 2.2 2.4c 2.4e 2.4f
  /** Answers an inbound packet (l3, l4, src, dst set) with an error; `rest` is the header's second word. */
  sendError(
    pkt: PacketBuffer,
    type: number,
    code: number,
    rest: number,
    evenMulticast = false,
  ): void {
    const stack = this.#stack;
    const b = pkt.bytes;
    if (pkt.src.isV4 || pkt.src.isUnspecified || pkt.src.isMulticast) return;
    if (pkt.linkBroadcast && !evenMulticast) return;
    if (this.#isAboutError(pkt)) return;
    if (!this.#mayTell(pkt, type)) return;
    const nic = stack.nicById(pkt.nicId);
    const local = !pkt.dst.isMulticast && stack.isLocalAddress(pkt.dst);
    // In our own name: a foreign destination (gateway) is not ours to speak for.
    const from = local ? pkt.dst : (nic?.sourceFor(pkt.src) ?? null);
    const route = stack.findRoute(from, pkt.src, pkt.nicId, 0, ICMP6_FLOW);
    if (typeof route === "number") return;
    const error = stack.allocPacket();
    completeQuoted(pkt);
    const quoted = Math.min(pkt.end - pkt.l3, QUOTED_MAX);
    writeIcmp(error.bytes, error.start, type, code, rest >>> 0);
    error.bytes.set(b.subarray(pkt.l3, pkt.l3 + quoted), error.start + ICMP_HEADER);
    error.end = error.start + ICMP_HEADER + quoted;
    error.l4 = error.start;
    error.protocol = PROTO_ICMPV6;
    finishIcmp6(error.bytes, error.l4, error.end - error.l4, route.src, route.dst);
    const counters = stack.counters;
    counters.icmp6OutMsgs++;
    counters.icmp6OutErrors++;
    if (type === ICMP6_UNREACHABLE) counters.icmp6OutDestUnreachs++;
    else if (type === ICMP6_TIME_EXCEEDED) counters.icmp6OutTimeExcds++;
    else if (type === ICMP6_PACKET_TOO_BIG) counters.icmp6OutPktTooBigs++;
    else counters.icmp6OutParmProblems++;
    stack.sendPacket(route, error, false);
  }

  /** An error, or what may be one: its type is in a fragment that we do not see. */
  #isAboutError(pkt: PacketBuffer): boolean {
    const error = this.#error;
    const b = pkt.bytes;
    if (pkt.end - pkt.l3 < IPV6_HEADER + 8) return pkt.protocol === PROTO_ICMPV6;
    if (!this.#readQuoted(b, pkt.l3, pkt.end)) return false;
    return (
      (error.protocol === PROTO_ICMPV6 && isIcmp6Error(b[error.l4])) ||
      (error.protocol === PROTO_ICMPV6 && b[error.l4] === NDP_REDIRECT)
    );
  }

  /** icmp6_send, icmpv6_xrlim_allow: what stays in this machine is free; packet too big but for the burst of all. */
  #mayTell(pkt: PacketBuffer, type: number): boolean {
    const { loopback, counters } = this.#stack;
    if (pkt.nicId === loopback.id) return true;
    const perHost = type !== ICMP6_PACKET_TOO_BIG;
    const verdict = this.limit.take(pkt.src, perHost);
    if (verdict === LIMITED_GLOBALLY) counters.icmp6OutRateLimitGlobal++;
    else if (verdict === LIMITED_FOR_HOST) counters.icmp6OutRateLimitHost++;
    return verdict === ALLOWED;
  }

  sendPortUnreachable(pkt: PacketBuffer): void {
    this.sendError(pkt, ICMP6_UNREACHABLE, UNREACHABLE6_PORT, 0);
  }
}
