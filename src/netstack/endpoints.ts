// The shapes that users of the stack program against: what sits behind a socket. Implemented in tcp/,
// udp/, icmp/. Calls never block: counts, 0, or a NetError. Addresses are copied, never kept.

import { type Family, IpAddr } from "./ip-addr.ts";
import type { NetError } from "./net-error.ts";
import type { SocketFilter } from "./packet/filter.ts";
import type { PacketEndpoint } from "./packet/packet-endpoint.ts";
import type { OnReadiness } from "./readiness.ts";
import type { ErrorEntry } from "./stack/error-queue.ts";
import type { Memberships } from "./stack/memberships.ts";
import type { AoCounters, AoInfo, AoKeySpec } from "./tcp/ao-keys.ts";
import type { AuthKeys } from "./tcp/auth-keys.ts";
import type { BbrInfo } from "./tcp/congestion/bbr.ts";
import type { Timing, TimingKey } from "./tcp/timing.ts";
import type { TcpInfo } from "./tcp-info.ts";
import type { IpOptions } from "./wire/ipv4-options.ts";
import type { ExtensionHeaders } from "./wire/ipv6-extensions.ts";

/** Fields are read when they matter; setting one takes effect on the next packet. */
export interface CommonOptions {
  reuseAddress: boolean;
  reusePort: boolean;
  broadcast: boolean;
  /** NIC id; 0: any (SO_BINDTODEVICE). */
  boundNicId: number;
  /** For routing rules (SO_MARK). */
  mark: number;
  /** Whose it is, for routing rules. */
  uid: number;
  ttl: number;
  multicastTtl: number;
  /** Of what goes over IPv6 only: above its 8 bits the flow label. */
  tos: number;
  /** DF and path MTU policy: 0 want (per-route), 1 want, 2 do, 3 probe (Linux's IP_PMTUDISC_*: 0 dont). */
  mtuDiscover: number;
  v6Only: boolean;
  /** IPV6_DONTFRAG: as mode 2. */
  dontFragment: boolean;
  /** Packets with a lower TTL are not for this endpoint (RFC 5082); 0: any. */
  minTtl: number;
  /** IP_BIND_ADDRESS_NO_PORT: bind to port 0 leaves the port to connect or the first send. */
  bindNoPort: boolean;
  /** An address that is not ours (yet) may be bound. */
  freeBind: boolean;
  /** IP_LOCAL_PORT_RANGE: the lowest port to be given in the lower half, the highest in the upper; 0: any. */
  portRange: number;
  /** IP_MULTICAST_LOOP: what is sent to a group comes back to members here. */
  multicastLoop: boolean;
  /** IP_MULTICAST_ALL: an endpoint on any address hears every group that the stack has joined. */
  multicastAll: boolean;
  /** Payload bytes; TCP auto-tunes from here unless the user set them. */
  sendBufferBytes: number;
  receiveBufferBytes: number;
  sendBufferLocked: boolean;
  receiveBufferLocked: boolean;
  /** IP_RECVERR, IPV6_RECVERR: ICMP errors go into the error queue, soft ones are reported too. */
  receiveErrors: boolean;
  /** Which moments of each packet go into the error queue: bits 1 << TimestampKind. */
  timestamps: number;
  /** Timestamps bear a key: the number of the datagram, or of the stream's last byte; else 0. */
  timestampKeys: boolean;
  /** Without a copy of the packet. */
  timestampsOnly: boolean;
  /** Looks at every packet before it is queued, from the transport's header on (raw: the IP header). */
  filter: SocketFilter | null;
}

