// TCP_AO_ADD_KEY, TCP_AO_DEL_KEY and TCP_AO_INFO of one endpoint, as Linux's tcp_ao_add_cmd, tcp_ao_del_cmd and
// tcp_ao_info_cmd, and the refusal of MD5 keys beside (tcp_ao_required). The structures are the caller's business, as is
// whether the prefix is a proper one.

import type { AoChoice, AoKeyName, AoNext, AoSettings, TcpEndpointOptions } from "../endpoints.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { AO_KEYS_MAX, AoInfo, AoKey, type AoKeySpec } from "./ao-keys.ts";
import { aesKey } from "./ao-mac.ts";
import { AuthKeys, hasRoomForKeys, OF_ENDPOINT } from "./auth-keys.ts";
import type { TcpContext } from "./context.ts";
import { syncMss } from "./mss.ts";
import { CLOSED, LISTEN } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** What a SYN has room for beside MSS, timestamps and window scale. */
const OPTION_BYTES_MAX = 20;
/** RFC 5926's name; "cmac(aes)" takes the master key as it is. */
const AES_128_CMAC = "cmac(aes128)";

/** What these calls need of the endpoint. */
export interface AoOwner {
  readonly options: TcpEndpointOptions;
  readonly state: number;
  readonly tcb: Tcb | null;
}

const isUnopened = (state: number): boolean => state === CLOSED || state === LISTEN;

export function addAoKey(
  ctx: TcpContext,
  e: AoOwner,
  spec: AoKeySpec,
  choose: AoChoice,
): NetError | 0 {
  const { options, state, tcb } = e;
  const known = options.authKeys;
  const before = known === null ? null : known.ao;
  if (before === null && !isUnopened(state)) return NetErr.IsConnected;
  if ((choose.isCurrent || choose.isRnext) && state === LISTEN) return NetErr.InvalidArgument;
  if ((known?.md5?.find(spec.addr) ?? null) !== null) return NetErr.KeyRejected;
  if (before?.hasOverlap(spec)) return NetErr.Exists;
  const key = makeKey(ctx, spec);
  if (typeof key === "number") return key;
  const ao = before ?? new AoInfo();
  if (ao.keys.length >= AO_KEYS_MAX || !hasRoomForKeys(ctx, 1)) return NetErr.NoBuffers;
  ao.keys.unshift(key);
  if (choose.isCurrent) ao.current = key;
  if (choose.isRnext) ao.rnext = key;
  const keys = known ?? new AuthKeys();
  keys.ao = ao;
  options.authKeys = keys;
  keys.hold(ctx, OF_ENDPOINT);
  resize(tcb);
  return 0;
}

/** tcp_ao_key_alloc, tcp_ao_parse_crypto. */
function makeKey(ctx: TcpContext, spec: AoKeySpec): AoKey | NetError {
  const { algorithm: name, secret } = spec;
  const isAes128 = name === AES_128_CMAC;
  const algorithm = ctx.macs?.find(isAes128 ? "cmac(aes)" : name) ?? null;
  if (algorithm === null) return NetErr.NotFound;
  const master = isAes128 ? aesKey(algorithm, secret) : secret.slice();
  const key = new AoKey(spec, algorithm, master);
  if (key.optionBytes > OPTION_BYTES_MAX) return NetErr.MessageTooLong;
  if (!algorithm.takesKeyOf(master.length)) return NetErr.InvalidArgument;
  return key.macBytes > algorithm.macBytes ? NetErr.InvalidArgument : key;
}

export function removeAoKey(
  ctx: TcpContext,
  e: AoOwner,
  name: AoKeyName,
  next: AoNext,
): NetError | 0 {
  const { options, state, tcb } = e;
  const ao = options.authKeys?.ao ?? null;
  if (ao === null && !isUnopened(state)) return NetErr.IsConnected;
  if ((next.currentId >= 0 || next.rnextId >= 0) && state === LISTEN) return NetErr.InvalidArgument;
  if (ao === null) return NetErr.NotFound;
  const current = next.currentId < 0 ? null : ao.findOwn(next.currentId, -1);
  const rnext = next.rnextId < 0 ? null : ao.findOwn(-1, next.rnextId);
  if (next.currentId >= 0 && current === null) return NetErr.NotFound;
  if (next.rnextId >= 0 && rnext === null) return NetErr.NotFound;
  const key = ao.keys.find((k) => isNamed(k, name) && k !== current && k !== rnext);
  if (key === undefined) return NetErr.NotFound;
  ao.current = current ?? ao.current;
  ao.rnext = rnext ?? ao.rnext;
  // RFC 5925 3.1: what a connection lives by is not taken away.
  const isUsed = ao.current === key || ao.rnext === key;
  ao.keys.splice(ao.keys.indexOf(key), 1);
  if (isUsed) ao.keys.unshift(key);
  options.authKeys?.recount(ctx);
  resize(tcb);
  return isUsed ? NetErr.Busy : 0;
}

const isNamed = (key: AoKey, name: AoKeyName): boolean =>
  key.sendId === name.sendId &&
  key.receiveId === name.receiveId &&
  key.prefixBits === name.prefixBits &&
  key.isOfDevice === name.isOfDevice &&
  key.net.equals(name.addr);

export function setAo(ctx: TcpContext, e: AoOwner, settings: AoSettings): NetError | 0 {
  const { options, state, tcb } = e;
  const known = options.authKeys;
  const before = known === null ? null : known.ao;
  const { currentId, rnextId, counters } = settings;
  if (before === null && !isUnopened(state)) return NetErr.IsConnected;
  if ((currentId >= 0 || rnextId >= 0) && state === LISTEN) return NetErr.InvalidArgument;
  if (settings.isRequired && known !== null && known.md5 !== null) return NetErr.KeyRejected;
  const ao = before ?? new AoInfo();
  const current = currentId < 0 ? null : ao.findOwn(currentId, -1);
  const rnext = rnextId < 0 ? null : ao.findOwn(-1, rnextId);
  if (currentId >= 0 && current === null) return NetErr.NotFound;
  if (rnextId >= 0 && rnext === null) return NetErr.NotFound;
  if (counters !== null) Object.assign(ao.counters, counters);
  ao.isRequired = settings.isRequired;
  ao.acceptsIcmps = settings.acceptsIcmps;
  ao.current = current ?? ao.current;
  ao.rnext = rnext ?? ao.rnext;
  const keys = known ?? new AuthKeys();
  keys.ao = ao;
  options.authKeys = keys;
  keys.hold(ctx, OF_ENDPOINT);
  resize(tcb);
  return 0;
}

/** Another key may take more or less room of a segment. */
function resize(tcb: Tcb | null): void {
  if (tcb?.route && tcb.state !== CLOSED) syncMss(tcb);
}

/** Whether an MD5 key for this peer would be one of the other kind. */
export function excludesMd5(options: TcpEndpointOptions, peer: IpAddr): boolean {
  const ao = options.authKeys?.ao ?? null;
  return ao !== null && (ao.isRequired || ao.find(peer, -1, -1) !== null);
}
