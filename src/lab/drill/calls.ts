// System calls by name. Each is a generator over the process: it yields while Linux would sleep, and returns
// a count or an errno's name. Out-parameters are compared with what the script wrote.

import {
  IPV4,
  IPV6,
  type TcpEndpoint,
  WRITE_EOR,
  WRITE_MORE,
  WRITE_URGENT,
} from "../../netstack/index.ts";
import type { CallSpec, Expr } from "./ast.ts";
import { DrillError, mismatch } from "./drill-error.ts";
import { receiveMessage } from "./message.ts";
import { epollCalls } from "./poll-calls.ts";
import type { Call, DrillProcess } from "./process.ts";
import { DrillPipe, DrillSocket, PipeEnd, type Result, resultOf, ZeroFile } from "./socket.ts";
import { getOption, setOption } from "./socket-options.ts";
import { addressOf, checkNumber, fieldsOf, isNull, itemsOf, numberOf } from "./values.ts";

const NEVER = Number.POSITIVE_INFINITY;

const MSG_OOB = 1;
const MSG_PEEK = 2;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_EOR = 0x80;
const MSG_WAITALL = 0x100;
const MSG_ERRQUEUE = 0x2000;
const MSG_MORE = 0x8000;
const MSG_ZEROCOPY = 0x400_0000;
const MSG_FASTOPEN = 0x2000_0000;

const CLOSED = 7;
const SOCK_NONBLOCK = 0o4000;
const O_NONBLOCK = 0o4000;
type Handler = (p: DrillProcess, a: Expr[], c: CallSpec) => Call;

// biome-ignore lint/correctness/useYield: most calls never sleep
function* immediate(result: Result): Call {
  return result;
}

const plain =
  (f: (p: DrillProcess, a: Expr[], c: CallSpec) => Result): Handler =>
  (p, a, c) =>
    immediate(f(p, a, c));

const isSleeping = (s: DrillSocket, flags: number): boolean =>
  !s.isNonBlocking && (flags & MSG_DONTWAIT) === 0;

/** The descriptor that the script says the call returns. */
const wantedFd = (c: CallSpec): number => numberOf(c.result);

function socketCall(p: DrillProcess, a: Expr[], c: CallSpec): Result {
  const { stack, socketFamily } = p.config;
  const AF_INET = 2;
  let family = socketFamily;
  if (a[0].kind !== "ellipsis") family = numberOf(a[0]) === AF_INET ? IPV4 : IPV6;
  const type = numberOf(a[1]);
  const isStream = (type & 0xf) === 1;
  const made = isStream ? stack.endpoints.tcp(family) : stack.endpoints.udp(family);
  if (typeof made === "number") return resultOf(made);
  const socket = isStream
    ? new DrillSocket(made as never, null)
    : new DrillSocket(null, made as never);
  if (isStream) {
    const { options } = socket.endpoint;
    options.sendBufferBytes = p.config.wmem[1];
    // Half of the memory is for headers (tcp_adv_win_scale 1).
    options.receiveBufferBytes = p.config.rmem[1] >>> 1;
  }
  socket.isNonBlocking = (type & SOCK_NONBLOCK) !== 0;
  p.newFlow(socket);
  p.files.set(wantedFd(c), socket);
  return wantedFd(c);
}

function bindCall(p: DrillProcess, a: Expr[]): Result {
  const s = p.socket(a[0]);
  const to =
    a[1].kind === "ellipsis" ? { addr: p.config.local, port: p.config.bindPort } : addressOf(a[1]);
  return resultOf(s.endpoint.bind(to.addr, to.port));
}

function listenCall(p: DrillProcess, a: Expr[]): Result {
  const s = p.socket(a[0]);
  if (s.tcp === null) return "EOPNOTSUPP";
  const result = resultOf(s.tcp.listen(numberOf(a[1])));
  const flow = p.flowOf(s);
  if (result === 0 && flow !== null) {
    flow.isListening = true;
    s.isListening = true;
  }
  return result;
}

function* acceptCall(p: DrillProcess, a: Expr[], c: CallSpec): Call {
  const s = p.socket(a[0]);
  if (s.tcp === null || !s.isListening) return "EINVAL";
  for (;;) {
    const child = s.tcp.accept();
    if (child !== null) {
      const file = new DrillSocket(child, null);
      file.reportsInq = s.reportsInq;
      file.zeroCopy = s.zeroCopy;
      p.files.set(wantedFd(c), file);
      p.adopt(file);
      return wantedFd(c);
    }
    if (!isSleeping(s, 0)) return "EAGAIN";
    yield NEVER;
  }
}

