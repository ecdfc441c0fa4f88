// Files in an address space: donated descriptors, private copies, ends of files, registration.

import { describe, expect, it } from "vitest";
import { EFAULT } from "../../abi/errno.ts";
import { MemoryFixture, page } from "../testing/memory-fixture.ts";
import { removeMappings, unmapMemory } from "./map.ts";
import { FAULT_ACCERR, FAULT_BUS } from "./memory-manager.ts";
import { PAGE_BYTES } from "./page.ts";
import { protectMemory } from "./protect.ts";
import { SharedMemory } from "./shared-memory.ts";
import { UserIo } from "./user-io.ts";
import { VMA_SHARED } from "./vma.ts";

const BASE = 0x10_0000_0000;
const READ = 1;
const RW = 3;

/** A file whose page i is filled with i + 1; the last page has 100 bytes. */
function numbered(pages: number): Uint8Array {
  const bytes = new Uint8Array(page(pages - 1) + 100);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(i / PAGE_BYTES) + 1;
  return bytes;
}

describe("private file mappings", () => {
  it("are mapped from the donated descriptor at once and copied on write", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const file = fixture.file(50, numbered(100));
    fixture.map(mm, BASE, page(100), { mappable: file, prot: READ });
    expect(fixture.memoryFile.allocatedBytes).toBe(0);
    expect(mm.pmas.items.length).toBe(1);
    expect(mm.pmas.items[0]).toMatchObject({ fd: 50, prot: READ, mapped: true });
    expect(protectMemory(mm, BASE, page(100), RW)).toBe(0);
    expect(fixture.platform.store(mm, BASE + page(40), 0x77)).toBe(0);
    expect(file.bytes[page(40)]).toBe(41);
    expect(fixture.platform.load(mm, BASE + page(40))).toBe(0x77);
    expect(fixture.platform.load(mm, BASE + page(40) + 1)).toBe(41);
    expect(fixture.platform.load(mm, BASE + page(99))).toBe(100);
    mm.decRef();
    expect(file.refs).toBe(0);
    expect(file.mappings).toEqual([]);
    expect(fixture.memoryFile.allocatedBytes).toBe(0);
  });

  it("are read by the kernel through the file, and written through a copy", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const file = fixture.file(50, numbered(100));
    fixture.map(mm, BASE, page(100), { mappable: file });
    const bytes = new Uint8Array(page(3));
    expect(mm.copyIn(BASE + page(1) + 10, bytes, 0, page(2))).toBe(page(2));
    expect(bytes[0]).toBe(2);
    expect(bytes[page(2) - 1]).toBe(4);
    expect(mm.readU32(BASE + page(5))).toBe(0x06060606);
    expect(mm.writeU32(BASE + page(5), 0)).toBe(0);
    expect(file.bytes[page(5)]).toBe(6);
    expect(mm.readU32(BASE + page(5) + 4)).toBe(0x06060606);
    // The rest of the last page reads as zeros, and can be written.
    expect(mm.readU8(BASE + page(99) + 99)).toBe(100);
    expect(mm.readU8(BASE + page(99) + 100)).toBe(0);
    expect(mm.faulted).toBe(false);
  });

  it("leave nothing behind where something without backing replaces them", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const file = fixture.file(50, numbered(100));
    fixture.map(mm, BASE, page(100), { mappable: file, prot: READ });
    fixture.map(mm, BASE + page(10), page(10), { prot: 0 });
    fixture.map(mm, BASE + page(20), page(10), { lazy: true });
    fixture.map(mm, BASE + page(30), page(4), { mappable: file, prot: RW, offset: page(98) });
    expect(fixture.platform.load(mm, BASE + page(9))).toBe(10);
    expect(fixture.platform.load(mm, BASE + page(15))).toBe(-FAULT_ACCERR);
    expect(fixture.platform.load(mm, BASE + page(25))).toBe(0);
    expect(fixture.platform.load(mm, BASE + page(30))).toBe(99);
    expect(fixture.platform.load(mm, BASE + page(32))).toBe(-FAULT_BUS);
    expect(fixture.platform.load(mm, BASE + page(34))).toBe(35);
  });

  it("end with the file: SIGBUS for the program, EFAULT for the kernel", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const file = fixture.file(50, numbered(2));
    fixture.map(mm, BASE, page(6), { mappable: file });
    expect(fixture.platform.load(mm, BASE + page(1) + 50)).toBe(2);
    expect(fixture.platform.load(mm, BASE + page(2))).toBe(-FAULT_BUS);
    expect(fixture.platform.store(mm, BASE + page(3), 1)).toBe(-FAULT_BUS);
    const bytes = new Uint8Array(page(6));
    expect(mm.copyIn(BASE, bytes, 0, page(6))).toBe(page(2));
    expect(mm.copyIn(BASE + page(2), bytes, 0, 1)).toBe(-EFAULT);
    expect(fixture.memoryFile.allocatedBytes).toBe(page(2));
  });

  it("follow a truncation, but keep what was copied", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const file = fixture.file(50, numbered(100));
    fixture.map(mm, BASE, page(100), { mappable: file });
    fixture.platform.store(mm, BASE + page(90), 5);
    file.size = page(10);
    mm.invalidate(file, page(10), page(90));
    expect(fixture.platform.load(mm, BASE + page(9))).toBe(10);
    expect(fixture.platform.load(mm, BASE + page(50))).toBe(-FAULT_BUS);
    expect(fixture.platform.load(mm, BASE + page(90))).toBe(5);
  });
});

