// The shell commands that scripts use, as a table: sysctl (by name or file), ip route and metrics, tc,
// ethtool, and the corpus's own helper scripts by what they do. Nothing is ever executed.

import type { Stack } from "../../netstack/index.ts";
import type { Command } from "./ast.ts";
import { DrillError } from "./drill-error.ts";
import type { DrillLink } from "./drill-link.ts";
import type { DrillProcess } from "./process.ts";
import type { Profile } from "./profile.ts";
import { parseIp } from "./values.ts";

/** What a script can set from outside the stack. */
export interface Environment {
  stack: Stack;
  link: DrillLink;
  process: DrillProcess;
  profile: Profile;
  wmem: number[];
  rmem: number[];
}

type TcpSettings = Stack["tcp"]["settings"];
type NumberSetting = {
  [K in keyof TcpSettings]: TcpSettings[K] extends number ? K : never;
}[keyof TcpSettings];

const NUMBERS: Readonly<Record<string, NumberSetting>> = {
  tcp_timestamps: "timestamps",
  tcp_sack: "sack",
  tcp_dsack: "dsack",
  tcp_window_scaling: "windowScaling",
  tcp_ecn: "ecn",
  tcp_ecn_fallback: "ecnFallback",
  tcp_ecn_option: "ecnOption",
  tcp_ecn_option_beacon: "ecnOptionBeacon",
  tcp_recovery: "recovery",
  tcp_early_retrans: "earlyRetrans",
  tcp_frto: "frto",
  tcp_reordering: "reordering",
  tcp_max_reordering: "maxReordering",
  tcp_rto_min_us: "rtoMinUs",
  tcp_retries1: "retries1",
  tcp_retries2: "retries2",
  tcp_orphan_retries: "orphanRetries",
  tcp_syn_retries: "synRetries",
  tcp_synack_retries: "synAckRetries",
  tcp_syn_linear_timeouts: "synLinearTimeouts",
  tcp_syncookies: "syncookies",
  tcp_slow_start_after_idle: "slowStartAfterIdle",
  tcp_limit_output_bytes: "limitOutputBytes",
  tcp_notsent_lowat: "notsentLowat",
  tcp_min_tso_segs: "minTsoSegs",
  tcp_tso_win_divisor: "tsoWinDivisor",
  tcp_tso_rtt_log: "tsoRttLog",
  tcp_pacing_ss_ratio: "pacingSsRatio",
  tcp_pacing_ca_ratio: "pacingCaRatio",
  tcp_fastopen: "fastopen",
  tcp_fastopen_blackhole_timeout_sec: "fastopenBlackholeTimeoutSec",
  tcp_autocorking: "autocorking",
  tcp_moderate_rcvbuf: "moderateRcvbuf",
  tcp_adv_win_scale: "advWinScale",
  tcp_mtu_probing: "mtuProbing",
  tcp_base_mss: "baseMss",
  tcp_mtu_probe_floor: "mtuProbeFloor",
  tcp_probe_interval: "probeIntervalSec",
  tcp_probe_threshold: "probeThreshold",
  tcp_min_snd_mss: "minSndMss",
  tcp_rfc1337: "rfc1337",
  tcp_tw_reuse: "twReuse",
  tcp_tw_reuse_delay: "twReuseDelayMs",
  tcp_max_tw_buckets: "maxTwBuckets",
  tcp_max_syn_backlog: "maxSynBacklog",
  tcp_thin_linear_timeouts: "thinLinearTimeouts",
  tcp_max_orphans: "maxOrphans",
  tcp_no_metrics_save: "noMetricsSave",
  tcp_no_ssthresh_metrics_save: "noSsthreshMetricsSave",
  tcp_abort_on_overflow: "abortOnOverflow",
  tcp_invalid_ratelimit: "invalidRatelimitMs",
};

