// The tree of mounts that a group of tasks sees.

import type { Mount } from "./mount.ts";
import type { Path } from "./path.ts";

/** PENDING: the full class is being written. */
export interface MountNamespace {
  readonly root: Path;
  readonly mounts: readonly Mount[];
}
