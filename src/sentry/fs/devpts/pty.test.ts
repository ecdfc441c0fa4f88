import { beforeEach, describe, expect, it } from "vitest";
import { EAGAIN, EIO, ENXIO } from "../../../abi/errno.ts";
import { AT_FDCWD, O_NOCTTY, O_NONBLOCK, O_RDWR } from "../../../abi/fcntl.ts";
import { SIGHUP, SIGINT, SIGTTIN, SIGWINCH } from "../../../abi/signal.ts";
import {
  SYS_close,
  SYS_ioctl,
  SYS_openat,
  SYS_read,
  SYS_write,
} from "../../../abi/syscall-numbers.ts";
import {
  TCGETS,
  TCSETS,
  TERMIOS_CC,
  TIOCGPGRP,
  TIOCGPTN,
  TIOCSCTTY,
  TIOCSPTLCK,
  TIOCSWINSZ,
  VMIN,
  VTIME,
} from "../../../abi/termios.ts";
import { ProcessGroup } from "../../kernel/process-group.ts";
import type { Task } from "../../kernel/task.ts";
import { BUFFER, FileFixture } from "../../testing/file-fixture.ts";
import type { Path } from "../../vfs/path.ts";
import { resolve } from "../../vfs/resolve.ts";
import { DevFileSystem, registerDevices } from "../dev/dev-file-system.ts";
import { DevptsFileSystem } from "./devpts-file-system.ts";

const ICANON = 2;
const ECHO = 8;

class Terminal {
  readonly f = new FileFixture((f) => new DevFileSystem(30, f.clock, f.table));
  readonly devpts = new DevptsFileSystem(31, this.f.clock);
  readonly t: Task;
  readonly master: number;
  readonly slave: number;

  constructor() {
    const { f } = this;
    registerDevices(f.table, this.devpts);
    this.t = f.user();
    const at = resolve(this.t, AT_FDCWD, "/pts", true) as Path;
    f.kernel.mounts.mountAt(at, this.devpts, 0, "devpts");
    this.master = this.open("/ptmx", O_RDWR | O_NONBLOCK);
    f.sys(this.t, SYS_ioctl, this.master, TIOCGPTN, BUFFER);
    expect(f.peek(this.t, 1)).toBe("\0");
    expect(this.open("/pts/0", O_RDWR)).toBe(-EIO);
    f.poke(this.t, "\0\0\0\0");
    f.sys(this.t, SYS_ioctl, this.master, TIOCSPTLCK, BUFFER);
    this.slave = this.open("/pts/0", O_RDWR | O_NONBLOCK | O_NOCTTY);
    expect(this.slave).toBeGreaterThan(this.master);
  }
  open(path: string, flags: number): number {
    return this.f.sys(this.t, SYS_openat, AT_FDCWD, path, flags) as number;
  }
  write(fd: number, text: string): number | null {
    this.f.poke(this.t, text);
    return this.f.sys(this.t, SYS_write, fd, BUFFER, text.length);
  }
  read(fd: number, max = 200): string | number {
    const n = this.f.sys(this.t, SYS_read, fd, BUFFER, max);
    if (n === null) throw new Error("the read sleeps");
    return n < 0 ? n : this.f.peek(this.t, n);
  }
  type(text: string): void {
    expect(this.write(this.master, text)).toBe(text.length);
  }
  settings(change: (t: Uint8Array) => void): void {
    const { f, t } = this;
    f.sys(t, SYS_ioctl, this.slave, TCGETS, BUFFER);
    const bytes = Uint8Array.from(f.peek(t, 36), (c) => c.charCodeAt(0));
    change(bytes);
    f.poke(t, String.fromCharCode(...bytes));
    expect(f.sys(t, SYS_ioctl, this.slave, TCSETS, BUFFER)).toBe(0);
  }
  raw(min: number, time: number): void {
    this.settings((b) => {
      b[12] &= ~(ICANON | ECHO);
      b[TERMIOS_CC + VMIN] = min;
      b[TERMIOS_CC + VTIME] = time;
    });
  }
}

let term: Terminal;
beforeEach(() => {
  term = new Terminal();
});

describe("canonical mode", () => {
  it("gives whole lines only, and echoes what is typed", () => {
    term.type("hel");
    expect(term.read(term.slave)).toBe(-EAGAIN);
    term.type("lo\rnext\r");
    expect(term.read(term.slave)).toBe("hello\n");
    expect(term.read(term.slave, 2)).toBe("ne");
    expect(term.read(term.slave)).toBe("xt\n");
    expect(term.read(term.master)).toBe("hello\r\nnext\r\n");
  });

  it("erases characters, words and the line, on the screen too", () => {
    term.type("ab\x7fc one two\x17\r");
    expect(term.read(term.slave)).toBe("ac one \n");
    expect(term.read(term.master)).toBe("ab\b \bc one two\b \b\b \b\b \b\r\n");
    term.type("wrong\x15right\r");
    expect(term.read(term.slave)).toBe("right\n");
  });

  it("ends the file at ^D, and ends a line without a newline", () => {
    term.type("part\x04");
    expect(term.read(term.slave)).toBe("part");
    term.type("\x04");
    expect(term.read(term.slave)).toBe("");
    expect(term.read(term.slave)).toBe(-EAGAIN);
  });

  it("takes the next character as it is after ^V", () => {
    term.type("\x16\x03x\r");
    expect(term.read(term.slave)).toBe("\x03x\n");
  });

  it("turns a newline of the program into CR LF", () => {
    term.write(term.slave, "a\nb\n");
    expect(term.read(term.master)).toBe("a\r\nb\r\n");
  });
});

