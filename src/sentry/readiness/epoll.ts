// epoll(7): a set of interests in files, and the list of those that may be ready. An item enters the ready
// list when its file announces something and leaves it when epoll_wait finds nothing to report, so a
// wait costs what is ready, not what is watched. Interests are keyed by descriptor and description.

import { EPOLL_EVENT_BYTES } from "../../abi/epoll.ts";
import { EEXIST, EINVAL, ELOOP, ENOENT, ENOSPC, EPERM } from "../../abi/errno.ts";
import {
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLONESHOT,
  EPOLLWAKEUP,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDNORM,
} from "../../abi/poll.ts";
import { setU32Le } from "../../base/bytes.ts";
import { WaitEntry, type Waiter } from "../kernel/wait-queue.ts";
import { FileDescription, type FileWatch, O_RDWR } from "../vfs/file-description.ts";
import { AnonymousFile } from "./anonymous-file.ts";

/** How many epolls may watch one another in a row. */
const NESTING_MAX = 5;
/** Bits of `events` that say how, not what. */
const PRIVATE_BITS = EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE;
const EXCLUSIVE_OK = POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;

/** One interest. Holds no reference to the file: the file drops its watches when it goes. */
class EpollItem implements Waiter, FileWatch {
  readonly epoll: EpollFile;
  readonly fd: number;
  readonly file: FileDescription;
  readonly entry: WaitEntry = new WaitEntry(this);
  events = 0;
  dataLow = 0;
  dataHigh = 0;
  /** Another item of the same descriptor number, left from a file that lives on elsewhere. */
  sameFd: EpollItem | null = null;
  /** In the epoll's ready list. */
  isListed = false;
  prev: EpollItem | null = null;
  next: EpollItem | null = null;
  /** In file.watches. */
  prevWatch: EpollItem | null = null;
  nextWatch: EpollItem | null = null;

  constructor(epoll: EpollFile, fd: number, file: FileDescription) {
    this.epoll = epoll;
    this.fd = fd;
    this.file = file;
    this.nextWatch = file.watches as EpollItem | null;
    if (this.nextWatch !== null) this.nextWatch.prevWatch = this;
    file.watches = this;
  }

  /** What of the interest holds now. 0 while a one-shot item is spent. */
  readyEvents(): number {
    const wanted = this.events & ~PRIVATE_BITS;
    if (wanted === 0) return 0;
    return this.file.poll() & (wanted | POLLERR | POLLHUP);
  }
  onReady(): void {
    if ((this.events & ~PRIVATE_BITS) !== 0) this.epoll.markReady(this);
  }
  unlinkWatch(): void {
    if (this.prevWatch !== null) this.prevWatch.nextWatch = this.nextWatch;
    else if (this.file.watches === this) this.file.watches = this.nextWatch;
    if (this.nextWatch !== null) this.nextWatch.prevWatch = this.prevWatch;
    this.prevWatch = null;
    this.nextWatch = null;
  }
  drop(): void {
    this.epoll.removeItem(this);
  }
}

export class EpollFile extends AnonymousFile {
  readonly className = "[eventpoll]";
  readonly #itemsMax: number;
  readonly #items = new Map<number, EpollItem>();
  #count = 0;
  #readyHead: EpollItem | null = null;
  #readyTail: EpollItem | null = null;
  #readyCount = 0;

  constructor(itemsMax: number) {
    super(O_RDWR);
    this.#itemsMax = itemsMax;
  }

  add(fd: number, file: FileDescription, events: number, low: number, high: number): number {
    const refused = this.#checkAdd(fd, file, events);
    if (refused !== 0) return refused;
    const item = new EpollItem(this, fd, file);
    item.sameFd = this.#items.get(fd) ?? null;
    this.#items.set(fd, item);
    this.#count++;
    // Programs may not see the bits that poll(2) always reports as their own choice: keep one form.
    item.events = events | POLLERR | POLLHUP;
    item.dataLow = low;
    item.dataHigh = high;
    file.waiters.add(item.entry, events & ~PRIVATE_BITS);
    if (item.readyEvents() !== 0) this.markReady(item);
    return 0;
  }

  #checkAdd(fd: number, file: FileDescription, events: number): number {
    // A file that keeps the base's poll() is always ready: Linux refuses those (regular files).
    if (file.poll === FileDescription.prototype.poll) return -EPERM;
    const isNested = file instanceof EpollFile;
    if (file === this) return -EINVAL;
    if ((events & EPOLLEXCLUSIVE) !== 0 && (isNested || (events & ~EXCLUSIVE_OK) !== 0)) {
      return -EINVAL;
    }
    if (this.#find(fd, file) !== null) return -EEXIST;
    if (isNested) {
      const depth = file.depthBelow(this, new Map()) + this.depthAbove(new Map());
      if (depth > NESTING_MAX) return -ELOOP;
    }
    return this.#count >= this.#itemsMax ? -ENOSPC : 0;
  }

