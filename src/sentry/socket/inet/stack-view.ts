// The stack's configuration in the words of network-view.ts.

import { RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST } from "../../../abi/netlink.ts";
import {
  type Family,
  type IpAddr,
  IpOptions,
  Memberships,
  NetErr,
  type NetError,
  type RouteEntry,
  type RuleTable,
  type Stack,
  TABLE_LOCAL,
} from "../../../netstack/index.ts";
import type {
  InterfaceView,
  NeighborView,
  NetworkChanges,
  NetworkView,
  RouteChange,
  RouteQuestion,
  RouteView,
} from "./network-view.ts";

/** IPv4 by address, as fib_trie.c walks it: the default route comes first. */
function inDumpOrder(entries: readonly RouteEntry[]): RouteEntry[] {
  const v4 = entries.filter((e) => e.dst.isV4);
  v4.sort((a, b) => (a.dst.w3 >>> 0) - (b.dst.w3 >>> 0) || b.bits - a.bits || a.metric - b.metric);
  return [...v4, ...entries.filter((e) => !e.dst.isV4)];
}

export class StackView implements NetworkView, NetworkChanges {
  readonly #stack: Stack;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  interfaces(): readonly InterfaceView[] {
    return this.#stack.nics.map((nic) => ({
      index: nic.id,
      name: nic.name,
      mtu: nic.mtu,
      mac: nic.mac,
      isLoopback: nic.isLoopback,
      isUp: nic.isUp,
      addresses: nic.addresses,
      counters: nic.counters,
    }));
  }
  interfaceByName(name: string): InterfaceView | undefined {
    return this.interfaces().find((nic) => nic.name === name);
  }
  interfaceByIndex(index: number): InterfaceView | undefined {
    return this.interfaces().find((nic) => nic.index === index);
  }
  routes(): readonly RouteView[] {
    const { routes } = this.#stack;
    const tables = routes.tables.sort((a, b) => b - a);
    return tables
      .flatMap((table) => inDumpOrder(routes.entriesOf(table)))
      .map((entry) => ({
        dst: entry.dst,
        prefixBits: entry.prefixBits,
        gateway: entry.gateway,
        index: entry.nicId,
        metric: entry.metric,
        src: entry.src,
        origin: entry.origin,
        table: entry.table,
        type: entry.type,
      }));
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
  routeTo(dst: IpAddr, { src, index, mark }: RouteQuestion): RouteView | NetError {
    const path = this.#stack.findRoute(src, dst, index, mark);
    if (typeof path === "number") return path;
    const isDirect = path.isLoopback || path.nextHop.equals(dst);
    return {
      dst,
      prefixBits: dst.isV4 ? 32 : 128,
      gateway: isDirect ? null : path.nextHop,
      index: path.nicId,
      metric: 0,
      src: path.src,
      origin: 0,
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
    return this.#stack.routes.add({ ...r, nicId: r.index });
  }
  #route(r: RouteChange): RouteEntry | undefined {
    const bits = r.dst.isV4 ? r.prefixBits + 96 : r.prefixBits;
    const list = this.#stack.routes.entriesOf(r.table);
    return list.find(
      (e) =>
        e.bits === bits &&
        (r.type === 0 || e.type === r.type) &&
        e.dst.isV4 === r.dst.isV4 &&
        e.dst.equals(r.dst) &&
        // Without a metric the first that matches goes, as on Linux.
        (r.metric === 0 || e.metric === r.metric) &&
        (r.index === 0 || e.nicId === r.index) &&
        (r.gateway === null || e.gateway?.equals(r.gateway)),
    );
  }
  removeRoute(r: RouteChange): boolean {
    const entry = this.#route(r);
    return entry !== undefined && this.#stack.routes.remove(entry);
  }
  hasRoute(r: RouteChange): boolean {
    const same = this.#route({ ...r, gateway: null, index: 0, type: 0 });
    return same !== undefined && same.metric === r.metric;
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
  setUp(index: number, up: boolean): void {
    const nic = this.#stack.nicById(index);
    if (nic !== null) this.#stack.interfaces.setUp(nic, up);
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
