// What the owner of a stack may want to hear of its configuration, as it changes. Called inside the stack's run: look,
// and return. Not for packets.

import type { NeighborEntry } from "./neighbor-entry.ts";
import type { Nic } from "./nic.ts";
import type { NicAddress } from "./nic-address.ts";
import type { RouteEntry } from "./route-entry.ts";
import type { Rule } from "./rules.ts";

export interface StackObserver {
  /** New, up, down, or with another MTU; or gone. */
  onLink(nic: Nic, isThere: boolean): void;
  onAddress(nic: Nic, address: NicAddress, isThere: boolean): void;
  onRoute(entry: RouteEntry, isThere: boolean): void;
  onRule(rule: Rule, isThere: boolean): void;
  /** entry.removed: it is gone. */
  onNeighbor(nic: Nic, entry: NeighborEntry): void;
}
