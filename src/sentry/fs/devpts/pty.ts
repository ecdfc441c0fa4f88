// A pseudo terminal: the pair of a master (the terminal's own side: a terminal emulator, sshd, our monitor)
// and a slave (the program's /dev/pts/N), with the session that it controls (pty(7), credentials(7), tty
// job control in tty_jobctrl.c's terms).

import { EINVAL, EIO, ENOTTY, EPERM, ERESTARTSYS, ESRCH } from "../../../abi/errno.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../../abi/poll.ts";
import { SIGCONT, SIGHUP, SIGTTIN, SIGTTOU, SIGWINCH } from "../../../abi/signal.ts";
import { TIOCPKT_DOSTOP, TIOCPKT_NOSTOP } from "../../../abi/termios.ts";
import type { Clock } from "../../../base/clock.ts";
import type { ControllingTerminal, ProcessGroup, Session } from "../../kernel/process-group.ts";
import type { Task } from "../../kernel/task.ts";
import { sendKernelSignal } from "../../kernel/task-signals.ts";
import { WaitQueue } from "../../kernel/wait-queue.ts";
import { LineDiscipline } from "./line-discipline.ts";

const CAP_SYS_ADMIN = 21;

export function signalGroup(group: ProcessGroup | null, signo: number): void {
  if (group === null) return;
  for (const member of [...group.members]) sendKernelSignal(member, signo);
}

export class Pty implements ControllingTerminal {
  readonly index: number;
  readonly line = new LineDiscipline();
  session: Session | null = null;
  foreground: ProcessGroup | null = null;
  /** struct winsize: rows, columns, pixels. */
  readonly winsize = new Uint16Array(4);

  /** The slave may not be opened before unlockpt(3). */
  isLocked = true;
  isExclusive = false;
  /** The master is gone: the slave's users read end of file and get EIO. */
  isHungUp = false;
  slaveCount = 0;
  slaveWasOpened = false;
  /** TIOCPKT: reads of the master start with a status byte. */
  packetMode = false;
  packetBits = 0;

  readonly masterWaiters = new WaitQueue();
  readonly slaveWaiters = new WaitQueue();
  /** When the last input came, for VTIME. */
  lastInputNs = 0;
  uid: number;
  gid: number;
  mode = 0o620;
  readonly clock: Clock;
  readonly #onGone: (pty: Pty) => void;

  constructor(index: number, uid: number, gid: number, clock: Clock, onGone: (pty: Pty) => void) {
    this.index = index;
    this.uid = uid;
    this.gid = gid;
    this.clock = clock;
    this.#onGone = onGone;
    this.line.onSignal = (signo) => signalGroup(this.foreground, signo);
    this.line.onInput = () => {
      this.lastInputNs = clock.monotonicNs();
      this.slaveWaiters.notify(POLLIN | POLLRDNORM);
    };
    this.line.onOutput = () => {
      this.masterWaiters.notify(POLLIN | POLLRDNORM);
      if (this.line.canWrite) this.slaveWaiters.notify(POLLOUT | POLLWRNORM);
    };
    this.line.onPacket = (bits) => this.notePacket(bits);
  }

  notePacket(bits: number): void {
    if (!this.packetMode) return;
    this.packetBits |= bits;
    this.masterWaiters.notify(POLLIN | POLLRDNORM | 2);
  }
  /** IXON with the usual characters went on or off. */
  noteFlowControl(wasOn: boolean, isOn: boolean): void {
    if (wasOn !== isOn) this.notePacket(isOn ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP);
  }

  /** Typed bytes from the master side; how many were taken. */
  receive(src: Uint8Array, offset: number, length: number): number {
    return this.line.receive(src, offset, length);
  }
  /** After output was taken by the master. */
  outputTaken(): void {
    if (this.line.canWrite) this.slaveWaiters.notify(POLLOUT | POLLWRNORM);
  }

  setWinsize(rows: number, columns: number, xPixels = 0, yPixels = 0): void {
    const w = this.winsize;
    if (w[0] === rows && w[1] === columns && w[2] === xPixels && w[3] === yPixels) return;
    w[0] = rows;
    w[1] = columns;
    w[2] = xPixels;
    w[3] = yPixels;
    signalGroup(this.foreground, SIGWINCH);
  }

