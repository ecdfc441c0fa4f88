// One raw endpoint (raw(7); ipv6(7): no header is received, ICMPv6 gets its checksum). Without includeHeader the stack writes the IP header; with it (IP_HDRINCL) the
// user does, and the stack fills what Linux fills: total length, checksum, and source and ID when zero.

import { i32, setU16, setU32, u16 } from "../../base/bytes.ts";
import { type Family, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { DatagramBase } from "../stack/datagram-endpoint.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { Path } from "../stack/path.ts";
import type { Stack } from "../stack/stack.ts";
import type { IcmpError } from "../stack/transport.ts";
import { finish, pseudoSum, sum16 } from "../wire/checksum.ts";
import { ICMP_CHECKSUM, icmpType } from "../wire/icmp.ts";
import {
  IPV4_DST,
  IPV4_HEADER,
  IPV4_SRC,
  ipv4HeaderBytes,
  PROTO_ICMP,
  PROTO_ICMPV6,
  resizeIpv4,
} from "../wire/ipv4.ts";
import { checkIpv6, IPV6_HEADER } from "../wire/ipv6.ts";

const IP_MAX = 65_535;
/** IPPROTO_RAW implies IP_HDRINCL and receives nothing. */
const PROTO_RAW = 255;
/** The mobility header (RFC 6275 6.1). */
const PROTO_MH = 135;
const MH_CHECKSUM = 4;

/** Of these the kernel knows where it is (rawv6_init_sk). */
const givenChecksum = (protocol: number): number =>
  protocol === PROTO_ICMPV6 ? ICMP_CHECKSUM : protocol === PROTO_MH ? MH_CHECKSUM : -1;

/** icmpv6_filter: also what is too short to have a type. */
function isFiltered(filter: Uint8Array, pkt: PacketBuffer): boolean {
  if (pkt.end <= pkt.l4) return true;
  const type = pkt.bytes[pkt.l4];
  return ((filter[type >>> 3] >>> (type & 7)) & 1) !== 0;
}

export class RawEndpoint extends DatagramBase {
  readonly protocol: number;
  protected readonly flowProtocol: number;
  includeHeader: boolean;
  /** ICMP_FILTER: a bit per type set means "not wanted". */
  icmpFilter = 0;
  icmp6Filter: Uint8Array | null = null;
  checksumAt: number;
  readonly #dst = new IpAddr();

  constructor(stack: Stack, family: Family, protocol: number) {
    super(stack, family);
    this.protocol = this.flowProtocol = protocol;
    this.localPort = protocol;
    this.includeHeader = protocol === PROTO_RAW;
    this.checksumAt = family === 6 ? givenChecksum(protocol) : -1;
  }

  accepts(pkt: PacketBuffer): boolean {
    if (!this.localAddr.isUnspecified && !this.localAddr.equals(pkt.dst)) return false;
    if (this.isConnected && !this.remoteAddr.equals(pkt.src)) return false;
    if (pkt.dst.isMulticast && !this.isMember(pkt.dst, pkt.src, pkt.nicId)) return false;
    if (this.options.boundNicId !== 0 && this.options.boundNicId !== pkt.nicId) return false;
    if (this.icmp6Filter !== null && isFiltered(this.icmp6Filter, pkt)) return false;
    if (this.checksumAt >= 0 && !this.#isChecksumRight(pkt)) return false;
    if (this.protocol !== PROTO_ICMP || this.icmpFilter === 0 || pkt.end <= pkt.l4) return true;
    const type = icmpType(pkt.bytes, pkt.l4);
    return type > 31 || ((this.icmpFilter >>> type) & 1) === 0;
  }
  #isChecksumRight(pkt: PacketBuffer): boolean {
    // Of our own that no link has finished: there is none yet.
    if (pkt.checksumPartial) return true;
    const length = pkt.end - pkt.l4;
    const pseudo = pseudoSum(pkt.src, pkt.dst, this.protocol, length);
    return sum16(pkt.bytes, pkt.l4, length, pseudo, pkt.slabAt) === 0xffff;
  }
  onPacket(pkt: PacketBuffer): void {
    this.enqueue(pkt, this.family === 4 ? pkt.l3 : pkt.l4, pkt.end, 0);
  }
  onIcmpError(error: IcmpError): void {
    if (!this.localAddr.isUnspecified && !this.localAddr.equals(error.src)) return;
    if (this.isConnected && !this.remoteAddr.equals(error.dst)) return;
    this.reportIcmp(error, 0, this.includeHeader ? error.l3 : error.l4);
  }

  bind(addr: IpAddr, _port: number): NetError | 0 {
    if (
      !addr.isUnspecified &&
      !this.stack.interfaces.mayBindAddress(addr, this.options.boundNicId)
    ) {
      return NetErr.AddressNotAvailable;
    }
    this.localAddr.set(addr);
    return 0;
  }

  connect(addr: IpAddr, _port: number): NetError | 0 {
    this.dropPath();
    const path = this.pathTo(addr, 0, true);
    if (path === null) return this.pathError;
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
    if (addr !== null && addr.family !== this.family) return NetErr.InvalidArgument;
    const to = addr ?? this.remoteAddr;
    const fixed = this.family === 6 ? 0 : IPV4_HEADER;
    const header = this.includeHeader ? 0 : fixed + this.optionBytesTo(to);
    if (length + header > IP_MAX) return NetErr.MessageTooLong;
    // raw_sendmsg: whose header it is, its options are too; none that were set count as well.
    if (this.ipOptions !== null && this.includeHeader) return NetErr.InvalidArgument;
    // RFC 3542 3.1: where a sum goes there must be something.
    const sumAt = this.includeHeader ? -1 : this.checksumAt;
    if (sumAt >= 0 && sumAt + 2 > length) return NetErr.InvalidArgument;
    const path = this.pathTo(to);
    if (path === null) return this.pathError;
    if (path.isBroadcast && !this.options.broadcast) return NetErr.NotPermitted;
    if (!this.includeHeader && this.isTooLong(path, length)) {
      this.reportTooBig(path.dst, this.mtuOf(path) - path.optionBytes);
      return NetErr.MessageTooLong;
    }
    const stack = this.stack;
    const pkt = stack.allocPacket();
    pkt.bytes.set(src.subarray(offset, offset + length), pkt.start);
    pkt.end = pkt.start + length;
    pkt.ttl = path.isMulticast ? this.options.multicastTtl : this.options.ttl;
    pkt.tos = this.options.tos;
    pkt.protocol = this.protocol;
    pkt.multicastLoop = this.options.multicastLoop;
    if (this.options.timestamps !== 0) this.stamp(pkt);
    let result: NetError | 0 = 0;
    if (this.includeHeader) result = this.#sendOwnHeader(path, pkt, length);
    else {
      pkt.l4 = pkt.start;
      if (sumAt >= 0) this.#putChecksum(path, pkt, sumAt, length);
      const df = this.dontFragment(path, length + path.headerBytes);
      this.limitFragments(this.fragmentBytes);
      result = stack.sendPacket(path, pkt, df);
      this.limitFragments(0);
    }
    if (result === NetErr.MessageTooLong) this.reportTooBig(path.dst, path.mtu - path.optionBytes);
    stack.runPending();
    return result < 0 ? result : length;
  }

  /** rawv6_push_pending_frames: over all of it and a pseudo-header of this protocol, wherever the packet ends. */
  #putChecksum(path: Path, pkt: PacketBuffer, at: number, length: number): void {
    const field = pkt.l4 + at;
    setU16(pkt.bytes, field, 0);
    const pseudo = pseudoSum(path.src, path.finalDst, this.protocol, length);
    const sum = finish(sum16(pkt.bytes, pkt.l4, length, pseudo, pkt.slabAt));
    setU16(pkt.bytes, field, sum === 0 ? 0xffff : sum);
  }

  #sendOwnHeader(path: Path, pkt: PacketBuffer, length: number): NetError | 0 {
    const b = pkt.bytes;
    const o = pkt.start;
    if (this.family === 6) return this.#sendOwnHeader6(path, pkt, length);
    const header = ipv4HeaderBytes(b, o);
    const bad = length < IPV4_HEADER || b[o] >>> 4 !== 4 || header < IPV4_HEADER || header > length;
    if (bad || length > path.mtu) {
      this.stack.freePacket(pkt);
      return bad ? NetErr.InvalidArgument : NetErr.MessageTooLong;
    }
    if (i32(b, o + IPV4_SRC) === 0) setU32(b, o + IPV4_SRC, path.src.w3);
    const dst = this.#dst.setV4(i32(b, o + IPV4_DST));
    const id = u16(b, o + 4) === 0 ? this.stack.ipv4.nextId(path.src, dst) : u16(b, o + 4);
    setU16(b, o + 4, id);
    resizeIpv4(b, o, length, id, u16(b, o + 6));
    pkt.l4 = o + header;
    pkt.protocol = b[o + 9];
    this.stack.ipv4.sendWithHeader(path, pkt);
    return 0;
  }

  #sendOwnHeader6(path: Path, pkt: PacketBuffer, length: number): NetError | 0 {
    const bad = !checkIpv6(pkt.bytes, pkt.start, length);
    if (bad || length > path.mtu) {
      this.stack.freePacket(pkt);
      return bad ? NetErr.InvalidArgument : NetErr.MessageTooLong;
    }
    pkt.l4 = pkt.start + IPV6_HEADER;
    this.stack.ipv6.sendWithHeader(path, pkt);
    return 0;
  }

  /** Once; and taken away once (ip_ra_control, ip6_ra_control). */
  setRouterAlert(value: number): NetError | 0 {
    return this.stack.raw.alerts.set(this, value);
  }

  /** A packet on its way to others that asks for it: whole, from its IP header on. */
  onAlert(pkt: PacketBuffer): void {
    this.enqueue(pkt, pkt.l3, pkt.end, 0);
  }

  protected unregister(): void {
    this.stack.raw.alerts.set(this, -1);
    this.stack.raw.remove(this);
  }
}
