import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EIO, ENOENT, EROFS } from "../../../abi/errno.ts";
import {
  AT_FDCWD,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from "../../../abi/fcntl.ts";
import { STAT_SIZE } from "../../../abi/stat.ts";
import {
  SYS_close,
  SYS_getdents64,
  SYS_lseek,
  SYS_mkdir,
  SYS_newfstatat,
  SYS_openat,
  SYS_pread64,
  SYS_read,
  SYS_readlink,
  SYS_rename,
  SYS_stat,
  SYS_truncate,
  SYS_unlink,
  SYS_write,
} from "../../../abi/syscall-numbers.ts";
import { GoferClient } from "../../../gofer/client.ts";
import { LocalGofer } from "../../../gofer/server/local-transport.ts";
import { DescriptorFiles } from "../../loop/host-files.ts";
import type { MapRun } from "../../mm/mappable.ts";
import { BUFFER, FileFixture } from "../../testing/file-fixture.ts";
import { GoferFileSystem } from "./gofer-file-system.ts";
import type { GoferInode } from "./gofer-inode.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gofer-fs-"));
  writeFileSync(join(dir, "plain"), "hello world");
  mkdirSync(join(dir, "sub/deep"), { recursive: true });
  writeFileSync(join(dir, "sub/deep/leaf"), "leaf");
  symlinkSync("sub/deep", join(dir, "way"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

class OpenFiles extends DescriptorFiles {
  closed = 0;
  override close(fd: number): void {
    this.closed++;
    super.close(fd);
  }
}

function mount(cache: "exclusive" | "shared", writable: boolean, handles = 256) {
  const gofer = new LocalGofer({ trees: [{ id: 0, hostPath: dir, writable }] }, handles);
  const files = new OpenFiles();
  let fs: GoferFileSystem | undefined;
  const f = new FileFixture((fixture) => {
    const made = GoferFileSystem.attach(20, new GoferClient(gofer), 0, files, fixture.clock, {
      cache,
      readOnly: !writable,
      displayPath: "/",
    });
    if (typeof made === "number") throw new Error(`attach: ${made}`);
    fs = made;
    return made;
  });
  const t = f.user();
  return { gofer, files, f, t, fs: fs as GoferFileSystem };
}
type Mounted = ReturnType<typeof mount>;

function readAll({ f, t }: Mounted, path: string): string {
  const fd = f.sys(t, SYS_openat, AT_FDCWD, path, O_RDONLY) as number;
  if (fd < 0) return `errno ${-fd}`;
  const n = f.sys(t, SYS_read, fd, BUFFER, 4096) as number;
  f.sys(t, SYS_close, fd);
  return f.peek(t, n);
}

describe("a read-only served tree", () => {
  it("reads files through links, and the same file again without asking the gofer", () => {
    const m = mount("exclusive", false);
    expect(readAll(m, "/way/leaf")).toBe("leaf");
    const { calls } = m.gofer;
    expect(readAll(m, "/way/leaf")).toBe("leaf");
    expect(m.f.sys(m.t, SYS_stat, "/sub/deep", BUFFER)).toBe(0);
    expect(m.f.sys(m.t, SYS_stat, "/sub/none", BUFFER)).toBe(-ENOENT);
    expect(m.f.sys(m.t, SYS_stat, "/sub/none", BUFFER)).toBe(-ENOENT);
    expect(m.gofer.calls - calls).toBe(1);
  });

  it("fetches a whole directory once it is looked into often", () => {
    for (let i = 0; i < 100; i++) writeFileSync(join(dir, `sub/f${i}`), "");
    const m = mount("exclusive", false);
    for (let i = 0; i < 100; i++) expect(m.f.sys(m.t, SYS_stat, `/sub/f${i}`, BUFFER)).toBe(0);
    for (let i = 0; i < 100; i++) m.f.sys(m.t, SYS_stat, `/sub/none${i}`, BUFFER);
    expect(m.gofer.calls).toBeLessThan(20);
  });

  it("lists every name once, over several calls", () => {
    for (let i = 0; i < 300; i++) writeFileSync(join(dir, `sub/f${i}`), "");
    const { f, t } = mount("exclusive", false);
    const fd = f.sys(t, SYS_openat, AT_FDCWD, "/sub", O_RDONLY | O_DIRECTORY) as number;
    const names: string[] = [];
    for (;;) {
      const n = f.sys(t, SYS_getdents64, fd, BUFFER, 1024) as number;
      if (n <= 0) break;
      const text = f.peek(t, n);
      for (let at = 0; at < n; ) {
        const length = text.charCodeAt(at + 16) + 256 * text.charCodeAt(at + 17);
        names.push(text.slice(at + 19, text.indexOf("\0", at + 19)));
        at += length;
      }
    }
    expect(names.length).toBe(303);
    expect(new Set(names).size).toBe(303);
    expect(names.slice(0, 2)).toEqual([".", ".."]);
  });

  it("refuses changes", () => {
    const { f, t } = mount("exclusive", false);
    expect(f.sys(t, SYS_openat, AT_FDCWD, "/plain", O_WRONLY)).toBe(-EROFS);
    expect(f.sys(t, SYS_openat, AT_FDCWD, "/new", O_WRONLY | O_CREAT, 0o644)).toBe(-EROFS);
    expect(f.sys(t, SYS_mkdir, "/d", 0o755)).toBe(-EROFS);
    expect(f.sys(t, SYS_unlink, "/plain")).toBe(-EROFS);
  });

  it("finds directories again whose handles the gofer has dropped", () => {
    for (let i = 0; i < 40; i++) mkdirSync(join(dir, `d${i}/x/y`), { recursive: true });
    const m = mount("exclusive", false, 16);
    for (let i = 0; i < 40; i++) m.f.sys(m.t, SYS_stat, `/d${i}/x/y`, BUFFER);
    writeFileSync(join(dir, "d0/x/y/late"), "late");
    expect(readAll(m, "/d0/x/y/late")).toBe("late");
  });

  it("maps the donated descriptor up to the end of the file, and holds it while it is mapped", () => {
    const { fs, t, files } = mount("exclusive", false);
    const inode = fs.root.lookup(t, "plain") as GoferInode;
    expect(inode.donated.acquire(false)).toBe(0);
    const run: MapRun = { fd: -1, offset: 0, length: 0, inMemoryFile: true };
    const map = inode.mappable;
    map.incRef();
    inode.donated.unuse();
    expect(map.mapRun(0, 1 << 20, false, run)).toBe(0);
    expect([run.fd, run.length, run.inMemoryFile]).toEqual([inode.donated.fd, 4096, false]);
    expect(map.mapRun(4096, 4096, false, run)).toBe(-EIO);
    expect(map.mapName).toBe("/plain");
    expect(files.closed).toBe(0);
    map.decRef();
  });
});

describe("a tree shared with the host", () => {
  it("sees what others change", () => {
    const m = mount("shared", true);
    expect(readAll(m, "/plain")).toBe("hello world");
    expect(m.f.sys(m.t, SYS_stat, "/later", BUFFER)).toBe(-ENOENT);
    appendFileSync(join(dir, "plain"), "!!");
    writeFileSync(join(dir, "later"), "x");
    m.f.clock.advanceNs(10_000_000);
    expect(readAll(m, "/plain")).toBe("hello world!!");
    expect(m.f.sys(m.t, SYS_stat, "/plain", BUFFER)).toBe(0);
    expect(m.f.peek(m.t, 8, BUFFER + STAT_SIZE).charCodeAt(0)).toBe(13);
    expect(m.f.sys(m.t, SYS_stat, "/later", BUFFER)).toBe(0);
    rmSync(join(dir, "later"));
    m.f.clock.advanceNs(10_000_000);
    expect(m.f.sys(m.t, SYS_stat, "/later", BUFFER)).toBe(-ENOENT);
  });

  it("writes for real: create, append, truncate, rename, remove", () => {
    const { f, t } = mount("shared", true);
    const fd = f.sys(t, SYS_openat, AT_FDCWD, "/new", O_RDWR | O_CREAT, 0o644) as number;
    expect(fd).toBeGreaterThanOrEqual(0);
    f.poke(t, "abcdef");
    expect(f.sys(t, SYS_write, fd, BUFFER, 6)).toBe(6);
    expect(f.sys(t, SYS_pread64, fd, BUFFER + 100, 3, 2)).toBe(3);
    expect(f.peek(t, 3, BUFFER + 100)).toBe("cde");
    expect(f.sys(t, SYS_lseek, fd, 0, 2)).toBe(6);
    f.sys(t, SYS_close, fd);
    const again = f.sys(t, SYS_openat, AT_FDCWD, "/new", O_WRONLY | O_APPEND) as number;
    expect(f.sys(t, SYS_write, again, BUFFER, 2)).toBe(2);
    expect(readFileSync(join(dir, "new"), "utf8")).toBe("abcdefab");
    expect(f.sys(t, SYS_truncate, "/new", 3)).toBe(0);
    expect(readFileSync(join(dir, "new"), "utf8")).toBe("abc");
    expect(f.sys(t, SYS_rename, "/new", "/sub/moved")).toBe(0);
    expect(readFileSync(join(dir, "sub/moved"), "utf8")).toBe("abc");
    expect(f.sys(t, SYS_unlink, "/sub/moved")).toBe(0);
    expect(f.sys(t, SYS_newfstatat, AT_FDCWD, "/sub/moved", BUFFER, 0)).toBe(-ENOENT);
  });

  it("reads a link's text as it is", () => {
    const { f, t } = mount("shared", true);
    expect(f.sys(t, SYS_readlink, "/way", BUFFER, 100)).toBe(8);
    expect(f.peek(t, 8)).toBe("sub/deep");
  });
});
