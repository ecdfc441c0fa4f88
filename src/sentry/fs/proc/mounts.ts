// /proc/PID/{mounts,mountinfo,mountstats}: the mounts that a task's root can see (proc(5)).

import {
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
} from "../../../abi/mount.ts";
import { devMajor, devMinor } from "../../../abi/stat.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Mount } from "../../vfs/mount.ts";
import { Path, pathText } from "../../vfs/path.ts";
import { mangle } from "./mangle.ts";

function optionsOf(mount: Mount): string {
  const names: string[] = [(mount.flags & MS_RDONLY) !== 0 ? "ro" : "rw"];
  const when = (bit: number, name: string): void => {
    if ((mount.flags & bit) !== 0) names.push(name);
  };
  when(MS_NOSUID, "nosuid");
  when(MS_NODEV, "nodev");
  when(MS_NOEXEC, "noexec");
  when(MS_NOATIME, "noatime");
  when(MS_NODIRATIME, "nodiratime");
  when(MS_NOSYMFOLLOW, "nosymfollow");
  if ((mount.flags & MS_NOATIME) === 0 || (mount.flags & MS_RELATIME) !== 0) names.push("relatime");
  return names.join(",");
}

/** Each mount with its place below the task's root; those that it cannot see are left out. */
function visible(target: Task): { mount: Mount; place: ByteString }[] {
  const root = target.fs.root;
  const list: { mount: Mount; place: ByteString }[] = [];
  for (const mount of root.mount.namespace?.mounts ?? target.kernel.mounts.mounts) {
    const { text, reachable } = pathText(new Path(mount, mount.root), root);
    if (reachable) list.push({ mount, place: text });
  }
  return list;
}

const superOptions = (mount: Mount): string =>
  `${(mount.flags & MS_RDONLY) !== 0 ? "ro" : "rw"}${mount.fileSystem.options === "" ? "" : `,${mount.fileSystem.options}`}`;

export function mountsText(target: Task): ByteString {
  let s = "";
  for (const { mount, place } of visible(target)) {
    const { typeName, options } = mount.fileSystem;
    const all = options === "" ? optionsOf(mount) : `${optionsOf(mount)},${options}`;
    s += `${mangle(mount.source || "none")} ${mangle(place)} ${typeName} ${all} 0 0\n`;
  }
  return s;
}

export function mountinfoText(target: Task): ByteString {
  let s = "";
  for (const { mount, place } of visible(target)) {
    const fs = mount.fileSystem;
    let inner = "";
    for (let d = mount.root; d.parent !== null; d = d.parent) inner = `/${d.name}${inner}`;
    s += `${mount.id} ${mount.parent?.id ?? mount.id} ${devMajor(fs.dev)}:${devMinor(fs.dev)} ${mangle(inner || "/")} ${mangle(place)} ${optionsOf(mount)} - ${fs.typeName} ${mangle(mount.source || "none")} ${superOptions(mount)}\n`;
  }
  return s;
}

export function mountstatsText(target: Task): ByteString {
  let s = "";
  for (const { mount, place } of visible(target)) {
    s += `device ${mangle(mount.source || "none")} mounted on ${mangle(place)} with fstype ${mount.fileSystem.typeName}\n`;
  }
  return s;
}
