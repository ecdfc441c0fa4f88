// The multicast groups that one NIC is in, for both families: who of its members wants which sources, merged as
// RFC 3376 3.2 and RFC 3810 4.2 say (Linux's ip_mc_list and ifmcaddr6). Changes go to the reporters; what a packet
// must pass is asked here (ip_check_mc_rcu, ipv6_chk_mcast_addr).

import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { PROTO_IGMP } from "../wire/ipv4.ts";
import type { GroupReporter } from "./group-reports.ts";
import { isAllNodes, isReportedGroup } from "./multicast-groups.ts";

const ALL_HOSTS = 0xe0000001 | 0;
/** IPv6 groups per NIC, solicited-node groups included; IPv4 groups as many. */
const GROUPS_MAX = 1024;

/** Which sources one member hears, or all members of a NIC together: those listed alone, or all but those. */
export interface GroupFilter {
  readonly isInclude: boolean;
  readonly sources: readonly IpAddr[];
}

export const ANY_SOURCE: GroupFilter = { isInclude: false, sources: [] };
export const NO_SOURCE: GroupFilter = { isInclude: true, sources: [] };

export const lists = (filter: GroupFilter, source: IpAddr): boolean =>
  filter.sources.some((s) => s.equals(source));

interface SourceCount {
  readonly addr: IpAddr;
  includes: number;
  excludes: number;
}

export class NicGroup {
  readonly group: IpAddr;
  members = 0;
  #excluders = 0;
  readonly #sources: SourceCount[] = [];

  constructor(group: IpAddr) {
    this.group = group.clone();
  }

  /** The interface's own state. */
  get filter(): GroupFilter {
    if (this.members === 0) return NO_SOURCE;
    const isInclude = this.#excluders === 0;
    const sources: IpAddr[] = [];
    for (const s of this.#sources) {
      if (isInclude ? s.includes > 0 : this.#isKeptOut(s)) sources.push(s.addr);
    }
    return { isInclude, sources };
  }

  accepts(source: IpAddr): boolean {
    for (const s of this.#sources) {
      if (!s.addr.equals(source)) continue;
      return s.includes > 0 || s.excludes !== this.#excluders;
    }
    return this.#excluders > 0;
  }

  /** By everybody who does not name whom to hear, and not wanted by anybody else. */
  #isKeptOut(s: SourceCount): boolean {
    return s.includes === 0 && s.excludes === this.#excluders;
  }

  /** One member more (step 1) or less (-1). */
  count({ isInclude, sources }: GroupFilter, step: number): void {
    this.members += step;
    if (!isInclude) this.#excluders += step;
    for (const addr of sources) {
      let s = this.#sources.find((e) => e.addr.equals(addr));
      if (s === undefined) {
        s = { addr: addr.clone(), includes: 0, excludes: 0 };
        this.#sources.push(s);
      }
      if (isInclude) s.includes += step;
      else s.excludes += step;
      if (s.includes === 0 && s.excludes === 0) this.#sources.splice(this.#sources.indexOf(s), 1);
    }
  }
}

export class NicGroups {
  readonly v4: NicGroup[] = [];
  readonly v6: NicGroup[] = [];
  readonly #reporterOf: (group: IpAddr) => GroupReporter | undefined;

  /** undefined: nobody reports on this NIC. */
  constructor(reporterOf: (group: IpAddr) => GroupReporter | undefined) {
    this.#reporterOf = reporterOf;
  }

  find(group: IpAddr): NicGroup | null {
    for (const g of group.isV4 ? this.v4 : this.v6) if (g.group.equals(group)) return g;
    return null;
  }

  isMember(group: IpAddr): boolean {
    return this.find(group) !== null || isForAll(group);
  }

  /** A packet's source has its say in what is no message about groups. */
  accepts(group: IpAddr, source: IpAddr, protocol: number): boolean {
    if (isForAll(group)) return true;
    const g = this.find(group);
    if (g === null) return false;
    return source.isUnspecified || protocol === PROTO_IGMP || g.accepts(source);
  }

  /** A member comes (before null), goes (after null), or wants other sources. */
  change(group: IpAddr, before: GroupFilter | null, after: GroupFilter | null): NetError | 0 {
    const list = group.isV4 ? this.v4 : this.v6;
    let g = this.find(group);
    if (g === null) {
      if (list.length >= GROUPS_MAX) return NetErr.NoBuffers;
      g = new NicGroup(group);
      list.push(g);
    }
    const old = g.filter;
    const wasIn = g.members > 0;
    if (after !== null) g.count(after, 1);
    if (before !== null) g.count(before, -1);
    const isIn = g.members > 0;
    if (!isIn) list.splice(list.indexOf(g), 1);
    const isReported = group.isV4 ? group.w3 !== ALL_HOSTS : isReportedGroup(group);
    if (isReported) this.#reporterOf(group)?.changed(group, old, g.filter, wasIn !== isIn);
    return 0;
  }
}

const isForAll = (group: IpAddr): boolean =>
  group.isV4 ? group.w3 === ALL_HOSTS : isAllNodes(group);
