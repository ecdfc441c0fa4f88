import { describe, expect, it } from "vitest";
import { EAGAIN, ECONNREFUSED, ENOMSG } from "../../../abi/errno.ts";
import { POLLERR } from "../../../abi/poll.ts";
import {
  SYS_accept4,
  SYS_bind,
  SYS_close,
  SYS_connect,
  SYS_getsockopt,
  SYS_listen,
  SYS_read,
  SYS_recvmsg,
  SYS_sendto,
  SYS_setsockopt,
  SYS_socket,
} from "../../../abi/syscall-numbers.ts";
import { setU32Le, setU64Le, u16, u32Le, u64Le } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import {
  ADDR,
  BUFFER,
  LENGTH,
  LOCALHOST,
  OTHER,
  peek,
  peekU32,
  poke,
  pokeInet,
  pokeText,
  SocketFixture,
} from "../../testing/socket-fixture.ts";

const ERRQUEUE = 0x2000;
const ZEROCOPY = 0x400_0000;
const NAME = OTHER + 512;
const CONTROL = OTHER + 1024;
const HEADER = OTHER + 2048;
const IOV = OTHER + 2304;
const DATA = OTHER + 2560;

interface Received {
  n: number;
  flags: number;
  nameLength: number;
  port: number;
  control: { level: number; type: number; data: Uint8Array }[];
}

function recvmsg(k: SocketFixture, t: Task, fd: number, flags: number): Received {
  const header = new Uint8Array(56);
  setU64Le(header, 0, NAME);
  setU32Le(header, 8, 64);
  setU64Le(header, 16, IOV);
  setU64Le(header, 24, 1);
  setU64Le(header, 32, CONTROL);
  setU64Le(header, 40, 512);
  poke(t, HEADER, header);
  const iov = new Uint8Array(16);
  setU64Le(iov, 0, DATA);
  setU64Le(iov, 8, 1000);
  poke(t, IOV, iov);
  const n = k.call(t, SYS_recvmsg, fd, HEADER, flags) as number;
  const h = peek(t, HEADER, 56);
  const bytes = peek(t, CONTROL, u64Le(h, 40));
  const control: Received["control"] = [];
  for (let at = 0; n >= 0 && at < bytes.length; ) {
    const length = u64Le(bytes, at);
    const data = bytes.slice(at + 16, at + length);
    control.push({ level: u32Le(bytes, at + 8), type: u32Le(bytes, at + 12), data });
    at += (length + 7) & ~7;
  }
  const name = peek(t, NAME, 16);
  return { n, flags: u32Le(h, 48), nameLength: u32Le(h, 8), port: u16(name, 2), control };
}

function set(k: SocketFixture, t: Task, fd: number, level: number, name: number, v: number): void {
  const b = new Uint8Array(4);
  setU32Le(b, 0, v);
  poke(t, BUFFER, b);
  expect(k.call(t, SYS_setsockopt, fd, level, name, BUFFER, 4)).toBe(0);
}
function pendingError(k: SocketFixture, t: Task, fd: number): number {
  poke(t, LENGTH, Uint8Array.of(4, 0, 0, 0));
  expect(k.call(t, SYS_getsockopt, fd, 1, 4, BUFFER, LENGTH)).toBe(0);
  return peekU32(t, BUFFER);
}
function start(type = 2): { k: SocketFixture; t: Task; fd: number } {
  const k = new SocketFixture();
  const t = k.process();
  return { k, t, fd: k.call(t, SYS_socket, 2, type, 0) as number };
}

describe("MSG_ERRQUEUE", () => {
  it("says who refused a datagram, quotes it and names where it was to go", () => {
    const { k, t, fd } = start();
    set(k, t, fd, 0, 11, 1);
    pokeText(t, BUFFER, "probe");
    expect(k.call(t, SYS_sendto, fd, BUFFER, 5, 0, ADDR, pokeInet(t, LOCALHOST, 33434))).toBe(5);
    expect(t.fds.get(fd)?.poll()).toBeGreaterThan(0);
    expect((t.fds.get(fd)?.poll() ?? 0) & POLLERR).toBe(POLLERR);
    const r = recvmsg(k, t, fd, ERRQUEUE);
    expect([r.n, r.flags & ERRQUEUE, r.nameLength, r.port]).toEqual([5, ERRQUEUE, 16, 33434]);
    expect(String.fromCharCode(...peek(t, DATA, 5))).toBe("probe");
    expect(r.control).toHaveLength(1);
    const { level, type, data } = r.control[0];
    expect([level, type, data.length]).toEqual([0, 11, 32]);
    // errno, origin ICMP, type 3, code 3; the offender is 127.0.0.1.
    expect(u32Le(data, 0)).toBe(ECONNREFUSED);
    expect([...data.subarray(4, 7)]).toEqual([2, 3, 3]);
    expect([...data.subarray(16, 24)]).toEqual([2, 0, 0, 0, 127, 0, 0, 1]);
    // Reading it took the pending error along.
    expect(pendingError(k, t, fd)).toBe(0);
    expect(recvmsg(k, t, fd, ERRQUEUE).n).toBe(-EAGAIN);
  });

  it("gives transmit timestamps with keys, without the packet when asked", () => {
    const { k, t, fd } = start();
    // TX_SOFTWARE | SOFTWARE | OPT_ID | OPT_TSONLY
    set(k, t, fd, 1, 37, 2 | 16 | 128 | 2048);
    for (let i = 0; i < 2; i++) {
      k.call(t, SYS_sendto, fd, BUFFER, 5, 0, ADDR, pokeInet(t, LOCALHOST, 33434));
    }
    for (let key = 0; key < 2; key++) {
      const r = recvmsg(k, t, fd, ERRQUEUE);
      expect(r.n).toBe(0);
      expect(r.control.map((c) => [c.level, c.type])).toEqual([
        [1, 37],
        [0, 11],
      ]);
      expect(u64Le(r.control[0].data, 0)).toBeGreaterThan(0);
      const ee = r.control[1].data;
      expect([u32Le(ee, 0), ee[4], u32Le(ee, 8), u32Le(ee, 12)]).toEqual([ENOMSG, 4, 0, key]);
    }
  });

  it("gives zero-copy buffers of a stream back when they are acknowledged", () => {
    const { k, t, fd } = start(1 | 0x800);
    const listener = k.call(t, SYS_socket, 2, 1, 0) as number;
    k.call(t, SYS_bind, listener, ADDR, pokeInet(t, LOCALHOST, 8080));
    k.call(t, SYS_listen, listener, 1);
    k.call(t, SYS_connect, fd, ADDR, pokeInet(t, LOCALHOST, 8080));
    expect(k.call(t, SYS_connect, fd, ADDR, pokeInet(t, LOCALHOST, 8080))).toBe(0);
    const server = k.call(t, SYS_accept4, listener, 0, 0, 0) as number;
    set(k, t, fd, 1, 60, 1);
    for (let i = 0; i < 3; i++) {
      expect(k.call(t, SYS_sendto, fd, BUFFER, 1000, ZEROCOPY, 0, 0)).toBe(1000);
      expect(k.call(t, SYS_read, server, BUFFER, 1000)).toBe(1000);
    }
    // The last acknowledgement may be delayed; the end of the connection is one too.
    k.call(t, SYS_close, server);
    const ee = recvmsg(k, t, fd, ERRQUEUE).control[0].data;
    expect([u32Le(ee, 0), ee[4], ee[6], u32Le(ee, 8), u32Le(ee, 12)]).toEqual([0, 5, 1, 0, 2]);
  });
});
