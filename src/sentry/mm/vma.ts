// A VMA: one stretch of addresses that the program mapped, with one protection and one kind of backing.
// It owns a reference to its Mappable and is registered there for exactly its range.

import type { Mappable, MappingObserver } from "./mappable.ts";

export const VMA_SHARED = 1;
export const VMA_GROWSDOWN = 2;
export const VMA_LOCKED = 4;
export const VMA_LOCKONFAULT = 8;
export const VMA_NORESERVE = 0x10;
export const VMA_DONTFORK = 0x20;
export const VMA_DONTDUMP = 0x40;
export const VMA_WIPEONFORK = 0x80;
export const VMA_HUGE = 0x100;
export const VMA_NOHUGE = 0x200;
/** Made by the kernel, not by mmap: never merged, moved or resized ([vdso]). */
export const VMA_SPECIAL = 0x400;
export const VMA_MERGEABLE = 0x800;
export const VMA_SEQUENTIAL = 0x1000;
export const VMA_RANDOM = 0x2000;

export class Vma {
  start: number;
  end: number;
  /** PROT_*. */
  prot: number;
  /** What mprotect may give. */
  maxProt: number;
  /** VMA_*. */
  flags: number;
  /** Null: private anonymous memory. */
  mappable: Mappable | null;
  /** Offset in mappable of `start`. */
  offset: number;
  /** "[stack]", "[heap]"; "" otherwise (files give their own name). */
  label: string;

  constructor(
    start: number,
    end: number,
    prot: number,
    maxProt: number,
    flags: number,
    mappable: Mappable | null,
    offset: number,
    label: string,
  ) {
    this.start = start;
    this.end = end;
    this.prot = prot;
    this.maxProt = maxProt;
    this.flags = flags;
    this.mappable = mappable;
    this.offset = offset;
    this.label = label;
  }

  get length(): number {
    return this.end - this.start;
  }
  get isShared(): boolean {
    return (this.flags & VMA_SHARED) !== 0;
  }
  get isPrivateAnonymous(): boolean {
    return this.mappable === null;
  }
  get #writesToFile(): boolean {
    return (this.flags & VMA_SHARED) !== 0 && (this.maxProt & 2) !== 0;
  }

  /** Takes the reference and registration that a VMA holds. */
  attach(observer: MappingObserver): void {
    this.mappable?.incRef();
    this.mappable?.addMapping(observer, this.offset, this.length, this.#writesToFile);
  }
  detach(observer: MappingObserver): void {
    this.mappable?.removeMapping(observer, this.offset, this.length, this.#writesToFile);
    this.mappable?.decRef();
  }

  /** A VMA for part of this one's range, not attached. */
  slice(start: number, end: number): Vma {
    return new Vma(
      start,
      end,
      this.prot,
      this.maxProt,
      this.flags,
      this.mappable,
      this.mappable === null ? 0 : this.offset + (start - this.start),
      this.label,
    );
  }

  /** `next` could be one VMA with this one. */
  canMerge(next: Vma): boolean {
    return (
      this.end === next.start &&
      this.prot === next.prot &&
      this.maxProt === next.maxProt &&
      this.flags === next.flags &&
      (this.flags & VMA_SPECIAL) === 0 &&
      this.mappable === next.mappable &&
      this.label === next.label &&
      (this.mappable === null || this.offset + this.length === next.offset)
    );
  }
}
