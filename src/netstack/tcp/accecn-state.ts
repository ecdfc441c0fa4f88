// What a connection with AccECN (RFC 9768) remembers: made when it is negotiated, so that others do not carry
// it. Data only; accecn.ts has the rules, accecn-option.ts the option.

/** The peer's option: not seen, seen without counters, seen with them, seen broken. */
export const OPTION_NOT_SEEN = 0;
export const OPTION_EMPTY = 1;
export const OPTION_COUNTERS = 2;
export const OPTION_BROKEN = 3;

/** Indices of the byte counters are the ECN codes of IP less one: ECT(1), ECT(0), CE. */
export const COUNTER_ECT1 = 0;
export const COUNTER_ECT0 = 1;
export const COUNTER_CE = 2;

export class AccEcnState {
  /** Packets that arrived with CE, pure ACKs included (r.cep, less its first value 5). */
  receivedCe = 0;
  /** Of these, not yet told to the peer. */
  pendingCe = 0;
  /** Our packets that the peer says were marked (s.cep). */
  deliveredCe = 0;
  readonly receivedBytes = new Int32Array(3);
  readonly deliveredBytes = new Int32Array(3);
  /** IP's ECN bits of the peer's SYN or SYN-ACK, and of ours. */
  synMark = 0;
  sentSynMark = 0;
  /** The next segment completes our handshake: its ACE field reflects the SYN-ACK's mark (Table 3). */
  reflects = false;
  optionSeen = OPTION_NOT_SEEN;
  /** What the peer tells of marks is not to be believed: we send without ECT. */
  failReceive = false;
  /** The peer's ACE field or our option does not get through. */
  failSend = false;
  /** Options still to be sent whatever tcp_ecn_option says. */
  optionDemand = 0;
  /** Fields the next option must have to hold what changed. */
  optionMinFields = 0;
  optionUs = 0;
  /** Mark of the last data segment that arrived. */
  priorMark = 0;
  /** Which counter grows when the peer tells none: 1 + COUNTER_*; 0: not known. */
  estimate = 0;
  /** Smoothed number of segments acknowledged at a time, in 1/64. */
  ackedEwma = 0;
}
