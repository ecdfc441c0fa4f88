// The stack's routes in the words of network-view.ts, and what rtnetlink's requests mean for them: which route is named,
// what becomes of one of several next hops. Linux's fib_table_insert, fib_table_delete, fib_nh_match; fib6_add_rt2node and
// ip6_route_del, where each next hop is a route of its own.

import {
  compareAddr,
  maskAddr,
  NetErr,
  type NetError,
  type RouteConfig,
  type RouteEntry,
  type RouteTables,
} from "../../../netstack/index.ts";
import type { HopChange, HopView, RouteChange, RouteView } from "./network-view.ts";

type Asked = Pick<HopChange, "gateway" | "index">;

/**
 * By address. IPv4 as fib_trie.c walks it: the default route comes first; IPv6 as fib6_walk does: a net after those that lie
 * in it.
 */
function inDumpOrder(entries: readonly RouteEntry[]): RouteEntry[] {
  const v4 = entries.filter((e) => e.dst.isV4);
  v4.sort((a, b) => (a.dst.w3 >>> 0) - (b.dst.w3 >>> 0) || b.bits - a.bits || a.metric - b.metric);
  const v6 = entries.filter((e) => !e.dst.isV4);
  v6.sort((a, b) => {
    const bits = Math.min(a.bits, b.bits);
    const [x, y] = [maskAddr(a.dst, bits), maskAddr(b.dst, bits)];
    return compareAddr(x, y) || b.bits - a.bits || a.metric - b.metric;
  });
  return [...v4, ...v6];
}

export function dumpedRoutes(routes: RouteTables): RouteView[] {
  const tables = routes.tables.sort((a, b) => b - a);
  return tables.flatMap((table) => inDumpOrder(routes.entriesOf(table))).map(routeView);
}

export function routeView(entry: RouteEntry): RouteView {
  const { dst, prefixBits, gateway, isOnLink, mtu, advmss, metric, src, origin, table, type } =
    entry;
  return {
    ...{ dst, prefixBits, gateway, isOnLink, mtu, advmss, metric, src, origin, table, type },
    index: entry.nicId,
    hops: entry.hops === null ? null : hopsOf(entry),
  };
}

function hopsOf(entry: RouteEntry): HopView[] {
  const { gateway, nicId, isOnLink, hops } = entry;
  if (hops === null) return [{ gateway, index: nicId, weight: 1, isOnLink, isDead: false }];
  return hops.list.map((hop) => ({
    gateway: hop.gateway,
    index: hop.nicId,
    weight: hop.weight,
    isOnLink: hop.isOnLink,
    isDead: hop.isDead,
  }));
}

export function routeConfig(r: Omit<RouteChange, "hops">, hops: RouteChange["hops"]): RouteConfig {
  return { ...r, nicId: r.index, hops: hops?.map((hop) => ({ ...hop, nicId: hop.index })) };
}

const fits = (hop: Asked, asked: Asked): boolean =>
  (asked.index === 0 || asked.index === hop.index) &&
  (asked.gateway === null || hop.gateway?.equals(asked.gateway) === true);

/** fib_nh_match: one gateway is the first hop's, of several each is in its place. IPv6's may be any. */
function hasWays(entry: RouteEntry, { dst, hops, gateway, index }: RouteChange): boolean {
  const own = hopsOf(entry);
  const named: readonly Asked[] = hops ?? [{ gateway, index }];
  if (dst.isV4) return named.every((asked, i) => i < own.length && fits(own[i], asked));
  return named.every((asked) => own.some((hop) => fits(hop, asked)));
}

function find(routes: RouteTables, r: RouteChange): RouteEntry | undefined {
  const bits = r.dst.isV4 ? r.prefixBits + 96 : r.prefixBits;
  return routes.entriesOf(r.table).find(
    (e) =>
      e.bits === bits &&
      (r.type === 0 || e.type === r.type) &&
      e.dst.isV4 === r.dst.isV4 &&
      e.dst.equals(r.dst) &&
      // Without a metric the first that matches goes, as on Linux.
      (r.metric === 0 || e.metric === r.metric) &&
      hasWays(e, r),
  );
}

const whatever = (r: RouteChange): RouteChange => ({ ...r, hops: null, gateway: null, index: 0 });

/** The same destination and metric. */
export function hasRoute(routes: RouteTables, r: RouteChange): boolean {
  const same = find(routes, { ...whatever(r), type: 0 });
  return same !== undefined && same.metric === r.metric;
}

/** IPv4: the whole route. IPv6: of several next hops those that are named, or all when none is. False: none such. */
export function removeRoute(routes: RouteTables, r: RouteChange): boolean {
  if (r.dst.isV4 || r.hops === null) return removeOne(routes, r);
  // ip6_route_multipath_del: each for itself.
  const { dst } = r;
  let areThere = true;
  for (const { gateway, index } of r.hops) {
    if (!removeOne(routes, { ...r, dst, hops: null, gateway, index })) areThere = false;
  }
  return areThere;
}

function removeOne(routes: RouteTables, r: RouteChange): boolean {
  const entry = find(routes, r);
  if (entry === undefined) return false;
  if (entry.hops === null || r.dst.isV4 || r.gateway === null) return routes.remove(entry);
  const rest = hopsOf(entry).filter((hop) => !fits(hop, r));
  return rest.length === 0 ? routes.remove(entry) : exchange(routes, entry, rest) === 0;
}

/** The new route stands where the first with its destination and metric stood. */
export function replaceRoute(routes: RouteTables, r: RouteChange): NetError | 0 {
  const entry = find(routes, { ...whatever(r), type: 0 });
  if (entry === undefined) return NetErr.NotFound;
  return routes.replace(entry, routeConfig(r, r.hops));
}

/**
 * IPv6: with the same destination and metric it is one more next hop of what is there (rt6_qualify_for_ecmp). null: nothing
 * there could have several.
 */
export function appendHop(routes: RouteTables, r: RouteChange): NetError | 0 | null {
  const entry = find(routes, whatever(r));
  const named = r.hops ?? [{ ...r, weight: 1 }];
  if (entry === undefined || entry.gateway === null || entry.metric !== r.metric) return null;
  if (named.some((hop) => hop.gateway === null)) return null;
  const own = hopsOf(entry);
  const isThere = named.some((hop) => own.some((old) => fits(old, hop) && old.index === hop.index));
  return isThere ? NetErr.AddressInUse : exchange(routes, entry, [...own, ...named]);
}

/** The same route by these ways. */
function exchange(
  routes: RouteTables,
  entry: RouteEntry,
  hops: readonly HopChange[],
): NetError | 0 {
  const several = hops.length > 1 ? hops : null;
  return routes.replace(entry, routeConfig({ ...routeView(entry), ...hops[0] }, several));
}
