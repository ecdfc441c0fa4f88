// UDP, ping (ICMP echo) and raw sockets: udp(7), icmp(7), raw(7) over the stack's DatagramEndpoint.

import {
  EAGAIN,
  EDESTADDRREQ,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENETUNREACH,
  ENOENT,
  ENOPROTOOPT,
  ENOTCONN,
  EOPNOTSUPP,
} from "../../../abi/errno.ts";
import { ICMP_FILTER, IPPROTO_UDP, UDP_CORK, UDP_GRO, UDP_SEGMENT } from "../../../abi/in.ts";
import { FIONREAD } from "../../../abi/ioctl.ts";
import {
  AF_INET6,
  AF_UNSPEC,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_MORE,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_ZEROCOPY,
  SIOCGSTAMP_OLD,
  SIOCGSTAMPNS_OLD,
  SIOCOUTQ,
  SOCK_DGRAM,
  SOL_RAW,
  SOL_UDP,
} from "../../../abi/socket.ts";
import { i32Le, setU32Le } from "../../../base/bytes.ts";
import {
  type DatagramEndpoint,
  type DatagramInfo,
  type IpAddr,
  NetErr,
  newDatagramInfo,
} from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { writeTimespec, writeTimeval } from "../../syscalls/timeouts.ts";
import type { Io } from "../../vfs/io.ts";
import { resultOf } from "../errno-of.ts";
import type { ReceiveMessage, SendMessage } from "../message.ts";
import type { SocketAddress } from "../socket-address.ts";
import { receiveError } from "./error-queue-io.ts";
import { formatInetAddress, parsed } from "./inet-address.ts";
import { putDatagramControl, SendChoices } from "./inet-control.ts";
import { interfaceIoctl } from "./inet-ioctl.ts";
import { InetSocket, scratchAddr } from "./inet-socket.ts";
import type { InetStack } from "./inet-stack.ts";

const DATAGRAM_MAX = 65_535;
/** UDP_MAX_SEGMENTS. */
const SEGMENTS_MAX = 128;
const UDP_AND_IP_HEADER = 28;
const CORKED_MAX = DATAGRAM_MAX - UDP_AND_IP_HEADER;
/** For datagrams that lie in several pieces of memory. */
const gathered = new Uint8Array(DATAGRAM_MAX);
const choices = new SendChoices();
const nothing = new Uint8Array(0);