  openSlave(): void {
    this.slaveCount++;
    this.slaveWasOpened = true;
  }
  closeSlave(): void {
    if (--this.slaveCount === 0) {
      this.masterWaiters.notify(POLLIN | POLLHUP);
      if (this.isHungUp) this.#onGone(this);
    }
  }
  /** The master's last description is closed, or the terminal's connection is lost. */
  hangUp(): void {
    if (this.isHungUp) return;
    this.isHungUp = true;
    const session = this.session;
    const foreground = this.foreground;
    if (session !== null) {
      const leader = session.leader;
      this.disconnect();
      if (leader !== null) {
        sendKernelSignal(leader, SIGHUP);
        sendKernelSignal(leader, SIGCONT);
      }
      if (foreground !== null && foreground !== leader?.processGroup) {
        signalGroup(foreground, SIGHUP);
        signalGroup(foreground, SIGCONT);
      }
    }
    this.line.flushInput();
    this.slaveWaiters.notify(POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM);
    this.masterWaiters.notify(POLLIN | POLLHUP);
    if (this.slaveCount === 0) this.#onGone(this);
  }

  // --- The controlling terminal ---

  onSessionLeaderExit(session: Session): void {
    if (this.session !== session) return;
    this.session = null;
    this.foreground = null;
  }
  disconnect(): void {
    if (this.session !== null) this.session.tty = null;
    this.session = null;
    this.foreground = null;
  }

  /** Makes it the controlling terminal of the task's session. steal: TIOCSCTTY with 1. */
  makeControlling(t: Task, steal: boolean): number {
    const group = t.threadGroup.processGroup;
    if (group === null) return -EPERM;
    const session = group.session;
    if (session.leader !== t.threadGroup) return -EPERM;
    if (session.tty === this) return 0;
    if (session.tty !== null) return -EPERM;
    if (this.session !== null) {
      if (!steal || !t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
      this.disconnect();
    }
    this.session = session;
    session.tty = this;
    this.foreground = group;
    return 0;
  }

  #controls(t: Task): boolean {
    const session = t.threadGroup.processGroup?.session;
    return session !== undefined && session.tty === this;
  }

  /**
   * A background process of the session wants to read (SIGTTIN) or change something (SIGTTOU): 0 to go on,
   * -EIO, or -ERESTARTSYS after its group was signalled.
   */
  checkJobControl(t: Task, signo: number): number {
    const group = t.threadGroup.processGroup;
    if (group === null || !this.#controls(t) || this.foreground === group) return 0;
    if (this.foreground === null) return 0;
    if (t.signalMask.has(signo) || t.threadGroup.actions.isIgnored(signo)) {
      return signo === SIGTTIN ? -EIO : 0;
    }
    if (group.isOrphaned()) return -EIO;
    signalGroup(group, signo);
    return -ERESTARTSYS;
  }

  getForeground(t: Task, fromMaster: boolean): number {
    if (!fromMaster && !this.#controls(t)) return -ENOTTY;
    return this.foreground === null ? 0 : this.foreground.pgid;
  }
  setForeground(t: Task, pgid: number): number {
    const checked = this.checkJobControl(t, SIGTTOU);
    if (checked < 0) return checked;
    if (!this.#controls(t)) return -ENOTTY;
    if (pgid < 0) return -EINVAL;
    const group = t.kernel.pids.processGroups.get(pgid);
    if (group === undefined) return -ESRCH;
    if (group.session !== this.session) return -EPERM;
    this.foreground = group;
    return 0;
  }
  getSession(t: Task, fromMaster: boolean): number {
    if (!fromMaster && !this.#controls(t)) return -ENOTTY;
    return this.session === null ? -ENOTTY : this.session.sid;
  }
  /** TIOCNOTTY. */
  giveUp(t: Task): number {
    if (!this.#controls(t)) return -ENOTTY;
    const session = t.threadGroup.processGroup?.session;
    // Only a leader takes the session along; others have nothing of their own to give up here.
    if (session?.leader !== t.threadGroup) return 0;
    const foreground = this.foreground;
    this.disconnect();
    signalGroup(foreground, SIGHUP);
    signalGroup(foreground, SIGCONT);
    return 0;
  }
}
