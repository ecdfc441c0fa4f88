// AF_NETLINK sockets of the protocols NETLINK_ROUTE and NETLINK_SOCK_DIAG (netlink(7)): requests are answered at
// once, into the socket's own queue. Changes are announced to the groups by route-notices.ts.

import { CAP_NET_ADMIN } from "../../../abi/capability.ts";
import {
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPERM,
} from "../../../abi/errno.ts";
import { FIONREAD } from "../../../abi/ioctl.ts";
import {
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_BROADCAST_ERROR,
  NETLINK_CAP_ACK,
  NETLINK_DROP_MEMBERSHIP,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_NO_ENOBUFS,
  NETLINK_PKTINFO,
  NETLINK_ROUTE,
  NETLINK_SOCK_DIAG,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_MIN_TYPE,
  NLMSGHDR_BYTES,
  nlAlign,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETNEIGH,
  RTM_GETROUTE,
  RTM_GETRULE,
} from "../../../abi/netlink.ts";
import { POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../../abi/poll.ts";
import { SOCK_DIAG_BY_FAMILY } from "../../../abi/sock-diag.ts";
import {
  AF_NETLINK,
  AF_UNSPEC,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  SOCKADDR_NL_BYTES,
  SOL_NETLINK,
} from "../../../abi/socket.ts";
import { i32Le, setU16Le, setU32Le, u16Le, u32Le } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Io } from "../../vfs/io.ts";
import { interfaceIoctl } from "../inet/inet-ioctl.ts";
import type { InetStack } from "../inet/inet-stack.ts";
import type { NetworkChanges, NetworkView } from "../inet/network-view.ts";
import type { ReceiveMessage, SendMessage } from "../message.ts";
import { Socket } from "../socket.ts";
import type { SocketAddress } from "../socket-address.ts";
import { dumpAddresses, dumpLinks, dumpNeighbors, getLink } from "./link-messages.ts";
import { messageLength, NetlinkWriter } from "./netlink-message.ts";
import { changeNetwork } from "./route-changes.ts";
import { dumpRoutes, getRoute } from "./route-messages.ts";
import type { NoticeListener, RouteNotices } from "./route-notices.ts";
import { dumpRules } from "./rule-changes.ts";
import { answerDiag } from "./sock-diag.ts";

const REQUEST_BYTES_MAX = 65_536;
const BUFFER_BYTES = 212_992;
/** Of Linux 6; those above 32 say nothing here. */
const RTNLGRP_MAX = 36;
const READABLE = POLLIN | POLLRDNORM;

export class NetlinkSocket extends Socket implements NoticeListener {
  readonly #network: NetworkView & NetworkChanges;
  readonly #notices: RouteNotices;
  readonly #queue: { readonly bytes: Uint8Array; readonly group: number }[] = [];
  #queuedBytes = 0;
  portId = 0;
  groups = 0;
  /** A notice was lost for want of room, and nobody has been told. */
  #isOverrun = false;
  /** SOL_NETLINK booleans, by option. */
  readonly #options = new Set<number>();
  sendBufferBytes = BUFFER_BYTES;
  receiveBufferBytes = BUFFER_BYTES;

  constructor(
    stack: Pick<InetStack, "table" | "network" | "notices">,
    type: number,
    protocol: number,
    flags: number,
  ) {
    super(stack.table, AF_NETLINK, type, protocol, flags);
    this.#network = stack.network;
    this.#notices = stack.notices;
  }

  override bind(t: Task, address: SocketAddress): number {
    if (address.length < SOCKADDR_NL_BYTES || address.family !== AF_NETLINK) return -EINVAL;
    const wanted = u32Le(address.bytes, 4);
    if (this.portId !== 0 && wanted !== 0 && wanted !== this.portId) return -EINVAL;
    this.#join(u32Le(address.bytes, 8));
    if (this.portId !== 0) return 0;
    if (wanted === 0) {
      this.#autobind(t);
      return 0;
    }
    return this.#take(wanted) ? 0 : -EADDRINUSE;
  }

