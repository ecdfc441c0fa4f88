// The stack's configuration in the words of network-view.ts.

import { RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST } from "../../../abi/netlink.ts";
import {
  type Family,
  flowKey,
  type IpAddr,
  IpOptions,
  Memberships,
  type Multipath,
  NetErr,
  type NetError,
  type Nic,
  type RuleTable,
  type Stack,
  TABLE_LOCAL,
  VlanLink,
} from "../../../netstack/index.ts";
import { FlowLabels } from "./flow-labels.ts";
import type {
  InterfaceView,
  NeighborView,
  NetworkChanges,
  NetworkView,
  RouteChange,
  RouteQuestion,
  RouteView,
  VlanChange,
} from "./network-view.ts";
import {
  appendHop,
  dumpedRoutes,
  hasRoute,
  removeRoute,
  replaceRoute,
  routeConfig,
} from "./route-view.ts";

export function interfaceView(nic: Nic): InterfaceView {
  const { link, name, mtu, mac, isLoopback, isUp, addresses, counters } = nic;
  const vlan =
    link instanceof VlanLink
      ? {
          parentIndex: link.parent.id,
          id: link.vid,
          protocol: link.protocol,
          isLoose: link.isLoose,
        }
      : null;
  return { index: nic.id, name, mtu, mac, isLoopback, isUp, vlan, addresses, counters };
}

export class StackView implements NetworkView, NetworkChanges {
  readonly #stack: Stack;

