// /proc/sys/net/ipv4/tcp_*: the tunables of the stack's TCP under Linux's names (ip-sysctl.rst), read from the stack
// and written to it; what is written counts for the next decision. Only what the stack obeys stands here.

import { EINVAL, ENOENT, EPERM } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Limits } from "../../../base/limits.ts";
import { CONGESTION_CONTROLS, type Stack } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";

const CAP_NET_ADMIN = 12;
const PAGE_BYTES = 4096;
const U32_MAX = 0xffff_ffff;
const I32_MAX = 0x7fff_ffff;
/** What proc_dointvec_jiffies takes, at 1000 jiffies a second. */
const JIFFIES_SEC_MAX = Math.floor(I32_MAX / 1000);

export type TcpSettings = Stack["tcp"]["settings"];
type NumberSetting = {
  [K in keyof TcpSettings]: TcpSettings[K] extends number ? K : never;
}[keyof TcpSettings];

/** Name, setting, least and largest value, and how many of the setting's units one is. */
const NUMBERS: readonly (readonly [string, NumberSetting, number, number, number?])[] = [
  ["tcp_abort_on_overflow", "abortOnOverflow", 0, 255],
  ["tcp_adv_win_scale", "advWinScale", -31, 31],
  ["tcp_autocorking", "autocorking", 0, 255],
  ["tcp_base_mss", "baseMss", 0, I32_MAX],
  ["tcp_dsack", "dsack", 0, 255],
  ["tcp_early_retrans", "earlyRetrans", 0, 4],
  ["tcp_ecn", "ecn", 0, 5],
  ["tcp_ecn_fallback", "ecnFallback", 0, 1],
  ["tcp_ecn_option", "ecnOption", 0, 3],
  ["tcp_ecn_option_beacon", "ecnOptionBeacon", 0, 3],
  ["tcp_fastopen", "fastopen", 0, I32_MAX],
  ["tcp_frto", "frto", 0, 255],
  ["tcp_invalid_ratelimit", "invalidRatelimitMs", 0, I32_MAX],
  ["tcp_keepalive_probes", "keepaliveProbes", 0, 255],
  ["tcp_keepalive_intvl", "keepaliveIntvlSec", 0, JIFFIES_SEC_MAX],
  ["tcp_keepalive_time", "keepaliveTimeSec", 0, JIFFIES_SEC_MAX],
  ["tcp_limit_output_bytes", "limitOutputBytes", 0, I32_MAX],
  ["tcp_max_orphans", "maxOrphans", 0, I32_MAX],
  ["tcp_max_reordering", "maxReordering", 0, I32_MAX],
  ["tcp_min_snd_mss", "minSndMss", 48, 65_535],
  ["tcp_min_tso_segs", "minTsoSegs", 1, 255],
  ["tcp_moderate_rcvbuf", "moderateRcvbuf", 0, 255],
  ["tcp_mtu_probe_floor", "mtuProbeFloor", 48, 65_535],
  ["tcp_mtu_probing", "mtuProbing", 0, 255],
  ["tcp_no_metrics_save", "noMetricsSave", 0, 255],
  ["tcp_no_ssthresh_metrics_save", "noSsthreshMetricsSave", 0, 1],
  ["tcp_notsent_lowat", "notsentLowat", 0, U32_MAX],
  ["tcp_orphan_retries", "orphanRetries", 0, 255],
  ["tcp_pacing_ca_ratio", "pacingCaRatio", 0, 1000],
  ["tcp_pacing_ss_ratio", "pacingSsRatio", 0, 1000],
  ["tcp_probe_interval", "probeIntervalSec", 0, U32_MAX],
  ["tcp_probe_threshold", "probeThreshold", 0, I32_MAX],
  ["tcp_recovery", "recovery", 0, 255],
  ["tcp_reordering", "reordering", 0, I32_MAX],
  ["tcp_retries1", "retries1", 0, 255],
  ["tcp_retries2", "retries2", 0, 255],
  ["tcp_rfc1337", "rfc1337", 0, 255],
  ["tcp_rto_max_ms", "rtoMaxUs", 1_000, 120_000, 1_000],
  ["tcp_rto_min_us", "rtoMinUs", 1, I32_MAX],
  ["tcp_sack", "sack", 0, 255],
  ["tcp_slow_start_after_idle", "slowStartAfterIdle", 0, 255],
  ["tcp_syn_linear_timeouts", "synLinearTimeouts", 0, 127],
  ["tcp_syn_retries", "synRetries", 1, 127],
  ["tcp_synack_retries", "synAckRetries", 0, 255],
  ["tcp_syncookies", "syncookies", 0, 2],
  ["tcp_thin_linear_timeouts", "thinLinearTimeouts", 0, 255],
  ["tcp_timestamps", "timestamps", 0, 2],
  ["tcp_tso_rtt_log", "tsoRttLog", 0, 255],
  ["tcp_tso_win_divisor", "tsoWinDivisor", 0, 255],
  ["tcp_tw_reuse", "twReuse", 0, 2],
  ["tcp_tw_reuse_delay", "twReuseDelayMs", 1, 60_000],
  ["tcp_window_scaling", "windowScaling", 0, 255],
];

