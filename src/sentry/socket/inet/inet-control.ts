// Control messages of datagram sockets: what recvmsg tells about a datagram, and what sendmsg may ask for
// one (ip(7), ipv6(7), udp(7), socket(7)).

import { EINVAL, ENODEV, EPERM } from "../../../abi/errno.ts";
import { SOF_TIMESTAMPING_RX_SOFTWARE, SOF_TIMESTAMPING_SOFTWARE } from "../../../abi/errqueue.ts";
import {
  IP_ORIGDSTADDR,
  IP_PKTINFO,
  IP_RETOPTS,
  IP_TOS,
  IP_TTL,
  IPV6_DONTFRAG,
  IPV6_HOPLIMIT,
  IPV6_ORIGDSTADDR,
  IPV6_PKTINFO,
  IPV6_TCLASS,
  UDP_GRO,
  UDP_SEGMENT,
} from "../../../abi/in.ts";
import {
  AF_INET,
  AF_INET6,
  SCM_CREDENTIALS,
  SCM_RIGHTS,
  SO_MARK,
  SO_PRIORITY,
  SO_TIMESTAMP,
  SO_TIMESTAMP_NEW,
  SO_TIMESTAMPING,
  SO_TIMESTAMPING_NEW,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_UDP,
} from "../../../abi/socket.ts";
import { i32Le, setU32Le, setU64Le, u16Le } from "../../../base/bytes.ts";
import { SECOND, US } from "../../../base/clock.ts";
import { type DatagramInfo, IPV4, IPV6, IpAddr, type IpOptions } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import type { ControlReader, ControlWriter } from "../control.ts";
import type { Socket } from "../socket.ts";
import { SocketAddress } from "../socket-address.ts";
import { mayMark } from "../socket-options.ts";
import { putHeaderOptions, readHeaderOptions } from "./header-options.ts";
import { formatInetAddress } from "./inet-address.ts";
import type { InetSocket } from "./inet-socket.ts";

const scratch = new Uint8Array(48);

