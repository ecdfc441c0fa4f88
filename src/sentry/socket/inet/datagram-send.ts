// How UDP, ping and raw sockets send: one datagram a call, several calls for one (UDP_CORK, MSG_MORE), one call for
// several (UDP_SEGMENT); udp(7), raw(7). Receiving and everything else: datagram-socket.ts.

import {
  EDESTADDRREQ,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENETUNREACH,
  ENOPROTOOPT,
  EOPNOTSUPP,
} from "../../../abi/errno.ts";
import { IPPROTO_UDP, UDP_CORK, UDP_GRO, UDP_SEGMENT } from "../../../abi/in.ts";
import {
  AF_INET6,
  AF_UNSPEC,
  MSG_MORE,
  MSG_OOB,
  MSG_ZEROCOPY,
  SOCK_DGRAM,
} from "../../../abi/socket.ts";
import type { DatagramEndpoint, IpAddr } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import type { Io } from "../../vfs/io.ts";
import { resultOf } from "../errno-of.ts";
import type { SendMessage } from "../message.ts";
import type { SocketAddress } from "../socket-address.ts";
import { flowFor } from "./flow-labels.ts";
import { parsed } from "./inet-address.ts";
import { InetSocket, scratchAddr } from "./inet-socket.ts";
import type { InetStack } from "./inet-stack.ts";
import { SendChoices } from "./send-choices.ts";

const DATAGRAM_MAX = 65_535;
/** UDP_MAX_SEGMENTS. */
const SEGMENTS_MAX = 128;
const UDP_AND_IP_HEADER = 28;
const CORKED_MAX = DATAGRAM_MAX - UDP_AND_IP_HEADER;
/** For datagrams that lie in several pieces of memory. */
const gathered = new Uint8Array(DATAGRAM_MAX);
const choices = new SendChoices();
const nothing = new Uint8Array(0);

export abstract class SendingSocket extends InetSocket {
  readonly endpoint: DatagramEndpoint;
  /** UDP_CORK, and what waits for more. */
  #isCorked = false;
  #corked: { bytes: Uint8Array; to: IpAddr | null; port: number; flowInfo: number } | null = null;
  #segmentBytes = 0;

  constructor(
    stack: InetStack,
    family: number,
    type: number,
    protocol: number,
    flags: number,
    endpoint: DatagramEndpoint,
  ) {
    super(stack.table, stack.network, family, type, protocol, flags);
    this.endpoint = endpoint;
    if (endpoint.includeHeader) this.ownIp.includeHeader = true;
    this.watch(endpoint);
  }

  override get isConnected(): boolean {
    const e = this.endpoint;
    return this.hasPorts ? e.remotePort !== 0 : !e.remoteAddr.isUnspecified;
  }
  protected override get hasPorts(): boolean {
    return this.protocol === IPPROTO_UDP && this.type === SOCK_DGRAM;
  }

  override send(t: Task, io: Io, message: SendMessage): number {
    if ((message.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    const length = io.remaining;
    if (length > DATAGRAM_MAX) return -EMSGSIZE;
    const more = (message.flags & MSG_MORE) !== 0;
    if (this.#corked !== null || ((more || this.#isCorked) && this.hasPorts)) {
      return this.#sendCorked(io, message, more || this.#isCorked);
    }
    // Ping and raw sockets: raw_sendmsg ignores it.
    let to: IpAddr | null = null;
    let port = 0;
    if (message.address.length > 0) {
      const refused = this.#parseTo(message.address);
      if (refused !== 0) return refused;
      to = scratchAddr;
      port = parsed.port;
    } else if (!this.isConnected) {
      // A UDP socket has a port behind this, too.
      return this.hasPorts ? resultOf(this.endpoint.send(nothing, 0, 0, null, 0)) : -EDESTADDRREQ;
    }
    choices.reset();
    if (message.control.length > 0) {
      const refused = choices.read(t, this, message.control);
      if (refused < 0) return refused;
    }
    let bytes: Uint8Array = nothing;
    let offset = 0;
    if (length > 0) {
      const span = io.span(length, false);
      if (span < 0) return span;
      bytes = io.spanBytes;
      offset = io.spanOffset;
      if (span < length) {
        if (io.copyIn(gathered, 0, length) !== length) return -EFAULT;
        bytes = gathered;
        offset = 0;
      } else io.advance(length);
    }
    const n = this.#transmit(bytes, offset, length, to, port);
    const isZerocopy = this.zerocopy && (message.flags & MSG_ZEROCOPY) !== 0;
    if (isZerocopy && n >= 0 && length > 0) this.endpoint.completeZerocopy();
    return n;
  }

  /**
   * UDP_CORK and MSG_MORE: the bytes of several sends become one datagram, to where the first of them said.
   * Control messages of the later ones are not looked at, as in Linux (udp_sendmsg, do_append_data).
   */
  #sendCorked(io: Io, message: SendMessage, more: boolean): number {
    const length = io.remaining;
    let c = this.#corked;
    if (c === null) {
      const named = message.address.length > 0;
      const refused = named ? this.#parseTo(message.address) : this.isConnected ? 0 : -EDESTADDRREQ;
      if (refused !== 0) return refused;
      const to = named ? scratchAddr.clone() : null;
      const { port, flowInfo } = parsed;
      c = { bytes: new Uint8Array(0), to, port: named ? port : 0, flowInfo };
    }
    if (c.bytes.length + length > CORKED_MAX) return -EMSGSIZE;
    const bytes = new Uint8Array(c.bytes.length + length);
    bytes.set(c.bytes);
    if (io.copyIn(bytes, c.bytes.length, length) !== length) return -EFAULT;
    c.bytes = bytes;
    this.#corked = c;
    if (more) return length;
    const n = this.#uncork();
    return n < 0 ? n : length;
  }

  #uncork(): number {
    const c = this.#corked;
    if (c === null) return 0;
    this.#corked = null;
    choices.reset();
    if (this.ip.sendsFlowInfo && c.to !== null) choices.flowInfo = c.flowInfo;
    return this.#transmit(c.bytes, 0, c.bytes.length, c.to, c.port);
  }

