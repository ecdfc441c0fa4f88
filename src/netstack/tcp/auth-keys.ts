// What the segments of an endpoint are authenticated with: MD5 signatures (RFC 2385) or TCP-AO (RFC 5925). A listener
// may have keys of both, for different peers; a connection has keys of one. Absent, it is null in the endpoint's
// options, and nothing of all this is run.

import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { isAo, MD5_SIGNATURE_BYTES } from "../wire/tcp-auth.ts";
import type { AoInfo } from "./ao-keys.ts";
import { Md5Keys } from "./md5-signature.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";

export class AuthKeys {
  md5: Md5Keys | null;
  ao: AoInfo | null;

  constructor(md5: Md5Keys | null = null, ao: AoInfo | null = null) {
    this.md5 = md5;
    this.ao = ao;
  }
}

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
export function chooseForPeer(keys: AuthKeys, peer: IpAddr): NetError | 0 {
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
export function childKeys(
  keys: AuthKeys,
  seg: Segment,
  isCookie: boolean,
): AuthKeys | null | undefined {
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

/** The connection's numbers are known: all of them, or in SYN-SENT our own. */
export function startAuth(tcb: Tcb, isStarted: boolean): void {
  const ao = tcb.options.authKeys?.ao ?? null;
  if (ao !== null) ao.start(tcb.snd.iss, isStarted ? tcb.rcv.irs : 0, isStarted);
}
