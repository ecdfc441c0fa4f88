// What inet sockets need besides themselves: the stack's endpoints, its configuration, the socket table.

import type { Endpoints } from "../../../netstack/index.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { RouteNotices } from "../netlink/route-notices.ts";
import { type SocketTable, socketTableOf } from "../socket-table.ts";
import type { NetworkChanges, NetworkView } from "./network-view.ts";
import { StackView } from "./stack-view.ts";

export interface InetStack {
  readonly table: SocketTable;
  readonly endpoints: Endpoints;
  readonly network: NetworkView & NetworkChanges;
  readonly notices: RouteNotices;
}

const stacks = new WeakMap<Kernel, InetStack>();

export function inetStackOf(kernel: Kernel): InetStack {
  let stack = stacks.get(kernel);
  if (stack === undefined) {
    const table = socketTableOf(kernel);
    const network = new StackView(kernel.stack);
    const notices = new RouteNotices(network);
    kernel.stack.observer = notices;
    stack = { table, endpoints: kernel.stack.endpoints, network, notices };
    stacks.set(kernel, stack);
  }
  return stack;
}
