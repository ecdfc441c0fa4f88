// What /proc/net and /sys/class/net read: the sockets, the stack's configuration and its counters.

import type { Kernel } from "../../kernel/kernel.ts";
import { inetStackOf } from "../../socket/inet/inet-stack.ts";
import type { NetworkView } from "../../socket/inet/network-view.ts";
import type { Socket } from "../../socket/socket.ts";
import { socketTableOf } from "../../socket/socket-table.ts";

/** Counters by their MIB names; any subset. */
export type NetCounters = object;

export interface NetSource {
  readonly view: NetworkView;
  /** All sockets of the sandbox. */
  sockets(): Iterable<Socket>;
  /** IP, ICMP and UDP (netstack Counters: ipInReceives...). */
  ipCounters(): NetCounters;
  /** TCP (netstack TcpStats: ActiveOpens...). */
  tcpCounters(): NetCounters;
  /** IPv4. */
  isForwarding(): boolean;
}

export function netSourceOf(kernel: Kernel): NetSource {
  return {
    get view() {
      return inetStackOf(kernel).network;
    },
    sockets: () => socketTableOf(kernel).sockets,
    ipCounters: () => kernel.stack.counters,
    tcpCounters: () => kernel.stack.tcp.stats,
    isForwarding: () => kernel.stack.forwarding.v4,
  };
}
