// The door of the stack: the only file of netstack that other rooms import.

export { slabBytes as ioBuffer } from "../base/slab.ts";
export { DhcpClient, type DhcpConfig, DhcpState } from "./dhcp/dhcp-client.ts";
export type { Lease, LeaseRoute } from "./dhcp/lease.ts";
export {
  type CommonOptions,
  type DatagramEndpoint,
  type DatagramExtra,
  type DatagramInfo,
  type Endpoint,
  type Endpoints,
  newDatagramInfo,
  type PathMtuNotice,
  type ReceivedExtensions,
  type ReceivedOptions,
  type TcpEndpoint,
  type TcpEndpointOptions,
  WRITE_EOR,
  WRITE_MORE,
  WRITE_URGENT,
  WRITE_ZEROCOPY,
} from "./endpoints.ts";
export type { IcmpForwarder } from "./icmp/icmp.ts";
export type { PingEndpoint } from "./icmp/ping-endpoint.ts";
export { type Family, IPV4, IPV6, IpAddr } from "./ip-addr.ts";
export { NetErr, type NetError, netErrorName } from "./net-error.ts";
export { FILTER_INSTRUCTIONS_MAX, SocketFilter } from "./packet/filter.ts";
export {
  ETHERTYPE_ALL,
  type FrameSink,
  newPacketInfo,
  type PacketEndpoint,
  type PacketInfo,
} from "./packet/packet-endpoint.ts";
export { parseIp } from "./parse-ip.ts";
export type { RawEndpoint } from "./raw/raw-endpoint.ts";
export { type OnReadiness, Ready } from "./readiness.ts";
export { PROBE_TIMES, PROBE_TIMES_NEAR, type ProbeTimes } from "./stack/address-probe.ts";
export { completeChecksum } from "./stack/checksum-partial.ts";
export { Counters } from "./stack/counters.ts";
export { type ErrorEntry, ErrorOrigin, TimestampKind } from "./stack/error-queue.ts";
export { flowKey } from "./stack/flow-key.ts";
export { FrameLayout, PROTO_TCP, PROTO_UDP } from "./stack/frame-layout.ts";
export type { AddressConfig, AttachConfig, VlanConfig } from "./stack/interfaces.ts";
export type { Ipv6Config } from "./stack/ipv6-interface.ts";
export type { LinkEndpoint, LinkSink } from "./stack/link-endpoint.ts";
export { Memberships } from "./stack/memberships.ts";
export { type NeighborEntry, NeighborState } from "./stack/neighbor-entry.ts";
export { HashPolicy, type Multipath } from "./stack/next-hops.ts";
export type { Nic } from "./stack/nic.ts";
export type { NicAddress, NicCounters } from "./stack/nic-address.ts";
export {
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  HEADROOM,
  MAX_PACKET,
  PacketBuffer,
} from "./stack/packet-buffer.ts";
export { copyPacket, gather } from "./stack/packet-pool.ts";
export type { PortOwner } from "./stack/ports.ts";
export { compareAddr, inPrefix, maskAddr } from "./stack/prefix.ts";
export {
  type RouteConfig,
  type RouteEntry,
  TABLE_LOCAL,
  TABLE_MAIN,
} from "./stack/route-entry.ts";
export type { RouteTables } from "./stack/routes.ts";
export {
  isSame as isSameRule,
  type Range,
  Rule,
  RuleAction,
  type RuleTable,
} from "./stack/rules.ts";
export { Segmenter } from "./stack/segmenter.ts";
export { Stack, type StackConfig } from "./stack/stack.ts";
export type { StackObserver } from "./stack/stack-observer.ts";
export type { Route } from "./stack/transport.ts";
export { VlanLink } from "./stack/vlan.ts";
export type { AoInfo, AoKey } from "./tcp/ao-keys.ts";
export { CONGESTION_CONTROLS } from "./tcp/congestion/congestion.ts";
export type { ForwardHandler, ForwardRequest } from "./tcp/forwarder.ts";
export { TRANSITIONS as TCP_TRANSITIONS } from "./tcp/on-segment.ts";
export { STATE_NAMES as TCP_STATE_NAMES } from "./tcp/state.ts";
export type { TimingKey } from "./tcp/timing.ts";
export { newTcpInfo, type TcpInfo } from "./tcp-info.ts";
export type { UdpForwarder } from "./udp/udp.ts";
export type { UdpEndpoint } from "./udp/udp-endpoint.ts";
export { checksum, pseudoSum, sum16 } from "./wire/checksum.ts";
export { IPV4_OPTIONS_MAX, IpOptions } from "./wire/ipv4-options.ts";
export { NEXT_DESTINATION, NEXT_HOP_BY_HOP, NEXT_ROUTING } from "./wire/ipv6.ts";
export { ExtensionHeaders, extensionBytes, isSegmentList } from "./wire/ipv6-extensions.ts";
export {
  ETHERTYPE_8021AD,
  ETHERTYPE_8021Q,
  isTagType,
  putTag,
  takeTag,
  VID_MAX,
} from "./wire/vlan.ts";
