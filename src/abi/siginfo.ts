// struct siginfo (include/uapi/asm-generic/siginfo.h): 128 bytes, kept as the bytes that a program sees,
// so that what one program queues (rt_sigqueueinfo) reaches another one unchanged.

import { i32Le, setU32Le, setU64Le, u32Le, u64Le } from "../base/bytes.ts";

export const SIGINFO_BYTES = 128;

export const SI_USER = 0;
export const SI_KERNEL = 0x80;
export const SI_QUEUE = -1;
export const SI_TIMER = -2;
export const SI_MESGQ = -3;
export const SI_ASYNCIO = -4;
export const SI_SIGIO = -5;
export const SI_TKILL = -6;

export const ILL_ILLOPN = 2;
export const FPE_INTDIV = 1;
export const SEGV_MAPERR = 1;
export const SEGV_ACCERR = 2;
export const BUS_ADRALN = 1;
export const BUS_ADRERR = 2;
export const TRAP_BRKPT = 1;
export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
export const CLD_DUMPED = 3;
export const CLD_TRAPPED = 4;
export const CLD_STOPPED = 5;
export const CLD_CONTINUED = 6;
export const SYS_SECCOMP = 1;
export const POLL_IN = 1;

export class SigInfo {
  readonly bytes = new Uint8Array(SIGINFO_BYTES);

  constructor(signo: number, code: number) {
    setU32Le(this.bytes, 0, signo);
    setU32Le(this.bytes, 8, code);
  }

  get signo(): number {
    return i32Le(this.bytes, 0);
  }
  set signo(v: number) {
    setU32Le(this.bytes, 0, v);
  }
  get errno(): number {
    return i32Le(this.bytes, 4);
  }
  get code(): number {
    return i32Le(this.bytes, 8);
  }
  set code(v: number) {
    setU32Le(this.bytes, 8, v);
  }

  // _kill, _rt, _sigchld
  get pid(): number {
    return i32Le(this.bytes, 16);
  }
  get uid(): number {
    return u32Le(this.bytes, 20);
  }
  setSender(pid: number, uid: number): this {
    setU32Le(this.bytes, 16, pid);
    setU32Le(this.bytes, 20, uid);
    return this;
  }

  // _sigchld
  get status(): number {
    return i32Le(this.bytes, 24);
  }
  /** Times in clock ticks. */
  setChild(status: number, utime: number, stime: number): this {
    setU32Le(this.bytes, 24, status);
    setU64Le(this.bytes, 32, utime);
    setU64Le(this.bytes, 40, stime);
    return this;
  }

  // _timer and _rt: the sigval at 24.
  get timerId(): number {
    return i32Le(this.bytes, 16);
  }
  get overrun(): number {
    return i32Le(this.bytes, 20);
  }
  set overrun(v: number) {
    setU32Le(this.bytes, 20, v);
  }
  setTimer(id: number, overrun: number): this {
    setU32Le(this.bytes, 16, id);
    setU32Le(this.bytes, 20, overrun);
    return this;
  }
  get valueLow(): number {
    return i32Le(this.bytes, 24);
  }
  get valueHigh(): number {
    return i32Le(this.bytes, 28);
  }
  setValue(low: number, high: number): this {
    setU32Le(this.bytes, 24, low);
    setU32Le(this.bytes, 28, high);
    return this;
  }

  // _sigfault
  get address(): number {
    return u64Le(this.bytes, 16);
  }
  setAddress(address: number): this {
    setU64Le(this.bytes, 16, address);
    return this;
  }

  // _sigpoll
  get band(): number {
    return i32Le(this.bytes, 16);
  }
  get fd(): number {
    return i32Le(this.bytes, 24);
  }
  setPoll(band: number, fd: number): this {
    setU64Le(this.bytes, 16, band);
    setU32Le(this.bytes, 24, fd);
    return this;
  }
}
