// Paths of a container that are masked or made read-only (OCI runtime-spec, config-linux.md "Masked Paths" and
// "Readonly Paths"), as runc does it: /dev/null over a file, an empty directory over a directory, and a place
// bound over itself. Comes after the mount tree and before the first program.

import { EACCES, ENOENT, ENOTDIR, errnoName } from "../../abi/errno.ts";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import { MS_RDONLY } from "../../abi/mount.ts";
import { utf8ToByteString } from "../../base/bytes.ts";
import { Unusable } from "../control/protocol.ts";
import { Tmpfs } from "../fs/tmpfs/tmpfs.ts";
import type { Task } from "../kernel/task.ts";
import type { Path } from "../vfs/path.ts";
import { resolve } from "../vfs/resolve.ts";

/** Null: there is no such path, and nothing to hide. Throws with a sentence. */
function placeOf(t: Task, path: string): Path | null {
  const place = resolve(t, AT_FDCWD, utf8ToByteString(path), true);
  if (typeof place !== "number") return place;
  if (place === -ENOENT || place === -ENOTDIR || place === -EACCES) return null;
  throw new Unusable(`${path} cannot be hidden: ${errnoName(-place)}`);
}

export function maskPaths(t: Task, paths: readonly string[]): void {
  const { mounts, memoryFile, clock } = t.kernel;
  const empty = { mode: 0o755, uid: 0, gid: 0, bytesMax: 0, inodesMax: 1 };
  for (const path of paths) {
    const place = placeOf(t, path);
    if (place === null) continue;
    if (place.dentry.inode?.isDirectory === true) {
      const { table } = mounts;
      const fs = new Tmpfs(table.allocateDev(), memoryFile, table.quota, empty, clock.realtimeNs());
      mounts.mountAt(place, fs, MS_RDONLY, "tmpfs");
      continue;
    }
    const nothing = resolve(t, AT_FDCWD, "/dev/null", true);
    if (typeof nothing === "number") {
      throw new Unusable(`${path} cannot be masked: /dev/null: ${errnoName(-nothing)}`);
    }
    mounts.bind(nothing, place, false);
  }
}

/** What is mounted below keeps its own flags, as with runc (MS_REMOUNT is about one mount). */
export function sealPaths(t: Task, paths: readonly string[]): void {
  for (const path of paths) {
    const place = placeOf(t, path);
    if (place !== null) t.kernel.mounts.bind(place, place, true).flags |= MS_RDONLY;
  }
}
