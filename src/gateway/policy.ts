// Who may go out: the rules of --allow and --deny put together. Closed by default; a deny wins over any
// allow. A rule by name matches only addresses that our own DNS gave for that name, so the address that was
// checked is the address dialled.

import {
  addressValue,
  type HostPattern,
  nameMatches,
  type Protocol,
  portMatches,
  type Rule,
} from "./rule.ts";

export interface Destination {
  protocol: Protocol;
  /** Text form. For the host's loopback: as the guest dialled it. */
  address: string;
  /** 0 for icmp. */
  port: number;
  /** Names that our DNS answered with this address. */
  names: readonly string[];
  /** The guest dialled the router's address: this machine's loopback. */
  isHost: boolean;
}

export interface Verdict {
  allowed: boolean;
  /** When not: a short reason, and the rule that would allow it. */
  reason: string;
  suggestedRule: string;
}

const ALLOWED: Verdict = { allowed: true, reason: "", suggestedRule: "" };

/** Address ranges that a name must not lead to: [first, bits, what it is]. */
const FORBIDDEN_V4: readonly (readonly [string, number, string])[] = [
  ["0.0.0.0", 8, "this network"],
  ["127.0.0.0", 8, "this machine's loopback"],
  ["169.254.0.0", 16, "link-local (cloud metadata)"],
  ["224.0.0.0", 4, "multicast"],
  ["240.0.0.0", 4, "reserved"],
];

/** 64:ff9b::/96. */
const NAT64 = 0x64_ff9bn << 64n;
/** Amazon's and Google's, which are not link-local. */
const METADATA_V6: ReadonlySet<bigint> = new Set(
  ["fd00:ec2::254", "fd20:ce::254"].map((text) => addressValue(text).value),
);

/** What an address is that only a rule by address may open; null for an ordinary one. */
export function forbiddenKind(address: string, ownAddresses: readonly string[]): string | null {
  if (ownAddresses.includes(address)) return "an address of this machine";
  const { family, value } = addressValue(address);
  return forbiddenValue(family, value);
}

function forbiddenValue(family: 4 | 6, value: bigint): string | null {
  if (family === 4) return forbiddenV4(value);
  const MAPPED = 0xffffn;
  if (value >> 32n === MAPPED) return forbiddenV4(value & 0xffff_ffffn);
  if (value <= 1n) return "this machine's loopback";
  // An IPv4 address inside an IPv6 one is judged as what it is: NAT64 (RFC 6052), 6to4 (RFC 3056).
  if (value >> 32n === NAT64) return forbiddenV4(value & 0xffff_ffffn);
  const SIXTOFOUR = 0x2002n;
  if (value >> 112n === SIXTOFOUR) return forbiddenV4((value >> 80n) & 0xffff_ffffn);
  if (METADATA_V6.has(value)) return "cloud metadata";
  const LINK_LOCAL = 0xfe80n >> 6n;
  if (value >> 118n === LINK_LOCAL) return "link-local";
  const MULTICAST = 0xffn;
  return value >> 120n === MULTICAST ? "multicast" : null;
}

function forbiddenV4(value: bigint): string | null {
  for (const [first, bits, what] of FORBIDDEN_V4) {
    const shift = BigInt(32 - bits);
    if (value >> shift === addressValue(first).value >> shift) return what;
  }
  return null;
}

export class Policy {
  readonly #allow: readonly Rule[];
  readonly #deny: readonly Rule[];
  /** Addresses of this machine's interfaces. */
  readonly #own: readonly string[];

  constructor(allow: readonly Rule[], deny: readonly Rule[], ownAddresses: readonly string[] = []) {
    this.#allow = allow;
    this.#deny = deny;
    this.#own = ownAddresses;
  }

  check(d: Destination): Verdict {
    const denied = this.#deny.find((rule) => this.#matches(rule, d, true));
    if (denied !== undefined) return this.#refuse(d, `denied by --deny ${denied.text}`);
    if (this.#allow.some((rule) => this.#matches(rule, d, false))) return ALLOWED;
    const forbidden = d.isHost ? null : forbiddenKind(d.address, this.#own);
    if (forbidden !== null && d.names.length > 0) {
      return this.#refuse(d, `${d.names[0]} leads to ${forbidden}`);
    }
    return this.#refuse(d, "no --allow rule");
  }

  /** Whether our DNS may ask the world about a name: only names that some rule could let out. */
  mayResolve(name: string): boolean {
    if (
      this.#deny.some((r) => r.ports === null && r.protocol === null && nameMatches(r.host, name))
    ) {
      return false;
    }
    return this.#allow.some((rule) => nameMatches(rule.host, name));
  }

  #matches(rule: Rule, d: Destination, isDeny: boolean): boolean {
    return portMatches(rule, d.protocol, d.port) && this.#hostMatches(rule.host, d, isDeny);
  }

  #hostMatches(pattern: HostPattern, d: Destination, isDeny: boolean): boolean {
    if (pattern.kind === "host") return d.isHost;
    // The host's loopback is opened by `host` alone, never by a name, a range or `all`.
    if (d.isHost) return isDeny && pattern.kind === "all";
    const forbidden = isDeny ? null : forbiddenKind(d.address, this.#own);
    if (pattern.kind === "range") {
      const { family, value } = addressValue(d.address);
      const { first, last } = pattern;
      if (family !== pattern.family || value < first || value > last) return false;
      // 0.0.0.0/0 means the world, not this machine's metadata: a range opens these only when it is meant.
      if (forbidden === null || first === last) return true;
      return (
        forbiddenValue(family, first) === forbidden && forbiddenValue(family, last) === forbidden
      );
    }
    if (forbidden !== null) return false;
    if (pattern.kind === "all") return true;
    return d.names.some((name) => nameMatches(pattern, name));
  }

  #refuse(d: Destination, reason: string): Verdict {
    const host = d.isHost ? "host" : (d.names[0] ?? d.address);
    const shown = host.includes(":") ? `[${host}]` : host;
    const prefix = d.protocol === "tcp" ? "" : `${d.protocol}:`;
    const port = d.port > 0 ? `:${d.port}` : "";
    return { allowed: false, reason, suggestedRule: `${prefix}${shown}${port}` };
  }
}
