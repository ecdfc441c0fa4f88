// Requests that change a tree served for writing (`--write through`, `--bind ...:rw`). Everything stays
// one component below a directory the client holds; nothing follows a link; no set-user-id or set-group-id
// program, device, FIFO or socket is ever made on the host.

import {
  EACCES,
  EBUSY,
  EINVAL,
  ENOENT,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  EPROTO,
  ESTALE,
  EXDEV,
} from "../../abi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  O_CREAT,
  O_EXCL,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
} from "../../abi/fcntl.ts";
import { S_IFDIR, S_IFMT, S_IFREG, S_ISGID, S_ISUID } from "../../abi/stat.ts";
import type { ByteString } from "../../base/bytes.ts";
import {
  chmodAt2,
  chownAt,
  fchmod,
  linkAtDir,
  mkdirAt,
  renameAt2,
  setTimesAt,
  statxAtDir,
  statxBuffer,
  symlinkAt,
  unlinkAt,
} from "../../host/fs-at.ts";
import { close, ftruncate } from "../../host/libc.ts";
import type { MessageReader, MessageWriter } from "../message.ts";
import {
  ATTR_BYTES,
  NAME_BYTES_MAX,
  OP_CREATE,
  OP_LINK,
  OP_MKDIR,
  OP_RENAME,
  OP_SETATTR,
  OP_SYMLINK,
  OP_UNLINK,
  SET_ATIME,
  SET_GID,
  SET_MODE,
  SET_MTIME,
  SET_SIZE,
  SET_UID,
  TARGET_BYTES_MAX,
} from "../protocol.ts";
import { descend, pinsName } from "./exclude.ts";
import type { DirNode } from "./node-table.ts";
import { checkName, type Resolver, statxMode } from "./resolve.ts";

const NAME_MAX = NAME_BYTES_MAX + 1;

/** Permission bits that may reach the host for a file of this type. */
function safeMode(mode: number, isDirectory: boolean): number {
  return mode & (isDirectory ? 0o7777 & ~S_ISUID : 0o7777 & ~(S_ISUID | S_ISGID));
}

export class Mutations {
  readonly #resolver: Resolver;
  readonly #node: (handle: number) => DirNode | null;
  readonly #canChown = process.geteuid?.() === 0;
  /** Donated by CREATE. */
  fd = -1;

  constructor(resolver: Resolver, node: (handle: number) => DirNode | null) {
    this.#resolver = resolver;
    this.#node = node;
  }

  static handles(op: number): boolean {
    return op >= OP_CREATE && op <= OP_SETATTR;
  }

  dispatch(op: number, dir: DirNode, m: MessageReader, out: MessageWriter): number {
    this.fd = -1;
    if (op === OP_SETATTR) return this.#setAttr(dir, m, out);
    // A tree of one file has no other names to make, and its own must stay.
    if (dir.tree.fileName !== null) return -EPERM;
    switch (op) {
      case OP_CREATE:
        return this.#create(dir, m, out);
      case OP_MKDIR:
        return this.#mkdir(dir, m, out);
      case OP_SYMLINK:
        return this.#symlink(dir, m, out);
      case OP_LINK:
        return this.#link(dir, m, out);
      case OP_UNLINK:
        return this.#unlink(dir, m);
      case OP_RENAME:
        return this.#rename(dir, m);
      default:
        return -ENOSYS;
    }
  }

