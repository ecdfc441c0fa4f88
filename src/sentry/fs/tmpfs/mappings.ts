// Who has mapped which part of a file: told when bytes move or go away.

import type { Mappable, MappingObserver } from "../../mm/mappable.ts";

interface Mapping {
  observer: MappingObserver;
  offset: number;
  length: number;
  writable: boolean;
}

export class Mappings {
  #list: Mapping[] = [];
  writableCount = 0;

  get isEmpty(): boolean {
    return this.#list.length === 0;
  }

  add(observer: MappingObserver, offset: number, length: number, writable: boolean): void {
    this.#list.push({ observer, offset, length, writable });
    if (writable) this.writableCount++;
  }

  /** A range that was added, or a part of one (VMAs split and are unmapped in pieces). */
  remove(observer: MappingObserver, offset: number, length: number, writable: boolean): void {
    const end = offset + length;
    for (let i = 0; i < this.#list.length; i++) {
      const m = this.#list[i];
      if (m.observer !== observer || m.writable !== writable) continue;
      if (m.offset > offset || m.offset + m.length < end) continue;
      const tailLength = m.offset + m.length - end;
      if (offset > m.offset) {
        m.length = offset - m.offset;
        if (tailLength > 0) this.add(observer, end, tailLength, writable);
      } else if (tailLength > 0) {
        m.offset = end;
        m.length = tailLength;
      } else {
        this.#list.splice(i, 1);
        if (writable) this.writableCount--;
      }
      return;
    }
  }

  /** The bytes of [offset, offset+length) are no longer where they were. */
  invalidate(mappable: Mappable, offset: number, length: number): void {
    const end = offset + length;
    for (const m of this.#list.slice()) {
      const from = Math.max(offset, m.offset);
      const to = Math.min(end, m.offset + m.length);
      if (from < to) m.observer.invalidate(mappable, from, to - from);
    }
  }
}
