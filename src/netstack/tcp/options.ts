// The options a new TCP endpoint starts with: Linux's defaults, buffers in payload bytes.

import type { TcpEndpointOptions } from "../endpoints.ts";
import type { TcpSettings } from "./settings.ts";
import { timingOf } from "./timing.ts";

const SECOND = 1_000_000_000;

// @rfc 9293 MUST-25
export function defaultOptions(settings: TcpSettings): TcpEndpointOptions {
  return {
    // What segments ask for, side by side.
    filter: null,
    windowClampBytes: 0,
    timing: timingOf(settings),
    oobInline: false,
    authKeys: null,
    saveSyn: 0,
    ttl: 64,
    tos: 0,
    mtuDiscover: 1,
    noDelay: false,
    cork: false,
    reuseAddress: false,
    reusePort: false,
    broadcast: false,
    boundNicId: 0,
    mark: 0,
    uid: 0,
    portRange: 0,
    multicastTtl: 1,
    v6Only: false,
    dontFragment: false,
    minTtl: 0,
    bindNoPort: false,
    freeBind: false,
    multicastLoop: true,
    multicastAll: true,
    sendBufferBytes: settings.wmem[1],
    // Half of the memory is for headers (tcp_adv_win_scale 1).
    receiveBufferBytes: settings.rmem[1] >>> 1,
    sendBufferLocked: false,
    receiveBufferLocked: false,
    receiveErrors: false,
    timestamps: 0,
    timestampKeys: false,
    timestampsOnly: false,
    quickAck: true,
    keepAlive: false,
    keepIdleNs: 0,
    keepIntervalNs: 0,
    keepCount: 0,
    userTimeoutNs: 0,
    openTimeoutNs: 0,
    noOptions: false,
    lingerNs: -1,
    linger2Ns: 0,
    deferAcceptTimeouts: 0,
    synCount: 0,
    maxSegBytes: 0,
    thinLinearTimeouts: false,
    notsentLowatBytes: 0,
    congestion: "",
    maxPacingRate: 0,
    fastOpenQueue: 0,
    fastOpenConnect: false,
    fastOpenNoCookie: false,
    fastOpenKey: null,
  };
}

// @rfc 9293 MUST-28
/** Keep-alive: what the user set, else the stack's rule of the moment (Linux's keepalive_time_when). */
export const keepIdleNs = (options: TcpEndpointOptions, settings: TcpSettings): number =>
  options.keepIdleNs || settings.keepaliveTimeSec * SECOND;
export const keepIntervalNs = (options: TcpEndpointOptions, settings: TcpSettings): number =>
  options.keepIntervalNs || settings.keepaliveIntvlSec * SECOND;
export const synCount = (options: TcpEndpointOptions, settings: TcpSettings): number =>
  options.synCount || settings.synRetries;
/** TCP_LINGER2; -1: an orphan does not wait. */
export const linger2Ns = (options: TcpEndpointOptions, settings: TcpSettings): number =>
  options.linger2Ns || settings.finTimeoutNs;
export const keepCount = (options: TcpEndpointOptions, settings: TcpSettings): number =>
  options.keepCount || settings.keepaliveProbes;

const SYN_ACK_TIMEOUT_MAX_SEC = 120;
const TIMEOUTS_MAX = 255;

/** The timeouts of a SYN-ACK that so many seconds take (secs_to_retrans). */
export function timeoutsOf(seconds: number): number {
  let timeouts = 0;
  for (let sum = 0; sum < seconds && timeouts < TIMEOUTS_MAX; timeouts++) {
    sum += timeoutSec(timeouts);
  }
  return timeouts;
}

/** How long these take (retrans_to_secs). */
export function secondsOf(timeouts: number): number {
  let sum = 0;
  for (let i = 0; i < timeouts; i++) sum += timeoutSec(i);
  return sum;
}

const timeoutSec = (i: number): number => Math.min(2 ** i, SYN_ACK_TIMEOUT_MAX_SEC);
