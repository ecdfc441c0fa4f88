// Program files for tests: written into a FileFixture's tree, small enough to be made by hand.

import { setU16Le, setU32Le, setU64Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { BytesIo } from "../vfs/io.ts";
import { openAt } from "../vfs/open.ts";

const AT_FDCWD = -100;
const O_CREAT_WRONLY = 0o101;

export function putFile(boot: Task, path: string, bytes: Uint8Array, mode: number): void {
  const file = openAt(boot, AT_FDCWD, path, O_CREAT_WRONLY, mode);
  if (typeof file === "number") throw new Error(`creating ${path}: ${file}`);
  const io = new BytesIo(bytes);
  while (io.remaining > 0) {
    const written = file.write(boot, io);
    if (written <= 0) throw new Error(`writing ${path}: ${written}`);
  }
  file.decRef();
}

export const TINY_ELF_ENTRY = 0x40_0078;

/** A static ELF of one page and one segment; its code is never run by a fake platform. */
export function tinyElf(): Uint8Array {
  const b = new Uint8Array(256);
  b.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  setU16Le(b, 16, 2); // ET_EXEC
  setU16Le(b, 18, 62); // EM_X86_64
  setU32Le(b, 20, 1);
  setU64Le(b, 24, TINY_ELF_ENTRY);
  setU64Le(b, 32, 64);
  setU16Le(b, 52, 64);
  setU16Le(b, 54, 56);
  setU16Le(b, 56, 1);
  setU32Le(b, 64, 1); // PT_LOAD
  setU32Le(b, 68, 5);
  setU64Le(b, 80, 0x40_0000);
  setU64Le(b, 88, 0x40_0000);
  setU64Le(b, 96, b.length);
  setU64Le(b, 104, b.length);
  setU64Le(b, 112, 0x1000);
  return b;
}
