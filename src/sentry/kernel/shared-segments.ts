// System V shared memory segments by id and key (shmget(2)): one name space per sandbox. What a segment
// holds is a SharedMemory; here is who owns it, and until when. Not the system calls: syscalls/shm.ts.

import { CAP_IPC_OWNER, CAP_SYS_ADMIN } from "../../abi/capability.ts";
import { IPC_PRIVATE, SHMMNI } from "../../abi/ipc.ts";
import type { SharedMemory } from "../mm/shared-memory.ts";
import type { Credentials } from "./credentials.ts";

/** Ids are slot + sequence * this, so that an id of a past segment names no new one. */
const SLOTS = 32768;
const SEQUENCES = 65536;

export class SharedSegment {
  readonly id: number;
  key: number;
  readonly memory: SharedMemory;
  /** As asked for; the memory is whole pages. */
  readonly bytes: number;
  uid: number;
  gid: number;
  readonly cuid: number;
  readonly cgid: number;
  /** The nine permission bits. */
  mode: number;
  readonly cpid: number;
  lpid = 0;
  atimeNs = 0;
  dtimeNs = 0;
  ctimeNs: number;
  /** Removed: it goes with its last attachment. */
  isDoomed = false;

  constructor(
    id: number,
    key: number,
    memory: SharedMemory,
    bytes: number,
    mode: number,
    creds: Credentials,
    cpid: number,
    nowNs: number,
  ) {
    this.id = id;
    this.key = key;
    this.memory = memory;
    this.bytes = bytes;
    this.mode = mode;
    this.uid = creds.euid;
    this.gid = creds.egid;
    this.cuid = creds.euid;
    this.cgid = creds.egid;
    this.cpid = cpid;
    this.ctimeNs = nowNs;
  }

  get sequence(): number {
    return Math.floor(this.id / SLOTS);
  }

  /** wanted: permission bits of one class, 4 read, 2 write. */
  allows(creds: Credentials, wanted: number): boolean {
    let granted = this.mode & 7;
    if (creds.euid === this.uid || creds.euid === this.cuid) granted = (this.mode >> 6) & 7;
    else if (
      creds.egid === this.gid ||
      creds.egid === this.cgid ||
      creds.groups.includes(this.gid) ||
      creds.groups.includes(this.cgid)
    ) {
      granted = (this.mode >> 3) & 7;
    }
    return (wanted & ~granted) === 0 || creds.hasCapability(CAP_IPC_OWNER);
  }

  /** May change its owner and mode, and remove it. */
  isOwnedBy(creds: Credentials): boolean {
    return (
      creds.euid === this.uid || creds.euid === this.cuid || creds.hasCapability(CAP_SYS_ADMIN)
    );
  }
}

export class SharedSegments {
  readonly #slots: (SharedSegment | null)[] = [];
  #sequence = 0;

  /** Id for a new segment, or -1 at the limit (SHMMNI). */
  freeId(): number {
    this.#sweep();
    let slot = this.#slots.indexOf(null);
    if (slot < 0) slot = this.#slots.length;
    if (slot >= SHMMNI) return -1;
    return slot + SLOTS * this.#sequence;
  }
  add(segment: SharedSegment): void {
    this.#slots[segment.id % SLOTS] = segment;
    this.#sequence = (this.#sequence + 1) % SEQUENCES;
  }

  /** By key; removed ones have none any more. */
  withKey(key: number): SharedSegment | null {
    if (key === IPC_PRIVATE) return null;
    for (const s of this.#slots) if (s !== null && s.key === key) return s;
    return null;
  }
  withId(id: number): SharedSegment | null {
    const s = id < 0 ? null : this.atIndex(id % SLOTS);
    return s !== null && s.id === id ? s : null;
  }
  atIndex(index: number): SharedSegment | null {
    this.#sweep();
    return this.#slots[index] ?? null;
  }
  all(): readonly SharedSegment[] {
    this.#sweep();
    return this.#slots.filter((s) => s !== null);
  }
  /** -1: none. */
  get highestIndex(): number {
    this.#sweep();
    return this.#slots.length - 1;
  }

  /** shmctl IPC_RMID: nobody finds it by its key; its memory lives until the last detachment. */
  doom(segment: SharedSegment): void {
    if (segment.isDoomed) return;
    segment.isDoomed = true;
    segment.key = IPC_PRIVATE;
    segment.memory.decRef();
    this.#sweep();
  }

  /** Forgets removed segments that nobody has attached any more: exits and munmaps do not tell us. */
  #sweep(): void {
    for (let i = 0; i < this.#slots.length; i++) {
      const s = this.#slots[i];
      if (s?.isDoomed && s.memory.attachCount === 0) this.#slots[i] = null;
    }
    while (this.#slots.length > 0 && this.#slots.at(-1) === null) this.#slots.pop();
  }
}
