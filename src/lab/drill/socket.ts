// What a descriptor of the script stands for: sockets over the stack's endpoints, pipes, epoll sets. Only
// what the language can express of Linux's semantics; the sandbox's own sockets live in the Sentry.

import {
  type DatagramEndpoint,
  type Endpoint,
  netErrorName,
  Ready,
  type TcpEndpoint,
} from "../../netstack/index.ts";

/** TcpEndpoint.state. */
const CLOSED = 7;

/** A result: a count, or the name of an errno. */
export type Result = number | string;

const ERRNO_OF: Readonly<Record<string, string>> = {
  WouldBlock: "EAGAIN",
  InProgress: "EINPROGRESS",
  AlreadyConnecting: "EALREADY",
  IsConnected: "EISCONN",
  NotConnected: "ENOTCONN",
  ConnectionRefused: "ECONNREFUSED",
  ConnectionReset: "ECONNRESET",
  ConnectionAborted: "ECONNABORTED",
  TimedOut: "ETIMEDOUT",
  HostUnreachable: "EHOSTUNREACH",
  NetworkUnreachable: "ENETUNREACH",
  AddressInUse: "EADDRINUSE",
  AddressNotAvailable: "EADDRNOTAVAIL",
  BrokenPipe: "EPIPE",
  MessageTooLong: "EMSGSIZE",
  NoBuffers: "ENOBUFS",
  InvalidArgument: "EINVAL",
  DestinationRequired: "EDESTADDRREQ",
  NotSupported: "EOPNOTSUPP",
  NotPermitted: "EPERM",
  ProtocolUnavailable: "ENOPROTOOPT",
  NetworkDown: "ENETDOWN",
  HostDown: "EHOSTDOWN",
  Closed: "EBADF",
  NoDevice: "ENODEV",
  NotFound: "ENOENT",
};

const ERRNO_NUMBERS: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EAGAIN: 11,
  EINVAL: 22,
  EPIPE: 32,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
};

/** A count stays, a NetError becomes the name of its errno. */
export const resultOf = (n: number): Result => (n >= 0 ? n : (ERRNO_OF[netErrorName(n)] ?? "EIO"));

/** As SO_ERROR gives it. */
export const errnoNumber = (name: string): number => ERRNO_NUMBERS[name] ?? 5;

export const POLLIN = 1;
export const POLLPRI = 2;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;
export const POLLRDNORM = 64;
export const POLLWRNORM = 256;
export const POLLRDHUP = 0x2000;

function pollBits(ready: number): number {
  let mask = 0;
  if ((ready & Ready.Read) !== 0) mask |= POLLIN | POLLRDNORM;
  if ((ready & Ready.Write) !== 0) mask |= POLLOUT | POLLWRNORM;
  if ((ready & (Ready.Error | Ready.ErrorQueue)) !== 0) mask |= POLLERR;
  if ((ready & Ready.ReadClosed) !== 0) mask |= POLLIN | POLLRDNORM | POLLRDHUP;
  if ((ready & Ready.Hangup) !== 0) mask |= POLLHUP;
  if ((ready & Ready.Urgent) !== 0) mask |= POLLPRI;
  return mask;
}

export interface EpollItem {
  file: DrillFile;
  events: number;
  /** The struct epoll_data as the script wrote it. */
  data: number;
  isReady: boolean;
  isDisabled: boolean;
}

export class DrillFile {
  isNonBlocking = false;
  flags = 2;
  readonly watchers: EpollItem[] = [];
  poll(): number {
    return 0;
  }
  close(): void {}

  /** Something happened: items that wait for such bits are looked at again. */
  wake(mask: number): void {
    for (const item of this.watchers) {
      if ((mask & (item.events | POLLERR | POLLHUP)) !== 0) item.isReady = true;
    }
  }
}

/** A zero-copy send whose notification waits for its bytes to be acknowledged. */
interface ZeroCopySend {
  id: number;
  endByte: number;
}

/** A send whose last byte's way is reported (SO_TIMESTAMPING). */
interface TimestampedSend {
  endByte: number;
  isSent: boolean;
}

const SOF_TX_SOFTWARE = 2;
const SOF_TX_SCHED = 256;
const SOF_TX_ACK = 512;
const TSTAMP_SND = 0;
const TSTAMP_SCHED = 1;
const TSTAMP_ACK = 2;
const ENOMSG = 42;

export interface ErrorQueueEntry {
  errno: number;
  origin: number;
  type: number;
  code: number;
  info: number;
  data: number;
  /** SO_TIMESTAMPING: when, in nanoseconds of script time. */
  timeNs: number | null;
}

export class DrillSocket extends DrillFile {
  readonly endpoint: Endpoint;
  readonly tcp: TcpEndpoint | null;
  readonly datagram: DatagramEndpoint | null;
  receiveTimeoutNs = Number.POSITIVE_INFINITY;
  reportsInq = false;
  zeroCopy = false;
  timestamping = 0;
  /** TCP_FASTOPEN_CONNECT: the connect waits for the first send. */
  fastOpenConnect = false;
  isConnectDeferred = false;
  /** The first send with an address opens the connection, with Fast Open. */
  opensOnSend = false;
  /** net.ipv4.tcp_fastopen as of the last setsockopt. */
  fastOpenSysctl = 0;
  isListening = false;
  readonly errorQueue: ErrorQueueEntry[] = [];
  readonly #zeroCopySends: ZeroCopySend[] = [];
  #zeroCopyId = 0;
  bytesWritten = 0;

