// NETLINK_SOCK_DIAG (sock_diag(7)): the sandbox's sockets as ss(8) lists them, with tcp_info. A socket of this
// kernel is listed; connections that no program holds any more (TIME_WAIT, half open) are not.

import { EINVAL, ENOENT } from "../../../abi/errno.ts";
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from "../../../abi/in.ts";
import { NLM_F_MULTI, NLMSGHDR_BYTES } from "../../../abi/netlink.ts";
import * as diag from "../../../abi/sock-diag.ts";
import { AF_INET, AF_INET6, AF_UNIX, SOCK_RAW, SOCK_STREAM } from "../../../abi/socket.ts";
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from "../../../abi/tcp.ts";
import { putByteString, setU16, setU32Le, u16, u32Le } from "../../../base/bytes.ts";
import { IPV4, IPV6, IpAddr, newTcpInfo } from "../../../netstack/index.ts";
import { InetSocket } from "../inet/inet-socket.ts";
import { StreamSocket } from "../inet/stream-socket.ts";
import { encodeTcpInfo, TCP_INFO_BYTES } from "../inet/tcp-info.ts";
import type { Socket } from "../socket.ts";
import { MEMINFO_BYTES, putMemInfo } from "../socket-options-read.ts";
import { UnixConnectionSocket } from "../unix/connection-socket.ts";
import { UnixDatagramSocket } from "../unix/datagram-socket.ts";
import { UnixSocket } from "../unix/unix-socket.ts";
import type { NetlinkWriter } from "./netlink-message.ts";

const tcpInfo = newTcpInfo();
const tcpInfoBytes = new Uint8Array(TCP_INFO_BYTES);
const memInfo = new Uint8Array(MEMINFO_BYTES);
const BODY = NLMSGHDR_BYTES;

/** A SOCK_DIAG_BY_FAMILY request: fills w. 0 or -errno; -ENOENT: no such family or socket. */
export function answerDiag(
  w: NetlinkWriter,
  sockets: Iterable<Socket>,
  request: Uint8Array,
  isDump: boolean,
): number {
  if (request.length < BODY + 4) return -EINVAL;
  switch (request[BODY + diag.DIAG_REQ_FAMILY]) {
    case AF_INET:
    case AF_INET6:
      if (request.length < BODY + diag.INET_DIAG_REQ_BYTES) return -EINVAL;
      return isDump ? dumpInet(w, sockets, request) : getInet(w, sockets, request);
    case AF_UNIX:
      if (request.length < BODY + diag.UNIX_DIAG_REQ_BYTES) return -EINVAL;
      return isDump ? dumpUnix(w, sockets, request) : getUnix(w, sockets, request);
    default:
      return -ENOENT;
  }
}

// --- AF_INET, AF_INET6 ---

function protocolOf(s: InetSocket): number {
  if (s.type === SOCK_STREAM) return IPPROTO_TCP;
  if (s.type === SOCK_RAW) return 255;
  return s.protocol === IPPROTO_ICMP || s.protocol === IPPROTO_ICMPV6 ? s.protocol : IPPROTO_UDP;
}

function stateOf(s: InetSocket): number {
  if (s instanceof StreamSocket) return s.endpoint.state;
  return s.isConnected ? TCP_ESTABLISHED : TCP_CLOSE;
}

function dumpInet(w: NetlinkWriter, sockets: Iterable<Socket>, request: Uint8Array): number {
  const family = request[BODY];
  const protocol = request[BODY + diag.DIAG_REQ_PROTOCOL];
  const states = u32Le(request, BODY + diag.DIAG_REQ_STATES);
  const sport = u16(request, BODY + diag.DIAG_REQ_ID + diag.DIAG_ID_SPORT);
  const dport = u16(request, BODY + diag.DIAG_REQ_ID + diag.DIAG_ID_DPORT);
  // Linux has diagnostics for TCP, UDP and raw sockets, and none for pings.
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP && protocol !== 255) return -ENOENT;
  for (const s of sockets) {
    if (!(s instanceof InetSocket) || s.family !== family || protocolOf(s) !== protocol) continue;
    const e = s.endpoint;
    if (e.localPort === 0 || ((states >>> stateOf(s)) & 1) === 0) continue;
    if ((sport !== 0 && sport !== e.localPort) || (dport !== 0 && dport !== e.remotePort)) continue;
    putInet(w, s, request[BODY + diag.DIAG_REQ_EXT], NLM_F_MULTI);
  }
  w.done();
  return 0;
}

