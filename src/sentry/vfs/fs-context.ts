// A task's view of the file tree: root, working directory, umask. Shared with CLONE_FS.

import type { Path } from "./path.ts";

export class FsContext {
  root: Path;
  cwd: Path;
  umask = 0o022;
  refs = 1;

  constructor(root: Path, cwd: Path) {
    this.root = root;
    this.cwd = cwd;
  }
  fork(): FsContext {
    const copy = new FsContext(this.root, this.cwd);
    copy.umask = this.umask;
    return copy;
  }
}