describe("shared file mappings", () => {
  it("write to the file, from the program and from the kernel, and never lengthen it", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const file = fixture.file(50, numbered(3));
    fixture.map(mm, BASE, page(3), { mappable: file, flags: VMA_SHARED });
    expect(fixture.platform.store(mm, BASE + 5, 0x55)).toBe(0);
    expect(file.bytes[5]).toBe(0x55);
    const bytes = new Uint8Array(page(1)).fill(0x66);
    expect(mm.copyOut(BASE + page(2), bytes, 0, page(1))).toBe(page(1));
    expect(file.bytes[page(2) + 99]).toBe(0x66);
    expect(file.size).toBe(page(2) + 100);
    const io = new UserIo();
    io.set(mm, BASE + page(1), 200);
    const n = io.span(200, true);
    io.spanBytes.fill(0x44, io.spanOffset, io.spanOffset + n);
    io.advance(n);
    expect(file.bytes[page(1) + 199]).toBe(0x44);
    expect(file.bytes[page(1) + 200]).toBe(2);
    expect(io.remaining).toBe(0);
  });

  it("cannot be made writable beyond what the descriptor allows", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const file = fixture.file(50, numbered(3));
    fixture.map(mm, BASE, page(3), { mappable: file, prot: READ, maxProt: 5, flags: VMA_SHARED });
    expect(protectMemory(mm, BASE, page(3), RW)).toBeLessThan(0);
    expect(fixture.platform.store(mm, BASE, 1)).toBe(-FAULT_ACCERR);
  });

  it("register exactly the pieces that are mapped", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const file = fixture.file(50, numbered(10));
    fixture.map(mm, BASE, page(10), { mappable: file, flags: VMA_SHARED });
    unmapMemory(mm, BASE + page(4), page(2));
    expect(file.mappings.sort()).toEqual([`0+${page(4)}`, `${page(6)}+${page(4)}`]);
    expect(file.refs).toBe(2);
    fixture.map(mm, BASE + page(4), page(2), {
      mappable: file,
      offset: page(4),
      flags: VMA_SHARED,
    });
    expect(file.mappings).toEqual([`0+${page(10)}`]);
    removeMappings(mm, 0x10000, BASE + page(100));
    expect(file.refs).toBe(0);
  });
});

describe("SharedMemory", () => {
  it("is one memory for parent and child, and is given back with its last mapping", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const shared = new SharedMemory(fixture.memoryFile, page(20), "/dev/zero", 1, 1);
    fixture.map(mm, BASE, page(20), { mappable: shared, flags: VMA_SHARED });
    shared.decRef();
    const child = mm.fork(fixture.rlimits);
    if (typeof child === "number") throw new Error("fork failed");
    fixture.platform.store(child, BASE + page(7), 9);
    expect(mm.readU8(BASE + page(7))).toBe(9);
    expect(mm.compareExchangeU32(BASE + page(7), 9, 1234)).toBe(9);
    expect(fixture.platform.load(child, BASE + page(7))).toBe(1234 & 255);
    expect(mm.sharedAt(BASE + page(7) + 4)).toBe(child.sharedAt(BASE + page(7) + 4));
    expect(mm.sharedOffset).toBe(page(7) + 4);
    mm.decRef();
    expect(fixture.memoryFile.allocatedBytes).toBeGreaterThan(0);
    child.decRef();
    expect(fixture.memoryFile.allocatedBytes).toBe(0);
  });
});

describe("UserIo", () => {
  it("walks iovecs, skips empty ones, and stops where memory ends", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    fixture.map(mm, BASE, page(2));
    const iov = BASE;
    const put = (i: number, base: number, length: number): void => {
      mm.writeU64(iov + 16 * i, base);
      mm.writeU64(iov + 16 * i + 8, length);
    };
    put(0, 0, 0);
    put(1, BASE + 100, 3);
    put(2, BASE + 200, 0);
    put(3, BASE + page(2) - 4, 10);
    const io = new UserIo();
    expect(io.setIovec(mm, iov, 4)).toBe(0);
    expect(io.remaining).toBe(13);
    const source = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect(io.copyOut(source, 0, 13)).toBe(7);
    expect(mm.readU8(BASE + 102)).toBe(3);
    expect(mm.readU8(BASE + page(2) - 1)).toBe(7);
    expect(io.setIovec(mm, BASE + page(2) - 8, 1)).toBe(-EFAULT);
    put(0, BASE, -1);
    expect(io.setIovec(mm, iov, 1)).toBe(-22);
    expect(io.setIovec(mm, iov, 1025)).toBe(-22);
  });
});
