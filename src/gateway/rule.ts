// Egress rules as people write them: [tcp:|udp:|icmp:]HOST[:PORTS], and what they match. HOST is a name,
// *.name, an address, a CIDR, `host` (this machine's loopback) or `all`; PORTS is 443, 8000-8999, or a
// comma-separated list of such. IPv6 addresses stand in brackets when ports follow.

import { IPv4, IPv4CidrRange, IPv6, IPv6CidrRange } from "ip-num";

export type Protocol = "tcp" | "udp" | "icmp";

export interface PortRange {
  first: number;
  last: number;
}

export type HostPattern =
  | { kind: "all" }
  | { kind: "host" }
  | { kind: "name"; name: string }
  /** Any name below it, not itself. */
  | { kind: "subdomains"; of: string }
  /** One address or a CIDR, as inclusive bounds of the family's integers. */
  | { kind: "range"; family: 4 | 6; first: bigint; last: bigint };

export interface Rule {
  text: string;
  /** Null: any. */
  protocol: Protocol | null;
  host: HostPattern;
  /** Null: any. */
  ports: readonly PortRange[] | null;
}

/** Why a rule cannot be read: one sentence. */
export class RuleError extends Error {
  override readonly name = "RuleError";
}

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

function isName(text: string): boolean {
  return text.length <= 253 && text.split(".").every((label) => LABEL.test(label));
}

function parsePorts(text: string, rule: string): PortRange[] {
  return text.split(",").map((part) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    const first = Number(match?.[1] ?? 0);
    const last = Number(match?.[2] ?? first);
    if (match === null || first < 1 || last > 65_535 || first > last) {
      throw new RuleError(
        `rule "${rule}" has no valid port in "${part}"; write for example 443 or 8000-8999.`,
      );
    }
    return { first, last };
  });
}

function parseRange(text: string): HostPattern | null {
  try {
    if (text.includes(":")) {
      const range = text.includes("/")
        ? IPv6CidrRange.fromCidr(text)
        : IPv6CidrRange.fromCidr(`${text}/128`);
      return {
        kind: "range",
        family: 6,
        first: range.getFirst().getValue(),
        last: range.getLast().getValue(),
      };
    }
    if (!/^[\d./]+$/.test(text)) return null;
    const range = IPv4CidrRange.fromCidr(text.includes("/") ? text : `${text}/32`);
    return {
      kind: "range",
      family: 4,
      first: range.getFirst().getValue(),
      last: range.getLast().getValue(),
    };
  } catch {
    return null;
  }
}

function parseHost(text: string, rule: string): HostPattern {
  const host = text.toLowerCase().replace(/\.$/, "");
  if (host === "all") return { kind: "all" };
  if (host === "host") return { kind: "host" };
  const range = parseRange(host);
  if (range !== null) return range;
  if (!/^[\d./:]+$/.test(host)) {
    if (host.startsWith("*.") && isName(host.slice(2))) {
      return { kind: "subdomains", of: host.slice(2) };
    }
    if (isName(host)) return { kind: "name", name: host };
  }
  throw new RuleError(
    `rule "${rule}" names no host in "${text}"; write a name, *.name, an address, a CIDR, host or all.`,
  );
}

/** Splits HOST from PORTS: brackets hold an IPv6 address, a bare one has two colons or more. */
function splitPorts(text: string): [string, string | null] {
  const bracketed = /^\[([^\]]*)\](\/\d+)?(?::(.*))?$/.exec(text);
  if (bracketed !== null) return [bracketed[1] + (bracketed[2] ?? ""), bracketed[3] ?? null];
  const colon = text.indexOf(":");
  if (colon < 0 || text.indexOf(":", colon + 1) >= 0) return [text, null];
  return [text.slice(0, colon), text.slice(colon + 1)];
}

/** Throws RuleError. */
export function parseRule(text: string): Rule {
  const prefix = /^(tcp|udp|icmp):(?!:)/.exec(text);
  const protocol = (prefix?.[1] ?? null) as Protocol | null;
  const [host, ports] = splitPorts(prefix === null ? text : text.slice(prefix[0].length));
  if (host === "") throw new RuleError(`rule "${text}" has no host.`);
  if (protocol === "icmp" && ports !== null) {
    throw new RuleError(`rule "${text}" has ports, but icmp has none.`);
  }
  return {
    text,
    protocol,
    host: parseHost(host, text),
    ports: ports === null ? null : parsePorts(ports, text),
  };
}

export function addressValue(address: string): { family: 4 | 6; value: bigint } {
  return address.includes(":")
    ? { family: 6, value: IPv6.fromString(address).getValue() }
    : { family: 4, value: IPv4.fromString(address).getValue() };
}

export function nameMatches(pattern: HostPattern, name: string): boolean {
  const lower = name.toLowerCase().replace(/\.$/, "");
  if (pattern.kind === "name") return pattern.name === lower;
  if (pattern.kind === "subdomains") return lower.endsWith(`.${pattern.of}`);
  return pattern.kind === "all";
}

export function portMatches(rule: Rule, protocol: Protocol, port: number): boolean {
  if (rule.protocol !== null && rule.protocol !== protocol) return false;
  return rule.ports === null || rule.ports.some((r) => r.first <= port && port <= r.last);
}
