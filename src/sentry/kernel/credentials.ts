// Who a task is: user and group ids, supplementary groups, capabilities. Immutable; changed by replacement.

import { SECBIT_KEEP_CAPS, SECBIT_NO_SETUID_FIXUP, SECBIT_NOROOT } from "../../abi/capability.ts";

type CapSet = readonly [number, number];
const NO_CAPS: CapSet = [0, 0];
const and = (a: CapSet, b: CapSet): CapSet => [a[0] & b[0], a[1] & b[1]];
const or = (a: CapSet, b: CapSet): CapSet => [a[0] | b[0], a[1] | b[1]];
/** Capabilities that go with fsuid 0: CHOWN, DAC_*, FOWNER, FSETID, LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE. */
const FS_CAPS: CapSet = [0x0800_021f, 1];

export class Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly euid: number;
  readonly egid: number;
  readonly suid: number;
  readonly sgid: number;
  readonly fsuid: number;
  readonly fsgid: number;
  readonly groups: readonly number[];
  /** Capability sets as [low word, high word] (capabilities(7)). */
  readonly capEffective: readonly [number, number];
  readonly capPermitted: readonly [number, number];
  readonly capInheritable: readonly [number, number];
  readonly capBounding: readonly [number, number];
  readonly capAmbient: readonly [number, number];

  constructor(fields: Partial<Credentials> & { uid: number; gid: number }) {
    const isRoot = (fields.euid ?? fields.uid) === 0;
    const all: readonly [number, number] = isRoot ? [-1, 0x1ff] : [0, 0];
    this.uid = fields.uid;
    this.gid = fields.gid;
    this.euid = fields.euid ?? fields.uid;
    this.egid = fields.egid ?? fields.gid;
    this.suid = fields.suid ?? this.euid;
    this.sgid = fields.sgid ?? this.egid;
    this.fsuid = fields.fsuid ?? this.euid;
    this.fsgid = fields.fsgid ?? this.egid;
    this.groups = fields.groups ?? [];
    this.capEffective = fields.capEffective ?? all;
    this.capPermitted = fields.capPermitted ?? all;
    this.capInheritable = fields.capInheritable ?? [0, 0];
    this.capBounding = fields.capBounding ?? [-1, 0x1ff];
    this.capAmbient = fields.capAmbient ?? [0, 0];
  }

  /** cap: CAP_* number. */
  hasCapability(cap: number): boolean {
    return (this.capEffective[cap >>> 5] & (1 << (cap & 31))) !== 0;
  }
  inGroup(gid: number): boolean {
    return this.fsgid === gid || this.groups.includes(gid);
  }
  with(changes: Partial<Credentials>): Credentials {
    return new Credentials({ ...this, ...changes });
  }
}

/** capabilities(7), "Effect of user ID changes": what a set*uid leaves of the capabilities. */
export function withUserIds(
  old: Credentials,
  uid: number,
  euid: number,
  suid: number,
  securebits: number,
): Credentials {
  const next = { uid, euid, suid, fsuid: euid };
  if ((securebits & SECBIT_NO_SETUID_FIXUP) !== 0) return old.with(next);
  let { capEffective, capPermitted, capAmbient } = old;
  const hadRoot = old.uid === 0 || old.euid === 0 || old.suid === 0;
  const hasRoot = uid === 0 || euid === 0 || suid === 0;
  if (hadRoot && !hasRoot) {
    if ((securebits & SECBIT_KEEP_CAPS) === 0) {
      capPermitted = NO_CAPS;
      capEffective = NO_CAPS;
    }
    capAmbient = NO_CAPS;
  }
  if (old.euid === 0 && euid !== 0) capEffective = NO_CAPS;
  if (old.euid !== 0 && euid === 0) capEffective = capPermitted;
  return old.with({ ...next, capEffective, capPermitted, capAmbient });
}

export function withFsUid(old: Credentials, fsuid: number, securebits: number): Credentials {
  if ((securebits & SECBIT_NO_SETUID_FIXUP) !== 0) return old.with({ fsuid });
  let capEffective = old.capEffective;
  if (old.fsuid === 0 && fsuid !== 0) {
    capEffective = [capEffective[0] & ~FS_CAPS[0], capEffective[1] & ~FS_CAPS[1]];
  } else if (old.fsuid !== 0 && fsuid === 0) {
    capEffective = or(capEffective, and(old.capPermitted, FS_CAPS));
  }
  return old.with({ fsuid, capEffective });
}

/** capabilities(7), "Transformation of capabilities during execve()"; files have none here. */
export function credentialsAfterExec(old: Credentials, securebits: number): Credentials {
  const isRoot = (securebits & SECBIT_NOROOT) === 0 && (old.uid === 0 || old.euid === 0);
  if (!isRoot) {
    return old.with({
      suid: old.euid,
      sgid: old.egid,
      fsuid: old.euid,
      fsgid: old.egid,
      capPermitted: old.capAmbient,
      capEffective: old.capAmbient,
    });
  }
  const permitted = or(old.capInheritable, old.capBounding);
  return old.with({
    suid: old.euid,
    sgid: old.egid,
    fsuid: old.euid,
    fsgid: old.egid,
    capPermitted: permitted,
    capEffective: old.euid === 0 ? permitted : old.capAmbient,
  });
}
