// What scripts written for FreeBSD's stack (tcp(4), its defaults) expect: the stack's tunables where the RFCs
// leave a choice and FreeBSD chose otherwise than Linux, FreeBSD's names of sysctls and socket options, and
// the two programs that such scripts look at connections with. docs/conformance.md gives the reasons.

import { newTcpInfo, type TcpEndpointOptions } from "../../netstack/index.ts";
import type { Command } from "./ast.ts";
import type { Environment } from "./commands.ts";
import type { Profile, TcpSettings } from "./profile.ts";
import type { DrillSocket } from "./socket.ts";
import type { Setting } from "./socket-options.ts";
import { sockstat, tcpdrop } from "./sockstat.ts";
import { BSD_TCP_KEEPINIT, BSD_TCP_NOOPT } from "./symbols.ts";

const SECOND = 1_000_000_000;
const MiB = 1024 * 1024;
const SOL_SOCKET = 1;
const IPPROTO_TCP = 6;

type NumberSetting = {
  [K in keyof TcpSettings]: TcpSettings[K] extends number ? K : never;
}[keyof TcpSettings];

/** net.inet.tcp.*: a tunable, and how many of its units the sysctl counts in. */
const TUNABLES: Readonly<Record<string, readonly [NumberSetting, number]>> = {
  "sack.enable": ["sack", 1],
  "ecn.enable": ["ecn", 1],
  syncookies: ["syncookies", 1],
  insecure_rst: ["insecureRst", 1],
  insecure_syn: ["insecureSyn", 1],
  blackhole: ["blackhole", 1],
  drop_synfin: ["dropSynFin", 2],
  rexmit_initial: ["rtoInitialUs", 1_000],
  rexmit_slop: ["rtoSlopUs", 1_000],
  rexmit_drop_options: ["synDropOptions", 3],
  keepinit: ["openTimeoutNs", 1_000_000],
  delacktime: ["delayedAckUs", 1_000],
  keepidle: ["keepaliveTimeSec", 0.001],
  keepintvl: ["keepaliveIntvlSec", 0.001],
  keepcnt: ["keepaliveProbes", 1],
  icmp_may_rst: ["icmpMayEnd", 1],
};

/** What is not here can at least be off. */
const ONLY_OFF = new Set(["syncookies_only", "udp_tunneling_port", "udp_tunneling_overhead"]);

function sysctl(name: string, value: string, env: Environment): boolean {
  const n = Number(value);
  const { settings } = env.stack.tcp;
  if (name === "kern.ipc.maxsockbuf") {
    env.rmem[2] = settings.rmem[2] = n;
    return true;
  }
  const tail = /^net\.inet\.tcp\.(.+)$/.exec(name)?.[1];
  if (tail === undefined) return false;
  const tunable = TUNABLES[tail];
  if (tunable !== undefined) {
    settings[tunable[0]] = n * tunable[1];
    return true;
  }
  switch (tail) {
    case "rfc1323":
      settings.timestamps = settings.windowScaling = n;
      return true;
    case "ecn.maxretries":
      settings.ecnFallback = n + 1;
      return true;
    case "tolerate_missing_ts":
      settings.dropsMissingTs = n === 0 ? 1 : 0;
      return true;
    case "recvspace":
      env.rmem[1] = settings.rmem[1] = 2 * n;
      return true;
    case "sendspace":
      env.wmem[1] = settings.wmem[1] = n;
      return true;
    case "hostcache.purgenow":
      env.stack.tcp.flushMetrics();
      return true;
    case "fastopen.client_enable":
      settings.fastopen = n;
      // Turning it off empties the cookie cache.
      if (n === 0) env.stack.tcp.flushMetrics();
      return true;
    default:
      return ONLY_OFF.has(tail) && n === 0;
  }
}

function command(line: string, env: Environment, of: Command): boolean {
  switch (/^\S*/.exec(line)?.[0]) {
    case "sockstat":
      sockstat(line, env, of);
      return true;
    case "tcpdrop":
      tcpdrop(line, env);
      return true;
    default:
      return false;
  }
}

