// Changes of a served tree (`through`): one request each, then the caches are made to agree. The VFS has
// checked permissions against what the inodes say; the host checks again with the Gofer's own rights.

import { EROFS } from "../../../abi/errno.ts";
import { AT_REMOVEDIR, RENAME_EXCHANGE } from "../../../abi/fcntl.ts";
import { STATX_NLINK } from "../../../abi/stat.ts";
import { type ByteString, setU32Le } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import { ATTR_SIZE, type AttrChange } from "../../vfs/inode.ts";
import { attrNlink } from "./attributes.ts";
import type { GoferInode } from "./gofer-inode.ts";

export function setAttr(_t: Task, inode: GoferInode, change: AttrChange): number {
  const fs = inode.fs;
  if (!fs.isWritable) return -EROFS;
  const oldSize = inode.size;
  const target = inode.parent ?? inode;
  const name = inode.parent === null ? "" : inode.name;
  const r = target.request((handle) => fs.client.setAttr(handle, name, change));
  if (r < 0) return r;
  inode.updateFromReply();
  if ((change.mask & ATTR_SIZE) !== 0 && change.size < oldSize) {
    inode.mappableIfAny?.invalidateFrom(change.size);
  }
  return 0;
}

export function create(
  t: Task,
  dir: GoferInode,
  name: ByteString,
  mode: number,
): GoferInode | number {
  const fs = dir.fs;
  if (!fs.isWritable) return -EROFS;
  const { fsuid, fsgid } = t.creds;
  const fd = dir.request((handle) => fs.client.create(handle, name, mode, fsuid, fsgid));
  if (fd < 0) return fd;
  const inode = dir.adopt(name, fs.takeAttr(fs.client.attrOffset), 0);
  inode.donated.adopt(fd);
  return inode;
}

export function mkdir(
  t: Task,
  dir: GoferInode,
  name: ByteString,
  mode: number,
): GoferInode | number {
  const fs = dir.fs;
  if (!fs.isWritable) return -EROFS;
  const { fsuid, fsgid } = t.creds;
  const r = dir.request((handle) => fs.client.mkdir(handle, name, mode, fsuid, fsgid));
  return r < 0 ? r : dir.adopt(name, fs.takeAttr(fs.client.attrOffset), 0);
}

export function symlink(
  t: Task,
  dir: GoferInode,
  name: ByteString,
  target: ByteString,
): GoferInode | number {
  const fs = dir.fs;
  if (!fs.isWritable) return -EROFS;
  const { fsuid, fsgid } = t.creds;
  const r = dir.request((handle) => fs.client.symlink(handle, name, target, fsuid, fsgid));
  return r < 0 ? r : dir.adopt(name, fs.takeAttr(fs.client.attrOffset), 0);
}

export function link(dir: GoferInode, name: ByteString, target: GoferInode): number {
  const fs = dir.fs;
  if (!fs.isWritable || target.parent === null) return -EROFS;
  const from = target.parent;
  const r = from.request((handle) =>
    // The new directory's handle is made sure of first; either may be stale.
    dir.request((newHandle) => fs.client.link(handle, target.name, newHandle, name)),
  );
  if (r < 0) return r;
  target.updateFromReply();
  dir.children ??= new Map();
  dir.children.set(name, target);
  return 0;
}

export function remove(
  dir: GoferInode,
  name: ByteString,
  target: GoferInode,
  isDirectory: boolean,
): number {
  const fs = dir.fs;
  if (!fs.isWritable) return -EROFS;
  // What is open or mapped lives on in its descriptor.
  const flags = isDirectory ? AT_REMOVEDIR : 0;
  const r = dir.request((handle) => fs.client.unlink(handle, name, flags));
  if (r < 0) return r;
  dir.forget(name);
  noteUnlinked(target, isDirectory);
  return 0;
}

function noteUnlinked(target: GoferInode, isDirectory: boolean): void {
  const links = isDirectory ? 0 : Math.max(0, attrNlink(target.attrs, target.attrOffset) - 1);
  setU32Le(target.attrs, target.attrOffset + STATX_NLINK, links);
  if (links === 0) target.donated.dropIdle();
}

export function rename(
  dir: GoferInode,
  name: ByteString,
  source: GoferInode,
  newDir: GoferInode,
  newName: ByteString,
  replaced: GoferInode | null,
  flags: number,
): number {
  const fs = dir.fs;
  if (!fs.isWritable) return -EROFS;
  const r = dir.request((handle) =>
    newDir.request((newHandle) => fs.client.rename(handle, name, newHandle, newName, flags)),
  );
  if (r < 0) return r;
  dir.forget(name);
  newDir.children ??= new Map();
  newDir.children.set(newName, source);
  source.parent = newDir;
  source.name = newName;
  if (replaced === null) return 0;
  if ((flags & RENAME_EXCHANGE) !== 0) {
    dir.children ??= new Map();
    dir.children.set(name, replaced);
    replaced.parent = dir;
    replaced.name = name;
  } else noteUnlinked(replaced, replaced.isDirectory);
  return 0;
}
