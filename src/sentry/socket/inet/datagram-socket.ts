// UDP, ping (ICMP echo) and raw sockets: udp(7), icmp(7), raw(7) over the stack's DatagramEndpoint. How they send:
// datagram-send.ts.

import { EAGAIN, EINVAL, ENOENT, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP } from "../../../abi/errno.ts";
import { FIONREAD } from "../../../abi/ioctl.ts";
import {
  AF_UNSPEC,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  SIOCGSTAMP_OLD,
  SIOCGSTAMPNS_OLD,
  SIOCOUTQ,
  SOCK_RAW,
  SOL_UDP,
} from "../../../abi/socket.ts";
import { i32Le, setU32Le } from "../../../base/bytes.ts";
import { type DatagramInfo, NetErr, newDatagramInfo } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { writeTimespec, writeTimeval } from "../../syscalls/timeouts.ts";
import type { Io } from "../../vfs/io.ts";
import { resultOf } from "../errno-of.ts";
import type { ReceiveMessage } from "../message.ts";
import type { SocketAddress } from "../socket-address.ts";
import { SendingSocket } from "./datagram-send.ts";
import { receiveError } from "./error-queue-io.ts";
import { flowFor } from "./flow-labels.ts";
import { formatInetAddress, parsed } from "./inet-address.ts";
import { putDatagramControl, receivePathMtu } from "./inet-control.ts";
import { interfaceIoctl } from "./inet-ioctl.ts";
import { scratchAddr } from "./inet-socket.ts";
import { getRawOption, isRawLevel, setRawOption } from "./raw-options.ts";

/** For datagrams that go into several pieces of memory. */
const gathered = new Uint8Array(65_535);
const nothing = new Uint8Array(0);

export class DatagramSocket extends SendingSocket {
  readonly #info: DatagramInfo = newDatagramInfo();

  override connect(_t: Task, address: SocketAddress): number {
    if (address.length < 2) return -EINVAL;
    if (address.family === AF_UNSPEC) {
      this.endpoint.disconnect();
      if (this.ip.peerFlowInfo !== 0) this.ownIp.peerFlowInfo = 0;
      return 0;
    }
    const refused = this.parseDestination(address, true);
    if (refused !== 0) return refused;
    const flowInfo = this.ip.sendsFlowInfo ? parsed.flowInfo : 0;
    const flow = scratchAddr.isV4 ? 0 : flowFor(this, scratchAddr, parsed.port, flowInfo);
    if (flow < 0) return flow;
    if (this.ip.peerFlowInfo !== flowInfo) this.ownIp.peerFlowInfo = flowInfo;
    return resultOf(this.endpoint.connect(scratchAddr, parsed.port));
  }

  override receive(_t: Task, io: Io, message: ReceiveMessage): number {
    const flags = message.flags;
    if ((flags & MSG_ERRQUEUE) !== 0) return receiveError(this, io, message);
    if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    // ipv6_recv_rxpmtu: it comes before any datagram.
    const notice = this.ip.receivePathMtu ? this.endpoint.takePathMtu() : null;
    if (notice !== null) return receivePathMtu(notice, message);
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
    this.ownIp.includeHeader = on;
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
      return this.setUdp(name, i32Le(value, 0));
    }
    if (this.type === SOCK_RAW && isRawLevel(level, this.family)) {
      return setRawOption(this, level, name, value, length);
    }
    return super.setProtocolOption(t, level, name, value, length);
  }

  override getProtocolOption(
    t: Task,
    level: number,
    name: number,
    out: Uint8Array,
    maxLength: number,
  ): number {
    if (level === SOL_UDP && this.hasPorts) {
      const value = this.getUdp(name);
      if (value < 0) return value;
      setU32Le(out, 0, value);
      return 4;
    }
    if (this.type === SOCK_RAW && isRawLevel(level, this.family)) {
      return getRawOption(this, level, name, out, maxLength);
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
