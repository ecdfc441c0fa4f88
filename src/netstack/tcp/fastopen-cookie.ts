// Fast Open cookies (RFC 7413 4.1.2): SipHash-2-4 of both addresses under the server's key, as Linux makes
// them; and the client's memory of the cookies that servers gave it (4.1.3), bounded, oldest forgotten.

import type { Rng } from "../../base/rng.ts";
import type { IpAddr } from "../ip-addr.ts";
import { FAST_OPEN_COOKIE_MAX } from "../wire/tcp-options.ts";
import type { TcpSettings } from "./settings.ts";
import { sipHash, sipHashHigh } from "./siphash.ts";

export const COOKIE_BYTES = 8;

/** 4.1.2: bits of tcp_fastopen. */
export const TFO_CLIENT = 1;
export const TFO_SERVER = 2;
export const TFO_CLIENT_NO_COOKIE = 4;
export const TFO_SERVER_NO_COOKIE = 0x200;
export const TFO_ALL_LISTENERS = 0x400;

const swap = (w: number): number =>
  ((w & 0xff) << 24) | ((w & 0xff00) << 8) | ((w >>> 8) & 0xff00) | (w >>> 24);

const $words = new Int32Array(8);
const $key = { k0: 0, k1: 0, k2: 0, k3: 0 };

/** The keys in force: the listener's, or the stack's, drawn when first needed. */
export function serverKeys(settings: TcpSettings, rng: Rng): Int32Array {
  if (settings.fastopenKeys === 0) {
    for (let i = 0; i < 4; i++) settings.fastopenKey[i] = rng.u32() | 0;
    settings.fastopenKeys = 1;
  }
  return settings.fastopenKey.subarray(0, 4 * settings.fastopenKeys);
}

// @rfc 7413 4.1.2
/** Writes the 8 bytes of the cookie of `client` under the key at keys[at..]. */
export function makeCookie(
  out: Uint8Array,
  keys: Int32Array,
  at: number,
  client: IpAddr,
  server: IpAddr,
): void {
  $key.k0 = keys[at];
  $key.k1 = keys[at + 1];
  $key.k2 = keys[at + 2];
  $key.k3 = keys[at + 3];
  let count = 2;
  if (client.isV4) {
    $words[0] = swap(client.w3);
    $words[1] = swap(server.w3);
  } else {
    count = 8;
    $words[0] = swap(client.w0);
    $words[1] = swap(client.w1);
    $words[2] = swap(client.w2);
    $words[3] = swap(client.w3);
    $words[4] = swap(server.w0);
    $words[5] = swap(server.w1);
    $words[6] = swap(server.w2);
    $words[7] = swap(server.w3);
  }
  const low = sipHash($key, $words, count);
  const high = sipHashHigh();
  for (let i = 0; i < 4; i++) {
    out[i] = low >>> (8 * i);
    out[4 + i] = high >>> (8 * i);
  }
}

/** What a client knows of one server. */
export class FastOpenPeer {
  mss = 0;
  /** 0: none. */
  cookieLength = 0;
  readonly cookie = new Uint8Array(FAST_OPEN_COOKIE_MAX);
  /** The cookie came in the experimental option (kind 254). */
  isExperimental = false;
  /** 1: ask with the experimental option next time; 2: it did not help either. */
  tryExperimental = 0;
  synLosses = 0;
  /** Until then the server is spoken to without Fast Open. */
  disabledUntilNs = 0;
}

const PEERS_MAX = 1_024;

// @rfc 7413 4.1.3
export class FastOpenCache {
  readonly #peers = new Map<string, FastOpenPeer>();

  find(remote: IpAddr): FastOpenPeer | null {
    return this.#peers.get(keyOf(remote)) ?? null;
  }

  obtain(remote: IpAddr): FastOpenPeer {
    const key = keyOf(remote);
    let peer = this.#peers.get(key);
    if (peer !== undefined) return peer;
    if (this.#peers.size >= PEERS_MAX) {
      for (const oldest of this.#peers.keys()) {
        this.#peers.delete(oldest);
        break;
      }
    }
    peer = new FastOpenPeer();
    this.#peers.set(key, peer);
    return peer;
  }

  /** `ip tcp_metrics flush`. */
  clear(): void {
    this.#peers.clear();
  }
}

const keyOf = (a: IpAddr): string => `${a.w0},${a.w1},${a.w2},${a.w3}`;
