// From a directory and a name to what it is: the only way the server reaches a file. One component at a
// time, never following a link (O_NOFOLLOW, and openat2's RESOLVE_* where the host has it), never "..",
// never into the host's own pseudo file systems, never to a hidden name.

import {
  EACCES,
  EINVAL,
  EMFILE,
  ENAMETOOLONG,
  ENFILE,
  ENOENT,
  ENOSYS,
  EPERM,
} from "../../abi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_NO_AUTOMOUNT,
  AT_SYMLINK_NOFOLLOW,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../../abi/fcntl.ts";
import {
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  STATX_DEV_MAJOR,
  STATX_DEV_MINOR,
  STATX_MODE,
} from "../../abi/stat.ts";
import { type ByteString, u16Le, u32Le } from "../../base/bytes.ts";
import {
  openAt,
  openAt2,
  statfsBuffer,
  statfsOf,
  statxAtDir,
  statxBuffer,
} from "../../host/fs-at.ts";
import { close } from "../../host/libc.ts";
import { NAME_BYTES_MAX } from "../protocol.ts";
import { descend, type Rule } from "./exclude.ts";
import type { DirNode, NodeTable } from "./node-table.ts";

const RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;

/** File systems of the host's kernel that no tree may lead into (f_type, linux/magic.h). */
const PSEUDO_FILE_SYSTEMS = new Set([
  0x9fa0, 0x62656572, 0x1cd1, 0x64626720, 0x74726163, 0x73636673, 0xcafe4a11, 0x27e0eb, 0x63677270,
  0xf97cff8c, 0x62656570, 0xde5e81e4, 0x19800202, 0x6165676c, 0x42494e4d, 0x6e736673,
]);

/** 0, or why the name cannot be one component. */
export function checkName(name: ByteString): number {
  if (name.length === 0 || name === "." || name === "..") return -EINVAL;
  if (name.length > NAME_BYTES_MAX) return -ENAMETOOLONG;
  if (name.includes("/") || name.includes("\0")) return -EINVAL;
  return 0;
}

export function isPseudoFileSystem(fd: number): boolean {
  return statfsOf(fd) < 0 || PSEUDO_FILE_SYSTEMS.has(u32Le(statfsBuffer, 0));
}

export const statxDevice = (): number =>
  u32Le(statxBuffer, STATX_DEV_MAJOR) * 0x10_0000 + u32Le(statxBuffer, STATX_DEV_MINOR);
export const statxMode = (): number => u16Le(statxBuffer, STATX_MODE);
export const statxIsRegular = (): boolean => (statxMode() & S_IFMT) === S_IFREG;

/** What publicOnly shows: what any user of the host could read. */
function isPublic(mode: number): boolean {
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return (mode & 0o5) === 0o5;
  return type === S_IFLNK || type !== S_IFREG || (mode & 0o4) !== 0;
}

export class Resolver {
  readonly #nodes: NodeTable;
  #hasOpenAt2 = true;
  /** Rules below the last name that was looked at. */
  rules: readonly Rule[] = [];

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  /** Attributes of a name into statxBuffer; 0 or -errno. Hidden names are -ENOENT. */
  stat(dir: DirNode, name: ByteString): number {
    const bad = checkName(name);
    if (bad < 0) return bad;
    if (dir.tree.fileName !== null && name !== dir.tree.fileName) return -ENOENT;
    const rules = descend(dir.rules, name);
    if (rules === null) return -ENOENT;
    this.rules = rules;
    const r = statxAtDir(dir.fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
    if (r < 0) return r;
    return dir.tree.publicOnly && !isPublic(statxMode()) ? -ENOENT : 0;
  }

  /** Opens one name. The caller has checked it with stat() just before. */
  open(dir: DirNode, name: ByteString, flags: number, mode: number): number {
    for (;;) {
      let fd: number;
      if (this.#hasOpenAt2) {
        fd = openAt2(dir.fd, name, flags | O_NOFOLLOW, mode, RESOLVE);
        if (fd === -ENOSYS || fd === -EPERM) {
          // A container's filter answers EPERM for calls it does not know: believe openat instead.
          const plain = openAt(dir.fd, name, flags | O_NOFOLLOW, mode);
          if (fd === -ENOSYS || plain >= 0) this.#hasOpenAt2 = false;
          fd = plain;
        }
      } else fd = openAt(dir.fd, name, flags | O_NOFOLLOW, mode);
      if (fd !== -EMFILE && fd !== -ENFILE) return fd;
      if (!this.#nodes.evictOne()) return fd;
    }
  }

  /** An O_PATH descriptor of a directory that stat() has just seen; its attributes are in statxBuffer. */
  openDir(dir: DirNode, name: ByteString): number {
    const fd = this.open(dir, name, O_PATH | O_DIRECTORY, 0);
    if (fd < 0) return fd;
    let r = statxAtDir(fd, "", AT_EMPTY_PATH);
    if (r === 0 && statxDevice() !== dir.device && isPseudoFileSystem(fd)) r = -EACCES;
    if (r === 0) return fd;
    close(fd);
    return r;
  }
}