function* connectCall(p: DrillProcess, a: Expr[]): Call {
  const s = p.socket(a[0]);
  const to = destination(p, a[1]);
  if (s.isConnectDeferred) return "EISCONN";
  if (s.fastOpenConnect && s.tcp !== null) {
    const state = s.tcp.state;
    // With a cookie the SYN waits for the first data; the endpoint knows whether it has one.
    if (state === CLOSED && s.tcp.hasFastOpenCookie(to.addr)) {
      s.isConnectDeferred = true;
      return 0;
    }
  }
  return yield* connectTo(p, s, to);
}

function destination(p: DrillProcess, e: Expr): ReturnType<typeof addressOf> {
  if (e.kind !== "ellipsis") return addressOf(e);
  return { addr: p.config.remote, port: p.config.connectPort };
}

function* connectTo(p: DrillProcess, s: DrillSocket, to: ReturnType<typeof addressOf>): Call {
  let result = resultOf(s.endpoint.connect(to.addr, to.port));
  const flow = p.flowOf(s);
  if (flow !== null) {
    flow.takePorts();
    if (result === "EINPROGRESS") p.underTest = flow;
  }
  if (result !== "EINPROGRESS" || !isSleeping(s, 0)) return result;
  while (result === "EINPROGRESS" || result === "EALREADY") {
    yield NEVER;
    result = resultOf(s.endpoint.connect(to.addr, to.port));
  }
  return result;
}

/** Waits for the end of a connect under way; an errno when it failed. */
function* awaitConnected(s: DrillSocket): Call {
  const SYN_SENT = 2;
  while (s.tcp !== null && (s.tcp.state === SYN_SENT || s.tcp.state === 3)) yield NEVER;
  const error = s.endpoint.takeError();
  return error === 0 ? 0 : resultOf(error);
}

function* sendBytes(
  p: DrillProcess,
  s: DrillSocket,
  length: number,
  flags: number,
  to: ReturnType<typeof addressOf> | null,
): Call {
  const buffer = p.scratch(length);
  if (s.datagram !== null) {
    for (;;) {
      const n = resultOf(s.datagram.send(buffer, 0, length, to?.addr ?? null, to?.port ?? 0));
      if (n !== "EAGAIN" || !isSleeping(s, flags)) return n;
      yield NEVER;
    }
  }
  if (s.tcp === null) return "EOPNOTSUPP";
  let written = 0;
  if (s.isConnectDeferred || (flags & MSG_FASTOPEN) !== 0) {
    const first = yield* fastOpenSend(p, s.tcp, s, length, flags, to);
    if (typeof first === "string") return first;
    written = first;
    // 0 of a connection that is open by now: an ordinary send.
    const isOrdinary = first === 0 && length > 0;
    if (first >= length || (!isSleeping(s, flags) && !isOrdinary)) {
      if ((flags & MSG_ZEROCOPY) !== 0 && s.zeroCopy && written > 0) s.noteZeroCopy();
      return written;
    }
  }
  let more = 0;
  if ((flags & MSG_MORE) !== 0) more |= WRITE_MORE;
  if ((flags & MSG_EOR) !== 0) more |= WRITE_EOR;
  if ((flags & MSG_OOB) !== 0) more |= WRITE_URGENT;
  for (;;) {
    const n = s.tcp.write(buffer, 0, length - written, more);
    if (n >= 0) {
      written += n;
      s.bytesWritten += n;
      if (written >= length || (n === 0 && length === 0)) break;
      if (!isSleeping(s, flags)) break;
    } else {
      const error = resultOf(n);
      if (error !== "EAGAIN") return written > 0 ? written : error;
      if (!isSleeping(s, flags)) {
        if (written === 0) return error;
        break;
      }
    }
    yield NEVER;
  }
  if ((flags & MSG_ZEROCOPY) !== 0 && s.zeroCopy && written > 0) s.noteZeroCopy();
  if (s.timestamping !== 0) s.noteTimestamped();
  return written;
}

