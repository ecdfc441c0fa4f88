import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { EAGAIN, EBUSY, EINVAL, ENXIO, EPERM, EPIPE } from "../../../abi/errno.ts";
import {
  F_GETPIPE_SZ,
  F_SETPIPE_SZ,
  O_CREAT,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from "../../../abi/fcntl.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from "../../../abi/poll.ts";
import { SIGPIPE, SIGUSR1 } from "../../../abi/signal.ts";
import { S_IFIFO } from "../../../abi/stat.ts";
import {
  SYS_close,
  SYS_fcntl,
  SYS_mknod,
  SYS_open,
  SYS_pipe2,
  SYS_read,
  SYS_sendfile,
  SYS_splice,
  SYS_tee,
  SYS_write,
} from "../../../abi/syscall-numbers.ts";
import { Credentials } from "../../kernel/credentials.ts";
import type { Task } from "../../kernel/task.ts";
import { sendKernelSignal } from "../../kernel/task-signals.ts";
import { BUFFER, FileFixture } from "../../testing/file-fixture.ts";
import { BytesIo } from "../../vfs/io.ts";
import { Pipe } from "./pipe.ts";

describe("Pipe", () => {
  it("gives out what was put in, in order, through wrapping and growing", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 30_000 }))),
        (steps) => {
          const pipe = new Pipe(1);
          pipe.addEnd(true, true);
          let put = 0;
          let got = 0;
          for (const [isWrite, n] of steps) {
            const bytes = new Uint8Array(n);
            if (isWrite) {
              for (let i = 0; i < n; i++) bytes[i] = (put + i) % 251;
              const taken = pipe.write(new BytesIo(bytes));
              if (taken > 0) put += taken;
              else expect(pipe.free < n).toBe(true);
            } else {
              const given = pipe.read(new BytesIo(bytes));
              for (let i = 0; i < given; i++)
                if (bytes[i] !== (got + i) % 251) expect.fail("order");
              if (given > 0) got += given;
              else expect(put).toBe(got);
            }
            expect(pipe.used).toBe(put - got);
          }
        },
      ),
      { numRuns: 50, seed: 3 },
    );
  });
});

