// What /proc/net and /sys/class/net read, as narrow interfaces: the sockets, the stack's configuration and
// its counters. The main program hands in the real ones.

import type { NetworkView } from "../../socket/inet/network-view.ts";
import type { Socket } from "../../socket/socket.ts";

/** Counters by their MIB names; any subset. */
export type NetCounters = Readonly<Record<string, unknown>>;

export interface NetSource {
  readonly view: NetworkView;
  /** All sockets of the sandbox (SocketTable.sockets). */
  sockets(): Iterable<Socket>;
  /** IP, ICMP and UDP (netstack Counters: ipInReceives...). */
  ipCounters(): NetCounters;
  /** TCP (netstack TcpStats: ActiveOpens...). */
  tcpCounters(): NetCounters;
}
