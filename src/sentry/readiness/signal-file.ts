// signalfd(2): pending signals of the reading task, taken as 128-byte records. Readiness is that of the
// process that made it (Linux asks whoever polls; a child that inherits one sees the difference).

import { SIGNALFD_SIGINFO_BYTES } from "../../abi/epoll.ts";
import { EAGAIN, EINVAL } from "../../abi/errno.ts";
import { POLLIN, POLLRDNORM } from "../../abi/poll.ts";
import { SI_TIMER, type SigInfo } from "../../abi/siginfo.ts";
import {
  SIGBUS,
  SIGCHLD,
  SIGFPE,
  SIGILL,
  SIGIO,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SIGSYS,
  SIGTRAP,
} from "../../abi/signal.ts";
import { setU32Le, setU64Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { WaitEntry, type Waiter } from "../kernel/wait-queue.ts";
import { O_RDWR } from "../vfs/file-description.ts";
import type { Io } from "../vfs/io.ts";
import { AnonymousFile } from "./anonymous-file.ts";

const record = new Uint8Array(SIGNALFD_SIGINFO_BYTES);
const NEVER = (1 << (SIGKILL - 1)) | (1 << (SIGSTOP - 1));

export class SignalFile extends AnonymousFile implements Waiter {
  readonly className = "[signalfd]";
  readonly #owner: Task;
  readonly #entry: WaitEntry = new WaitEntry(this);
  #low = 0;
  #high = 0;

  constructor(owner: Task, low: number, high: number, flags: number) {
    super(O_RDWR | flags);
    this.#owner = owner;
    this.setMask(low, high);
    owner.threadGroup.signalWaiters.add(this.#entry, POLLIN);
  }

  setMask(low: number, high: number): void {
    this.#low = low & ~NEVER;
    this.#high = high;
    if (this.poll() !== 0) this.onReady();
  }
  onReady(): void {
    this.waiters.notify(POLLIN | POLLRDNORM);
  }

  override read(t: Task, io: Io): number {
    if (io.remaining < SIGNALFD_SIGINFO_BYTES) return -EINVAL;
    let done = 0;
    while (io.remaining >= SIGNALFD_SIGINFO_BYTES) {
      const info = t.dequeueSignal(this.#low, this.#high);
      if (info === null) break;
      encode(info);
      const n = io.copyOut(record, 0, SIGNALFD_SIGINFO_BYTES);
      if (n < 0) return done > 0 ? done : n;
      done += n;
    }
    return done > 0 ? done : -EAGAIN;
  }
  override poll(): number {
    if (this.#owner.isSignalPending(this.#low, this.#high)) return POLLIN | POLLRDNORM;
    return 0;
  }
  override fdinfo(): string {
    const hex = (w: number): string => (w >>> 0).toString(16).padStart(8, "0");
    return `sigmask:\t${hex(this.#high)}${hex(this.#low)}\n`;
  }
  override release(): void {
    this.#owner.threadGroup.signalWaiters.remove(this.#entry);
  }
}

/** struct signalfd_siginfo of one siginfo (fs/signalfd.c, signalfd_copyinfo). */
function encode(info: SigInfo): void {
  record.fill(0);
  const code = info.code;
  setU32Le(record, 0, info.signo);
  setU32Le(record, 4, info.errno);
  setU32Le(record, 8, code);
  const fromKernel = code > 0;
  switch (fromKernel ? info.signo : 0) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
      setU64Le(record, 72, info.address);
      return;
    case SIGSYS:
      return;
    case SIGIO:
      setU32Le(record, 24, info.band);
      setU32Le(record, 20, info.fd);
      return;
    case SIGCHLD:
      setU32Le(record, 12, info.pid);
      setU32Le(record, 16, info.uid);
      setU32Le(record, 40, info.status);
      record.set(info.bytes.subarray(32, 48), 56);
      return;
  }
  encodeSender(info, code);
}

function encodeSender(info: SigInfo, code: number): void {
  if (code === SI_TIMER) {
    setU32Le(record, 24, info.timerId);
    setU32Le(record, 32, info.overrun);
  } else {
    setU32Le(record, 12, info.pid);
    setU32Le(record, 16, info.uid);
  }
  // ssi_int and ssi_ptr: the sigval.
  setU32Le(record, 44, info.valueLow);
  setU32Le(record, 48, info.valueLow);
  setU32Le(record, 52, info.valueHigh);
}
