// CoDel (RFC 8289): decides, as each frame leaves a queue, whether it is dropped because frames have waited too
// long for too long. Not a queue: only the control law.

import { MS } from "../../base/clock.ts";

/** RFC 8289 4.3 and 4.2. */
const TARGET_NS = 5 * MS;
const INTERVAL_NS = 100 * MS;
const MTU_BYTES = 1514;

export class CoDel {
  #firstAboveNs = 0;
  #dropNextNs = 0;
  #count = 0;
  #lastCount = 0;
  #dropping = false;

  /**
   * A frame that waited `sojournNs` is about to leave at `nowNs`, with `backlogBytes` behind it. True: it is to
   * be dropped, and the next one asked about. Appendix of the RFC, its loop turned inside out.
   */
  drops(sojournNs: number, nowNs: number, backlogBytes: number): boolean {
    const okToDrop = this.#isLate(sojournNs, nowNs, backlogBytes);
    if (this.#dropping) {
      if (!okToDrop) {
        this.#dropping = false;
        return false;
      }
      if (nowNs < this.#dropNextNs) return false;
      this.#count++;
      this.#dropNextNs = this.#law(this.#dropNextNs);
      return true;
    }
    if (!okToDrop) return false;
    this.#dropping = true;
    // RFC 8289 5.4: a new episode soon after the last begins near the rate that worked.
    const delta = this.#count - this.#lastCount;
    const isSoon = nowNs - this.#dropNextNs < 16 * INTERVAL_NS;
    this.#count = delta > 1 && isSoon ? delta : 1;
    this.#dropNextNs = this.#law(nowNs);
    this.#lastCount = this.#count;
    return true;
  }

  #isLate(sojournNs: number, nowNs: number, backlogBytes: number): boolean {
    if (sojournNs < TARGET_NS || backlogBytes <= MTU_BYTES) {
      this.#firstAboveNs = 0;
      return false;
    }
    if (this.#firstAboveNs === 0) {
      this.#firstAboveNs = nowNs + INTERVAL_NS;
      return false;
    }
    return nowNs >= this.#firstAboveNs;
  }

  #law(fromNs: number): number {
    return fromNs + INTERVAL_NS / Math.sqrt(this.#count);
  }
}