/** Known to Linux, without a meaning here: taken in silence. */
const IGNORED = new Set([
  "tcp_fack",
  "tcp_low_latency",
  "tcp_comp_sack_nr",
  "tcp_comp_sack_delay_ns",
  "tcp_comp_sack_slack_ns",
  "ip_no_pmtu_disc",
  "ip_nonlocal_bind",
  "icmp_ratelimit",
]);

/** What the public corpus starts every script with: production settings (its README). */
const DEFAULTS: readonly (readonly [string, string])[] = [
  ["tcp_rmem", "4096 540000 15728640"],
  ["tcp_wmem", "4096 262144 4194304"],
  ["tcp_timestamps", "1"],
  ["tcp_syn_retries", "5"],
  ["tcp_synack_retries", "5"],
  ["tcp_frto", "2"],
  ["tcp_sack", "1"],
  ["tcp_dsack", "1"],
  ["tcp_reordering", "3"],
  ["tcp_congestion_control", "cubic"],
  ["tcp_slow_start_after_idle", "0"],
  ["tcp_early_retrans", "4"],
  ["tcp_recovery", "1"],
  ["tcp_tso_win_divisor", "3"],
  ["tcp_ecn", "0"],
  ["tcp_ecn_option", "2"],
  ["tcp_pacing_ss_ratio", "200"],
  ["tcp_pacing_ca_ratio", "120"],
  ["tcp_notsent_lowat", "4294967295"],
  ["tcp_fastopen", "0x70403"],
  ["tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"],
  ["tcp_syncookies", "1"],
];

export function runCommand(command: Command, env: Environment): void {
  const text = command.text.replace(/\\\n/g, " ");
  for (const line of text.split(/\n|;|&&/)) runLine(line, env, command);
}

/** `a || b`: b runs when the table has no a (a sysctl that newer kernels dropped). */
function runLine(text: string, env: Environment, command: Command): void {
  if (env.profile.command(text.trim(), env, command)) return;
  const choices = text.split("||");
  for (let i = 0; i < choices.length; i++) {
    const line = choices[i].replace(/&>\s*\S+/g, "");
    const words = splitWords(line.replace(/\d*>\s*\S+(?:\s*2>&1)?/g, "").replace(/\|.*$/, ""));
    if (words.length === 0 || words[0].startsWith("#")) return;
    try {
      runWords(words, env, command);
      return;
    } catch (error) {
      if (i === choices.length - 1 || !(error instanceof DrillError)) throw error;
    }
  }
}

