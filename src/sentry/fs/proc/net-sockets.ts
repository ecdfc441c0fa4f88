// /proc/net/{tcp,udp,raw,icmp,unix,packet}: one line for each socket, in the columns of Linux's tcp_ipv4.c,
// udp.c and af_unix.c.

import { AF_INET, AF_INET6, AF_UNIX, SOCK_RAW, SOCK_STREAM } from "../../../abi/socket.ts";
import { TCP_ESTABLISHED, TCP_LISTEN } from "../../../abi/tcp.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { IpAddr } from "../../../netstack/index.ts";
import { InetSocket } from "../../socket/inet/inet-socket.ts";
import { StreamSocket } from "../../socket/inet/stream-socket.ts";
import type { Socket } from "../../socket/socket.ts";
import { UnixConnectionSocket } from "../../socket/unix/connection-socket.ts";
import { UnixSocket } from "../../socket/unix/unix-socket.ts";
import type { NetSource } from "./net-source.ts";

const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
/** st of a datagram socket: connected or not. */
const UDP_OPEN = 7;

const hex = (n: number, width: number): string =>
  (n >>> 0).toString(16).toUpperCase().padStart(width, "0");

function swapped(word: number): string {
  return hex((word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24), 8);
}
function addressHex(a: IpAddr, family: number): string {
  if (family === 4) return a.isUnspecified ? "00000000" : swapped(a.w3);
  if (a.isUnspecified) return "0".repeat(32);
  return [a.w0, a.w1, a.w2, a.w3].map(swapped).join("");
}

export type InetKind = "tcp" | "udp" | "raw" | "icmp";

function kindOf(s: Socket): InetKind {
  if (s.type === SOCK_STREAM) return "tcp";
  if (s.type === SOCK_RAW) return "raw";
  return s.protocol === IPPROTO_ICMP || s.protocol === IPPROTO_ICMPV6 ? "icmp" : "udp";
}

function stateOf(socket: InetSocket): number {
  if (socket instanceof StreamSocket) return socket.endpoint.state;
  return socket.endpoint.remotePort !== 0 ? TCP_ESTABLISHED : UDP_OPEN;
}

const TCP_HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const TCP6_HEAD =
  "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const UDP_HEAD =
  "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
const UDP6_HEAD =
  "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";

export function inetTable(net: NetSource, kind: InetKind, family: 4 | 6): ByteString {
  const isTcp = kind === "tcp";
  const width = family === 4 ? (isTcp ? 149 : 127) : 0;
  const head = isTcp ? (family === 4 ? TCP_HEAD : TCP6_HEAD) : family === 4 ? UDP_HEAD : UDP6_HEAD;
  let s = `${head.padEnd(width)}\n`;
  let index = 0;
  const wanted = family === 4 ? AF_INET : AF_INET6;
  for (const socket of net.sockets()) {
    if (!(socket instanceof InetSocket) || socket.family !== wanted || kindOf(socket) !== kind) {
      continue;
    }
    const e = socket.endpoint;
    const state = stateOf(socket);
    // Neither bound nor connected: Linux has it in no table.
    if (e.localPort === 0 && kind !== "raw") continue;
    const stream = socket instanceof StreamSocket && state !== TCP_LISTEN ? socket.endpoint : null;
    const tx = stream?.unackedBytes ?? 0;
    const rx = stream?.readableBytes ?? 0;
    const line =
      `${String(index).padStart(isTcp ? 4 : 5)}: ${addressHex(e.localAddr, family)}:${hex(e.localPort, 4)} ` +
      `${addressHex(e.remoteAddr, family)}:${hex(e.remotePort, 4)} ${hex(state, 2)} ${hex(tx, 8)}:${hex(rx, 8)} ` +
      `00:00000000 00000000 ${"0".padStart(5)} ${"0".padStart(8)} ${socket.ino} 1 0000000000000000`;
    s += `${(isTcp ? `${line} 100 0 0 10 0` : `${line} 0`).padEnd(width)}\n`;
    index++;
  }
  return s;
}

export function packetTable(): ByteString {
  return "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n";
}

const SO_ACCEPTCON = 0x10000;
const SS_UNCONNECTED = 1;
const SS_CONNECTED = 3;

export function unixTable(net: NetSource): ByteString {
  let s = "Num       RefCount Protocol Flags    Type St Inode Path\n";
  for (const socket of net.sockets()) {
    if (socket.family !== AF_UNIX || !(socket instanceof UnixSocket)) continue;
    const flags = socket.isListening ? SO_ACCEPTCON : 0;
    const isConnected = socket instanceof UnixConnectionSocket && socket.peer !== null;
    const state = isConnected ? SS_CONNECTED : SS_UNCONNECTED;
    const name = socket.name === null ? "" : ` ${socket.name.replace(/\0/g, "@")}`;
    s += `0000000000000000: ${hex(2, 8)} 00000000 ${hex(flags, 8)} ${hex(socket.type, 4)} ${hex(state, 2)} ${String(socket.ino).padStart(5)}${name}\n`;
  }
  return s;
}
