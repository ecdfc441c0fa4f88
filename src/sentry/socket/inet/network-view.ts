// What the Sentry shows of the stack's configuration: interfaces, addresses, routes, neighbours. Read by
// interface ioctls, netlink dumps and /proc/net; stack-view.ts makes it from the real stack.

import type { IpAddr } from "../../../netstack/index.ts";

export interface AddressView {
  readonly addr: IpAddr;
  /** Bits of the address's own family. */
  readonly prefixBits: number;
  /** IPv4 broadcast word; 0: none. */
  readonly broadcast: number;
  /** IPv6: made from a router's prefix, and of those the short-lived ones (RFC 8981). */
  readonly isAuto: boolean;
  readonly temporary: boolean;
}

export interface InterfaceCounters {
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
  rxDropped: number;
  txDropped: number;
  multicast: number;
}

export interface InterfaceView {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly isLoopback: boolean;
  readonly isUp: boolean;
  readonly addresses: readonly AddressView[];
  readonly counters: InterfaceCounters;
}

export interface RouteView {
  readonly dst: IpAddr;
  readonly prefixBits: number;
  readonly gateway: IpAddr | null;
  readonly index: number;
  readonly metric: number;
  readonly src: IpAddr | null;
  /** RTPROT_*. */
  readonly origin: number;
}

export interface NeighborView {
  readonly addr: IpAddr;
  readonly mac: Uint8Array;
  readonly index: number;
  /** NUD_*. */
  readonly state: number;
  readonly isRouter: boolean;
}

export interface NetworkView {
  interfaces(): readonly InterfaceView[];
  interfaceByName(name: string): InterfaceView | undefined;
  interfaceByIndex(index: number): InterfaceView | undefined;
  routes(): readonly RouteView[];
  neighbors(): readonly NeighborView[];
  /** The route that dst would take, with the source it would use. */
  routeTo(dst: IpAddr): RouteView | undefined;
  /** Path MTU towards dst; 0: no route. */
  mtuTo(dst: IpAddr): number;
}
