// What monitor and Sentry say to each other over the control socket: messages of JSON, each with a
// 4-byte little-endian length in front; descriptors travel beside the first byte (SCM_RIGHTS) in the
// order that the message names them, or those messages' comments do. Strings that came from the host's world are UTF-8 text here; the
// Sentry turns them into byte strings.

import type { Limits } from "../../base/limits.ts";
import type { Conditions } from "../../link/index.ts";

export const CONTROL_MESSAGE_BYTES_MAX = 1 << 20;

/** Descriptors that a Sentry is started with. */
export const SENTRY_FD = { control: 3, gofer: 4 } as const;

/** Thrown while a sandbox is put together as it was asked for: the sentence goes to who asked. */
export class Unusable extends Error {}

/** File systems that the kernel makes of itself. There is one devpts, however often it is mounted. */
export type OwnFileSystem = "proc" | "sysfs" | "devtmpfs" | "devpts";

/** One thing in the sandbox's mount tree, in mounting order. */
export interface MountSpec {
  /** "gofer": a served tree, by its id. */
  type: "gofer" | "tmpfs" | OwnFileSystem;
  target: string;
  /** MS_* of this mount (mount(2)), besides MS_RDONLY of what `write` refuses. */
  flags?: number;
  /** gofer: id of the served tree. */
  tree?: number;
  /** The served tree is one file, not a directory. */
  isFile?: boolean;
  /** gofer: "overlay" keeps writes in memory, "readonly" refuses them, "through" makes them for real. */
  write?: "overlay" | "readonly" | "through";
  /** tmpfs: bytes; unset: the sandbox's limit. */
  sizeBytes?: number;
  /** tmpfs: permission bits of its root. */
  mode?: number;
  /** tmpfs: options as in mount(8), "size=64k,mode=755"; they come after the two above. */
  data?: string;
  source?: string;
}

/** The files that a sandbox starts with. What is masked and sealed is so after everything is mounted. */
export interface FilesConfig {
  mounts: MountSpec[];
  entries: RootEntry[];
  /** Directories made last, where they are missing. */
  directories?: string[];
  /** Files that read as empty, directories that are empty: what is not there is passed over. */
  maskedPaths?: string[];
  /** Sealed one by one, not what is mounted below; what is not there is passed over. */
  readonlyPaths?: string[];
}

/** Names that the root gets besides its mounts: the default view's /bin -> usr/bin. */
export interface RootEntry {
  path: string;
  /** A symbolic link to this, or a directory when unset. */
  symlink?: string;
  mode?: number;
}

export interface NetworkConfig {
  kind: "gateway" | "tap" | "switch" | "none";
  /** "10.0.2.15/24". */
  address?: string;
  /** Address, routes, MTU and name servers come from a DHCP server. */
  dhcp?: boolean;
  router?: string;
  /** "fd00::15/64", or "auto": what routers advertise. Unset: no IPv6 on the link. */
  address6?: string;
  /** Unset: from routers' advertisements. */
  router6?: string;
  dns?: string;
  mtu?: number;
  /** "02:6e:63:00:00:0f". */
  mac?: string;
  /** How bad the link is, both ways. */
  impair?: Conditions;
}

/** Up to three descriptors come along, in this order: `hasLink`, `pcapFormat`, `hasLog`. */
export interface SentryConfig {
  hostname: string;
  /** Unset: "(none)". */
  domainname?: string;
  root: FilesConfig;
  /** Names of /proc/sys with dots or slashes, and what is written there before the first program. */
  sysctl?: Record<string, string>;
  network: NetworkConfig;
  limits: Limits;
  /** A clock that moves only when nothing runs, from this time on (ns since 1970); unset: the host's. */
  virtualStartNs?: number;
  /** Repeatable randomness; unset: the host's. */
  seed?: number;
  hasLink: boolean;
  /** How frames are written to the pcap descriptor; null: there is none. */
  pcapFormat: "us" | "pcapng" | null;
  hasLog: boolean;
  strace: boolean;
  cpus: number;
}

/** Low and high word of each set (capabilities(7)). */
export interface CapabilitySets {
  bounding: [number, number];
  effective: [number, number];
  permitted: [number, number];
  inheritable: [number, number];
  ambient: [number, number];
}

export interface SpawnRequest {
  type: "spawn";
  /** Chosen by the monitor; names the process in later messages. */
  id: number;
  argv: string[];
  env: string[];
  workdir: string;
  uid: number;
  gid: number;
  groups?: number[];
  umask?: number;
  noNewPrivileges?: boolean;
  oomScoreAdj?: number;
  /** RLIMIT_*, soft and hard limit; null: infinity. */
  rlimits?: [number, number | null, number | null][];
  /** Unset: all of them to root, none to others. */
  capabilities?: CapabilitySets;
  /** A new terminal of this size is standard input, output and error; two descriptors come along: its
   *  keyboard (read) and its screen (write). Without it three come: stdin, stdout, stderr. */
  tty?: { rows: number; columns: number };
}

export type ToSentry =
  | { type: "start"; config: SentryConfig }
  | SpawnRequest
  | { type: "signal"; id: number; signal: number }
  | { type: "resize"; id: number; rows: number; columns: number }
  /** Answered by pong: the loop still goes round. */
  | { type: "ping"; id: number }
  /** Answered by quiet: every task is blocked, and nothing that has arrived is left to be seen to. */
  | { type: "quiescent"; id: number };

export type FromSentry =
  | { type: "ready"; pid: number }
  | { type: "spawned"; id: number; pid: number }
  /** errno of execve, and what it concerns. */
  | { type: "spawnFailed"; id: number; errno: number; reason: string }
  | {
      type: "exited";
      id: number;
      exitCode: number | null;
      signal: number | null;
      coreDumped: boolean;
    }
  | { type: "pong"; id: number }
  /** hasTimers: one is armed, so that something may still happen by itself. */
  | { type: "quiet"; id: number; hasTimers: boolean }
  /** No program can be run here, and it is nobody's mistake inside. */
  | { type: "unusable"; message: string }
  | { type: "fatal"; message: string };
