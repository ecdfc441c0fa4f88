// What monitor and Sentry say to each other over the control socket: messages of JSON, each with a
// 4-byte little-endian length in front; descriptors travel beside the first byte (SCM_RIGHTS) in the
// order that the message names them, or those messages' comments do. Strings that came from the host's world are UTF-8 text here; the
// Sentry turns them into byte strings.

import type { Limits } from "../../base/limits.ts";
import type { Conditions } from "../../link/index.ts";

export const CONTROL_MESSAGE_BYTES_MAX = 1 << 20;

/** Descriptors that a Sentry is started with. */
export const SENTRY_FD = { control: 3, gofer: 4 } as const;

/** One thing in the sandbox's mount tree, in mounting order. */
export interface MountSpec {
  /** "gofer": a served tree, by its id. */
  type: "gofer" | "tmpfs";
  target: string;
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
  source?: string;
}

/** Names that the root gets besides its mounts: the default view's /bin -> usr/bin. */
export interface RootEntry {
  path: string;
  /** A symbolic link to this, or a directory when unset. */
  symlink?: string;
  mode?: number;
}

export interface NetworkConfig {
  kind: "gateway" | "tap" | "none";
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
  root: { mounts: MountSpec[]; entries: RootEntry[] };
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

export interface SpawnRequest {
  type: "spawn";
  /** Chosen by the monitor; names the process in later messages. */
  id: number;
  argv: string[];
  env: string[];
  workdir: string;
  uid: number;
  gid: number;
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
  | { type: "quiet"; id: number }
  /** No program can be run here, and it is nobody's mistake inside. */
  | { type: "unusable"; message: string }
  | { type: "fatal"; message: string };
