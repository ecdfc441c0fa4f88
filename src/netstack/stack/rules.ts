// Routing rules (ip-rule(8), fib_rules.c): by what a packet is, which table is asked for its route. Each family has
// its own list, in order of priority. Not here: rules by tunnel key, realm or flow label, and the table local, which the
// addresses of the interfaces are.

import type { Limits } from "../../base/limits.ts";
import { type Family, IPV4, IPV6, type IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { type FlowKey, NO_FLOW } from "./flow-key.ts";
import { inPrefix, maskAddr } from "./prefix.ts";

/** FR_ACT_*. */
export const RuleAction = {
  Table: 1,
  Goto: 2,
  Nop: 3,
  Blackhole: 6,
  Unreachable: 7,
  Prohibit: 8,
} as const;

/** What a route is asked for. */
export interface Flow {
  dst: IpAddr;
  /** Null: not chosen yet, and no rule about a source matches. */
  src: IpAddr | null;
  /** 0: any. */
  oif: number;
  /** Where it came in; the loopback's for our own packets. */
  iif: number;
  mark: number;
  /** Null: nothing here depends on it. */
  key: Readonly<FlowKey> | null;
}

/** From and to, both included. */
export interface Range {
  from: number;
  to: number;
}

export interface RuleConfig {
  family: Family;
  priority: number;
  action: number;
  table?: number;
  /** Null: from or to anywhere. */
  src?: IpAddr | null;
  srcBits?: number;
  dst?: IpAddr | null;
  dstBits?: number;
  /** Of what the names below are at the moment; -1: no such interface. 0: not asked. */
  iif?: number;
  oif?: number;
  iifName?: string;
  oifName?: string;
  mark?: number;
  markMask?: number;
  /** IP protocol, ports, owner and class (DSCP in its place) of a flow; 0 and null: not asked. */
  protocol?: number;
  srcPorts?: Range | null;
  dstPorts?: Range | null;
  uids?: Range | null;
  tos?: number;
  /** Matches what else it would not. */
  invert?: boolean;
  /** Of a goto. */
  target?: number;
  /** Routes with prefixes no longer than this do not count; -1: all do. */
  suppressPrefixBits?: number;
  /** Nor those by interfaces of this group; -1: all do. All are in group 0. */
  suppressGroup?: number;
  /** RTPROT_*. */
  origin?: number;
}

const RT_KERNEL = 2;

export class Rule {
  readonly family: Family;
  readonly priority: number;
  readonly action: number;
  readonly table: number;
  readonly src: IpAddr | null;
  readonly srcBits: number;
  readonly dst: IpAddr | null;
  readonly dstBits: number;
  iif: number;
  oif: number;
  readonly iifName: string;
  readonly oifName: string;
  readonly mark: number;
  readonly markMask: number;
  readonly protocol: number;
  readonly srcPorts: Range | null;
  readonly dstPorts: Range | null;
  readonly uids: Range | null;
  readonly tos: number;
  /** It looks at more than addresses, interfaces and the mark. */
  readonly asksFlow: boolean;
  readonly invert: boolean;
  readonly target: number;
  readonly suppressPrefixBits: number;
  readonly suppressGroup: number;
  readonly origin: number;

  constructor(config: RuleConfig) {
    this.family = config.family;
    this.priority = config.priority;
    this.action = config.action;
    this.table = config.table ?? 0;
    const wide = (bits: number): number => (config.family === IPV4 ? bits + 96 : bits);
    this.srcBits = config.srcBits ?? 0;
    this.dstBits = config.dstBits ?? 0;
    this.src = config.src ? maskAddr(config.src, wide(this.srcBits)) : null;
    this.dst = config.dst ? maskAddr(config.dst, wide(this.dstBits)) : null;
    this.iif = config.iif ?? 0;
    this.oif = config.oif ?? 0;
    this.iifName = config.iifName ?? "";
    this.oifName = config.oifName ?? "";
    this.mark = config.mark ?? 0;
    this.markMask = config.markMask ?? 0;
    this.protocol = config.protocol ?? 0;
    this.srcPorts = config.srcPorts ?? null;
    this.dstPorts = config.dstPorts ?? null;
    this.uids = config.uids ?? null;
    this.tos = config.tos ?? 0;
    const asksPorts = this.srcPorts !== null || this.dstPorts !== null;
    this.asksFlow = asksPorts || this.protocol !== 0 || this.uids !== null || this.tos !== 0;
    this.invert = config.invert ?? false;
    this.target = config.target ?? 0;
    this.suppressPrefixBits = config.suppressPrefixBits ?? -1;
    this.suppressGroup = config.suppressGroup ?? -1;
    this.origin = config.origin ?? RT_KERNEL;
  }

  matches(flow: Flow): boolean {
    return this.#matches(flow) !== this.invert;
  }

  /** fib_rule_match, fib4_rule_match. */
  #matches(flow: Flow): boolean {
    if (this.iif !== 0 && this.iif !== flow.iif) return false;
    if (this.oif !== 0 && this.oif !== flow.oif) return false;
    if (((this.mark ^ flow.mark) & this.markMask) !== 0) return false;
    if (this.asksFlow && !this.#matchesKey(flow.key ?? NO_FLOW)) return false;
    const lift = this.family === IPV4 ? 96 : 0;
    if (this.dst !== null && !inPrefix(flow.dst, this.dst, this.dstBits + lift)) return false;
    if (this.src === null) return true;
    return flow.src !== null && inPrefix(flow.src, this.src, this.srcBits + lift);
  }

  #matchesKey(key: Readonly<FlowKey>): boolean {
    if (this.protocol !== 0 && this.protocol !== key.protocol) return false;
    if (this.tos !== 0 && this.tos !== key.tos) return false;
    return (
      holds(this.uids, key.uid) &&
      holds(this.srcPorts, key.srcPort) &&
      holds(this.dstPorts, key.dstPort)
    );
  }
}

