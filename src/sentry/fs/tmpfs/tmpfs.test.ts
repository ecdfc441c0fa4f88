import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { EBUSY, EINVAL, ENOENT, ENOSPC, ENXIO, EPERM } from "../../../abi/errno.ts";
import {
  AT_FDCWD,
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MFD_ALLOW_SEALING,
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_WRONLY,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from "../../../abi/fcntl.ts";
import {
  SYS_close,
  SYS_fallocate,
  SYS_fcntl,
  SYS_ftruncate,
  SYS_getdents64,
  SYS_linkat,
  SYS_lseek,
  SYS_memfd_create,
  SYS_mkdir,
  SYS_mount,
  SYS_open,
  SYS_pread64,
  SYS_pwrite64,
  SYS_unlink,
  SYS_write,
} from "../../../abi/syscall-numbers.ts";
import { u16Le } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Mappable, MapRun } from "../../mm/mappable.ts";
import { BUFFER, FileFixture } from "../../testing/file-fixture.ts";
import type { RegularFile } from "../../vfs/regular-file.ts";

const PAGE = 4096;

describe("tmpfs", () => {
  let f: FileFixture;
  let t: Task;
  beforeEach(() => {
    f = new FileFixture();
    t = f.user();
  });
  const open = (path: string, flags: number): number =>
    f.sys(t, SYS_open, path, flags, 0o644) ?? -1;
  const write = (fd: number, text: string, at: number): number | null =>
    f.sys(t, SYS_pwrite64, fd, f.poke(t, text), text.length, at);
  const read = (fd: number, at: number, length: number): string => {
    const n = f.sys(t, SYS_pread64, fd, BUFFER, length, at) ?? -1;
    return f.peek(t, n);
  };

  it("reads holes as zeros and finds them with SEEK_DATA and SEEK_HOLE", () => {
    const fd = open("/f", O_CREAT | O_RDWR);
    write(fd, "start", 0);
    write(fd, "far", 100 * PAGE);
    expect(read(fd, 50 * PAGE, 4)).toBe("\0\0\0\0");
    expect(f.sys(t, SYS_lseek, fd, 0, SEEK_END)).toBe(100 * PAGE + 3);
    expect(f.sys(t, SYS_lseek, fd, 0, SEEK_HOLE)).toBe(PAGE);
    expect(f.sys(t, SYS_lseek, fd, PAGE, SEEK_DATA)).toBe(100 * PAGE);
    expect(f.sys(t, SYS_lseek, fd, 100 * PAGE, SEEK_HOLE)).toBe(100 * PAGE + 3);
    expect(f.sys(t, SYS_lseek, fd, 100 * PAGE + 3, SEEK_DATA)).toBe(-ENXIO);
  });

  it("gives pages back on truncation, punching, and when the last user goes", () => {
    const before = f.kernel.memoryFile.allocatedBytes;
    const fd = open("/f", O_CREAT | O_RDWR);
    f.sys(t, SYS_fallocate, fd, 0, 0, 64 * PAGE);
    expect(f.kernel.memoryFile.allocatedBytes - before).toBe(64 * PAGE);
    f.sys(t, SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 10 * PAGE);
    expect(f.kernel.memoryFile.allocatedBytes - before).toBe(54 * PAGE);
    f.sys(t, SYS_ftruncate, fd, 20 * PAGE);
    expect(f.kernel.memoryFile.allocatedBytes - before).toBe(10 * PAGE);
    f.sys(t, SYS_unlink, "/f");
    expect(write(fd, "still here", 0)).toBe(10);
    f.sys(t, SYS_close, fd);
    expect(f.kernel.memoryFile.allocatedBytes).toBe(before);
    expect(f.quota.bytes).toBe(0);
  });

  it("shows zeros, not old bytes, when a file grows again", () => {
    const fd = open("/f", O_CREAT | O_RDWR);
    write(fd, "secret", 0);
    f.sys(t, SYS_ftruncate, fd, 2);
    f.sys(t, SYS_ftruncate, fd, 6);
    expect(read(fd, 0, 6)).toBe("se\0\0\0\0");
  });

  it("behaves like an array of bytes", () => {
    const step = fc.oneof(
      fc.record({
        op: fc.constant("write" as const),
        at: fc.nat(40_000),
        n: fc.integer({ min: 1, max: 9_000 }),
      }),
      fc.record({ op: fc.constant("truncate" as const), at: fc.nat(50_000), n: fc.constant(0) }),
      fc.record({
        op: fc.constant("punch" as const),
        at: fc.nat(40_000),
        n: fc.integer({ min: 1, max: 9_000 }),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        f.sys(t, SYS_unlink, "/model");
        const fd = open("/model", O_CREAT | O_RDWR);
        let model = new Uint8Array(0);
        steps.forEach(({ op, at, n }, i) => {
          const size =
            op === "write" ? Math.max(model.length, at + n) : op === "truncate" ? at : model.length;
          const next = new Uint8Array(size);
          next.set(model.subarray(0, size));
          if (op === "write") {
            const text = String.fromCharCode(65 + i).repeat(n);
            expect(write(fd, text, at)).toBe(n);
            next.fill(65 + i, at, at + n);
          } else if (op === "truncate") f.sys(t, SYS_ftruncate, fd, at);
          else {
            f.sys(t, SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n);
            next.fill(0, at, at + n);
          }
          model = next;
        });
        expect(read(fd, 0, 60_000)).toBe(String.fromCharCode(...model));
        f.sys(t, SYS_close, fd);
      }),
      { numRuns: 60, seed: 7 },
    );
  });

  it("appends, whatever the position", () => {
    const fd = open("/log", O_CREAT | O_WRONLY | O_APPEND);
    f.sys(t, SYS_write, fd, f.poke(t, "one"), 3);
    f.sys(t, SYS_lseek, fd, 0, SEEK_SET);
    f.sys(t, SYS_write, fd, f.poke(t, "two"), 3);
    expect(read(open("/log", O_RDONLY), 0, 10)).toBe("onetwo");
  });

  it("refuses what is over its size with ENOSPC and a short count before that", () => {
    expect(f.sys(t, SYS_mkdir, "/small", 0o755)).toBe(0);
    expect(f.sys(t, SYS_mount, "none", "/small", "tmpfs", 0, "size=16k,nr_inodes=3")).toBe(0);
    const fd = open("/small/f", O_CREAT | O_RDWR);
    expect(write(fd, "x".repeat(5 * PAGE), 0)).toBe(4 * PAGE);
    expect(write(fd, "x", 4 * PAGE)).toBe(-ENOSPC);
    expect(open("/small/g", O_CREAT | O_RDWR)).toBeGreaterThan(0);
    expect(open("/small/h", O_CREAT | O_RDWR)).toBe(-ENOSPC);
  });

  it("takes truncated pages from who maps them, and serves shared mappings from the same bytes", () => {
    const fd = open("/f", O_CREAT | O_RDWR);
    write(fd, "x".repeat(3 * PAGE), 0);
    const mappable = (t.fds.get(fd) as RegularFile).mappable(t) as Mappable;
    const lost: [number, number][] = [];
    const observer = { invalidate: (_m: Mappable, o: number, n: number) => lost.push([o, n]) };
    mappable.addMapping(observer, 0, 3 * PAGE, true);
    const run: MapRun = { fd: -1, offset: 0, length: 0, inMemoryFile: false };
    expect(mappable.mapRun(PAGE, PAGE, true, run)).toBe(0);
    const memory = f.kernel.memoryFile;
    memory.bytesAt(run.offset)[memory.indexOf(run.offset)] = 0x59;
    expect(read(fd, PAGE, 1)).toBe("Y");
    f.sys(t, SYS_ftruncate, fd, PAGE + 1);
    expect(lost).toEqual([[2 * PAGE, PAGE]]);
    expect(mappable.mapRun(2 * PAGE, PAGE, false, run)).toBe(-5);
  });

  it("names an O_TMPFILE file by linkat", () => {
    const fd = open("/", O_TMPFILE | O_RDWR);
    write(fd, "hello", 0);
    expect(f.sys(t, SYS_linkat, fd, "", AT_FDCWD, "/named", 0x1000)).toBe(0);
    f.sys(t, SYS_close, fd);
    expect(read(open("/named", O_RDONLY), 0, 9)).toBe("hello");
  });

  it("seals memfds", () => {
    const fd = f.sys(t, SYS_memfd_create, "m", MFD_ALLOW_SEALING) ?? -1;
    write(fd, "hello", 0);
    expect(f.sys(t, SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)).toBe(0);
    expect(f.sys(t, SYS_ftruncate, fd, 1)).toBe(-EPERM);
    expect(write(fd, "x", 5)).toBe(-EPERM);
    expect(write(fd, "J", 0)).toBe(1);
    const mappable = (t.fds.get(fd) as RegularFile).mappable(t) as Mappable;
    const observer = { invalidate: () => {} };
    mappable.addMapping(observer, 0, PAGE, true);
    expect(f.sys(t, SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE)).toBe(-EBUSY);
    mappable.removeMapping(observer, 0, PAGE, true);
    expect(f.sys(t, SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE)).toBe(0);
    expect(write(fd, "x", 0)).toBe(-EPERM);
    expect(f.sys(t, SYS_fcntl, fd, F_GET_SEALS)).toBe(14);
    const plain = f.sys(t, SYS_memfd_create, "p", 0) ?? -1;
    expect(f.sys(t, SYS_fcntl, plain, F_ADD_SEALS, F_SEAL_WRITE)).toBe(-EPERM);
  });

  /** Names of one getdents64 call with a buffer of `bytes`. */
  const list = (fd: number, bytes: number): string[] => {
    const n = f.sys(t, SYS_getdents64, fd, BUFFER, bytes) ?? -1;
    expect(n).toBeGreaterThanOrEqual(0);
    const raw = Uint8Array.from(f.peek(t, n), (c) => c.charCodeAt(0));
    const names: string[] = [];
    for (let at = 0; at < n; at += u16Le(raw, at + 16)) {
      let end = at + 19;
      while (raw[end] !== 0) end++;
      names.push(String.fromCharCode(...raw.subarray(at + 19, end)));
    }
    return names;
  };

  it("lists each entry once while entries come and go", () => {
    f.sys(t, SYS_mkdir, "/d", 0o755);
    for (let i = 0; i < 40; i++) f.sys(t, SYS_close, open(`/d/f${i}`, O_CREAT | O_WRONLY));
    const fd = open("/d", O_RDONLY);
    const seen: string[] = [];
    for (let round = 0; ; round++) {
      const names = list(fd, 200);
      if (names.length === 0) break;
      seen.push(...names);
      // What was listed goes away (rm -r); something new comes.
      for (const name of names) f.sys(t, SYS_unlink, `/d/${name}`);
      if (round === 0) f.sys(t, SYS_close, open("/d/late", O_CREAT | O_WRONLY));
    }
    expect(seen.filter((n) => n.startsWith("f")).length).toBe(40);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toContain("late");
    expect(f.sys(t, SYS_lseek, fd, 0, SEEK_SET)).toBe(0);
    expect(list(fd, 4096)).toEqual([".", ".."]);
    expect(f.sys(t, SYS_getdents64, open("/", O_RDONLY), BUFFER, 8)).toBe(-EINVAL);
  });

  it("continues at a position that lseek was given", () => {
    f.sys(t, SYS_mkdir, "/d", 0o755);
    for (const name of ["a", "b", "c"]) f.sys(t, SYS_close, open(`/d/${name}`, O_CREAT | O_WRONLY));
    const fd = open("/d", O_RDONLY);
    expect(list(fd, 80)).toEqual([".", "..", "a"]);
    const at = f.sys(t, SYS_lseek, fd, 0, 1) ?? -1;
    expect(list(fd, 4096)).toEqual(["b", "c"]);
    f.sys(t, SYS_unlink, "/d/b");
    f.sys(t, SYS_lseek, fd, at, SEEK_SET);
    expect(list(fd, 4096)).toEqual(["c"]);
    expect(f.sys(t, SYS_unlink, "/d/b")).toBe(-ENOENT);
  });
});
