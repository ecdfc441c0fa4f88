// The TCP endpoint behind a socket: the user calls of RFC 9293 3.10 in the shape of endpoints.ts. It has no
// connection, or one (a Tcb), or it listens. After close() the Tcb goes on alone.

import { seqDiff, seqGt } from "../../base/seqnum.ts";
import type { TcpEndpoint, TcpEndpointOptions } from "../endpoints.ts";
import { type Family, IPV4, IPV6, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { type OnReadiness, Ready } from "../readiness.ts";
import { type ErrorEntry, ErrorQueue, errorAfterTake } from "../stack/error-queue.ts";
import type { PortOwner, PortProbe } from "../stack/ports.ts";
import type { Route } from "../stack/transport.ts";
import type { TcpInfo } from "../tcp-info.ts";
import type { IpOptions } from "../wire/ipv4-options.ts";
import {
  closeUser,
  closeWrite,
  destinationOf,
  discardUser,
  loadSynData,
  readinessOf,
  readUser,
  writeUser,
} from "./calls.ts";
import type { BbrInfo } from "./congestion/bbr.ts";
import type { TcpContext } from "./context.ts";
import { isClientEnabled, maySendSynData, prepareClient } from "./fastopen.ts";
import { installActive, keptAddr, newTcb, startActive } from "./handshake.ts";
import { emptyInfo, fillInfo } from "./info.ts";
import { Listener } from "./listener.ts";
import { Md5Keys } from "./md5-signature.ts";
import { Notices } from "./notices.ts";
import { finish, flushEvents } from "./on-segment.ts";
import { isReusable } from "./on-time-wait.ts";
import {
  applyOptions,
  changeIpOptions,
  setMd5Key,
  setQuickAck,
  setWindowClamp,
} from "./option-calls.ts";
import { defaultOptions, keepCount, keepIdleNs, keepIntervalNs, synCount } from "./options.ts";
import { expandSendBuffer, sendMemory } from "./send-memory.ts";
import { CLOSED, LISTEN, SYN_RECEIVED, SYN_SENT, TIME_WAIT } from "./state.ts";
import {
  type Tcb,
  type TcbOwner,
  URGENT_NONE,
  URGENT_PENDING,
  URGENT_READ,
  URGENT_READY,
} from "./tcb.ts";
import type { TimeWait } from "./time-wait.ts";
import { abortTcb } from "./transitions.ts";

const ANY_V4 = IpAddr.v4(0, 0, 0, 0);
const ANY_V6 = new IpAddr();
const addressAny = (family: Family): IpAddr => (family === IPV4 ? ANY_V4 : ANY_V6);

export class Endpoint implements TcpEndpoint, TcbOwner, PortProbe {
  // What every read and every segment touches, side by side.
  readonly #ctx: TcpContext;
  #tcb: Tcb | null = null;
  onReadiness: OnReadiness | null = null;
  readonly options: TcpEndpointOptions;
  readonly family: Family;
  /** Shared with routes and Tcbs: another address is another object. */
  localAddr: IpAddr;
  remoteAddr: IpAddr;
  localPort = 0;
  remotePort = 0;
  nextOnPort: PortOwner | null = null;
  isWriterWaiting = false;
  /** The port was chosen by connect, not by bind: other connects may use it too. */
  isAutobound = false;
  #listener: Listener | null = null;
  #isAddrBound = false;
  /** bind() named the port: it is kept whatever becomes of the connection (SOCK_BINDPORT_LOCK). */
  #isPortNamed = false;
  /** localPort is only what getsockname still shows. */
  #isPortGone = false;
  /** Of an endpoint without a connection: a pending error, and what shutdown() was told (1 read, 2 write). */
  #error: NetError | 0 = 0;
  #shut = 0;
  #predecessor: TimeWait | null = null;
  #isClosed = false;
  /** connect() has been told of its success once. */
  #isConnectReported = false;
  #errors: ErrorQueue | null = null;
  /** Of a connection to come; one that is there has them in its route. */
  #ipOptions: IpOptions | null = null;

  constructor(
    ctx: TcpContext,
    family: Family,
    options: TcpEndpointOptions = defaultOptions(ctx.settings),
    localAddr: IpAddr = addressAny(family),
    remoteAddr: IpAddr = addressAny(family),
  ) {
    this.#ctx = ctx;
    this.family = family;
    this.options = options;
    this.localAddr = localAddr;
    this.remoteAddr = remoteAddr;
  }

  /** A connection that came in: child of a listener or of a forward request. */
  static ofTcb(tcb: Tcb): Endpoint {
    const family = tcb.local.isV4 ? IPV4 : IPV6;
    const md5Keys = Md5Keys.ofPeer(tcb.options.md5Keys, tcb.remote);
    const options = { ...tcb.options, md5Keys };
    const child = new Endpoint(tcb.ctx, family, options, tcb.local, tcb.remote);
    tcb.options = child.options;
    expandSendBuffer(tcb);
    child.#adopt(tcb);
    child.localPort = tcb.localPort;
    child.#isConnectReported = true;
    return child;
  }

  get ipOptions(): IpOptions | null {
    const route = this.#tcb?.route ?? null;
    return route === null ? this.#ipOptions : route.ipOptions;
  }

  // @rfc 9293 MUST-51 MUST-52
  setIpOptions(options: IpOptions | null): NetError | 0 {
    this.#ipOptions = options;
    return this.#tcb === null ? 0 : changeIpOptions(this.#tcb, options);
  }

  get savedSyn(): Uint8Array | null {
    return this.#tcb === null ? null : this.#ctx.savedSyns.of(this.#tcb);
  }
  forgetSavedSyn(): void {
    if (this.#tcb !== null) this.#ctx.savedSyns.forget(this.#tcb);
  }

  get isListening(): boolean {
    return this.#listener !== null;
  }
  /** For the stack's own tables (/proc/net/tcp) and tests. */
  get tcb(): Tcb | null {
    return this.#tcb;
  }
  get listener(): Listener | null {
    return this.#listener;
  }

  get state(): number {
    if (this.#listener !== null) return LISTEN;
    const state = this.#tcb === null ? CLOSED : this.#tcb.state;
    return state === TIME_WAIT ? CLOSED : state;
  }

  readiness(): number {
    if (this.#listener !== null) return this.#listener.queueLength > 0 ? Ready.Read : 0;
    const tcb = this.#tcb;
    if (tcb === null) {
      const shut = (this.#shut & 1) !== 0 ? Ready.Read | Ready.ReadClosed : 0;
      return Ready.Write | Ready.Hangup | shut | (this.#error !== 0 ? Ready.Error : 0);
    }
    const mask = readinessOf(tcb, this.state, this.readableBytes > 0);
    return this.#errors !== null && this.#errors.count > 0 ? mask | Ready.ErrorQueue : mask;
  }

  onTcbEvents(mask: number): void {
    this.onReadiness?.(mask);
  }

  takeError(): NetError | 0 {
    const tcb = this.#tcb;
    if (tcb === null) return this.#takeBareError();
    const isSoftShown = this.#ctx.settings.softErrorsShown !== 0;
    const error = tcb.error === 0 && isSoftShown ? tcb.softError : tcb.error;
    tcb.error = 0;
    if (!isSoftShown) return error;
    tcb.softError = 0;
    return error;
  }

  #takeBareError(): NetError | 0 {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  /** Made when first needed. */
  get errors(): ErrorQueue {
    this.#errors ??= new ErrorQueue(this.#ctx.errorMemory, this.options);
    return this.#errors;
  }

  takeErrorEntry(): ErrorEntry | null {
    const entry = this.#errors?.take() ?? null;
    if (entry === null || this.#errors === null) return null;
    const left = errorAfterTake(this.#errors, entry);
    if (left !== undefined && this.#tcb !== null) this.#tcb.error = left;
    return entry;
  }

  restartTimestampKeys(): NetError | 0 {
    const tcb = this.#tcb;
    if (tcb === null || tcb.state === CLOSED) return NetErr.InvalidArgument;
    tcb.notices ??= new Notices(tcb, this.errors);
    tcb.notices.base = tcb.snd.una;
    return 0;
  }

  // @rfc 9293 MUST-43
  bind(addr: IpAddr, port: number): NetError | 0 {
    this.#givePortBack();
    const holdsPort = this.localPort !== 0 && !this.#isPortGone;
    if (holdsPort || this.state !== CLOSED || port < 0 || port > 0xffff) {
      return NetErr.InvalidArgument;
    }
    if (addr.isV4 ? this.family === IPV6 && this.options.v6Only : this.family === IPV4) {
      return NetErr.InvalidArgument;
    }
    const isAssigned =
      addr.isUnspecified || this.options.freeBind || this.#ctx.network.isLocalAddress(addr);
    if (!isAssigned || addr.isMulticast) return NetErr.AddressNotAvailable;
    if (port === 0 && this.options.bindNoPort && !addr.isUnspecified) {
      this.localAddr = addr.clone();
      this.#isAddrBound = true;
      return 0;
    }
    const { ports } = this.#ctx;
    let chosen = port;
    if (port === 0) {
      const isPortFree = (p: number): boolean => ports.mayBind(this, addr, p);
      chosen = ports.ephemeral.pickAny({ isPortFree }, this.options.portRange);
      if (chosen === 0) return NetErr.AddressInUse;
    } else if (!ports.mayBind(this, addr, port)) {
      return NetErr.AddressInUse;
    }
    this.localAddr = addr.clone();
    this.localPort = chosen;
    this.#isAddrBound = !addr.isUnspecified;
    this.#isPortNamed = port !== 0;
    this.#isPortGone = false;
    this.isAutobound = false;
    return ports.endpoints.add(this, chosen);
  }

  /** The end of a connection gives back a port that bind() did not name (tcp_set_state); done when it matters. */
  #givePortBack(): void {
    const isOver = this.#tcb !== null && this.state === CLOSED;
    if (!isOver || this.#isPortNamed || this.#isPortGone || this.localPort === 0) return;
    this.#ctx.ports.endpoints.remove(this, this.localPort);
    this.#isPortGone = true;
  }

  // @rfc 9293 MUST-44 MUST-45 MUST-46
  connect(addr: IpAddr, port: number): NetError | 0 {
    return this.#connect(addr, port, null, 0, 0) as NetError | 0;
  }

  connectWithData(
    addr: IpAddr,
    port: number,
    src: Uint8Array,
    offset: number,
    length: number,
  ): number {
    if (!isClientEnabled(this.#ctx)) return NetErr.NotSupported;
    const tcb = this.#tcb;
    if (tcb !== null && (tcb.state === SYN_SENT || tcb.state === SYN_RECEIVED)) {
      return NetErr.AlreadyConnecting;
    }
    if (tcb !== null && this.state !== CLOSED && tcb.error === 0) {
      // Connected since: the first such call reports that by sending.
      const again = this.#connectAgain(tcb);
      return again === 0 ? this.write(src, offset, length, 0) : (again ?? NetErr.IsConnected);
    }
    return this.#connect(addr, port, src, offset, length);
  }

  hasFastOpenCookie(addr: IpAddr): boolean {
    const ctx = this.#ctx;
    return maySendSynData(ctx, ctx.fastOpenCache.find(addr), this.options.fastOpenNoCookie);
  }

  #connect(
    addr: IpAddr,
    port: number,
    src: Uint8Array | null,
    offset: number,
    length: number,
  ): number {
    if (this.#listener !== null) return NetErr.IsConnected;
    const old = this.#tcb;
    if (old !== null) {
      this.#givePortBack();
      const again = this.#connectAgain(old);
      if (again !== null) return again;
    }
    this.#error = 0;
    const remote = destinationOf(this.family, this.options.v6Only, addr);
    if (typeof remote === "number") return remote;
    const ctx = this.#ctx;
    ctx.enter();
    if (ctx.demux.count >= ctx.limits.connections + ctx.limits.halfOpenConnections) {
      return NetErr.NoBuffers;
    }
    const from = this.#isAddrBound ? this.localAddr : null;
    const { boundNicId, mark } = this.options;
    const options = remote.isV4 ? this.#ipOptions : null;
    const route =
      options === null
        ? ctx.network.findConnectRoute(from, remote, boundNicId, mark)
        : ctx.network.findOptionRoute(options, from, remote, boundNicId, mark);
    if (typeof route === "number") return route;
    if (route.isBroadcast) return NetErr.NetworkUnreachable;
    if (!this.#isAddrBound) this.localAddr = route.src;
    this.remoteAddr = keptAddr(remote, route.dst);
    this.remotePort = port;
    const error = this.#ensurePort();
    if (error !== 0) return error;
    return this.#open(route, src, offset, length);
  }

  /** A second connect(): Linux's answers. null: start afresh. */
  #connectAgain(tcb: Tcb): NetError | 0 | null {
    if (tcb.state === SYN_SENT || tcb.state === SYN_RECEIVED) return NetErr.AlreadyConnecting;
    if (tcb.error !== 0) return this.takeError();
    if (this.state === CLOSED) {
      tcb.owner = null;
      this.#tcb = null;
      this.#isConnectReported = false;
      return null;
    }
    if (this.#isConnectReported) return NetErr.IsConnected;
    this.#isConnectReported = true;
    return 0;
  }

  #ensurePort(): NetError | 0 {
    const { ports } = this.#ctx;
    if (this.localPort !== 0 && !this.#isPortGone) {
      return this.#isTupleFree(this.localPort) ? 0 : NetErr.AddressNotAvailable;
    }
    const { localAddr, remoteAddr, remotePort, options } = this;
    const port = ports.ephemeral.pick(localAddr, remoteAddr, remotePort, this, options.portRange);
    if (port === 0) return NetErr.AddressNotAvailable;
    this.localPort = port;
    this.#isPortGone = false;
    this.isAutobound = true;
    return ports.endpoints.add(this, port);
  }

  /** Whether connect may choose this port. */
  isPortFree(port: number): boolean {
    const { endpoints } = this.#ctx.ports;
    for (let other = endpoints.at(port); other !== null; other = endpoints.next(other)) {
      if (!other.isAutobound) return false;
    }
    return this.#isTupleFree(port);
  }

  /** A TIME-WAIT that may be reused gives way, and leaves what the new connection must know of it. */
  #isTupleFree(port: number): boolean {
    const ctx = this.#ctx;
    const ports = (port << 16) | this.remotePort;
    this.#predecessor = null;
    if (ctx.demux.find(this.localAddr, this.remoteAddr, ports) !== null) return false;
    const tw = ctx.timeWaits.find(this.localAddr, this.remoteAddr, ports);
    if (tw === null) return true;
    if (!isReusable(ctx, tw)) return false;
    ctx.stats.TWRecycled++;
    ctx.timeWaits.remove(tw);
    this.#predecessor = tw;
    return true;
  }

  #open(route: Route, src: Uint8Array | null, offset: number, length: number): number {
    const tcb = newTcb(this.#ctx, this.options, route, this.localAddr, this.remoteAddr);
    tcb.ports = (this.localPort << 16) | this.remotePort;
    this.#adopt(tcb);
    // Shut down before it was connected: it stays so.
    if ((this.#shut & 1) !== 0) tcb.receiveShutdown = true;
    if ((this.#shut & 2) !== 0) tcb.sendShutdown = true;
    installActive(tcb, this.#predecessor);
    this.#predecessor = null;
    let taken = 0;
    if (src !== null || this.options.fastOpenConnect) {
      const room = prepareClient(tcb);
      taken = src === null ? 0 : loadSynData(tcb, src, offset, Math.min(room, length));
    }
    if (tcb.fastOpen !== null) tcb.fastOpen.hasMore = taken < length;
    startActive(tcb, taken);
    flushEvents(tcb);
    return taken > 0 ? taken : NetErr.InProgress;
  }

  #adopt(tcb: Tcb): void {
    this.#tcb = tcb;
    tcb.owner = this;
    this.remotePort = tcb.remotePort;
  }

  listen(backlog: number): NetError | 0 {
    const ctx = this.#ctx;
    if (this.#listener !== null) {
      this.#listener.backlog = backlog;
      return 0;
    }
    if (this.state !== CLOSED || this.#isClosed) return NetErr.InvalidArgument;
    this.#givePortBack();
    if (this.localPort === 0 || this.#isPortGone) {
      const error = this.bind(this.localAddr, 0);
      if (error !== 0) return error;
    }
    // SO_REUSEADDR lets sockets share a port only until one of them listens; it counts for what an earlier
    // listening has left as well (inet_csk_listen_start).
    if (!ctx.ports.mayBind(this, this.localAddr, this.localPort)) {
      return NetErr.AddressInUse;
    }
    const listener = new Listener(this, backlog);
    this.#listener = listener;
    if (this.#tcb !== null) this.#tcb.owner = null;
    this.#tcb = null;
    ctx.listeners.add(listener);
    return 0;
  }

  accept(): TcpEndpoint | null {
    return this.#listener === null ? null : this.#listener.accept();
  }

  write(src: Uint8Array, offset: number, length: number, flags: number): number {
    const tcb = this.#tcb;
    if (tcb === null) return this.#takeBareError() || NetErr.BrokenPipe;
    this.#ctx.enter();
    const n = writeUser(tcb, src, offset, length, flags);
    flushEvents(tcb);
    return n;
  }

  read(dst: Uint8Array, offset: number, length: number, peek: boolean, from = 0): number {
    const tcb = this.#tcb;
    if (tcb === null) {
      return this.#takeBareError() || ((this.#shut & 1) !== 0 ? 0 : NetErr.NotConnected);
    }
    this.#ctx.enter();
    return readUser(tcb, dst, offset, length, peek, from);
  }

  discard(length: number): number {
    const tcb = this.#tcb;
    if (tcb === null) return NetErr.NotConnected;
    this.#ctx.enter();
    return discardUser(tcb, length);
  }

  readUrgent(peek: boolean): number {
    const tcb = this.#tcb;
    if (tcb === null) return NetErr.NotConnected;
    const { rcv } = tcb;
    if (this.options.oobInline) return NetErr.InvalidArgument;
    if (rcv.urgentState === URGENT_PENDING) return NetErr.WouldBlock;
    if (rcv.urgentState !== URGENT_READY) return NetErr.InvalidArgument;
    if (!peek) rcv.urgentState = URGENT_READ;
    return rcv.urgentByte;
  }

  get atMark(): boolean {
    const tcb = this.#tcb;
    if (tcb === null || tcb.rcv.urgentState === URGENT_NONE) return false;
    return tcb.rcv.urgentSeq === tcb.rcv.copied;
  }

  get readableBytes(): number {
    const tcb = this.#tcb;
    if (tcb === null) return 0;
    const { rcv } = tcb;
    const readable = tcb.readable;
    if (rcv.urgentState === URGENT_NONE || this.options.oobInline) return readable;
    const mark = seqDiff(rcv.urgentSeq, rcv.copied);
    return mark >= 0 && mark < readable ? readable - 1 : readable;
  }

  get acceptQueueLength(): number {
    return this.#listener?.queueLength ?? 0;
  }
  get backlog(): number {
    return this.#listener?.backlog ?? 0;
  }

  get unackedBytes(): number {
    const tcb = this.#tcb;
    if (tcb === null || tcb.state === CLOSED) return 0;
    const { snd } = tcb;
    const isFinOut = snd.finQueued && !(snd.finSent && seqGt(snd.una, snd.end));
    return tcb.queued + (isFinOut ? 1 : 0);
  }

  get unsentBytes(): number {
    const tcb = this.#tcb;
    return tcb === null ? 0 : Math.max(0, seqDiff(tcb.snd.end, tcb.snd.nxt));
  }

  shutdown(read: boolean, write: boolean): NetError | 0 {
    // inet_shutdown.
    if (this.#listener !== null) {
      if (read) this.disconnect();
      return 0;
    }
    const tcb = this.#tcb;
    if (tcb !== null && tcb.state === SYN_SENT) {
      this.disconnect();
      return 0;
    }
    if (tcb === null || this.state === CLOSED) {
      this.#shut |= (read ? 1 : 0) | (write ? 2 : 0);
      return NetErr.NotConnected;
    }
    this.#ctx.enter();
    if (read) tcb.receiveShutdown = true;
    if (write) closeWrite(tcb);
    tcb.events |= (read ? Ready.Read | Ready.ReadClosed : 0) | (write ? Ready.Write : 0);
    finish(tcb);
    return 0;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ctx.enter();
    this.onReadiness = null;
    this.#errors?.clear();
    if (this.#listener !== null) this.#stopListening();
    const tcb = this.#tcb;
    if (tcb !== null) {
      tcb.owner = null;
      closeUser(tcb);
      finish(tcb);
    }
    if (this.localPort !== 0) this.#ctx.ports.endpoints.remove(this, this.localPort);
  }

  /** As if it had never been connected, but for the port that bind() named (tcp_disconnect). */
  disconnect(): void {
    this.#ctx.enter();
    if (this.#listener !== null) this.#stopListening();
    const tcb = this.#tcb;
    const wasOpen = tcb !== null && this.state !== CLOSED;
    if (tcb !== null) {
      abortTcb(tcb, 0, true);
      tcb.receiveRing.free();
      tcb.owner = null;
      this.#givePortBack();
      this.#tcb = null;
    } else if (!this.#isPortNamed && this.localPort !== 0 && !this.#isPortGone) {
      this.#ctx.ports.endpoints.remove(this, this.localPort);
      this.#isPortGone = true;
    }
    // A pending error outlives it.
    if (wasOpen) this.#error = NetErr.ConnectionReset;
    else if (tcb !== null) this.#error = tcb.error;
    this.#shut = 0;
    this.#isConnectReported = false;
    this.remotePort = 0;
    this.onReadiness?.(this.readiness());
  }

  abort(): void {
    const tcb = this.#tcb;
    if (tcb === null) return;
    this.#ctx.enter();
    abortTcb(tcb, NetErr.ConnectionAborted, true);
    flushEvents(tcb);
  }

  optionsChanged(): void {
    const tcb = this.#tcb;
    if (tcb === null || tcb.state === CLOSED) return;
    this.#ctx.enter();
    applyOptions(tcb);
  }
  setQuickAck(value: number): void {
    this.options.quickAck = value !== 0;
    if (this.#tcb === null) return;
    this.#ctx.enter();
    setQuickAck(this.#tcb, value);
  }
  get isQuickAck(): boolean {
    return this.#tcb === null ? this.options.quickAck : !this.#tcb.isPingPong;
  }

  setWindowClamp(bytes: number): NetError | 0 {
    return setWindowClamp(this.#tcb, this.options, this.state, bytes);
  }
  get windowClamp(): number {
    return this.options.windowClampBytes || (this.#tcb?.rcv.bufferBytes ?? 0);
  }

  setMd5Key(peer: IpAddr, prefixBits: number, key: Uint8Array | null): NetError | 0 {
    return setMd5Key(this.#tcb, this.options, peer, prefixBits, key);
  }

  get keepIdleNs(): number {
    return keepIdleNs(this.options, this.#ctx.settings);
  }
  get keepIntervalNs(): number {
    return keepIntervalNs(this.options, this.#ctx.settings);
  }
  get synCount(): number {
    return synCount(this.options, this.#ctx.settings);
  }
  get keepCount(): number {
    return keepCount(this.options, this.#ctx.settings);
  }

  get receiveBufferBytes(): number {
    const tcb = this.#tcb;
    return tcb === null || tcb.state === CLOSED
      ? this.options.receiveBufferBytes
      : tcb.rcv.bufferBytes;
  }
  get receiveMemoryBytes(): number {
    const tcb = this.#tcb;
    if (tcb === null) return 0;
    const { count, start, end } = tcb.outOfOrder;
    let bytes = Math.max(0, tcb.readable);
    for (let i = 0; i < count; i++) bytes += seqDiff(end[i], start[i]);
    return bytes;
  }
  get sendMemoryBytes(): number {
    const tcb = this.#tcb;
    return tcb === null || tcb.state === CLOSED ? 0 : sendMemory(tcb);
  }

  congestionInfo(): BbrInfo | null {
    const tcb = this.#tcb;
    return tcb?.congestion.info?.(tcb) ?? null;
  }

  info(out: TcpInfo): void {
    if (this.#tcb === null) {
      emptyInfo(this.state, out);
      return;
    }
    this.#ctx.enter();
    fillInfo(this.#tcb, this.state, out);
  }

  #stopListening(): void {
    const listener = this.#listener as Listener;
    this.#ctx.enter();
    this.#ctx.listeners.remove(listener);
    this.#listener = null;
    listener.close();
  }
}
