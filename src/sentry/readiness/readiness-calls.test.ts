// poll, select, timerfd, signalfd and epoll_wait as programs call them.

import { describe, expect, it } from "vitest";
import { EAGAIN, EBADF, EINVAL } from "../../abi/errno.ts";
import { POLLHUP, POLLIN, POLLNVAL, POLLOUT } from "../../abi/poll.ts";
import {
  SYS_close,
  SYS_epoll_create1,
  SYS_epoll_ctl,
  SYS_epoll_pwait,
  SYS_epoll_wait,
  SYS_eventfd2,
  SYS_kill,
  SYS_poll,
  SYS_ppoll,
  SYS_read,
  SYS_rt_sigprocmask,
  SYS_select,
  SYS_signalfd4,
  SYS_socketpair,
  SYS_timerfd_create,
  SYS_timerfd_gettime,
  SYS_timerfd_settime,
  SYS_write,
} from "../../abi/syscall-numbers.ts";
import { setU16Le, setU32Le, setU64Le, u16Le, u64Le } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import type { Task } from "../kernel/task.ts";
import {
  ADDR,
  BUFFER,
  OTHER,
  peek,
  peekU32,
  poke,
  SocketFixture,
} from "../testing/socket-fixture.ts";

function start(): { k: SocketFixture; t: Task } {
  const k = new SocketFixture();
  return { k, t: k.process() };
}
function streamPair(k: SocketFixture, t: Task): [number, number] {
  k.call(t, SYS_socketpair, 1, 1, 0, ADDR);
  return [peekU32(t, ADDR), peekU32(t, ADDR + 4)];
}
/** struct pollfd array at BUFFER. */
function pokeFds(t: Task, fds: [number, number][]): void {
  const b = new Uint8Array(8 * fds.length).fill(0xee);
  fds.forEach(([fd, events], i) => {
    setU32Le(b, 8 * i, fd);
    setU16Le(b, 8 * i + 4, events);
  });
  poke(t, BUFFER, b);
}
const revents = (t: Task, i: number): number => u16Le(peek(t, BUFFER + 8 * i + 6, 2), 0);
const timespec = (seconds: number, nanos = 0): Uint8Array => {
  const b = new Uint8Array(16);
  setU64Le(b, 0, seconds);
  setU64Le(b, 8, nanos);
  return b;
};

describe("poll", () => {
  it("counts ready entries, ignores negative ones, and marks what is not open", () => {
    const { k, t } = start();
    const [a, b] = streamPair(k, t);
    k.call(t, SYS_write, a, BUFFER, 1);
    pokeFds(t, [
      [b, POLLIN],
      [a, POLLIN],
      [-1, POLLIN],
      [99, POLLIN],
      [a, POLLIN | POLLOUT],
    ]);
    expect(k.call(t, SYS_poll, BUFFER, 5, -1)).toBe(3);
    expect([0, 1, 2, 3, 4].map((i) => revents(t, i))).toEqual([POLLIN, 0, 0, POLLNVAL, POLLOUT]);
    k.call(t, SYS_close, a);
    pokeFds(t, [[b, 0]]);
    expect(k.call(t, SYS_poll, BUFFER, 1, 0)).toBe(1);
    expect(revents(t, 0)).toBe(POLLHUP);
  });

  it("sleeps until something happens, or the time is over", () => {
    const { k, t } = start();
    const [a, b] = streamPair(k, t);
    const other = k.process({ fds: t.fds });
    pokeFds(t, [[b, POLLIN]]);
    expect(k.call(t, SYS_poll, BUFFER, 1, -1)).toBeNull();
    k.call(other, SYS_write, a, BUFFER, 1);
    expect(k.result(t)).toBe(1);
    expect(revents(t, 0)).toBe(POLLIN);
    pokeFds(t, [[a, POLLIN]]);
    expect(k.call(t, SYS_poll, BUFFER, 1, 20)).toBeNull();
    k.advance(19 * MS);
    expect(k.result(t)).toBeNull();
    k.advance(2 * MS);
    expect(k.result(t)).toBe(0);
    expect(revents(t, 0)).toBe(0);
  });

  it("leaves the time not used in ppoll's timeout", () => {
    const { k, t } = start();
    const [a, b] = streamPair(k, t);
    const other = k.process({ fds: t.fds });
    pokeFds(t, [[b, POLLIN]]);
    poke(t, OTHER, timespec(10));
    expect(k.call(t, SYS_ppoll, BUFFER, 1, OTHER, 0, 8)).toBeNull();
    k.advance(4 * SECOND);
    k.call(other, SYS_write, a, BUFFER, 1);
    expect(k.result(t)).toBe(1);
    expect(u64Le(peek(t, OTHER, 8), 0)).toBe(6);
    poke(t, OTHER, timespec(-1));
    expect(k.call(t, SYS_ppoll, BUFFER, 1, OTHER, 0, 8)).toBe(-EINVAL);
  });
});

