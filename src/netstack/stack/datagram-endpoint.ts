// How UDP, ping and raw endpoints send: the calls they share, and the path of the last send kept for the next. What
// comes to them: datagram-receiver.ts.

import type { DatagramEndpoint } from "../endpoints.ts";
import { IPV4, IPV6, type IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { IpOptions } from "../wire/ipv4-options.ts";
import type { ExtensionHeaders } from "../wire/ipv6-extensions.ts";
import { DatagramReceiver } from "./datagram-receiver.ts";
import { FlowKey, flowKey } from "./flow-key.ts";
import type { Path } from "./path.ts";
import type { PortOwner } from "./ports.ts";
import type { HeaderOptions } from "./transport.ts";

/** The longest packet of IPv6, with its header. */
const IPV6_MAX = 65_575;
const MTU_DISCOVER_WANT = 1;
const MTU_DISCOVER_DO = 2;
const MTU_DISCOVER_PROBE = 3;

export abstract class DatagramBase extends DatagramReceiver implements DatagramEndpoint {
  readonly isListening = false;
  nextOnPort: PortOwner | null = null;
  /** What it sends, as routing rules see it. */
  protected abstract readonly flowProtocol: number;
  sendSource: IpAddr | null = null;
  unicastNicId = 0;
  ipOptions: IpOptions | null = null;
  extensions: ExtensionHeaders | null = null;
  isTransparent = false;
  fragmentBytes = 0;
  prefersTemporary: boolean | null = null;
  #path: Path | null = null;
  /** What #path was found with. */
  #pathNicId = 0;
  #pathMark = 0;
  #pathKey: FlowKey | null = null;
  protected pathError: NetError | 0 = 0;

  abstract bind(addr: IpAddr, port: number): NetError | 0;
  abstract connect(addr: IpAddr, port: number): NetError | 0;
  abstract send(
    src: Uint8Array,
    offset: number,
    length: number,
    addr: IpAddr | null,
    port: number,
  ): number;
  abstract disconnect(): void;

  setIpOptions(options: IpOptions | null): NetError | 0 {
    this.ipOptions = options;
    return 0;
  }
  setExtensions(extensions: ExtensionHeaders | null): NetError | 0 {
    this.extensions = extensions;
    return 0;
  }

  /** IPV6_MTU, IPV6_ADDR_PREFERENCES: another path from now on. */
  sendingChanged(): void {
    this.dropPath();
  }

  /** What every send checks first: 0, or the NetError. */
  protected sendCheck(addr: IpAddr | null): NetError | 0 {
    if (this.isClosed) return NetErr.Closed;
    if (addr === null && !this.isConnected) return NetErr.DestinationRequired;
    if (this.hasError) return this.takeError();
    if (this.writeShut) return NetErr.BrokenPipe;
    if (addr === null) return 0;
    if (this.family === IPV4 && !addr.isV4) return NetErr.NotSupported;
    if (this.family === IPV6 && addr.isV4 && this.options.v6Only) return NetErr.NetworkUnreachable;
    return 0;
  }

  #optionsTo(dst: IpAddr): HeaderOptions | null {
    const options = dst.isV4 ? this.ipOptions : this.extensions;
    return options === null || options.length === 0 ? null : options;
  }
  /** Bytes that stand in front of the transport's header to dst, besides IP's own. */
  protected optionBytesTo(dst: IpAddr): number {
    const options = dst.isV4 ? this.ipOptions : this.extensions;
    return options === null ? 0 : options.length;
  }

  /** The path to dst: the kept one when it still fits. Null with the reason in pathError. */
  protected pathTo(dst: IpAddr, port = 0, connecting = false): Path | null {
    const kept = this.#path;
    const { boundNicId, mark } = this.options;
    const key = this.stack.routes.asksFlow ? this.#keyTo(port) : null;
    const byGroup = dst.isMulticast ? 0 : this.unicastNicId;
    const nicId = boundNicId === 0 ? byGroup : boundNicId;
    const chosen = this.sendSource;
    const isPlain = (this.ipOptions === null && this.extensions === null) || connecting;
    const options = isPlain ? null : this.#optionsTo(dst);
    if (
      chosen === null &&
      kept?.isValid &&
      this.#pathNicId === nicId &&
      this.#pathMark === mark &&
      (key === null || this.#pathKey?.equals(key) === true) &&
      kept.headerOptions === options &&
      kept.finalDst.equals(dst)
    ) {
      return kept;
    }
    const found = this.#findPath(options, dst, nicId, key, connecting);
    if (typeof found === "number") {
      this.pathError = found;
      return null;
    }
    // ip_sendmsg_scope: the first hop of a strict route must be on the link.
    const isStrict = options instanceof IpOptions && options.isStrict;
    if (isStrict && !found.nextHop.equals(found.dst)) {
      this.pathError = NetErr.NetworkUnreachable;
      return null;
    }
    if (chosen === null) {
      this.#path = found;
      this.#pathNicId = nicId;
      this.#pathMark = mark;
      this.#pathKey = key === null ? null : new FlowKey().set(key);
    }
    return found;
  }
  #keyTo(port: number): FlowKey {
    const { uid, tos } = this.options;
    return flowKey(this.flowProtocol, port === 0 ? 0 : this.localPort, port, uid, tos);
  }

  #findPath(
    options: HeaderOptions | null,
    dst: IpAddr,
    nicId: number,
    key: FlowKey | null,
    connecting: boolean,
  ): Path | NetError {
    const { stack, isTransparent } = this;
    const { mark } = this.options;
    let src = this.sendSource;
    if (src === null && !this.localAddr.isUnspecified && !this.localAddr.isMulticast) {
      src = this.localAddr;
    }
    // FLOWI_FLAG_ANYSRC: routed as if from an address of ours, and sent from another.
    const isForeign = isTransparent && src !== null && !stack.isLocalAddress(src);
    if (src === null && this.prefersTemporary !== null && !dst.isV4) {
      src = this.#preferredSource(dst, nicId, this.prefersTemporary);
    }
    const from = isForeign ? null : src;
    const found = connecting
      ? stack.findConnectRoute(from, dst, nicId, mark, key)
      : stack.findOptionRoute(options, from, dst, nicId, mark, key);
    if (typeof found === "number" || !isForeign || src === null) return found;
    const path = found.withSource(src);
    return options === null ? path : path.withOptions(options, dst);
  }

  /** RFC 6724's rule 7 as the user wants it (RFC 5014). */
  #preferredSource(dst: IpAddr, nicId: number, prefersTemporary: boolean): IpAddr | null {
    const path = this.stack.findRoute(null, dst, nicId, this.options.mark);
    if (typeof path === "number" || path.isLoopback) return null;
    return path.nic.sourceFor(dst, prefersTemporary);
  }

  /**
   * Whether `bytes` of the transport's do not fit behind extension headers, or into what the user will have (IPV6_MTU),
   * all in one piece (ip6_append_data: what the destination alone reads counts twice there). Else sendPacket tells.
   */
  protected isTooLong(path: Path, bytes: number): boolean {
    if ((path.optionBytes === 0 && this.fragmentBytes === 0) || path.family === IPV4) return false;
    const { mtuDiscover, dontFragment } = this.options;
    const isWhole =
      dontFragment || mtuDiscover === MTU_DISCOVER_DO || mtuDiscover === MTU_DISCOVER_PROBE;
    const extensions = path.headerOptions as ExtensionHeaders | null;
    const twice = extensions === null ? 0 : extensions.destinationBytes;
    return path.headerBytes + twice + bytes > (isWhole ? this.mtuOf(path) : IPV6_MAX);
  }

  /** Around a send of who has IPV6_MTU: its fragments are that long. */
  protected limitFragments(bytes: number): void {
    if (this.fragmentBytes > 0) this.stack.ipv6.fragmentBytesMax = bytes;
  }

  /** What packets on it may be long, for this user. */
  protected mtuOf(path: Path): number {
    const { fragmentBytes } = this;
    const isLess = fragmentBytes > 0 && fragmentBytes < path.mtu && path.family !== IPV4;
    return isLess ? fragmentBytes : path.mtu;
  }

  protected dropPath(): void {
    this.#path = null;
  }

  /** DF as IP_MTU_DISCOVER asks: "want" fragments what does not fit, and sets DF on the rest. */
  protected dontFragment(path: Path, ipBytes: number): boolean {
    const mode = this.options.mtuDiscover;
    if (this.options.dontFragment) return true;
    switch (mode) {
      case MTU_DISCOVER_WANT:
        return ipBytes <= path.mtu;
      case MTU_DISCOVER_DO:
      case MTU_DISCOVER_PROBE:
        return true;
      default:
        // Dont, and the modes that ignore what ICMP says of the path (interface, omit).
        return false;
    }
  }
}