  /** A name that may be made here: well formed and not one that is hidden. */
  #newName(dir: DirNode, name: ByteString): number {
    const bad = checkName(name);
    if (bad < 0) return bad;
    return descend(dir.rules, name) === null ? -EPERM : 0;
  }

  #attrOf(dir: DirNode, name: ByteString, out: MessageWriter): number {
    const r = this.#resolver.stat(dir, name);
    if (r < 0) return r;
    out.raw(statxBuffer, 0, ATTR_BYTES);
    return 0;
  }

  #create(dir: DirNode, m: MessageReader, out: MessageWriter): number {
    const mode = safeMode(m.u32(), false);
    const uid = m.u32();
    const gid = m.u32();
    const name = m.string(NAME_MAX);
    if (!m.isDone) return -EPROTO;
    const bad = this.#newName(dir, name);
    if (bad < 0) return bad;
    const flags = O_RDWR | O_CREAT | O_EXCL | O_NOCTTY | O_NONBLOCK;
    const fd = this.#resolver.open(dir, name, flags, mode);
    if (fd < 0) return fd;
    this.fd = fd;
    if (this.#canChown) chownAt(dir.fd, name, uid, gid);
    const r = statxAtDir(fd, "", AT_EMPTY_PATH);
    if (r < 0) return r;
    out.raw(statxBuffer, 0, ATTR_BYTES);
    return 0;
  }

  #mkdir(dir: DirNode, m: MessageReader, out: MessageWriter): number {
    const mode = safeMode(m.u32(), true);
    const uid = m.u32();
    const gid = m.u32();
    const name = m.string(NAME_MAX);
    if (!m.isDone) return -EPROTO;
    const bad = this.#newName(dir, name);
    if (bad < 0) return bad;
    const r = mkdirAt(dir.fd, name, mode);
    if (r < 0) return r;
    if (this.#canChown) chownAt(dir.fd, name, uid, gid);
    return this.#attrOf(dir, name, out);
  }

  #symlink(dir: DirNode, m: MessageReader, out: MessageWriter): number {
    const uid = m.u32();
    const gid = m.u32();
    const name = m.string(NAME_MAX);
    const target = m.string(TARGET_BYTES_MAX);
    if (!m.isDone) return -EPROTO;
    const bad = this.#newName(dir, name);
    if (bad < 0) return bad;
    if (target === "" || target.includes("\0")) return -ENOENT;
    const r = symlinkAt(target, dir.fd, name);
    if (r < 0) return r;
    if (this.#canChown) chownAt(dir.fd, name, uid, gid);
    return this.#attrOf(dir, name, out);
  }

  #link(dir: DirNode, m: MessageReader, out: MessageWriter): number {
    const newHandle = m.u32();
    const name = m.string(NAME_MAX);
    const newName = m.string(NAME_MAX);
    if (!m.isDone) return -EPROTO;
    const newDir = this.#node(newHandle);
    if (newDir === null) return -ESTALE;
    if (newDir.tree !== dir.tree) return -EXDEV;
    const r = this.#resolver.stat(dir, name);
    if (r < 0) return r;
    if ((statxMode() & S_IFMT) === S_IFDIR) return -EPERM;
    const bad = this.#newName(newDir, newName);
    if (bad < 0) return bad;
    const linked = linkAtDir(dir.fd, name, newDir.fd, newName);
    return linked < 0 ? linked : this.#attrOf(newDir, newName, out);
  }

  #unlink(dir: DirNode, m: MessageReader): number {
    const flags = m.u32();
    const name = m.string(NAME_MAX);
    if (!m.isDone) return -EPROTO;
    if ((flags & ~AT_REMOVEDIR) !== 0) return -EINVAL;
    const r = this.#resolver.stat(dir, name);
    return r < 0 ? r : unlinkAt(dir.fd, name, flags);
  }

  #rename(dir: DirNode, m: MessageReader): number {
    const newHandle = m.u32();
    const flags = m.u32();
    const name = m.string(NAME_MAX);
    const newName = m.string(NAME_MAX);
    if (!m.isDone) return -EPROTO;
    if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return -EINVAL;
    const newDir = this.#node(newHandle);
    if (newDir === null) return -ESTALE;
    if (newDir.tree !== dir.tree) return -EXDEV;
    const r = this.#resolver.stat(dir, name);
    if (r < 0) return r;
    const isDirectory = (statxMode() & S_IFMT) === S_IFDIR;
    if (isDirectory && pinsName(this.#resolver.rules)) return -EBUSY;
    const bad = this.#newName(newDir, newName);
    if (bad < 0) return bad;
    // Taking the place of a directory that hides something would carry it away, or uncover it.
    if (pinsName(descend(newDir.rules, newName) ?? [])) return -EBUSY;
    return renameAt2(dir.fd, name, newDir.fd, newName, flags);
  }

  #setAttr(dir: DirNode, m: MessageReader, out: MessageWriter): number {
    const mask = m.u32();
    const mode = m.u32();
    const uid = m.u32();
    const gid = m.u32();
    const size = m.u64();
    const atimeS = m.i64();
    const mtimeS = m.i64();
    const atimeNs = m.u32();
    const mtimeNs = m.u32();
    let name = m.string(NAME_MAX);
    if (!m.isDone) return -EPROTO;
    if (atimeNs > 999_999_999 || mtimeNs > 999_999_999 || !Number.isSafeInteger(size))
      return -EINVAL;
    let r: number;
    if (name === "" && dir.tree.fileName === null) {
      name = ".";
      r = statxAtDir(dir.fd, "", AT_EMPTY_PATH);
    } else {
      if (name === "") name = dir.tree.fileName as string;
      r = this.#resolver.stat(dir, name);
    }
    if (r < 0) return r;
    const type = statxMode() & S_IFMT;
    if ((mask & SET_SIZE) !== 0) r = this.#truncate(dir, name, type, size);
    if (r === 0 && (mask & (SET_UID | SET_GID)) !== 0) {
      r = chownAt(dir.fd, name, mask & SET_UID ? uid : -1, mask & SET_GID ? gid : -1);
    }
    if (r === 0 && (mask & SET_MODE) !== 0) r = this.#chmod(dir, name, type, mode);
    if (r === 0 && (mask & (SET_ATIME | SET_MTIME)) !== 0) {
      const a = (mask & SET_ATIME) !== 0 ? atimeS : Number.NaN;
      const c = (mask & SET_MTIME) !== 0 ? mtimeS : Number.NaN;
      r = setTimesAt(dir.fd, name, a, atimeNs, c, mtimeNs);
    }
    if (r < 0) return r;
    if (name !== ".") return this.#attrOf(dir, name, out);
    r = statxAtDir(dir.fd, "", AT_EMPTY_PATH);
    if (r === 0) out.raw(statxBuffer, 0, ATTR_BYTES);
    return r;
  }

  #truncate(dir: DirNode, name: ByteString, type: number, size: number): number {
    if (type !== S_IFREG) return -EINVAL;
    const fd = this.#resolver.open(dir, name, O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0) return fd;
    const r = statxAtDir(fd, "", AT_EMPTY_PATH) === 0 && (statxMode() & S_IFMT) === S_IFREG;
    const done = r ? ftruncate(fd, size) : -EACCES;
    close(fd);
    return done;
  }

  #chmod(dir: DirNode, name: ByteString, type: number, mode: number): number {
    if (type !== S_IFREG && type !== S_IFDIR) return -EOPNOTSUPP;
    if (safeMode(mode, type === S_IFDIR) !== (mode & 0o7777)) return -EPERM;
    const r = chmodAt2(dir.fd, name, mode & 0o7777);
    if (r !== -ENOSYS && r !== -EPERM) return r;
    // Before Linux 6.6: through a descriptor, which cannot be led astray by a link.
    let fd = this.#resolver.open(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd === -EACCES && type === S_IFREG) {
      fd = this.#resolver.open(dir, name, O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);
    }
    if (fd < 0) return fd;
    const changed = fchmod(fd, mode & 0o7777);
    close(fd);
    return changed;
  }
}
