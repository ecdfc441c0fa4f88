// ICMP for IPv4 (RFC 792, 1122 3.2.2, 1812 4.3): answers echoes, sends errors (rate-limited, never about
// errors, broadcasts or fragments but the first), and hands received errors to the protocol they quote,
// after checking that they quote something of ours (RFC 5927).

import { u16, u32 } from "../../base/bytes.ts";
import { IpAddr } from "../ip-addr.ts";
import { completeQuoted } from "../stack/checksum-partial.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { nextLowerPlateau } from "../stack/path-mtu.ts";
import { Redirects } from "../stack/redirects.ts";
import type { Stack } from "../stack/stack.ts";
import {
  ICMP_KIND_HOST_UNREACHABLE,
  ICMP_KIND_PACKET_TOO_BIG,
  type IcmpError,
  type TransportProtocol,
} from "../stack/transport.ts";
import { checksum, updateChecksum } from "../wire/checksum.ts";
import {
  checkIcmp,
  ICMP_CHECKSUM,
  ICMP_ECHO,
  ICMP_ECHO_REPLY,
  ICMP_HEADER,
  ICMP_PARAMETER_PROBLEM,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  icmpCode,
  icmpNextMtu,
  icmpType,
  isIcmpError,
  setIcmpChecksum,
  UNREACHABLE_FRAG_NEEDED,
  UNREACHABLE_HOST,
  UNREACHABLE_PORT,
  writeIcmp,
} from "../wire/icmp.ts";
import {
  checkIpv4Form,
  ipv4Dst,
  ipv4FragOffset,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4Src,
  ipv4Total,
  PROTO_ICMP,
} from "../wire/ipv4.ts";
import { icmpKind } from "./icmp-kind.ts";
import { PingTable } from "./ping-endpoint.ts";
import { dispatchIcmpError, newIcmpError, setCarrier, setNoCarrier } from "./quoted.ts";
import { ALLOWED, LIMITED_FOR_HOST, LIMITED_GLOBALLY, RateLimit } from "./rate-limit.ts";

/** RFC 1812 4.3.2.3: as much of the packet as fits in 576 bytes. */
const ERROR_BYTES_MAX = 576 - 20 - ICMP_HEADER;

/** RFC 792: for the net, the host, and each with the type of service. */
const REDIRECT_CODE_MAX = 3;

/** A gateway's part in ICMP: echo requests to addresses that are not ours. */
export interface IcmpForwarder {
  /** The message is at [pkt.l4, pkt.end). True: it is taken care of. */
  onEcho(pkt: PacketBuffer): boolean;
}

/** Unreachable, source quench, time exceeded, parameter problem. */
const DEFAULT_RATEMASK = 0x1818;

/** A type that nobody knows may be an error: it gets none (icmp_send). */
const TYPE_MAX = 18;
const mayBeError = (type: number): boolean => type > TYPE_MAX || isIcmpError(type);

