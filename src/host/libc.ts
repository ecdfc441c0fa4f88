// Basic host calls, typed once: memory, descriptors, futex, process attributes. Every function returns the
// result >= 0 or -errno (never throws), takes addresses as numbers and buffers as (array, offset, length).
// Calls of one subject stand in their own files: epoll.ts, unix-socket.ts, bpf.ts, process.ts.

import {
  SYS_close,
  SYS_dup,
  SYS_eventfd2,
  SYS_fallocate,
  SYS_fcntl,
  SYS_fstat,
  SYS_fsync,
  SYS_ftruncate,
  SYS_futex,
  SYS_getrandom,
  SYS_lseek,
  SYS_memfd_create,
  SYS_mmap,
  SYS_mprotect,
  SYS_munmap,
  SYS_poll,
  SYS_pread64,
  SYS_pwrite64,
  SYS_read,
  SYS_write,
} from "../abi/syscall-numbers.ts";
import { addressOf, io, pinnedBytes, sys } from "./raw-syscall.ts";

export {
  addressOf,
  declare,
  errnoOf,
  functionAt,
  io,
  libc,
  pinnedBytes,
  sys,
  viewAt,
} from "./raw-syscall.ts";

export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MAP_FIXED_NOREPLACE = 0x10_0000;

/** Address or -errno. */
export function mmap(
  addr: number,
  length: number,
  prot: number,
  flags: number,
  fd: number,
  offset: number,
): number {
  return sys(SYS_mmap, addr, length, prot, flags, fd, offset);
}
export function munmap(addr: number, length: number): number {
  return sys(SYS_munmap, addr, length, 0, 0, 0, 0);
}
export function mprotect(addr: number, length: number, prot: number): number {
  return sys(SYS_mprotect, addr, length, prot, 0, 0, 0);
}

export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;

const scratch = pinnedBytes(512);
const scratchView = new DataView(scratch.buffer);
const scratchAddress = addressOf(scratch);

/** A new memory file. name: ASCII, under 249 characters, for /proc only. */
export function memfdCreate(name: string, flags: number = MFD_CLOEXEC): number {
  const n = Math.min(name.length, 248);
  for (let i = 0; i < n; i++) scratch[i] = name.charCodeAt(i);
  scratch[n] = 0;
  return sys(SYS_memfd_create, scratchAddress, flags, 0, 0, 0, 0);
}

export function ftruncate(fd: number, length: number): number {
  return sys(SYS_ftruncate, fd, length, 0, 0, 0, 0);
}
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export function fallocate(fd: number, mode: number, offset: number, length: number): number {
  return sys(SYS_fallocate, fd, mode, offset, length, 0, 0);
}
export function fsync(fd: number): number {
  return sys(SYS_fsync, fd, 0, 0, 0, 0, 0);
}

export function read(fd: number, dst: Uint8Array, offset: number, length: number): number {
  return io(SYS_read, fd, dst, offset, length, 0);
}
export function write(fd: number, src: Uint8Array, offset: number, length: number): number {
  return io(SYS_write, fd, src, offset, length, 0);
}
export function pread(
  fd: number,
  dst: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  return io(SYS_pread64, fd, dst, offset, length, position);
}
export function pwrite(
  fd: number,
  src: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  return io(SYS_pwrite64, fd, src, offset, length, position);
}
export function close(fd: number): number {
  return sys(SYS_close, fd, 0, 0, 0, 0, 0);
}
export function dup(fd: number): number {
  return sys(SYS_dup, fd, 0, 0, 0, 0, 0);
}

const F_GETFL = 3;
const F_SETFL = 4;
const F_SETFD = 2;
const O_NONBLOCK = 0o4000;
export function setNonBlocking(fd: number, on: boolean): number {
  const flags = sys(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
  if (flags < 0) return flags;
  return sys(SYS_fcntl, fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK, 0, 0, 0);
}
export function setCloseOnExec(fd: number, on: boolean): number {
  return sys(SYS_fcntl, fd, F_SETFD, on ? 1 : 0, 0, 0, 0);
}

/** st_size of a descriptor, or -errno. */
export function sizeOf(fd: number): number {
  const r = io(SYS_fstat, fd, scratch, 256, 0, 0);
  return r < 0 ? r : Number(scratchView.getBigInt64(256 + 48, true));
}
/** st_mode of a descriptor, or -errno. */
export function modeOf(fd: number): number {
  const r = io(SYS_fstat, fd, scratch, 256, 0, 0);
  return r < 0 ? r : scratchView.getUint32(256 + 24, true);
}
export function seek(fd: number, offset: number, whence: number): number {
  return sys(SYS_lseek, fd, offset, whence, 0, 0, 0);
}
/** Bytes the host has committed to the file (st_blocks), or -errno. */
export function committedBytes(fd: number): number {
  const r = io(SYS_fstat, fd, scratch, 256, 0, 0);
  return r < 0 ? r : Number(scratchView.getBigInt64(256 + 64, true)) * 512;
}

export const EFD_SEMAPHORE = 1;
export const EFD_NONBLOCK = O_NONBLOCK;
export const EFD_CLOEXEC = 0o2000000;
export function eventfd(initial: number, flags: number): number {
  return sys(SYS_eventfd2, initial, flags, 0, 0, 0, 0);
}

const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
/** Not the private kind: the words are shared with other processes. 0 or -errno (EAGAIN, EINTR). */
export function futexWait(address: number, expected: number): number {
  return sys(SYS_futex, address, FUTEX_WAIT, expected, 0, 0, 0);
}
/** Returns how many were woken. */
export function futexWake(address: number, count: number): number {
  return sys(SYS_futex, address, FUTEX_WAKE, count, 0, 0, 0);
}

/** Fills with the host's randomness; returns bytes or -errno. length <= 256 never comes back short. */
export function getrandom(dst: Uint8Array, offset: number, length: number): number {
  // getrandom(buf, n, flags): the buffer is the first argument.
  let done = 0;
  while (done < length) {
    const n = Math.min(256, length - done);
    const r = sys(SYS_getrandom, scratchAddress, n, 0, 0, 0, 0);
    if (r < 0) return r;
    for (let i = 0; i < r; i++) dst[offset + done + i] = scratch[i];
    done += r;
  }
  return done;
}

const POLLFD_BYTES = 8;
/** Ready bits of one descriptor now, or after waiting timeoutMs (-1: for ever); 0 on time-out; -errno. */
export function pollOne(fd: number, mask: number, timeoutMs: number): number {
  scratchView.setInt32(0, fd, true);
  scratchView.setInt16(4, mask, true);
  scratchView.setInt16(6, 0, true);
  const r = sys(SYS_poll, scratchAddress, 1, timeoutMs, 0, 0, 0);
  return r <= 0 ? r : scratchView.getUint16(6, true);
}
/** poll(2) over an array of struct pollfd (8 bytes each: fd, events, revents). */
export function poll(fds: Uint8Array, count: number, timeoutMs: number): number {
  return sys(
    SYS_poll,
    addressOf(fds),
    Math.min(count, fds.length / POLLFD_BYTES),
    timeoutMs,
    0,
    0,
    0,
  );
}
