// The route tables: in each longest prefix, then lowest metric, then the oldest. Kept sorted so that the first
// match wins; lookups are per connection or per new destination (paths are cached), not per packet. Which table
// is asked is decided by rules (rules.ts); without any of their own it is main, and then default.

import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import type { Family, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { type HopOracle, Multipath, type NextHop } from "./next-hops.ts";
import { inPrefix } from "./prefix.ts";
import {
  type RouteConfig,
  RouteEntry,
  RouteType,
  TABLE_DEFAULT,
  TABLE_LOCAL,
  TABLE_MAIN,
} from "./route-entry.ts";
import { type Flow, type Rule, RuleAction, RuleTable } from "./rules.ts";

/** No error, but no entry either: to ourselves. */
export const LOCAL_ROUTE: NetError = 1;

export interface RouteObserver {
  onRoute(entry: RouteEntry, isThere: boolean): void;
  onRule(rule: Rule, isThere: boolean): void;
}

export class RouteTables {
  readonly #limits: Limits;
  readonly #observer: RouteObserver;
  readonly #tables = new Map<number, RouteEntry[]>([[TABLE_MAIN, []]]);
  #count = 0;
  readonly rules: RuleTable;
  readonly multipath: Multipath;
  /** Goes up with every change; a cached path with another number is looked up anew. */
  generation = 1;
  /** A route may depend on a flow's protocol, ports, owner or class. */
  asksFlow = false;

  constructor(limits: Limits, rng: Rng, observer: RouteObserver) {
    this.#limits = limits;
    this.#observer = observer;
    this.multipath = new Multipath(rng, () => this.#changed());
    this.rules = new RuleTable(limits, (rule, isThere) => {
      this.#changed();
      if (rule !== null) observer.onRule(rule, isThere);
    });
  }

  /** Whether a route may depend on its source. */
  asksSource(family: Family): boolean {
    return this.rules.of(family) !== null || this.multipath.count > 0;
  }

  #changed(): void {
    this.asksFlow = this.rules.asksFlow || this.multipath.asksFlow;
    this.generation++;
  }

  /** Of the table main. */
  get entries(): readonly RouteEntry[] {
    return this.entriesOf(TABLE_MAIN);
  }
  entriesOf(table: number): readonly RouteEntry[] {
    return this.#tables.get(table) ?? [];
  }
  get tables(): number[] {
    return [...this.#tables.keys()];
  }

  add(config: RouteConfig): NetError | 0 {
    if (config.prefixBits < 0 || config.prefixBits > (config.dst.isV4 ? 32 : 128)) {
      return NetErr.InvalidArgument;
    }
    const entry = this.insert(config);
    return typeof entry === "number" ? entry : 0;
  }

  /** As add, but the entry: for who will take it out again. */
  insert(config: RouteConfig): RouteEntry | NetError {
    const ways = Math.max(1, config.hops?.length ?? 1);
    if (this.#count + ways > this.#limits.routes) return NetErr.NoBuffers;
    const entry = new RouteEntry(config);
    let list = this.#tables.get(entry.table);
    if (list === undefined) {
      list = [];
      this.#tables.set(entry.table, list);
    }
    let at = 0;
    while (at < list.length && !before(entry, list[at])) at++;
    list.splice(at, 0, entry);
    this.#counted(entry, 1);
    this.#changed();
    this.#observer.onRoute(entry, true);
    return entry;
  }

  /** Another route to the same destination with the same metric, in the place of this one. */
  replace(old: RouteEntry, config: RouteConfig): NetError | 0 {
    const list = this.#tables.get(old.table);
    const at = list?.indexOf(old) ?? -1;
    if (list === undefined || at < 0) return NetErr.NotFound;
    const entry = new RouteEntry(config);
    if (this.#count + entry.ways - old.ways > this.#limits.routes) return NetErr.NoBuffers;
    list[at] = entry;
    this.#counted(old, -1);
    this.#counted(entry, 1);
    this.#changed();
    this.#observer.onRoute(entry, true);
    return 0;
  }

  remove(entry: RouteEntry): boolean {
    const list = this.#tables.get(entry.table);
    const at = list?.indexOf(entry) ?? -1;
    if (list === undefined || at < 0) return false;
    list.splice(at, 1);
    this.#counted(entry, -1);
    this.#forgetIfEmpty(entry.table, list);
    this.#changed();
    this.#observer.onRoute(entry, false);
    return true;
  }

  #counted(entry: RouteEntry, sign: number): void {
    this.#count += sign * entry.ways;
    if (entry.hops !== null) this.multipath.count += sign;
  }

  /**
   * The interface is down, or gone. Of several ways only its own are dead meanwhile (fib_sync_down_dev, fib6_ifdown); with
   * the interface the route goes.
   */
  removeNic(nicId: number, isGone = false): void {
    for (const [table, list] of this.#tables) {
      for (let i = list.length - 1; i >= 0; i--) {
        const entry = list[i];
        if (!entry.leadsBy(nicId)) continue;
        if (!isGone && entry.hops?.setDead(nicId, true) === true) continue;
        list.splice(i, 1);
        this.#counted(entry, -1);
        // IPv4's go with their interface without a word (fib_flush).
        if (!entry.dst.isV4) this.#observer.onRoute(entry, false);
      }
      this.#forgetIfEmpty(table, list);
    }
    this.#changed();
  }

  /** fib_sync_up. */
  reviveNic(nicId: number): void {
    if (this.multipath.count === 0) return;
    for (const list of this.#tables.values()) {
      for (const entry of list) entry.hops?.setDead(nicId, false);
    }
    this.generation++;
  }

  #forgetIfEmpty(table: number, list: RouteEntry[]): void {
    if (list.length === 0 && table !== TABLE_MAIN) this.#tables.delete(table);
  }

  /** In one table. nicId 0: any. */
  lookup(dst: IpAddr, nicId: number, table = TABLE_MAIN): RouteEntry | null {
    const list = this.#tables.get(table);
    if (list === undefined) return null;
    const v4 = dst.isV4;
    for (const entry of list) {
      if (nicId !== 0 && !entry.leadsBy(nicId) && entry.type === RouteType.Unicast) continue;
      if (entry.dst.isV4 !== v4 && (v4 || entry.bits > 0)) continue;
      // An IPv6 default route (bits 0) must not take IPv4: in the mapped form it would match everything.
      if (v4 && entry.bits < 96) continue;
      if (inPrefix(dst, entry.dst, entry.bits)) return entry;
    }
    return null;
  }

  /** The way of this flow: the route's own, or one of several. hash: of the flow, when it is known. */
  hopOf(entry: RouteEntry, flow: Flow, oracle: HopOracle, hash = -1): RouteEntry | NextHop {
    if (entry.hops === null) return entry;
    const { src, dst, key } = flow;
    const chosen = hash >= 0 ? hash : this.multipath.hash(src, dst, key);
    return entry.hops.select(chosen, flow, oracle);
  }

  /**
   * What the rules make of a flow: a unicast route, LOCAL_ROUTE, another error, or null, when no table has anything.
   * isLocal: an interface has its destination. As long as nobody has changed the rules the caller has seen to it.
   */
  resolve(flow: Flow, isLocal: boolean): RouteEntry | NetError | null {
    const rules = this.rules.of(flow.dst.family);
    if (rules === null) {
      const found =
        this.lookup(flow.dst, flow.oif) ?? this.lookup(flow.dst, flow.oif, TABLE_DEFAULT);
      if (found === null || found.type === RouteType.Unicast) return found;
      return found.type === RouteType.Throw ? null : errorOfType(found.type);
    }
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i];
      if (!rule.matches(flow)) continue;
      if (rule.action === RuleAction.Goto) {
        // The list is sorted, and a goto leads forward only.
        const target = rules.findIndex((r) => r.priority >= rule.target);
        if (target < 0 || rules[target].priority !== rule.target) continue;
        i = target - 1;
      } else if (rule.action === RuleAction.Table) {
        if (rule.table === TABLE_LOCAL && isLocal) return LOCAL_ROUTE;
        const found = this.lookup(flow.dst, flow.oif, rule.table);
        if (found === null || found.type === RouteType.Throw) continue;
        if (found.type !== RouteType.Unicast) return errorOfType(found.type);
        // fib4_rule_suppress: every interface is in group 0.
        if (found.prefixBits > rule.suppressPrefixBits && rule.suppressGroup !== 0) return found;
      } else if (rule.action !== RuleAction.Nop) return errorOfAction(rule.action);
    }
    return null;
  }
}

/** fib_props, ip6_rt_type_to_error. */
function errorOfType(type: number): NetError {
  if (type === RouteType.Unreachable) return NetErr.HostUnreachable;
  return type === RouteType.Prohibit ? NetErr.AccessDenied : NetErr.InvalidArgument;
}

/** fib4_rule_action. */
function errorOfAction(action: number): NetError {
  if (action === RuleAction.Unreachable) return NetErr.NetworkUnreachable;
  return action === RuleAction.Prohibit ? NetErr.AccessDenied : NetErr.InvalidArgument;
}

function before(a: RouteEntry, b: RouteEntry): boolean {
  return a.bits > b.bits || (a.bits === b.bits && a.metric < b.metric);
}
