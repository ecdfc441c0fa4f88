// What inet sockets need besides themselves: the stack's endpoints, its configuration, the socket table.

import type { Endpoints } from "../../../netstack/index.ts";
import type { SocketTable } from "../socket-table.ts";
import type { NetworkView } from "./network-view.ts";

export interface InetStack {
  readonly table: SocketTable;
  readonly endpoints: Endpoints;
  readonly network: NetworkView;
}