const info = newTcpInfo();

const tcpOptions = (s: DrillSocket): TcpEndpointOptions => s.endpoint.options as TcpEndpointOptions;

/** Buffers count payload; a connection's is rounded up to whole segments (tcp_mss()). */
const RECEIVE_BUFFER: Setting = {
  set: (s, value) => {
    s.endpoint.options.receiveBufferBytes = value;
    s.endpoint.options.receiveBufferLocked = true;
    return 0;
  },
  get: (s) => {
    if (s.tcp === null || s.isListening) return s.endpoint.options.receiveBufferBytes;
    s.tcp.info(info);
    return info.rcvSsthresh || s.endpoint.options.receiveBufferBytes;
  },
};

const SEND_BUFFER: Setting = {
  set: (s, value) => {
    s.endpoint.options.sendBufferBytes = value;
    s.endpoint.options.sendBufferLocked = true;
    return 0;
  },
  get: (s) => s.endpoint.options.sendBufferBytes,
};

/** On a client: its first send opens the connection with data in the SYN. */
const FAST_OPEN: Setting = {
  set: (s, value) => {
    s.opensOnSend = value !== 0;
    tcpOptions(s).fastOpenQueue = value;
    return 0;
  },
  get: (s) => (s.opensOnSend ? 1 : 0),
};

const KEEP_INIT: Setting = {
  set: (s, value) => {
    tcpOptions(s).openTimeoutNs = value * SECOND;
    return 0;
  },
  get: (s, p) => {
    const ns = tcpOptions(s).openTimeoutNs || p.config.stack.tcp.settings.openTimeoutNs;
    return ns / SECOND;
  },
};

const NO_OPTIONS: Setting = {
  set: (s, value) => {
    tcpOptions(s).noOptions = value !== 0;
    return 0;
  },
  get: (s) => (tcpOptions(s).noOptions ? 1 : 0),
};

function option(level: number, name: number): Setting | undefined {
  if (level === SOL_SOCKET) {
    if (name === 7) return SEND_BUFFER;
    return name === 8 ? RECEIVE_BUFFER : undefined;
  }
  if (level !== IPPROTO_TCP) return undefined;
  if (name === BSD_TCP_KEEPINIT) return KEEP_INIT;
  if (name === BSD_TCP_NOOPT) return NO_OPTIONS;
  return name === 23 ? FAST_OPEN : undefined;
}

export const FREEBSD: Profile = {
  words: new Set(["FreeBSD"]),
  settings: {
    softwareGso: 0,
    // The base stack has neither RACK nor tail loss probes, and SYNs are backed off from the first.
    recovery: 0,
    earlyRetrans: 0,
    synLinearTimeouts: 0,
    synRetries: 12,
    moderateRcvbuf: 0,
    // Every second segment is acknowledged, whatever its size; there is no quick start.
    quickAcks: 0,
    ackPolicy: 1,
    // Challenge ACKs are not limited to one per half second.
    invalidRatelimitMs: 0,
    dropSynFin: 0,
    strictEdges: 1,
    resetsSynAck: 0,
    closeWaitPipe: 0,
    acksRepeatFin: 1,
    sacksFin: 0,
    timeWaitNeedsAck: 1,
    rfc1337: 1,
    rtoMaxUs: 64_000_000,
    rtoSlopUs: 200_000,
    openTimeoutNs: 75 * SECOND,
    rstWindow: 0,
    windowPolicy: 1,
    queuesBeforeOpen: 1,
    queuesSynData: 1,
    icmpMayEnd: 1,
    softErrorsShown: 0,
    ecnFallback: 2,
    keepaliveProbes: 8,
    fastopenPathDisableSec: 900,
    smallFinWait2: 0,
  },
  wmem: [4096, 32_768, 2 * MiB],
  rmem: [4096, 131_072, 2 * MiB],
  bufferBytesMax: 2 * MiB,
  gsoBytesMax: 0,
  mtuV6: 1500,
  anyOptionOrder: true,
  sysctl,
  command,
  option,
};
