// The tunables of one stack's TCP under the names of Linux's sysctls (net.ipv4.tcp_*, ip-sysctl.rst), with
// Linux's defaults. Read when they matter: a change takes effect with the next decision. No behaviour here.

import type { Timing } from "./timing.ts";

export class TcpSettings {
  timestamps = 1;
  sack = 1;
  dsack = 1;
  windowScaling = 1;
  /** 0 off; 1 ask and answer, 2 answer only. With AccECN (RFC 9768) answered: 3 asks for it, 4 for ECN, 5 not. */
  ecn = 2;
  /** Fall back to no ECN when this many SYNs with it are lost; 0: never. */
  ecnFallback = 1;
  /** AccECN option: 0 never, 1 the least, 2 whenever it fits, 3 also where it seems not to get through. */
  ecnOption = 2;
  /** Options a round trip at least, with ecnOption 1. */
  ecnOptionBeacon = 3;
  /** Bit 0: RACK; bit 1: static reordering window; bit 2: no dupthresh. */
  recovery = 1;
  /** Granularity of timers: a jiffy. */
  tickUs = 1_000;
  /** 3, 4: tail loss probes. */
  earlyRetrans = 3;
  frto = 2;
  reordering = 3;
  maxReordering = 300;
  retries1 = 3;
  retries2 = 15;
  orphanRetries = 0;
  synRetries = 6;
  synAckRetries = 5;
  /** SYNs repeated at a steady pace before the back-off begins. */
  synLinearTimeouts = 4;
  syncookies = 1;
  slowStartAfterIdle = 1;
  /** 1: what a connection learned of its path is not kept for the next one. */
  noMetricsSave = 0;
  /** 1 (Linux): the slow-start threshold is not kept even so. */
  noSsthreshMetricsSave = 1;
  initialCwnd = 10;
  /** Kept for who reads it back: as autocorking. */
  limitOutputBytes = 4 * 1024 * 1024;
  notsentLowat = 0xffff_ffff;
  minTsoSegs = 2;
  tsoWinDivisor = 3;
  tsoRttLog = 9;
  pacingSsRatio = 200;
  pacingCaRatio = 120;
  /** A link without segmentation offload gets bursts cut here; 0: it is given single segments. */
  softwareGso = 1;
  /** The queue below paces (fq): departures are spread at the pacing rate. */
  isPaced = false;
  /** Bit 0 client, 1 server, 2 data in SYN without a cookie, 9 server needs no cookie, 10 all listeners. */
  fastopen = 1;
  /** One or two keys of four 32-bit words: cookies are made with the first, accepted under both. */
  readonly fastopenKey = new Int32Array(8);
  fastopenKeys = 0;
  fastopenBlackholeTimeoutSec = 0;
  /**
   * RFC 7413 4.1.3.1: so long a client does without for a server that answered with neither a cookie nor an
   * acknowledgment of the data.
   */
  fastopenPathDisableSec = 0;
  /** Kept for who reads it back: no packet of ours waits in a device's queue, so there is nothing to wait for. */
  autocorking = 1;
  moderateRcvbuf = 1;
  /** Kept for who reads it back: newer kernels go by what segments are like, too. */
  advWinScale = 1;
  /** Least, default and largest buffer in bytes; 0: as large as the limit allows. */
  readonly rmem = [4096, 131_072, 0];
  readonly wmem = [4096, 16_384, 0];
  mtuProbing = 0;
  baseMss = 1024;
  mtuProbeFloor = 48;
  /** A search that is over begins anew after this time. */
  probeIntervalSec = 600;
  /** It is over when the sizes are as near as this. */
  probeThreshold = 8;
  minSndMss = 48;
  /** 1: a RST does not end TIME-WAIT (RFC 1337 3, fix F1). Linux ships with 0. */
  rfc1337 = 1;
  twReuse = 2;
  /** An entry whose last timestamp is older may give way to an active open. */
  twReuseDelayMs = 1_000;
  /** Entries of TIME-WAIT, and half-open connections of a listener, at most; 0: the limit alone counts. */
  maxTwBuckets = 0;
  maxSynBacklog = 0;
  /** 1: thin streams repeat their first timeouts at a steady pace. */
  thinLinearTimeouts = 0;
  maxOrphans = 16_384;
  keepaliveTimeSec = 7_200;
  keepaliveIntvlSec = 75;
  keepaliveProbes = 9;
  finTimeoutNs = 60_000_000_000;
  /** An orphan in FIN-WAIT-2 is kept as small as one in TIME-WAIT; 0: as the connection it was. */
  smallFinWait2 = 1;
  abortOnOverflow = 0;
  /** At most one challenge or out-of-window ACK per connection in this time. */
  invalidRatelimitMs = 500;
  /** These two for sockets made from now on (timing.ts). */
  rtoMinUs = 200_000;
  rtoMaxUs = 120_000_000;
  /** The last that was made of them, for all sockets that come. */
  lastTiming: Timing | null = null;
  /** "cubic", "reno", "bbr". */
  congestion = "cubic";
  /** CUBIC's HyStart: 0 off, 1 ACK train, 2 delay, 3 both (Linux); 4: HyStart++ (RFC 9406). */
  hystart = 3;

