// The options a new TCP endpoint starts with: Linux's defaults, buffers in payload bytes.

import type { TcpEndpointOptions } from "../endpoints.ts";
import type { TcpSettings } from "./settings.ts";

const SECOND = 1_000_000_000;

// @rfc 9293 MUST-25 MUST-28
export function defaultOptions(settings: TcpSettings): TcpEndpointOptions {
  return {
    reuseAddress: false,
    reusePort: false,
    broadcast: false,
    boundNicId: 0,
    ttl: 64,
    multicastTtl: 1,
    tos: 0,
    mtuDiscover: 1,
    v6Only: false,
    dontFragment: false,
    minTtl: 0,
    bindNoPort: false,
    freeBind: false,
    multicastLoop: true,
    multicastAll: true,
    sendBufferBytes: 65_536,
    receiveBufferBytes: 65_536,
    sendBufferLocked: false,
    receiveBufferLocked: false,
    receiveErrors: false,
    timestamps: 0,
    timestampKeys: false,
    timestampsOnly: false,
    filter: null,
    noDelay: false,
    cork: false,
    quickAck: false,
    keepAlive: false,
    keepIdleNs: settings.keepaliveTimeSec * SECOND,
    keepIntervalNs: settings.keepaliveIntvlSec * SECOND,
    keepCount: settings.keepaliveProbes,
    userTimeoutNs: 0,
    openTimeoutNs: 0,
    noOptions: false,
    lingerNs: -1,
    linger2Ns: 0,
    deferAcceptNs: 0,
    synCount: 0,
    maxSegBytes: 0,
    windowClampBytes: 0,
    notsentLowatBytes: 0,
    oobInline: false,
    congestion: "",
    maxPacingRate: 0,
    fastOpenQueue: 0,
    fastOpenConnect: false,
    fastOpenNoCookie: false,
    fastOpenKey: null,
  };
}
