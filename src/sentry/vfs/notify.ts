// After a change: keeps the dentry cache true and tells whoever watches (inotify). Called by the VFS
// operations, after the file system has done its part; never fails.

import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
} from "../../abi/inotify.ts";
import type { ByteString } from "../../base/bytes.ts";
import { Dentry, type DentryCache } from "./dentry.ts";
import type { Inode } from "./inode.ts";
import type { Mount } from "./mount.ts";
import { Stat } from "./stat.ts";

const cacheOf = (mount: Mount): DentryCache | undefined => mount.namespace?.table.dentries;

/** A new name (made or linked): the positive dentry for it. */
export function noteCreated(mount: Mount, dir: Dentry, name: ByteString, inode: Inode): Dentry {
  const cache = inode.fileSystem.cachesDentries ? cacheOf(mount) : undefined;
  const stale = dir.child(name);
  if (stale !== undefined) stale.cache?.detach(stale);
  const dentry =
    cache !== undefined ? cache.insert(dir, name, inode) : new Dentry(name, dir, inode);
  tell(dir, IN_CREATE, name, inode, 0);
  return dentry;
}

/** A name is gone. */
export function noteRemoved(mount: Mount, dentry: Dentry): void {
  const inode = dentry.inode as Inode;
  const dir = dentry.parent as Dentry;
  const cache = cacheOf(mount);
  dentry.cache?.detach(dentry);
  dentry.isDeleted = true;
  if (cache !== undefined && inode.fileSystem.cachesDentries && !dir.isDeleted) {
    cache.insert(dir, dentry.name, null);
  }
  if (dentry.children !== null) {
    // What is left below an empty directory are negative entries.
    for (const child of dentry.children.values()) child.cache?.detach(child);
    dentry.children = null;
  }
  tellLinkGone(inode);
  tell(dir, IN_DELETE, dentry.name, inode, 0);
}

/** A name has moved; `replaced` stood there (exchanged: the two changed places). */
export function noteMoved(
  mount: Mount,
  source: Dentry,
  newDir: Dentry,
  newName: ByteString,
  replaced: Dentry | null,
  exchanged: boolean,
): void {
  const inode = source.inode as Inode;
  const oldDir = source.parent as Dentry;
  const oldName = source.name;
  const cache = cacheOf(mount);
  source.cache?.detach(source);
  if (replaced !== null) replaced.cache?.detach(replaced);
  const cached = cache !== undefined && inode.fileSystem.cachesDentries;
  source.name = newName;
  source.parent = newDir;
  if (exchanged && replaced !== null) {
    replaced.name = oldName;
    replaced.parent = oldDir;
    if (cached) cache.attach(oldDir, replaced);
  } else {
    if (replaced !== null && replaced.inode !== null) {
      replaced.isDeleted = true;
      tellLinkGone(replaced.inode);
    }
    if (cached) cache.insert(oldDir, oldName, null);
  }
  if (cached) cache.attach(newDir, source);
  const cookie = mount.namespace?.table.allocateCookie() ?? 0;
  tell(oldDir, IN_MOVED_FROM, oldName, inode, cookie);
  tell(newDir, IN_MOVED_TO, newName, inode, cookie);
  inode.watches?.notify(IN_MOVE_SELF, 0, "");
}

export function noteAttributes(dentry: Dentry): void {
  noteFile(dentry, IN_ATTRIB);
}

/** The bytes changed, by whatever name. */
export function noteModified(dentry: Dentry): void {
  if (isWatched(dentry)) noteFile(dentry, IN_MODIFY);
}

/** Anyone would hear an event of this file. */
export function isWatched(dentry: Dentry): boolean {
  return dentry.inode?.watches != null || dentry.parent?.inode?.watches != null;
}

/** An event on a file, told to its own watches and to its directory's. */
export function noteFile(dentry: Dentry, mask: number): void {
  const inode = dentry.inode;
  if (inode === null) return;
  const bits = inode.isDirectory ? mask | IN_ISDIR : mask;
  inode.watches?.notify(bits, 0, "");
  if (dentry.parent !== null && !dentry.isDeleted) {
    dentry.parent.inode?.watches?.notify(bits, 0, dentry.name);
  }
}

const linkStat = new Stat();

/** A name of the inode is gone: it is deleted, or has a link less. */
function tellLinkGone(inode: Inode): void {
  if (inode.watches === null) return;
  const isDeleted = inode.stat(linkStat) < 0 || linkStat.nlink === 0;
  inode.watches.notify(isDeleted ? IN_DELETE_SELF : IN_ATTRIB, 0, "");
}

function tell(dir: Dentry, mask: number, name: ByteString, inode: Inode, cookie: number): void {
  dir.inode?.watches?.notify(inode.isDirectory ? mask | IN_ISDIR : mask, cookie, name);
}