  readonly flowLabels: FlowLabels;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.flowLabels = new FlowLabels(stack.clock, stack.rng);
  }

  interfaces(): readonly InterfaceView[] {
    return this.#stack.nics.map(interfaceView);
  }
  interfaceByName(name: string): InterfaceView | undefined {
    return this.interfaces().find((nic) => nic.name === name);
  }
  interfaceByIndex(index: number): InterfaceView | undefined {
    return this.interfaces().find((nic) => nic.index === index);
  }
  routes(): readonly RouteView[] {
    return dumpedRoutes(this.#stack.routes);
  }
  neighbors(): readonly NeighborView[] {
    const list: NeighborView[] = [];
    for (const nic of this.#stack.nics) {
      for (const entry of [...nic.neighbors.entries(), ...nic.neighbors6.entries()]) {
        list.push({
          addr: entry.addr,
          mac: entry.mac,
          index: nic.id,
          state: entry.state,
          isRouter: entry.isRouter,
        });
      }
    }
    return list;
  }
  routeTo(dst: IpAddr, question: RouteQuestion): RouteView | NetError {
    const { src, index, mark, protocol, srcPort, dstPort, uid, tos } = question;
    const { routes } = this.#stack;
    const key = flowKey(protocol, srcPort, dstPort, uid, tos);
    const path = this.#stack.findRoute(src, dst, index, mark, key);
    if (typeof path === "number") return path;
    const isDirect = path.isLoopback || path.nextHop.equals(dst);
    const entry = path.isLoopback ? null : routes.lookup(dst, index, path.table);
    return {
      dst,
      prefixBits: dst.isV4 ? 32 : 128,
      gateway: isDirect ? null : path.nextHop,
      index: path.nicId,
      isOnLink: false,
      hops: null,
      mtu: entry?.mtu ?? 0,
      advmss: path.advmss,
      // rt_fill_info has none to tell.
      metric: dst.isV4 ? 0 : (entry?.metric ?? 0),
      src: path.src,
      origin: dst.isV4 ? 0 : (entry?.origin ?? 0),
      table: path.isLoopback ? TABLE_LOCAL : path.table,
      type: path.isBroadcast ? RTN_BROADCAST : path.isMulticast ? RTN_MULTICAST : RTN_UNICAST,
    };
  }
  isLocal(addr: IpAddr): boolean {
    return this.#stack.isLocalAddress(addr);
  }
  sourcesMax(family: Family): number {
    const { groups } = this.#stack;
    return family === 4 ? groups.sourcesMax : groups.sourcesMax6;
  }
  newMemberships(): Memberships {
    return new Memberships(this.#stack);
  }
  compileIpOptions(
    src: Uint8Array,
    offset: number,
    length: number,
    isPrivileged: boolean,
  ): IpOptions | null {
    return IpOptions.ofUser(src, offset, length, isPrivileged, this.#stack.ipv4.options);
  }
  addAddress(index: number, addr: IpAddr, prefixBits: number): NetError | 0 {
    const nic = this.#stack.nicById(index);
    return nic === null
      ? NetErr.NoDevice
      : this.#stack.interfaces.addAddress(nic, addr, prefixBits);
  }
  removeAddress(index: number, addr: IpAddr): NetError | 0 {
    const nic = this.#stack.nicById(index);
    return nic === null ? NetErr.NoDevice : this.#stack.interfaces.removeAddress(nic, addr);
  }
  addRoute(r: RouteChange): NetError | 0 {
    return this.#stack.routes.add(routeConfig(r, r.hops));
  }
  replaceRoute(r: RouteChange): NetError | 0 {
    return replaceRoute(this.#stack.routes, r);
  }
  appendHop(r: RouteChange): NetError | 0 | null {
    return appendHop(this.#stack.routes, r);
  }
  removeRoute(r: RouteChange): boolean {
    return removeRoute(this.#stack.routes, r);
  }
  hasRoute(r: RouteChange): boolean {
    return hasRoute(this.#stack.routes, r);
  }
  get multipath(): Multipath {
    return this.#stack.routes.multipath;
  }
  get rules(): RuleTable {
    return this.#stack.routes.rules;
  }
  onLinkTo(addr: IpAddr, index: number): number {
    const entry = this.#stack.routes.lookup(addr, index);
    return entry === null || entry.gateway !== null ? 0 : entry.nicId;
  }
  setMtu(index: number, mtu: number): NetError | 0 {
    const nic = this.#stack.nicById(index);
    return nic === null ? NetErr.NoDevice : this.#stack.interfaces.setMtu(nic, mtu);
  }
  setUp(index: number, up: boolean): NetError | 0 {
    const nic = this.#stack.nicById(index);
    return nic === null ? NetErr.NoDevice : this.#stack.interfaces.setUp(nic, up);
  }
  addVlan({ parentIndex, id, ...config }: VlanChange): number {
    const parent = this.#stack.nicById(parentIndex);
    if (parent === null) return NetErr.NoDevice;
    const nic = this.#stack.interfaces.addVlan(parent, { ...config, vid: id });
    return typeof nic === "number" ? nic : nic.id;
  }
  setLoose(index: number, isLoose: boolean): void {
    const link = this.#stack.nicById(index)?.link;
    if (link instanceof VlanLink) link.isLoose = isLoose;
  }
  removeInterface(index: number): NetError | 0 {
    const nic = this.#stack.nicById(index);
    if (nic === null) return NetErr.NoDevice;
    if (!(nic.link instanceof VlanLink)) return NetErr.NotSupported;
    this.#stack.interfaces.remove(nic);
    return 0;
  }
  setNeighbor(index: number, addr: IpAddr, mac: Uint8Array): NetError | 0 {
    const nic = this.#stack.nicById(index);
    if (nic === null || nic.isLoopback) return NetErr.InvalidArgument;
    return nic.neighborsOf(addr.family).setPermanent(addr, mac) ? 0 : NetErr.NoBuffers;
  }
  removeNeighbor(index: number, addr: IpAddr): boolean {
    const table = this.#stack.nicById(index)?.neighborsOf(addr.family);
    const entry = table?.find(addr) ?? null;
    if (table === undefined || entry === null) return false;
    table.remove(entry);
    return true;
  }
  mtuTo(dst: IpAddr): number {
    const route = this.#stack.findRoute(null, dst);
    return typeof route === "number" ? 0 : route.mtu;
  }
}
