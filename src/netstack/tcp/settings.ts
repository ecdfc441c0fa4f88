// The tunables of one stack's TCP under the names of Linux's sysctls (net.ipv4.tcp_*, ip-sysctl.rst), with
// Linux's defaults. Read when they matter: a change takes effect with the next decision. No behaviour here.

export class TcpSettings {
  timestamps = 1;
  sack = 1;
  dsack = 1;
  windowScaling = 1;
  /** 0 off, 1 ask and answer, 2 answer only; 3, 4, 5: the same with AccECN (RFC 9768). */
  ecn = 2;
  /** Fall back to no ECN when a SYN with it is lost. */
  ecnFallback = 1;
  /** AccECN option: 0 never, 1 minimum, 2 as needed. */
  ecnOption = 2;
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
  initialCwnd = 10;
  limitOutputBytes = 4 * 1024 * 1024;
  notsentLowat = 0xffff_ffff;
  minTsoSegs = 2;
  tsoWinDivisor = 3;
  tsoRttLog = 9;
  pacingSsRatio = 200;
  pacingCaRatio = 120;
  /** The queue below paces (fq): departures are spread at the pacing rate. */
  isPaced = false;
  /** Bit 0 client, 1 server, 2 data in SYN without a cookie, 9 server needs no cookie, 10 all listeners. */
  fastopen = 1;
  /** One or two keys of four 32-bit words: cookies are made with the first, accepted under both. */
  readonly fastopenKey = new Int32Array(8);
  fastopenKeys = 0;
  fastopenBlackholeTimeoutSec = 0;
  autocorking = 1;
  moderateRcvbuf = 1;
  windowClamp = 0;
  advWinScale = 1;
  /** Least, default and largest buffer in bytes. 0: the endpoint's own default and the limit. */
  readonly rmem = [4096, 0, 0];
  readonly wmem = [4096, 0, 0];
  mtuProbing = 0;
  baseMss = 1024;
  mtuProbeFloor = 48;
  minSndMss = 48;
  rfc1337 = 0;
  twReuse = 2;
  maxOrphans = 16_384;
  finTimeoutNs = 60_000_000_000;
  abortOnOverflow = 0;
  invalidRatelimitMs = 500;
  rtoMinUs = 200_000;
  rtoMaxUs = 120_000_000;
  /** "cubic", "reno", "bbr". */
  congestion = "cubic";
  /** CUBIC's HyStart: 0 off, 1 ACK train, 2 delay, 3 both (Linux); 4: HyStart++ (RFC 9406). */
  hystart = 3;
}
