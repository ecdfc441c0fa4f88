// ICMP and ICMPv6 types and codes by the names that scripts use (RFC 792, RFC 1812, RFC 4443).

import { type Family, IPV4 } from "../../netstack/index.ts";
import type { IcmpSpec } from "./ast.ts";

interface IcmpType {
  type: number;
  codes: readonly string[];
}

const V4: Readonly<Record<string, IcmpType>> = {
  echo_reply: { type: 0, codes: [] },
  unreachable: {
    type: 3,
    codes: [
      "net_unreachable",
      "host_unreachable",
      "protocol_unreachable",
      "port_unreachable",
      "frag_needed",
      "source_route_failed",
      "net_unknown",
      "host_unknown",
      "source_host_isolated",
      "net_prohibited",
      "host_prohibited",
      "net_unreachable_for_tos",
      "host_unreachable_for_tos",
      "packet_filtered",
      "precedence_violation",
      "precedence_cutoff",
    ],
  },
  source_quench: { type: 4, codes: [] },
  redirect: { type: 5, codes: [] },
  echo_request: { type: 8, codes: [] },
  time_exceeded: {
    type: 11,
    codes: ["exc_ttl", "exc_fragtime", "ttl_exceeded_in_transit", "frag_reass_exceeded"],
  },
  parameter_problem: { type: 12, codes: ["code_0", "code_1", "code_2"] },
};

const V6: Readonly<Record<string, IcmpType>> = {
  unreachable: {
    type: 1,
    codes: [
      "no_route",
      "admin_prohibited",
      "not_neighbour",
      "address_unreachable",
      "port_unreachable",
    ],
  },
  packet_too_big: { type: 2, codes: [] },
  time_exceeded: {
    type: 3,
    codes: ["exc_hop", "exc_fragtime", "exceeded_hop_limit", "exceeded_frag_time"],
  },
  parameter_problem: { type: 4, codes: ["header_field", "unknown_next_header", "unknown_option"] },
  echo_request: { type: 128, codes: [] },
  echo_reply: { type: 129, codes: [] },
};

/** [type, code], or null when the family has no such thing. No code is code 0. */
export function icmpCodes(spec: IcmpSpec, family: Family): [number, number] | null {
  const found = (family === IPV4 ? V4 : V6)[spec.type];
  if (found === undefined) return null;
  if (spec.code === "") return [found.type, 0];
  if (/^\d+$/.test(spec.code)) return [found.type, Number(spec.code)];
  const code = found.codes.indexOf(spec.code);
  if (code < 0) return null;
  // Time exceeded has two codes, each with two names.
  return [found.type, spec.type === "time_exceeded" ? code & 1 : code];
}
