// A place in the mount tree: a dentry as seen through one mount. Immutable; holders keep references by
// holding the object (the host's garbage collector frees dentries that nothing points at).

import type { Dentry } from "./dentry.ts";
import type { Mount } from "./mount.ts";

export class Path {
  readonly mount: Mount;
  readonly dentry: Dentry;

  constructor(mount: Mount, dentry: Dentry) {
    this.mount = mount;
    this.dentry = dentry;
  }
}
