// Scratch of the ACK being processed: what it told, gathered by ack.ts and sack.ts and judged by recovery.ts.
// Valid during one processAck only.

/** The ACK carried data or a FIN. */
export const F_DATA = 1;
export const F_WIN_UPDATE = 2;
/** It acknowledged data, or our SYN, for the first time. */
export const F_DATA_ACKED = 4;
export const F_RETRANS_ACKED = 8;
export const F_SYN_ACKED = 16;
export const F_DATA_SACKED = 32;
export const F_ECE = 64;
/** A retransmission was found lost. */
export const F_LOST_RETRANS = 128;
/** Data sent once only, before the recovery began, was (S)ACKed: F-RTO's sign. */
export const F_ORIG_SACK_ACKED = 256;
export const F_UNA_ADVANCED = 512;
export const F_DSACK = 1024;
export const F_SET_TIMER = 2048;
export const F_RENEGING = 4096;
export const F_DSACK_TLP = 8192;
export const F_MAYBE_DELAYED = 16384;

export const F_ACKED = F_DATA_ACKED | F_SYN_ACKED;
export const F_NOT_DUP = F_DATA | F_WIN_UPDATE | F_ACKED;
export const F_ALERT = F_DATA_SACKED | F_ECE | F_DSACK;
export const F_PROGRESS = F_ACKED | F_DATA_SACKED;

export const REXMIT_NONE = 0;
export const REXMIT_LOST = 1;
export const REXMIT_NEW = 2;

export const $ack = {
  flags: 0,
  priorUna: 0,
  /** Right edge of the highest SACKed range before this ACK. */
  priorFack: 0,
  priorDelivered: 0,
  priorLost: 0,
  priorInFlight: 0,
  priorSackedOut: 0,
  hasSackTime: false,
  firstSackUs: 0,
  lastSackUs: 0,
  hasAckTime: false,
  firstAckUs: 0,
  lastAckUs: 0,
  /** Lowest sequence number that arrived after higher ones. */
  reordSeq: 0,
  segsAcked: 0,
  rexmit: REXMIT_NONE,
  hasEcr: false,
  /** TSecr with our offset taken off: comparable with ctx.nowMs. */
  ecrMs: 0,
  rttUs: -1,
  // Rate sample.
  hasRate: false,
  ratePriorDelivered: 0,
  ratePriorUs: 0,
  rateEnd: 0,
  rateSendUs: 0,
  isRateAppLimited: false,
  isRateRetrans: false,
  rateDelivered: -1,
  rateIntervalUs: -1,
  newlyLost: 0,
};
