import { describe, expect, it } from "vitest";
import { CAP_KILL, CAP_NET_RAW, CAP_SETUID } from "../../abi/capability.ts";
import { EINVAL, EPERM } from "../../abi/errno.ts";
import { RLIMIT_NOFILE } from "../../abi/resource.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { Credentials, credentialsAfterExec } from "../kernel/credentials.ts";
import type { Task } from "../kernel/task.ts";
import { KernelFixture, USER_BASE } from "../testing/kernel-fixture.ts";

const AT = USER_BASE + 0x100;
const KEEP = -1;

function uids(f: KernelFixture, t: Task): number[] {
  f.call(t, nr.SYS_getresuid, AT, AT + 4, AT + 8);
  return [t.mm.readU32(AT), t.mm.readU32(AT + 4), t.mm.readU32(AT + 8)];
}

describe("set*uid", () => {
  it("by root drops everything for good, capabilities too", () => {
    const f = new KernelFixture();
    const t = f.process();
    expect(f.call(t, nr.SYS_setuid, 1000)).toBe(0);
    expect(uids(f, t)).toEqual([1000, 1000, 1000]);
    expect(t.creds.fsuid).toBe(1000);
    expect(t.creds.capPermitted).toEqual([0, 0]);
    expect(f.call(t, nr.SYS_setuid, 0)).toBe(-EPERM);
    expect(f.call(t, nr.SYS_setuid, KEEP)).toBe(-EINVAL);
  });

  it("for a while keeps the saved id and the permitted capabilities", () => {
    const f = new KernelFixture();
    const t = f.process();
    expect(f.call(t, nr.SYS_setresuid, KEEP, 1000, KEEP)).toBe(0);
    expect(uids(f, t)).toEqual([0, 1000, 0]);
    expect(t.creds.hasCapability(CAP_SETUID)).toBe(false);
    expect(f.call(t, nr.SYS_setresuid, KEEP, 0, KEEP)).toBe(0);
    expect(t.creds.hasCapability(CAP_SETUID)).toBe(true);
  });

  it("keeps permitted capabilities when asked by PR_SET_KEEPCAPS", () => {
    const f = new KernelFixture();
    const t = f.process();
    f.call(t, nr.SYS_prctl, 8, 1);
    f.call(t, nr.SYS_setuid, 1000);
    expect(t.creds.capPermitted).not.toEqual([0, 0]);
    expect(t.creds.capEffective).toEqual([0, 0]);
  });

  it("without privilege only moves between the ids that it has", () => {
    const f = new KernelFixture();
    const t = f.process({ creds: new Credentials({ uid: 1000, euid: 1001, suid: 1002, gid: 5 }) });
    expect(f.call(t, nr.SYS_setreuid, 1001, 1000)).toBe(0);
    expect(uids(f, t)).toEqual([1001, 1000, 1000]);
    expect(f.call(t, nr.SYS_setresuid, 7, KEEP, KEEP)).toBe(-EPERM);
    expect(f.call(t, nr.SYS_setgid, 6)).toBe(-EPERM);
  });
});

describe("capabilities", () => {
  it("can be given up by capset, and not be taken back", () => {
    const f = new KernelFixture();
    const t = f.process();
    t.mm.writeU32(AT, 0x20080522);
    t.mm.writeU32(AT + 4, 0);
    f.call(t, nr.SYS_capget, AT, AT + 16);
    const all = t.mm.readU32(AT + 16);
    const less = (all & ~(1 << CAP_KILL)) >>> 0;
    t.mm.writeU32(AT + 16, less);
    t.mm.writeU32(AT + 20, less);
    expect(f.call(t, nr.SYS_capset, AT, AT + 16)).toBe(0);
    expect(t.creds.hasCapability(CAP_KILL)).toBe(false);
    t.mm.writeU32(AT + 20, all);
    expect(f.call(t, nr.SYS_capset, AT, AT + 16)).toBe(-EPERM);
  });

  it("tell the version that is spoken when asked with another", () => {
    const f = new KernelFixture();
    const t = f.process();
    t.mm.writeU32(AT, 7);
    expect(f.call(t, nr.SYS_capget, AT, 0)).toBe(0);
    expect(t.mm.readU32(AT)).toBe(0x20080522);
  });

  it("pass execve as root's full set within the bounding set, or as the ambient set", () => {
    const root = new Credentials({ uid: 0, gid: 0, capBounding: [1 << CAP_NET_RAW, 0] });
    expect(credentialsAfterExec(root, 0).capEffective).toEqual([1 << CAP_NET_RAW, 0]);
    const ambient: [number, number] = [1 << CAP_NET_RAW, 0];
    const user = new Credentials({ uid: 5, gid: 5, capPermitted: [-1, 0], capAmbient: ambient });
    expect(credentialsAfterExec(user, 0).capPermitted).toEqual(ambient);
  });
});

describe("prlimit", () => {
  it("lowers for good without privilege, and shows no limit as ~0", () => {
    const f = new KernelFixture();
    const t = f.process({ creds: new Credentials({ uid: 9, gid: 9 }) });
    t.mm.writeU64(AT, 100);
    t.mm.writeU64(AT + 8, 200);
    expect(f.call(t, nr.SYS_prlimit64, 0, RLIMIT_NOFILE, AT, 0)).toBe(0);
    t.mm.writeU64(AT + 8, 300);
    expect(f.call(t, nr.SYS_prlimit64, 0, RLIMIT_NOFILE, AT, 0)).toBe(-EPERM);
    t.mm.writeU64(AT, 500);
    expect(f.call(t, nr.SYS_prlimit64, 0, RLIMIT_NOFILE, AT, 0)).toBe(-EINVAL);
    f.call(t, nr.SYS_getrlimit, 0, AT);
    expect([t.mm.readU32(AT), t.mm.readU32(AT + 4)]).toEqual([0xffff_ffff, 0xffff_ffff]);
  });
});
