// What `netcell run` shows as / when no --rootfs is given: the host's programs. Describes served trees,
// where they are mounted and which names the root has besides; the sandbox composes it. Works on hosts
// where /bin, /sbin and /lib* are links into /usr and on those where they are directories.

import { lstatSync, readlinkSync, realpathSync } from "node:fs";
import type { TreeConfig } from "../protocol.ts";

/** One served tree and where it is seen. */
export interface ViewMount {
  tree: TreeConfig;
  target: string;
  isFile: boolean;
}
/** A name of the root directory: a link, or a directory when `symlink` is unset. */
export interface ViewEntry {
  path: string;
  symlink?: string;
  mode?: number;
}
export interface RootView {
  mounts: ViewMount[];
  entries: ViewEntry[];
}

/** Secrets that may lie readable in a system's own directories. */
export const ETC_SECRETS = [
  "shadow*",
  "gshadow*",
  "sudoers",
  "sudoers.d",
  "ssl/private",
  "pki/**/private",
  "ssh/ssh_host_*_key",
  "krb5.keytab",
  "machine-id",
];
/** And in the directory that a user starts from, at any depth. */
export const USER_SECRETS = [
  "**/.ssh",
  "**/.gnupg",
  "**/.aws",
  "**/.azure",
  "**/.kube",
  "**/.docker",
  "**/.netrc",
  "**/.git-credentials",
  "**/.npmrc",
  "**/.pypirc",
];

const SYSTEM_DIRECTORIES = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt"];
/** Directories of the sandbox's own. */
const OWN_DIRECTORIES: readonly ViewEntry[] = [
  { path: "/tmp", mode: 0o1777 },
  { path: "/home", mode: 0o755 },
  { path: "/root", mode: 0o700 },
  { path: "/run", mode: 0o755 },
  { path: "/var", mode: 0o755 },
  { path: "/var/tmp", mode: 0o1777 },
  { path: "/var/log", mode: 0o755 },
  { path: "/var/cache", mode: 0o755 },
  { path: "/var/lib", mode: 0o755 },
  { path: "/mnt", mode: 0o755 },
  { path: "/media", mode: 0o755 },
  { path: "/srv", mode: 0o755 },
  { path: "/proc", mode: 0o555 },
  { path: "/sys", mode: 0o555 },
  { path: "/dev", mode: 0o755 },
];

/** A host path below any of these is not offered as the current directory. */
const NEVER_CURRENT = ["/proc", "/sys", "/dev", "/run"];

/**
 * cwd: the caller's directory, mounted at its own path (nested mounts need their directories: the mounting
 * side makes missing ones). firstId: ids count up from it.
 */
export function defaultView(cwd: string, firstId = 0): RootView {
  const view: RootView = { mounts: [], entries: [] };
  let id = firstId;
  for (const name of SYSTEM_DIRECTORIES) {
    const path = `/${name}`;
    const info = lstatSync(path, { throwIfNoEntry: false });
    if (info === undefined) continue;
    if (info.isSymbolicLink()) view.entries.push({ path, symlink: readlinkSync(path) });
    else if (info.isDirectory()) {
      view.entries.push({ path, mode: 0o755 });
      const exclude = name === "etc" ? ETC_SECRETS : name === "usr" ? ["local/etc/**/private"] : [];
      const tree = { id: id++, hostPath: path, writable: false, publicOnly: true, exclude };
      view.mounts.push({ tree, target: path, isFile: false });
    }
  }
  for (const entry of OWN_DIRECTORIES) view.entries.push({ ...entry });
  view.entries.push({ path: "/var/run", symlink: "../run" });
  const current = currentDirectory(cwd);
  if (current !== null) {
    const tree = { id: id++, hostPath: current, writable: false, exclude: USER_SECRETS };
    view.mounts.push({ tree, target: current, isFile: false });
  }
  return view;
}

/** The directory to show at its own path, or null: it is already seen, or would show too much. */
function currentDirectory(cwd: string): string | null {
  let path: string;
  try {
    path = realpathSync(cwd);
    if (!lstatSync(path).isDirectory()) return null;
  } catch {
    return null;
  }
  const below = (top: string): boolean => path === top || path.startsWith(`${top}/`);
  if (path === "/" || NEVER_CURRENT.some(below)) return null;
  if (SYSTEM_DIRECTORIES.some((name) => below(`/${name}`))) return null;
  // The bare top directories hold everybody's files: /home as a whole, /tmp with other programs' sockets.
  return ["/home", "/tmp", "/var", "/var/tmp"].includes(path) ? null : path;
}
