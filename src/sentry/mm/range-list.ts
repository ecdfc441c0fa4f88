// A sorted list of ranges [start, end) that do not overlap, in one array: binary search to find, splice to
// change. Address spaces have tens to thousands of ranges, where this beats a tree.

export interface Range {
  start: number;
  end: number;
}

export class RangeList<T extends Range> {
  readonly items: T[] = [];

  /** Index of the first range that ends above addr (it may start above addr, too). */
  indexAbove(addr: number): number {
    const items = this.items;
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (items[middle].end > addr) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The range that holds addr. */
  find(addr: number): T | null {
    const i = this.indexAbove(addr);
    if (i === this.items.length) return null;
    const item = this.items[i];
    return item.start <= addr ? item : null;
  }

  insertAt(index: number, item: T): void {
    this.items.splice(index, 0, item);
  }
  removeAt(index: number, count: number): void {
    this.items.splice(index, count);
  }
}
