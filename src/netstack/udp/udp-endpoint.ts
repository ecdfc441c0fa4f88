// One UDP endpoint: what sits behind a SOCK_DGRAM socket. Semantics of udp(7).

import type { Family, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { DatagramBase } from "../stack/datagram-endpoint.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { PortProbe } from "../stack/ports.ts";
import type { Stack } from "../stack/stack.ts";
import type { IcmpError } from "../stack/transport.ts";
import { IPV4_HEADER, PROTO_UDP } from "../wire/ipv4.ts";
import { UDP_HEADER, udpDstPort } from "../wire/udp.ts";

const IP_MAX = 65_535;

export class UdpEndpoint extends DatagramBase implements PortProbe {
  protected readonly flowProtocol = PROTO_UDP;
  /** The user chose the local address; otherwise disconnect forgets it. */
  #boundAddr = false;
  /** bind() named the port (SOCK_BINDPORT_LOCK). */
  #isPortNamed = false;

  constructor(stack: Stack, family: Family) {
    super(stack, family);
  }

  /** How well a packet fits; -1: not at all. */
  score(local: IpAddr, remote: IpAddr, remotePort: number, nicId: number): number {
    let score = 1;
    const mine = this.localAddr;
    if (mine.isUnspecified) {
      // 0.0.0.0 takes IPv4 only; :: takes both unless it is v6-only.
      if (mine.isV4 !== local.isV4 && (mine.isV4 || this.options.v6Only)) return -1;
      if (mine.isV4 === local.isV4) score += 1;
    } else if (mine.equals(local)) score += 4;
    else return -1;
    if (this.isConnected) {
      if (remotePort !== this.remotePort || !this.remoteAddr.equals(remote)) return -1;
      score += 8;
    }
    const bound = this.options.boundNicId;
    if (bound !== 0) {
      if (nicId !== 0 && bound !== nicId) return -1;
      score += 4;
    }
    return score;
  }

  /** Whether a broadcast or multicast datagram to our port is also for us. */
  wantsGroup(pkt: PacketBuffer, srcPort: number): boolean {
    if (pkt.dst.isMulticast && !this.isMember(pkt.dst, pkt.src, pkt.nicId)) return false;
    if (this.score(pkt.dst, pkt.src, srcPort, pkt.nicId) >= 0) return true;
    return false;
  }

  // @rfc 1122 4.1.4
  onDatagram(pkt: PacketBuffer, srcPort: number): boolean {
    return this.enqueue(pkt, pkt.payload, pkt.end, srcPort);
  }

  // @rfc 1122 4.1.3.3
  onIcmpError(error: IcmpError): void {
    this.reportIcmp(error, udpDstPort(error.bytes, error.l4), error.l4 + UDP_HEADER);
  }

  isPortFree(port: number): boolean {
    return this.stack.udp.ports.mayBind(this, this.localAddr, port);
  }

  // @rfc 1122 4.1.3.5
  bind(addr: IpAddr, port: number): NetError | 0 {
    if (this.localPort !== 0) return NetErr.InvalidArgument;
    if (port < 0 || port > 0xffff) return NetErr.InvalidArgument;
    if (
      !addr.isUnspecified &&
      !this.options.freeBind &&
      !this.stack.interfaces.mayBindAddress(addr, this.options.boundNicId)
    ) {
      return NetErr.AddressNotAvailable;
    }
    const ports = this.stack.udp.ports;
    if (port === 0 && this.options.bindNoPort && !addr.isUnspecified) {
      this.localAddr.set(addr);
      this.#boundAddr = true;
      return 0;
    }
    if (port !== 0 && !ports.mayBind(this, addr, port)) return NetErr.AddressInUse;
    this.localAddr.set(addr);
    const chosen = port !== 0 ? port : this.stack.ephemeral.pickAny(this, this.options.portRange);
    if (chosen === 0) {
      this.clearAddr(this.localAddr);
      return NetErr.AddressInUse;
    }
    this.#boundAddr = !addr.isUnspecified;
    this.#isPortNamed = port !== 0;
    this.localPort = chosen;
    return ports.add(this, chosen);
  }

  connect(addr: IpAddr, port: number): NetError | 0 {
    if (this.isClosed) return NetErr.Closed;
    if (this.family === 4 && !addr.isV4) return NetErr.NotSupported;
    this.dropPath();
    if (!this.#boundAddr) this.clearAddr(this.localAddr);
    const path = this.pathTo(addr, port, true);
    if (path === null) return this.pathError;
    if (path.isBroadcast && !this.options.broadcast) return NetErr.NotPermitted;
    if (this.localPort === 0) {
      const result = this.#autobind();
      if (result < 0) return result;
    }
    if (!this.#boundAddr) this.localAddr.set(path.src);
    this.remoteAddr.set(path.dst);
    this.remotePort = port;
    this.isConnected = true;
    return 0;
  }

  disconnect(): void {
    this.isConnected = false;
    this.clearAddr(this.remoteAddr);
    this.remotePort = 0;
    if (!this.#boundAddr) this.clearAddr(this.localAddr);
    // __udp_disconnect: a port that bind() named stays.
    if (!this.#isPortNamed && this.localPort !== 0) {
      this.unregister();
      this.localPort = 0;
    }
    this.dropPath();
  }

  send(src: Uint8Array, offset: number, length: number, addr: IpAddr | null, port: number): number {
    if (this.isClosed) return NetErr.Closed;
    // Before anything is looked at (inet_send_prepare).
    if (this.localPort === 0) {
      const result = this.#autobind();
      if (result < 0) return result;
    }
    const refused = this.sendCheck(addr);
    if (refused < 0) return refused;
    const toPort = addr === null ? this.remotePort : port;
    if (toPort <= 0 || toPort > 0xffff) return NetErr.InvalidArgument;
    const to = addr ?? this.remoteAddr;
    // IPv6's payload length does not count its header, but those behind it.
    const counted = (to.isV4 ? IPV4_HEADER : 0) + this.optionBytesTo(to) + UDP_HEADER + length;
    if (counted > IP_MAX) {
      this.reportTooBig(to, IP_MAX);
      return NetErr.MessageTooLong;
    }
    const path = this.pathTo(to, toPort);
    if (path === null) return this.pathError;
    if (path.isBroadcast && !this.options.broadcast) return NetErr.NotPermitted;
    if (this.isTooLong(path, UDP_HEADER + length)) {
      this.reportTooBig(path.dst, this.mtuOf(path) - path.optionBytes);
      return NetErr.MessageTooLong;
    }
    const stack = this.stack;
    const pkt = stack.allocPacket();
    pkt.ttl = path.isMulticast ? this.options.multicastTtl : this.options.ttl;
    pkt.tos = this.options.tos;
    pkt.multicastLoop = this.options.multicastLoop;
    const df = this.dontFragment(path, path.headerBytes + UDP_HEADER + length);
    if (this.options.timestamps !== 0) this.stamp(pkt);
    this.limitFragments(this.fragmentBytes);
    const result = stack.udp.transmit(path, pkt, this.localPort, toPort, src, offset, length, df);
    this.limitFragments(0);
    if (result === NetErr.MessageTooLong) this.reportTooBig(path.dst, path.mtu - path.optionBytes);
    stack.runPending();
    return result < 0 ? result : length;
  }

  protected unregister(): void {
    if (this.localPort !== 0) this.stack.udp.ports.remove(this, this.localPort);
  }

  /** Plainly random, as Linux: a resolver's ports must not follow each other (RFC 5452, CVE-2020-25705). */
  #autobind(): NetError | 0 {
    const port = this.stack.ephemeral.pickAny(this, this.options.portRange);
    if (port === 0) return NetErr.WouldBlock;
    this.localPort = port;
    return this.stack.udp.ports.add(this, port);
  }
}
