// Who a task is: user and group ids, supplementary groups, capabilities. Immutable; changed by replacement.

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
