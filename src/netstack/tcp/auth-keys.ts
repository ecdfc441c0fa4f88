// What the segments of an endpoint are authenticated with: MD5 signatures (RFC 2385) or TCP-AO (RFC 5925). A listener
// may have keys of both, for different peers; a connection has keys of one. Absent, it is null in the endpoint's
// options, and nothing of all this is run.

import type { TcpEndpointOptions } from "../endpoints.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { isAo, MD5_SIGNATURE_BYTES } from "../wire/tcp-auth.ts";
import type { AoInfo } from "./ao-keys.ts";
import type { TcpContext } from "./context.ts";
import { Md5Keys } from "./md5-signature.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";

/** Who has a set of keys: an endpoint, its connection, which may outlive it, and what is left of that. */
export const OF_ENDPOINT = 1;
export const OF_CONNECTION = 2;
export const OF_TIME_WAIT = 4;

export class AuthKeys {
  md5: Md5Keys | null;
  ao: AoInfo | null;
  #holders = 0;
  #counted = 0;

  constructor(md5: Md5Keys | null = null, ao: AoInfo | null = null) {
    this.md5 = md5;
    this.ao = ao;
  }

  get count(): number {
    return (this.md5?.count ?? 0) + (this.ao?.keys.length ?? 0);
  }

  hold(ctx: TcpContext, who: number): void {
    this.#holders |= who;
    this.recount(ctx);
  }

  letGo(ctx: TcpContext, who: number): void {
    this.#holders &= ~who;
    this.recount(ctx);
  }

  /** Keys have come or gone. */
  recount(ctx: TcpContext): void {
    const count = this.#holders === 0 ? 0 : this.count;
    ctx.signingKeyCount += count - this.#counted;
    this.#counted = count;
  }
}

export const hasRoomForKeys = (ctx: TcpContext, count: number): boolean =>
  ctx.signingKeyCount + count <= ctx.limits.signingKeys;

/** Bytes that the option takes of each segment of this connection; 0: they are not signed. */
export function authBytes(tcb: Tcb): number {
  const { authKeys } = tcb.options;
  if (authKeys === null) return 0;
  const current = authKeys.ao?.current ?? null;
  if (current !== null) return current.optionBytes;
  return isMd5Signed(tcb) ? MD5_SIGNATURE_BYTES : 0;
}

export const isMd5Signed = (tcb: Tcb): boolean =>
  (tcb.options.authKeys?.md5?.find(tcb.remote) ?? null) !== null;

/**
 * tcp_connect: which of its keys are for this peer. KeyRejected: two kinds are, or there are keys of TCP-AO and none
 * for it.
 */
export function chooseForPeer(ctx: TcpContext, keys: AuthKeys, peer: IpAddr): NetError | 0 {
  const error = choose(keys, peer);
  keys.recount(ctx);
  return error;
}

function choose(keys: AuthKeys, peer: IpAddr): NetError | 0 {
  const { ao } = keys;
  const needsMd5 = (keys.md5?.find(peer) ?? null) !== null;
  const hasAo = ao !== null && ao.find(peer, -1, -1) !== null;
  if (needsMd5) {
    if (hasAo || ao?.isRequired) return NetErr.KeyRejected;
    keys.ao = null;
    return 0;
  }
  if (ao === null) return 0;
  if (!hasAo) return NetErr.KeyRejected;
  keys.md5 = null;
  ao.keepFor(peer);
  return 0;
}

/**
 * What a connection takes along from its listener, whose first segment has been found fit: a copy of the keys for its
 * peer, of the kind that signed it. undefined: there is no key to answer with as the peer has asked (tcp_make_synack);
 * isCookie: another will do (tcp_ao_syncookie).
 */
function childKeys(
  ctx: TcpContext,
  keys: AuthKeys,
  seg: Segment,
  isCookie: boolean,
): AuthKeys | null | undefined {
  const made = copyForPeer(keys, seg, isCookie);
  if (!made || hasRoomForKeys(ctx, made.count)) return made;
  ctx.stats.ListenDrops++;
  return undefined;
}

function copyForPeer(keys: AuthKeys, seg: Segment, isCookie: boolean): AuthKeys | null | undefined {
  const { bytes, src } = seg.pkt as PacketBuffer;
  const at = seg.options.authAt;
  if (keys.ao !== null && at > 0 && isAo(bytes, at)) {
    const keyId = bytes[at];
    const rnextId = bytes[at + 1];
    if (!isCookie && keys.ao.find(src, rnextId, -1) === null) return undefined;
    const ao = keys.ao.childFor(src, keyId, rnextId);
    return ao === null ? undefined : new AuthKeys(null, ao);
  }
  const md5 = Md5Keys.ofPeer(keys.md5, src);
  return md5 === null ? null : new AuthKeys(md5);
}

/**
 * What a connection made of this segment starts with: its listener's options, until it is accepted, but for keys of its
 * own. null: it cannot be answered as the peer wishes.
 */
export function childOptions(
  ctx: TcpContext,
  options: TcpEndpointOptions,
  seg: Segment,
  isCookie = false,
): TcpEndpointOptions | null {
  if (options.authKeys === null) return options;
  const authKeys = childKeys(ctx, options.authKeys, seg, isCookie);
  return authKeys === undefined ? null : { ...options, authKeys };
}

/** The connection's numbers are known: all of them, or in SYN-SENT our own. */
export function startAuth(tcb: Tcb, isStarted: boolean): void {
  const ao = tcb.options.authKeys?.ao ?? null;
  if (ao !== null) ao.start(tcb.snd.iss, isStarted ? tcb.rcv.irs : 0, isStarted);
}
