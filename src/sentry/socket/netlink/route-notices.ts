// Announces changes of the network to the netlink sockets that joined their groups (rtnetlink(7), `ip monitor`):
// whoever made the change, root inside, a lease, or the network itself. Without listeners nothing is built.

import * as nl from "../../../abi/netlink.ts";
import type {
  NeighborEntry,
  Nic,
  NicAddress,
  RouteEntry,
  Rule,
  StackObserver,
} from "../../../netstack/index.ts";
import type { NetworkView } from "../inet/network-view.ts";
import { routeView } from "../inet/route-view.ts";
import { interfaceView } from "../inet/stack-view.ts";
import { putAddress, putLink, putNeighbor } from "./link-messages.ts";
import { NetlinkWriter } from "./netlink-message.ts";
import { putRoute } from "./route-messages.ts";
import { putRule } from "./rule-changes.ts";

export interface NoticeListener {
  /** Bit n - 1: group n. */
  readonly groups: number;
  onNotice(message: Uint8Array, group: number): void;
}

export class RouteNotices implements StackObserver {
  readonly listeners = new Set<NoticeListener>();
  readonly #network: NetworkView;

  constructor(network: NetworkView) {
    this.#network = network;
  }

  #tell(group: number, put: (w: NetlinkWriter) => void): void {
    const bit = 1 << (group - 1);
    let message: Uint8Array | undefined;
    for (const listener of this.listeners) {
      if ((listener.groups & bit) === 0) continue;
      if (message === undefined) {
        const w = new NetlinkWriter(0, 0);
        put(w);
        w.flush();
        message = w.datagrams[0];
        if (message === undefined) return;
      }
      listener.onNotice(message, group);
    }
  }

  onLink(nic: Nic, isThere: boolean): void {
    this.#tell(nl.RTNLGRP_LINK, (w) => {
      putLink(w, interfaceView(nic), 0, isThere ? nl.RTM_NEWLINK : nl.RTM_DELLINK);
    });
  }

  onAddress(nic: Nic, address: NicAddress, isThere: boolean): void {
    const group = address.addr.isV4 ? nl.RTNLGRP_IPV4_IFADDR : nl.RTNLGRP_IPV6_IFADDR;
    this.#tell(group, (w) => {
      const view = this.#network.interfaceByIndex(nic.id);
      const type = isThere ? nl.RTM_NEWADDR : nl.RTM_DELADDR;
      if (view !== undefined) putAddress(w, view, address, type, 0);
    });
  }

  onRoute(entry: RouteEntry, isThere: boolean): void {
    const group = entry.dst.isV4 ? nl.RTNLGRP_IPV4_ROUTE : nl.RTNLGRP_IPV6_ROUTE;
    this.#tell(group, (w) => {
      const type = isThere ? nl.RTM_NEWROUTE : nl.RTM_DELROUTE;
      putRoute(w, this.#network, routeView(entry), type, 0);
    });
  }

  onRule(rule: Rule, isThere: boolean): void {
    const group = rule.family === 4 ? nl.RTNLGRP_IPV4_RULE : nl.RTNLGRP_IPV6_RULE;
    this.#tell(group, (w) => {
      putRule(w, rule, false, isThere ? nl.RTM_NEWRULE : nl.RTM_DELRULE, 0);
    });
  }

  onNeighbor(nic: Nic, entry: NeighborEntry): void {
    this.#tell(nl.RTNLGRP_NEIGH, (w) => {
      const { addr, mac, state, isRouter } = entry;
      const view = { addr, mac, state, isRouter, index: nic.id };
      putNeighbor(w, view, entry.removed ? nl.RTM_DELNEIGH : nl.RTM_NEWNEIGH, 0);
    });
  }
}
