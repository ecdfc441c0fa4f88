import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeChanges, FakeHostMemory } from "../testing/fake-platform.ts";
import { MemoryFile } from "./memory-file.ts";
import { HUGE_BYTES, PAGE_BYTES } from "./page.ts";

const MiB = 1024 * 1024;
const WINDOW = 4 * MiB;

/** Its first window is half as long as the others. */
class CountingHost extends FakeHostMemory {
  punched = 0;
  committed = 0;
  override window(index: number): Uint8Array {
    return index > 0 ? super.window(index) : super.window(0).subarray(0, WINDOW / 2);
  }
  override punch(offset: number, length: number): number {
    this.punched += length;
    return super.punch(offset, length);
  }
  override committedBytes(): number {
    return this.committed;
  }
}

const fileOf = (limit = 64 * MiB, changes = new FakeChanges()) => {
  const host = new CountingHost(WINDOW);
  return { file: new MemoryFile(host, limit, changes), host, changes };
};

describe("MemoryFile", () => {
  it("never hands a page out twice, always zeroed, in one window, and joins what comes back", () => {
    const step = fc.record({
      pages: fc.integer({ min: 1, max: 512 }),
      align: fc.constantFrom(PAGE_BYTES, 16 * PAGE_BYTES, HUGE_BYTES),
      free: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { file } = fileOf();
        const live: { offset: number; bytes: number }[] = [];
        let sum = 0;
        for (const { pages, align, free } of steps) {
          const bytes = pages * PAGE_BYTES;
          const last = live[live.length - 1];
          const exact = align === HUGE_BYTES && last !== undefined ? last.offset + last.bytes : -1;
          const offset = exact >= 0 ? file.allocateAt(exact, bytes) : file.allocate(bytes, align);
          if (offset >= 0) {
            if (exact >= 0) expect(offset).toBe(exact);
            else expect(offset % align).toBe(0);
            expect(Math.floor(offset / WINDOW)).toBe(Math.floor((offset + bytes - 1) / WINDOW));
            expect(bytes).toBeLessThanOrEqual(file.windowRest(offset));
            const end = offset + bytes;
            const inTheWay = live.filter((o) => offset < o.offset + o.bytes && o.offset < end);
            expect(inTheWay).toEqual([]);
            const window = file.bytesAt(offset);
            const at = file.indexOf(offset);
            let dirty = 0;
            for (let p = 0; p < bytes; p += PAGE_BYTES) dirty |= window[at + p + (p % 7)];
            expect(dirty).toBe(0);
            window.fill(0xaa, at, at + bytes);
            live.push({ offset, bytes });
            sum += bytes;
          }
          for (let i = 0; i < free && live.length > 0; i++) {
            const gone = live.splice((i * 31) % live.length, 1)[0];
            file.decRef(gone.offset, gone.bytes);
            sum -= gone.bytes;
          }
          expect(file.allocatedBytes).toBe(sum);
        }
        for (const run of live) file.decRef(run.offset, run.bytes);
        expect(file.allocatedBytes).toBe(0);
        // Everything has been joined: the largest blocks are there again.
        expect(file.allocate(HUGE_BYTES, HUGE_BYTES) % HUGE_BYTES).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it("gives large runs back to the host at once and keeps only a few short ones", () => {
    const { file, host } = fileOf();
    const large = file.allocate(MiB, PAGE_BYTES);
    file.decRef(large, MiB);
    expect(host.punched).toBe(MiB);
    const short = file.allocate(4 * PAGE_BYTES, PAGE_BYTES);
    file.decRef(short, 4 * PAGE_BYTES);
    expect(host.punched).toBe(MiB);
    expect(file.dirtyBytes).toBe(4 * PAGE_BYTES);
  });

  it("frees only pages whose last reference goes", () => {
    const { file, host } = fileOf();
    const offset = file.allocate(MiB, PAGE_BYTES);
    file.incRef(offset + MiB / 4, MiB / 2);
    file.decRef(offset, MiB);
    expect(file.allocatedBytes).toBe(MiB / 2);
    expect(host.punched).toBe(MiB / 2);
    expect(file.refCount(offset + MiB / 4)).toBe(1);
    expect(file.sameSharing(offset + MiB / 4, MiB / 2, true)).toBe(MiB / 2);
  });

  it("gives pages to nobody while a program may still reach them", () => {
    const { file, host, changes } = fileOf();
    const first = file.allocate(MiB, PAGE_BYTES);
    changes.issuedStamp = 7;
    file.decRef(first, MiB);
    changes.issuedStamp = 8;
    const second = file.allocate(4 * PAGE_BYTES, PAGE_BYTES);
    expect(second).not.toBe(first);
    file.incRef(second, PAGE_BYTES);
    file.decRef(second, 4 * PAGE_BYTES);
    // A page with one reference less would be written in place by its last owner.
    expect(file.refCount(second)).toBe(2);
    changes.confirm(6);
    expect(host.punched).toBe(0);
    changes.confirm(7);
    expect(host.punched).toBe(MiB);
    expect(file.refCount(second)).toBe(2);
    changes.confirm();
    expect(file.refCount(second)).toBe(1);
    expect(file.allocatedBytes).toBe(PAGE_BYTES);
  });

  it("waits for pages on their way back before it has no more", () => {
    const { file, host, changes } = fileOf(2 * MiB);
    const first = file.allocate(HUGE_BYTES, PAGE_BYTES);
    host.committed = 2 * MiB;
    changes.issuedStamp = 1;
    file.decRef(first, HUGE_BYTES);
    expect(changes.waits).toBe(0);
    expect(file.allocate(HUGE_BYTES, PAGE_BYTES)).toBe(first);
    expect(changes.waits).toBe(1);
    expect(file.allocate(HUGE_BYTES, PAGE_BYTES)).toBeLessThan(0);
    expect(changes.waits).toBe(1);
  });

  it("counts runs against the limit, then asks the host what is really committed", () => {
    const { file, host } = fileOf(2 * MiB);
    expect(file.allocate(HUGE_BYTES, PAGE_BYTES)).toBeGreaterThanOrEqual(0);
    host.committed = 100 * 1024;
    expect(file.isTight).toBe(true);
    expect(file.allocate(16 * 1024, PAGE_BYTES)).toBeGreaterThanOrEqual(0);
    host.committed = 2 * MiB;
    let refused = false;
    for (let i = 0; i < 1000 && !refused; i++) refused = file.allocate(16 * 1024, PAGE_BYTES) < 0;
    expect(refused).toBe(true);
  });
});