export class DatagramSocket extends InetSocket {
  readonly endpoint: DatagramEndpoint;
  readonly #info: DatagramInfo = newDatagramInfo();
  /** UDP_CORK, and what waits for more. */
  #isCorked = false;
  #corked: { bytes: Uint8Array; to: IpAddr | null; port: number } | null = null;
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
    this.ip.includeHeader = endpoint.includeHeader ?? false;
    this.watch(endpoint);
  }

  override get isConnected(): boolean {
    const e = this.endpoint;
    return this.hasPorts ? e.remotePort !== 0 : !e.remoteAddr.isUnspecified;
  }
  protected override get hasPorts(): boolean {
    return this.protocol === IPPROTO_UDP && this.type === SOCK_DGRAM;
  }

  override connect(_t: Task, address: SocketAddress): number {
    if (address.length < 2) return -EINVAL;
    if (address.family === AF_UNSPEC) {
      this.endpoint.disconnect();
      return 0;
    }
    const refused = this.parseDestination(address, true);
    if (refused !== 0) return refused;
    return resultOf(this.endpoint.connect(scratchAddr, parsed.port));
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
      c = { bytes: new Uint8Array(0), to, port: named ? parsed.port : 0 };
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
    if (choices.dontFragment >= 0) options.dontFragment = choices.dontFragment === 1;
    if (choices.nicId !== 0) options.boundNicId = choices.nicId;
    else if (this.ip.multicastIndex !== 0 && dst.isMulticast) {
      options.boundNicId = this.ip.multicastIndex;
    }
    if (choices.hasMark) options.mark = choices.mark;
    if (choices.hasSource) this.endpoint.sendSource = choices.source;
    const { ipOptions } = this.endpoint;
    if (choices.hasIpOptions) this.endpoint.setIpOptions(choices.ipOptions);
    const segment = choices.segmentBytes || this.#segmentBytes;
    const n =
      segment > 0 && length > segment
        ? this.#sendSegments(bytes, offset, length, segment, to, port)
        : resultOf(this.endpoint.send(bytes, offset, length, to, port));
    this.endpoint.sendSource = null;
    if (choices.hasIpOptions) this.endpoint.setIpOptions(ipOptions);
    options.ttl = ttl;
    options.multicastTtl = multicastTtl;
    options.tos = tos;
    options.boundNicId = boundNicId;
    options.mark = mark;
    options.dontFragment = dontFragment;
    return n;
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

  override receive(_t: Task, io: Io, message: ReceiveMessage): number {
    const flags = message.flags;
    if ((flags & MSG_ERRQUEUE) !== 0) return receiveError(this, io, message);
    if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    const info = this.#info;
    const isEmpty = this.endpoint.queuedReceiveBytes === 0;
    const peek = (flags & MSG_PEEK) !== 0;
    const room = io.remaining;
    const isFurther = peek && this.peekOffset >= 0;
    const n = isFurther ? this.#takeFurther(io) : this.#take(io, peek);
    if (n < 0) return n;
    const whole = (flags & MSG_TRUNC) !== 0 ? info.length : n;
    if (this.peekOffset >= 0) this.movePeek(whole, peek);
    // SHUT_RD ends the waiting, not the asking (__skb_recv_udp).
    if (isEmpty && (this.isNonBlocking || (flags & MSG_DONTWAIT) !== 0)) return -EAGAIN;
    // 0 and nothing received: the reading side was shut down.
    formatInetAddress(message.address, this.family, info.addr, info.port, info.nicId);
    putDatagramControl(this, info, message.control);
    // Of a peek that begins within one only the end can be missing.
    if (isFurther ? n === room && room < info.length : n < info.length) {
      message.resultFlags |= MSG_TRUNC;
    }
    return whole;
  }

  /** A peek by SO_PEEK_OFF. */
  #takeFurther(io: Io): number {
    const length = Math.min(io.remaining, gathered.length);
    const n = this.endpoint.peekAt(this.peekOffset, gathered, 0, length, this.#info);
    return n <= 0 ? resultOf(n) : io.copyOut(gathered, 0, n);
  }

  /** One datagram into io: bytes stored or -errno. */
  #take(io: Io, peek: boolean): number {
    const e = this.endpoint;
    const wanted = Math.min(io.remaining, e.nextBytes);
    if (wanted === 0) return resultOf(e.receive(nothing, 0, 0, this.#info, peek));
    const span = io.span(wanted, true);
    if (span < 0) return span;
    if (span === wanted) {
      const n = e.receive(io.spanBytes, io.spanOffset, wanted, this.#info, peek);
      io.advance(Math.max(0, n));
      return resultOf(n);
    }
    const n = e.receive(gathered, 0, Math.min(wanted, gathered.length), this.#info, peek);
    return n <= 0 ? resultOf(n) : io.copyOut(gathered, 0, n);
  }

  override shutdown(_t: Task, how: number): number {
    const result = this.endpoint.shutdown(how !== 1, how !== 0);
    this.waiters.notify(this.poll());
    return result === NetErr.NotConnected ? -ENOTCONN : resultOf(result);
  }

  override ioctl(t: Task, request: number, arg: number): number {
    switch (request) {
      case FIONREAD:
        return t.mm.writeU32(arg, this.endpoint.nextBytes);
      case SIOCOUTQ:
        return t.mm.writeU32(arg, this.endpoint.queuedSendBytes);
      case SIOCGSTAMP_OLD:
        return this.#info.timeNs === 0 ? -ENOENT : writeTimeval(t.mm, arg, this.#info.timeNs);
      case SIOCGSTAMPNS_OLD:
        return this.#info.timeNs === 0 ? -ENOENT : writeTimespec(t.mm, arg, this.#info.timeNs);
      default:
        return interfaceIoctl(t, this, request, arg);
    }
  }

  override setIncludeHeader(on: boolean): number {
    if (this.endpoint.includeHeader === undefined) return -ENOPROTOOPT;
    this.endpoint.includeHeader = on;
    this.ip.includeHeader = on;
    return 0;
  }

  override get receiveMemoryBytes(): number {
    return this.endpoint.queuedReceiveBytes;
  }
  override get receiveDrops(): number {
    return this.endpoint.receiveDrops;
  }

  override setProtocolOption(
    t: Task,
    level: number,
    name: number,
    value: Uint8Array,
    length: number,
  ): number {
    if (level === SOL_UDP && this.hasPorts) {
      if (length < 4) return -EINVAL;
      return this.#setUdp(name, i32Le(value, 0));
    }
    if (level === SOL_RAW && name === ICMP_FILTER && this.endpoint.icmpFilter !== undefined) {
      if (length < 4) return -EINVAL;
      this.endpoint.icmpFilter = i32Le(value, 0);
      return 0;
    }
    return super.setProtocolOption(t, level, name, value, length);
  }

  #setUdp(name: number, value: number): number {
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

  override getProtocolOption(
    t: Task,
    level: number,
    name: number,
    out: Uint8Array,
    maxLength: number,
  ): number {
    if (level === SOL_UDP && this.hasPorts) {
      if (name === UDP_SEGMENT) setU32Le(out, 0, this.#segmentBytes);
      else if (name === UDP_GRO) setU32Le(out, 0, Number(this.endpoint.merges));
      else if (name === UDP_CORK) setU32Le(out, 0, Number(this.#isCorked));
      else return -ENOPROTOOPT;
      return 4;
    }
    if (level === SOL_RAW && name === ICMP_FILTER && this.endpoint.icmpFilter !== undefined) {
      setU32Le(out, 0, this.endpoint.icmpFilter);
      return 4;
    }
    return super.getProtocolOption(t, level, name, out, maxLength);
  }

  get sendBufferBytes(): number {
    return this.endpoint.options.sendBufferBytes;
  }
  set sendBufferBytes(bytes: number) {
    this.endpoint.options.sendBufferBytes = bytes;
    this.endpoint.options.sendBufferLocked = true;
  }
  get receiveBufferBytes(): number {
    return this.endpoint.options.receiveBufferBytes;
  }
  set receiveBufferBytes(bytes: number) {
    this.endpoint.options.receiveBufferBytes = bytes;
    this.endpoint.options.receiveBufferLocked = true;
  }
}
