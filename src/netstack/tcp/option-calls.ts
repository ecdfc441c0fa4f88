// Socket options that change a connection that is there already (tcp(7); Linux's do_tcp_setsockopt): what the
// endpoint does with its Tcb when its options were set. Which values are allowed is the caller's business.

import type { TcpEndpointOptions } from "../endpoints.ts";
import type { Family, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { HeaderOptions } from "../stack/transport.ts";
import { excludesMd5 } from "./ao-calls.ts";
import { AuthKeys, hasRoomForKeys, OF_ENDPOINT } from "./auth-keys.ts";
import { makeCongestionControl } from "./congestion/congestion.ts";
import type { TcpContext } from "./context.ts";
import { Md5Keys } from "./md5-signature.ts";
import { flowOf, syncMss } from "./mss.ts";
import { finish } from "./on-segment.ts";
import { updatePacingRate } from "./rate.ts";
import { CLOSE_WAIT, CLOSED, ESTABLISHED, SYN_RECEIVED, SYN_SENT } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { changedTiming, type TimingKey } from "./timing.ts";
import { armKeepalive } from "./transitions.ts";

/** SOCK_MIN_RCVBUF / 2. */
const WINDOW_CLAMP_MIN = 1_152;

/** Takes over the endpoint's options. Precondition: entered, not CLOSED. */
export function applyOptions(tcb: Tcb): void {
  const { options } = tcb;
  if (options.receiveBufferLocked) {
    const { socketBufferBytesMax } = tcb.ctx.limits;
    tcb.rcv.bufferBytes = Math.min(options.receiveBufferBytes, socketBufferBytesMax);
  }
  changeCongestionControl(tcb, options.congestion);
  if (options.keepAlive !== (tcb.keepNs !== Number.POSITIVE_INFINITY)) armKeepalive(tcb);
  // TCP_NODELAY lets go what waits, a cork notwithstanding; what follows is corked again.
  tcb.isPushForced = options.noDelay;
  finish(tcb);
  tcb.isPushForced = false;
}

/** TCP_CONGESTION on a connection: the new algorithm begins with the window as it is. */
function changeCongestionControl(tcb: Tcb, name: string): void {
  if (name === "" || name === tcb.congestion.name) return;
  const made = makeCongestionControl(name);
  if (made === null) return;
  tcb.congestion = made;
  if (tcb.state !== SYN_SENT && tcb.state !== SYN_RECEIVED) made.begin?.(tcb);
}

/** __tcp_sock_set_quickack. Precondition: entered. */
export function setQuickAck(tcb: Tcb, value: number): void {
  tcb.isPingPong = value === 0;
  const isOpen = tcb.state === ESTABLISHED || tcb.state === CLOSE_WAIT;
  if (value === 0 || !tcb.isAckPending || !isOpen) return;
  tcb.isAckNow = true;
  finish(tcb);
  tcb.isPingPong = (value & 1) === 0;
}

/** tcp_set_window_clamp. state: the endpoint's. */
export function setWindowClamp(
  tcb: Tcb | null,
  options: TcpEndpointOptions,
  state: number,
  bytes: number,
): NetError | 0 {
  if (bytes === 0) {
    if (state !== CLOSED) return NetErr.InvalidArgument;
    options.windowClampBytes = 0;
    return 0;
  }
  const before = options.windowClampBytes || Number.POSITIVE_INFINITY;
  const clamp = Math.max(bytes, WINDOW_CLAMP_MIN);
  options.windowClampBytes = clamp;
  if (tcb === null || clamp === before) return 0;
  const { rcv } = tcb;
  if (clamp < before) rcv.ssthresh = Math.min(rcv.ssthresh, clamp);
  else rcv.ssthresh = Math.max(rcv.ssthresh, Math.min(rcv.wnd, clamp));
  return 0;
}

/** Bounds of timers; of a delay a live connection has its round trip corrected (tcp_enable_tx_delay). */
export function setTiming(
  tcb: Tcb | null,
  options: TcpEndpointOptions,
  key: TimingKey,
  us: number,
  tickUs: number,
): NetError | 0 {
  const before = options.timing;
  const changed = changedTiming(before, key, us, tickUs);
  if (typeof changed === "number") return changed;
  options.timing = changed;
  const longerUs = changed.txDelayUs - before.txDelayUs;
  if (longerUs !== 0 && tcb !== null && tcb.state === ESTABLISHED) {
    tcb.rtt.shift(longerUs, changed);
    updatePacingRate(tcb);
  }
  return 0;
}

/** TCP_MD5SIG. key null: takes it away. */
export function setMd5Key(
  ctx: TcpContext,
  tcb: Tcb | null,
  options: TcpEndpointOptions,
  peer: IpAddr,
  prefixBits: number,
  key: Uint8Array | null,
): NetError | 0 {
  let result: NetError | 0 = 0;
  const known = options.authKeys;
  if (key === null) {
    if (!known?.md5?.remove(peer, prefixBits)) return NetErr.NotFound;
    if (known.md5.count === 0) known.md5 = null;
    known.recount(ctx);
    if (known.md5 === null && known.ao === null) options.authKeys = null;
  } else if (excludesMd5(options, peer)) {
    return NetErr.KeyRejected;
  } else if (!hasRoomForKeys(ctx, 1)) {
    return NetErr.NoBuffers;
  } else {
    const keys = known ?? new AuthKeys();
    keys.md5 ??= new Md5Keys();
    options.authKeys = keys;
    result = keys.md5.set(peer, prefixBits, key);
    keys.hold(ctx, OF_ENDPOINT);
  }
  if (tcb?.route && tcb.state !== CLOSED) syncMss(tcb);
  return result;
}

/**
 * Options of IPv4, or extension headers of IPv6, of a connection that is there: its segments carry them from now on,
 * and are shorter by them. Linux sets a source route whose first hop it cannot reach, and then nothing goes out; here
 * the old ones stay.
 */
export function changeHeaderOptions(
  tcb: Tcb,
  options: HeaderOptions | null,
  family: Family,
): NetError | 0 {
  const { route } = tcb;
  if (route === null || tcb.state === CLOSED || route.family !== family) return 0;
  const { boundNicId, mark } = tcb.options;
  const { network } = tcb.ctx;
  const found = network.findOptionRoute(
    options,
    tcb.local,
    tcb.remote,
    boundNicId,
    mark,
    flowOf(tcb),
  );
  if (typeof found === "number") return found;
  tcb.route = found;
  syncMss(tcb);
  return 0;
}