/** One socket, by its addresses (inet_diag_dump_one). */
function getInet(w: NetlinkWriter, sockets: Iterable<Socket>, request: Uint8Array): number {
  const family = request[BODY];
  const ip = family === AF_INET ? IPV4 : IPV6;
  const id = BODY + diag.DIAG_REQ_ID;
  const src = new IpAddr().read(request, id + diag.DIAG_ID_SRC, ip);
  const dst = new IpAddr().read(request, id + diag.DIAG_ID_DST, ip);
  for (const s of sockets) {
    if (!(s instanceof InetSocket) || s.family !== family) continue;
    if (protocolOf(s) !== request[BODY + diag.DIAG_REQ_PROTOCOL]) continue;
    const e = s.endpoint;
    if (e.localPort !== u16(request, id) || e.remotePort !== u16(request, id + 2)) continue;
    if (!e.localAddr.equals(src) || !e.remoteAddr.equals(dst)) continue;
    putInet(w, s, request[BODY + diag.DIAG_REQ_EXT], 0);
    w.flush();
    return 0;
  }
  return -ENOENT;
}

function putInet(w: NetlinkWriter, s: InetSocket, ext: number, flags: number): void {
  const e = s.endpoint;
  const at = w.begin(diag.SOCK_DIAG_BY_FAMILY, flags, diag.INET_DIAG_MSG_BYTES);
  const b = w.bytes;
  const state = stateOf(s);
  b[at] = s.family;
  b[at + 1] = state;
  const id = at + diag.DIAG_MSG_ID;
  setU16(b, id + diag.DIAG_ID_SPORT, e.localPort);
  setU16(b, id + diag.DIAG_ID_DPORT, e.remotePort);
  const ip = s.family === AF_INET ? IPV4 : IPV6;
  e.localAddr.write(b, id + diag.DIAG_ID_SRC, ip);
  e.remoteAddr.write(b, id + diag.DIAG_ID_DST, ip);
  setU32Le(b, id + diag.DIAG_ID_IF, e.options.boundNicId);
  setU32Le(b, id + diag.DIAG_ID_COOKIE, s.ino);
  if (s instanceof StreamSocket) {
    const t = s.endpoint;
    const listens = state === TCP_LISTEN;
    setU32Le(b, at + diag.DIAG_MSG_RQUEUE, listens ? t.acceptQueueLength : t.readableBytes);
    setU32Le(b, at + diag.DIAG_MSG_WQUEUE, listens ? t.backlog : t.unackedBytes);
  } else if ("nextBytes" in e) {
    setU32Le(b, at + diag.DIAG_MSG_RQUEUE, e.nextBytes as number);
  }
  setU32Le(b, at + diag.DIAG_MSG_UID, s.ownerUid);
  setU32Le(b, at + diag.DIAG_MSG_INODE, s.ino);
  putExtensions(w, s, ext);
  w.finish();
}

const wants = (ext: number, attribute: number): boolean => (ext & (1 << (attribute - 1))) !== 0;

