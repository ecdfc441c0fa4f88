// The address space against a naive model: an array of pages, each with a protection and one byte.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EFAULT } from "../../abi/errno.ts";
import { MADV_DONTNEED } from "../../abi/mman.ts";
import { MemoryFixture, page } from "../testing/memory-fixture.ts";
import type { PageSpace } from "../testing/page-platform.ts";
import { adviseMemory } from "./advise.ts";
import { unmapMemory } from "./map.ts";
import { FAULT_ACCERR, FAULT_MAPERR, type MemoryManager } from "./memory-manager.ts";
import { PAGE_BYTES } from "./page.ts";
import { protectMemory } from "./protect.ts";
import { remapMemory } from "./remap.ts";

const BASE = 0x10_0000_0000;
const PAGES = 40;
const at = (index: number): number => BASE + page(index);

interface ModelPage {
  prot: number;
  value: number;
}
type Model = (ModelPage | null)[];

interface Space {
  mm: MemoryManager;
  model: Model;
}

const index = fc.integer({ min: 0, max: PAGES - 1 });
const count = fc.integer({ min: 1, max: 24 });
const prot = fc.constantFrom(0, 1, 3, 3, 3, 5, 7);
const step = fc.record({
  what: fc.constantFrom(
    "map",
    "unmap",
    "protect",
    "store",
    "store",
    "load",
    "write",
    "read",
    "dontneed",
    "fork",
    "exit",
    "move",
  ),
  index,
  count,
  prot,
  to: index,
  value: fc.integer({ min: 1, max: 255 }),
  which: fc.nat(3),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** An expectation costs more than what it asks about: only a wrong answer gets one. */
function same(got: number, wanted: number): void {
  if (got !== wanted) expect(got).toBe(wanted);
}

const copy = (model: Model): Model => model.map((p) => (p === null ? null : { ...p }));

function run(fixture: MemoryFixture, spaces: Space[], s: Step): void {
  const space = spaces[s.which % spaces.length];
  const { mm, model } = space;
  const end = Math.min(PAGES, s.index + s.count);
  const length = page(end - s.index);
  switch (s.what) {
    case "map":
      expect(fixture.map(mm, at(s.index), length, { prot: s.prot })).toBe(at(s.index));
      for (let i = s.index; i < end; i++) model[i] = { prot: s.prot, value: 0 };
      return;
    case "unmap":
      expect(unmapMemory(mm, at(s.index), length)).toBe(0);
      model.fill(null, s.index, end);
      return;
    case "protect": {
      const whole = model.slice(s.index, end).every((p) => p !== null);
      expect(protectMemory(mm, at(s.index), length, s.prot) === 0).toBe(whole);
      if (whole) for (let i = s.index; i < end; i++) (model[i] as ModelPage).prot = s.prot;
      return;
    }
    case "store":
    case "load":
      touch(fixture, space, s);
      return;
    case "write":
    case "read":
      transfer(space, s);
      return;
    case "dontneed":
      adviseMemory(mm, at(s.index), length, MADV_DONTNEED);
      for (let i = s.index; i < end; i++) if (model[i] !== null) (model[i] as ModelPage).value = 0;
      return;
    case "fork": {
      if (spaces.length >= 4) return;
      const child = mm.fork(fixture.rlimits);
      if (typeof child === "number") throw new Error("fork failed");
      spaces.push({ mm: child, model: copy(model) });
      return;
    }
    case "exit":
      if (spaces.length > 1) {
        spaces.splice(s.which % spaces.length, 1);
        mm.decRef();
      }
      return;
    case "move":
      move(space, s, end);
      return;
  }
}

function touch(fixture: MemoryFixture, { mm, model }: Space, s: Step): void {
  const p = model[s.index];
  const addr = at(s.index) + 17;
  const isStore = s.what === "store";
  const got = isStore ? fixture.platform.store(mm, addr, s.value) : fixture.platform.load(mm, addr);
  if (p === null) same(got, -FAULT_MAPERR);
  else if (p.prot === 0 || (isStore && (p.prot & 2) === 0)) same(got, -FAULT_ACCERR);
  else {
    same(got, isStore ? 0 : p.value);
    if (isStore) p.value = s.value;
  }
}

/** The kernel's copyOut and copyIn, from the middle of one page over several. */
function transfer({ mm, model }: Space, s: Step): void {
  const isWrite = s.what === "write";
  const length = page(s.count) - 100;
  const bytes = new Uint8Array(length).fill(s.value);
  const addr = at(s.index) + 17;
  const got = isWrite ? mm.copyOut(addr, bytes, 0, length) : mm.copyIn(addr, bytes, 0, length);
  let good = 0;
  for (let i = s.index; i < s.index + s.count; i++) {
    const p = i < PAGES ? model[i] : null;
    if (p === null || p.prot === 0 || (isWrite && (p.prot & 2) === 0)) break;
    good++;
  }
  const reach = Math.min(length, page(good) - 17);
  expect(got).toBe(good === 0 ? -EFAULT : reach);
  for (let i = 0; i < good; i++) {
    const p = model[s.index + i] as ModelPage;
    const o = page(i);
    if (o >= reach) break;
    if (isWrite) p.value = s.value;
    else same(bytes[o], p.value);
  }
}

function move({ mm, model }: Space, s: Step, end: number): void {
  const n = end - s.index;
  const overlaps = s.to < end && s.index < s.to + n;
  const from = model.slice(s.index, end);
  const one = from.every((p) => p !== null && p.prot === from[0]?.prot);
  const got = remapMemory(mm, at(s.index), page(n), page(n), 3, at(s.to), false);
  if (overlaps || s.to + n > PAGES) {
    if (overlaps) expect(got).toBeLessThan(0);
    else if (got >= 0) unmapMemory(mm, at(PAGES), page(PAGES));
    if (got < 0) return;
  }
  // The target is cleared before the source is looked at closely, as Linux does it too.
  if (!one) {
    if (got < 0 && from[0] !== null) resync(mm, model, s.to, n);
    if (got < 0) return;
  }
  for (let i = 0; i < n; i++) {
    if (s.to + i < PAGES) model[s.to + i] = from[i];
    model[s.index + i] = null;
  }
}

/** After a move that failed half-way: what is unmapped now is unmapped in the model. */
function resync(mm: MemoryManager, model: Model, from: number, n: number): void {
  for (let i = from; i < Math.min(PAGES, from + n); i++) {
    if (mm.vmas.find(at(i)) === null) model[i] = null;
  }
}

function checkSpace({ mm, model }: Space): void {
  let previous: { end: number } | null = null;
  let total = 0;
  for (const vma of mm.vmas.items) {
    if (previous !== null) expect(previous.end).toBeLessThanOrEqual(vma.start);
    total += vma.end - vma.start;
    previous = vma;
  }
  expect(mm.vmas.totalBytes).toBe(total);
  for (let i = 0; i < PAGES; i++) {
    const vma = mm.vmas.find(at(i));
    same(vma === null ? -1 : vma.prot, model[i]?.prot ?? -1);
  }
  for (let i = 0; i + 1 < mm.vmas.items.length; i++) {
    expect(mm.vmas.items[i].canMerge(mm.vmas.items[i + 1])).toBe(false);
  }
}

describe("MemoryManager", () => {
  it("behaves as an array of pages under any sequence of operations, forks and exits", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const fixture = new MemoryFixture();
        const spaces: Space[] = [{ mm: fixture.space(), model: new Array(PAGES).fill(null) }];
        for (const s of steps) run(fixture, spaces, s);
        for (const space of spaces) {
          checkSpace(space);
          for (let i = 0; i < PAGES; i++) {
            const s = { what: "load", index: i, count: 1, prot: 0, to: 0, value: 1, which: 0 };
            touch(fixture, space, s as Step);
          }
          space.mm.decRef();
        }
        expect(fixture.memoryFile.allocatedBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("says EFAULT only when not one byte could be moved, exactly at page borders", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    fixture.map(mm, BASE, page(2));
    const bytes = new Uint8Array(PAGE_BYTES).fill(7);
    expect(mm.copyOut(BASE + page(2) - 10, bytes, 0, 100)).toBe(10);
    expect(mm.copyOut(BASE + page(2), bytes, 0, 1)).toBe(-EFAULT);
    expect(mm.copyOut(BASE + page(2), bytes, 0, 0)).toBe(0);
    expect(mm.copyIn(BASE - 1, bytes, 0, 1)).toBe(-EFAULT);
    expect(mm.writeU64(BASE + page(2) - 4, 1)).toBe(-EFAULT);
    expect(mm.readU32(BASE + page(2) - 2)).toBe(0);
    expect(mm.faulted).toBe(true);
    expect(mm.readU32(BASE)).toBe(0);
    expect(mm.faulted).toBe(false);
    expect(mm.copyIn(2 ** 64 - 8, bytes, 0, 8)).toBe(-EFAULT);
    expect(mm.copyIn(0, bytes, 0, 8)).toBe(-EFAULT);
  });

  it("gives memory back on DONTNEED and exit", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    fixture.map(mm, BASE, 4 * 1024 * 1024);
    for (let o = 0; o < 4 * 1024 * 1024; o += PAGE_BYTES) fixture.platform.store(mm, BASE + o, 9);
    let punched = 0;
    const host = fixture.platform.host;
    const punch = host.punch.bind(host);
    host.punch = (offset, length) => {
      punched += length;
      return punch(offset, length);
    };
    expect(adviseMemory(mm, BASE, 4 * 1024 * 1024, MADV_DONTNEED)).toBe(0);
    expect(punched).toBe(4 * 1024 * 1024);
    expect(fixture.platform.load(mm, BASE + 5)).toBe(0);
    mm.decRef();
    expect(fixture.memoryFile.allocatedBytes).toBe(0);
  });

  it("takes pages back without copying when the other side of a fork is gone", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    fixture.map(mm, BASE, page(256));
    fixture.platform.store(mm, BASE, 1);
    const before = fixture.memoryFile.allocatedBytes;
    const child = mm.fork(fixture.rlimits);
    if (typeof child === "number") throw new Error("fork failed");
    fixture.platform.store(child, BASE, 2);
    expect(fixture.platform.load(mm, BASE)).toBe(1);
    expect(fixture.memoryFile.allocatedBytes).toBe(before + 64 * 1024);
    child.decRef();
    fixture.platform.store(mm, BASE, 3);
    expect(fixture.memoryFile.allocatedBytes).toBe(before);
    expect(mm.pmas.items.length).toBe(1);
  });

  it("copies at a fork what was written after the last one: no faults then", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const at = 0x10_0000;
    fixture.map(mm, at, page(64));
    const fork = (): MemoryManager => {
      const child = mm.fork(fixture.rlimits);
      if (typeof child === "number") throw new Error("fork failed");
      return child;
    };
    const prot = (of: MemoryManager, addr: number): number | undefined =>
      (of.addressSpace as PageSpace).pages.get(addr)?.prot;
    const written = at + page(63);
    expect(fixture.platform.store(mm, written, 1)).toBe(0);
    const first = fork();
    expect([prot(mm, written), prot(first, written)]).toEqual([1, 1]);
    expect(fixture.platform.store(first, written, 2)).toBe(0);
    first.decRef();
    const second = fork();
    expect([prot(mm, written), prot(second, written)]).toEqual([3, 3]);
    expect([prot(mm, at), prot(second, at)]).toEqual([1, 1]);
    expect(fixture.platform.store(mm, written, 3)).toBe(0);
    expect(fixture.platform.load(second, written)).toBe(1);
    second.decRef();
    mm.decRef();
    expect(fixture.memoryFile.allocatedBytes).toBe(0);
  });

  it("keeps a heap that grows in small steps one run, also through a fork", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    for (let i = 0; i < 60; i++) fixture.map(mm, BASE + page(33 * i), page(33));
    expect(mm.pmas.items.length).toBe(1);
    for (let i = 0; i < 60 * 33; i++) fixture.platform.store(mm, BASE + page(i), i & 255);
    const child = mm.fork(fixture.rlimits);
    if (typeof child === "number") throw new Error("fork failed");
    const space = child.addressSpace as PageSpace;
    const before = space.commands;
    for (let i = 0; i < 60 * 33; i++) fixture.platform.store(child, BASE + page(i), 1);
    expect(space.commands - before).toBeLessThan(20);
    for (let i = 0; i < 60 * 33; i++) {
      expect(fixture.platform.load(mm, BASE + page(i))).toBe(i & 255);
      expect(fixture.platform.load(child, BASE + page(i))).toBe(1);
    }
  });

  it("grows a stack to RLIMIT_STACK and not into the guard gap below it", () => {
    const fixture = new MemoryFixture();
    const mm = fixture.space();
    const top = BASE + 64 * 1024 * 1024;
    fixture.map(mm, top - page(32), page(32), { flags: 2, label: "[stack]" });
    expect(fixture.platform.store(mm, top - 1024 * 1024, 1)).toBe(0);
    expect(fixture.platform.store(mm, top - 9 * 1024 * 1024, 1)).toBe(-FAULT_MAPERR);
    fixture.map(mm, top - 4 * 1024 * 1024, page(1));
    expect(fixture.platform.store(mm, top - 3 * 1024 * 1024 + 5000, 1)).toBe(0);
    expect(fixture.platform.store(mm, top - 4 * 1024 * 1024 + 5000, 1)).toBe(-FAULT_MAPERR);
    // The kernel's own accesses grow it, too.
    const other = fixture.space();
    fixture.map(other, top - page(32), page(32), { flags: 2, label: "[stack]" });
    expect(other.writeU32(top - 500_000, 5)).toBe(0);
  });
});
