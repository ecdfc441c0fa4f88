// The groups that one endpoint is in, each with its source filter (RFC 3678; Linux's ip_mc_source, ip_mc_msfilter and
// their IPv6 likes). Which packets that lets in: accepts (ip_mc_sf_allow, inet6_mc_check).

import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { ANY_SOURCE, type GroupFilter, NO_SOURCE } from "./nic-groups.ts";
import type { Stack } from "./stack.ts";

interface Membership {
  readonly group: IpAddr;
  readonly nicId: number;
  filter: GroupFilter;
  /** It has had sources: its mode is no longer changed by the next one. */
  hasList: boolean;
}

export class Memberships {
  readonly #stack: Stack;
  readonly #all: Membership[] = [];

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  join(group: IpAddr, nicId: number, filter: GroupFilter = ANY_SOURCE): NetError | 0 {
    if (!group.isMulticast) return NetErr.InvalidArgument;
    const nic = this.#stack.interfaces.groupNic(group, nicId);
    if (nic === null) return NetErr.NoDevice;
    if (this.#find(group, nic.id) !== undefined) return NetErr.AddressInUse;
    const { groups } = this.#stack;
    if (this.#all.length >= (group.isV4 ? groups.membershipsMax : groups.membershipsMax6)) {
      return NetErr.NoBuffers;
    }
    const result = nic.groups.change(group, null, filter);
    if (result < 0) return result;
    this.#all.push({ group: group.clone(), nicId: nic.id, filter, hasList: false });
    return 0;
  }

  leave(group: IpAddr, nicId: number): NetError | 0 {
    // ip_mc_leave_group looks for an interface first, ipv6_sock_mc_drop at the group.
    if (group.isV4 && nicId === 0 && this.#stack.interfaces.groupNic(group, 0) === null) {
      return NetErr.NoDevice;
    }
    if (!group.isV4 && !group.isMulticast) return NetErr.InvalidArgument;
    const at = this.#all.findIndex(
      (m) => m.group.equals(group) && (nicId === 0 || m.nicId === nicId),
    );
    if (at < 0) return NetErr.AddressNotAvailable;
    const [m] = this.#all.splice(at, 1);
    this.#stack.nicById(m.nicId)?.groups.change(group, m.filter, null);
    return 0;
  }

  close(): void {
    for (const m of this.#all) {
      this.#stack.nicById(m.nicId)?.groups.change(m.group, m.filter, null);
    }
    this.#all.length = 0;
  }

  /** `everything`: of groups that this endpoint has not joined, too. */
  accepts(group: IpAddr, source: IpAddr, nicId: number, everything: boolean): boolean {
    const m = this.#find(group, nicId);
    if (m === undefined) return everything;
    const { isInclude, sources } = m.filter;
    for (const s of sources) if (s.equals(source)) return isInclude;
    return !isInclude;
  }

  /**
   * One source more or less that is let in (include: IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_...) or kept out
   * (IP_BLOCK_SOURCE, IP_UNBLOCK_SOURCE). The first that is let in joins.
   */
  changeSource(
    group: IpAddr,
    nicId: number,
    source: IpAddr,
    include: boolean,
    add: boolean,
  ): NetError | 0 {
    if (!group.isMulticast) return NetErr.InvalidArgument;
    if (include && add) {
      const joined = this.join(group, nicId, NO_SOURCE);
      if (joined < 0 && joined !== NetErr.AddressInUse) return joined;
    }
    const nic = this.#stack.interfaces.groupNic(group, nicId);
    if (nic === null) return NetErr.NoDevice;
    const m = this.#find(group, nic.id);
    if (m === undefined) return NetErr.InvalidArgument;
    if (m.filter.isInclude !== include) {
      if (m.hasList) return NetErr.InvalidArgument;
      this.#change(m, { isInclude: include, sources: [] });
    }
    const { sources } = m.filter;
    const at = sources.findIndex((s) => s.equals(source));
    if (!add) {
      if (at < 0) return NetErr.AddressNotAvailable;
      // (INCLUDE, nobody) is to leave.
      if (include && sources.length === 1) return this.leave(group, nic.id);
      this.#change(m, { isInclude: include, sources: sources.toSpliced(at, 1) });
      return 0;
    }
    if (sources.length >= this.#sourcesMax(group)) return NetErr.NoBuffers;
    if (at >= 0) return NetErr.AddressNotAvailable;
    m.hasList = true;
    this.#change(m, { isInclude: include, sources: [...sources, source.clone()] });
    return 0;
  }

  /** A whole filter (IP_MSFILTER, MCAST_MSFILTER). Precondition: the caller gives the addresses away. */
  setFilter(group: IpAddr, nicId: number, filter: GroupFilter): NetError | 0 {
    if (!group.isMulticast) return NetErr.InvalidArgument;
    const nic = this.#stack.interfaces.groupNic(group, nicId);
    if (nic === null) return NetErr.NoDevice;
    if (filter.isInclude && filter.sources.length === 0) return this.leave(group, nic.id);
    const m = this.#find(group, nic.id);
    if (m === undefined) return NetErr.InvalidArgument;
    if (filter.sources.length > this.#sourcesMax(group)) return NetErr.NoBuffers;
    m.hasList = filter.sources.length > 0;
    this.#change(m, filter);
    return 0;
  }

  filterOf(group: IpAddr, nicId: number): GroupFilter | NetError {
    if (!group.isMulticast) return NetErr.InvalidArgument;
    const nic = this.#stack.interfaces.groupNic(group, nicId);
    if (nic === null) return NetErr.NoDevice;
    return this.#find(group, nic.id)?.filter ?? NetErr.AddressNotAvailable;
  }

  #find(group: IpAddr, nicId: number): Membership | undefined {
    for (const m of this.#all) if (m.nicId === nicId && m.group.equals(group)) return m;
    return undefined;
  }

  #sourcesMax(group: IpAddr): number {
    const { groups } = this.#stack;
    return group.isV4 ? groups.sourcesMax : groups.sourcesMax6;
  }

  #change(m: Membership, filter: GroupFilter): void {
    this.#stack.nicById(m.nicId)?.groups.change(m.group, m.filter, filter);
    m.filter = filter;
  }
}
