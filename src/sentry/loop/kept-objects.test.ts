import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import { S_IFREG } from "../../abi/stat.ts";
import { SYS_mkdir, SYS_mknod } from "../../abi/syscall-numbers.ts";
import { OverlayFs } from "../fs/overlay/overlay.ts";
import { FileFixture } from "../testing/file-fixture.ts";
import type { Inode } from "../vfs/inode.ts";
import type { Path } from "../vfs/path.ts";
import { resolve } from "../vfs/resolve.ts";
import { clearKeptObjects } from "./kept-objects.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** In a function of its own, so that no register keeps one. */
function refer(count: number): WeakRef<object>[] {
  return Array.from({ length: count }, (_, i) => new WeakRef({ i }));
}
const alive = (refs: readonly WeakRef<object>[]): number =>
  refs.filter((r) => r.deref() !== undefined).length;

test("within one job, weak references are collected only behind clearKeptObjects", () => {
  const refs = refer(1000);
  collect();
  expect(alive(refs)).toBe(1000);
  clearKeptObjects();
  collect();
  expect(alive(refs)).toBeLessThan(10);
});

test("an overlay forgets the files of its lower tree that nobody has", () => {
  const f = new FileFixture();
  const t = f.user();
  const { kernel, table, quota } = f;
  f.sys(t, SYS_mkdir, "/lower", 0o755);
  const lower = (resolve(t, AT_FDCWD, "/lower", true) as Path).dentry.inode as Inode;
  const overlay = new OverlayFs(table.allocateDev(), kernel.memoryFile, quota, lower, 1, () => {
    clearKeptObjects();
    collect();
  });
  f.sys(t, SYS_mknod, "/lower/f", S_IFREG | 0o644, 0);
  const file = (resolve(t, AT_FDCWD, "/lower/f", true) as Path).dentry.inode as Inode;
  const at = (ino: number) => Object.create(file, { ino: { value: ino } }) as Inode;
  const held = overlay.wrap(at(1));
  for (let ino = 2; ino < 20_000; ino++) overlay.wrap(at(ino));
  expect(overlay.knownCount).toBeLessThan(10_000);
  expect(overlay.wrap(at(1))).toBe(held);
});
