// Process groups and sessions: job control's way to speak of several processes at once
// (setpgid(2), setsid(2), credentials(7)). The terminal itself lives in fs/devpts.

import type { ThreadGroup } from "./thread-group.ts";

/** What a session knows of its terminal. Implemented by the tty. */
export interface ControllingTerminal {
  /** The session that it controls; null: none. */
  session: Session | null;
  /** The group that may read and that gets ^C; null: none. */
  foreground: ProcessGroup | null;
  /** The session leader is gone: the terminal belongs to nobody now. */
  onSessionLeaderExit(session: Session): void;
}

export class Session {
  readonly sid: number;
  /** Null once it has exited. */
  leader: ThreadGroup | null;
  tty: ControllingTerminal | null = null;
  readonly groups = new Set<ProcessGroup>();

  constructor(sid: number, leader: ThreadGroup | null) {
    this.sid = sid;
    this.leader = leader;
  }
}

export class ProcessGroup {
  readonly pgid: number;
  readonly session: Session;
  readonly members = new Set<ThreadGroup>();

  constructor(pgid: number, session: Session) {
    this.pgid = pgid;
    this.session = session;
    session.groups.add(this);
  }

  /** No member has a parent in another group of the same session: nobody can continue it if stopped. */
  isOrphaned(except: ThreadGroup | null = null): boolean {
    for (const member of this.members) {
      if (member === except || member.isZombie) continue;
      const parent = member.parent;
      if (parent === null || parent.processGroup === null) continue;
      if (parent.processGroup !== this && parent.processGroup.session === this.session)
        return false;
    }
    return true;
  }

  get hasStoppedMember(): boolean {
    for (const member of this.members) if (member.isStopped) return true;
    return false;
  }
}
