// What a caller may ask of a sandbox, checked before anything is started. Paths are the host's unless
// they are called target or workdir.

import * as v from "valibot";
import { DEFAULT_LIMITS, type Limits } from "../base/limits.ts";
import type { LinkEndpoint } from "../netstack/index.ts";
import { NetcellError } from "./errors.ts";

export type WriteMode = "overlay" | "readonly" | "through";

export interface BindMount {
  source: string;
  /** Absolute, in the sandbox. */
  target: string;
  /** Writes reach the host; otherwise they are refused. */
  writable?: boolean;
}

export interface TmpfsMount {
  target: string;
  sizeBytes?: number;
}

/** One mount as mount(2) has it; mounted in their order, in front of tmpfs and binds. */
export interface Mount {
  type: "bind" | "tmpfs" | "proc" | "sysfs" | "devtmpfs" | "devpts";
  /** Absolute, in the sandbox. */
  target: string;
  /** bind: a file or directory of the host. Writes reach it unless flags has MS_RDONLY. */
  source?: string;
  /** MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_NODIRATIME, MS_RELATIME, MS_NOSYMFOLLOW. */
  flags?: number;
  /** tmpfs: "size=64m,mode=755,uid=0,gid=0,nr_inodes=1000". */
  data?: string;
}

export interface SandboxOptions {
  /** A directory that the program sees as /; default: the host's programs (docs/files.md). */
  rootfs?: string;
  /** A /proc, /sys, /dev, /dev/pts and /dev/shm that are not among them come first of all. */
  mounts?: Mount[];
  binds?: BindMount[];
  tmpfs?: TmpfsMount[];
  /** What becomes of writes to the rootfs and the current directory (overlay: kept in memory). */
  write?: WriteMode;
  /** Directories inside, made when they are missing. */
  directories?: string[];
  /** Files that read as empty, directories that are empty. */
  maskedPaths?: string[];
  /** Paths inside that cannot be written. */
  readonlyPaths?: string[];
  hostname?: string;
  domainname?: string;
  /** Written into /proc/sys before the first program; one that is not taken ends the start. */
  sysctl?: Record<string, string>;
  /**
   * "gateway" (default): through the in-process router; "none"; "tap" or "tap=NAME": a TAP device; "switch=SOCKET":
   * with other sandboxes on one switch (SwitchServer, netcell switch).
   */
  net?: string;
  /** "10.0.2.15/24"; on a TAP device also "dhcp", which is the default there unless ip6 is given. */
  ip?: string;
  router?: string;
  /** "fd00::15/64", or "auto": what routers on the link advertise. With the gateway, auto is fd00:6e63::15/64. Default: no IPv6. */
  ip6?: string;
  /** Default: from routers' advertisements. */
  router6?: string;
  dns?: string;
  mtu?: number;
  mac?: string;
  /** Egress rules of the gateway; nothing is allowed by default. */
  allow?: string[];
  deny?: string[];
  /** "[ADDR:]HOSTPORT:PORT[/udp]". */
  publish?: string[];
  /** Every frame of the link is written here: .pcap, or .pcapng by suffix. */
  pcap?: string;
  /** A bad link: "loss=1%,delay=50ms,jitter=10ms,reorder=2%,duplicate=1%,corrupt=0.1%,rate=10mbit,queue=100". */
  impair?: string;
  limits?: Partial<Limits>;
  /** "host", or "virtual": a clock that stands while programs run, and jumps when all of them wait. */
  time?: "host" | "virtual";
  /** When virtual time starts, in ms since 1970; default 2023-11-14T22:13:20Z. */
  timeStartMs?: number;
  seed?: number;
  /** Where system calls that are missing, and with strace all of them, are written. */
  log?: string;
  strace?: boolean;
  /** Ends the sandbox. */
  signal?: AbortSignal;
  /** Instead of the gateway, whoever holds the other end of the link: called once, before any frame comes. */
  outside?: (link: OutsideLink) => void;
  /** Told once per refused target. */
  onRefused?: (refusal: Refusal) => void;
}

/** The other end of the sandbox's link, for whole frames. */
export interface OutsideLink {
  link: LinkEndpoint;
  /** To be set: frames have been delivered. */
  onDelivered: () => void;
}

/** A connection that the policy did not let out. */
export interface Refusal {
  protocol: string;
  address: string;
  port: number;
  name: string | null;
  reason: string;
  /** The rule that would allow it. */
  suggestedRule: string;
}

export type StdioMode = "pipe" | "inherit" | "ignore";

/** Low and high word of each set of capabilities(7). */
export interface CapabilitySets {
  bounding: [number, number];
  effective: [number, number];
  permitted: [number, number];
  inheritable: [number, number];
  ambient: [number, number];
}