export interface Endpoint {
  readonly family: Family;
  readonly options: CommonOptions;
  readonly localAddr: IpAddr;
  readonly localPort: number;
  readonly remoteAddr: IpAddr;
  readonly remotePort: number;
  readiness(): number;
  /** IPv4 options of what is sent (IP_OPTIONS); of a connection that came in, the echo of what came with its SYN. */
  readonly ipOptions: IpOptions | null;
  /** A NetError when there is no route to where these lead: a live connection then keeps the old ones. */
  setIpOptions(options: IpOptions | null): NetError | 0;
  /** Extension headers of what is sent over IPv6; a connection that came in has those of its listener. */
  readonly extensions: ExtensionHeaders | null;
  setExtensions(extensions: ExtensionHeaders | null): NetError | 0;
  /** Owner's callback; called inside the stack's run: mark and return. */
  onReadiness: OnReadiness | null;
  /** SO_ERROR: the pending error, cleared; 0 when none. */
  takeError(): NetError | 0;
  /** The oldest of the error queue (MSG_ERRQUEUE), or null. */
  takeErrorEntry(): ErrorEntry | null;
  /** Keys of timestamps count from here (SOF_TIMESTAMPING_OPT_ID set anew). */
  restartTimestampKeys(): NetError | 0;
  bind(addr: IpAddr, port: number): NetError | 0;
  connect(addr: IpAddr, port: number): NetError | 0;
  /** No more use by the owner; a TCP endpoint goes on to close in the background. */
  close(): void;
}

export interface TcpEndpointOptions extends CommonOptions {
  noDelay: boolean;
  cork: boolean;
  /** Of a connection to come: false has its first ACKs delayed (TCP_QUICKACK 0). Of one that is there: setQuickAck. */
  quickAck: boolean;
  keepAlive: boolean;
  /** 0 in these three: the stack's rule. */
  keepIdleNs: number;
  keepIntervalNs: number;
  keepCount: number;
  userTimeoutNs: number;
  /** TCP_RTO_MAX_MS, TCP_RTO_MIN_US, TCP_DELACK_MAX_US, TCP_TX_DELAY. Set by setTiming. */
  timing: Timing;
  /** Segments carry no TCP options, not even an MSS (4.4BSD's TCP_NOOPT). */
  noOptions: boolean;
  /** Time that an active open may take; 0: the stack's rule. */
  openTimeoutNs: number;
  /** -1: linger off; otherwise SO_LINGER's time (0: abort on close). */
  lingerNs: number;
  linger2Ns: number;
  /** TCP_DEFER_ACCEPT, in timeouts of the SYN-ACK; 0: off. Set by setDeferAccept. */
  deferAcceptTimeouts: number;
  synCount: number;
  /** 0: none. */
  maxSegBytes: number;
  /** 0: none. Set by setWindowClamp. */
  windowClampBytes: number;
  /** TCP_THIN_LINEAR_TIMEOUTS. */
  thinLinearTimeouts: boolean;
  notsentLowatBytes: number;
  oobInline: boolean;
  /** "cubic", "reno", "bbr"; "": the stack's default. */
  congestion: string;
  /** TCP_MD5SIG and TCP_AO_*; null: none. Set by setMd5Key, addAoKey, setAo. */
  authKeys: AuthKeys | null;
  /** TCP_SAVE_SYN of a listener: 1 keeps the headers of SYNs for who accepts, 2 with the link's. */
  saveSyn: number;
  /** TCP_FASTOPEN on a listener: children not past the handshake it may have; 0: off (or the stack's rule). */
  fastOpenQueue: number;
  /** TCP_FASTOPEN_CONNECT: connect() asks for a cookie, and with one waits for the first data. */
  fastOpenConnect: boolean;
  /** TCP_FASTOPEN_NO_COOKIE. */
  fastOpenNoCookie: boolean;
  /** TCP_FASTOPEN_KEY of a listener: one or two keys of four words; null: the stack's. */
  fastOpenKey: Int32Array | null;
  /** SO_MAX_PACING_RATE in bytes per second; 0: none. */
  maxPacingRate: number;
}

/** Whether a key becomes Current_key, Rnext_key. */
export interface AoChoice {
  isCurrent: boolean;
  isRnext: boolean;
}
/** A key that is there. */
export type AoKeyName = Pick<
  AoKeySpec,
  "addr" | "prefixBits" | "sendId" | "receiveId" | "isOfDevice"
