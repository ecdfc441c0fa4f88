// A platform for tests of memory: an address space keeps, page by page, what it was told to map, and the
// test executes loads and stores on it as the processor would, faulting into the MemoryManager.

import type { MemoryManager } from "../mm/memory-manager.ts";
import type { AddressSpace, Context, Platform, VdsoImage } from "../platform/platform.ts";
import { FakeChanges, FakeHostMemory } from "./fake-platform.ts";

const PAGE = 4096;
/** Faults of one access before the test calls it a livelock. */
const FAULTS_MAX = 4;

interface PageEntry {
  prot: number;
  fd: number;
  offset: number;
}

export class PageSpace implements AddressSpace {
  readonly pages = new Map<number, PageEntry>();
  readonly isDead = false;
  isReleased = false;
  /** Commands received since the start. */
  commands = 0;
  readonly #platform: PagePlatform;

  constructor(platform: PagePlatform) {
    this.#platform = platform;
  }

  map(addr: number, length: number, prot: number, fd: number, offset: number): number {
    this.#check(addr, length);
    if (offset % PAGE !== 0) throw new Error("map: offset is not page aligned");
    if (prot === 0) throw new Error("map: nothing is allowed");
    for (let o = 0; o < length; o += PAGE) {
      this.pages.set(addr + o, { prot, fd, offset: offset + o });
    }
    return 0;
  }
  unmap(addr: number, length: number): number {
    this.#check(addr, length);
    if (length / PAGE > this.pages.size) {
      for (const page of [...this.pages.keys()]) {
        if (page >= addr && page < addr + length) this.pages.delete(page);
      }
      return 0;
    }
    for (let o = 0; o < length; o += PAGE) this.pages.delete(addr + o);
    return 0;
  }
  /** As the host: every page must be mapped. */
  protect(addr: number, length: number, prot: number): number {
    this.#check(addr, length);
    for (let o = 0; o < length; o += PAGE) {
      const entry = this.pages.get(addr + o);
      if (entry === undefined) throw new Error("protect: a page is not mapped");
      this.pages.set(addr + o, { ...entry, prot });
    }
    return 0;
  }
  #check(addr: number, length: number): void {
    this.commands++;
    const { minAddress, maxAddress } = this.#platform;
    const fits = addr >= minAddress && length > 0 && addr + length <= maxAddress;
    if (!fits || addr % PAGE !== 0 || length % PAGE !== 0) throw new Error("bad range");
  }
  sync(): void {}
  newContext(): Context | null {
    return null;
  }
  release(): void {
    this.isReleased = true;
    this.pages.clear();
  }
}

export class PagePlatform implements Platform {
  readonly changes = new FakeChanges();
  onAddressSpaceDeath: ((space: AddressSpace) => void) | null = null;
  onMappingsLost: ((space: AddressSpace) => void) | null = null;
  readonly minAddress = 0x1_0000;
  readonly maxAddress = 0x6f00_0000_0000;
  vdso: VdsoImage | null = null;
  readonly runningCount = 0;
  readonly host = new FakeHostMemory(8 * 1024 * 1024);
  /** Bytes of donated files by descriptor. */
  readonly files = new Map<number, Uint8Array>();
  spacesLeft = Number.POSITIVE_INFINITY;

  newAddressSpace(): PageSpace | null {
    return this.spacesLeft-- > 0 ? new PageSpace(this) : null;
  }
  nextTrap(): Context | null {
    return null;
  }

  /** The program loads a byte: its value, or -FAULT_*. */
  load(mm: MemoryManager, addr: number): number {
    return this.#access(mm, addr, 0, -1);
  }
  /** 0 or -FAULT_*. */
  store(mm: MemoryManager, addr: number, value: number): number {
    return this.#access(mm, addr, 2, value);
  }
  /** An instruction fetch. */
  fetch(mm: MemoryManager, addr: number): number {
    return this.#access(mm, addr, 16, -1);
  }

  #access(mm: MemoryManager, addr: number, errorCode: number, value: number): number {
    const space = mm.addressSpace as PageSpace;
    for (let i = 0; i < FAULTS_MAX; i++) {
      const entry = space.pages.get(addr - (addr % PAGE));
      if (entry !== undefined && allows(entry.prot, errorCode)) {
        const { bytes, index } = this.#bytes(entry, addr % PAGE);
        if (value < 0) return bytes[index];
        bytes[index] = value;
        return 0;
      }
      const result = mm.fault(addr, errorCode);
      if (result !== 0) return -result;
    }
    throw new Error("livelock: the fault was handled but the access still fails");
  }

  #bytes(entry: PageEntry, inPage: number): { bytes: Uint8Array; index: number } {
    const file = this.files.get(entry.fd);
    if (file !== undefined) return { bytes: file, index: entry.offset + inPage };
    if (entry.fd !== this.host.fd) throw new Error("mapped a descriptor that is not open");
    const window = Math.floor(entry.offset / this.host.windowBytes);
    return {
      bytes: this.host.window(window),
      index: (entry.offset % this.host.windowBytes) + inPage,
    };
  }
}

function allows(prot: number, errorCode: number): boolean {
  if (errorCode === 2) return (prot & 2) !== 0;
  if (errorCode === 16) return (prot & 4) !== 0;
  return prot !== 0;
}