describe("raw mode", () => {
  it("waits for VMIN bytes", () => {
    term.raw(3, 0);
    term.type("ab");
    expect(term.read(term.slave)).toBe(-EAGAIN);
    term.type("c");
    expect(term.read(term.slave)).toBe("abc");
    expect(term.read(term.master)).toBe(-EAGAIN);
  });

  it("returns at once with VMIN 0, and after VTIME when nothing comes", () => {
    term.raw(0, 0);
    expect(term.read(term.slave)).toBe("");
    term.raw(0, 2);
    const blocking = term.open("/pts/0", O_RDWR);
    expect(term.f.sys(term.t, SYS_read, blocking, BUFFER, 10)).toBe(null);
    term.f.advance(250_000_000);
    expect(term.f.result(term.t)).toBe(0);
  });

  it("makes what was being edited readable when lines are switched off", () => {
    term.type("half");
    term.raw(1, 0);
    expect(term.read(term.slave)).toBe("half");
  });
});

describe("a controlling terminal", () => {
  /** A session whose leader has the terminal. */
  function session(): Task {
    const { f, t } = term;
    const leader = t;
    expect(f.sys(leader, SYS_ioctl, term.slave, TIOCSCTTY, 0)).toBe(0);
    return leader;
  }

  it("sends ^C to the foreground group and drops the line", () => {
    const leader = session();
    leader.signalMask.add(SIGINT);
    term.type("junk\x03");
    expect(leader.threadGroup.pending.set.has(SIGINT)).toBe(true);
    term.type("\r");
    expect(term.read(term.slave)).toBe("\n");
    expect(term.read(term.master)).toBe("^C\r\n");
  });

  it("is opened as /dev/tty by its session only", () => {
    expect(term.open("/tty", O_RDWR)).toBe(-ENXIO);
    session();
    const fd = term.open("/tty", O_RDWR);
    expect(fd).toBeGreaterThan(0);
    term.f.sys(term.t, SYS_ioctl, fd, TIOCGPGRP, BUFFER);
    expect(term.f.peek(term.t, 1).charCodeAt(0)).toBe(term.t.threadGroup.pgid);
  });

  it("is not taken by an open with O_NOCTTY, and is by one without", () => {
    const { session: own } = term.t.threadGroup.processGroup as ProcessGroup;
    term.open("/pts/0", O_RDWR | O_NOCTTY);
    expect(own.tty).toBe(null);
    term.open("/pts/0", O_RDWR);
    expect(own.tty).toBe(term.devpts.ptys.get(0));
  });

  it("stops a background reader with SIGTTIN", () => {
    const leader = session();
    const { f } = term;
    const child = f.user();
    const group = new ProcessGroup(child.tid, leader.threadGroup.processGroup!.session);
    child.threadGroup.processGroup = group;
    child.threadGroup.parent = leader.threadGroup;
    group.members.add(child.threadGroup);
    const fd = f.sys(child, SYS_openat, AT_FDCWD, "/pts/0", O_RDWR) as number;
    child.signalMask.add(SIGINT);
    expect(f.sys(child, SYS_read, fd, BUFFER, 10)).toBe(null);
    expect(child.isStopped || child.threadGroup.pending.set.has(SIGTTIN)).toBe(true);
  });

  it("tells the foreground of a new window size", () => {
    const leader = session();
    leader.signalMask.add(SIGWINCH);
    // Nobody is told of a signal that would be ignored: a handler makes it count.
    leader.threadGroup.actions.set(SIGWINCH, {
      handler: 0x1000,
      flags: 0,
      restorer: 0,
      maskLow: 0,
      maskHigh: 0,
    });
    term.f.poke(term.t, "\x18\0\x50\0\0\0\0\0");
    expect(term.f.sys(term.t, SYS_ioctl, term.master, TIOCSWINSZ, BUFFER)).toBe(0);
    expect(leader.threadGroup.pending.set.has(SIGWINCH)).toBe(true);
  });

  it("hangs up when the master closes: end of file, EIO, SIGHUP", () => {
    const leader = session();
    leader.signalMask.add(SIGHUP);
    expect(term.f.sys(term.t, SYS_close, term.master)).toBe(0);
    expect(leader.threadGroup.pending.set.has(SIGHUP)).toBe(true);
    expect(term.read(term.slave)).toBe("");
    expect(term.write(term.slave, "x")).toBe(-EIO);
    term.f.sys(term.t, SYS_close, term.slave);
    expect(term.devpts.ptys.size).toBe(0);
  });
});

describe("the master", () => {
  it("reads EIO once every slave is closed and all output is read", () => {
    term.write(term.slave, "bye");
    term.f.sys(term.t, SYS_close, term.slave);
    expect(term.read(term.master)).toBe("bye");
    expect(term.read(term.master)).toBe(-EIO);
  });
});
