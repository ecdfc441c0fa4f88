// What the Sentry shows of the stack's configuration: interfaces, addresses, routes, neighbours. Read by
// interface ioctls, netlink dumps and /proc/net; stack-view.ts makes it from the real stack.

import type {
  Family,
  IpAddr,
  IpOptions,
  Memberships,
  Multipath,
  NetError,
  RuleTable,
} from "../../../netstack/index.ts";
import type { FlowLabels } from "./flow-labels.ts";

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

/** What makes an interface a VLAN of another one. */
export interface VlanView {
  readonly parentIndex: number;
  readonly id: number;
  /** EtherType of the tag. */
  readonly protocol: number;
  readonly isLoose: boolean;
}

export interface VlanChange {
  readonly name: string;
  readonly parentIndex: number;
  readonly id: number;
  readonly protocol: number;
  readonly isLoose: boolean;
}

export interface InterfaceView {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly isLoopback: boolean;
  readonly isUp: boolean;
  readonly vlan: VlanView | null;
  readonly addresses: readonly AddressView[];
  readonly counters: InterfaceCounters;
}

export interface HopView {
  readonly gateway: IpAddr | null;
  readonly index: number;
  readonly weight: number;
  readonly isOnLink: boolean;
  readonly isDead: boolean;
}

export interface RouteView {
  readonly dst: IpAddr;
  readonly prefixBits: number;
  /** With several next hops: the first one's. */
  readonly gateway: IpAddr | null;
  readonly index: number;
  readonly isOnLink: boolean;
  readonly hops: readonly HopView[] | null;
  readonly mtu: number;
  readonly advmss: number;
  readonly metric: number;
  readonly src: IpAddr | null;
  /** RTPROT_*. */
  readonly origin: number;
  readonly table: number;
  /** RTN_*. */
  readonly type: number;
}

/** What a route is asked for beside its destination (ip route get). */
export interface RouteQuestion {
  readonly src: IpAddr | null;
  readonly index: number;
  readonly mark: number;
  readonly uid: number;
  readonly protocol: number;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly tos: number;
}

export interface NeighborView {
  readonly addr: IpAddr;
  readonly mac: Uint8Array;
  readonly index: number;
  /** NUD_*. */
  readonly state: number;
  readonly isRouter: boolean;
}

export interface HopChange {
  readonly gateway: IpAddr | null;
  index: number;
  readonly weight: number;
  readonly isOnLink: boolean;
}

/** A change of the stack's configuration: what rtnetlink asks for. NetErrors, as the stack gives them. */
export interface RouteChange {
  readonly dst: IpAddr;
  readonly prefixBits: number;
  /** Of a route to remove: null and 0 match any. */
  readonly gateway: IpAddr | null;
  readonly index: number;
  readonly isOnLink: boolean;
  /** Of RTA_MULTIPATH; null: none was named. */
  readonly hops: readonly HopChange[] | null;
  readonly metric: number;
  readonly src: IpAddr | null;
  readonly mtu: number;
  readonly advmss: number;
  readonly origin: number;
  readonly table: number;
  readonly type: number;
}

export interface NetworkChanges {
  addAddress(index: number, addr: IpAddr, prefixBits: number): NetError | 0;
  removeAddress(index: number, addr: IpAddr): NetError | 0;
  addRoute(route: RouteChange): NetError | 0;
  replaceRoute(route: RouteChange): NetError | 0;
  /** IPv6: one more way of a route that is there. null: there is none that could have several. */
  appendHop(route: RouteChange): NetError | 0 | null;
  removeRoute(route: RouteChange): boolean;
  readonly rules: RuleTable;
  /** The same destination and metric. */
  hasRoute(route: RouteChange): boolean;
  readonly multipath: Multipath;
  /** The interface on whose link addr is, of this one or (0) of any; 0: none. */
  onLinkTo(addr: IpAddr, index: number): number;
  setMtu(index: number, mtu: number): NetError | 0;
  setUp(index: number, up: boolean): NetError | 0;
  /** The new interface's index. */
  addVlan(vlan: VlanChange): number;
  setLoose(index: number, isLoose: boolean): void;
  /** Of a VLAN: others cannot go. */
  removeInterface(index: number): NetError | 0;
  setNeighbor(index: number, addr: IpAddr, mac: Uint8Array): NetError | 0;
  removeNeighbor(index: number, addr: IpAddr): boolean;
}

export interface NetworkView {
  interfaces(): readonly InterfaceView[];
  interfaceByName(name: string): InterfaceView | undefined;
  interfaceByIndex(index: number): InterfaceView | undefined;
  /** Of all tables. */
  routes(): readonly RouteView[];
  neighbors(): readonly NeighborView[];
  isLocal(addr: IpAddr): boolean;
  /** igmp_max_msf, mld_max_msf. */
  sourcesMax(family: Family): number;
  newMemberships(): Memberships;
  /** IPV6_FLOWLABEL_MGR. */
  readonly flowLabels: FlowLabels;
  /** IPv4 options for what a user sends; null: not like this, or not by this user. */
  compileIpOptions(
    src: Uint8Array,
    offset: number,
    length: number,
    isPrivileged: boolean,
  ): IpOptions | null;
  /** The route that dst would take, with the source it would use; or why there is none. */
  routeTo(dst: IpAddr, question: RouteQuestion): RouteView | NetError;
  /** Path MTU towards dst; 0: no route. */
  mtuTo(dst: IpAddr): number;
}
