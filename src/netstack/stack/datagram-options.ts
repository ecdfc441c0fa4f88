// The options that a datagram endpoint starts with, as Linux's sockets do.

import type { CommonOptions } from "../endpoints.ts";

/** net.core.rmem_default and wmem_default. */
const BUFFER_BYTES = 212_992;

export function defaultOptions(): CommonOptions {
  return {
    reuseAddress: false,
    reusePort: false,
    broadcast: false,
    boundNicId: 0,
    mark: 0,
    uid: 0,
    portRange: 0,
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
    sendBufferBytes: BUFFER_BYTES,
    receiveBufferBytes: BUFFER_BYTES,
    sendBufferLocked: false,
    receiveBufferLocked: false,
    receiveErrors: false,
    timestamps: 0,
    timestampKeys: false,
    timestampsOnly: false,
    filter: null,
  };
}
