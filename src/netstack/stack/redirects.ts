// Routes to single hosts that the router in use has told of (RFC 1122 3.2.2.2, RFC 4861 8). Whether a redirect may
// be believed at all is for who parsed it; here: whether it came from the router in use, and that there are not
// too many. The oldest gives way.

import type { IpAddr } from "../ip-addr.ts";
import type { RouteEntry } from "./route-entry.ts";
import type { Stack } from "./stack.ts";

const REDIRECTS_MAX = 64;
/** RTPROT_REDIRECT. */
const ORIGIN_REDIRECT = 1;

export class Redirects {
  readonly entries: RouteEntry[] = [];
  readonly #stack: Stack;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  // @rfc 1122 3.2.2.2b
  // @rfc 4861 8.1
  /** True when followed: `from` is the router in use for dst. gateway null: dst is on the link. */
  follow(nicId: number, from: IpAddr, dst: IpAddr, gateway: IpAddr | null): boolean {
    const { routes } = this.#stack;
    const current = routes.lookup(dst, nicId);
    if (current === null || !current.hasGateway(from)) return false;
    if (this.entries.length >= REDIRECTS_MAX) routes.remove(this.entries.shift() as RouteEntry);
    const prefixBits = dst.isV4 ? 32 : 128;
    const route = routes.insert({ dst, prefixBits, gateway, nicId, origin: ORIGIN_REDIRECT });
    if (typeof route === "number") return false;
    const old = this.entries.findIndex((r) => r.dst.equals(dst));
    if (old >= 0) routes.remove(this.entries.splice(old, 1)[0]);
    this.entries.push(route);
    return true;
  }
}
