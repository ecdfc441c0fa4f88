// The buddy allocator of one window of the memory file: which page runs are free, and how often each page
// is referred to. It knows nothing of what the pages hold or cost the host: memory-file.ts does.
// Free blocks of 2^order pages sit in one doubly linked list per order, threaded through typed arrays.

/** 2^9 pages = 2 MiB: the largest block, and the largest alignment given. */
export const MAX_ORDER = 9;
const NOT_A_HEAD = 255;
const NIL = -1;

export class PageWindow {
  readonly pages: number;
  /** References of each page; 0: free. */
  readonly refs: Uint32Array;
  /** 1: free, but what it held has not been given back to the host, nor zeroed. */
  readonly dirty: Uint8Array;
  freePages = 0;

  /** Order of the free block that starts here, else NOT_A_HEAD. */
  readonly #headOrder: Uint8Array;
  readonly #next: Int32Array;
  readonly #prev: Int32Array;
  readonly #lists = new Int32Array(MAX_ORDER + 1).fill(NIL);
  /** Bit per order whose list is not empty. */
  #orders = 0;

  /** pages: a multiple of 2^MAX_ORDER. */
  constructor(pages: number) {
    this.pages = pages;
    this.refs = new Uint32Array(pages);
    this.dirty = new Uint8Array(pages);
    this.#headOrder = new Uint8Array(pages).fill(NOT_A_HEAD);
    this.#next = new Int32Array(pages);
    this.#prev = new Int32Array(pages);
    // Backwards, so that the lowest block is taken first.
    for (let page = pages - (1 << MAX_ORDER); page >= 0; page -= 1 << MAX_ORDER) {
      this.#push(page, MAX_ORDER);
    }
    this.freePages = pages;
  }

  /** First page of `count` free pages aligned to their rounded-up power of two, or -1. Sets refs to 1. */
  take(count: number, minOrder: number): number {
    let order = 32 - Math.clz32(count - 1);
    if (count === 1) order = 0;
    if (order < minOrder) order = minOrder;
    const candidates = order > MAX_ORDER ? 0 : this.#orders >>> order;
    if (candidates === 0) return -1;
    const found = order + (31 - Math.clz32(candidates & -candidates));
    const page = this.#lists[found];
    this.#unlink(page, found);
    for (let split = found - 1; split >= order; split--) this.#push(page + (1 << split), split);
    this.freePages -= 1 << order;
    this.#insertFree(page + count, page + (1 << order));
    this.refs.fill(1, page, page + count);
    return page;
  }

  /** Takes exactly [page, page+count) if all of it is free. */
  takeAt(page: number, count: number): boolean {
    const end = page + count;
    if (end > this.pages) return false;
    for (let p = page; p < end; p++) if (this.refs[p] !== 0) return false;
    let at = page;
    while (at < end) {
      // The free block around `at`: its head is `at` with some low bits cleared.
      let order = 0;
      while (this.#headOrder[at & -(1 << order)] !== order) order++;
      const head = at & -(1 << order);
      const blockEnd = head + (1 << order);
      this.#unlink(head, order);
      this.freePages -= 1 << order;
      if (head < at) this.#insertFree(head, at);
      at = Math.min(blockEnd, end);
      if (at < blockEnd) this.#insertFree(at, blockEnd);
    }
    this.refs.fill(1, page, end);
    return true;
  }

  /** Takes back pages whose reference count is 0, joining them with free neighbours. */
  giveBack(page: number, count: number): void {
    this.#insertFree(page, page + count);
  }

  /** Cuts [from, to) into aligned blocks and frees each. */
  #insertFree(from: number, to: number): void {
    this.freePages += to - from;
    while (from < to) {
      let order = from === 0 ? MAX_ORDER : Math.min(MAX_ORDER, 31 - Math.clz32(from & -from));
      while (1 << order > to - from) order--;
      this.#merge(from, order);
      from += 1 << order;
    }
  }

  #merge(page: number, order: number): void {
    while (order < MAX_ORDER) {
      const buddy = page ^ (1 << order);
      if (this.#headOrder[buddy] !== order) break;
      this.#unlink(buddy, order);
      page &= ~(1 << order);
      order++;
    }
    this.#push(page, order);
  }

  #push(page: number, order: number): void {
    const head = this.#lists[order];
    this.#headOrder[page] = order;
    this.#next[page] = head;
    this.#prev[page] = NIL;
    if (head !== NIL) this.#prev[head] = page;
    this.#lists[order] = page;
    this.#orders |= 1 << order;
  }

  #unlink(page: number, order: number): void {
    const next = this.#next[page];
    const prev = this.#prev[page];
    if (prev !== NIL) this.#next[prev] = next;
    else this.#lists[order] = next;
    if (next !== NIL) this.#prev[next] = prev;
    this.#headOrder[page] = NOT_A_HEAD;
    if (this.#lists[order] === NIL) this.#orders &= ~(1 << order);
  }
}
