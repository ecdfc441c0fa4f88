// The route tables: in each longest prefix, then lowest metric, then the oldest. Kept sorted so that the first
// match wins; lookups are per connection or per new destination (paths are cached), not per packet. Which table
// is asked is decided by rules (rules.ts); without any of their own it is main, and then default.

import type { Limits } from "../../base/limits.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { inPrefix, maskAddr } from "./prefix.ts";
import { type Flow, type Rule, RuleAction, RuleTable } from "./rules.ts";

/** RT_TABLE_*. Local is not kept: an address is local when an interface has it. */
export const TABLE_DEFAULT = 253;
export const TABLE_MAIN = 254;
export const TABLE_LOCAL = 255;

/** RTN_*: what becomes of packets to there. */
export const RouteType = {
  Unicast: 1,
  /** Dropped without a word. */
  Blackhole: 6,
  Unreachable: 7,
  Prohibit: 8,
  /** As if the table had no route: the next rule decides. */
  Throw: 9,
} as const;

/** No error, but no entry either: to ourselves. */
export const LOCAL_ROUTE: NetError = 1;

export interface RouteConfig {
  dst: IpAddr;
  prefixBits: number;
  /** null: on the link. */
  gateway: IpAddr | null;
  nicId: number;
  metric?: number;
  /** Preferred source address. */
  src?: IpAddr | null;
  mtu?: number;
  advmss?: number;
  table?: number;
  type?: number;
  /** RTPROT_*: who made it (kernel 2, boot 3, static 4, dhcp 16). For reports only. */
  origin?: number;
}

export class RouteEntry {
  readonly dst: IpAddr;
  /** Bits of the 128-bit form: an IPv4 /24 is 120. */
  readonly bits: number;
  readonly prefixBits: number;
  readonly gateway: IpAddr | null;
  readonly nicId: number;
  readonly metric: number;
  readonly src: IpAddr | null;
  readonly mtu: number;
  readonly advmss: number;
  readonly origin: number;
  readonly table: number;
  readonly type: number;

  constructor(config: RouteConfig) {
    this.prefixBits = config.prefixBits;
    this.bits = config.dst.isV4 ? config.prefixBits + 96 : config.prefixBits;
    this.dst = maskAddr(config.dst, this.bits);
    this.gateway = config.gateway?.clone() ?? null;
    this.nicId = config.nicId;
    this.metric = config.metric ?? 0;
    this.src = config.src?.clone() ?? null;
    this.mtu = config.mtu ?? 0;
    this.advmss = config.advmss ?? 0;
    this.origin = config.origin ?? 3;
    this.table = config.table ?? TABLE_MAIN;
    this.type = config.type ?? RouteType.Unicast;
  }
}

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
  /** Goes up with every change; a cached path with another number is looked up anew. */
  generation = 1;

  constructor(limits: Limits, observer: RouteObserver) {
    this.#limits = limits;
    this.#observer = observer;
    this.rules = new RuleTable(limits, (rule, isThere) => {
      this.generation++;
      if (rule !== null) observer.onRule(rule, isThere);
    });
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
    if (this.#count >= this.#limits.routes) return NetErr.NoBuffers;
    const entry = new RouteEntry(config);
    let list = this.#tables.get(entry.table);
    if (list === undefined) {
      list = [];
      this.#tables.set(entry.table, list);
    }
    let at = 0;
    while (at < list.length && !before(entry, list[at])) at++;
    list.splice(at, 0, entry);
    this.#count++;
    this.generation++;
    this.#observer.onRoute(entry, true);
    return entry;
  }

  remove(entry: RouteEntry): boolean {
    const list = this.#tables.get(entry.table);
    const at = list?.indexOf(entry) ?? -1;
    if (list === undefined || at < 0) return false;
    list.splice(at, 1);
    this.#count--;
    this.#forgetIfEmpty(entry.table, list);
    this.generation++;
    this.#observer.onRoute(entry, false);
    return true;
  }

  removeNic(nicId: number): void {
    for (const [table, list] of this.#tables) {
      for (let i = list.length - 1; i >= 0; i--) {
        if (list[i].nicId !== nicId) continue;
        const [gone] = list.splice(i, 1);
        this.#count--;
        // IPv4's go with their interface without a word (fib_flush).
        if (!gone.dst.isV4) this.#observer.onRoute(gone, false);
      }
      this.#forgetIfEmpty(table, list);
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
      if (nicId !== 0 && entry.nicId !== nicId && entry.type === RouteType.Unicast) continue;
      if (entry.dst.isV4 !== v4 && (v4 || entry.bits > 0)) continue;
      // An IPv6 default route (bits 0) must not take IPv4: in the mapped form it would match everything.
      if (v4 && entry.bits < 96) continue;
      if (inPrefix(dst, entry.dst, entry.bits)) return entry;
    }
    return null;
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
        if (found.prefixBits > rule.suppressPrefixBits) return found;
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
