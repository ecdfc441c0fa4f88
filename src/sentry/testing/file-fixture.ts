// A kernel fixture with a file tree: tmpfs at the root, and system calls whose arguments may be strings.

import { DEFAULT_LIMITS, type Limits } from "../../base/limits.ts";
import { defaultTmpfsOptions, Tmpfs, tmpfsType } from "../fs/tmpfs/tmpfs.ts";
import { Credentials } from "../kernel/credentials.ts";
import type { Task } from "../kernel/task.ts";
import { MemoryFile } from "../mm/memory-file.ts";
import type { FileSystem } from "../vfs/file-system.ts";
import { FsContext } from "../vfs/fs-context.ts";
import { MountNamespace, MountTable } from "../vfs/mount-namespace.ts";
import { Quota } from "../vfs/quota.ts";
import { FakeChanges, FakeHostMemory } from "./fake-platform.ts";
import { KernelFixture, USER_BASE } from "./kernel-fixture.ts";

/** Strings and results of calls are put here; tests use memory from USER_BASE + 0x20000 on. */
const STRINGS = USER_BASE + 0x1_0000;
export const BUFFER = USER_BASE + 0x2_0000;

export class FileFixture extends KernelFixture {
  readonly table: MountTable;
  readonly quota: Quota;

  constructor(
    makeRoot?: (f: FileFixture) => FileSystem,
    limits: Limits = DEFAULT_LIMITS,
    dentryLimit?: number,
  ) {
    const memoryFile = new MemoryFile(new FakeHostMemory(), limits.memoryBytes, new FakeChanges());
    super({ limits, memoryFile });
    this.quota = new Quota(limits.tmpfsBytes, limits.inodes, null);
    this.table = new MountTable(this.quota, dentryLimit);
    this.table.register(tmpfsType("tmpfs"));
    const root = makeRoot === undefined ? this.tmpfs() : makeRoot(this);
    this.kernel.mounts = MountNamespace.create(this.table, root, 0, "none");
  }

  tmpfs(): Tmpfs {
    const options = { ...defaultTmpfsOptions(), mode: 0o755 };
    const now = this.kernel.clock.realtimeNs();
    return new Tmpfs(this.table.allocateDev(), this.kernel.memoryFile, this.quota, options, now);
  }

  /** A process at the root of the tree. */
  user(uid = 0, gid = uid): Task {
    const root = this.kernel.mounts.root;
    return this.process({
      creds: new Credentials({ uid, gid }),
      fs: new FsContext(root, root),
    });
  }

  /** A system call; strings are copied into the program's memory, NUL-terminated. */
  sys(t: Task, nr: number, ...args: (number | string)[]): number | null {
    let at = STRINGS;
    const numbers = args.map((arg) => {
      if (typeof arg === "number") return arg;
      const bytes = new Uint8Array(arg.length + 1);
      for (let i = 0; i < arg.length; i++) bytes[i] = arg.charCodeAt(i);
      t.mm.copyOut(at, bytes, 0, bytes.length);
      const addr = at;
      at += bytes.length;
      return addr;
    });
    return this.call(t, nr, ...numbers);
  }

  poke(t: Task, text: string, addr = BUFFER): number {
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    t.mm.copyOut(addr, bytes, 0, bytes.length);
    return addr;
  }
  peek(t: Task, length: number, addr = BUFFER): string {
    const bytes = new Uint8Array(length);
    t.mm.copyIn(addr, bytes, 0, length);
    return String.fromCharCode(...bytes);
  }
}