/** Where the files are made. */
export interface SysctlFiles {
  value(path: string, value: string | number): void;
  custom(
    path: string,
    read: () => string,
    store: (t: Task, text: ByteString) => number,
    mode?: number,
  ): void;
}

function parse(text: ByteString, min: number, max: number): number {
  const n = /^\s*-?[0-9]+\s*$/.test(text) ? Number(text) : Number.NaN;
  return n >= min && n <= max ? n : Number.NaN;
}

/** `settings` is asked for when a file is read or written: the stack may come later than the files. */
export function tcpSysctls(files: SysctlFiles, settings: () => TcpSettings, limits: Limits): void {
  const number = (
    name: string,
    read: () => number,
    write: (n: number) => void,
    min: number,
    max: number,
  ): void => {
    files.custom(
      `net/ipv4/${name}`,
      () => String(read()),
      (t, text) => {
        const n = parse(text, min, max);
        if (Number.isNaN(n)) return -EINVAL;
        if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
        write(n);
        return text.length;
      },
    );
  };
  for (const [name, key, min, max, unit = 1] of NUMBERS) {
    const write = (n: number): void => {
      settings()[key] = n * unit;
    };
    number(name, () => settings()[key] / unit, write, min, max);
  }
  const bounded = (name: string, key: "maxTwBuckets" | "maxSynBacklog", most: number): void => {
    const write = (n: number): void => {
      settings()[key] = n;
    };
    number(name, () => settings()[key] || most, write, 0, I32_MAX);
  };
  bounded("tcp_max_tw_buckets", "maxTwBuckets", limits.timeWaitConnections);
  bounded("tcp_max_syn_backlog", "maxSynBacklog", limits.halfOpenConnections);
  const second = 1_000_000_000;
  const setFinTimeout = (n: number): void => {
    settings().finTimeoutNs = n * second;
  };
  number("tcp_fin_timeout", () => settings().finTimeoutNs / second, setFinTimeout, 0, 3_600);
  congestion(files, settings);
  const pages = limits.socketMemoryBytes / PAGE_BYTES;
  const states = [pages / 2, (2 * pages) / 3, pages].map((n) => Math.floor(n));
  files.value("net/ipv4/tcp_mem", states.join("\t"));
  buffers(files, "tcp_rmem", () => settings().rmem, limits);
  buffers(files, "tcp_wmem", () => settings().wmem, limits);
  fastopenKey(files, settings);
  files.value("net/ipv4/tcp_fastopen_blackhole_timeout_sec", 0);
  // Known to be without effect, on Linux too.
  files.value("net/ipv4/tcp_fack", 0);
  files.value("net/ipv4/tcp_low_latency", 0);
}

/**
 * Least, default, most: proc_dointvec_minmax takes fewer values, each from 1 up. A connection's buffer begins with the
 * second and grows to the third, or to the sandbox's limit.
 */
function buffers(files: SysctlFiles, name: string, values: () => number[], limits: Limits): void {
  files.custom(
    `net/ipv4/${name}`,
    () => {
      const [least, initial, most] = values();
      return [least, initial, most || limits.socketBufferBytesMax].join("\t");
    },
    (t, text) => {
      const words = text.trim().split(/\s+/);
      if (words.length > 3) return -EINVAL;
      const parsed = words.map((word) => parse(word, 1, I32_MAX));
      if (parsed.some(Number.isNaN)) return -EINVAL;
      if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
      const target = values();
      parsed.forEach((n, i) => {
        target[i] = n;
      });
      return text.length;
    },
  );
}

/** One or two keys "xxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxx", only for who may administer the network. */
function fastopenKey(files: SysctlFiles, settings: () => TcpSettings): void {
  const FORM = /^[0-9a-f]{1,8}(-[0-9a-f]{1,8}){3}$/i;
  files.custom(
    "net/ipv4/tcp_fastopen_key",
    () => {
      const { fastopenKey: words, fastopenKeys } = settings();
      const hex = [...words].map((w) => (w >>> 0).toString(16).padStart(8, "0"));
      const keys = [hex.slice(0, 4).join("-"), hex.slice(4).join("-")];
      return keys.slice(0, Math.max(1, fastopenKeys)).join(",");
    },
    (t, text) => {
      if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
      const keys = text.trim().split(",");
      if (keys.length > 2 || !keys.every((key) => FORM.test(key))) return -EINVAL;
      const s = settings();
      keys.forEach((key, k) => {
        key.split("-").forEach((word, i) => {
          s.fastopenKey[4 * k + i] = Number.parseInt(word, 16) | 0;
        });
      });
      s.fastopenKeys = keys.length;
      return text.length;
    },
    0o600,
  );
}

function congestion(files: SysctlFiles, settings: () => TcpSettings): void {
  files.custom(
    "net/ipv4/tcp_congestion_control",
    () => settings().congestion,
    (t, text) => {
      const name = text.trim();
      if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
      if (!CONGESTION_CONTROLS.includes(name)) return -ENOENT;
      settings().congestion = name;
      return text.length;
    },
  );
  const all = CONGESTION_CONTROLS.join(" ");
  files.value("net/ipv4/tcp_available_congestion_control", all);
  files.value("net/ipv4/tcp_allowed_congestion_control", all);
}
