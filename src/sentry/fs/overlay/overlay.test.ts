import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EEXIST, ENOENT, ENOTEMPTY } from "../../../abi/errno.ts";
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from "../../../abi/fcntl.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "../../../abi/stat.ts";
import {
  SYS_chmod,
  SYS_close,
  SYS_link,
  SYS_mkdir,
  SYS_open,
  SYS_pread64,
  SYS_pwrite64,
  SYS_rename,
  SYS_renameat2,
  SYS_rmdir,
  SYS_symlink,
  SYS_truncate,
  SYS_unlink,
} from "../../../abi/syscall-numbers.ts";
import type { Task } from "../../kernel/task.ts";
import type { Mappable, MapRun } from "../../mm/mappable.ts";
import { BUFFER, FileFixture } from "../../testing/file-fixture.ts";
import type { DirentSink } from "../../vfs/dirent-sink.ts";
import type { Inode } from "../../vfs/inode.ts";
import { openAt } from "../../vfs/open.ts";
import type { Path } from "../../vfs/path.ts";
import type { RegularFile } from "../../vfs/regular-file.ts";
import { resolve } from "../../vfs/resolve.ts";
import { Stat } from "../../vfs/stat.ts";
import { OverlayFs } from "./overlay.ts";

/** /lower: a tree; /ov: an overlay of it; /model: a tmpfs with the same tree. */
class Trees {
  readonly f = new FileFixture();
  readonly t: Task;

  constructor() {
    this.t = this.f.user();
    const { f, t } = this;
    for (const dir of ["/lower", "/ov", "/model"]) f.sys(t, SYS_mkdir, dir, 0o755);
    this.#mount("/lower", f.tmpfs());
    this.#mount("/model", f.tmpfs());
    this.#populate("/lower");
    this.#populate("/model");
    this.#mount("/ov", this.overlayOf("/lower"));
  }

  overlayOf(path: string, clearKeptObjects = () => {}): OverlayFs {
    const { kernel, table, quota } = this.f;
    const [dev, lower] = [table.allocateDev(), this.inode(path)];
    return new OverlayFs(dev, kernel.memoryFile, quota, lower, 1, clearKeptObjects);
  }
  #mount(path: string, fs: ReturnType<FileFixture["tmpfs"]>): void {
    this.f.kernel.mounts.mountAt(resolve(this.t, AT_FDCWD, path, true) as Path, fs, 0, "none");
  }
  #populate(top: string): void {
    const { f, t } = this;
    for (const d of ["/a", "/a/b", "/c"]) f.sys(t, SYS_mkdir, top + d, 0o755);
    for (const name of ["/f", "/a/f", "/a/b/f", "/c/g"])
      this.write(top + name, `text of ${name}`, 0);
    f.sys(t, SYS_link, `${top}/a/f`, `${top}/c/f`);
    f.sys(t, SYS_symlink, "a/b", `${top}/b`);
  }

  inode(path: string): Inode {
    const place = resolve(this.t, AT_FDCWD, path, false);
    if (typeof place === "number") throw new Error(`${path}: ${place}`);
    return place.dentry.inode as Inode;
  }
  write(path: string, text: string, at: number, flags = O_CREAT | O_WRONLY): number | null {
    const { f, t } = this;
    const fd = f.sys(t, SYS_open, path, flags, 0o644) ?? -1;
    if (fd < 0) return fd;
    const n = f.sys(t, SYS_pwrite64, fd, f.poke(t, text), text.length, at);
    f.sys(t, SYS_close, fd);
    return n;
  }
  read(path: string): string {
    const { f, t } = this;
    const fd = f.sys(t, SYS_open, path, O_RDONLY) ?? -1;
    if (fd < 0) return `errno ${fd}`;
    const n = f.sys(t, SYS_pread64, fd, BUFFER, 100_000, 0) ?? -1;
    f.sys(t, SYS_close, fd);
    return f.peek(t, n);
  }

  names(path: string): string[] {
    const dir = openAt(this.t, AT_FDCWD, path, O_RDONLY, 0);
    if (typeof dir === "number") throw new Error(`${path}: ${dir}`);
    const names: string[] = [];
    let room = 0;
    const sink: DirentSink = {
      add: (name) => {
        if (room-- === 0) return false;
        names.push(name);
        return true;
      },
    };
    // Three entries at a time, as a small buffer does.
    for (let before = -1; before !== names.length; ) {
      before = names.length;
      room = 3;
      dir.readDir(this.t, sink);
    }
    dir.decRef();
    return names.filter((n) => n !== "." && n !== "..").sort();
  }

  /** Everything a program can see of a tree. */
  describe(path: string): unknown {
    const inode = this.inode(path);
    const stat = new Stat();
    inode.stat(stat);
    const type = stat.mode & S_IFMT;
    if (type === S_IFLNK) return ["link", inode.readlink(this.t)];
    if (type !== S_IFDIR) return [stat.mode, stat.nlink, stat.size, this.read(path)];
    const entries = this.names(path).map((name) => [name, this.describe(`${path}/${name}`)]);
    return [stat.mode, stat.nlink, entries];
  }
}