export class IcmpProtocol implements TransportProtocol {
  readonly protocol = PROTO_ICMP;
  readonly pings: PingTable;
  readonly #stack: Stack;
  readonly limit: RateLimit;
  /** net.ipv4.icmp_ratemask: a bit for each type that is limited to each destination. */
  ratemask = DEFAULT_RATEMASK;
  #forwarder: IcmpForwarder | null = null;
  readonly #error = newIcmpError();
  readonly #gateway = new IpAddr();
  readonly redirects: Redirects;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.pings = new PingTable(stack);
    this.redirects = new Redirects(stack);
    this.limit = new RateLimit(stack.clock, stack.rng, stack.limits.icmpErrorsPerSecond);
  }

  setForwarder(forwarder: IcmpForwarder | null): void {
    this.#forwarder = forwarder;
  }

  // @rfc 1122 3.2.2a
  // @rfc 9293 MUST-55
  onPacket(pkt: PacketBuffer): void {
    const counters = this.#stack.counters;
    counters.icmpInMsgs++;
    if (!checkIcmp(pkt.bytes, pkt.l4, pkt.end - pkt.l4)) {
      counters.icmpInErrors++;
      counters.icmpInCsumErrors++;
      counters.dropIcmpBad++;
      return;
    }
    pkt.payload = pkt.l4 + ICMP_HEADER;
    const type = icmpType(pkt.bytes, pkt.l4);
    switch (type) {
      case ICMP_ECHO:
        counters.icmpInEchos++;
        this.#onEcho(pkt);
        return;
      case ICMP_ECHO_REPLY:
        counters.icmpInEchoReps++;
        this.pings.onReply(pkt);
        return;
      case ICMP_UNREACHABLE:
        counters.icmpInDestUnreachs++;
        break;
      case ICMP_TIME_EXCEEDED:
        counters.icmpInTimeExcds++;
        break;
      case ICMP_PARAMETER_PROBLEM:
        counters.icmpInParmProbs++;
        break;
      case ICMP_SOURCE_QUENCH:
        counters.icmpInSrcQuenchs++;
        return;
      case ICMP_REDIRECT:
        counters.icmpInRedirects++;
        this.#onRedirect(pkt);
        return;
      default:
        counters.dropIcmpUnknown++;
        return;
    }
    this.#onError(pkt, type, icmpCode(pkt.bytes, pkt.l4));
  }

  /** Errors about pings of our own: to the ping endpoint. */
  onIcmpError(error: IcmpError): void {
    this.pings.onIcmpError(error);
  }
  mayHaveSent(error: IcmpError): boolean {
    return this.pings.mayHaveSent(error);
  }

  #onEcho(pkt: PacketBuffer): void {
    const stack = this.#stack;
    // No answer to broadcast or multicast echoes (RFC 1122 3.2.2.6 allows it; Smurf).
    if (pkt.linkBroadcast) return;
    if (!stack.isLocalAddress(pkt.dst)) {
      if (this.#forwarder?.onEcho(pkt)) return;
      this.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_HOST, 0);
      return;
    }
    this.replyToEcho(pkt);
  }

  // @rfc 1122 3.2.2.6a
  /** Sends the echo reply to the request in pkt, in the name of its destination. */
  replyToEcho(pkt: PacketBuffer): void {
    const stack = this.#stack;
    const route = stack.findReplyRoute(pkt);
    if (typeof route === "number") {
      stack.counters.ipOutNoRoutes++;
      return;
    }
    const reply = stack.allocPacket();
    const length = pkt.end - pkt.l4;
    reply.bytes.set(pkt.bytes.subarray(pkt.l4, pkt.end), reply.start);
    reply.end = reply.start + length;
    reply.l4 = reply.start;
    reply.protocol = PROTO_ICMP;
    reply.tos = pkt.tos;
    reply.bytes[reply.l4] = ICMP_ECHO_REPLY;
    // Type went from 8 to 0, the code stays.
    const code = icmpCode(reply.bytes, reply.l4);
    const field = u16(reply.bytes, reply.l4 + ICMP_CHECKSUM);
    setIcmpChecksum(reply.bytes, reply.l4, updateChecksum(field, (ICMP_ECHO << 8) | code, code));
    stack.counters.icmpOutMsgs++;
    stack.counters.icmpOutEchoReps++;
    stack.sendPacket(route, reply, false);
  }

  // @rfc 1122 3.2.2.1
  #onError(pkt: PacketBuffer, type: number, code: number): void {
    const error = this.#readQuoted(pkt);
    if (error === null) return;
    const b = pkt.bytes;
    const kind = icmpKind(type, code);
    if (kind === 0) {
      this.#stack.counters.dropIcmpUnrelated++;
      return;
    }
    error.kind = kind;
    error.type = type;
    error.code = code;
    error.mtu = 0;
    error.pointer = type === ICMP_PARAMETER_PROBLEM ? b[pkt.l4 + 4] : 0;
    if (kind === ICMP_KIND_PACKET_TOO_BIG) {
      const told = icmpNextMtu(b, pkt.l4);
      error.mtu = told === 0 ? nextLowerPlateau(ipv4Total(b, error.l3)) : told;
    }
    dispatchIcmpError(this.#stack, error);
  }

  /** The packet that pkt quotes, when it may be one of ours; null: counted as bad or unrelated. */
  #readQuoted(pkt: PacketBuffer): IcmpError | null {
    const { counters } = this.#stack;
    const b = pkt.bytes;
    const o = pkt.payload;
    // The quoted packet is cut short: its own total length may be longer than what is here.
    const have = pkt.end - o;
    if (have < 28 || !checkIpv4Form(b, o, Math.max(have, ipv4Total(b, o)))) {
      counters.icmpInErrors++;
      counters.dropIcmpBad++;
      return null;
    }
    const header = ipv4HeaderBytes(b, o);
    const error = this.#error;
    error.src.setV4(ipv4Src(b, o));
    error.dst.setV4(ipv4Dst(b, o));
    const nic = this.#stack.nicById(pkt.nicId);
    const isOurs = this.#stack.isLocalAddress(error.src) || nic?.promiscuous === true;
    if (have < header + 8 || ipv4FragOffset(b, o) !== 0 || !isOurs) {
      counters.dropIcmpUnrelated++;
      return null;
    }
    setCarrier(error, pkt);
    error.protocol = ipv4Protocol(b, o);
    error.bytes = b;
    error.l3 = o;
    error.l4 = o + header;
    error.end = pkt.end;
    return error;
  }

  /**
   * RFC 1122 3.2.2.2, Linux's __ip_do_redirect: believed when it comes from the router in use, quotes what one of
   * our connections has in flight, and names another router on the same link. All codes mean the host.
   */
  #onRedirect(pkt: PacketBuffer): void {
    const stack = this.#stack;
    const error = this.#readQuoted(pkt);
    if (error === null) return;
    const gateway = this.#gateway.setV4(u32(pkt.bytes, pkt.l4 + 4) | 0);
    const isFit =
      icmpCode(pkt.bytes, pkt.l4) <= REDIRECT_CODE_MAX &&
      stack.acceptsRedirects &&
      !gateway.equals(pkt.src) &&
      !stack.isLocalAddress(gateway) &&
      this.#isOnLink(gateway, pkt.nicId) &&
      stack.protocols[error.protocol]?.mayHaveSent(error) === true;
    if (!isFit || !this.redirects.follow(pkt.nicId, pkt.src, error.dst, gateway.clone())) {
      stack.counters.dropIcmpUnrelated++;
    }
  }

  #isOnLink(addr: IpAddr, nicId: number): boolean {
    if (addr.isMulticast || addr.isUnspecified || addr.isLimitedBroadcast) return false;
    const route = this.#stack.routes.lookup(addr, nicId);
    return route !== null && route.gateway === null;
  }

  /** A neighbour did not answer: tells the sender of the packet (IP header at pkt.l3), as an error from ourselves. */
  localUnreachable(pkt: PacketBuffer): void {
    const b = pkt.bytes;
    const o = pkt.l3;
    if (!checkIpv4Form(b, o, pkt.end - o) || ipv4FragOffset(b, o) !== 0) return;
    const error = this.#error;
    error.kind = ICMP_KIND_HOST_UNREACHABLE;
    error.type = ICMP_UNREACHABLE;
    error.code = UNREACHABLE_HOST;
    error.src.setV4(ipv4Src(b, o));
    error.dst.setV4(ipv4Dst(b, o));
    setNoCarrier(error);
    error.protocol = ipv4Protocol(b, o);
    error.bytes = b;
    error.l3 = o;
    error.l4 = o + ipv4HeaderBytes(b, o);
    error.end = pkt.end;
    if (error.end - error.l4 >= 8) dispatchIcmpError(this.#stack, error);
  }

  // @rfc 1122 3.2.2b 3.2.2c
  /** Answers an inbound packet (l3, l4, src, dst set) with an error; `rest` is the header's second word. */
  sendError(pkt: PacketBuffer, type: number, code: number, rest: number): void {
    const stack = this.#stack;
    const b = pkt.bytes;
    const o = pkt.l3;
    if (!pkt.src.isV4 || pkt.linkBroadcast || pkt.src.isUnspecified || pkt.src.isMulticast) return;
    if (ipv4FragOffset(b, o) !== 0) return;
    if (pkt.protocol === PROTO_ICMP && (pkt.end <= pkt.l4 || mayBeError(b[pkt.l4]))) return;
    if (!this.#mayTell(pkt, type, code)) return;
    const nic = stack.nicById(pkt.nicId);
    // In our own name: a foreign destination (gateway) is not ours to speak for.
    const from = stack.isLocalAddress(pkt.dst) ? pkt.dst : (nic?.sourceFor(pkt.src) ?? null);
    const route = stack.findReplyRoute(pkt, 0, 0, 0, null, from, true);
    if (typeof route === "number") return;
    const error = stack.allocPacket();
    completeQuoted(pkt);
    const quoted = Math.min(pkt.end - o, ERROR_BYTES_MAX - route.optionBytes);
    writeIcmp(error.bytes, error.start, type, code, rest >>> 0);
    error.bytes.set(b.subarray(o, o + quoted), error.start + ICMP_HEADER);
    error.end = error.start + ICMP_HEADER + quoted;
    error.l4 = error.start;
    error.protocol = PROTO_ICMP;
    // RFC 1812 4.3.2.5: precedence of internetwork control; the service is that of what it is about (RFC 1122 3.2.2).
    error.tos = (pkt.tos & 0x1e) | 0xc0;
    setIcmpChecksum(error.bytes, error.l4, checksum(error.bytes, error.l4, error.end - error.l4));
    stack.counters.icmpOutMsgs++;
    if (type === ICMP_UNREACHABLE) stack.counters.icmpOutDestUnreachs++;
    else if (type === ICMP_TIME_EXCEEDED) stack.counters.icmpOutTimeExcds++;
    else if (type === ICMP_REDIRECT) stack.counters.icmpOutRedirects++;
    else stack.counters.icmpOutParmProbs++;
    stack.sendPacket(route, error, false);
  }

  /** icmp_send, icmpv4_xrlim_allow: what stays in this machine is free; news of the path's MTU but for the burst of all. */
  #mayTell(pkt: PacketBuffer, type: number, code: number): boolean {
    const { loopback, counters } = this.#stack;
    const isPathMtu = type === ICMP_UNREACHABLE && code === UNREACHABLE_FRAG_NEEDED;
    if (pkt.nicId === loopback.id) return true;
    const isMasked = ((this.ratemask >>> type) & 1) !== 0;
    const perHost = isMasked && !isPathMtu;
    const verdict = this.limit.take(pkt.src, perHost);
    if (verdict === LIMITED_GLOBALLY) counters.icmpOutRateLimitGlobal++;
    else if (verdict === LIMITED_FOR_HOST) counters.icmpOutRateLimitHost++;
    return verdict === ALLOWED;
  }

  sendPortUnreachable(pkt: PacketBuffer): void {
    this.sendError(pkt, ICMP_UNREACHABLE, UNREACHABLE_PORT, 0);
  }
}
