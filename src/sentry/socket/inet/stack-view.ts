// The stack's configuration in the words of network-view.ts.

import type { IpAddr, Stack } from "../../../netstack/index.ts";
import type { InterfaceView, NeighborView, NetworkView, RouteView } from "./network-view.ts";

export class StackView implements NetworkView {
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
    return this.#stack.routes.entries.map((entry) => ({
      dst: entry.dst,
      prefixBits: entry.prefixBits,
      gateway: entry.gateway,
      index: entry.nicId,
      metric: entry.metric,
      src: entry.src,
      origin: entry.origin,
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
  routeTo(dst: IpAddr): RouteView | undefined {
    const path = this.#stack.findRoute(null, dst);
    if (typeof path === "number") return undefined;
    const entry = this.#stack.routes.lookup(dst, path.isLoopback ? 0 : path.nicId);
    return {
      dst,
      prefixBits: dst.isV4 ? 32 : 128,
      gateway: path.isLoopback ? null : (entry?.gateway ?? null),
      index: path.nicId,
      metric: entry?.metric ?? 0,
      src: path.src,
      origin: 0,
    };
  }
  mtuTo(dst: IpAddr): number {
    const route = this.#stack.findRoute(null, dst);
    return typeof route === "number" ? 0 : route.mtu;
  }
}
