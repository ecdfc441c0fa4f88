// What AF_INET and AF_INET6 sockets of every type share: the endpoint behind them, names, binding,
// options of the IP level, readiness. The stream and datagram sockets are in their own files.

import { CAP_NET_BIND_SERVICE } from "../../../abi/capability.ts";
import {
  EACCES,
  EAFNOSUPPORT,
  EINVAL,
  ENETUNREACH,
  ENOPROTOOPT,
  ENOTCONN,
  EOPNOTSUPP,
} from "../../../abi/errno.ts";
import {
  SOF_TIMESTAMPING_OPT_ID,
  SOF_TIMESTAMPING_OPT_TSONLY,
  SOF_TIMESTAMPING_TX_ACK,
  SOF_TIMESTAMPING_TX_SCHED,
  SOF_TIMESTAMPING_TX_SOFTWARE,
} from "../../../abi/errqueue.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  SO_BROADCAST,
  SO_MARK,
  SO_PEEK_OFF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_TIMESTAMPING,
  SOCK_RAW,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
} from "../../../abi/socket.ts";
import { i32Le, setU32Le, u32Le } from "../../../base/bytes.ts";
import { type Endpoint, IpAddr, type Memberships, TimestampKind } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { errnoOf, resultOf } from "../errno-of.ts";
import { type FilterTarget, Socket } from "../socket.ts";
import type { SocketAddress } from "../socket-address.ts";
import type { SocketTable } from "../socket-table.ts";
import { getDevice, setDevice } from "./device-options.ts";
import { releaseFlowLabels } from "./flow-labels.ts";
import { formatInetAddress, isLinkLocalV6, parsed, parseInetAddress } from "./inet-address.ts";
import { setIpOption } from "./ip-options.ts";
import { getIpOption } from "./ip-options-read.ts";
import { IpState } from "./ip-state.ts";
import { setIpv6Option } from "./ipv6-options.ts";
import { getIpv6Option } from "./ipv6-options-read.ts";
import type { NetworkView } from "./network-view.ts";
import { pollMaskOf } from "./poll-mask.ts";

/** Scratch for parsed addresses; the endpoints copy what they keep. */
export const scratchAddr = new IpAddr();

const INITIAL_IPV4: Readonly<IpState> = new IpState(false);
const INITIAL_IPV6: Readonly<IpState> = new IpState(true);

export abstract class InetSocket extends Socket {
  abstract readonly endpoint: Endpoint;
  readonly network: NetworkView;
  /** Nearly all sockets have it as it begins. */
  #ip: IpState | null = null;
  /** SO_PEEK_OFF; below 0: off. */
  peekOffset = -1;
  /** Of a stream; a datagram endpoint has its own. */
  streamGroups: Memberships | null = null;

  constructor(
    table: SocketTable,
    network: NetworkView,
    family: number,
    type: number,
    protocol: number,
    flags: number,
  ) {
    super(table, family, type, protocol, flags);
    this.network = network;
  }

  /** What the IP levels keep of it. */
  get ip(): Readonly<IpState> {
    return this.#ip ?? (this.family === AF_INET6 ? INITIAL_IPV6 : INITIAL_IPV4);
  }
  /** To be changed. */
  get ownIp(): IpState {
    this.#ip ??= new IpState(this.family === AF_INET6);
    return this.#ip;
  }

