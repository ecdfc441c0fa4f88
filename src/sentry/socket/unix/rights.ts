// Ancillary data of unix sockets: descriptors in flight (SCM_RIGHTS) and who sent (SCM_CREDENTIALS), unix(7).

import {
  CAP_SETGID,
  CAP_SETUID,
  CAP_SYS_ADMIN,
  CAP_SYS_RESOURCE,
} from "../../../abi/capability.ts";
import { EBADF, EINVAL, EPERM, ESRCH, ETOOMANYREFS } from "../../../abi/errno.ts";
import { RLIMIT_NOFILE } from "../../../abi/resource.ts";
import {
  MSG_CMSG_CLOEXEC,
  SCM_CREDENTIALS,
  SCM_MAX_FD,
  SCM_RIGHTS,
  SOL_SOCKET,
} from "../../../abi/socket.ts";
import { i32Le, setU32Le, u32Le } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import { type FileDescription, O_PATH } from "../../vfs/file-description.ts";
import type { ControlReader } from "../control.ts";
import type { ReceiveMessage } from "../message.ts";
import type { SocketTable } from "../socket-table.ts";

/** struct ucred. */
export interface Ucred {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}
export const UCRED_BYTES = 12;
/** What stands in for credentials that were not sent: overflowuid, overflowgid. */
export const NO_UCRED: Ucred = { pid: 0, uid: 65_534, gid: 65_534 };

export function putUcred(out: Uint8Array, offset: number, cred: Ucred): void {
  setU32Le(out, offset, cred.pid);
  setU32Le(out, offset + 4, cred.uid);
  setU32Le(out, offset + 8, cred.gid);
}
export const sameUcred = (a: Ucred | null, b: Ucred | null): boolean =>
  a === b || (a !== null && b !== null && a.pid === b.pid && a.uid === b.uid && a.gid === b.gid);

/** Counts messages in flight that carry it: for the collector of cycles. */
export interface CountsInFlight {
  inFlight: number;
}
const countsInFlight = (f: object): f is CountsInFlight => "inFlight" in f;

/** Files on their way: one reference each. */
export class Rights {
  readonly #table: SocketTable;
  #files: FileDescription[];

  constructor(table: SocketTable, files: FileDescription[]) {
    this.#table = table;
    this.#files = files;
    for (const file of files) {
      file.incRef();
      if (countsInFlight(file)) file.inFlight++;
    }
    table.filesInFlight += files.length;
  }
  get files(): readonly FileDescription[] {
    return this.#files;
  }
  /** Ends the flight; the references are the caller's now. */
  take(): FileDescription[] {
    const files = this.#files;
    this.#files = [];
    for (const file of files) if (countsInFlight(file)) file.inFlight--;
    this.#table.filesInFlight -= files.length;
    return files;
  }
  /** For MSG_PEEK: new references, the flight goes on. */
  copy(): FileDescription[] {
    for (const file of this.#files) file.incRef();
    return [...this.#files];
  }
  drop(): void {
    for (const file of this.take()) file.decRef();
  }
}

/** What sendmsg's control messages asked to send along. */
export class Ancillary {
  files: FileDescription[] = [];
  ucred: Ucred | null = null;

  /** 0 or -errno. */
  read(t: Task, control: ControlReader): number {
    this.files = [];
    this.ucred = null;
    control.rewind();
    for (;;) {
      const more = control.next();
      if (more < 0) return more;
      if (more === 0) break;
      if (control.level !== SOL_SOCKET) continue;
      let result = -EINVAL;
      if (control.type === SCM_RIGHTS) result = this.#readRights(t, control);
      else if (control.type === SCM_CREDENTIALS) result = this.#readUcred(t, control);
      if (result < 0) return result;
    }
    return 0;
  }

  #readRights(t: Task, c: ControlReader): number {
    const count = c.dataLength >>> 2;
    if (this.files.length + count > SCM_MAX_FD) return -EINVAL;
    for (let i = 0; i < count; i++) {
      const file = t.fds.get(i32Le(c.bytes, c.dataOffset + 4 * i));
      if (file === undefined || (file.flags & O_PATH) !== 0) return -EBADF;
      this.files.push(file);
    }
    return 0;
  }

  #readUcred(t: Task, c: ControlReader): number {
    if (c.dataLength !== UCRED_BYTES) return -EINVAL;
    const pid = i32Le(c.bytes, c.dataOffset);
    const uid = u32Le(c.bytes, c.dataOffset + 4);
    const gid = u32Le(c.bytes, c.dataOffset + 8);
    const { creds } = t;
    const isAdmin = creds.hasCapability(CAP_SYS_ADMIN);
    if (pid !== t.threadGroup.tgid && !isAdmin) return -EPERM;
    if (pid !== t.threadGroup.tgid && !t.kernel.pids.groups.has(pid)) return -ESRCH;
    const isOwnUid = uid === creds.uid || uid === creds.euid || uid === creds.suid;
    if (!isOwnUid && !creds.hasCapability(CAP_SETUID)) return -EPERM;
    const isOwnGid = gid === creds.gid || gid === creds.egid || gid === creds.sgid;
    if (!isOwnGid && !creds.hasCapability(CAP_SETGID)) return -EPERM;
    this.ucred = { pid, uid, gid };
    return 0;
  }

  /** Puts the files in flight: null when there are none, or -ETOOMANYREFS. */
  launch(t: Task, table: SocketTable): Rights | null | number {
    if (this.files.length === 0) return null;
    const total = table.filesInFlight + this.files.length;
    const { creds } = t;
    const isPrivileged =
      creds.hasCapability(CAP_SYS_RESOURCE) || creds.hasCapability(CAP_SYS_ADMIN);
    if (total > t.threadGroup.rlimit(RLIMIT_NOFILE).soft && !isPrivileged) return -ETOOMANYREFS;
    if (total > table.limits.files) return -ETOOMANYREFS;
    const rights = new Rights(table, this.files);
    this.files = [];
    return rights;
  }
}

export const ownUcred = (t: Task): Ucred => ({
  pid: t.threadGroup.tgid,
  uid: t.creds.uid,
  gid: t.creds.gid,
});

const ucredBytes = new Uint8Array(UCRED_BYTES);

/** recvmsg: credentials if asked for, then the files. The rights stay in flight when peeking. */
export function deliver(
  t: Task,
  message: ReceiveMessage,
  wantsUcred: boolean,
  ucred: Ucred | null,
  rights: Rights | null,
  peek: boolean,
): void {
  if (wantsUcred) {
    putUcred(ucredBytes, 0, ucred ?? NO_UCRED);
    message.control.put(SOL_SOCKET, SCM_CREDENTIALS, ucredBytes, 0, UCRED_BYTES);
  }
  if (rights === null || rights.files.length === 0) return;
  const files = peek ? rights.copy() : rights.take();
  message.control.putRights(t, files, (message.flags & MSG_CMSG_CLOEXEC) !== 0);
}
