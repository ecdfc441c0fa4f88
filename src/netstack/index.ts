// The door of the stack: the only file of netstack that other rooms import.

export {
  type CommonOptions,
  type DatagramEndpoint,
  type DatagramInfo,
  type Endpoint,
  type Endpoints,
  type TcpEndpoint,
  type TcpEndpointOptions,
  type TcpInfo,
  WRITE_EOR,
  WRITE_MORE,
  WRITE_URGENT,
} from "./endpoints.ts";
export { type Family, IPV4, IPV6, IpAddr } from "./ip-addr.ts";
export { NetErr, type NetError, netErrorName } from "./net-error.ts";
export { type OnReadiness, Ready } from "./readiness.ts";
export type { LinkEndpoint, LinkSink } from "./stack/link-endpoint.ts";
export {
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  HEADROOM,
  MAX_PACKET,
  PacketBuffer,
} from "./stack/packet-buffer.ts";

/** PENDING: the full class is being written. */
// biome-ignore lint/suspicious/noEmptyInterface: replaced by the class
export interface Stack {}
