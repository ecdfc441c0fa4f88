// One script against a stack of its own, in virtual time: the door of the interpreter. A script never
// throws out of here: it passes, fails with a place, or is skipped with a reason.

import { ManualClock } from "../../base/clock.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import { TimerQueue } from "../../base/timers.ts";
import type { PcapWriter } from "../../link/index.ts";
import { IPV4, IPV6, type IpAddr, Stack } from "../../netstack/index.ts";
import type { Script } from "./ast.ts";
import { DrillError, mismatch, type Place } from "./drill-error.ts";
import { DrillLink } from "./drill-link.ts";
import { parseScript } from "./parser.ts";
import { DrillProcess } from "./process.ts";
import { LINUX, type Profile } from "./profile.ts";
import { FREEBSD } from "./profile-freebsd.ts";
import { Runner, type RunnerRules } from "./runner.ts";
import { parseIp } from "./values.ts";

export type DrillFamily = "ipv4" | "ipv6" | "mapped";

export interface DrillOptions {
  /** Without it a script runs in the family it says it is for, else over IPv4. */
  family?: DrillFamily;
  profile?: "linux" | "freebsd";
  /** Words replaced in the script (-D). */
  defines?: ReadonlyMap<string, string>;
  /** One line per event and packet. */
  trace?: (line: string) => void;
  pcap?: PcapWriter;
  seed?: number;
}

export interface DrillOutcome {
  family: DrillFamily;
  state: "passed" | "failed" | "skipped";
  /** Of the failure; 0 when there is none. */
  line: number;
  column: number;
  message: string;
  /** Virtual time the script took. */
  scriptNs: number;
}

/** The stack's clock does not begin at 0: times of 0 mean "never" in places. */
const START_NS = 1_000_000_000_000;

/** A script may say `--profile=freebsd` of itself. */
function profileOf(text: string, options: DrillOptions): Profile {
  const said = /^--profile=(\S+)/m.exec(text)?.[1];
  return (said ?? options.profile) === "freebsd" ? FREEBSD : LINUX;
}

/** Constants that the corpus's own runner defines for each family. */
function familyDefines(family: DrillFamily): [string, string][] {
  const level = family === "ipv4" ? "SOL_IP" : "SOL_IPV6";
  const type = family === "ipv4" ? "IP_RECVERR" : "IPV6_RECVERR";
  const defines: [string, string][] = [
    ["CMSG_LEVEL_IP", level],
    ["CMSG_TYPE_RECVERR", type],
    ["TFO_COOKIE", family === "ipv6" ? "c1d1e9742a47a9bc" : "3021b9d889017eeb"],
    ["TFO_COOKIE_ZERO", family === "ipv6" ? "82af1a8f9a205c34" : "b7c12350a90dc8f5"],
  ];
  // For IPv6 the corpus's runner defines none, and its scripts with CODE end there as a syntax error.
  defines.push(["CODE", family === "ipv6" ? "address_unreachable" : "host_unreachable"]);
  return defines;
}

const FAMILY_NAMES: Readonly<Record<string, DrillFamily>> = {
  ipv4: "ipv4",
  ipv6: "ipv6",
  "ipv4-mapped-ipv6": "mapped",
};

/**
 * What a script says of itself stands against the command line, as in the language's first home; there, though,
 * addresses of another family than the one asked for end the run ("bad IPv6 address").
 */
function familyByAddress(text: string, family: DrillFamily): DrillFamily {
  const written = /^--(?:local|remote)_ip=(\S+)/m.exec(text)?.[1];
  const isV4 = written === undefined ? null : parseIp(written.replace(/\/.*$/, ""))?.isV4;
  if (isV4 === true && family === "ipv6") return "ipv4";
  return isV4 === false && family !== "ipv6" ? "ipv6" : family;
}

export function runScript(text: string, options: DrillOptions = {}): DrillOutcome {
  const said = /^--ip_version=(\S+)/m.exec(text)?.[1] ?? "ipv4";
  const family = familyByAddress(text, options.family ?? FAMILY_NAMES[said] ?? "ipv4");
  const outcome: DrillOutcome = {
    family,
    state: "passed",
    line: 0,
    column: 0,
    message: "",
    scriptNs: 0,
  };
  const clock = new ManualClock();
  clock.advanceNs(START_NS);
  const fail = (error: DrillError): DrillOutcome => ({
    ...outcome,
    state: error.kind === "unsupported" ? "skipped" : "failed",
    line: error.place.line,
    column: error.place.column,
    message: error.message,
  });
  let expected: Place | null = null;
  try {
    const defines = new Map(familyDefines(family));
    for (const [key, value] of options.defines ?? []) defines.set(key, value);
    const profile = profileOf(text, options);
    const script = parseScript(text, defines, profile.words);
    const wanted = script.options.get("ip_version");
    if (wanted !== undefined && FAMILY_NAMES[wanted] !== family) {
      return { ...outcome, state: "skipped", message: `the script is for ${wanted}` };
    }
    expected = script.failure;
    runParsed(script, family, profile, options, clock);
    outcome.scriptNs = clock.monotonicNs() - START_NS;
    if (expected === null) return outcome;
    return fail(mismatch(expected, "the script says that this fails, but it does not"));
  } catch (error) {
    outcome.scriptNs = clock.monotonicNs() - START_NS;
    if (error instanceof DrillError) {
      return isExpected(error, expected) ? outcome : fail(error);
    }
    // A bug of the stack or of the interpreter must show as one, with the script it needs.
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ...outcome, state: "failed", message: `internal error: ${text}` };
  }
}

