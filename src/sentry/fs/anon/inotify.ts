// inotify(7): watches on inodes and the queue of events of one instance. Sees what programs of this sandbox
// do; changes that others make to a served tree on the host are not told.

import { EAGAIN, EEXIST, EINVAL, ENOSPC } from "../../../abi/errno.ts";
import {
  IN_ALL_EVENTS,
  IN_DELETE_SELF,
  IN_IGNORED,
  IN_ISDIR,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_ONESHOT,
  IN_Q_OVERFLOW,
  INOTIFY_EVENT_BYTES,
} from "../../../abi/inotify.ts";
import { FIONREAD } from "../../../abi/ioctl.ts";
import { POLLIN, POLLRDNORM } from "../../../abi/poll.ts";
import { S_IFREG } from "../../../abi/stat.ts";
import { type ByteString, putByteString, setU32Le } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import type { Inode, InodeWatches } from "../../vfs/inode.ts";
import type { Io } from "../../vfs/io.ts";
import type { Stat } from "../../vfs/stat.ts";

/** fs.inotify.max_queued_events and max_user_watches. */
const QUEUE_MAX = 16_384;
const WATCHES_MAX = 65_536;

interface InotifyEvent {
  wd: number;
  mask: number;
  cookie: number;
  name: ByteString;
}

class Watch {
  readonly file: InotifyFile;
  readonly wd: number;
  readonly inode: Inode;
  mask: number;

  constructor(file: InotifyFile, wd: number, inode: Inode, mask: number) {
    this.file = file;
    this.wd = wd;
    this.inode = inode;
    this.mask = mask;
  }
}

/** All watches on one inode. */
class WatchList implements InodeWatches {
  readonly watches = new Set<Watch>();

  notify(mask: number, cookie: number, name: ByteString): void {
    for (const watch of [...this.watches]) {
      const wanted = watch.mask & mask & IN_ALL_EVENTS;
      if (wanted !== 0) {
        watch.file.push({ wd: watch.wd, mask: wanted | (mask & IN_ISDIR), cookie, name });
        if ((watch.mask & IN_ONESHOT) !== 0) watch.file.drop(watch);
      }
      if ((mask & IN_DELETE_SELF) !== 0 && name === "") watch.file.drop(watch);
    }
  }
}

export class InotifyFile extends FileDescription {
  readonly #watches = new Map<number, Watch>();
  #queue: InotifyEvent[] = [];
  #queuedBytes = 0;
  #nextWd = 1;

  /** inotify_add_watch: the watch descriptor. */
  watch(inode: Inode, mask: number): number {
    const list = (inode.watches ??= new WatchList()) as WatchList;
    const events = mask & (IN_ALL_EVENTS | IN_ONESHOT);
    for (const existing of list.watches) {
      if (existing.file !== this) continue;
      if ((mask & IN_MASK_CREATE) !== 0) return -EEXIST;
      existing.mask = (mask & IN_MASK_ADD) !== 0 ? existing.mask | events : events;
      return existing.wd;
    }
    if (this.#watches.size >= WATCHES_MAX) return -ENOSPC;
    const watch = new Watch(this, this.#nextWd++, inode, events);
    list.watches.add(watch);
    this.#watches.set(watch.wd, watch);
    inode.retain();
    return watch.wd;
  }

  /** inotify_rm_watch. */
  unwatch(wd: number): number {
    const watch = this.#watches.get(wd);
    if (watch === undefined) return -EINVAL;
    this.drop(watch);
    return 0;
  }

  /** Ends a watch; the program learns it by IN_IGNORED. */
  drop(watch: Watch): void {
    if (!this.#watches.delete(watch.wd)) return;
    this.push({ wd: watch.wd, mask: IN_IGNORED, cookie: 0, name: "" });
    this.#forget(watch);
  }
  #forget(watch: Watch): void {
    const list = watch.inode.watches as WatchList | null;
    list?.watches.delete(watch);
    if (list?.watches.size === 0) watch.inode.watches = null;
    watch.inode.letGo();
  }

  push(event: InotifyEvent): void {
    const last = this.#queue[this.#queue.length - 1];
    // Equal events in a row are told once (inotify(7)).
    if (
      last !== undefined &&
      last.wd === event.wd &&
      last.mask === event.mask &&
      last.cookie === event.cookie &&
      last.name === event.name
    ) {
      return;
    }
    if (this.#queue.length > QUEUE_MAX) return;
    const overflows = this.#queue.length === QUEUE_MAX;
    const queued = overflows ? { wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: "" } : event;
    this.#queue.push(queued);
    this.#queuedBytes += eventBytes(queued);
    if (this.#queue.length === 1) this.waiters.notify(POLLIN | POLLRDNORM);
  }

  override read(_t: Task, io: Io): number {
    if (this.#queue.length === 0) return -EAGAIN;
    let done = 0;
    let taken = 0;
    for (const event of this.#queue) {
      const length = eventBytes(event);
      if (length > io.remaining) break;
      const bytes = new Uint8Array(length);
      setU32Le(bytes, 0, event.wd);
      setU32Le(bytes, 4, event.mask);
      setU32Le(bytes, 8, event.cookie);
      setU32Le(bytes, 12, length - INOTIFY_EVENT_BYTES);
      putByteString(bytes, INOTIFY_EVENT_BYTES, event.name);
      const moved = io.copyOut(bytes, 0, length);
      if (moved < length) {
        if (taken === 0) return moved < 0 ? moved : -EINVAL;
        break;
      }
      done += length;
      taken++;
    }
    if (taken === 0) return -EINVAL;
    this.#queue = this.#queue.slice(taken);
    this.#queuedBytes -= done;
    return done;
  }

  override poll(): number {
    return this.#queue.length > 0 ? POLLIN | POLLRDNORM : 0;
  }
  override ioctl(t: Task, request: number, arg: number): number {
    if (request === FIONREAD) return t.mm.writeU32(arg, this.#queuedBytes);
    return super.ioctl(t, request, arg);
  }
  stat(out: Stat): number {
    out.mode = S_IFREG | 0o600;
    out.ino = 13;
    out.dev = 13;
    return 0;
  }
  override fdinfo(): string {
    let text = "";
    for (const watch of this.#watches.values()) {
      const ino = watch.inode.ino.toString(16);
      text += `inotify wd:${watch.wd} ino:${ino} mask:${watch.mask.toString(16)}\n`;
    }
    return text;
  }
  release(): void {
    for (const watch of this.#watches.values()) this.#forget(watch);
    this.#watches.clear();
    this.#queue = [];
  }
  describe(): string {
    return "anon_inode:inotify";
  }
}

/** The name is padded with NULs to a multiple of the header's size. */
function eventBytes(event: InotifyEvent): number {
  if (event.name === "") return INOTIFY_EVENT_BYTES;
  return INOTIFY_EVENT_BYTES + ((event.name.length + INOTIFY_EVENT_BYTES) & ~15);
}
