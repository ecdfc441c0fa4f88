// Control messages of datagram sockets: what recvmsg tells about a datagram (ip(7), ipv6(7), udp(7), socket(7)). What
// sendmsg may ask for one: send-choices.ts.

import { SOF_TIMESTAMPING_RX_SOFTWARE, SOF_TIMESTAMPING_SOFTWARE } from "../../../abi/errqueue.ts";
import {
  IP_ORIGDSTADDR,
  IP_PKTINFO,
  IP_RECVFRAGSIZE,
  IP_TOS,
  IP_TTL,
  IPV6_2292HOPLIMIT,
  IPV6_2292PKTINFO,
  IPV6_FLOWINFO,
  IPV6_HOPLIMIT,
  IPV6_ORIGDSTADDR,
  IPV6_PATHMTU,
  IPV6_PKTINFO,
  IPV6_RECVFRAGSIZE,
  IPV6_TCLASS,
  UDP_GRO,
} from "../../../abi/in.ts";
import {
  AF_INET,
  AF_INET6,
  SO_TIMESTAMP,
  SO_TIMESTAMP_NEW,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_UDP,
} from "../../../abi/socket.ts";
import { setU32, setU32Le, setU64Le } from "../../../base/bytes.ts";
import { SECOND, US } from "../../../base/clock.ts";
import {
  type DatagramExtra,
  type DatagramInfo,
  IPV4,
  IPV6,
  type IpAddr,
  type PathMtuNotice,
} from "../../../netstack/index.ts";
import type { ControlWriter } from "../control.ts";
import type { ReceiveMessage } from "../message.ts";
import type { Socket } from "../socket.ts";
import { SocketAddress } from "../socket-address.ts";
import { putExtensionHeaders, putOldExtensionHeaders } from "./extension-options.ts";
import { putHeaderOptions } from "./header-options.ts";
import { formatInetAddress } from "./inet-address.ts";
import type { InetSocket } from "./inet-socket.ts";
import { MTU_INFO_BYTES, MTU_INFO_MTU } from "./ipv6-options-read.ts";

const scratch = new Uint8Array(48);

/** recvmsg: everything this socket asked to hear. */
export function putDatagramControl(
  s: InetSocket,
  info: DatagramInfo,
  control: ControlWriter,
): void {
  putTimestamps(s, info.timeNs, (s.timestamping & SOF_TIMESTAMPING_RX_SOFTWARE) !== 0, control);
  const { localAddr, nicId, ttl, tos, flowLabel, extra } = info;
  putArrivalControl(s, localAddr, nicId, ttl, tos, flowLabel, extra, control);
  putOriginalDestination(s, info, control);
  if (extra !== null && extra.fragmentBytes > 0) putFragmentSize(s, localAddr, extra, control);
  if (info.segmentBytes > 0) control.putInt(SOL_UDP, UDP_GRO, info.segmentBytes);
}

/** IP_RECVORIGDSTADDR: where the datagram was sent to, with the port. */
function putOriginalDestination(s: InetSocket, info: DatagramInfo, control: ControlWriter): void {
  const { receiveOrigDstAddr, receiveOrigDstAddr6 } = s.ip;
  const port = s.endpoint.localPort;
  if (receiveOrigDstAddr && info.localAddr.isV4) {
    formatInetAddress(original, AF_INET, info.localAddr, port, 0);
    control.put(SOL_IP, IP_ORIGDSTADDR, original.bytes, 0, original.length);
  } else if (receiveOrigDstAddr6) {
    formatInetAddress(original, AF_INET6, info.localAddr, port, info.nicId);
    control.put(SOL_IPV6, IPV6_ORIGDSTADDR, original.bytes, 0, original.length);
  }
}
const original = new SocketAddress();

function putFragmentSize(
  s: InetSocket,
  localAddr: IpAddr,
  { fragmentBytes }: DatagramExtra,
  control: ControlWriter,
): void {
  if (localAddr.isV4) {
    if (s.ip.receiveFragSize) control.putInt(SOL_IP, IP_RECVFRAGSIZE, fragmentBytes);
  } else if (s.ip.receiveFragSize6) control.putInt(SOL_IPV6, IPV6_RECVFRAGSIZE, fragmentBytes);
}

