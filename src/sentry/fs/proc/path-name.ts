// The name of a place as a task sees it (d_path): from its root down, through mounts.

import type { ByteString } from "../../../base/bytes.ts";
import type { Dentry } from "../../vfs/dentry.ts";
import type { Mount } from "../../vfs/mount.ts";
import type { Path } from "../../vfs/path.ts";

const DEPTH_MAX = 4096;

/** Null: not below `root` (another root, or a detached mount). */
export function pathBelow(path: Path, root: Path | null): ByteString | null {
  let text = "";
  let mount: Mount = path.mount;
  let dentry: Dentry = path.dentry;
  for (let i = 0; i < DEPTH_MAX; i++) {
    if (root !== null && dentry === root.dentry && mount === root.mount) return text || "/";
    if (dentry === mount.root || dentry.parent === null) {
      if (mount.parent === null || mount.mountPoint === null) {
        return root === null ? text || "/" : null;
      }
      dentry = mount.mountPoint;
      mount = mount.parent;
      continue;
    }
    text = `/${dentry.name}${text}`;
    dentry = dentry.parent;
  }
  return null;
}

/** For links such as /proc/PID/cwd: with " (deleted)"; from the top when it is not below the root. */
export function pathName(path: Path, root: Path): ByteString {
  const name = pathBelow(path, root) ?? pathBelow(path, null) ?? "/";
  return path.dentry.isDeleted ? `${name} (deleted)` : name;
}

/** Spaces and such as octal, in /proc/mounts. */
export function mangle(text: ByteString): ByteString {
  return text.replace(/[ \t\n\\#]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
