// What tests of memory share: an address space over a page platform, and a file to map.

import { PROT_READ, PROT_WRITE } from "../../abi/mman.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import { type MapRequest, mapMemory, PLACE_FIXED } from "../mm/map.ts";
import type { Mappable, MappingObserver, MapRun } from "../mm/mappable.ts";
import { MemoryFile } from "../mm/memory-file.ts";
import { type MemoryDeps, MemoryManager, type RlimitSource } from "../mm/memory-manager.ts";
import { PAGE_BYTES, pageUp } from "../mm/page.ts";
import { PagePlatform } from "./page-platform.ts";

export const RW = PROT_READ | PROT_WRITE;

export class TestRlimits implements RlimitSource {
  readonly values = new Map<number, number>([[3, 8 * 1024 * 1024]]);
  rlimit(resource: number): { soft: number; hard: number } {
    const soft = this.values.get(resource) ?? Number.POSITIVE_INFINITY;
    return { soft, hard: soft };
  }
}

export class MemoryFixture {
  readonly platform = new PagePlatform();
  readonly memoryFile: MemoryFile;
  readonly deps: MemoryDeps;
  readonly rlimits = new TestRlimits();

  constructor(memoryBytes = 256 * 1024 * 1024, mappings: number = DEFAULT_LIMITS.mappings) {
    this.memoryFile = new MemoryFile(this.platform.host, memoryBytes, this.platform.changes);
    this.deps = {
      platform: this.platform,
      memoryFile: this.memoryFile,
      rng: new SeededRng(7),
      limits: { ...DEFAULT_LIMITS, memoryBytes, mappings },
    };
  }

  space(): MemoryManager {
    const mm = MemoryManager.create(this.deps, this.rlimits, true);
    if (mm === null) throw new Error("no address space");
    return mm;
  }
  /** Maps at a fixed address; private anonymous RW unless `more` says otherwise. */
  map(mm: MemoryManager, addr: number, length: number, more: Partial<MapRequest> = {}): number {
    return mapMemory(mm, { ...anonymous(addr, length), ...more });
  }
  /** A donated file under descriptor fd. */
  file(fd: number, bytes: Uint8Array): TestFile {
    const padded = new Uint8Array(pageUp(bytes.length));
    padded.set(bytes);
    this.platform.files.set(fd, padded);
    return new TestFile(fd, padded, bytes.length);
  }
}

export function anonymous(addr: number, length: number): MapRequest {
  return {
    addr,
    length,
    place: PLACE_FIXED,
    prot: RW,
    maxProt: 7,
    flags: 0,
    mappable: null,
    offset: 0,
    populate: false,
    mayLock: false,
    label: "",
  };
}

/** A file on a donated descriptor: bytes beyond `size` are the padding of its last page. */
export class TestFile implements Mappable {
  readonly mapName = "/file";
  readonly mapDevice = 8;
  readonly mapInode = 42;
  refs = 0;
  /** "offset+length" of each registered mapping. */
  readonly mappings: string[] = [];
  readonly fd: number;
  readonly bytes: Uint8Array;
  size: number;

  constructor(fd: number, bytes: Uint8Array, size: number) {
    this.fd = fd;
    this.bytes = bytes;
    this.size = size;
  }
  mapRun(offset: number, length: number, _write: boolean, out: MapRun): number {
    const end = pageUp(this.size);
    if (offset >= end) return -5;
    out.fd = this.fd;
    out.offset = offset;
    out.length = Math.min(length, end - offset);
    out.inMemoryFile = false;
    return 0;
  }
  readAt(offset: number, dst: Uint8Array, dstOffset: number, length: number): number {
    const n = Math.max(0, Math.min(length, this.size - offset));
    dst.set(this.bytes.subarray(offset, offset + n), dstOffset);
    return n;
  }
  writeAt(offset: number, src: Uint8Array, srcOffset: number, length: number): number {
    this.bytes.set(src.subarray(srcOffset, srcOffset + length), offset);
    this.size = Math.max(this.size, offset + length);
    return length;
  }
  addMapping(_observer: MappingObserver, offset: number, length: number): void {
    this.mappings.push(`${offset}+${length}`);
  }
  removeMapping(_observer: MappingObserver, offset: number, length: number): void {
    const i = this.mappings.indexOf(`${offset}+${length}`);
    if (i < 0) throw new Error("removed a mapping that was not added");
    this.mappings.splice(i, 1);
  }
  incRef(): void {
    this.refs++;
  }
  decRef(): void {
    this.refs--;
  }
}

export const page = (n: number): number => n * PAGE_BYTES;
