// The program's side of a pseudo terminal: /dev/pts/N, /dev/tty.

import { EAGAIN, EIO } from "../../../abi/errno.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../../abi/poll.ts";
import { SIGTTIN, SIGTTOU } from "../../../abi/signal.ts";
import { makeDev, S_IFCHR } from "../../../abi/stat.ts";
import { TOSTOP, VMIN, VTIME } from "../../../abi/termios.ts";
import type { Task } from "../../kernel/task.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import type { Io } from "../../vfs/io.ts";
import type { Stat } from "../../vfs/stat.ts";
import type { Pty } from "./pty.ts";
import { ttyIoctl } from "./tty-ioctl.ts";

const TENTH_NS = 100_000_000;
const CHUNK_BYTES = 4096;
const chunk = new Uint8Array(CHUNK_BYTES);

export class PtySlave extends FileDescription {
  readonly pty: Pty;

  constructor(pty: Pty, flags: number) {
    super(flags, pty.slaveWaiters);
    this.pty = pty;
    pty.openSlave();
  }

  override get blocksUntilWritten(): boolean {
    return true;
  }
  /** VTIME without VMIN: how long a read waits for the first byte; with VMIN: after a byte. */
  override get readTimeoutNs(): number {
    const line = this.pty.line;
    const tenths = line.settings.cc(VTIME);
    if (line.settings.isCanonical || tenths === 0) return Number.POSITIVE_INFINITY;
    return line.settings.cc(VMIN) === 0 || line.readable > 0
      ? tenths * TENTH_NS
      : Number.POSITIVE_INFINITY;
  }

  override read(t: Task, io: Io): number {
    const pty = this.pty;
    if (pty.isHungUp) return 0;
    const allowed = pty.checkJobControl(t, SIGTTIN);
    if (allowed < 0) return allowed;
    if (io.remaining === 0) return 0;
    const line = pty.line;
    if (line.settings.isCanonical) {
      if (!line.hasLine) return -EAGAIN;
    } else {
      const ready = this.#rawReady(t, io.remaining);
      if (ready <= 0) return ready;
    }
    return this.#take(io);
  }

  /** 1: give what is there; 0: nothing came in time; -EAGAIN: wait. */
  #rawReady(t: Task, wanted: number): number {
    const line = this.pty.line;
    const min = line.settings.cc(VMIN);
    const tenths = line.settings.cc(VTIME);
    const have = line.readable;
    if (min === 0) {
      if (have > 0) return 1;
      if (tenths === 0) return 0;
      // Run again after the time-out that readTimeoutNs gave.
      return t.deadlineNs <= t.kernel.clock.monotonicNs() ? 0 : -EAGAIN;
    }
    if (have >= Math.min(min, wanted)) return 1;
    if (have === 0 || tenths === 0) return -EAGAIN;
    const quietNs = t.kernel.clock.monotonicNs() - this.pty.lastInputNs;
    return quietNs >= tenths * TENTH_NS ? 1 : -EAGAIN;
  }

  #take(io: Io): number {
    const line = this.pty.line;
    const canonical = line.settings.isCanonical;
    let total = 0;
    do {
      const n = line.take(chunk, 0, Math.min(io.remaining, CHUNK_BYTES));
      if (n === 0) break;
      const copied = io.copyOut(chunk, 0, n);
      if (copied < 0) return total > 0 ? total : copied;
      total += copied;
    } while (!canonical && io.remaining > 0);
    this.pty.masterWaiters.notify(POLLOUT | POLLWRNORM);
    return total;
  }

  override write(t: Task, io: Io): number {
    const pty = this.pty;
    if (pty.isHungUp) return -EIO;
    if ((pty.line.settings.lflag & TOSTOP) !== 0) {
      const allowed = pty.checkJobControl(t, SIGTTOU);
      if (allowed < 0) return allowed;
    }
    if (io.remaining > 0 && !pty.line.canWrite) return -EAGAIN;
    let total = 0;
    while (io.remaining > 0) {
      const n = io.span(Math.min(io.remaining, CHUNK_BYTES), false);
      if (n <= 0) return total > 0 ? total : n;
      const taken = pty.line.write(io.spanBytes, io.spanOffset, n);
      io.advance(taken);
      total += taken;
      if (taken < n) break;
    }
    return total;
  }

  override poll(): number {
    const pty = this.pty;
    if (pty.isHungUp) {
      return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
    }
    const line = pty.line;
    const need =
      line.settings.isCanonical || line.settings.cc(VTIME) > 0
        ? 1
        : Math.max(1, line.settings.cc(VMIN));
    let bits = line.readable >= need ? POLLIN | POLLRDNORM : 0;
    if (line.canWrite) bits |= POLLOUT | POLLWRNORM;
    return bits;
  }

  override ioctl(t: Task, request: number, arg: number): number {
    if (this.pty.isHungUp) return -EIO;
    return ttyIoctl(t, this.pty, request, arg, false);
  }

  stat(out: Stat): number {
    const inode = this.path?.dentry.inode;
    if (inode !== null && inode !== undefined) return inode.stat(out);
    out.mode = S_IFCHR | this.pty.mode;
    out.uid = this.pty.uid;
    out.gid = this.pty.gid;
    out.rdev = makeDev(136, this.pty.index);
    return 0;
  }
  release(): void {
    this.pty.closeSlave();
  }
  describe(): string {
    return `/dev/pts/${this.pty.index}`;
  }
}
