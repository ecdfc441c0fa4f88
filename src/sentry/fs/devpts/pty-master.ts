// The terminal's own side of a pseudo terminal: what opening /dev/ptmx gives.

import { EAGAIN, EFAULT, EINVAL, EIO } from "../../../abi/errno.ts";
import { O_ACCMODE, O_CLOEXEC, O_NONBLOCK } from "../../../abi/fcntl.ts";
import { POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM } from "../../../abi/poll.ts";
import { makeDev, S_IFCHR } from "../../../abi/stat.ts";
import {
  TIOCGPKT,
  TIOCGPTLCK,
  TIOCGPTN,
  TIOCGPTPEER,
  TIOCPKT,
  TIOCPKT_DATA,
  TIOCSIG,
  TIOCSPTLCK,
} from "../../../abi/termios.ts";
import type { Task } from "../../kernel/task.ts";
import { FileDescription } from "../../vfs/file-description.ts";
import type { Io } from "../../vfs/io.ts";
import type { Stat } from "../../vfs/stat.ts";
import { type Pty, signalGroup } from "./pty.ts";
import { PtySlave } from "./pty-slave.ts";
import { ttyIoctl } from "./tty-ioctl.ts";

const CHUNK_BYTES = 4096;
const chunk = new Uint8Array(CHUNK_BYTES);
const RLIMIT_NOFILE = 7;

export class PtyMaster extends FileDescription {
  readonly pty: Pty;
  /** The slave's name as a file, for TIOCGPTPEER. */
  readonly #nameSlave: (t: Task, slave: PtySlave) => void;

  constructor(pty: Pty, flags: number, nameSlave: (t: Task, slave: PtySlave) => void) {
    super(flags, pty.masterWaiters);
    this.pty = pty;
    this.#nameSlave = nameSlave;
  }
  override get blocksUntilWritten(): boolean {
    return true;
  }

  get #slaveIsGone(): boolean {
    return this.pty.slaveWasOpened && this.pty.slaveCount === 0;
  }

  override read(_t: Task, io: Io): number {
    const pty = this.pty;
    if (io.remaining === 0) return 0;
    if (pty.packetMode && pty.packetBits !== 0) {
      chunk[0] = pty.packetBits;
      pty.packetBits = 0;
      return io.copyOut(chunk, 0, 1);
    }
    if (pty.line.output.length === 0 || pty.line.isStopped) {
      return this.#slaveIsGone || pty.isHungUp ? -EIO : -EAGAIN;
    }
    let total = 0;
    if (pty.packetMode) {
      chunk[0] = TIOCPKT_DATA;
      const r = io.copyOut(chunk, 0, 1);
      if (r <= 0) return r;
      total = 1;
    }
    while (io.remaining > 0 && pty.line.output.length > 0) {
      const n = io.span(io.remaining, true);
      if (n <= 0) return total > 0 ? total : n;
      const taken = pty.line.output.take(io.spanBytes, io.spanOffset, n);
      io.advance(taken);
      total += taken;
    }
    pty.outputTaken();
    return total;
  }

  override write(_t: Task, io: Io): number {
    const pty = this.pty;
    if (pty.isHungUp || this.#slaveIsGone) return -EIO;
    if (io.remaining > 0 && pty.line.room === 0) return -EAGAIN;
    let total = 0;
    while (io.remaining > 0) {
      const n = io.span(Math.min(io.remaining, CHUNK_BYTES), false);
      if (n <= 0) return total > 0 ? total : n;
      const taken = pty.receive(io.spanBytes, io.spanOffset, n);
      io.advance(taken);
      total += taken;
      if (taken < n) break;
    }
    return total;
  }

  override poll(): number {
    const pty = this.pty;
    let bits = pty.line.room > 0 ? POLLOUT | POLLWRNORM : 0;
    if (pty.line.output.length > 0 && !pty.line.isStopped) bits |= POLLIN | POLLRDNORM;
    if (pty.packetBits !== 0) bits |= POLLIN | POLLRDNORM | POLLPRI;
    if (this.#slaveIsGone || pty.isHungUp) bits |= POLLHUP;
    return bits;
  }

  override ioctl(t: Task, request: number, arg: number): number {
    const pty = this.pty;
    switch (request >>> 0) {
      case TIOCGPTN:
        return t.mm.writeU32(arg, pty.index);
      case TIOCSPTLCK: {
        const locked = t.mm.readI32(arg);
        if (t.mm.faulted) return -EFAULT;
        pty.isLocked = locked !== 0;
        return 0;
      }
      case TIOCGPTLCK:
        return t.mm.writeU32(arg, pty.isLocked ? 1 : 0);
      case TIOCPKT: {
        const on = t.mm.readI32(arg);
        if (t.mm.faulted) return -EFAULT;
        pty.packetMode = on !== 0;
        pty.packetBits = 0;
        return 0;
      }
      case TIOCGPKT:
        return t.mm.writeU32(arg, pty.packetMode ? 1 : 0);
      case TIOCSIG:
        if (arg < 1 || arg > 64) return -EINVAL;
        signalGroup(pty.foreground, arg);
        return 0;
      case TIOCGPTPEER:
        return this.#openPeer(t, arg);
      default:
        return ttyIoctl(t, pty, request, arg, true);
    }
  }

  #openPeer(t: Task, flags: number): number {
    if (this.pty.isHungUp) return -EIO;
    const slave = new PtySlave(this.pty, flags & (O_ACCMODE | O_NONBLOCK));
    this.#nameSlave(t, slave);
    const limit = t.rlimit(RLIMIT_NOFILE).soft;
    const fd = t.fds.add(slave, (flags & O_CLOEXEC) !== 0, 0, limit);
    if (fd < 0) slave.decRef();
    return fd;
  }

  stat(out: Stat): number {
    const inode = this.path?.dentry.inode;
    if (inode !== null && inode !== undefined) return inode.stat(out);
    out.mode = S_IFCHR | 0o666;
    out.rdev = makeDev(5, 2);
    return 0;
  }
  release(): void {
    this.pty.hangUp();
  }
  override fdinfo(): string {
    return `tty-index:\t${this.pty.index}\n`;
  }
  describe(): string {
    return "/dev/ptmx";
  }
}