/** What the IP header of the packet that arrived says (ip_cmsg_recv, ip6_datagram_recv_ctl). */
export function putArrivalControl(
  s: InetSocket,
  localAddr: IpAddr,
  nicId: number,
  ttl: number,
  tos: number,
  flowLabel: number,
  extra: DatagramExtra | null,
  control: ControlWriter,
): void {
  const ip = s.ip;
  const isV4 = localAddr.isV4;
  if (s.family === AF_INET6) {
    if (ip.receivePktInfo6) putPacketInfo(IPV6_PKTINFO, localAddr, nicId, control);
    if (!isV4) putHeader6(s, localAddr, nicId, ttl, tos, flowLabel, extra, control);
  }
  if (isV4) {
    if (ip.receivePktInfo) {
      setU32Le(scratch, 0, nicId);
      localAddr.write(scratch, 4, IPV4);
      localAddr.write(scratch, 8, IPV4);
      control.put(SOL_IP, IP_PKTINFO, scratch, 0, 12);
    }
    if (ip.receiveTtl) control.putInt(SOL_IP, IP_TTL, ttl);
    if (ip.receiveTos) {
      scratch[0] = tos;
      control.put(SOL_IP, IP_TOS, scratch, 0, 1);
    }
    if (extra !== null && extra.ipOptions !== null) putHeaderOptions(s, extra.ipOptions, control);
  }
}

/** ip6_datagram_recv_specific_ctl. */
function putHeader6(
  s: InetSocket,
  localAddr: IpAddr,
  nicId: number,
  ttl: number,
  tos: number,
  flowLabel: number,
  extra: DatagramExtra | null,
  control: ControlWriter,
): void {
  const ip = s.ip;
  if (ip.receiveHopLimit) control.putInt(SOL_IPV6, IPV6_HOPLIMIT, ttl);
  if (ip.receiveTclass) control.putInt(SOL_IPV6, IPV6_TCLASS, tos);
  // Class and label; none when both are 0.
  const flowInfo = (tos << 20) | flowLabel;
  if (ip.receiveFlowInfo && flowInfo !== 0) {
    setU32(scratch, 0, flowInfo);
    control.put(SOL_IPV6, IPV6_FLOWINFO, scratch, 0, 4);
  }
  const extensions = extra === null ? null : extra.extensions;
  if (extensions !== null) putExtensionHeaders(ip, extensions, control);
  if (ip.receiveOldPktInfo) putPacketInfo(IPV6_2292PKTINFO, localAddr, nicId, control);
  if (ip.receiveOldHopLimit) control.putInt(SOL_IPV6, IPV6_2292HOPLIMIT, ttl);
  if (extensions !== null) putOldExtensionHeaders(ip, extensions, control);
}

function putPacketInfo(
  type: number,
  localAddr: IpAddr,
  nicId: number,
  control: ControlWriter,
): void {
  localAddr.write(scratch, 0, IPV6);
  setU32Le(scratch, 16, nicId);
  control.put(SOL_IPV6, type, scratch, 0, 20);
}

/** IPV6_RECVPATHMTU: a message of its own, without data (ipv6_recv_rxpmtu). */
export function receivePathMtu(notice: PathMtuNotice, message: ReceiveMessage): number {
  formatInetAddress(message.address, AF_INET6, notice.addr, 0, 0);
  scratch.fill(0, 0, MTU_INFO_BYTES);
  scratch.set(message.address.bytes.subarray(0, message.address.length));
  setU32Le(scratch, MTU_INFO_MTU, notice.mtu);
  message.control.put(SOL_IPV6, IPV6_PATHMTU, scratch, 0, MTU_INFO_BYTES);
  return 0;
}

/** SO_TIMESTAMP(NS) and SO_TIMESTAMPING: all that the socket asked for. isSoftware: of this packet. */
export function putTimestamps(
  s: Socket,
  timeNs: number,
  isSoftware: boolean,
  control: ControlWriter,
): void {
  if (s.timestamp !== 0) putTimestamp(s.timestamp, timeNs, control);
  if (!isSoftware || (s.timestamping & SOF_TIMESTAMPING_SOFTWARE) === 0) return;
  const seconds = Math.floor(timeNs / SECOND);
  scratch.fill(0, 0, 48);
  setU64Le(scratch, 0, seconds);
  setU64Le(scratch, 8, timeNs - seconds * SECOND);
  control.put(SOL_SOCKET, s.timestampingOption, scratch, 0, 48);
}

export function putTimestamp(option: number, timeNs: number, control: ControlWriter): void {
  const seconds = Math.floor(timeNs / SECOND);
  const nanos = timeNs - seconds * SECOND;
  setU64Le(scratch, 0, seconds);
  if (option === SO_TIMESTAMP || option === SO_TIMESTAMP_NEW) {
    setU64Le(scratch, 8, Math.floor(nanos / US));
    control.put(SOL_SOCKET, option, scratch, 0, 16);
  } else {
    setU64Le(scratch, 8, nanos);
    control.put(SOL_SOCKET, option, scratch, 0, 16);
  }
}