>;
/** Which keys take over: by the SendID of Current_key, the RecvID of Rnext_key; -1: as they are. */
export interface AoNext {
  currentId: number;
  rnextId: number;
}
export interface AoSettings extends AoNext {
  isRequired: boolean;
  acceptsIcmps: boolean;
  /** null: they go on. */
  counters: AoCounters | null;
}

/** Flags of write(). */
export const WRITE_MORE = 1;
export const WRITE_EOR = 2;
export const WRITE_URGENT = 4;
/** MSG_ZEROCOPY: an entry of the error queue says when these bytes are done with. */
export const WRITE_ZEROCOPY = 8;

export interface TcpEndpoint extends Endpoint {
  readonly options: TcpEndpointOptions;
  /** TCP_ESTABLISHED = 1 ... TCP_NEW_SYN_RECV = 12, as in Linux's tcp_states.h and /proc/net/tcp. */
  readonly state: number;
  listen(backlog: number): NetError | 0;
  /**
   * MSG_FASTOPEN (RFC 7413): connects with data in the SYN when a cookie is at hand. Bytes taken, or
   * InProgress when none were: they are then written after the handshake.
   */
  connectWithData(
    addr: IpAddr,
    port: number,
    src: Uint8Array,
    offset: number,
    length: number,
  ): number;
  /** A SYN to this address may carry data: TCP_FASTOPEN_CONNECT then defers the connect to the first write. */
  hasFastOpenCookie(addr: IpAddr): boolean;
  /** A thread sleeps in a write until the handshake ends: the ACK can wait for its data. */
  isWriterWaiting: boolean;
  /** The oldest established child, or null: would block. */
  accept(): TcpEndpoint | null;
  /** Copies into the send ring: bytes taken, or a NetError. A buffer of ioBuffer() leaves no garbage, here and in read(). */
  write(src: Uint8Array, offset: number, length: number, flags: number): number;
  /** Copies out of the receive ring; 0: end of stream. peek leaves them, and may begin further on (`from`). */
  read(dst: Uint8Array, offset: number, length: number, peek: boolean, from?: number): number;
  /** Drops without copying (MSG_TRUNC). */
  discard(length: number): number;
  /** One urgent byte (MSG_OOB), or a NetError: InvalidArgument when there is none. */
  readUrgent(peek: boolean): number;
  /** At the urgent mark (SIOCATMARK). */
  readonly atMark: boolean;
  readonly readableBytes: number;
  /** Of a listener: children that wait for accept(), and how many may. */
  readonly acceptQueueLength: number;
  readonly backlog: number;
  /**
   * Not acknowledged (SIOCOUTQ), and of these not yet sent, in sequence numbers: SYN and FIN are one each. What a
   * connection leaves unsaid when it is reset stays to be read.
   */
  readonly unackedBytes: number;
  readonly unsentBytes: number;
  shutdown(read: boolean, write: boolean): NetError | 0;
  /** RST now. */
  abort(): void;
  /** RST now, or the end of listening, and back to an endpoint that may connect again (connect to AF_UNSPEC). */
  disconnect(): void;
  /** After options changed that may let data go at once (NODELAY, CORK). */
  optionsChanged(): void;
  /** TCP_QUICKACK: bit 0 leaves (or enters) ping-pong mode, in which ACKs wait for data; others: for this ACK only. */
  setQuickAck(value: number): void;
  readonly isQuickAck: boolean;
  /** TCP_WINDOW_CLAMP; 0 lifts it, before there is a connection. */
  setWindowClamp(bytes: number): NetError | 0;
  readonly windowClamp: number;
  /**
   * TCP_MD5SIG (RFC 2385): segments to and from peers of this prefix are signed with the key; null takes it away
   * (NotFound when there is none).
   */
  setMd5Key(peer: IpAddr, prefixBits: number, key: Uint8Array | null): NetError | 0;
  /**
   * TCP-AO (RFC 5925): adds a key. Of a connection, `choose` says whether it is to sign with from now on, or what the
   * peer is asked to sign with.
   */
  addAoKey(spec: AoKeySpec, choose: AoChoice): NetError | 0;
  /** Takes away the key with the same prefix and IDs; of a connection only one that is not in use, or not any more. */
  removeAoKey(spec: AoKeyName, next: AoNext): NetError | 0;
  /** TCP_AO_INFO: null when nothing was ever said about TCP-AO; getting and setting. */
  readonly ao: AoInfo | null;
  setAo(settings: AoSettings): NetError | 0;
  /** Keep-alive, and TCP_SYNCNT, as they would go: set by the user, or the stack's. */
  readonly keepIdleNs: number;
  readonly keepIntervalNs: number;
  readonly keepCount: number;
  readonly synCount: number;
  /** TCP_DEFER_ACCEPT: rounded up to whole timeouts of a SYN-ACK, the first a second and each twice as long. */
  setDeferAccept(seconds: number): void;
  readonly deferAcceptSec: number;
  /** TCP_TIMESTAMP: what a segment sent now would bear. */
  readonly timestampValue: number;
  /** TCP_LINGER2: -1: an orphan does not wait for the peer's FIN at all. */
  readonly linger2Ns: number;
  /** TCP_MAXSEG as it reads: payload of a full segment; without a connection the user's wish, or what was last. */
  readonly maxSegment: number;
  /** Bounds of the timers, fractions of a tick count as one; delay of what is sent. InvalidArgument: beyond what may be. */
  setTiming(key: TimingKey, us: number): NetError | 0;
  /** As options.receiveBufferBytes, grown with the reader's pace. */
  readonly receiveBufferBytes: number;
  /** What the received and not yet read, and the unacknowledged, occupy (SO_MEMINFO). */
  readonly receiveMemoryBytes: number;
  readonly sendMemoryBytes: number;
  /** TCP_CC_INFO: what the congestion control has to tell; null: nothing. */
  congestionInfo(): BbrInfo | null;
  /** The headers of the SYN that began the connection, until forgotten; null: not kept. */
  readonly savedSyn: Uint8Array | null;
  forgetSavedSyn(): void;
  info(out: TcpInfo): void;
}