/** MSG_FASTOPEN, or the first send after a deferred connect: what goes with the SYN. */
function* fastOpenSend(
  p: DrillProcess,
  tcp: TcpEndpoint,
  s: DrillSocket,
  length: number,
  flags: number,
  to: ReturnType<typeof addressOf> | null,
): Call {
  const peer = to ?? { addr: p.config.remote, port: p.config.connectPort };
  s.isConnectDeferred = false;
  const result = resultOf(tcp.connectWithData(peer.addr, peer.port, p.scratch(length), 0, length));
  // What did not fit into the SYN waits for the handshake with its writer.
  const isRestLeft = typeof result === "string" || result < length;
  tcp.isWriterWaiting = isSleeping(s, flags) && isRestLeft;
  const flow = p.flowOf(s);
  if (flow !== null) {
    flow.takePorts();
    p.underTest = flow;
  }
  if (typeof result === "number") s.bytesWritten += result;
  if (!isSleeping(s, flags)) return result;
  if (typeof result === "string" && result !== "EINPROGRESS") return result;
  const end = yield* awaitConnected(s);
  tcp.isWriterWaiting = false;
  if (end !== 0) return end;
  return typeof result === "number" ? result : 0;
}

function* receiveBytes(p: DrillProcess, s: DrillSocket, length: number, flags: number): Call {
  const buffer = p.scratch(length);
  const isPeek = (flags & MSG_PEEK) !== 0;
  const deadline = p.config.nowNs() + s.receiveTimeoutNs;
  let got = 0;
  for (;;) {
    let n: Result;
    // A deferred connect is on its way as far as a reader can see.
    if (s.isConnectDeferred) n = "EAGAIN";
    else if ((flags & MSG_OOB) !== 0) {
      const byte = s.tcp?.readUrgent(isPeek) ?? -17;
      n = byte >= 0 ? 1 : resultOf(byte);
    } else if (s.tcp !== null) {
      const isDrop = (flags & MSG_TRUNC) !== 0 && !isPeek;
      n = resultOf(
        isDrop ? s.tcp.discard(length - got) : s.tcp.read(buffer, 0, length - got, isPeek),
      );
    } else n = receiveDatagram(s, buffer, length, isPeek, flags);
    if (typeof n === "number") {
      got += n;
      const wantsAll = (flags & MSG_WAITALL) !== 0 && n > 0 && got < length && !isPeek;
      if (!wantsAll) return got;
    } else if (n !== "EAGAIN") return got > 0 ? got : n;
    if (!isSleeping(s, flags) || p.config.nowNs() >= deadline) return got > 0 ? got : "EAGAIN";
    yield deadline;
  }
}

function receiveDatagram(
  s: DrillSocket,
  buffer: Uint8Array,
  length: number,
  isPeek: boolean,
  flags: number,
): Result {
  const info = newDatagramInfo(s);
  const n = resultOf(s.datagram?.receive(buffer, 0, length, info, isPeek) ?? -19);
  return typeof n === "number" && (flags & MSG_TRUNC) !== 0 ? info.length : n;
}

const newDatagramInfo = (
  s: DrillSocket,
): Parameters<NonNullable<DrillSocket["datagram"]>["receive"]>[3] => ({
  addr: s.endpoint.remoteAddr.clone(),
  port: 0,
  localAddr: s.endpoint.localAddr.clone(),
  nicId: 0,
  ttl: 0,
  tos: 0,
  length: 0,
  timeNs: 0,
  segmentBytes: 0,
});

function* readCall(p: DrillProcess, a: Expr[]): Call {
  const file = p.file(a[0]);
  if (file === null) return "EBADF";
  const length = numberOf(a[2]);
  if (file instanceof PipeEnd) {
    const n = Math.min(length, file.pipe.bytes);
    file.pipe.bytes -= n;
    return n;
  }
  const s = p.socket(a[0]);
  if (isNull(a[1]) && length > 0) return yield* faultingRead(s);
  return yield* receiveBytes(p, s, length, a[3] === undefined ? 0 : numberOf(a[3]));
}

/** A bad pointer is noticed only when there is something to copy. */
// biome-ignore lint/correctness/useYield: a call that does not sleep
function* faultingRead(s: DrillSocket): Call {
  return (s.tcp?.readableBytes ?? s.datagram?.nextBytes ?? 0) > 0 ? "EFAULT" : "EAGAIN";
}

function* writeCall(p: DrillProcess, a: Expr[]): Call {
  const file = p.file(a[0]);
  if (file === null) return "EBADF";
  const length = numberOf(a[2]);
  if (file instanceof PipeEnd) {
    file.pipe.bytes += length;
    return length;
  }
  const s = p.socket(a[0]);
  const flags = a[3] === undefined ? 0 : numberOf(a[3]);
  if (isNull(a[1]) && length > 0) return faultOfWrite(s, flags);
  const name = a[4];
  if (name?.kind === "word" && name.name === "AF_UNSPEC") {
    if ((flags & MSG_FASTOPEN) !== 0) return "EOPNOTSUPP";
    return yield* sendBytes(p, s, length, flags, null);
  }
  const to = name === undefined || isNull(name) ? null : destination(p, name);
  return yield* sendBytes(p, s, length, flags, to);
}