const NAMES = [
  "/f",
  "/a",
  "/a/f",
  "/a/b",
  "/a/b/f",
  "/c",
  "/c/f",
  "/c/g",
  "/b",
  "/n",
  "/a/n",
  "/n/m",
  "/b/f",
];
const name = fc.constantFrom(...NAMES);
type Op = (trees: Trees, top: string) => number | null;
const operation: fc.Arbitrary<[string, Op]> = fc.oneof(
  name.map((p): [string, Op] => [
    `mkdir ${p}`,
    ({ f, t }, top) => f.sys(t, SYS_mkdir, top + p, 0o755),
  ]),
  name.map((p): [string, Op] => [`rmdir ${p}`, ({ f, t }, top) => f.sys(t, SYS_rmdir, top + p)]),
  name.map((p): [string, Op] => [`unlink ${p}`, ({ f, t }, top) => f.sys(t, SYS_unlink, top + p)]),
  name.map((p): [string, Op] => [
    `create ${p}`,
    (trees, top) => trees.write(top + p, `new ${p}`, 0),
  ]),
  name.map((p): [string, Op] => [
    `append ${p}`,
    (trees, top) => trees.write(top + p, "++", 5, O_WRONLY),
  ]),
  name.map((p): [string, Op] => [
    `replace ${p}`,
    (trees, top) => trees.write(top + p, "!", 0, O_WRONLY | O_TRUNC),
  ]),
  name.map((p): [string, Op] => [
    `truncate ${p}`,
    ({ f, t }, top) => f.sys(t, SYS_truncate, top + p, 3),
  ]),
  name.map((p): [string, Op] => [
    `chmod ${p}`,
    ({ f, t }, top) => f.sys(t, SYS_chmod, top + p, 0o700),
  ]),
  fc
    .tuple(name, name)
    .map(([p, q]): [string, Op] => [
      `rename ${p} ${q}`,
      ({ f, t }, top) => f.sys(t, SYS_rename, top + p, top + q),
    ]),
  fc
    .tuple(name, name)
    .map(([p, q]): [string, Op] => [
      `exchange ${p} ${q}`,
      ({ f, t }, top) => f.sys(t, SYS_renameat2, AT_FDCWD, top + p, AT_FDCWD, top + q, 2),
    ]),
  fc
    .tuple(name, name)
    .map(([p, q]): [string, Op] => [
      `link ${p} ${q}`,
      ({ f, t }, top) => f.sys(t, SYS_link, top + p, top + q),
    ]),
);