/** A script that tests the checks themselves says where it fails: a comment `// Failure: ...` before the event. */
const isExpected = (error: DrillError, at: Place | null): boolean =>
  at !== null && error.kind === "mismatch" && error.place.line === at.line;

interface Addresses {
  local: IpAddr;
  remote: IpAddr;
  prefixBits: number;
}

function addressesOf(script: Script, family: DrillFamily): Addresses {
  const isV6 = family === "ipv6";
  const place = { line: 1, column: 1 };
  const read = (name: string, fallback: string): IpAddr => {
    const written = script.options.get(name);
    const addr = parseIp(written ?? fallback);
    if (addr === null)
      throw new DrillError("syntax", place, `--${name}: '${written}' is no address`);
    // What such a script expects (a cookie, say) depends on its addresses.
    if (addr.isV4 === isV6) {
      throw new DrillError("unsupported", place, `the script is for ${written}, not for ${family}`);
    }
    return addr;
  };
  return isV6
    ? {
        local: read("local_ip", "fd3d:a0b:17d6::1"),
        remote: read("remote_ip", "fd3d:fa7b:d17d::1"),
        prefixBits: 48,
      }
    : {
        local: read("local_ip", "192.168.0.1"),
        remote: read("remote_ip", "192.0.2.1"),
        prefixBits: 16,
      };
}

function numberOption(script: Script, name: string, fallback: number): number {
  const text = script.options.get(name);
  return text === undefined || text === "" || Number.isNaN(Number(text)) ? fallback : Number(text);
}

const byteText = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

function rulesOf(script: Script): Omit<RunnerRules, "anyOptionOrder"> {
  return {
    toleranceUs: numberOption(script, "tolerance_usecs", 4000),
    tolerancePercent: numberOption(script, "tolerance_percent", 12.5),
    tsTickUs: numberOption(script, "tcp_ts_tick_usecs", 0),
    md5Secret: byteText(script.options.get("tcp_md5_secret") ?? ""),
    tsEcrScaled: script.options.has("tcp_ts_ecr_scaled"),
    strictSegments: script.options.has("strict_segments"),
    segmentBytes: numberOption(script, "mss", 0),
  };
}

/** Throws DrillError. */
function runParsed(
  script: Script,
  family: DrillFamily,
  profile: Profile,
  options: DrillOptions,
  clock: ManualClock,
): void {
  const timers = new TimerQueue();
  const stack = new Stack({
    clock,
    timers,
    rng: new SeededRng(options.seed ?? 1),
    limits: { ...DEFAULT_LIMITS, socketBufferBytesMax: profile.bufferBytesMax },
  });
  Object.assign(stack.tcp.settings, profile.settings);
  const link = new DrillLink(
    numberOption(script, "mtu", family === "ipv6" ? profile.mtuV6 : 1500),
    clock,
    options.pcap ?? null,
  );
  link.gsoBytesMax = profile.gsoBytesMax;
  const { local, remote, prefixBits } = addressesOf(script, family);
  const addresses = [{ addr: local, prefixBits }];
  const nic = stack.attach(link, {
    name: "tun0",
    addresses,
    // Nobody else is on the link, and nothing but the script's exchange shall be.
    ipv6: { mode: family === "ipv6" ? "static" : "off", duplicateAddressDetection: false },
  });
  // The other side is one station on the link; who it is needs no asking.
  stack.routes.add({
    dst: remote,
    prefixBits: family === "ipv6" ? 128 : 32,
    gateway: null,
    nicId: nic.id,
  });
  nic.neighborsOf(remote.family).setPermanent(remote, link.peerMac);
  const process = new DrillProcess({
    stack,
    nowNs: () => clock.monotonicNs(),
    socketFamily: family === "ipv4" ? IPV4 : IPV6,
    local,
    remote,
    bindPort: numberOption(script, "bind_port", 8080),
    connectPort: numberOption(script, "connect_port", 8080),
    profile,
    wmem: [...profile.wmem],
    rmem: [...profile.rmem],
  });
  const runner = new Runner({
    script,
    process,
    stack,
    clock,
    timers,
    link,
    profile,
    rules: { ...rulesOf(script), anyOptionOrder: profile.anyOptionOrder },
    trace: options.trace ?? null,
  });
  try {
    runner.run();
  } finally {
    runner.cleanUp();
  }
}
