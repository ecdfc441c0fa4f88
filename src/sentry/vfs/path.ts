// A place in the mount tree: a dentry as seen through one mount. Immutable; holders keep references by
// holding the object (the host's garbage collector frees dentries that nothing points at).

import type { ByteString } from "../../base/bytes.ts";
import type { Dentry } from "./dentry.ts";
import type { Mount } from "./mount.ts";

export class Path {
  readonly mount: Mount;
  readonly dentry: Dentry;

  constructor(mount: Mount, dentry: Dentry) {
    this.mount = mount;
    this.dentry = dentry;
  }

  equals(other: Path): boolean {
    return this.mount === other.mount && this.dentry === other.dentry;
  }
}

/**
 * The name of a place as seen from `root` (d_path): null when it cannot be reached from there, in which
 * case `unreachable` holds for getcwd and the text so far for /proc.
 */
export function pathText(path: Path, root: Path): { text: ByteString; reachable: boolean } {
  let mount = path.mount;
  let dentry = path.dentry;
  let text = "";
  for (;;) {
    if (dentry === root.dentry && mount === root.mount) break;
    if (dentry === mount.root) {
      if (mount.parent === null || mount.mountPoint === null) {
        const reachable = false;
        return { text: text === "" ? "/" : text, reachable };
      }
      dentry = mount.mountPoint;
      mount = mount.parent;
      continue;
    }
    text = `/${dentry.name}${text}`;
    if (dentry.parent === null) return { text, reachable: false };
    dentry = dentry.parent;
  }
  return { text: text === "" ? "/" : text, reachable: true };
}

/** What /proc/PID/{cwd,root,exe,fd/N} read as: the name from `root`, with " (deleted)" after it if so. */
export function displayPath(path: Path, root: Path): ByteString {
  const { text } = pathText(path, root);
  return path.dentry.isDeleted ? `${text} (deleted)` : text;
}

/** The name of a place for everyone in its mount namespace. */
export function nameInNamespace(path: Path): ByteString {
  const root = path.mount.namespace?.root ?? new Path(path.mount, path.mount.root);
  return displayPath(path, root);
}
