// Routes with several next hops (fib_semantics.c: fib_rebalance, fib_select_multipath; net/ipv6/route.c): each flow takes
// one of them, by a hash of what fib_multipath_hash_policy says, in proportion to their weights. Not here: nexthop
// objects with ids, resilient groups, and policy 3 (fields by choice).

import { KeyedHash } from "../../base/half-siphash.ts";
import type { Rng } from "../../base/rng.ts";
import type { Family, IpAddr } from "../ip-addr.ts";
import { type FlowKey, NO_FLOW } from "./flow-key.ts";
import { compareAddr } from "./prefix.ts";
import type { Flow } from "./rules.ts";

export const WEIGHT_MAX = 256;

export interface NextHopConfig {
  /** null: on the link. */
  gateway: IpAddr | null;
  nicId: number;
  weight?: number;
  /** The gateway is taken to be on the link, whatever the addresses say (RTNH_F_ONLINK). */
  isOnLink?: boolean;
}

export class NextHop {
  readonly gateway: IpAddr | null;
  readonly nicId: number;
  readonly weight: number;
  readonly isOnLink: boolean;
  /** Its interface is down. */
  isDead = false;
  /** Hashes of 31 bits up to this one, and beyond that of the hop before, are its own; -1: none. */
  upperBound = -1;

  constructor(config: NextHopConfig) {
    this.gateway = config.gateway?.clone() ?? null;
    this.nicId = config.nicId;
    this.weight = config.weight ?? 1;
    this.isOnLink = config.isOnLink ?? false;
  }

  isSame(gateway: IpAddr | null, nicId: number): boolean {
    if (nicId !== 0 && nicId !== this.nicId) return false;
    return gateway === null || this.gateway?.equals(gateway) === true;
  }
}

/** What a choice asks of the interfaces. */
export interface HopOracle {
  /** Whether we would send from src by this hop, had nobody asked for an address. */
  isSourceOf(hop: NextHop, src: IpAddr): boolean;
  /** false: a neighbour that does not answer (fib_good_nh; rt6_check_neigh). */
  isAlive(hop: NextHop, family: Family): boolean;
}

export class NextHops {
  readonly list: readonly NextHop[];

  constructor(hops: readonly NextHopConfig[]) {
    this.list = hops.map((hop) => new NextHop(hop));
    this.#rebalance();
  }

  leadsBy(nicId: number): boolean {
    return this.list.some((hop) => hop.nicId === nicId);
  }
  hasGateway(gateway: IpAddr): boolean {
    return this.list.some((hop) => hop.gateway?.equals(gateway) === true);
  }

  /** Of an interface that went down or came up. False: no hop is left. */
  setDead(nicId: number, isDead: boolean): boolean {
    for (const hop of this.list) if (hop.nicId === nicId) hop.isDead = isDead;
    this.#rebalance();
    return this.list.some((hop) => !hop.isDead);
  }

  /** fib_rebalance. */
  #rebalance(): void {
    let total = 0;
    for (const hop of this.list) if (!hop.isDead) total += hop.weight;
    let sum = 0;
    for (const hop of this.list) {
      if (!hop.isDead) sum += hop.weight;
      // DIV_ROUND_CLOSEST_ULL.
      const bound = Math.floor((sum * 0x8000_0000 + (total >>> 1)) / total) - 1;
      hop.upperBound = hop.isDead ? -1 : bound;
    }
  }

  /**
   * fib_select_multipath: the hop whose the hash is, but rather one that we would send from src by; not one whose neighbour
   * does not answer, unless none does. By a given interface it is the first one there (fib_select_path).
   */
  select(hash: number, { dst, src, oif }: Flow, oracle: HopOracle): NextHop {
    const { family } = dst;
    let best: NextHop | null = null;
    let bestScore = -1;
    let first: NextHop | null = null;
    for (const hop of this.list) {
      if (hop.isDead || (oif !== 0 && hop.nicId !== oif)) continue;
      if (oif !== 0) return hop;
      first ??= hop;
      if (!oracle.isAlive(hop, family)) continue;
      let score = hash <= hop.upperBound ? 1 : 0;
      if (src !== null && oracle.isSourceOf(hop, src)) score += 2;
      if (score <= bestScore) continue;
      best = hop;
      bestScore = score;
      if (score === 3 || (score === 1 && src === null)) break;
    }
    return best ?? first ?? this.list[0];
  }
}

/** fib_multipath_hash_policy. */
export const HashPolicy = {
  /** Addresses. */
  L3: 0,
  /** And protocol and ports. */
  L4: 1,
  /** Addresses of what a tunnel carries, when there is one. */
  Inner: 2,
} as const;

export class Multipath {
  /** Routes with several next hops. */
  count = 0;
  readonly #policy = { 4: 0, 6: 0 };
  /** fib_multipath_use_neigh. */
  #usesNeighbors = false;
  readonly #rng: Rng;
  readonly #onChange: () => void;
  /** Made when it is needed. */
  #hash: KeyedHash | null = null;

  constructor(rng: Rng, onChange: () => void) {
    this.#rng = rng;
    this.#onChange = onChange;
  }

  policyOf(family: Family): number {
    return this.#policy[family];
  }
  setPolicy(family: Family, policy: number): void {
    this.#policy[family] = policy;
    this.#onChange();
  }
  get usesNeighbors(): boolean {
    return this.#usesNeighbors;
  }
  set usesNeighbors(on: boolean) {
    this.#usesNeighbors = on;
    this.#onChange();
  }
  /** Whether some choice depends on more than addresses. */
  get asksFlow(): boolean {
    return (
      this.count > 0 && (this.#policy[4] === HashPolicy.L4 || this.#policy[6] === HashPolicy.L4)
    );
  }

  /** fib_multipath_hash, rt6_multipath_hash: 31 bits, the same for both directions. */
  hash(src: IpAddr | null, dst: IpAddr, key: Readonly<FlowKey> | null): number {
    this.#hash ??= new KeyedHash(this.#rng);
    const policy = this.#policy[dst.family];
    const isByPorts = policy === HashPolicy.L4;
    const { protocol, srcPort, dstPort, innerSrc, innerDst, isQuote, flowLabel } = key ?? NO_FLOW;
    const isInner = !isByPorts && (isQuote || policy === HashPolicy.Inner);
    let a = (isInner ? innerSrc : null) ?? src;
    let b = (isInner ? innerDst : null) ?? dst;
    const order = a === null ? -1 : compareAddr(a, b);
    const isForward = order < 0 || (order === 0 && srcPort <= dstPort);
    if (!isForward) [a, b] = [b, a as IpAddr];
    const hash = this.#hash.begin();
    if (a !== null) addAddr(hash, a);
    addAddr(hash, b);
    if (!isByPorts && flowLabel !== 0) hash.add(flowLabel);
    if (isByPorts) {
      const ports = isForward ? (srcPort << 16) | dstPort : (dstPort << 16) | srcPort;
      hash.add(protocol).add(ports);
    }
    return hash.end() >>> 1;
  }
}

function addAddr(hash: KeyedHash, addr: IpAddr): void {
  hash.add(addr.w3);
  if (!addr.isV4) hash.add(addr.w2).add(addr.w1).add(addr.w0);
}
