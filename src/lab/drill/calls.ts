// System calls by name. Each is a generator over the process: it yields while Linux would sleep, and returns
// a count or an errno's name. Out-parameters are compared with what the script wrote.

import { IPV4, IPV6 } from "../../netstack/index.ts";
import type { CallSpec, Expr } from "./ast.ts";
import { DrillError, mismatch } from "./drill-error.ts";
import { epollCalls } from "./poll-calls.ts";
import type { Call, DrillProcess } from "./process.ts";
import { readCall, receiveBytes, receiveMessageCall } from "./receive-calls.ts";
import {
  connectTo,
  destination,
  isSleeping,
  sendBytes,
  sendMessage,
  writeCall,
} from "./send-calls.ts";
import { DrillPipe, DrillSocket, PipeEnd, type Result, resultOf, ZeroFile } from "./socket.ts";
import { getOption, setOption } from "./socket-options.ts";
import { addressOf, checkNumber, itemsOf, numberOf, vectorLength } from "./values.ts";

const NEVER = Number.POSITIVE_INFINITY;

const MSG_DONTWAIT = 0x40;

const CLOSED = 7;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
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

/** The descriptor that the script says the call returns. */
const wantedFd = (c: CallSpec): number => numberOf(c.result);

function socketCall(p: DrillProcess, a: Expr[], c: CallSpec): Result {
  const { stack, socketFamily } = p.config;
  const AF_INET = 2;
  let family = socketFamily;
  if (a[0].kind !== "ellipsis") family = numberOf(a[0]) === AF_INET ? IPV4 : IPV6;
  const type = numberOf(a[1]);
  const isStream = (type & 0xf) === 1;
  const protocol = a[2] === undefined || a[2].kind === "ellipsis" ? 0 : numberOf(a[2]);
  if (protocol !== 0 && protocol !== (isStream ? IPPROTO_TCP : IPPROTO_UDP)) {
    return "EPROTONOSUPPORT";
  }
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

/** SO_LINGER with a time waits until all has been acknowledged, O_NONBLOCK or not (sk_stream_wait_close). */
function* closeCall(p: DrillProcess, a: Expr[]): Call {
  const fd = numberOf(a[0]);
  const file = p.files.get(fd);
  if (file === undefined) return "EBADF";
  p.files.delete(fd);
  const tcp = file instanceof DrillSocket ? file.tcp : null;
  const lingerNs = tcp?.options.lingerNs ?? 0;
  const isOver = (): boolean => tcp?.state === CLOSED || tcp?.unackedBytes === 0;
  if (tcp !== null && lingerNs > 0 && tcp.readableBytes === 0) {
    const untilNs = p.config.stack.clock.monotonicNs() + lingerNs;
    tcp.shutdown(false, true);
    while (!isOver() && p.config.stack.clock.monotonicNs() < untilNs) yield untilNs;
  }
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
  close: closeCall,
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

const errnoName = (name: string): string => (name === "EWOULDBLOCK" ? "EAGAIN" : name);

/** Compares the result of a call with the script's. */
export function checkResult(spec: CallSpec, result: Result): void {
  const got = typeof result === "string" ? `-1 ${result}` : String(result);
  if (spec.result.kind === "ellipsis") return;
  const wanted = numberOf(spec.result);
  const errno = spec.errno === null ? "" : ` ${spec.errno}`;
  const right =
    typeof result === "string"
      ? wanted === -1 && (spec.errno === null || errnoName(spec.errno) === result)
      : wanted === result && spec.errno === null;
  if (!right) throw mismatch(spec.place, `expected ${spec.name}() = ${wanted}${errno}, got ${got}`);
}
