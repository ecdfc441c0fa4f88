import { constants, openSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EAGAIN, EBADF, ENOTTY } from "../abi/errno.ts";
import { POLLHUP, POLLIN } from "../abi/poll.ts";
import { SYS_ioctl } from "../abi/syscall-numbers.ts";
import { Epoll } from "./epoll.ts";
import * as host from "./libc.ts";
import { getpid, schedGetAffinity } from "./process.ts";
import { clearOutputProcessing } from "./terminal.ts";
import * as unix from "./unix-socket.ts";

const ioctl = (fd: number, request: number, argument: number): number =>
  host.sys(SYS_ioctl, fd, request, argument, 0, 0, 0);

describe("clearOutputProcessing", () => {
  it("stops a terminal from adding carriage returns", () => {
    const fds: number[] = [];
    const master = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY);
    fds.push(master);
    const unlock = new Int32Array(1);
    const TIOCSPTLCK = 0x40045431;
    const TIOCGPTPEER = 0x5441;
    expect(ioctl(master, TIOCSPTLCK, host.addressOf(new Uint8Array(unlock.buffer)))).toBe(0);
    const slave = ioctl(master, TIOCGPTPEER, constants.O_RDWR | constants.O_NOCTTY);
    fds.push(slave);
    const shows = (): string => {
      host.write(slave, Uint8Array.from([97, 10]), 0, 2);
      const seen = new Uint8Array(8);
      return String.fromCharCode(...seen.subarray(0, host.read(master, seen, 0, 8)));
    };
    expect(shows()).toBe("a\r\n");
    expect(clearOutputProcessing(slave)).toBe(0);
    expect(shows()).toBe("a\n");
    for (const fd of fds) host.close(fd);
  });

  it("is ENOTTY elsewhere", () => {
    const fd = host.memfdCreate("test");
    expect(clearOutputProcessing(fd)).toBe(-ENOTTY);
    host.close(fd);
  });
});

describe("libc", () => {
  it("returns -errno and reads and writes at an offset of an array", () => {
    expect(host.close(-1)).toBe(-EBADF);
    const fd = host.memfdCreate("test");
    expect(host.ftruncate(fd, 8192)).toBe(0);
    const src = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(host.pwrite(fd, src, 2, 4, 4096)).toBe(4);
    const dst = new Uint8Array(8);
    expect(host.pread(fd, dst, 3, 2, 4097)).toBe(2);
    expect([...dst]).toEqual([0, 0, 0, 4, 5, 0, 0, 0]);
    expect(host.sizeOf(fd)).toBe(8192);
    expect(host.committedBytes(fd)).toBe(4096);
    host.fallocate(fd, host.FALLOC_FL_PUNCH_HOLE | host.FALLOC_FL_KEEP_SIZE, 4096, 4096);
    expect(host.committedBytes(fd)).toBe(0);
    host.close(fd);
    expect(getpid()).toBe(process.pid);
    expect(schedGetAffinity().length).toBeGreaterThan(0);
  });

  it("maps memory and sees what is written to the file behind it", () => {
    const fd = host.memfdCreate("test");
    host.ftruncate(fd, 4096);
    const at = host.mmap(0, 4096, host.PROT_READ | host.PROT_WRITE, host.MAP_SHARED, fd, 0);
    expect(at).toBeGreaterThan(0);
    const bytes = new Uint8Array(host.viewAt(at, 4096));
    host.pwrite(fd, Uint8Array.from([42]), 0, 1, 100);
    expect(bytes[100]).toBe(42);
    expect(host.futexWait(at, 1)).toBe(-EAGAIN);
    expect(host.munmap(at, 4096)).toBe(0);
    host.close(fd);
  });

  it("fills with randomness", () => {
    const bytes = new Uint8Array(700);
    expect(host.getrandom(bytes, 50, 600)).toBe(600);
    expect(bytes.subarray(0, 50).every((b) => b === 0)).toBe(true);
    expect(new Set(bytes.subarray(50, 650)).size).toBeGreaterThan(150);
  });
});

describe("unix sockets", () => {
  const pair = (type: number): Int32Array => {
    const fds = new Int32Array(2);
    expect(unix.socketpair(type | unix.SOCK_CLOEXEC, fds)).toBe(0);
    return fds;
  };

  it("carry descriptors with a message", () => {
    const [a, b] = pair(unix.SOCK_SEQPACKET);
    const fd = host.memfdCreate("passed");
    host.pwrite(fd, Uint8Array.from([7]), 0, 1, 0);
    expect(unix.sendMessage(a, Uint8Array.from([0, 9, 8, 0]), 1, 2, [fd, fd])).toBe(2);
    const buffer = new unix.ReceiveBuffer(64);
    expect(buffer.receive(b)).toBe(2);
    expect([...buffer.bytes.subarray(0, 2)]).toEqual([9, 8]);
    expect(buffer.fdCount).toBe(2);
    expect(buffer.fds[0]).not.toBe(fd);
    const one = new Uint8Array(1);
    host.pread(buffer.fds[1], one, 0, 1, 0);
    expect(one[0]).toBe(7);
    buffer.closeDescriptors();
    expect(buffer.receive(b, unix.MSG_DONTWAIT)).toBe(-EAGAIN);
    host.close(a);
    expect(buffer.receive(b)).toBe(0);
    host.close(b);
    host.close(fd);
  });

  it("refuse a message that does not fit", () => {
    const [a, b] = pair(unix.SOCK_SEQPACKET);
    unix.sendBytes(a, new Uint8Array(100), 0, 100);
    const buffer = new unix.ReceiveBuffer(10);
    expect(buffer.receive(b)).toBeLessThan(0);
    host.close(a);
    host.close(b);
  });

  it("are seen by epoll and poll", () => {
    const [a, b] = pair(unix.SOCK_STREAM);
    const epoll = new Epoll();
    expect(epoll.add(b, POLLIN, 77)).toBe(0);
    expect(epoll.wait(0)).toBe(0);
    unix.sendBytes(a, new Uint8Array(1), 0, 1);
    expect(epoll.wait(0)).toBe(1);
    expect(epoll.tokenAt(0)).toBe(77);
    expect(epoll.maskAt(0)).toBe(POLLIN);
    expect(host.pollOne(b, POLLIN, 0)).toBe(POLLIN);
    host.close(a);
    expect(host.pollOne(b, POLLIN, 0)).toBe(POLLIN | POLLHUP);
    epoll.remove(b);
    expect(epoll.wait(0)).toBe(0);
    host.close(b);
    host.close(epoll.fd);
  });
});
