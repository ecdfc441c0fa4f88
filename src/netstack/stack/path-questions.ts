// The questions for a way through the network that a stack answers (Linux's ip_route_output_flow and its callers): to an
// address, for a connection, with options, back to who sent a packet. Not the answers: path-cache.ts, path.ts.

import { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { IpOptions } from "../wire/ipv4-options.ts";
import type { ExtensionHeaders } from "../wire/ipv6-extensions.ts";
import { type FlowKey, replyKey } from "./flow-key.ts";
import type { Ipv4 } from "./ipv4.ts";
import { hasIpOptions } from "./ipv4-options.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { Path } from "./path.ts";
import type { PathCache } from "./path-cache.ts";
import type { RouteTables } from "./routes.ts";
import type { HeaderOptions } from "./transport.ts";

export abstract class PathQuestions {
  abstract readonly routes: RouteTables;
  abstract readonly ipv4: Ipv4;
  protected abstract readonly paths: PathCache;

  get asksFlow(): boolean {
    return this.routes.asksFlow;
  }
  findRoute(
    src: IpAddr | null,
    dst: IpAddr,
    nicId = 0,
    mark = 0,
    key: FlowKey | null = null,
  ): Path | NetError {
    return this.paths.find(src, dst, nicId, mark, key);
  }

  /** For a connection: with its source known, rules about sources have their say (ip_route_connect). */
  findConnectRoute(
    src: IpAddr | null,
    dst: IpAddr,
    nicId: number,
    mark: number,
    key: FlowKey | null = null,
  ): Path | NetError {
    const path = this.findRoute(src, dst, nicId, mark, key);
    if (src !== null || typeof path === "number") return path;
    return this.routes.asksSource(dst.family)
      ? this.findRoute(path.src, dst, nicId, mark, key)
      : path;
  }

  findOptionRoute(
    options: HeaderOptions | null,
    src: IpAddr | null,
    dst: IpAddr,
    nicId = 0,
    mark = 0,
    key: FlowKey | null = null,
  ): Path | NetError {
    if (options === null || options.length === 0) return this.findRoute(src, dst, nicId, mark, key);
    const to = options.hasSourceRoute ? firstHopOf(options) : dst;
    const path = this.findRoute(src, to, nicId, mark, key);
    return typeof path === "number" ? path : path.withOptions(options, dst);
  }

  /**
   * From where pkt went to where it came from; IPv4 options are echoed, extension headers are who answers' own. uid:
   * whose endpoint answers. isError: what goes is an ICMP error about it.
   */
  findReplyRoute(
    pkt: PacketBuffer,
    nicId = 0,
    mark = 0,
    uid = 0,
    extensions: ExtensionHeaders | null = null,
    from: IpAddr | null = pkt.dst,
    isError = false,
  ): Path | NetError {
    const key = this.routes.asksFlow ? replyKey(pkt, uid, isError) : null;
    if (!hasIpOptions(pkt)) {
      const own = pkt.src.isV4 ? null : extensions;
      return this.findOptionRoute(own, from, pkt.src, nicId, mark, key);
    }
    const echo = this.ipv4.options.echo(pkt);
    if (echo === null) return NetErr.InvalidArgument;
    return this.findOptionRoute(echo, from, pkt.src, nicId, mark, key);
  }
}

const firstHopOf = (options: HeaderOptions): IpAddr =>
  options instanceof IpOptions ? new IpAddr().setV4(options.firstHop) : options.firstHop;
