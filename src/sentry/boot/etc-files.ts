// The files under /etc that speak of the network and the host's name: the sandbox's own, whatever the served tree
// says (as container engines do). What somebody mounted there stays as it is; and a tree that is written through
// to the host is covered, not changed.

import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from "../../abi/fcntl.ts";
import { S_IFREG } from "../../abi/stat.ts";
import { type ByteString, putByteString } from "../../base/bytes.ts";
import { GoferFileSystem } from "../fs/gofer/gofer-file-system.ts";
import { defaultTmpfsOptions, Tmpfs } from "../fs/tmpfs/tmpfs.ts";
import type { Task } from "../kernel/task.ts";
import { Dentry } from "../vfs/dentry.ts";
import { BytesIo } from "../vfs/io.ts";
import { Mount } from "../vfs/mount.ts";
import { mknodAt, unlinkAt } from "../vfs/name-operations.ts";
import { openAt } from "../vfs/open.ts";
import { Path } from "../vfs/path.ts";
import { resolve } from "../vfs/resolve.ts";

export interface EtcOptions {
  hostname: ByteString;
  /** The sandbox's own address, for /etc/hosts; null without a network. */
  address: ByteString | null;
  nameServers: readonly ByteString[];
  /** Domains that short names are looked up in. */
  search: readonly ByteString[];
}

/** 0 or -errno. A read-only root keeps what it has. */
function writeFile(t: Task, path: ByteString, text: ByteString): number {
  const bytes = new Uint8Array(text.length);
  putByteString(bytes, 0, text);
  const file = openAt(t, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  if (typeof file === "number") return file;
  const r = file.write(t, new BytesIo(bytes));
  file.decRef();
  return r < 0 ? r : 0;
}

function textsOf(options: EtcOptions): [path: ByteString, text: ByteString][] {
  const { hostname, address, nameServers, search } = options;
  const own = address === null ? `127.0.1.1\t${hostname}\n` : `${address}\t${hostname}\n`;
  const hosts = `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${own}`;
  const servers = nameServers.map((server) => `nameserver ${server}\n`).join("");
  const domains = search.length === 0 ? "" : `search ${search.join(" ")}\n`;
  const resolver = servers === "" ? domains : `${domains}${servers}options edns0\n`;
  return [
    ["/etc/hosts", hosts],
    ["/etc/hostname", `${hostname}\n`],
    ["/etc/resolv.conf", resolver],
  ];
}

export class EtcFiles {
  readonly #task: Task;
  /** Files in memory that cover the host's. */
  readonly #covers = new Set<Mount>();

  /** t: the boot task. */
  constructor(t: Task) {
    this.#task = t;
  }

  /** Again when the network has other servers. */
  write(options: EtcOptions): void {
    const t = this.#task;
    const etc = resolve(t, AT_FDCWD, "/etc", true);
    // A root without /etc is meant to be bare.
    if (typeof etc === "number") return;
    const isHosts = etc.mount.fileSystem instanceof GoferFileSystem;
    for (const [path, text] of textsOf(options)) {
      const place = resolve(t, AT_FDCWD, path, false);
      const mount = typeof place === "number" ? null : place.mount;
      const isMounted = mount !== null && mount !== etc.mount;
      if (isMounted && !this.#covers.has(mount)) continue;
      if (isHosts && !isMounted && !this.#cover(path)) continue;
      // Often a link to somewhere under /run that does not exist here.
      if (!isHosts) unlinkAt(t, AT_FDCWD, path);
      writeFile(t, path, text);
    }
  }

  /** An empty file in memory over one of the host's. False: the host's cannot be covered and is left alone. */
  #cover(path: ByteString): boolean {
    const t = this.#task;
    const place = coverable(t, path);
    const file = place === null ? null : fileInMemory(t);
    if (place === null || file === null) return false;
    this.#covers.add(t.kernel.mounts.bind(file, place, false));
    return true;
  }
}

/** An existing file, or one made for the purpose as container engines do; null: none can stand there. */
function coverable(t: Task, path: ByteString): Path | null {
  let place = resolve(t, AT_FDCWD, path, true);
  if (typeof place === "number") place = mknodAt(t, AT_FDCWD, path, S_IFREG | 0o644, 0);
  return typeof place !== "number" && place.dentry.inode?.isRegular === true ? place : null;
}

/** In a file system of its own that nobody else sees. */
function fileInMemory(t: Task): Path | null {
  const { mounts, memoryFile, clock } = t.kernel;
  const { table } = mounts;
  const options = { ...defaultTmpfsOptions(), mode: 0o755 };
  const fs = new Tmpfs(table.allocateDev(), memoryFile, table.quota, options, clock.realtimeNs());
  fs.rootDentry = new Dentry("", null, fs.root);
  const mount = new Mount(table.allocateMountId(), fs, fs.rootDentry, null, null, 0, "tmpfs");
  const { cwd } = t.fs;
  t.fs.cwd = new Path(mount, fs.rootDentry);
  const file = mknodAt(t, AT_FDCWD, "file", S_IFREG | 0o644, 0);
  t.fs.cwd = cwd;
  return typeof file === "number" ? null : file;
}