/** Words as a shell takes them apart; quotes kept together. */
function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const match of line.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)) {
    words.push(match[0].replace(/["']/g, ""));
  }
  return words;
}

function runWords(words: string[], env: Environment, command: Command): void {
  const name = words[0].slice(words[0].lastIndexOf("/") + 1);
  switch (name) {
    case "defaults.sh":
      for (const [key, value] of DEFAULTS) sysctl(key, value, env, command);
      env.stack.tcp.settings.isPaced = false;
      // Older than linear SYN timeouts.
      env.stack.tcp.settings.synLinearTimeouts = 0;
      return;
    case "sysctl":
    case "set_sysctls.py":
      for (const word of words.slice(1)) {
        if (word.startsWith("-")) continue;
        const at = word.indexOf("=");
        if (at < 0) continue;
        const value = word.slice(at + 1);
        if (env.profile.sysctl(word.slice(0, at), value, env)) continue;
        const key = word.slice(0, at).split(/[./]/).at(-1) ?? "";
        sysctl(key, value, env, command);
      }
      return;
    case "tc":
      env.stack.tcp.settings.isPaced = words.includes("fq");
      env.link.isFull = words[words.indexOf("limit") + 1] === "0" && words.includes("limit");
      return;
    case "ip":
      ipCommand(words, env, command);
      return;
    case "ethtool":
      ethtool(words, env);
      return;
    case "echo":
    case "grep":
    case "nstat":
    case "dd":
    case "sleep":
    case "true":
    case "modprobe":
    case "rm":
    case "cat":
      return;
    default:
      if (/^sysctl_restore_/.test(name)) return;
      throw new DrillError("unsupported", command.place, `no command '${words[0]}'`);
  }
}

function sysctl(name: string, value: string, env: Environment, command: Command): void {
  const { settings } = env.stack.tcp;
  const key = NUMBERS[name];
  if (key !== undefined) {
    const n = Number(value);
    if (Number.isNaN(n)) {
      throw new DrillError("syntax", command.place, `sysctl ${name}: '${value}' is no number`);
    }
    settings[key] = n;
    return;
  }
  const triple = value.trim().split(/\s+/).map(Number);
  switch (name) {
    case "tcp_rmem":
    case "tcp_wmem": {
      const target = name === "tcp_rmem" ? env.rmem : env.wmem;
      const inStack = name === "tcp_rmem" ? settings.rmem : settings.wmem;
      for (let i = 0; i < 3; i++) {
        target[i] = triple[i];
        inStack[i] = triple[i];
      }
      return;
    }
    case "tcp_congestion_control":
      settings.congestion = value;
      return;
    case "tcp_fastopen_key":
      setFastOpenKey(settings, value);
      return;
    case "tcp_rto_max_ms":
      settings.rtoMaxUs = Number(value) * 1_000;
      return;
    case "tcp_fin_timeout":
      settings.finTimeoutNs = Number(value) * 1e9;
      return;
    case "hystart":
      settings.hystart = Number(value) === 0 ? 0 : 3;
      return;
    case "hystart_detect":
      settings.hystart = Number(value);
      return;
    default:
      if (IGNORED.has(name)) return;
      throw new DrillError("unsupported", command.place, `no sysctl '${name}'`);
  }
}

/** Four hexadecimal words, twice with a backup key. */
function setFastOpenKey(settings: TcpSettings, value: string): void {
  const keys = value.split(",");
  settings.fastopenKeys = keys.length;
  keys.forEach((key, k) => {
    key.split("-").forEach((word, i) => {
      settings.fastopenKey[4 * k + i] = Number.parseInt(word, 16) | 0;
    });
  });
}

/** ip route change DST ... [advmss N] [mtu lock N] [initcwnd N]; ip tcp_metrics flush. */
function ipCommand(words: string[], env: Environment, command: Command): void {
  if (words.includes("tcp_metrics")) {
    (env.stack.tcp as { flushMetrics?(): void }).flushMetrics?.();
    return;
  }
  const at = words.indexOf("route");
  if (at < 0) return;
  const dst = parseIp(words[at + 2].replace(/\/.*$/, ""));
  if (dst === null) {
    throw new DrillError("syntax", command.place, `ip route: '${words[at + 2]}' is no address`);
  }
  const valueAfter = (word: string): number => {
    const i = words.indexOf(word);
    if (i < 0) return 0;
    return Number(words[i + 1] === "lock" ? words[i + 2] : words[i + 1]);
  };
  const { routes } = env.stack;
  const old = routes.entries.find((entry) => entry.bits === 128 && entry.dst.equals(dst));
  if (old !== undefined) routes.remove(old);
  routes.add({
    dst,
    prefixBits: dst.isV4 ? 32 : 128,
    gateway: null,
    nicId: env.stack.nicByName("tun0")?.id ?? 0,
    src: null,
    mtu: valueAfter("mtu"),
    advmss: valueAfter("advmss"),
  } as Parameters<typeof routes.add>[0]);
  const initcwnd = valueAfter("initcwnd");
  if (initcwnd > 0) env.stack.tcp.settings.initialCwnd = initcwnd;
}

function ethtool(words: string[], env: Environment): void {
  for (const feature of ["tso", "gso"]) {
    const at = words.indexOf(feature);
    if (at < 0) continue;
    // Linux segments in software either way; without both the stack itself makes single segments.
    env.link.gsoBytesMax = words[at + 1] === "off" ? 0 : 65_535;
  }
}