export interface SpawnOptions {
  /** Besides PATH, HOME, TERM and LANG; a list of NAME=VALUE is all that there is. */
  env?: Record<string, string> | string[];
  /** Absolute, in the sandbox. Default: the caller's directory when it is visible there, otherwise /. */
  workdir?: string;
  /** "UID[:GID]"; default 0:0. */
  user?: string;
  /** Supplementary groups. */
  groups?: number[];
  umask?: number;
  noNewPrivileges?: boolean;
  oomScoreAdj?: number;
  /** RLIMIT_* and its soft and hard value, Infinity for none; at most what the sandbox's limits allow. */
  rlimits?: { resource: number; soft: number; hard: number }[];
  /** Default: all of them to root, none to others. */
  capabilities?: CapabilitySets;
  stdin?: StdioMode | string | Uint8Array;
  stdout?: StdioMode;
  stderr?: StdioMode;
  /** A terminal instead of three streams: stdin is its keyboard, stdout its screen. */
  tty?: { rows: number; columns: number };
  /** Ends it with SIGKILL; the exit status is 124. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

const absolute = v.pipe(v.string(), v.startsWith("/", "must be an absolute path"));

const schema = v.strictObject({
  rootfs: v.optional(v.pipe(v.string(), v.nonEmpty())),
  binds: v.optional(
    v.array(
      v.strictObject({ source: v.string(), target: absolute, writable: v.optional(v.boolean()) }),
    ),
  ),
  mounts: v.optional(
    v.array(
      v.strictObject({
        type: v.picklist(["bind", "tmpfs", "proc", "sysfs", "devtmpfs", "devpts"]),
        target: absolute,
        source: v.optional(v.string()),
        flags: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
        data: v.optional(v.string()),
      }),
    ),
  ),
  directories: v.optional(v.array(absolute)),
  maskedPaths: v.optional(v.array(absolute)),
  readonlyPaths: v.optional(v.array(absolute)),
  domainname: v.optional(v.pipe(v.string(), v.maxLength(64))),
  sysctl: v.optional(
    v.record(v.pipe(v.string(), v.regex(/^[\w-]+([./][\w-]+)*$/, "is no setting")), v.string()),
  ),
  tmpfs: v.optional(
    v.array(
      v.strictObject({
        target: absolute,
        sizeBytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(4096))),
      }),
    ),
  ),
  write: v.optional(v.picklist(["overlay", "readonly", "through"])),
  hostname: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]{1,64}$/, "is no host name"))),
  net: v.optional(
    v.pipe(
      v.string(),
      v.regex(
        /^(gateway|none|tap(=[^/\s]{1,15})?|switch=.+)$/,
        "is gateway, none, tap[=NAME] or switch=SOCKET",
      ),
    ),
  ),
  ip: v.optional(v.string()),
  router: v.optional(v.string()),
  ip6: v.optional(v.string()),
  router6: v.optional(v.string()),
  dns: v.optional(v.string()),
  mtu: v.optional(v.pipe(v.number(), v.integer(), v.minValue(68), v.maxValue(65_535))),
  mac: v.optional(
    v.pipe(v.string(), v.regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i, "is no MAC address")),
  ),
  allow: v.optional(v.array(v.string())),
  deny: v.optional(v.array(v.string())),
  publish: v.optional(v.array(v.string())),
  pcap: v.optional(v.string()),
  limits: v.optional(
    v.record(
      v.picklist(Object.keys(DEFAULT_LIMITS), "is no limit"),
      v.pipe(v.number(), v.integer(), v.minValue(1)),
    ),
  ),
  impair: v.optional(v.string()),
  time: v.optional(v.picklist(["host", "virtual"], "is host or virtual")),
  timeStartMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  seed: v.optional(v.pipe(v.number(), v.integer())),
  log: v.optional(v.string()),
  strace: v.optional(v.boolean()),
  signal: v.optional(v.custom<AbortSignal>((s) => s instanceof AbortSignal)),
  outside: v.optional(v.custom<(link: OutsideLink) => void>((f) => typeof f === "function")),
  onRefused: v.optional(v.custom<(r: Refusal) => void>((f) => typeof f === "function")),
});

/** Throws NetcellError ERR_USAGE naming the first wrong option. */
export function checkOptions(options: SandboxOptions): void {
  const result = v.safeParse(schema, options);
  if (result.success) {
    if (options.time !== "virtual" || options.limits?.millicores === undefined) return;
    throw new NetcellError(
      "ERR_USAGE",
      "a limit of CPU time needs the host's clock: virtual time stands while programs run.",
    );
  }
  const issue = result.issues[0];
  const where = issue.path?.map((p) => String(p.key)).join(".") ?? "options";
  const given = typeof issue.input === "string" ? ` "${issue.input}"` : "";
  throw new NetcellError("ERR_USAGE", `option ${where}${given}: ${issue.message}.`);
}