/** Where a datagram came from; filled by receive(). */
export interface DatagramInfo {
  addr: IpAddr;
  port: number;
  localAddr: IpAddr;
  nicId: number;
  ttl: number;
  tos: number;
  /** Whole length of the datagram, even when less was copied. */
  length: number;
  timeNs: number;
  /** UDP_GRO: size of the segments it was merged from; 0 when not merged. */
  segmentBytes: number;
  /** IPv6's flow label. */
  flowLabel: number;
  /** What else its IP header had; null: nothing. */
  extra: DatagramExtra | null;
}

/** To be filled in by receive(). */
export const newDatagramInfo = (): DatagramInfo => ({
  addr: new IpAddr(),
  port: 0,
  localAddr: new IpAddr(),
  nicId: 0,
  ttl: 0,
  tos: 0,
  length: 0,
  timeNs: 0,
  segmentBytes: 0,
  flowLabel: 0,
  extra: null,
});

export interface DatagramExtra {
  readonly ipOptions: ReceivedOptions | null;
  readonly extensions: ReceivedExtensions | null;
  /** The longest fragment that it came in, IP header included; 0: it came whole. */
  readonly fragmentBytes: number;
}

/** Extension headers as they came, the first of them of type `first`. */
export interface ReceivedExtensions {
  readonly first: number;
  readonly bytes: Uint8Array;
}

/** A send to addr did not fit: its packets may be `mtu` long (IPV6_RECVPATHMTU). */
export interface PathMtuNotice {
  readonly addr: IpAddr;
  readonly mtu: number;
}

