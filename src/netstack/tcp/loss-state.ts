// What loss recovery remembers of a connection: RACK-TLP (RFC 8985 5.2), PRR (RFC 9937 6), undo (RFC 3522,
// RFC 4015), F-RTO (RFC 5682) and the delivery rate. Data only; the functions are in rack.ts, tlp.ts, prr.ts,
// undo.ts, recovery.ts and rate.ts.

export class LossState {
  // RACK: the segment delivered that was sent last.
  rackUs = 0;
  rackEnd = 0;
  rackRttUs = 0;
  hasRack = false;
  isRackAdvanced = false;
  reoWndSteps = 1;
  reoWndPersist = 0;
  isDsackSeen = false;
  lastDelivered = 0;
  /** Times that reordering was observed. */
  reordSeen = 0;

  // Tail loss probe: one episode at a time.
  probeEnd = 0;
  isProbeRetransmission = false;

  // Undo.
  hasUndo = false;
  undoMarker = 0;
  /** Retransmissions not yet shown to be needless; -1: none made yet. */
  undoRetrans = -1;
  priorCwnd = 0;
  /** 0: the reduction may not be undone. */
  priorSsthresh = 0;
  /** Timestamp value of the first retransmission of the episode. */
  hasRetransStamp = false;
  retransStampMs = 0;
  isReneging = false;

  // PRR.
  prrDelivered = 0;
  prrOut = 0;

  isFrto = false;

  // Delivery rate.
  firstTxUs = 0;
  deliveredUs = 0;
  /** `delivered` at which the application-limited time ends; 0: not limited. */
  appLimited = 0;
  rateDelivered = 0;
  rateIntervalUs = 0;
  isRateAppLimited = true;
  /** Bytes per second at which departures are spread. */
  pacingRate = Number.POSITIVE_INFINITY;
}
