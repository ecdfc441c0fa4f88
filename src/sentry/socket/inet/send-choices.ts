// What one sendmsg asks for beside its socket's own settings: control messages of the levels SOL_IP, SOL_IPV6, SOL_UDP
// and SOL_SOCKET (ip(7), ipv6(7), udp(7); Linux's ip_cmsg_send, ip6_datagram_send_ctl, __sock_cmsg_send). What recvmsg
// tells: inet-control.ts.

import { EINVAL, ENODEV, EPERM } from "../../../abi/errno.ts";
import {
  IP_PKTINFO,
  IP_RETOPTS,
  IP_TOS,
  IP_TTL,
  IPV6_2292HOPLIMIT,
  IPV6_2292PKTINFO,
  IPV6_DONTFRAG,
  IPV6_FLOWINFO,
  IPV6_HOPLIMIT,
  IPV6_PKTINFO,
  IPV6_TCLASS,
  UDP_SEGMENT,
} from "../../../abi/in.ts";
import {
  AF_INET6,
  SCM_CREDENTIALS,
  SCM_RIGHTS,
  SO_MARK,
  SO_PRIORITY,
  SO_TIMESTAMPING,
  SO_TIMESTAMPING_NEW,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_UDP,
} from "../../../abi/socket.ts";
import { i32Le, u16Le, u32 } from "../../../base/bytes.ts";
import { IPV4, IPV6, IpAddr, type IpOptions } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { ControlReader } from "../control.ts";
import { resultOf } from "../errno-of.ts";
import { mayMark } from "../socket-options.ts";
import { ExtensionChoices } from "./extension-options.ts";
import { readHeaderOptions } from "./header-options.ts";
import { isLinkLocalV6 } from "./inet-address.ts";
import type { InetSocket } from "./inet-socket.ts";

const FLOW_INFO = 0x0fff_ffff;

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
  /** IPV6_FLOWINFO: class and label; -1: not asked. */
  flowInfo = -1;
  readonly extensions = new ExtensionChoices();
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
    this.flowInfo = -1;
    this.extensions.reset();
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
    const length = c.dataLength;
    if (c.level === SOL_IP) return this.#takeIp(t, s, c);
    if (c.level === SOL_IPV6 && s.family === AF_INET6) return this.#takeIpv6(t, s, c);
    if (c.level === SOL_UDP && c.type === UDP_SEGMENT && length === 2) {
      this.segmentBytes = u16Le(c.bytes, c.dataOffset);
      return 0;
    }
    // Levels of others are ignored by Linux's ip_cmsg_send; SOL_SOCKET's are read by __sock_cmsg_send.
    if (c.level === SOL_UDP && c.type === UDP_SEGMENT) return -EINVAL;
    return c.level === SOL_SOCKET ? this.#takeSocketLevel(t, c) : 0;
  }

  #takeIp(t: Task, s: InetSocket, c: ControlReader): number {
    const { bytes: b, dataOffset: at, dataLength: length } = c;
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

  #takeIpv6(t: Task, s: InetSocket, c: ControlReader): number {
    const { bytes: b, dataOffset: at, dataLength: length } = c;
    switch (c.type) {
      case IPV6_PKTINFO:
      case IPV6_2292PKTINFO:
        return length < 20 ? -EINVAL : this.#takePacketInfo(s, b, at);
      case IPV6_FLOWINFO: {
        if (length < 4) return -EINVAL;
        this.flowInfo = u32(b, at) & FLOW_INFO;
        return 0;
      }
      case IPV6_HOPLIMIT:
      case IPV6_2292HOPLIMIT:
      case IPV6_TCLASS: {
        const value = length === 4 ? i32Le(b, at) : -2;
        if (value < -1 || value > 255) return -EINVAL;
        // -1 is not taken for "as the socket has it", but for a class of ones.
        if (c.type === IPV6_TCLASS) this.tos = value & 0xff;
        else this.ttl = value;
        return 0;
      }
      case IPV6_DONTFRAG: {
        const value = length === 4 ? i32Le(b, at) : -1;
        if (value < 0 || value > 1) return -EINVAL;
        this.dontFragment = value;
        return 0;
      }
      default:
        return this.extensions.take(t, c.type, b, at, length) ?? -EINVAL;
    }
  }

  #takePacketInfo(s: InetSocket, b: Uint8Array, at: number): number {
    const index = i32Le(b, at + 16);
    const bound = s.endpoint.options.boundNicId;
    if (index !== 0 && bound !== 0 && index !== bound) return -EINVAL;
    if (index !== 0) this.nicId = index;
    this.source.read(b, at, IPV6);
    this.hasSource = !this.source.isUnspecified;
    const refused = this.#checkNic(s);
    if (refused !== 0) return refused;
    if (this.nicId === 0 && bound === 0 && isLinkLocalV6(this.source)) return -EINVAL;
    // A source must be ours, unless free binding was asked for.
    const isOurs = !this.hasSource || s.endpoint.options.freeBind || s.network.isLocal(this.source);
    return isOurs ? 0 : -EINVAL;
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

const choices = new SendChoices();

/** IPV6_2292PKTOPTIONS: control messages that hold for all sends; of them only extension headers do anything. */
export function setPacketOptions(
  t: Task,
  s: InetSocket,
  value: Uint8Array,
  length: number,
): number {
  const reader = new ControlReader(value);
  reader.length = length;
  choices.reset();
  const refused = choices.read(t, s, reader);
  if (refused < 0) return refused;
  return resultOf(s.endpoint.setExtensions(choices.extensions.headers()));
}
