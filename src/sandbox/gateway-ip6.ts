// The IPv6 network inside the gateway: what --ip6 and --router6 mean there. Off unless asked for.

import { IpAddr, parseIp } from "../netstack/index.ts";
import { NetcellError } from "./errors.ts";
import type { SandboxOptions } from "./options.ts";

/** What "auto" means: a prefix of our own (RFC 4193), as 10.0.2.15/24 is for IPv4. */
const AUTO = "fd00:6e63::15/64";
const ROUTER_ID = 2;

export interface GatewayIp6 {
  cidr: string;
  router6: { addr: IpAddr; prefixBits: number };
}

/** Null: no IPv6. The router has the prefix's address 2, unless given or the guest's own. */
export function gatewayIp6(options: SandboxOptions): GatewayIp6 | null {
  if (options.ip6 === undefined) return null;
  const cidr = options.ip6 === "auto" ? AUTO : options.ip6;
  const [address, bits] = cidr.split("/");
  const prefixBits = Number(bits);
  if (options.router6 !== undefined) {
    return { cidr, router6: { addr: parse(options.router6), prefixBits } };
  }
  if (prefixBits > 126) {
    throw new NetcellError("ERR_USAGE", `ip6 "${cidr}" has no room for a router: give router6.`);
  }
  const own = parse(address);
  const addr = own.clone();
  for (const [i, word] of (["w0", "w1", "w2", "w3"] as const).entries()) {
    const kept = prefixBits - 32 * i;
    if (kept < 32) addr[word] = kept <= 0 ? 0 : addr[word] & (-1 << (32 - kept));
  }
  addr.w3 |= ROUTER_ID;
  if (addr.equals(own)) addr.w3--;
  return { cidr, router6: { addr, prefixBits } };
}

/** The options were checked. */
const parse = (text: string): IpAddr => parseIp(text) ?? new IpAddr();