  #parseTo(address: SocketAddress): number {
    if (address.family === AF_UNSPEC && this.family !== AF_INET6) {
      // Old programs leave sin_family 0 in sendto (udp_sendmsg).
      address.bytes[0] = this.family;
    }
    const refused = this.parseDestination(address, true);
    if (refused !== 0) return refused;
    if (this.family === AF_INET6 && scratchAddr.isV4 && this.endpoint.options.v6Only) {
      return -ENETUNREACH;
    }
    return parsed.port === 0 && this.hasPorts ? -EINVAL : 0;
  }

  /** Sends with the call's choices in force for its length only. */
  #transmit(
    bytes: Uint8Array,
    offset: number,
    length: number,
    to: IpAddr | null,
    port: number,
  ): number {
    const options = this.endpoint.options;
    const { ttl, multicastTtl, tos, boundNicId, mark, dontFragment } = options;
    const dst = to ?? this.endpoint.remoteAddr;
    if (choices.ttl >= 0) options.ttl = options.multicastTtl = choices.ttl;
    if (choices.tos >= 0) options.tos = choices.tos;
    if (!dst.isV4) {
      const flow = flowFor(this, dst, port, this.#flowInfo(to === null));
      if (flow < 0) return flow;
      options.tos |= flow;
    }
    if (choices.dontFragment >= 0) options.dontFragment = choices.dontFragment === 1;
    if (choices.nicId !== 0) options.boundNicId = choices.nicId;
    else if (boundNicId === 0) options.boundNicId = this.#outgoingIndex(dst);
    if (choices.hasMark) options.mark = choices.mark;
    if (choices.hasSource) this.endpoint.sendSource = choices.source;
    const { ipOptions, extensions } = this.endpoint;
    if (choices.hasIpOptions) this.endpoint.setIpOptions(choices.ipOptions);
    const isExtended = !choices.extensions.isEmpty;
    if (isExtended) this.endpoint.setExtensions(choices.extensions.headers());
    const segment = choices.segmentBytes || this.#segmentBytes;
    const n =
      segment > 0 && length > segment
        ? this.#sendSegments(bytes, offset, length, segment, to, port)
        : resultOf(this.endpoint.send(bytes, offset, length, to, port));
    this.endpoint.sendSource = null;
    if (choices.hasIpOptions) this.endpoint.setIpOptions(ipOptions);
    if (isExtended) this.endpoint.setExtensions(extensions);
    options.ttl = ttl;
    options.multicastTtl = multicastTtl;
    options.tos = tos;
    options.boundNicId = boundNicId;
    options.mark = mark;
    options.dontFragment = dontFragment;
    return n;
  }

  /** Class and label that the program asks for: of this message, of the address it goes to, or of the connection. */
  #flowInfo(isToPeer: boolean): number {
    if (choices.flowInfo >= 0) return choices.flowInfo;
    if (isToPeer) return this.ip.peerFlowInfo;
    return this.ip.sendsFlowInfo ? parsed.flowInfo : 0;
  }

  /** Where what is bound to no interface leaves: IPV6_PKTINFO's, or of a group's its own. 0: by route. */
  #outgoingIndex(dst: IpAddr): number {
    const { stickyIndex, multicastIndex } = this.ip;
    if (stickyIndex !== 0 && !dst.isV4) return stickyIndex;
    return dst.isMulticast ? multicastIndex : 0;
  }

  /** UDP_SEGMENT: one buffer, many datagrams of the same length (the last may be shorter). */
  #sendSegments(
    bytes: Uint8Array,
    offset: number,
    length: number,
    segment: number,
    to: IpAddr | null,
    port: number,
  ): number {
    if (length > segment * SEGMENTS_MAX) return -EINVAL;
    // One packet to IP: its length must fit before it is cut up.
    if (length + UDP_AND_IP_HEADER > DATAGRAM_MAX) return -EMSGSIZE;
    for (let done = 0; done < length; done += segment) {
      const n = Math.min(segment, length - done);
      const sent = this.endpoint.send(bytes, offset + done, n, to, port);
      // Linux sends all or counts none; what went out before an error cannot be called back.
      if (sent < 0) return done > 0 ? done : resultOf(sent);
    }
    return length;
  }

  protected setUdp(name: number, value: number): number {
    switch (name) {
      case UDP_SEGMENT:
        if (value < 0 || value > 0xffff) return -EINVAL;
        this.#segmentBytes = value;
        return 0;
      case UDP_GRO:
        this.endpoint.merges = value !== 0;
        return 0;
      case UDP_CORK:
        this.#isCorked = value !== 0;
        if (!this.#isCorked) this.#uncork();
        return 0;
      default:
        return -ENOPROTOOPT;
    }
  }

  protected getUdp(name: number): number {
    switch (name) {
      case UDP_SEGMENT:
        return this.#segmentBytes;
      case UDP_GRO:
        return Number(this.endpoint.merges);
      case UDP_CORK:
        return Number(this.#isCorked);
      default:
        return -ENOPROTOOPT;
    }
  }
}