describe("select", () => {
  it("reports each set by its own bits and counts every bit", () => {
    const { k, t } = start();
    const [a, b] = streamPair(k, t);
    k.call(t, SYS_write, a, BUFFER, 1);
    const set = new Uint8Array(128);
    set[0] = (1 << a) | (1 << b);
    poke(t, BUFFER, set);
    poke(t, BUFFER + 128, set);
    poke(t, BUFFER + 256, set);
    expect(k.call(t, SYS_select, b + 1, BUFFER, BUFFER + 128, BUFFER + 256, 0)).toBe(3);
    expect(peek(t, BUFFER, 1)[0]).toBe(1 << b);
    expect(peek(t, BUFFER + 128, 1)[0]).toBe((1 << a) | (1 << b));
    expect(peek(t, BUFFER + 256, 1)[0]).toBe(0);
    set[0] = 1 << (60 % 8);
    set[7] = 1 << 4;
    poke(t, BUFFER, set);
    expect(k.call(t, SYS_select, 64, BUFFER, 0, 0, 0)).toBe(-EBADF);
    expect(k.call(t, SYS_select, -1, 0, 0, 0, 0)).toBe(-EINVAL);
  });

  it("is a sleep when there is nothing to watch", () => {
    const { k, t } = start();
    poke(t, OTHER, timespec(0, 250_000));
    expect(k.call(t, SYS_select, 0, 0, 0, 0, OTHER)).toBeNull();
    k.advance(250 * MS);
    expect(k.result(t)).toBe(0);
    expect(peek(t, OTHER, 16)).toEqual(new Uint8Array(16));
  });
});

describe("timerfd", () => {
  function arm(
    k: SocketFixture,
    t: Task,
    fd: number,
    value: Uint8Array,
    interval: Uint8Array,
    flags = 0,
  ) {
    poke(t, OTHER, interval);
    poke(t, OTHER + 16, value);
    return k.call(t, SYS_timerfd_settime, fd, flags, OTHER, 0);
  }
  const ticks = (k: SocketFixture, t: Task, fd: number): number => {
    const n = k.call(t, SYS_read, fd, BUFFER, 8) as number;
    return n === 8 ? u64Le(peek(t, BUFFER, 8), 0) : n;
  };

  it("counts the periods between reads", () => {
    const { k, t } = start();
    const fd = k.call(t, SYS_timerfd_create, 1, 0x800) as number;
    expect(arm(k, t, fd, timespec(1), timespec(0, 100 * MS))).toBe(0);
    expect(ticks(k, t, fd)).toBe(-EAGAIN);
    k.advance(SECOND);
    expect(ticks(k, t, fd)).toBe(1);
    k.advance(350 * MS);
    expect(ticks(k, t, fd)).toBe(3);
    expect(k.call(t, SYS_timerfd_gettime, fd, OTHER)).toBe(0);
    expect(u64Le(peek(t, OTHER + 24, 8), 0)).toBe(50 * MS);
    expect(arm(k, t, fd, timespec(0), timespec(0))).toBe(0);
    k.advance(SECOND);
    expect(ticks(k, t, fd)).toBe(-EAGAIN);
  });

  it("fires at an absolute time of the real-time clock, and wakes its reader", () => {
    const { k, t } = start();
    const fd = k.call(t, SYS_timerfd_create, 0, 0) as number;
    const at = Math.floor(k.clock.realtimeNs() / SECOND) + 5;
    arm(k, t, fd, timespec(at), timespec(0), 1);
    expect(k.call(t, SYS_read, fd, BUFFER, 8)).toBeNull();
    k.advance(6 * SECOND);
    expect(k.result(t)).toBe(8);
    expect(arm(k, t, fd, timespec(0, SECOND), timespec(0))).toBe(-EINVAL);
  });
});