  /** Of the listener that this is a connection of; labels it has reserved are its own. */
  inheritIp(listener: InetSocket): void {
    if (listener.#ip === null) return;
    const isIpv6 = this.family === AF_INET6;
    this.#ip = Object.assign(new IpState(isIpv6), listener.#ip, { flowLabels: null });
  }

  /** The endpoint's announcements wake whoever waits here. */
  protected watch(endpoint: Endpoint): void {
    endpoint.onReadiness = (ready) => this.waiters.notify(pollMaskOf(ready));
  }
  override poll(): number {
    return pollMaskOf(this.endpoint.readiness());
  }
  override get filterTarget(): FilterTarget {
    return this.endpoint.options;
  }
  override takeError(): number {
    return errnoOf(this.endpoint.takeError());
  }

  override bind(t: Task, address: SocketAddress): number {
    const refused = this.#parseBind(address);
    if (refused !== 0) return refused;
    const port = parsed.port;
    if (
      port !== 0 &&
      port < t.kernel.socketRights.unprivilegedPortStart &&
      this.hasPorts &&
      !t.creds.hasCapability(CAP_NET_BIND_SERVICE)
    ) {
      return -EACCES;
    }
    if (isLinkLocalV6(scratchAddr)) {
      if (parsed.scopeId !== 0) this.endpoint.options.boundNicId = parsed.scopeId;
      if (this.endpoint.options.boundNicId === 0) return -EINVAL;
    }
    return resultOf(this.endpoint.bind(scratchAddr, port));
  }

  #parseBind(address: SocketAddress): number {
    // Old programs bind to 0.0.0.0 without a family; Linux lets them.
    if (this.family === AF_INET && address.family === AF_UNSPEC && address.length >= 16) {
      if (u32Le(address.bytes, 4) !== 0) return -EAFNOSUPPORT;
      parsed.port = (address.bytes[2] << 8) | address.bytes[3];
      scratchAddr.setV4(0);
      return 0;
    }
    const result = parseInetAddress(address, this.family, false, scratchAddr);
    if (result !== 0) return result;
    if (this.family === AF_INET6 && scratchAddr.isV4 && this.endpoint.options.v6Only) {
      return -EINVAL;
    }
    return 0;
  }

  /** Raw and ping sockets have ids, not ports. */
  protected get hasPorts(): boolean {
    return true;
  }

  /** Reads a destination into scratchAddr and parsed; "any" means this host (ip(7)). */
  protected parseDestination(address: SocketAddress, allowV4: boolean): number {
    const result = parseInetAddress(address, this.family, allowV4, scratchAddr);
    if (result !== 0) return result;
    if (scratchAddr.isV4 && this.family === AF_INET6 && this.endpoint.options.v6Only) {
      return -ENETUNREACH;
    }
    if (scratchAddr.isUnspecified) {
      if (scratchAddr.isV4) scratchAddr.setV4(0x7f00_0001);
      else scratchAddr.w3 = 1;
    }
    if (isLinkLocalV6(scratchAddr) && parsed.scopeId !== 0) {
      const bound = this.endpoint.options.boundNicId;
      if (bound !== 0 && bound !== parsed.scopeId) return -EINVAL;
      this.endpoint.options.boundNicId = parsed.scopeId;
    }
    return 0;
  }

  override localName(out: SocketAddress): number {
    const e = this.endpoint;
    formatInetAddress(out, this.family, e.localAddr, e.localPort, e.options.boundNicId);
    return 0;
  }
  override peerName(out: SocketAddress): number {
    const e = this.endpoint;
    if (!this.isConnected) return -ENOTCONN;
    formatInetAddress(out, this.family, e.remoteAddr, e.remotePort, e.options.boundNicId);
    return 0;
  }
  abstract readonly isConnected: boolean;

  /** IPV6_ADDRFORM: of the protocols that have it; and a connection that is there to have it. */
  get mayBecomeIpv4(): boolean {
    return this.hasPorts;
  }
  get isEstablished(): boolean {
    return this.isConnected;
  }

  /** IP_HDRINCL, for raw sockets. */
  setIncludeHeader(_on: boolean): number {
    return -ENOPROTOOPT;
  }
  /** Whether what this socket sends to a group comes back to members here (the default). */
  get multicastLoop(): boolean {
    return this.endpoint.options.multicastLoop;
  }
  setMulticastLoop(on: boolean): number {
    this.endpoint.options.multicastLoop = on;
    return 0;
  }