function faultOfWrite(s: DrillSocket, flags: number): Result {
  if (s.tcp === null || s.tcp.state !== CLOSED || (flags & MSG_FASTOPEN) !== 0) return "EFAULT";
  return s.isConnectDeferred ? "EFAULT" : "EPIPE";
}

/** readv and writev: the lengths add up. */
function vectorLength(e: Expr): number {
  let length = 0;
  for (const part of itemsOf(e)) length += numberOf(itemsOf(part)[1]);
  return length;
}

/** Pages of one packet buffer (MAX_SKB_FRAGS): a zero-copy send of more pieces is cut there. */
const FRAGMENTS_MAX = 17;

function* sendMessage(p: DrillProcess, a: Expr[]): Call {
  const s = p.socket(a[0]);
  const message = fieldsOf(a[1]);
  const vector = message.get("msg_iov");
  const name = message.get("msg_name");
  const flags = a[2] === undefined ? 0 : numberOf(a[2]);
  const isNamed = name !== undefined && !isNull(name) && s.tcp?.state === CLOSED;
  const to = isNamed ? destination(p, name) : null;
  const lengths =
    vector === undefined ? [] : itemsOf(vector).map((part) => numberOf(itemsOf(part)[1]));
  const isPinned = (flags & MSG_ZEROCOPY) !== 0 && s.zeroCopy && lengths.length > FRAGMENTS_MAX;
  if (!isPinned) return yield* sendBytes(p, s, sum(lengths), flags, to);
  let total = 0;
  for (let at = 0; at < lengths.length; at += FRAGMENTS_MAX) {
    const piece = sum(lengths.slice(at, at + FRAGMENTS_MAX));
    const isLast = at + FRAGMENTS_MAX >= lengths.length;
    const sent = yield* sendBytes(
      p,
      s,
      piece,
      isLast ? flags : (flags & ~MSG_ZEROCOPY) | MSG_EOR,
      to,
    );
    if (typeof sent === "string") return total > 0 ? total : sent;
    total += sent;
    if (sent < piece) break;
  }
  return total;
}

const sum = (lengths: readonly number[]): number => lengths.reduce((a, b) => a + b, 0);

function* receiveMessageCall(p: DrillProcess, a: Expr[], c: CallSpec): Call {
  const s = p.socket(a[0]);
  const message = fieldsOf(a[1]);
  const flags = a[2] === undefined ? 0 : numberOf(a[2]);
  let result: Result = 0;
  if ((flags & MSG_ERRQUEUE) === 0) {
    const vector = message.get("msg_iov");
    const length = vector === undefined ? 0 : vectorLength(vector);
    result = yield* receiveBytes(p, s, length, flags);
  }
  return receiveMessage(s, message, flags, result, c);
}

function closeCall(p: DrillProcess, a: Expr[]): Result {
  const fd = numberOf(a[0]);
  const file = p.files.get(fd);
  if (file === undefined) return "EBADF";
  p.files.delete(fd);
  file.close();
  for (const item of file.watchers) item.isDisabled = true;
  return 0;
}

function shutdownCall(p: DrillProcess, a: Expr[]): Result {
  const s = p.socket(a[0]);
  const how = numberOf(a[1]);
  if (how < 0 || how > 2) return "EINVAL";
  const { endpoint } = s;
  const ends = endpoint as unknown as { shutdown(read: boolean, write: boolean): number };
  return resultOf(ends.shutdown(how !== 1, how !== 0));
}

function fcntlCall(p: DrillProcess, a: Expr[]): Result {
  const file = p.file(a[0]);
  if (file === null) return "EBADF";
  const F_GETFL = 3;
  const F_SETFL = 4;
  const command = numberOf(a[1]);
  if (command === F_GETFL) return file.flags | (file.isNonBlocking ? O_NONBLOCK : 0);
  if (command !== F_SETFL) return 0;
  file.isNonBlocking = (numberOf(a[2]) & O_NONBLOCK) !== 0;
  return 0;
}