const holds = (range: Range | null, n: number): boolean =>
  range === null || (n >= range.from && n <= range.to);

const LOCAL = 255;
const MAIN = 254;
const DEFAULT = 253;
const PRIORITY_MAIN = 32_766;
const PRIORITY_DEFAULT = 32_767;

function defaults(family: Family): Rule[] {
  const rule = (priority: number, table: number): Rule =>
    new Rule({ family, priority, action: RuleAction.Table, table });
  const both = [rule(0, LOCAL), rule(PRIORITY_MAIN, MAIN)];
  return family === IPV4 ? [...both, rule(PRIORITY_DEFAULT, DEFAULT)] : both;
}

export class RuleTable {
  readonly #limits: Limits;
  /** Null: something of all of them. */
  readonly #onChange: (rule: Rule | null, isThere: boolean) => void;
  readonly #rules = { 4: defaults(IPV4), 6: defaults(IPV6) };
  #isDefault = { 4: true, 6: true };
  /** Some rule of either family asks for more than addresses, interfaces and the mark. */
  asksFlow = false;

  constructor(limits: Limits, onChange: (rule: Rule | null, isThere: boolean) => void) {
    this.#limits = limits;
    this.#onChange = onChange;
  }

  list(family: Family): readonly Rule[] {
    return this.#rules[family];
  }
  /** Null: as they are from the start, so that the answer is known without them. */
  of(family: Family): readonly Rule[] | null {
    return this.#isDefault[family] ? null : this.#rules[family];
  }

  /** In front of the second rule, as Linux has it (fib_default_rule_pref). */
  freePriority(family: Family): number {
    const second = this.#rules[family][1];
    return second === undefined || second.priority === 0 ? 0 : second.priority - 1;
  }

  add(rule: Rule): NetError | 0 {
    const list = this.#rules[rule.family];
    if (list.length >= this.#limits.routes) return NetErr.NoBuffers;
    const at = list.findIndex((r) => r.priority > rule.priority);
    list.splice(at < 0 ? list.length : at, 0, rule);
    this.#changed(rule, true);
    return 0;
  }

  remove(rule: Rule): boolean {
    const list = this.#rules[rule.family];
    const at = list.indexOf(rule);
    if (at < 0) return false;
    list.splice(at, 1);
    this.#changed(rule, false);
    return true;
  }

  /** An interface has come or gone: names of rules mean something else. */
  bind(idOf: (name: string) => number): void {
    for (const rule of [...this.#rules[4], ...this.#rules[6]]) {
      if (rule.iifName !== "") rule.iif = idOf(rule.iifName);
      if (rule.oifName !== "") rule.oif = idOf(rule.oifName);
    }
    this.#onChange(null, true);
  }

  #changed(rule: Rule, isThere: boolean): void {
    const { family } = rule;
    const now = this.#rules[family];
    const start = defaults(family);
    this.#isDefault[family] =
      now.length === start.length && start.every((r, i) => isSame(r, now[i]));
    this.asksFlow = [...this.#rules[4], ...this.#rules[6]].some((r) => r.asksFlow);
    this.#onChange(rule, isThere);
  }
}

/** rule_exists. */
export function isSame(a: Rule, b: Rule): boolean {
  const sameAddr = (x: IpAddr | null, y: IpAddr | null): boolean =>
    x === null || y === null ? x === y : x.equals(y);
  const sameRange = (x: Range | null, y: Range | null): boolean =>
    x === null || y === null ? x === y : x.from === y.from && x.to === y.to;
  return (
    a.priority === b.priority &&
    a.action === b.action &&
    a.table === b.table &&
    a.iifName === b.iifName &&
    a.oifName === b.oifName &&
    a.mark === b.mark &&
    a.markMask === b.markMask &&
    a.invert === b.invert &&
    a.target === b.target &&
    a.suppressPrefixBits === b.suppressPrefixBits &&
    a.suppressGroup === b.suppressGroup &&
    a.protocol === b.protocol &&
    a.tos === b.tos &&
    sameRange(a.srcPorts, b.srcPorts) &&
    sameRange(a.dstPorts, b.dstPorts) &&
    sameRange(a.uids, b.uids) &&
    a.srcBits === b.srcBits &&
    a.dstBits === b.dstBits &&
    sameAddr(a.src, b.src) &&
    sameAddr(a.dst, b.dst)
  );
}
