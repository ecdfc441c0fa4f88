// TCP connection states and the fixed numbers of the protocol. States carry Linux's numbers
// (tcp_states.h, /proc/net/tcp), names are RFC 9293's (3.3.2). No behaviour here.

export const ESTABLISHED = 1;
export const SYN_SENT = 2;
export const SYN_RECEIVED = 3;
export const FIN_WAIT_1 = 4;
export const FIN_WAIT_2 = 5;
export const TIME_WAIT = 6;
export const CLOSED = 7;
export const CLOSE_WAIT = 8;
export const LAST_ACK = 9;
export const LISTEN = 10;
export const CLOSING = 11;

export const STATE_NAMES: readonly string[] = [
  "",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RECEIVED",
  "FIN_WAIT_1",
  "FIN_WAIT_2",
  "TIME_WAIT",
  "CLOSED",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
  "CLOSING",
];

/** Congestion-control states (tcpi_ca_state). */
export const CA_OPEN = 0;
export const CA_DISORDER = 1;
export const CA_CWR = 2;
export const CA_RECOVERY = 3;
export const CA_LOSS = 4;

/** What the one retransmission timer waits for. */
export const RTX_RETRANSMIT = 0;
export const RTX_REORDER = 1;
export const RTX_TLP = 2;
export const RTX_PERSIST = 3;
export const RTX_CORK = 4;

const MS = 1_000_000;
const SECOND = 1_000_000_000;

/** RFC 6298 2.1 asks for 1 s before the first sample and as minimum; Linux's floor is 200 ms. */
export const RTO_INITIAL_US = 1_000_000;
export const RTO_MIN_US = 200_000;

export const DELAYED_ACK_MAX_NS = 200 * MS;
export const CORK_NS = 200 * MS;
/** 2 MSL, as Linux's TCP_TIMEWAIT_LEN. */
export const TIME_WAIT_NS = 60 * SECOND;
/** How long a gateway may ponder over a SYN before it is forgotten. */
export const FORWARD_DECISION_NS = 120 * SECOND;
/** RFC 7323 5.5: a TS.Recent older than 24 days is no longer compared. */
export const PAWS_24_DAYS_MS = 24 * 24 * 3600 * 1000;

export const SYN_RETRIES = 6;
export const SYN_ACK_RETRIES = 5;

export const DUP_THRESH = 3;
/** RFC 6928. */
export const INITIAL_CWND = 10;
export const CWND_MAX = 1 << 20;
export const SSTHRESH_INFINITE = 0x7fffffff;

/** RFC 9293 3.7.1: what to assume when the peer names no MSS. */
export const MSS_DEFAULT_V4 = 536;
export const MSS_DEFAULT_V6 = 1220;
/** Floor against tiny-MSS abuse (CVE-2019-11479): Linux's tcp_min_snd_mss. */
export const MSS_MIN = 48;
export const WSCALE_MAX = 14;
/** Records of sent data in flight per connection: bounds the work an ACK can cause (CVE-2018-5390). */
export const SENT_RECORDS_MAX = 8192;
/** Separate out-of-order ranges held per connection. */
export const OUT_OF_ORDER_RANGES_MAX = 128;