function putExtensions(w: NetlinkWriter, s: InetSocket, ext: number): void {
  const options = s.endpoint.options;
  if (wants(ext, diag.INET_DIAG_TOS)) w.attributeU8(diag.INET_DIAG_TOS, options.tos);
  if (s.family === AF_INET6) {
    if (wants(ext, diag.INET_DIAG_TCLASS)) w.attributeU8(diag.INET_DIAG_TCLASS, options.tos);
    w.attributeU8(diag.INET_DIAG_SKV6ONLY, Number(options.v6Only));
  }
  if (wants(ext, diag.INET_DIAG_SKMEMINFO)) {
    putMemInfo(memInfo, s);
    w.attribute(diag.INET_DIAG_SKMEMINFO, memInfo);
  }
  if (s.type === SOCK_RAW) w.attributeU8(diag.INET_DIAG_PROTOCOL, s.protocol);
  if (!(s instanceof StreamSocket)) return;
  if (wants(ext, diag.INET_DIAG_CONG)) {
    w.attributeString(diag.INET_DIAG_CONG, s.endpoint.options.congestion || "cubic");
  }
  if (wants(ext, diag.INET_DIAG_INFO)) {
    s.endpoint.info(tcpInfo);
    encodeTcpInfo(tcpInfoBytes, tcpInfo, s.maxPacingRate);
    w.attribute(diag.INET_DIAG_INFO, tcpInfoBytes);
  }
}

// --- AF_UNIX ---

function dumpUnix(w: NetlinkWriter, sockets: Iterable<Socket>, request: Uint8Array): number {
  const states = u32Le(request, BODY + diag.UNIX_DIAG_REQ_STATES);
  const show = u32Le(request, BODY + diag.UNIX_DIAG_REQ_SHOW);
  for (const s of sockets) {
    if (!(s instanceof UnixSocket) || ((states >>> unixState(s)) & 1) === 0) continue;
    putUnix(w, s, show, NLM_F_MULTI);
  }
  w.done();
  return 0;
}

function getUnix(w: NetlinkWriter, sockets: Iterable<Socket>, request: Uint8Array): number {
  const ino = u32Le(request, BODY + diag.UNIX_DIAG_REQ_INO);
  if (ino === 0) return -EINVAL;
  for (const s of sockets) {
    if (!(s instanceof UnixSocket) || s.ino !== ino) continue;
    putUnix(w, s, u32Le(request, BODY + diag.UNIX_DIAG_REQ_SHOW), 0);
    w.flush();
    return 0;
  }
  return -ENOENT;
}

const peerOf = (s: UnixSocket): UnixSocket | null =>
  s instanceof UnixConnectionSocket || s instanceof UnixDatagramSocket ? s.peer : null;

function unixState(s: UnixSocket): number {
  if (s.isListening) return TCP_LISTEN;
  return peerOf(s) === null ? TCP_CLOSE : TCP_ESTABLISHED;
}

function putUnix(w: NetlinkWriter, s: UnixSocket, show: number, flags: number): void {
  const at = w.begin(diag.SOCK_DIAG_BY_FAMILY, flags, diag.UNIX_DIAG_MSG_BYTES);
  const b = w.bytes;
  b[at] = AF_UNIX;
  b[at + 1] = s.type;
  b[at + 2] = unixState(s);
  setU32Le(b, at + 4, s.ino);
  setU32Le(b, at + 8, s.ino);
  if ((show & diag.UDIAG_SHOW_NAME) !== 0 && s.name !== null) {
    const name = new Uint8Array(s.name.length);
    putByteString(name, 0, s.name);
    w.attribute(diag.UNIX_DIAG_NAME, name);
  }
  const peer = peerOf(s);
  if ((show & diag.UDIAG_SHOW_PEER) !== 0 && peer !== null) {
    w.attributeU32(diag.UNIX_DIAG_PEER, peer.ino);
  }
  if ((show & diag.UDIAG_SHOW_RQLEN) !== 0) {
    const lengths = new Uint8Array(8);
    setU32Le(lengths, 0, s.queuedForReading);
    setU32Le(lengths, 4, s.isListening ? s.backlogMax : 0);
    w.attribute(diag.UNIX_DIAG_RQLEN, lengths);
  }
  w.attributeU8(diag.UNIX_DIAG_SHUTDOWN, Number(s.shutRead) | (Number(s.shutWrite) << 1));
  w.finish();
}