describe("epoll_wait", () => {
  it("wakes for a file, times out, and is interrupted by what its mask lets in", () => {
    const { k, t } = start();
    const ep = k.call(t, SYS_epoll_create1, 0) as number;
    const ev = k.call(t, SYS_eventfd2, 0, 0) as number;
    const event = new Uint8Array(12);
    setU32Le(event, 0, POLLIN);
    setU32Le(event, 4, 1234);
    poke(t, OTHER, event);
    expect(k.call(t, SYS_epoll_ctl, ep, 1, ev, OTHER)).toBe(0);
    expect(k.call(t, SYS_epoll_wait, ep, BUFFER, 8, 10)).toBeNull();
    k.advance(11 * MS);
    expect(k.result(t)).toBe(0);
    expect(k.call(t, SYS_epoll_wait, ep, BUFFER, 8, -1)).toBeNull();
    const other = k.process({ fds: t.fds });
    const one = new Uint8Array(8);
    one[0] = 1;
    poke(other, BUFFER, one);
    expect(k.call(other, SYS_write, ev, BUFFER, 8)).toBe(8);
    expect(k.result(t)).toBe(1);
    expect(peekU32(t, BUFFER + 4)).toBe(1234);
    expect(k.call(t, SYS_epoll_wait, ep, BUFFER, 0, 0)).toBe(-EINVAL);
    expect(k.call(t, SYS_epoll_wait, ev, BUFFER, 1, 0)).toBe(-EINVAL);
  });

  it("gives epoll_pwait's mask back", () => {
    const { k, t } = start();
    const ep = k.call(t, SYS_epoll_create1, 0) as number;
    poke(t, OTHER, new Uint8Array(8).fill(0xff));
    expect(k.call(t, SYS_epoll_pwait, ep, BUFFER, 1, 0, OTHER, 8)).toBe(0);
    expect(t.signalMask.isEmpty).toBe(true);
    expect(k.call(t, SYS_epoll_pwait, ep, BUFFER, 1, 0, OTHER, 4)).toBe(-EINVAL);
  });
});

describe("signalfd", () => {
  it("takes blocked signals as records", () => {
    const { k, t } = start();
    const mask = new Uint8Array(8);
    mask[1] = 1 << 1;
    poke(t, OTHER, mask);
    expect(k.call(t, SYS_rt_sigprocmask, 0, OTHER, 0, 8)).toBe(0);
    const fd = k.call(t, SYS_signalfd4, -1, OTHER, 8, 0x800) as number;
    expect(k.call(t, SYS_read, fd, BUFFER, 128)).toBe(-EAGAIN);
    const file = t.fds.get(fd);
    expect(file?.poll()).toBe(0);
    k.call(t, SYS_kill, t.threadGroup.tgid, 10);
    expect((file?.poll() ?? 0) & POLLIN).toBe(POLLIN);
    expect(k.call(t, SYS_read, fd, BUFFER, 300)).toBe(128);
    expect(peekU32(t, BUFFER)).toBe(10);
    expect(peekU32(t, BUFFER + 12)).toBe(t.threadGroup.tgid);
    expect(file?.poll()).toBe(0);
    expect(k.call(t, SYS_read, fd, BUFFER, 100)).toBe(-EINVAL);
  });
});