describe("overlay", () => {
  it("looks like a plain file system with the same tree, whatever is done, and leaves the lower tree alone", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 25 }), (operations) => {
        const trees = new Trees();
        const lower = trees.describe("/lower");
        for (const [what, run] of operations) {
          expect(`${what}: ${run(trees, "/ov")}`).toBe(`${what}: ${run(trees, "/model")}`);
        }
        expect(trees.describe("/ov")).toEqual(trees.describe("/model"));
        expect(trees.describe("/lower")).toEqual(lower);
      }),
      { numRuns: 120, seed: 11 },
    );
  }, 30_000);

  it("keeps inode numbers over copy-up and rename", () => {
    const trees = new Trees();
    const before = trees.inode("/ov/a/f").ino;
    trees.write("/ov/a/f", "changed", 0);
    trees.f.sys(trees.t, SYS_rename, "/ov/a", "/ov/z");
    expect(trees.inode("/ov/z/f").ino).toBe(before);
    expect(trees.inode("/ov/c/f").ino).toBe(before);
    expect(trees.read("/ov/c/f")).toBe("changed /a/f");
    expect(trees.read("/lower/c/f")).toBe("text of /a/f");
  });

  it("does not show a lower directory's entries in one made in its place", () => {
    const { f, t } = new Trees();
    expect(f.sys(t, SYS_rmdir, "/ov/c")).toBe(-ENOTEMPTY);
    for (const p of ["/ov/c/f", "/ov/c/g"]) expect(f.sys(t, SYS_unlink, p)).toBe(0);
    expect(f.sys(t, SYS_rmdir, "/ov/c")).toBe(0);
    expect(f.sys(t, SYS_mkdir, "/ov/c", 0o755)).toBe(0);
    expect(f.sys(t, SYS_mkdir, "/ov/c", 0o755)).toBe(-EEXIST);
    expect(f.sys(t, SYS_open, "/ov/c/f", O_RDONLY)).toBe(-ENOENT);
  });

  it("maps the lower bytes until the first write, then takes those mappings away", () => {
    const trees = new Trees();
    const { f, t } = trees;
    const fd = f.sys(t, SYS_open, "/ov/f", O_RDWR) ?? -1;
    const file = t.fds.get(fd) as RegularFile;
    const lower = openAt(t, AT_FDCWD, "/lower/f", O_RDONLY, 0) as RegularFile;
    const mappable = file.mappable(t) as Mappable;
    const of: MapRun = { fd: -1, offset: 0, length: 0, inMemoryFile: false };
    const ofLower: MapRun = { fd: -1, offset: 0, length: 0, inMemoryFile: false };
    (lower.mappable(t) as Mappable).mapRun(0, 4096, false, ofLower);
    let lost = 0;
    mappable.addMapping({ invalidate: () => lost++ }, 0, 4096, false);
    expect(mappable.mapRun(0, 4096, false, of)).toBe(0);
    expect(of).toEqual(ofLower);
    f.sys(t, SYS_pwrite64, fd, f.poke(t, "TEXT"), 4, 0);
    expect(lost).toBe(1);
    expect(mappable.mapRun(0, 4096, false, of)).toBe(0);
    expect(of.offset).not.toBe(ofLower.offset);
    expect(trees.read("/ov/f")).toBe("TEXT of /f");
    expect(trees.read("/lower/f")).toBe("text of /f");
  });

  it("copies up when a shared mapping wants to write, and keeps data through an unlink", () => {
    const trees = new Trees();
    const { f, t } = trees;
    const fd = f.sys(t, SYS_open, "/ov/f", O_RDWR) ?? -1;
    const mappable = (t.fds.get(fd) as RegularFile).mappable(t) as Mappable;
    mappable.incRef();
    f.sys(t, SYS_unlink, "/ov/f");
    f.sys(t, SYS_close, fd);
    const run: MapRun = { fd: -1, offset: 0, length: 0, inMemoryFile: false };
    expect(mappable.mapRun(0, 4096, true, run)).toBe(0);
    const memory = f.kernel.memoryFile;
    expect(memory.bytesAt(run.offset)[memory.indexOf(run.offset)]).toBe(0x74);
    const used = f.quota.bytes;
    mappable.decRef();
    expect(f.quota.bytes).toBeLessThan(used);
    expect(trees.names("/ov")).not.toContain("f");
  });
});