  modify(fd: number, file: FileDescription, events: number, low: number, high: number): number {
    const item = this.#find(fd, file);
    if ((events & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
    if (item === null) return -ENOENT;
    if ((item.events & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
    item.events = events | POLLERR | POLLHUP;
    item.dataLow = low;
    item.dataHigh = high;
    item.entry.mask = (events & ~PRIVATE_BITS) | POLLERR | POLLHUP;
    if (item.readyEvents() !== 0) this.markReady(item);
    return 0;
  }

  delete(fd: number, file: FileDescription): number {
    const item = this.#find(fd, file);
    if (item === null) return -ENOENT;
    this.removeItem(item);
    return 0;
  }

  #find(fd: number, file: FileDescription): EpollItem | null {
    let item = this.#items.get(fd) ?? null;
    while (item !== null && item.file !== file) item = item.sameFd;
    return item;
  }

  removeItem(item: EpollItem): void {
    item.file.waiters.remove(item.entry);
    item.unlinkWatch();
    if (item.isListed) this.#unlist(item);
    this.#count--;
    const first = this.#items.get(item.fd);
    if (first === item) {
      if (item.sameFd === null) this.#items.delete(item.fd);
      else this.#items.set(item.fd, item.sameFd);
      return;
    }
    for (let other = first ?? null; other !== null; other = other.sameFd) {
      if (other.sameFd === item) other.sameFd = item.sameFd;
    }
  }

  markReady(item: EpollItem): void {
    // Who sleeps here found the list empty, so only the first listing has anybody to wake; and an event
    // passes each item of a web of nested epolls once, not once per path.
    if (item.isListed) return;
    this.#list(item);
    this.waiters.notify(POLLIN | POLLRDNORM);
  }

  #list(item: EpollItem): void {
    item.isListed = true;
    item.prev = this.#readyTail;
    item.next = null;
    if (this.#readyTail !== null) this.#readyTail.next = item;
    else this.#readyHead = item;
    this.#readyTail = item;
    this.#readyCount++;
  }
  #unlist(item: EpollItem): void {
    if (item.prev !== null) item.prev.next = item.next;
    else this.#readyHead = item.next;
    if (item.next !== null) item.next.prev = item.prev;
    else this.#readyTail = item.prev;
    item.isListed = false;
    item.prev = null;
    item.next = null;
    this.#readyCount--;
  }

  /** Writes up to `max` struct epoll_event into out; their count. Level-triggered items go to the back. */
  collect(out: Uint8Array, max: number): number {
    let count = 0;
    // What is listed again during the walk has its turn in the next call.
    let turns = this.#readyCount;
    while (turns-- > 0 && count < max) {
      const item = this.#readyHead as EpollItem;
      this.#unlist(item);
      const events = item.readyEvents();
      if (events === 0) continue;
      const at = count++ * EPOLL_EVENT_BYTES;
      setU32Le(out, at, events);
      setU32Le(out, at + 4, item.dataLow);
      setU32Le(out, at + 8, item.dataHigh);
      if ((item.events & EPOLLONESHOT) !== 0) item.events &= PRIVATE_BITS;
      else if ((item.events & EPOLLET) === 0) this.#list(item);
    }
    return count;
  }

  override poll(): number {
    let item = this.#readyHead;
    while (item !== null) {
      const next: EpollItem | null = item.next;
      if (item.readyEvents() !== 0) return POLLIN | POLLRDNORM;
      this.#unlist(item);
      item = next;
    }
    return 0;
  }

  /**
   * The longest chain of epolls from here down, this one counted; more than NESTING_MAX when `target` is
   * among them. `known` keeps each epoll from being walked twice.
   */
  depthBelow(target: EpollFile, known: Map<EpollFile, number>): number {
    if (this === target) return NESTING_MAX + 1;
    let depth = known.get(this) ?? 0;
    if (depth > 0) return depth;
    for (const item of this.#allItems()) {
      if (item.file instanceof EpollFile)
        depth = Math.max(depth, item.file.depthBelow(target, known));
    }
    known.set(this, ++depth);
    return depth;
  }
  /** The longest chain from here up to what watches it, this one counted. */
  depthAbove(known: Map<EpollFile, number>): number {
    let depth = known.get(this) ?? 0;
    if (depth > 0) return depth;
    for (let item = this.watches as EpollItem | null; item !== null; item = item.nextWatch) {
      depth = Math.max(depth, item.epoll.depthAbove(known));
    }
    known.set(this, ++depth);
    return depth;
  }
  *#allItems(): Generator<EpollItem> {
    for (const first of this.#items.values()) {
      for (let item: EpollItem | null = first; item !== null; item = item.sameFd) yield item;
    }
  }

  override fdinfo(): string {
    let text = "";
    for (const item of this.#allItems()) {
      const data = `${(item.dataHigh >>> 0).toString(16)}${(item.dataLow >>> 0).toString(16).padStart(8, "0")}`;
      text += `tfd: ${String(item.fd).padStart(8)} events: ${(item.events >>> 0).toString(16).padStart(8)} data: ${data.padStart(16)}\n`;
    }
    return text;
  }
  override release(): void {
    for (const item of [...this.#allItems()]) this.removeItem(item);
  }
}