describe("pipes of a program", () => {
  let f: FileFixture;
  let t: Task;
  let other: Task;
  let r = -1;
  let w = -1;

  beforeEach(() => {
    f = new FileFixture();
    t = f.user();
    f.sys(t, SYS_pipe2, BUFFER, 0);
    [r, w] = [t.mm.readI32(BUFFER), t.mm.readI32(BUFFER + 4)];
    other = f.process({ fs: t.fs, fds: t.fds, creds: new Credentials({ uid: 0, gid: 0 }) });
    t.fds.incRef();
  });
  const write = (text: string, task = t): number | null =>
    f.sys(task, SYS_write, w, f.poke(task, text), text.length);
  const read = (length: number, task = t): string | number | null => {
    const n = f.sys(task, SYS_read, r, BUFFER, length);
    return n !== null && n >= 0 ? f.peek(task, n) : n;
  };
  const nonBlocking = (fd: number): void => {
    (t.fds.get(fd) as { flags: number }).flags |= O_NONBLOCK;
  };

  it("makes a reader wait for a writer and a writer for room", () => {
    expect(read(10)).toBe(null);
    expect(write("hello", other)).toBe(5);
    expect(f.result(t)).toBe(5);
    expect(f.peek(t, 5)).toBe("hello");

    expect(write("x".repeat(100_000), other)).toBe(null);
    expect(f.sys(t, SYS_read, r, BUFFER, 65_536)).toBe(65_536);
    expect(f.result(other)).toBe(100_000);
    expect(f.sys(t, SYS_read, r, BUFFER, 65_536)).toBe(100_000 - 65_536);
  });

  it("returns what a write had handed over when a signal comes", () => {
    expect(f.sys(t, 13, SIGUSR1, signalAction(f, t), 0, 8)).toBe(0);
    expect(write("x".repeat(100_000))).toBe(null);
    sendKernelSignal(t.threadGroup, SIGUSR1);
    f.run();
    // What was handed over stays in the pipe: the call did not start again.
    expect(read(65_536, other)).toHaveLength(65_536);
    nonBlocking(r);
    expect(read(10, other)).toBe(-EAGAIN);
  });

  it("takes PIPE_BUF bytes and less as a whole or not at all", () => {
    nonBlocking(w);
    expect(write("x".repeat(65_536 - 10))).toBe(65_526);
    expect(write("y".repeat(11))).toBe(-EAGAIN);
    expect(write("y".repeat(5000))).toBe(10);
    expect(t.fds.get(w)?.poll()).toBe(0);
    f.sys(t, SYS_read, r, BUFFER, 4095);
    expect(t.fds.get(w)?.poll()).toBe(0);
    f.sys(t, SYS_read, r, BUFFER, 1);
    expect((t.fds.get(w)?.poll() ?? 0) & POLLOUT).toBe(POLLOUT);
  });

  it("ends with the last writer, and with EPIPE and SIGPIPE without readers", () => {
    write("rest");
    f.sys(t, SYS_close, w);
    expect((t.fds.get(r)?.poll() ?? 0) & (POLLIN | POLLHUP)).toBe(POLLIN | POLLHUP);
    expect(read(10)).toBe("rest");
    expect(read(10)).toBe("");

    f.sys(t, SYS_pipe2, BUFFER, 0);
    [r, w] = [t.mm.readI32(BUFFER), t.mm.readI32(BUFFER + 4)];
    f.sys(t, SYS_close, r);
    expect((t.fds.get(w)?.poll() ?? 0) & POLLERR).toBe(POLLERR);
    expect(f.sys(t, 13, SIGPIPE, ignoreAction(f, t), 0, 8)).toBe(0);
    expect(write("x")).toBe(-EPIPE);
  });

  it("changes its size", () => {
    expect(f.sys(t, SYS_fcntl, w, F_GETPIPE_SZ)).toBe(65_536);
    expect(f.sys(t, SYS_fcntl, w, F_SETPIPE_SZ, 5000)).toBe(8192);
    nonBlocking(w);
    expect(write("x".repeat(10_000))).toBe(8192);
    expect(f.sys(t, SYS_fcntl, w, F_SETPIPE_SZ, 4096)).toBe(-EBUSY);
    expect(f.sys(t, SYS_fcntl, w, F_SETPIPE_SZ, 1 << 20)).toBe(1 << 20);
    expect(f.sys(t, SYS_fcntl, w, F_SETPIPE_SZ, 1 << 22)).toBe(-EPERM);
    expect(read(10_000)).toBe("x".repeat(8192));
  });

  it("opens FIFOs when both ends are there", () => {
    expect(f.sys(t, SYS_mknod, "/fifo", S_IFIFO | 0o666, 0)).toBe(0);
    expect(f.sys(t, SYS_open, "/fifo", O_WRONLY | O_NONBLOCK)).toBe(-ENXIO);
    expect(f.sys(t, SYS_open, "/fifo", O_RDONLY)).toBe(null);
    const writer = f.sys(other, SYS_open, "/fifo", O_WRONLY) ?? -1;
    expect(writer).toBeGreaterThan(0);
    const reader = f.result(t) ?? -1;
    expect(reader).toBeGreaterThan(0);
    expect(f.sys(other, SYS_write, writer, f.poke(other, "via"), 3)).toBe(3);
    expect(f.sys(t, SYS_read, reader, BUFFER, 10)).toBe(3);
    expect(f.sys(other, SYS_close, writer)).toBe(0);
    expect(f.sys(t, SYS_read, reader, BUFFER, 10)).toBe(0);
    // With no writer yet, a non-blocking reader sees neither data nor a hangup.
    f.sys(t, SYS_close, reader);
    const early = f.sys(t, SYS_open, "/fifo", O_RDONLY | O_NONBLOCK) ?? -1;
    expect(t.fds.get(early)?.poll()).toBe(0);
    expect(f.sys(t, SYS_open, "/fifo", O_RDWR)).toBeGreaterThan(0);
  });

  it("splices and tees", () => {
    f.sys(t, SYS_pipe2, BUFFER, 0);
    const [r2, w2] = [t.mm.readI32(BUFFER), t.mm.readI32(BUFFER + 4)];
    write("some bytes");
    expect(f.sys(t, SYS_tee, r, w2, 100, 0)).toBe(10);
    expect(f.sys(t, SYS_read, r2, BUFFER, 100)).toBe(10);
    const fd = f.sys(t, SYS_open, "/out", O_CREAT | O_RDWR, 0o600) ?? -1;
    expect(f.sys(t, SYS_splice, r, 0, fd, 0, 4, 0)).toBe(4);
    expect(f.sys(t, SYS_splice, r, 0, w2, 0, 100, 0)).toBe(6);
    expect(f.sys(t, SYS_read, r2, BUFFER, 100)).toBe(6);
    expect(f.peek(t, 6)).toBe(" bytes");
    expect(f.sys(t, SYS_splice, fd, 0, fd, 0, 4, 0)).toBe(-EINVAL);
    t.mm.writeU64(BUFFER, 1);
    expect(f.sys(t, SYS_sendfile, w, fd, BUFFER, 100)).toBe(3);
    expect(t.mm.readU64(BUFFER)).toBe(4);
    expect(read(10)).toBe("ome");
  });
});

/** struct sigaction at a fixed place of the program's memory: handler, flags, restorer, mask. */
function action(f: FileFixture, t: Task, handler: number): number {
  const at = BUFFER + 0x4_0000;
  f.poke(t, "\0".repeat(32), at);
  t.mm.writeU64(at, handler);
  t.mm.writeU64(at + 8, 0x0400_0000);
  t.mm.writeU64(at + 16, 0x40_1000);
  return at;
}
const signalAction = (f: FileFixture, t: Task): number => action(f, t, 0x40_2000);
const ignoreAction = (f: FileFixture, t: Task): number => action(f, t, 1);
