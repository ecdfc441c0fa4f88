// The mounts of a bundle (runtime-spec, config.md "Mounts"; mount(8)'s words for the options) as mounts of ours. What
// our kernel has not is refused by name; cgroup and mqueue, which every engine lists and nobody can miss here, are
// left out.

import { type Stats, statSync } from "node:fs";
import { posix, resolve } from "node:path";
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
} from "../../abi/mount.ts";
import type { Mount } from "../options.ts";
import type { Complain } from "./config-error.ts";
import type { OciMount } from "./config-schema.ts";

/** Bits set and cleared. With an r in front they hold for what is mounted below too: a tree here is one mount. */
const FLAGS: Record<string, readonly [set: number, clear: number]> = {
  ro: [MS_RDONLY, 0],
  rw: [0, MS_RDONLY],
  nosuid: [MS_NOSUID, 0],
  suid: [0, MS_NOSUID],
  nodev: [MS_NODEV, 0],
  dev: [0, MS_NODEV],
  noexec: [MS_NOEXEC, 0],
  exec: [0, MS_NOEXEC],
  noatime: [MS_NOATIME, 0],
  atime: [0, MS_NOATIME],
  nodiratime: [MS_NODIRATIME, 0],
  diratime: [0, MS_NODIRATIME],
  relatime: [MS_RELATIME, 0],
  norelatime: [0, MS_RELATIME],
  strictatime: [0, MS_NOATIME | MS_RELATIME],
  nosymfollow: [MS_NOSYMFOLLOW, 0],
  symfollow: [0, MS_NOSYMFOLLOW],
};

/** Nothing is shared between mounts here, and when the host writes its disks is the host's business. */
const WITHOUT_EFFECT = new Set(
  (
    "defaults async sync dirsync private rprivate shared rshared slave rslave unbindable runbindable " +
    "silent loud iversion noiversion lazytime nolazytime mand nomand nostrictatime notmpcopyup"
  ).split(" "),
);

const TMPFS_WORDS = new Set(
  "size nr_blocks nr_inodes mode uid gid huge mpol inode32 inode64 noswap".split(" "),
);
/** What engines say of it; there is one devpts, and it is always like this. */
const DEVPTS_WORDS = new Set("newinstance ptmxmode mode uid gid max".split(" "));

const LEFT_OUT = new Set(["cgroup", "cgroup2", "mqueue"]);

interface Options {
  isBind: boolean;
  flags: number;
  data: string[];
}

function flagBits(word: string): readonly [number, number] | null {
  if (Object.hasOwn(FLAGS, word)) return FLAGS[word];
  const rest = word.startsWith("r") ? word.slice(1) : "";
  return Object.hasOwn(FLAGS, rest) ? FLAGS[rest] : null;
}

function readOptions(mount: OciMount, type: string, where: string, complain: Complain): Options {
  const read: Options = { isBind: type === "bind", flags: 0, data: [] };
  mount.options?.forEach((word, i) => {
    const bits = flagBits(word);
    const key = word.split("=", 1)[0];
    if (bits !== null) read.flags = (read.flags | bits[0]) & ~bits[1];
    else if (word === "bind" || word === "rbind") read.isBind = true;
    else if (type === "tmpfs" && TMPFS_WORDS.has(key)) read.data.push(word);
    else if (type === "devpts" && DEVPTS_WORDS.has(key)) return;
    else if (!WITHOUT_EFFECT.has(word)) {
      throw complain(
        `${where}.options[${i}]`,
        `"${word}" is not supported for ${type || "a bind"}`,
      );
    }
  });
  return read;
}

/** Throws when it is not there, or is of no kind that can be bound. */
function checkSource(source: string, where: string, complain: Complain): void {
  let stat: Stats;
  try {
    stat = statSync(source);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw complain(`${where}.source`, `"${source}" cannot be used (${code})`);
  }
  if (!stat.isFile() && !stat.isDirectory()) {
    throw complain(`${where}.source`, `"${source}" is neither file nor directory`);
  }
}

const KERNEL_TYPES = new Set<string>(["tmpfs", "proc", "sysfs", "devtmpfs", "devpts"]);

/** Null: left out. */
function mountOf(mount: OciMount, at: string, directory: string, complain: Complain): Mount | null {
  const target = posix.resolve("/", mount.destination);
  if (target === "/") {
    throw complain(`${at}.destination`, "what is seen as / is said by root.path alone");
  }
  for (const which of ["uidMappings", "gidMappings"] as const) {
    if ((mount[which] ?? []).length > 0) throw complain(`${at}.${which}`, "is not supported");
  }
  const type = mount.type ?? "";
  if (LEFT_OUT.has(type)) return null;
  const { isBind, flags, data } = readOptions(mount, type, at, complain);
  if (isBind) {
    if (!mount.source) throw complain(`${at}.source`, "must be there for a bind");
    const source = resolve(directory, mount.source);
    checkSource(source, at, complain);
    return { type: "bind", target, source, flags };
  }
  if (!KERNEL_TYPES.has(type)) {
    const what = type === "" ? "must be there unless it is a bind" : `"${type}" is not supported`;
    throw complain(`${at}.type`, what);
  }
  // Engines mount an empty /dev and fill it; ours comes filled.
  if (target === "/dev" && type === "tmpfs") return { type: "devtmpfs", target, flags };
  const made: Mount = { type: type as Mount["type"], target, flags };
  if (mount.source) made.source = mount.source;
  if (type === "tmpfs") made.data = ["mode=1777", ...data].join(",");
  return made;
}

/** directory: the bundle's, where relative sources begin. */
export function bundleMounts(
  mounts: readonly OciMount[],
  directory: string,
  complain: Complain,
): Mount[] {
  return mounts.flatMap((mount, i) => mountOf(mount, `mounts[${i}]`, directory, complain) ?? []);
}
