import { beforeEach, describe, expect, it } from "vitest";
import { EACCES, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV } from "../../abi/errno.ts";
import {
  AT_FDCWD,
  O_CREAT,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "../../abi/fcntl.ts";
import {
  SYS_chdir,
  SYS_chmod,
  SYS_getcwd,
  SYS_mkdir,
  SYS_mount,
  SYS_open,
  SYS_rmdir,
  SYS_symlink,
  SYS_umount2,
} from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import { BUFFER, FileFixture } from "../testing/file-fixture.ts";
import { openAt } from "./open.ts";
import { pathText } from "./path.ts";
import { resolve } from "./resolve.ts";

describe("path walk", () => {
  let f: FileFixture;
  let t: Task;

  beforeEach(() => {
    f = new FileFixture();
    t = f.user();
    for (const dir of ["/a", "/a/b", "/a/b/c", "/m"])
      expect(f.sys(t, SYS_mkdir, dir, 0o755)).toBe(0);
    for (const file of ["/a/file", "/a/b/deep"]) {
      expect(f.sys(t, SYS_open, file, O_CREAT | O_WRONLY, 0o644)).toBeGreaterThanOrEqual(0);
    }
    const links: [string, string][] = [
      ["/a/b", "/to-dir"],
      ["a/file", "/to-file"],
      ["loop2", "/loop1"],
      ["loop1", "/loop2"],
      ["../file", "/a/b/up"],
      ["/nowhere", "/dangling"],
      ["/a/file", "/a/abs"],
    ];
    for (const [target, path] of links) expect(f.sys(t, SYS_symlink, target, path)).toBe(0);
  });

  const walk = (path: string, follow = true, resolveFlags = 0, from = t): string | number => {
    const place = resolve(from, AT_FDCWD, path, follow, 0, resolveFlags);
    return typeof place === "number" ? place : pathText(place, from.fs.root).text;
  };

  it.each([
    ["/", "/"],
    ["//a///b/", "/a/b"],
    ["/a/./b/../file", "/a/file"],
    ["/../..", "/"],
    ["/to-dir/c", "/a/b/c"],
    ["/to-dir/../file", "/a/file"],
    ["/to-file", "/a/file"],
    ["/a/b/up", "/a/file"],
    ["/to-dir/", "/a/b"],
  ])("resolves %s to %s", (path, expected) => {
    expect(walk(path)).toBe(expected);
  });

  it.each([
    ["", -ENOENT],
    ["/a/none", -ENOENT],
    ["/a/none/x", -ENOENT],
    ["/a/file/x", -ENOTDIR],
    ["/a/file/", -ENOTDIR],
    ["/a/file/.", -ENOTDIR],
    ["/to-file/", -ENOTDIR],
    ["/loop1", -ELOOP],
    ["/dangling", -ENOENT],
    [`/${"x".repeat(256)}`, -ENAMETOOLONG],
    [`/${"x".repeat(255)}`, -ENOENT],
    [`/${"a/".repeat(2100)}`, -ENAMETOOLONG],
  ])("refuses %.20s", (path, errno) => {
    expect(walk(path)).toBe(errno);
  });

  it("does not follow the last link when told, but does before a slash", () => {
    expect(walk("/to-dir", false)).toBe("/to-dir");
    expect(walk("/to-dir/", false)).toBe("/a/b");
    expect(f.sys(t, SYS_open, "/to-file", O_NOFOLLOW | O_RDONLY)).toBe(-ELOOP);
    expect(f.sys(t, SYS_open, "/to-file", O_NOFOLLOW | O_PATH)).toBeGreaterThanOrEqual(0);
  });

  it("follows at most 40 links", () => {
    for (let i = 0; i < 41; i++) {
      f.sys(t, SYS_symlink, i === 0 ? "/a/file" : `/chain${i - 1}`, `/chain${i}`);
    }
    expect(walk("/chain39")).toBe("/a/file");
    expect(walk("/chain40")).toBe(-ELOOP);
  });

  it("creates through a dangling link, and refuses names that end in a slash", () => {
    expect(f.sys(t, SYS_open, "/dangling", O_CREAT | O_WRONLY, 0o600)).toBeGreaterThanOrEqual(0);
    expect(walk("/nowhere")).toBe("/nowhere");
    expect(f.sys(t, SYS_open, "/new/", O_CREAT | O_WRONLY, 0o600)).toBe(-EISDIR);
    expect(f.sys(t, SYS_open, "/a", O_CREAT | O_WRONLY, 0o600)).toBe(-EISDIR);
  });

  it("keeps openat2's scopes", () => {
    expect(f.sys(t, SYS_chdir, "/a/b")).toBe(0);
    expect(walk("deep", true, RESOLVE_BENEATH)).toBe("/a/b/deep");
    expect(walk("c/../deep", true, RESOLVE_BENEATH)).toBe("/a/b/deep");
    expect(walk("../file", true, RESOLVE_BENEATH)).toBe(-EXDEV);
    expect(walk("up", true, RESOLVE_BENEATH)).toBe(-EXDEV);
    expect(walk("/a/b", true, RESOLVE_BENEATH)).toBe(-EXDEV);
    expect(walk("../../deep", true, RESOLVE_IN_ROOT)).toBe("/a/b/deep");
    expect(walk("/deep", true, RESOLVE_IN_ROOT)).toBe("/a/b/deep");
    expect(walk("/to-dir/deep", true, RESOLVE_NO_SYMLINKS)).toBe(-ELOOP);
    expect(walk("/a/b/deep", true, RESOLVE_NO_SYMLINKS)).toBe("/a/b/deep");
  });

  it("crosses mounts down and up, and stays below RESOLVE_NO_XDEV", () => {
    expect(f.sys(t, SYS_mount, "none", "/m", "tmpfs", 0, 0)).toBe(0);
    expect(f.sys(t, SYS_mkdir, "/m/inner", 0o755)).toBe(0);
    expect(walk("/m/inner")).toBe("/m/inner");
    expect(walk("/m/inner/../../a")).toBe("/a");
    expect(walk("/m/inner", true, RESOLVE_NO_XDEV)).toBe(-EXDEV);
    expect(f.sys(t, SYS_chdir, "/m/inner")).toBe(0);
    expect(walk("../..", true, RESOLVE_NO_XDEV)).toBe(-EXDEV);
    expect(f.sys(t, SYS_umount2, "/m", 0)).toBe(-16);
    expect(f.sys(t, SYS_chdir, "/")).toBe(0);
    expect(f.sys(t, SYS_umount2, "/m", 0)).toBe(0);
    expect(walk("/m/inner")).toBe(-ENOENT);
  });

  it("asks for search permission on every directory", () => {
    expect(f.sys(t, SYS_chmod, "/a", 0o750)).toBe(0);
    const guest = f.user(1000);
    expect(walk("/a/file", true, 0, guest)).toBe(-EACCES);
    expect(walk("/a", true, 0, guest)).toBe("/a");
    expect(walk("/a/.", true, 0, guest)).toBe(-EACCES);
  });

  it("tells where one is, also after the directory was renamed or removed", () => {
    expect(f.sys(t, SYS_chdir, "/a/b/c")).toBe(0);
    expect(f.sys(t, SYS_getcwd, BUFFER, 100)).toBe(7);
    expect(f.peek(t, 6)).toBe("/a/b/c");
    expect(f.sys(t, SYS_rmdir, "/a/b/c")).toBe(0);
    expect(f.sys(t, SYS_getcwd, BUFFER, 100)).toBe(-ENOENT);
    expect(typeof openAt(t, AT_FDCWD, "x", O_CREAT | O_WRONLY, 0o600)).toBe("number");
    expect(walk("..")).toBe("/a/b");
  });

  it("keeps the dentry cache within its bound", () => {
    const small = new FileFixture(undefined, undefined, 64);
    const user = small.user();
    for (let i = 0; i < 500; i++) small.sys(user, SYS_mkdir, `/d${i}`, 0o755);
    for (let i = 0; i < 500; i++) expect(walk(`/d${i}`, true, 0, user)).toBe(`/d${i}`);
    expect(small.table.dentries.size).toBeLessThanOrEqual(64);
  });
});