  // What the RFCs leave open and other systems do otherwise. Linux's way is the default.
  /**
   * What begins at the right edge is outside: of the receive window (RFC 9293 3.10.7.4), of what an ICMP
   * error may quote (RFC 5927 4.1). 0: inside.
   */
  strictEdges = 0;
  /** A RST anywhere in the window resets (RFC 793); 0: only the exact next number (RFC 5961 3.2). */
  insecureRst = 0;
  /** A SYN in the window aborts (RFC 793); 0: it is challenged (RFC 5961 4.2). */
  insecureSyn = 0;
  /** What no endpoint wants gets no RST: 1 SYNs, 2 all segments. */
  blackhole = 0;
  /** Segments with SYN and FIN: 0 their FIN is ignored in LISTEN, 1 they open nothing, 2 none is looked at. */
  dropSynFin = 1;
  /** Simultaneous open: the data behind the SYN is kept (RFC 9293 3.10.7.3); 0: the peer sends it again. */
  queuesSynData = 0;
  /**
   * Which ICMP errors end an opening: 0 none, 1 the hard ones as a refusal (RFC 1122 4.2.3.9), 2 all, with
   * the errors that RFC 5461 2.1 describes.
   */
  icmpMayEnd = 2;
  /** SO_ERROR tells soft errors too (RFC 1122 4.2.4.1); 0: only with the timeout that they explain. */
  softErrorsShown = 1;
  /** With timestamps agreed on, a segment without them is dropped (RFC 7323 3.2); 0: it is taken. */
  dropsMissingTs = 0;
  /** A SYN-ACK to a listener gets a RST (RFC 9293 3.10.7.2); 0: it is dropped. */
  resetsSynAck = 1;
  /** A RST in CLOSE-WAIT tells the user of a broken pipe; 0: of a reset connection. */
  closeWaitPipe = 1;
  /** An ACK sent while our FIN is not acknowledged carries it again. */
  acksRepeatFin = 0;
  /** SACK blocks name a FIN beyond a hole, for it has a sequence number. */
  sacksFin = 1;
  /** In TIME-WAIT a segment without ACK gets no answer; 0: one (RFC 9293 3.10.7.4, first step). */
  timeWaitNeedsAck = 0;
  /** A RST of our own carries the window; 0: none. */
  rstWindow = 1;
  /** Timeout before the first sample (RFC 6298 2.1). */
  rtoInitialUs = 1_000_000;
  /** Added to every timeout that has been backed off. */
  rtoSlopUs = 0;
  /** An active open ends after this time (RFC 9293 3.10.1's timeout), the endpoint's option first; 0: none. */
  openTimeoutNs = 0;
  /** A SYN repeated this often goes without options but the MSS; 0: never. */
  synDropOptions = 0;
  delayedAckUs = 40_000;
  /** ACKs not delayed at the start and after disorder. */
  quickAcks = 16;
  /**
   * 0: every second full segment is acknowledged at once (RFC 9293 SHLD-19).
   * 1 (4.4BSD): every second segment of any size, and one that repeats old data in front of new.
   */
  ackPolicy = 0;
  /**
   * 0: the window opens as segments show how they fill the buffer, and an update tells that it has doubled.
   * 1 (4.4BSD): the whole buffer is offered, rounded up to full segments; updates tell a quarter of it.
   */
  windowPolicy = 0;
  /** What is written before the connection is there waits for it (RFC 9293 3.10.2); 0: so does the writer. */
  queuesBeforeOpen = 0;
}
