// The name server that programs see at the router's address (RFC 1035; messages by dns-packet). It asks the
// host's resolver, and only about names that some --allow rule could let out. No recursion of its own, no
// cache (the host has one), no zone transfers.

import { type Answer, decode, encode, type Packet, type Question } from "dns-packet";
import { parseIp } from "../netstack/index.ts";
import type { NameTable } from "./name-table.ts";
import { forbiddenKind, type Policy } from "./policy.ts";

export const HOST_NAME = "host.netcell.internal";
export const ROUTER_NAME = "router.netcell.internal";

const TTL_S = 30;
const FLAG_RD = 0x0100;
const FLAG_RA = 0x0080;
const FLAG_AA = 0x0400;
const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
const UDP_BYTES_MAX = 512;

/** Asks the host. Rejects with an error whose code is ENOTFOUND or ENODATA for "no such thing". */
export type Resolve = (name: string, family: 4 | 6) => Promise<string[]>;

export interface DnsOptions {
  policy: Policy;
  names: NameTable;
  resolve: Resolve;
  routerAddress: string;
  ownAddresses: readonly string[];
  /** Whether the sandbox and this machine both have IPv6: only then is AAAA answered. */
  hasIpv6: boolean;
}

interface Result {
  rcode: number;
  answers: Answer[];
}

export class DnsServer {
  readonly #options: DnsOptions;

  constructor(options: DnsOptions) {
    this.#options = options;
  }

  /** The answer to one query, or null for what is no query. Never rejects. */
  async answer(query: Uint8Array, overTcp: boolean): Promise<Uint8Array | null> {
    let packet: Packet;
    try {
      packet = decode(Buffer.from(query.buffer, query.byteOffset, query.byteLength));
    } catch {
      return query.length < 12 ? null : formatError(query);
    }
    if (packet.type !== "query") return null;
    const question = packet.questions?.[0];
    if (question === undefined || packet.questions?.length !== 1) return formatError(query);
    const { rcode, answers } = await this.#resolve(question);
    const base: Packet = {
      type: "response",
      id: packet.id ?? 0,
      flags: ((packet.flags ?? 0) & FLAG_RD) | FLAG_RA | FLAG_AA | rcode,
      questions: [question],
    };
    const whole = encode({ ...base, answers });
    const optional = packet.additionals?.find((a) => a.type === "OPT");
    const limit = overTcp
      ? 65_535
      : Math.max(UDP_BYTES_MAX, optional?.type === "OPT" ? optional.udpPayloadSize : 0);
    if (whole.length <= limit) return whole;
    const FLAG_TC = 0x0200;
    return encode({ ...base, flags: (base.flags ?? 0) | FLAG_TC, answers: [] });
  }

  async #resolve(question: Question): Promise<Result> {
    const { policy, names, routerAddress, ownAddresses, hasIpv6 } = this.#options;
    const name = question.name.toLowerCase().replace(/\.$/, "");
    const none = { rcode: RCODE.NOERROR, answers: [] };
    if (question.class !== undefined && question.class !== "IN") {
      return { rcode: RCODE.NOTIMP, answers: [] };
    }
    const isV4 = question.type === "A";
    if (name === HOST_NAME || name === ROUTER_NAME) {
      return isV4 ? { ...none, answers: [address(question, routerAddress)] } : none;
    }
    if (name === "localhost" || name.endsWith(".localhost")) {
      return isV4 ? { ...none, answers: [address(question, "127.0.0.1")] } : none;
    }
    if (!isV4 && question.type !== "AAAA") {
      // Other records carry data of anyone's choice both ways: not through a policy of hosts and ports.
      return policy.mayResolve(name) ? none : { rcode: RCODE.REFUSED, answers: [] };
    }
    if (!policy.mayResolve(name)) {
      return isV4 ? { ...none, answers: [address(question, names.standIn(name))] } : none;
    }
    if (!isV4 && !hasIpv6) return none;
    let found: string[];
    try {
      found = canonical(await this.#options.resolve(name, isV4 ? 4 : 6), isV4);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const missing = code === "ENOTFOUND" || code === "ENODATA";
      return { rcode: missing ? RCODE.NXDOMAIN : RCODE.SERVFAIL, answers: [] };
    }
    for (const a of found) names.record(name, a);
    const usable = found.filter((a) => forbiddenKind(a, ownAddresses) === null);
    // All forbidden: they are given, so that the connection is refused with the reason.
    return {
      ...none,
      answers: (usable.length > 0 ? usable : found).map((a) => address(question, a)),
    };
  }
}

/** Addresses as the stack writes them, by which the name table is asked later; no IPv4 in disguise. */
function canonical(found: readonly string[], isV4: boolean): string[] {
  const all: string[] = [];
  for (const text of found) {
    const addr = parseIp(text);
    if (addr !== null && addr.isV4 === isV4) all.push(addr.toString());
  }
  return all;
}

function address(question: Question, data: string): Answer {
  const type = data.includes(":") ? "AAAA" : "A";
  return { type, class: "IN", name: question.name, ttl: TTL_S, data };
}

function formatError(query: Uint8Array): Uint8Array {
  const reply = new Uint8Array(12);
  reply[0] = query[0];
  reply[1] = query[1];
  reply[2] = 0x80;
  reply[3] = RCODE.FORMERR;
  return reply;
}