/** As they came, and what an answer would be given by IP_OPTIONS; null: it cannot have any. */
export interface ReceivedOptions {
  readonly raw: Uint8Array;
  readonly answer: Uint8Array | null;
}

export interface DatagramEndpoint extends Endpoint {
  /** Source address of the sends that follow (IP_PKTINFO), must be local; null: chosen by route. */
  sendSource: IpAddr | null;
  /** IP_UNICAST_IF: where what is not to a group leaves, unless bound to an interface; 0: by route. */
  unicastNicId: number;
  /** IP_TRANSPARENT: may send from addresses that are not ours. */
  isTransparent: boolean;
  /** IPV6_MTU: fragments of IPv6 are at most so long; 0: as the path allows. See sendingChanged. */
  fragmentBytes: number;
  /** IPV6_ADDR_PREFERENCES: which source of IPv6 is chosen; null: as its interface does. See sendingChanged. */
  prefersTemporary: boolean | null;
  /** The path of the last send is forgotten. */
  sendingChanged(): void;
  /** IP_MULTICAST_ALL of an endpoint of IPv6. */
  mappedMulticastAll: boolean;
  /** IPV6_RECVPATHMTU, and the newest send that did not fit. */
  receivesPathMtu: boolean;
  takePathMtu(): PathMtuNotice | null;
  /** Raw endpoints of IPv6: where in the payload the checksum is (IPV6_CHECKSUM); below 0: there is none. */
  checksumAt?: number;
  /** Raw endpoints: packets with a router alert come here, of IPv6 those of this value; below 0: no more. */
  setRouterAlert?(value: number): NetError | 0;
  /** UDP_GRO: datagrams of one flow and one size are received as one, with DatagramInfo.segmentBytes. */
  merges: boolean;
  /** Raw endpoints only: IP_HDRINCL, and ICMP_FILTER (a bit per unwanted type). */
  includeHeader?: boolean;
  icmpFilter?: number;
  /** ICMPV6_FILTER: likewise, of 256 types; null: all are wanted. */
  icmp6Filter?: Uint8Array | null;
  /** addr null: the connected peer. Gathers one datagram from `src`. Bytes sent or a NetError. */
  send(src: Uint8Array, offset: number, length: number, addr: IpAddr | null, port: number): number;
  /** Copies the oldest datagram; bytes copied (the rest of it is dropped unless peek), WouldBlock when none. */
  receive(
    dst: Uint8Array,
    offset: number,
    length: number,
    out: DatagramInfo,
    peek: boolean,
  ): number;
  /** A peek that begins `skip` bytes into what is queued, at the latest at an empty datagram not peeked at before. */
  peekAt(skip: number, dst: Uint8Array, offset: number, length: number, out: DatagramInfo): number;
  /** Bytes of the next datagram, 0 when none (FIONREAD). */
  readonly nextBytes: number;
  readonly queuedSendBytes: number;
  /** What the receive queue is charged with, and what did not fit (SO_MEMINFO). */
  readonly queuedReceiveBytes: number;
  readonly receiveDrops: number;
  /** MSG_ZEROCOPY: the send just made is done with; the error queue says so. */
  completeZerocopy(): void;
  disconnect(): void;
  /** Its groups, with their source filters. */
  readonly memberships: Memberships;
  shutdown(read: boolean, write: boolean): NetError | 0;
}

export interface Endpoints {
  tcp(family: Family): TcpEndpoint | NetError;
  udp(family: Family): DatagramEndpoint | NetError;
  /** ICMP echo ("ping") socket: payload starts at the ICMP header; id is the port. */
  ping(family: Family): DatagramEndpoint | NetError;
  /** Raw IP socket of one protocol. includeHeader: IP_HDRINCL. Received data starts at the IPv4 header. */
  raw(family: Family, protocol: number): DatagramEndpoint | NetError;
  /** Frames (packet(7)): see PacketTaps.open. */
  packet(cooked: boolean, protocol: number): PacketEndpoint | NetError;
}
