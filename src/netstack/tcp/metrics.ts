// What connections learned of their paths, for the next one to the same host (RFC 9040, Linux's tcp_metrics.c): round
// trip, degree of reordering, on wish the slow-start threshold. Bounded, oldest forgotten. `ip tcp_metrics flush`
// empties it, together with Fast Open's cookies (fastopen-cookie.ts).

import type { IpAddr } from "../ip-addr.ts";
import { SSTHRESH_INFINITE } from "./state.ts";
import type { Tcb } from "./tcb.ts";

const HOSTS_MAX = 1_024;

class PathMetrics {
  rttUs = 0;
  reordering = 0;
  ssthresh = 0;
}

/** IPv4 by its number: closing a connection makes no string. */
const keyOf = (addr: IpAddr): number | string => (addr.isV4 ? addr.w3 : addr.toString());

export class MetricsCache {
  readonly #hosts = new Map<number | string, PathMetrics>();

  get size(): number {
    return this.#hosts.size;
  }
  clear(): void {
    this.#hosts.clear();
  }

  find(remote: IpAddr): PathMetrics | null {
    return this.#hosts.get(keyOf(remote)) ?? null;
  }

  obtain(remote: IpAddr): PathMetrics {
    const key = keyOf(remote);
    const found = this.#hosts.get(key);
    if (found !== undefined) return found;
    if (this.#hosts.size >= HOSTS_MAX) {
      for (const oldest of this.#hosts.keys()) {
        this.#hosts.delete(oldest);
        break;
      }
    }
    const made = new PathMetrics();
    this.#hosts.set(key, made);
    return made;
  }
}

/** tcp_init_metrics: data begins to flow. */
export function useMetrics(tcb: Tcb): void {
  const { ctx, rtt } = tcb;
  const known = ctx.metrics.find(tcb.remote);
  if (known === null) return;
  if (known.ssthresh > 0 && ctx.settings.noSsthreshMetricsSave === 0) {
    tcb.ssthresh = known.ssthresh;
  }
  if (known.reordering > 0) tcb.reordering = known.reordering;
  // The SYN is small: the path's usual round trip tells more of the first data's timeout. The estimator itself
  // is left to its own samples.
  if (known.rttUs > rtt.srttUs) {
    const { rtoMinUs, rtoMaxUs } = tcb.options.timing;
    rtt.rtoUs = Math.min(known.rttUs + Math.max(2 * known.rttUs, rtoMinUs), rtoMaxUs);
  }
}

/** tcp_update_metrics: the connection ends, having been open. */
export function keepMetrics(tcb: Tcb): void {
  const { ctx, rtt } = tcb;
  if (ctx.settings.noMetricsSave !== 0) return;
  // In trouble, or nothing measured: nothing to tell.
  if (tcb.backoff > 0 || rtt.srttUs === 0) {
    const known = ctx.metrics.find(tcb.remote);
    if (known !== null) known.rttUs = 0;
    return;
  }
  const known = ctx.metrics.obtain(tcb.remote);
  const m = known.rttUs - rtt.srttUs;
  known.rttUs = m <= 0 ? rtt.srttUs : Math.floor(known.rttUs - m / 8);
  if (tcb.reordering > known.reordering && tcb.reordering !== ctx.settings.reordering) {
    known.reordering = tcb.reordering;
  }
  if (ctx.settings.noSsthreshMetricsSave !== 0 || tcb.ssthresh >= SSTHRESH_INFINITE) return;
  known.ssthresh = Math.max(tcb.cwnd >> 1, tcb.ssthresh);
}