/** recvmsg: everything this socket asked to hear. */
export function putDatagramControl(
  s: InetSocket,
  info: DatagramInfo,
  control: ControlWriter,
): void {
  putTimestamps(s, info.timeNs, (s.timestamping & SOF_TIMESTAMPING_RX_SOFTWARE) !== 0, control);
  putArrivalControl(s, info.localAddr, info.nicId, info.ttl, info.tos, control);
  if (info.ipOptions) putHeaderOptions(s, info.ipOptions, control);
  putOriginalDestination(s, info, control);
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

/** What the IP header of the packet that arrived says (ip_cmsg_recv). */
export function putArrivalControl(
  s: InetSocket,
  localAddr: IpAddr,
  nicId: number,
  ttl: number,
  tos: number,
  control: ControlWriter,
): void {
  const ip = s.ip;
  const isV4 = localAddr.isV4;
  if (s.family === AF_INET6) {
    if (ip.receivePktInfo6) {
      localAddr.write(scratch, 0, IPV6);
      setU32Le(scratch, 16, nicId);
      control.put(SOL_IPV6, IPV6_PKTINFO, scratch, 0, 20);
    }
    if (ip.receiveHopLimit && !isV4) control.putInt(SOL_IPV6, IPV6_HOPLIMIT, ttl);
    if (ip.receiveTclass && !isV4) control.putInt(SOL_IPV6, IPV6_TCLASS, tos);
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
  }
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

/** What one sendmsg asks for beside the socket's own settings. -1 and 0: nothing asked. */
export class SendChoices {
  ttl = -1;
  tos = -1;
  nicId = 0;
  segmentBytes = 0;
  dontFragment = -1;
  hasSource = false;
  hasMark = false;
  mark = 0;
  hasIpOptions = false;
  ipOptions: IpOptions | null = null;
  readonly source = new IpAddr();

  reset(): void {
    this.ttl = -1;
    this.tos = -1;
    this.nicId = 0;
    this.segmentBytes = 0;
    this.dontFragment = -1;
    this.hasSource = false;
    this.hasMark = false;
    this.hasIpOptions = false;
  }

  /** Reads sendmsg's control messages: 0, or -EINVAL for what is malformed or unknown. */
  read(t: Task, s: InetSocket, control: ControlReader): number {
    control.rewind();
    for (;;) {
      const more = control.next();
      if (more <= 0) return more;
      const result = this.#take(t, s, control);
      if (result !== 0) return result;
    }
  }

  #take(t: Task, s: InetSocket, c: ControlReader): number {
    const b = c.bytes;
    const at = c.dataOffset;
    const length = c.dataLength;
    if (c.level === SOL_IP) {
      if (c.type === IP_PKTINFO) {
        if (length !== 12) return -EINVAL;
        this.nicId = i32Le(b, at);
        this.source.read(b, at + 4, IPV4);
        this.hasSource = !this.source.isUnspecified;
        return this.#checkNic(s);
      }
      if (c.type === IP_RETOPTS) {
        const options = readHeaderOptions(t, s, b, at, length);
        if (typeof options === "number") return options;
        this.hasIpOptions = true;
        this.ipOptions = options;
        return 0;
      }
      // IP_TOS comes as a byte or an int, IP_TTL as an int.
      if (length !== 4 && length !== 1) return -EINVAL;
      const value = length === 4 ? i32Le(b, at) : b[at];
      if (value < 0 || value > 255) return -EINVAL;
      if (c.type === IP_TOS) this.tos = value;
      else if (c.type === IP_TTL && length === 4 && value > 0) this.ttl = value;
      else return -EINVAL;
      return 0;
    }
    if (c.level === SOL_IPV6 && s.family === AF_INET6) {
      if (c.type === IPV6_PKTINFO) {
        if (length < 20) return -EINVAL;
        this.source.read(b, at, IPV6);
        this.nicId = i32Le(b, at + 16);
        this.hasSource = !this.source.isUnspecified;
        // ip6_datagram_send_ctl: a source must be ours, unless free binding was asked for.
        if (this.hasSource && !s.endpoint.options.freeBind && !s.network.isLocal(this.source)) {
          return -EINVAL;
        }
        return this.#checkNic(s);
      }
      if (length !== 4) return -EINVAL;
      const value = i32Le(b, at);
      if (value < -1 || value > 255) return -EINVAL;
      if (c.type === IPV6_HOPLIMIT) this.ttl = value;
      else if (c.type === IPV6_TCLASS) this.tos = value;
      else if (c.type === IPV6_DONTFRAG) this.dontFragment = value === 0 ? 0 : 1;
      else return -EINVAL;
      return 0;
    }
    if (c.level === SOL_UDP && c.type === UDP_SEGMENT && length === 2) {
      this.segmentBytes = u16Le(b, at);
      return 0;
    }
    // Levels of others are ignored by Linux's ip_cmsg_send; SOL_SOCKET's are read by __sock_cmsg_send.
    if (c.level === SOL_UDP && c.type === UDP_SEGMENT) return -EINVAL;
    return c.level === SOL_SOCKET ? this.#takeSocketLevel(t, c) : 0;
  }

  /** What of SOL_SOCKET may ride on a send (__sock_cmsg_send). Timestamp flags and priorities have no effect here. */
  #takeSocketLevel(t: Task, c: ControlReader): number {
    switch (c.type) {
      case SO_MARK:
        if (!mayMark(t)) return -EPERM;
        if (c.dataLength !== 4) return -EINVAL;
        this.hasMark = true;
        this.mark = i32Le(c.bytes, c.dataOffset);
        return 0;
      case SO_TIMESTAMPING:
      case SO_TIMESTAMPING_NEW:
      case SO_PRIORITY:
        return c.dataLength === 4 ? 0 : -EINVAL;
      case SCM_RIGHTS:
      case SCM_CREDENTIALS:
        // Of unix sockets: ignored.
        return 0;
      default:
        return -EINVAL;
    }
  }

  #checkNic(s: InetSocket): number {
    if (this.nicId === 0) return 0;
    return s.network.interfaceByIndex(this.nicId) === undefined ? -ENODEV : 0;
  }
}
