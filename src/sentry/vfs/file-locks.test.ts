import { beforeEach, describe, expect, it } from "vitest";
import { EAGAIN, EDEADLK } from "../../abi/errno.ts";
import {
  F_GETLK,
  F_OFD_SETLK,
  F_RDLCK,
  F_SETLK,
  F_SETLKW,
  F_UNLCK,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_CREAT,
  O_RDWR,
} from "../../abi/fcntl.ts";
import { SYS_close, SYS_dup, SYS_fcntl, SYS_flock, SYS_open } from "../../abi/syscall-numbers.ts";
import type { Task } from "../kernel/task.ts";
import { BUFFER, FileFixture } from "../testing/file-fixture.ts";
import { FileLocks, LOCK_END } from "./file-locks.ts";

describe("record locks of one file", () => {
  const a = { name: "a" };
  const b = { name: "b" };
  const held = (locks: FileLocks): unknown[] =>
    locks.records.locks.map((l) => [l.type, l.start, l.end]).sort((x, y) => x[1] - y[1]);

  it("splits, joins and converts an owner's ranges", () => {
    const locks = new FileLocks();
    locks.setRecord(a, 1, F_WRLCK, 0, 100);
    locks.setRecord(a, 1, F_UNLCK, 40, 60);
    expect(held(locks)).toEqual([
      [F_WRLCK, 0, 40],
      [F_WRLCK, 60, 100],
    ]);
    locks.setRecord(a, 1, F_RDLCK, 30, 70);
    expect(held(locks)).toEqual([
      [F_WRLCK, 0, 30],
      [F_RDLCK, 30, 70],
      [F_WRLCK, 70, 100],
    ]);
    locks.setRecord(a, 1, F_WRLCK, 30, 70);
    expect(held(locks)).toEqual([[F_WRLCK, 0, 100]]);
    expect(locks.records.conflict(b, F_RDLCK, 99, 200)?.pid).toBe(1);
    expect(locks.records.conflict(b, F_RDLCK, 100, LOCK_END)).toBe(null);
  });
});

describe("locking calls", () => {
  let f: FileFixture;
  let t: Task;
  let u: Task;
  beforeEach(() => {
    f = new FileFixture();
    t = f.user();
    u = f.user();
  });
  const open = (task: Task, path: string): number =>
    f.sys(task, SYS_open, path, O_CREAT | O_RDWR, 0o600) ?? -1;
  const lock = (task: Task, fd: number, command: number, type: number, start = 0, length = 0) => {
    const bytes = String.fromCharCode(type, 0, 0, 0, 0, 0, 0, 0);
    f.poke(task, bytes + "\0".repeat(24));
    task.mm.writeU64(BUFFER + 8, start);
    task.mm.writeU64(BUFFER + 16, length);
    return f.sys(task, SYS_fcntl, fd, command, BUFFER);
  };

  it("waits in F_SETLKW until the range is free", () => {
    const [x, y] = [open(t, "/f"), open(u, "/f")];
    expect(lock(t, x, F_SETLK, F_WRLCK, 0, 10)).toBe(0);
    expect(lock(u, y, F_SETLK, F_WRLCK, 10, 10)).toBe(0);
    expect(lock(u, y, F_SETLK, F_RDLCK, 9, 1)).toBe(-EAGAIN);
    expect(lock(u, y, F_SETLKW, F_RDLCK, 5, 1)).toBe(null);
    expect(lock(t, x, F_SETLK, F_UNLCK, 5, 1)).toBe(0);
    expect(f.result(u)).toBe(0);
    expect(lock(t, x, F_GETLK, F_WRLCK, 5, 1)).toBe(0);
    expect(t.mm.readU16(BUFFER)).toBe(F_RDLCK);
    expect(t.mm.readI32(BUFFER + 24)).toBe(u.tid);
  });

  it("loses a process's locks when it closes any descriptor of the file", () => {
    const [x, y] = [open(t, "/f"), open(u, "/f")];
    const again = f.sys(t, SYS_dup, x) ?? -1;
    expect(lock(t, x, F_SETLK, F_WRLCK)).toBe(0);
    expect(lock(u, y, F_SETLK, F_WRLCK)).toBe(-EAGAIN);
    f.sys(t, SYS_close, again);
    expect(lock(u, y, F_SETLK, F_WRLCK)).toBe(0);
  });

  it("keeps description locks until the last descriptor goes", () => {
    const [x, y] = [open(t, "/f"), open(t, "/f")];
    const again = f.sys(t, SYS_dup, x) ?? -1;
    expect(lock(t, x, F_OFD_SETLK, F_WRLCK)).toBe(0);
    expect(lock(t, y, F_OFD_SETLK, F_WRLCK)).toBe(-EAGAIN);
    f.sys(t, SYS_close, x);
    expect(lock(t, y, F_OFD_SETLK, F_WRLCK)).toBe(-EAGAIN);
    f.sys(t, SYS_close, again);
    expect(lock(t, y, F_OFD_SETLK, F_WRLCK)).toBe(0);
  });

  it("refuses to close a circle of waits", () => {
    const [x1, x2, y1, y2] = [open(t, "/1"), open(t, "/2"), open(u, "/1"), open(u, "/2")];
    expect(lock(t, x1, F_SETLK, F_WRLCK)).toBe(0);
    expect(lock(u, y2, F_SETLK, F_WRLCK)).toBe(0);
    expect(lock(t, x2, F_SETLKW, F_WRLCK)).toBe(null);
    expect(lock(u, y1, F_SETLKW, F_WRLCK)).toBe(-EDEADLK);
  });

  it("lets flock share, exclude and wait", () => {
    const [x, y] = [open(t, "/f"), open(u, "/f")];
    expect(f.sys(t, SYS_flock, x, LOCK_SH)).toBe(0);
    expect(f.sys(u, SYS_flock, y, LOCK_SH)).toBe(0);
    expect(f.sys(u, SYS_flock, y, LOCK_EX | LOCK_NB)).toBe(-EAGAIN);
    expect(f.sys(u, SYS_flock, y, LOCK_EX)).toBe(null);
    expect(f.sys(t, SYS_flock, x, LOCK_UN)).toBe(0);
    expect(f.result(u)).toBe(0);
    expect(f.sys(t, SYS_flock, x, LOCK_SH | LOCK_NB)).toBe(-EAGAIN);
  });
});