  /** netlink_autobind: the process id; others of the same process get high numbers, downwards. */
  #autobind(t: Task): void {
    const { netlinkPorts } = this.table;
    let id = t.threadGroup.tgid;
    let next = 0xffff_f000 - (netlinkPorts.get(this.protocol)?.size ?? 0);
    while (!this.#take(id)) id = next--;
  }
  #take(id: number): boolean {
    const { netlinkPorts } = this.table;
    let taken = netlinkPorts.get(this.protocol);
    if (taken === undefined) netlinkPorts.set(this.protocol, (taken = new Set()));
    if (taken.has(id)) return false;
    taken.add(id);
    this.portId = id;
    return true;
  }

  override connect(t: Task, address: SocketAddress): number {
    if (address.length >= 2 && address.family === AF_UNSPEC) return 0;
    if (address.length < SOCKADDR_NL_BYTES || address.family !== AF_NETLINK) return -EINVAL;
    if (u32Le(address.bytes, 8) !== 0 || u32Le(address.bytes, 4) !== 0) return -EPERM;
    if (this.portId === 0) this.#autobind(t);
    return 0;
  }
  override localName(out: SocketAddress): number {
    formatNetlinkAddress(out, this.portId, this.groups);
    return 0;
  }
  override peerName(out: SocketAddress): number {
    formatNetlinkAddress(out, 0, 0);
    return 0;
  }
  override shutdown(_t: Task, _how: number): number {
    return -EOPNOTSUPP;
  }

  override send(t: Task, io: Io, message: SendMessage): number {
    if ((message.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    const to = message.address;
    if (to.length > 0) {
      if (to.length < SOCKADDR_NL_BYTES || to.family !== AF_NETLINK) return -EINVAL;
      // Only the kernel listens.
      if (u32Le(to.bytes, 8) !== 0) return -EPERM;
      if (u32Le(to.bytes, 4) !== 0) return -ECONNREFUSED;
    }
    if (this.portId === 0) this.#autobind(t);
    const length = io.remaining;
    if (length > Math.min(REQUEST_BYTES_MAX, this.sendBufferBytes - 32)) return -EMSGSIZE;
    if (this.#isFull) return -ENOBUFS;
    const bytes = new Uint8Array(length);
    const n = io.copyIn(bytes, 0, length);
    if (n !== length) return n < 0 ? n : -EINVAL;
    let at = 0;
    while (length - at >= NLMSGHDR_BYTES) {
      const size = messageLength(bytes, at);
      if (size < NLMSGHDR_BYTES || size > length - at) break;
      // A datagram of many requests for the whole of a table: answers have no room beyond the buffer either.
      if (this.#isFull) {
        this.#noteOverrun();
        break;
      }
      this.#answer(t, bytes.subarray(at, at + size));
      at += nlAlign(size);
    }
    return length;
  }

  #answer(t: Task, request: Uint8Array): void {
    const type = u16Le(request, 4);
    const flags = u16Le(request, 6);
    const writer = new NetlinkWriter(u32Le(request, 8), this.portId);
    const result =
      (flags & NLM_F_REQUEST) === 0 || type < NLMSG_MIN_TYPE
        ? 0
        : this.#handle(t, writer, type, flags, request);
    if (result < 0) {
      writer.error(-result, request, !this.#options.has(NETLINK_CAP_ACK));
    } else if ((flags & NLM_F_ACK) !== 0 && !this.#isDump(type, flags)) {
      writer.error(0, request, false);
    }
    for (const datagram of writer.datagrams) this.#enqueue(datagram, 0);
    if (this.#queue.length > 0) this.waiters.notify(READABLE);
  }

  get #isFull(): boolean {
    return this.#queuedBytes > this.receiveBufferBytes || !this.table.hasRoom(0);
  }
  /** netlink_overrun. */
  #noteOverrun(): void {
    if (!this.#options.has(NETLINK_NO_ENOBUFS)) this.#isOverrun = true;
  }

  #enqueue(bytes: Uint8Array, group: number): void {
    this.#queue.push({ bytes, group });
    this.#queuedBytes += bytes.length;
    this.table.queuedBytes += bytes.length;
  }

  #join(groups: number): void {
    this.groups = groups;
    if (groups !== 0 && this.protocol === NETLINK_ROUTE) this.#notices.listeners.add(this);
    else this.#notices.listeners.delete(this);
  }

  onNotice(message: Uint8Array, group: number): void {
    const isFull = this.#queuedBytes + message.length > this.receiveBufferBytes;
    if (isFull || !this.table.hasRoom(message.length)) this.#noteOverrun();
    else this.#enqueue(message, group);
    this.waiters.notify(this.poll());
  }

  /** In requests that change something, NLM_F_DUMP's bits mean other things. */
  #isDump(type: number, flags: number): boolean {
    const isGet = this.protocol === NETLINK_SOCK_DIAG || (type & 3) === 2;
    return isGet && (flags & NLM_F_DUMP) === NLM_F_DUMP;
  }

  #handle(t: Task, w: NetlinkWriter, type: number, flags: number, request: Uint8Array): number {
    const isDump = this.#isDump(type, flags);
    if (this.protocol === NETLINK_SOCK_DIAG) {
      if (type !== SOCK_DIAG_BY_FAMILY) return -EINVAL;
      return answerDiag(w, this.table.sockets, request, isDump);
    }
    // Of four message types of an object, the third (GET) may be asked by anybody.
    if ((type & 3) !== 2) {
      if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
      return changeNetwork(this.#network, type, flags, request) ?? -EOPNOTSUPP;
    }
    const family = request.length > NLMSGHDR_BYTES ? request[NLMSGHDR_BYTES] : AF_UNSPEC;
    switch (type) {
      case RTM_GETLINK:
        if (!isDump) return getLink(w, this.#network, request);
        dumpLinks(w, this.#network);
        return 0;
      case RTM_GETADDR:
        if (!isDump) return -EOPNOTSUPP;
        dumpAddresses(w, this.#network, family);
        return 0;
      case RTM_GETROUTE:
        if (!isDump) return getRoute(w, this.#network, request, t.creds.euid);
        dumpRoutes(w, this.#network, family);
        return 0;
      case RTM_GETRULE:
        if (!isDump) return -EOPNOTSUPP;
        dumpRules(w, this.#network, family);
        return 0;
      case RTM_GETNEIGH:
        if (!isDump) return -EOPNOTSUPP;
        dumpNeighbors(w, this.#network, family);
        return 0;
      default:
        return -EOPNOTSUPP;
    }
  }

  override receive(_t: Task, io: Io, message: ReceiveMessage): number {
    if ((message.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    if (this.#isOverrun) {
      this.#isOverrun = false;
      return -ENOBUFS;
    }
    if (this.#queue.length === 0) return -EAGAIN;
    const { bytes: datagram, group } = this.#queue[0];
    const wanted = Math.min(datagram.length, io.remaining);
    const n = wanted === 0 ? 0 : io.copyOut(datagram, 0, wanted);
    if (n < 0) return n;
    formatNetlinkAddress(message.address, 0, group === 0 ? 0 : 1 << (group - 1));
    if (wanted < datagram.length) message.resultFlags |= MSG_TRUNC;
    if ((message.flags & MSG_PEEK) === 0) this.#shift();
    return (message.flags & MSG_TRUNC) !== 0 ? datagram.length : n;
  }

  #shift(): void {
    const bytes = this.#queue.shift()?.bytes.length ?? 0;
    this.#queuedBytes -= bytes;
    this.table.queuedBytes -= bytes;
  }

  override poll(): number {
    const isReadable = this.#queue.length > 0 || this.#isOverrun;
    const error = this.#isOverrun ? POLLERR : 0;
    return POLLOUT | POLLWRNORM | error | (isReadable ? READABLE : 0);
  }
  override ioctl(t: Task, request: number, arg: number): number {
    if (request === FIONREAD) return t.mm.writeU32(arg, this.#queue[0]?.bytes.length ?? 0);
    return interfaceIoctl(t, this, request, arg);
  }

  override setProtocolOption(
    _t: Task,
    level: number,
    name: number,
    value: Uint8Array,
    length: number,
  ): number {
    if (level !== SOL_NETLINK) return -ENOPROTOOPT;
    if (length < 4) return -EINVAL;
    const v = i32Le(value, 0);
    switch (name) {
      case NETLINK_ADD_MEMBERSHIP:
      case NETLINK_DROP_MEMBERSHIP:
        if (v < 1 || v > RTNLGRP_MAX) return -EINVAL;
        if (v <= 32) {
          const bit = 1 << (v - 1);
          this.#join(name === NETLINK_ADD_MEMBERSHIP ? this.groups | bit : this.groups & ~bit);
        }
        return 0;
      case NETLINK_CAP_ACK:
      case NETLINK_EXT_ACK:
      case NETLINK_GET_STRICT_CHK:
      case NETLINK_BROADCAST_ERROR:
      case NETLINK_NO_ENOBUFS:
      case NETLINK_PKTINFO:
        if (v !== 0) this.#options.add(name);
        else this.#options.delete(name);
        return 0;
      default:
        return -ENOPROTOOPT;
    }
  }
  override getProtocolOption(
    _t: Task,
    level: number,
    name: number,
    out: Uint8Array,
    _maxLength: number,
  ): number {
    if (level !== SOL_NETLINK || name < NETLINK_PKTINFO) return -ENOPROTOOPT;
    setU32Le(out, 0, Number(this.#options.has(name)));
    return 4;
  }

  override release(): void {
    if (this.portId !== 0) this.table.netlinkPorts.get(this.protocol)?.delete(this.portId);
    this.#join(0);
    while (this.#queue.length > 0) this.#shift();
    super.release();
  }
}

export function formatNetlinkAddress(out: SocketAddress, portId: number, groups: number): void {
  setU16Le(out.bytes, 0, AF_NETLINK);
  setU16Le(out.bytes, 2, 0);
  setU32Le(out.bytes, 4, portId);
  setU32Le(out.bytes, 8, groups);
  out.length = SOCKADDR_NL_BYTES;
}
