import { describe, expect, it } from "vitest";
import { EACCES, EEXIST, EINVAL, ENOENT, EPERM } from "../../abi/errno.ts";
import * as ipc from "../../abi/ipc.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { Credentials } from "../kernel/credentials.ts";
import type { Task } from "../kernel/task.ts";
import { KernelFixture, USER_BASE } from "../testing/kernel-fixture.ts";

const RECORD = USER_BASE + 0x1000;
const BYTES = 3 * 4096;

const get = (f: KernelFixture, t: Task, key: number, bytes = BYTES, flags = 0): number =>
  f.call(t, nr.SYS_shmget, key, bytes, flags) as number;
const create = (f: KernelFixture, t: Task, key: number, mode = 0o600): number =>
  get(f, t, key, BYTES, ipc.IPC_CREAT | mode);
const attach = (f: KernelFixture, t: Task, id: number, addr = 0, flags = 0): number =>
  f.call(t, nr.SYS_shmat, id, addr, flags) as number;
const control = (f: KernelFixture, t: Task, id: number, command: number): number =>
  f.call(t, nr.SYS_shmctl, id, command, RECORD) as number;
const nattch = (f: KernelFixture, t: Task, id: number): number => {
  expect(control(f, t, id, ipc.IPC_STAT)).toBe(0);
  return t.mm.readU64(RECORD + ipc.SHMID_NATTCH);
};

describe("shmget", () => {
  it("finds a segment by its key, and only by that", () => {
    const f = new KernelFixture();
    const t = f.process();
    expect(get(f, t, 7)).toBe(-ENOENT);
    const id = create(f, t, 7);
    expect(get(f, t, 7)).toBe(id);
    expect(get(f, t, 7, BYTES + 1)).toBe(-EINVAL);
    expect(get(f, t, 7, BYTES, ipc.IPC_CREAT | ipc.IPC_EXCL)).toBe(-EEXIST);
    expect(create(f, t, ipc.IPC_PRIVATE)).not.toBe(create(f, t, ipc.IPC_PRIVATE));
    expect(get(f, t, 8, 0, ipc.IPC_CREAT)).toBe(-EINVAL);
  });
});

describe("shmat and shmdt", () => {
  it("share the bytes between processes, until each lets go", () => {
    const f = new KernelFixture();
    const a = f.process();
    const b = f.process();
    const id = create(f, a, 1);
    const atA = attach(f, a, id);
    const atB = attach(f, b, id, 0x5000_0123, ipc.SHM_RND);
    expect(atB).toBe(0x5000_0000);
    a.mm.writeU32(atA + 4096, 42);
    expect(b.mm.readU32(atB + 4096)).toBe(42);
    expect(nattch(f, a, id)).toBe(2);
    expect(f.call(a, nr.SYS_shmdt, atA + 4096)).toBe(-EINVAL);
    expect(f.call(a, nr.SYS_shmdt, atA)).toBe(0);
    expect(f.call(a, nr.SYS_shmdt, atA)).toBe(-EINVAL);
    expect(nattch(f, a, id)).toBe(1);
    f.call(b, nr.SYS_exit_group, 0);
    expect(nattch(f, a, id)).toBe(0);
  });

  it("leave other mappings alone, but with SHM_REMAP", () => {
    const f = new KernelFixture();
    const t = f.process();
    const id = create(f, t, 1);
    expect(attach(f, t, id, USER_BASE)).toBe(-EINVAL);
    expect(attach(f, t, id, USER_BASE + 1)).toBe(-EINVAL);
    const at = USER_BASE + 0x8000;
    expect(attach(f, t, id, at, ipc.SHM_REMAP)).toBe(at);
    expect(f.call(t, nr.SYS_shmdt, at)).toBe(0);
  });

  it("attach for reading only what may only be read", () => {
    const f = new KernelFixture();
    const id = create(f, f.process(), 1, 0o644);
    const other = f.process({ creds: new Credentials({ uid: 5, gid: 5 }) });
    expect(attach(f, other, id)).toBe(-EACCES);
    const at = attach(f, other, id, 0, ipc.SHM_RDONLY);
    expect(other.mm.writeU32(at, 1)).toBeLessThan(0);
    expect(f.call(other, nr.SYS_mprotect, at, 4096, 3)).toBe(-EACCES);
    expect(control(f, other, id, ipc.IPC_RMID)).toBe(-EPERM);
  });
});

describe("shmctl IPC_RMID", () => {
  it("hides the key at once and frees the memory with the last attachment", () => {
    const f = new KernelFixture();
    const t = f.process();
    t.mm.writeU32(RECORD, 0);
    const before = f.kernel.memoryFile.allocatedBytes;
    const id = create(f, t, 1);
    const at = attach(f, t, id);
    t.mm.writeU32(at, 1);
    expect(control(f, t, id, ipc.IPC_RMID)).toBe(0);
    expect(get(f, t, 1)).toBe(-ENOENT);
    expect(t.mm.readU32(at)).toBe(1);
    expect(nattch(f, t, id)).toBe(1);
    expect(t.mm.readU32(RECORD + ipc.IPC_PERM_MODE) & ipc.SHM_DEST).toBe(ipc.SHM_DEST);
    expect(f.call(t, nr.SYS_shmdt, at)).toBe(0);
    expect(control(f, t, id, ipc.IPC_STAT)).toBe(-EINVAL);
    expect(f.kernel.memoryFile.allocatedBytes).toBe(before);
    expect(create(f, t, 1)).not.toBe(id);
  });
});