function ioctlCall(p: DrillProcess, a: Expr[]): Result {
  const s = p.socket(a[0]);
  const request = numberOf(a[1]);
  const SIOCINQ = 0x541b;
  const SIOCOUTQ = 0x5411;
  const SIOCATMARK = 0x8905;
  const SIOCOUTQNSD = 0x894b;
  let value: number;
  if (request === SIOCINQ) value = s.tcp?.readableBytes ?? s.datagram?.nextBytes ?? 0;
  else if (request === SIOCOUTQ) value = s.tcp?.unackedBytes ?? s.datagram?.queuedSendBytes ?? 0;
  else if (request === SIOCOUTQNSD) value = s.tcp?.unsentBytes ?? 0;
  else if (request === SIOCATMARK) value = s.tcp?.atMark === true ? 1 : 0;
  else return "ENOTTY";
  if (request === SIOCINQ && s.isListening) return "EINVAL";
  if (a[2] !== undefined) checkNumber(a[2], value, "value");
  return 0;
}

function pipeCall(p: DrillProcess, a: Expr[]): Result {
  const [read, write] = itemsOf(a[0]).map(numberOf);
  const pipe = new DrillPipe();
  p.files.set(read, new PipeEnd(pipe));
  p.files.set(write, new PipeEnd(pipe));
  return 0;
}

function openCall(p: DrillProcess, _a: Expr[], c: CallSpec): Result {
  p.files.set(wantedFd(c), new ZeroFile());
  return wantedFd(c);
}

/** splice(from, NULL, to, NULL, length, flags) between a pipe and a socket. */
function* spliceCall(p: DrillProcess, a: Expr[]): Call {
  const from = p.file(a[0]);
  const to = p.file(a[2]);
  const length = numberOf(a[4]);
  if (from instanceof DrillSocket && to instanceof PipeEnd) {
    // Nothing moves past the urgent mark.
    if (from.tcp?.atMark === true) return 0;
    const n = yield* receiveBytes(p, from, length, numberOf(a[5]) !== 0 ? MSG_DONTWAIT : 0);
    if (typeof n === "number") to.pipe.bytes += n;
    return n;
  }
  if (from instanceof PipeEnd && to instanceof DrillSocket) {
    const n = yield* sendBytes(p, to, Math.min(length, from.pipe.bytes), 0, null);
    if (typeof n === "number") from.pipe.bytes -= n;
    return n;
  }
  return "EINVAL";
}

/** sendfile(to, from, [offset], length): the file is zero bytes without end. */
function* sendfileCall(p: DrillProcess, a: Expr[]): Call {
  const to = p.socket(a[0]);
  return yield* sendBytes(p, to, numberOf(a[3]), 0, null);
}

const HANDLERS: Readonly<Record<string, Handler>> = {
  socket: plain(socketCall),
  bind: plain(bindCall),
  listen: plain(listenCall),
  accept: acceptCall,
  connect: connectCall,
  read: readCall,
  recv: readCall,
  recvfrom: readCall,
  readv: function* (p, a) {
    return yield* receiveBytes(p, p.socket(a[0]), vectorLength(a[1]), 0);
  },
  recvmsg: receiveMessageCall,
  write: writeCall,
  send: writeCall,
  sendto: writeCall,
  writev: function* (p, a) {
    return yield* sendBytes(p, p.socket(a[0]), vectorLength(a[1]), 0, null);
  },
  sendmsg: sendMessage,
  close: plain(closeCall),
  shutdown: plain(shutdownCall),
  fcntl: plain(fcntlCall),
  ioctl: plain(ioctlCall),
  setsockopt: plain(setOption),
  getsockopt: plain(getOption),
  pipe: plain(pipeCall),
  open: plain(openCall),
  splice: spliceCall,
  sendfile: sendfileCall,
  cap_set: plain(() => 0),
  ...epollCalls,
};

/** Begins a call; it runs up to its first sleep with the generator's first next(). */
export function beginCall(p: DrillProcess, spec: CallSpec): Call {
  const handler = Object.hasOwn(HANDLERS, spec.name) ? HANDLERS[spec.name] : undefined;
  if (handler === undefined) {
    throw new DrillError("unsupported", spec.place, `no system call '${spec.name}'`);
  }
  return handler(p, spec.args, spec);
}

/** Compares the result of a call with the script's. */
export function checkResult(spec: CallSpec, result: Result): void {
  const got = typeof result === "string" ? `-1 ${result}` : String(result);
  if (spec.result.kind === "ellipsis") return;
  const wanted = numberOf(spec.result);
  const errno = spec.errno === null ? "" : ` ${spec.errno}`;
  const right =
    typeof result === "string"
      ? wanted === -1 && (spec.errno === null || spec.errno === result)
      : wanted === result && spec.errno === null;
  if (!right) throw mismatch(spec.place, `expected ${spec.name}() = ${wanted}${errno}, got ${got}`);
}
