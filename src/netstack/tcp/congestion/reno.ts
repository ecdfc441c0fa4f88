// Reno: slow start and additive increase (RFC 5681 3.1), halving on loss. Byte counting of RFC 3465 with
// L = 1 comes from counting whole segments acknowledged, not ACKs. Stateless, so one object serves all.

import type { CongestionControl } from "./congestion.ts";
import { increase, slowStart } from "./congestion.ts";

// @rfc 5681 3.1d
export const RENO: CongestionControl = {
  name: "reno",
  onAck(tcb, segs) {
    const left = tcb.cwnd < tcb.ssthresh ? slowStart(tcb, segs) : segs;
    if (left > 0) increase(tcb, tcb.cwnd, left);
  },
  ssthreshAfterLoss: (tcb) => Math.max(tcb.cwnd >> 1, 2),
  onTimeout: () => {},
  onRestart: () => {},
};
