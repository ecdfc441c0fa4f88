// Round-trip time and retransmission timeout (RFC 6298), with Linux's refinements: the variance looks at
// the worst deviation of each window of data and never falls below 200 ms (Timing.rtoMinUs), so RTO >= SRTT + 200 ms.

import { seqDiff, seqGt } from "../../base/seqnum.ts";
import { RTO_INITIAL_US } from "./state.ts";
import type { Timing } from "./timing.ts";

const MIN_RTT_WINDOW_MS = 300_000;
/** No sample yet: larger than any. */
export const MIN_RTT_NONE = 0x7fff_ffff;

// @rfc 6298 2.1
export class RttEstimator {
  /** 0: no sample yet. */
  srttUs = 0;
  /** Mean deviation: RFC 6298's RTTVAR (x4 in rtoVarUs). */
  mdevUs = 0;
  /** The term added to SRTT: 4 * RTTVAR, floored and smoothed per window. */
  rtoVarUs = 0;
  #worstUs = 0;
  /** End of the window over which `worst` is taken. */
  #windowEnd = 0;
  rtoUs = RTO_INITIAL_US;
  minRttUs = MIN_RTT_NONE;
  #minRttMs = 0;

  // @rfc 6298 2.2 2.3 4
  /** Karn's rule is the caller's: no sample from a retransmitted segment unless timestamps prove it. */
  sample(rttUs: number, una: number, nxt: number, timing: Timing): void {
    const m = rttUs < 1 ? 1 : rttUs;
    if (this.srttUs === 0) {
      this.srttUs = m;
      this.mdevUs = m >> 1;
      this.rtoVarUs = this.#worstUs = Math.max(2 * m, timing.rtoMinUs);
      this.#windowEnd = nxt;
    } else {
      this.#smooth(m, una, nxt, timing.rtoMinUs);
    }
    const rto = this.srttUs + this.rtoVarUs;
    this.rtoUs = rto > timing.rtoMaxUs ? timing.rtoMaxUs : rto | 0;
  }

  /** The least RTT of the last five minutes; a sample that a delayed ACK may have stretched cannot raise it. */
  sampleMin(rttUs: number, nowMs: number, mayBeDelayed: boolean): void {
    const m = rttUs < 1 ? 1 : rttUs;
    const isStale = seqDiff(nowMs, this.#minRttMs) > MIN_RTT_WINDOW_MS;
    if (m > this.minRttUs && (mayBeDelayed || !isStale)) return;
    this.minRttUs = m;
    this.#minRttMs = nowMs;
  }

  #smooth(m: number, una: number, nxt: number, rtoMinUs: number): void {
    const error = m - this.srttUs;
    this.srttUs = Math.max(1, (this.srttUs + error / 8) | 0);
    const deviation = error < 0 ? -error : error;
    // A much faster sample raises the variance only an eighth as much: it is no sign of congestion.
    const gain = error < 0 && deviation > this.mdevUs ? 32 : 4;
    this.mdevUs = (this.mdevUs + (deviation - this.mdevUs) / gain) | 0;
    const term = 4 * this.mdevUs;
    if (term > this.#worstUs) {
      this.#worstUs = term;
      if (term > this.rtoVarUs) this.rtoVarUs = term;
    }
    if (seqGt(una, this.#windowEnd)) {
      if (this.#worstUs < this.rtoVarUs) {
        this.rtoVarUs = (this.rtoVarUs - (this.rtoVarUs - this.#worstUs) / 4) | 0;
      }
      this.#worstUs = rtoMinUs;
      this.#windowEnd = nxt;
    }
  }

  /** The path has become longer by so much, or shorter, and we know it (tcp_enable_tx_delay). */
  shift(us: number, timing: Timing): void {
    this.srttUs = Math.max(1, this.srttUs + us);
    this.rtoUs = Math.min(this.srttUs + this.rtoVarUs, timing.rtoMaxUs);
    this.minRttUs = MIN_RTT_NONE;
  }

  // @rfc 6298 5.7
  /** RFC 6298 5.7: the SYN was lost and no sample exists yet: data begins with 3 s. */
  afterSynLoss(): void {
    if (this.srttUs === 0) this.rtoUs = 3_000_000;
  }
}
