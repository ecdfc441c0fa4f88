// A TCP socket: tcp(7) over the stack's TcpEndpoint. Bytes go straight between the program's memory and the
// endpoint's rings.

import {
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENOBUFS,
  EPIPE,
} from "../../../abi/errno.ts";
import { FIONREAD } from "../../../abi/ioctl.ts";
import {
  POLL_ALL,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from "../../../abi/poll.ts";
import { SIGPIPE } from "../../../abi/signal.ts";
import {
  AF_UNSPEC,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_ERRQUEUE,
  MSG_MORE,
  MSG_NOSIGNAL,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_ZEROCOPY,
  SIOCATMARK,
  SIOCOUTQ,
  SIOCOUTQNSD,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_OOBINLINE,
  SOCK_STREAM,
  SOL_TCP,
  SOMAXCONN,
} from "../../../abi/socket.ts";
import {
  TCP_CLOSE,
  TCP_CM_INQ,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
} from "../../../abi/tcp.ts";
import { SECOND } from "../../../base/clock.ts";
import {
  NetErr,
  type TcpEndpoint,
  WRITE_EOR,
  WRITE_MORE,
  WRITE_URGENT,
  WRITE_ZEROCOPY,
} from "../../../netstack/index.ts";
import { BLOCKED, type Task } from "../../kernel/task.ts";
import type { Io } from "../../vfs/io.ts";
import { errnoOf, resultOf } from "../errno-of.ts";
import type { ReceiveMessage, SendMessage } from "../message.ts";
import type { Socket } from "../socket.ts";
import type { SocketAddress } from "../socket-address.ts";
import { receiveError } from "./error-queue-io.ts";
import { FastOpen } from "./fast-open.ts";
import { labelConnection } from "./flow-labels.ts";
import { parsed } from "./inet-address.ts";
import { interfaceIoctl } from "./inet-ioctl.ts";
import { InetSocket, scratchAddr } from "./inet-socket.ts";
import type { InetStack } from "./inet-stack.ts";
import { inherit } from "./stream-inherit.ts";
import { discardBytes, peekAhead, readBytes, readUrgent } from "./stream-receive.ts";
import { getTcpOption, setTcpOption } from "./tcp-options.ts";

// As struct socket's state in Linux: what connect() answers depends on what it answered before.
const UNCONNECTED = 0;
const CONNECTING = 1;
const CONNECTED = 2;
const DISCONNECTING = 3;

export class StreamSocket extends InetSocket {
  readonly endpoint: TcpEndpoint;
  readonly #stack: InetStack;
  #state = UNCONNECTED;
  /** TCP_INQ: say with each receive how much more there is. */
  reportsInq = false;
  readonly fastOpen: FastOpen;

  constructor(stack: InetStack, family: number, protocol: number, flags: number, e: TcpEndpoint) {
    super(stack.table, stack.network, family, SOCK_STREAM, protocol, flags);
    this.#stack = stack;
    this.endpoint = e;
    this.fastOpen = new FastOpen(e);
    this.watch(e);
  }

  override get isConnected(): boolean {
    const state = this.endpoint.state;
    return state !== TCP_CLOSE && state !== TCP_LISTEN && state !== TCP_SYN_SENT;
  }
  override get isEstablished(): boolean {
    return this.endpoint.state === TCP_ESTABLISHED;
  }
  override get isListening(): boolean {
    return this.endpoint.state === TCP_LISTEN;
  }

  override poll(): number {
    let mask = super.poll();
    const e = this.endpoint;
    if (this.fastOpen.isDeferred) return POLLOUT | POLLWRNORM;
    if (e.state === TCP_CLOSE) mask |= POLLHUP | POLLOUT | POLLWRNORM;
    if (this.receiveLowat > 1 && (mask & (POLLIN | POLLRDHUP)) === POLLIN) {
      if (e.state !== TCP_LISTEN && e.readableBytes < this.receiveLowat) {
        mask &= ~(POLLIN | POLLRDNORM);
      }
    }
    return mask;
  }

  override connect(_t: Task, address: SocketAddress): number {
    if (address.length >= 2 && address.family === AF_UNSPEC) return this.#disconnect();
    const state = this.endpoint.state;
    if (state === TCP_LISTEN) return -EISCONN;
    if (this.#state === CONNECTED || this.fastOpen.isDeferred) return -EISCONN;
    if (this.#state === CONNECTING) return this.#connectOutcome();
    if (this.#state === DISCONNECTING) return -EINVAL;
    const refused = this.parseDestination(address, false);
    if (refused !== 0) return refused;
    if (this.fastOpen.defers(scratchAddr, parsed.port)) return 0;
    const flowInfo = this.ip.sendsFlowInfo ? parsed.flowInfo : 0;
    const labelled = labelConnection(this, scratchAddr, parsed.port, flowInfo);
    if (labelled < 0) return labelled;
    const result = this.endpoint.connect(scratchAddr, parsed.port);
    if (result !== 0 && result !== NetErr.InProgress) return resultOf(result);
    this.#state = CONNECTING;
    // Also when the answer is there already, as over loopback: Linux hears it only after this call.
    return -EINPROGRESS;
  }

  #connectOutcome(): number {
    const state = this.endpoint.state;
    if (state === TCP_SYN_SENT || state === TCP_SYN_RECV) return -EALREADY;
    if (state === TCP_CLOSE) {
      const error = this.takeError() || ECONNABORTED;
      this.#state = UNCONNECTED;
      this.endpoint.disconnect();
      return -error;
    }
    this.#state = CONNECTED;
    return 0;
  }

  /** connect(AF_UNSPEC): back to a socket without a connection. */
  #disconnect(): number {
    this.endpoint.disconnect();
    this.fastOpen.isDeferred = false;
    this.#state = UNCONNECTED;
    this.waiters.notify(POLL_ALL);
    return 0;
  }

  override listen(_t: Task, backlog: number): number {
    if (this.#state !== UNCONNECTED) return -EINVAL;
    const limit = backlog < 0 ? SOMAXCONN : Math.min(backlog, SOMAXCONN);
    return resultOf(this.endpoint.listen(limit));
  }

  override accept(_t: Task, flags: number): Socket | number {
    if (this.endpoint.state !== TCP_LISTEN) return -EINVAL;
    if (this.#stack.table.isFull) return -ENOBUFS;
    const child = this.endpoint.accept();
    if (child === null) return -EAGAIN;
    const socket = new StreamSocket(this.#stack, this.family, this.protocol, flags, child);
    socket.#state = CONNECTED;
    inherit(socket, this);
    labelConnection(socket, child.remoteAddr, child.remotePort, 0);
    return socket;
  }

  override read(_t: Task, io: Io): number {
    const n = readBytes(this, io);
    if (this.peekOffset >= 0) this.movePeek(n, false);
    return n;
  }
  override write(t: Task, io: Io): number {
    return this.#writeBytes(t, io, 0, null);
  }

  override send(t: Task, io: Io, message: SendMessage): number {
    return this.#writeBytes(t, io, message.flags, message.address);
  }

  /** The call that connects: bytes that went with the SYN, -errno, or 0 when it is an ordinary write by now. */
  #openWith(t: Task, io: Io, flags: number, address: SocketAddress | null): number {
    const { fastOpen } = this;
    if (fastOpen.isOpenedBy(t)) return fastOpen.goOn();
    if (!fastOpen.isDeferred) {
      const refusal = fastOpen.refusal(t, address, this.#state !== UNCONNECTED);
      if (refusal !== 0) return refusal;
      const misread = address === null ? -EINVAL : this.parseDestination(address, false);
      if (misread !== 0) return misread;
      fastOpen.aim(scratchAddr, parsed.port);
    }
    this.#state = CONNECTING;
    return fastOpen.open(t, io, !this.isNonBlocking && (flags & MSG_DONTWAIT) === 0);
  }

  #writeBytes(t: Task, io: Io, flags: number, address: SocketAddress | null): number {
    if (this.fastOpen.concerns(flags)) {
      const opened = this.#openWith(t, io, flags, address);
      if (opened !== 0) return opened;
    }
    const e = this.endpoint;
    let last = 0;
    if ((flags & MSG_MORE) !== 0) last |= WRITE_MORE;
    if ((flags & MSG_EOR) !== 0) last |= WRITE_EOR;
    if ((flags & MSG_OOB) !== 0) last |= WRITE_URGENT;
    if (this.zerocopy && (flags & MSG_ZEROCOPY) !== 0) last |= WRITE_ZEROCOPY;
    let done = 0;
    do {
      const n = io.remaining === 0 ? 0 : io.span(io.remaining, false);
      if (n < 0) return done > 0 ? done : n;
      const w = e.write(io.spanBytes, io.spanOffset, n, n < io.remaining ? WRITE_MORE : last);
      if (w < 0) return done > 0 ? done : this.#writeError(t, w, flags);
      io.advance(w);
      done += w;
      if (w < n) break;
    } while (io.remaining > 0);
    return done === 0 && io.remaining > 0 ? -EAGAIN : done;
  }

  #writeError(t: Task, error: number, flags: number): number {
    const errno = error === NetErr.NotConnected ? EPIPE : errnoOf(error);
    if (errno === EPIPE && (flags & MSG_NOSIGNAL) === 0) t.raise(SIGPIPE);
    return -errno;
  }

  override receive(_t: Task, io: Io, message: ReceiveMessage): number {
    const flags = message.flags;
    if ((flags & MSG_ERRQUEUE) !== 0) return receiveError(this, io, message);
    if ((flags & MSG_OOB) !== 0) return readUrgent(this, io, message);
    const peek = (flags & MSG_PEEK) !== 0;
    let n: number;
    if ((flags & MSG_TRUNC) !== 0) n = discardBytes(this, io, peek);
    else if (peek) n = peekAhead(this, io);
    else n = readBytes(this, io);
    if (this.peekOffset >= 0) this.movePeek(n, peek);
    if (n >= 0 && this.reportsInq) {
      message.control.putInt(SOL_TCP, TCP_CM_INQ, this.endpoint.readableBytes);
    }
    return n;
  }

  override shutdown(_t: Task, how: number): number {
    const { state } = this.endpoint;
    if (this.#state === CONNECTING) {
      const isOpening = state === TCP_SYN_SENT || state === TCP_SYN_RECV || state === TCP_CLOSE;
      this.#state = isOpening ? DISCONNECTING : CONNECTED;
    }
    if (state === TCP_SYN_SENT) this.#state = UNCONNECTED;
    const result = resultOf(this.endpoint.shutdown(how !== 1, how !== 0));
    this.waiters.notify(this.poll());
    return result;
  }

  override ioctl(t: Task, request: number, arg: number): number {
    const e = this.endpoint;
    const isListener = e.state === TCP_LISTEN;
    switch (request) {
      case FIONREAD:
        return isListener ? -EINVAL : t.mm.writeU32(arg, e.readableBytes);
      case SIOCOUTQ:
        return isListener ? -EINVAL : t.mm.writeU32(arg, e.unackedBytes);
      case SIOCOUTQNSD:
        return isListener ? -EINVAL : t.mm.writeU32(arg, e.unsentBytes);
      case SIOCATMARK:
        return t.mm.writeU32(arg, Number(e.atMark));
      default:
        return interfaceIoctl(t, this, request, arg);
    }
  }

  override optionChanged(t: Task, name: number): number {
    const o = this.endpoint.options;
    if (name === SO_KEEPALIVE) o.keepAlive = this.keepAlive;
    else if (name === SO_OOBINLINE) o.oobInline = this.oobInline;
    else if (name === SO_LINGER) {
      o.lingerNs = this.lingerSeconds < 0 ? -1 : this.lingerSeconds * SECOND;
    } else return super.optionChanged(t, name);
    this.endpoint.optionsChanged();
    return 0;
  }

  // Linux's receive buffer holds as much bookkeeping as payload: it shows the sum.
  get sendBufferBytes(): number {
    return this.endpoint.options.sendBufferBytes;
  }
  set sendBufferBytes(bytes: number) {
    this.endpoint.options.sendBufferBytes = bytes;
    this.endpoint.options.sendBufferLocked = true;
    this.endpoint.optionsChanged();
  }
  get receiveBufferBytes(): number {
    return 2 * this.endpoint.receiveBufferBytes;
  }
  set receiveBufferBytes(bytes: number) {
    this.endpoint.options.receiveBufferBytes = bytes >>> 1;
    this.endpoint.options.receiveBufferLocked = true;
    this.endpoint.optionsChanged();
  }

  override get receiveMemoryBytes(): number {
    return this.endpoint.receiveMemoryBytes;
  }
  override get sendMemoryBytes(): number {
    return this.endpoint.sendMemoryBytes;
  }

  override setProtocolOption(
    t: Task,
    level: number,
    name: number,
    value: Uint8Array,
    length: number,
  ): number {
    if (level === SOL_TCP) return setTcpOption(t, this, name, value, length);
    return super.setProtocolOption(t, level, name, value, length);
  }
  override getProtocolOption(
    t: Task,
    level: number,
    name: number,
    out: Uint8Array,
    maxLength: number,
  ): number {
    if (level === SOL_TCP) return getTcpOption(this, name, out, maxLength);
    return super.getProtocolOption(t, level, name, out, maxLength);
  }

  /** SO_LINGER with a time: the last close waits for what is not acknowledged yet. BLOCKED or 0. */
  override closeWait(t: Task): number {
    const e = this.endpoint;
    if (this.lingerSeconds <= 0 || e.unackedBytes === 0) return 0;
    if (e.state === TCP_CLOSE || e.state === TCP_SYN_SENT) return 0;
    e.shutdown(false, true);
    const waited = t.blockOn(this.waiters, POLLOUT | POLLHUP, this.lingerSeconds * SECOND);
    return waited === BLOCKED ? BLOCKED : 0;
  }
}
