// Ping sockets (Linux's IPPROTO_ICMP datagram sockets): the user gives an echo request's header and data,
// the kernel owns the identifier, which is the local port, and only replies to it come back.

import type { Family, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { DatagramBase } from "../stack/datagram-endpoint.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { type PortProbe, PortTable } from "../stack/ports.ts";
import type { Stack } from "../stack/stack.ts";
import type { IcmpError } from "../stack/transport.ts";
import { checksum } from "../wire/checksum.ts";
import {
  ICMP_ECHO,
  ICMP_HEADER,
  icmpEchoId,
  setIcmpChecksum,
  setIcmpEchoId,
} from "../wire/icmp.ts";
import { finishIcmp6, ICMP6_ECHO } from "../wire/icmpv6.ts";
import { IPV4_HEADER, PROTO_ICMP, PROTO_ICMPV6 } from "../wire/ipv4.ts";

const IP_MAX = 65_535;

export class PingTable {
  readonly ports = new PortTable<PingEndpoint>();
  readonly #stack: Stack;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  open(family: Family): PingEndpoint | NetError {
    if (!this.#stack.countEndpoint()) return NetErr.NoBuffers;
    return new PingEndpoint(this.#stack, family);
  }

  // @rfc 4443 4.2
  // @rfc 1122 3.2.2.6b
  onReply(pkt: PacketBuffer): void {
    const id = icmpEchoId(pkt.bytes, pkt.l4);
    const { ports } = this;
    let taken = false;
    for (let holder = ports.at(id); holder !== null; holder = ports.next(holder)) {
      if (holder.accepts(pkt)) taken = holder.onReply(pkt) || taken;
    }
    if (!taken) this.#stack.counters.dropIcmpUnrelated++;
  }

  onIcmpError(error: IcmpError): void {
    this.#sender(error)?.onIcmpError(error);
  }
  mayHaveSent(error: IcmpError): boolean {
    return this.#sender(error) !== null;
  }

  #sender(error: IcmpError): PingEndpoint | null {
    const echo = error.dst.isV4 ? ICMP_ECHO : ICMP6_ECHO;
    if (error.bytes[error.l4] !== echo) return null;
    return this.ports.at(icmpEchoId(error.bytes, error.l4));
  }
}

export class PingEndpoint extends DatagramBase implements PortProbe {
  readonly #table: PingTable;
  readonly #echo: number;
  protected readonly flowProtocol: number;

  constructor(stack: Stack, family: Family) {
    super(stack, family);
    this.#table = family === 4 ? stack.icmp.pings : stack.icmp6.pings;
    this.flowProtocol = family === 4 ? PROTO_ICMP : PROTO_ICMPV6;
    // ping_init_sock: there is no ping of a mapped address.
    this.options.v6Only = family === 6;
    this.#echo = family === 4 ? ICMP_ECHO : ICMP6_ECHO;
  }

  accepts(pkt: PacketBuffer): boolean {
    if (!this.localAddr.isUnspecified && !this.localAddr.equals(pkt.dst)) return false;
    return !this.isConnected || this.remoteAddr.equals(pkt.src);
  }
  onReply(pkt: PacketBuffer): boolean {
    return this.enqueue(pkt, pkt.l4, pkt.end, 0);
  }
  onIcmpError(error: IcmpError): void {
    this.reportIcmp(error, 0, error.l4);
  }

  isPortFree(port: number): boolean {
    return this.#table.ports.at(port) === null;
  }

  bind(addr: IpAddr, port: number): NetError | 0 {
    if (this.localPort !== 0 || addr.family !== this.family) return NetErr.InvalidArgument;
    if (
      !addr.isUnspecified &&
      !this.stack.interfaces.mayBindAddress(addr, this.options.boundNicId)
    ) {
      return NetErr.AddressNotAvailable;
    }
    if (port !== 0 && !this.isPortFree(port)) return NetErr.AddressInUse;
    const result = this.#takeId(port);
    if (result < 0) return result;
    this.localAddr.set(addr);
    return 0;
  }

  connect(addr: IpAddr, _port: number): NetError | 0 {
    if (addr.family !== this.family) return NetErr.InvalidArgument;
    this.dropPath();
    const path = this.pathTo(addr, 0, true);
    if (path === null) return this.pathError;
    if (this.localPort === 0) {
      const result = this.#takeId(0);
      if (result < 0) return result;
    }
    this.remoteAddr.set(path.dst);
    this.isConnected = true;
    return 0;
  }

  disconnect(): void {
    this.isConnected = false;
    this.clearAddr(this.remoteAddr);
    this.dropPath();
  }

  send(
    src: Uint8Array,
    offset: number,
    length: number,
    addr: IpAddr | null,
    _port: number,
  ): number {
    const refused = this.sendCheck(addr);
    if (refused < 0) return refused;
    if (length < ICMP_HEADER || src[offset] !== this.#echo || src[offset + 1] !== 0) {
      return NetErr.InvalidArgument;
    }
    if (addr !== null && addr.family !== this.family) return NetErr.InvalidArgument;
    const to = addr ?? this.remoteAddr;
    const header = (this.family === 4 ? IPV4_HEADER : 0) + this.optionBytesTo(to);
    if (length > IP_MAX - header) return NetErr.MessageTooLong;
    const path = this.pathTo(to);
    if (path === null) return this.pathError;
    if (path.isBroadcast && !this.options.broadcast) return NetErr.NotPermitted;
    if (this.localPort === 0) {
      const result = this.#takeId(0);
      if (result < 0) return result;
    }
    if (this.isTooLong(path, length)) {
      this.reportTooBig(path.dst, this.mtuOf(path) - path.optionBytes);
      return NetErr.MessageTooLong;
    }
    const stack = this.stack;
    const pkt = stack.allocPacket();
    pkt.bytes.set(src.subarray(offset, offset + length), pkt.start);
    pkt.end = pkt.start + length;
    pkt.l4 = pkt.start;
    // Only what was checked goes out, whatever the memory says by now.
    pkt.bytes[pkt.l4] = this.#echo;
    pkt.bytes[pkt.l4 + 1] = 0;
    setIcmpEchoId(pkt.bytes, pkt.l4, this.localPort);
    if (this.family === 4) {
      setIcmpChecksum(pkt.bytes, pkt.l4, 0);
      setIcmpChecksum(pkt.bytes, pkt.l4, checksum(pkt.bytes, pkt.l4, length));
      pkt.protocol = PROTO_ICMP;
      stack.counters.icmpOutMsgs++;
      stack.counters.icmpOutEchos++;
    } else {
      finishIcmp6(pkt.bytes, pkt.l4, length, path.src, path.finalDst);
      pkt.protocol = PROTO_ICMPV6;
      stack.counters.icmp6OutMsgs++;
      stack.counters.icmp6OutEchos++;
    }
    pkt.ttl = path.isMulticast ? this.options.multicastTtl : this.options.ttl;
    pkt.tos = this.options.tos;
    const df = this.dontFragment(path, path.headerBytes + length);
    if (this.options.timestamps !== 0) this.stamp(pkt);
    this.limitFragments(this.fragmentBytes);
    const result = stack.sendPacket(path, pkt, df);
    this.limitFragments(0);
    if (result === NetErr.MessageTooLong) this.reportTooBig(path.dst, path.mtu - path.optionBytes);
    stack.runPending();
    return result < 0 ? result : length;
  }

  protected unregister(): void {
    if (this.localPort !== 0) this.#table.ports.remove(this, this.localPort);
  }

  #takeId(wanted: number): NetError | 0 {
    const id = wanted !== 0 ? wanted : this.stack.ephemeral.pickAny(this);
    if (id === 0) return NetErr.WouldBlock;
    this.localPort = id;
    return this.#table.ports.add(this, id);
  }
}