  override optionChanged(_t: Task, name: number): number {
    const options = this.endpoint.options;
    if (name === SO_REUSEADDR) options.reuseAddress = this.reuseAddress;
    else if (name === SO_REUSEPORT) options.reusePort = this.reusePort;
    else if (name === SO_BROADCAST) options.broadcast = this.broadcast;
    else if (name === SO_MARK) options.mark = this.mark;
    else if (name === SO_TIMESTAMPING) return this.#timestampingChanged();
    return 0;
  }

  #timestampingChanged(): number {
    const options = this.endpoint.options;
    const flags = this.timestamping;
    const keys = (flags & SOF_TIMESTAMPING_OPT_ID) !== 0;
    if (keys && !options.timestampKeys) {
      const refused = resultOf(this.endpoint.restartTimestampKeys());
      if (refused < 0) return refused;
    }
    options.timestampKeys = keys;
    options.timestampsOnly = (flags & SOF_TIMESTAMPING_OPT_TSONLY) !== 0;
    options.timestamps =
      ((flags & SOF_TIMESTAMPING_TX_SOFTWARE) !== 0 ? 1 << TimestampKind.Sent : 0) |
      ((flags & SOF_TIMESTAMPING_TX_SCHED) !== 0 ? 1 << TimestampKind.Scheduled : 0) |
      ((flags & SOF_TIMESTAMPING_TX_ACK) !== 0 ? 1 << TimestampKind.Acked : 0);
    return 0;
  }

  override setProtocolOption(
    t: Task,
    level: number,
    name: number,
    value: Uint8Array,
    length: number,
  ): number {
    if (level === SOL_SOCKET) return this.#setSocketLevel(name, value, length);
    // The IP level of an AF_INET6 socket governs what it sends over IPv4; of a raw one that is nothing.
    if (level === SOL_IP && this.#hasIpv4) return setIpOption(t, this, name, value, length);
    if (level === SOL_IPV6 && this.family === AF_INET6) {
      return setIpv6Option(t, this, name, value, length);
    }
    return -ENOPROTOOPT;
  }

  override getProtocolOption(
    t: Task,
    level: number,
    name: number,
    out: Uint8Array,
    maxLength: number,
  ): number {
    if (level === SOL_SOCKET) return this.#getSocketLevel(name, out, maxLength);
    if (level === SOL_IP && this.#hasIpv4) return getIpOption(t, this, name, out, maxLength);
    if (this.family !== AF_INET6) return -EOPNOTSUPP;
    return level === SOL_IPV6 ? getIpv6Option(t, this, name, out, maxLength) : -ENOPROTOOPT;
  }
  get #hasIpv4(): boolean {
    return this.family === AF_INET || this.type !== SOCK_RAW;
  }

  /** Bytes were peeked at, or taken: the next peek begins so much further on, or back (sk_peek_offset_fwd, _bwd). */
  protected movePeek(bytes: number, peek: boolean): void {
    if (this.peekOffset < 0 || bytes <= 0) return;
    this.peekOffset = peek ? this.peekOffset + bytes : Math.max(0, this.peekOffset - bytes);
  }

  #setSocketLevel(name: number, value: Uint8Array, length: number): number {
    if (name !== SO_PEEK_OFF) return setDevice(this, name, value, length);
    if (length < 4) return -EINVAL;
    if (!this.hasPorts) return -EOPNOTSUPP;
    this.peekOffset = i32Le(value, 0);
    return 0;
  }

  #getSocketLevel(name: number, out: Uint8Array, maxLength: number): number {
    if (name !== SO_PEEK_OFF) return getDevice(this, name, out, maxLength);
    if (!this.hasPorts) return -EOPNOTSUPP;
    setU32Le(out, 0, this.peekOffset);
    return 4;
  }

  override release(): void {
    this.endpoint.onReadiness = null;
    this.endpoint.close();
    this.streamGroups?.close();
    if (this.ip.flowLabels !== null) releaseFlowLabels(this);
    super.release();
  }
}