  constructor(tcp: TcpEndpoint | null, datagram: DatagramEndpoint | null) {
    super();
    this.tcp = tcp;
    this.datagram = datagram;
    this.endpoint = (tcp ?? datagram) as Endpoint;
    this.endpoint.onReadiness = (mask) => this.wake(pollBits(mask));
  }

  override poll(): number {
    this.settleZeroCopy();
    // With a cookie at hand a deferred connect looks done: the first write sends it off.
    if (this.isConnectDeferred) return POLLOUT | POLLWRNORM;
    return pollBits(this.endpoint.readiness()) | (this.errorQueue.length > 0 ? POLLERR : 0);
  }

  readonly #timestamped: TimestampedSend[] = [];
  /** bytesWritten when SO_TIMESTAMPING was set: keys count from there. */
  timestampKeyBase = 0;

  noteTimestamped(): void {
    this.#timestamped.push({ endByte: this.bytesWritten, isSent: false });
  }

  /** Called after everything that may have sent or acknowledged something. */
  settleTimestamps(nowNs: number): void {
    if (this.tcp === null) return;
    const sent = this.bytesWritten - this.tcp.unsentBytes;
    const acked = this.bytesWritten - this.tcp.unackedBytes;
    for (const send of this.#timestamped) {
      if (send.isSent || send.endByte > sent) continue;
      send.isSent = true;
      this.#report(send, SOF_TX_SCHED, TSTAMP_SCHED, nowNs);
      this.#report(send, SOF_TX_SOFTWARE, TSTAMP_SND, nowNs);
    }
    while (this.#timestamped.length > 0 && this.#timestamped[0].endByte <= acked) {
      this.#report(this.#timestamped[0], SOF_TX_ACK, TSTAMP_ACK, nowNs);
      this.#timestamped.shift();
    }
  }

  #report(send: TimestampedSend, flag: number, info: number, nowNs: number): void {
    if ((this.timestamping & flag) === 0) return;
    const ORIGIN_TIMESTAMPING = 4;
    this.errorQueue.push({
      errno: ENOMSG,
      origin: ORIGIN_TIMESTAMPING,
      type: 0,
      code: 0,
      info,
      data: send.endByte - this.timestampKeyBase - 1,
      timeNs: nowNs,
    });
    this.wake(POLLERR);
  }

  noteZeroCopy(): void {
    this.#zeroCopySends.push({ id: this.#zeroCopyId++, endByte: this.bytesWritten });
  }

  /** Notifications for sends whose bytes are all acknowledged, neighbours merged as Linux does. */
  settleZeroCopy(): void {
    if (this.tcp === null || this.#zeroCopySends.length === 0) return;
    // The end of the connection lets go of all (tcp_write_queue_purge).
    const acked = this.bytesWritten - (this.tcp.state === CLOSED ? 0 : this.tcp.unackedBytes);
    const ORIGIN_ZEROCOPY = 5;
    const CODE_COPIED = 1;
    while (this.#zeroCopySends.length > 0 && this.#zeroCopySends[0].endByte <= acked) {
      const { id } = this.#zeroCopySends.shift() as ZeroCopySend;
      const last = this.errorQueue.at(-1);
      if (last !== undefined && last.origin === ORIGIN_ZEROCOPY && last.data === id - 1) {
        last.data = id;
        this.wake(POLLERR);
        continue;
      }
      this.errorQueue.push({
        errno: 0,
        origin: ORIGIN_ZEROCOPY,
        type: 0,
        code: CODE_COPIED,
        info: id,
        data: id,
        timeNs: null,
      });
      this.wake(POLLERR);
    }
  }

  override close(): void {
    this.endpoint.close();
  }
}

/** One direction of a pipe: bytes are all zero, so only their count matters. */
export class DrillPipe {
  bytes = 0;
}

export class PipeEnd extends DrillFile {
  readonly pipe: DrillPipe;
  constructor(pipe: DrillPipe) {
    super();
    this.pipe = pipe;
  }
  override poll(): number {
    return POLLOUT | (this.pipe.bytes > 0 ? POLLIN : 0);
  }
}

/** A file of zero bytes, for sendfile and splice. */
export class ZeroFile extends DrillFile {
  override poll(): number {
    return POLLIN | POLLOUT;
  }
}

const EPOLLONESHOT = 0x4000_0000;
const EPOLLET = 0x8000_0000;

export class Epoll extends DrillFile {
  readonly items: EpollItem[] = [];

  override poll(): number {
    return this.items.some((item) => this.#mask(item) !== 0) ? POLLIN : 0;
  }

  #mask(item: EpollItem): number {
    if (!item.isReady || item.isDisabled) return 0;
    return item.file.poll() & (item.events | POLLERR | POLLHUP) & 0xffff;
  }

  /** Takes up to `max` events; level-triggered ones stay. */
  take(max: number): { events: number; data: number }[] {
    const out: { events: number; data: number }[] = [];
    // Settling may make items ready.
    for (const item of this.items) item.file.poll();
    for (const item of this.items) {
      if (out.length >= max) break;
      const events = this.#mask(item);
      if (events === 0) {
        item.isReady = false;
        continue;
      }
      out.push({ events, data: item.data });
      if (((item.events & EPOLLET) | 0) !== 0) item.isReady = false;
      if ((item.events & EPOLLONESHOT) !== 0) item.isDisabled = true;
    }
    return out;
  }

  arm(item: EpollItem): void {
    item.isDisabled = false;
    item.isReady = true;
  }
}
