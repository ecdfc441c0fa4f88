import { describe, expect, it } from "vitest";
import {
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  ENOTCONN,
  EPIPE,
  EPROTOTYPE,
} from "../../../abi/errno.ts";
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from "../../../abi/poll.ts";
import {
  SYS_accept,
  SYS_bind,
  SYS_close,
  SYS_connect,
  SYS_getpeername,
  SYS_getsockname,
  SYS_getsockopt,
  SYS_listen,
  SYS_read,
  SYS_recvfrom,
  SYS_recvmsg,
  SYS_sendmsg,
  SYS_sendto,
  SYS_setsockopt,
  SYS_shutdown,
  SYS_socket,
  SYS_socketpair,
  SYS_write,
} from "../../../abi/syscall-numbers.ts";
import { setU32Le, setU64Le, u32Le } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import {
  ADDR,
  BUFFER,
  LENGTH,
  OTHER,
  peek,
  peekText,
  peekU32,
  poke,
  pokeText,
  pokeUnix,
  SocketFixture,
} from "../../testing/socket-fixture.ts";
import { socketTableOf } from "../socket-table.ts";

const STREAM = 1;
const DGRAM = 2;
const SEQPACKET = 5;
const NONBLOCK = 0x800;
const NOSIGNAL = 0x4000;
const CONTROL = OTHER + 0x1000;

function start(): { k: SocketFixture; t: Task } {
  const k = new SocketFixture();
  return { k, t: k.process() };
}
function pair(k: SocketFixture, t: Task, type: number): [number, number] {
  expect(k.call(t, SYS_socketpair, 1, type, 0, ADDR)).toBe(0);
  return [peekU32(t, ADDR), peekU32(t, ADDR + 4)];
}
const fileOf = (t: Task, fd: number) => {
  const file = t.fds.get(fd);
  if (file === undefined) throw new Error(`no descriptor ${fd}`);
  return file;
};
/** A struct msghdr at OTHER over `length` bytes of BUFFER. */
function header(t: Task, length: number, controlLength: number): void {
  const b = new Uint8Array(56);
  setU64Le(b, 16, OTHER + 0x100);
  setU64Le(b, 24, 1);
  setU64Le(b, 32, controlLength > 0 ? CONTROL : 0);
  setU64Le(b, 40, controlLength);
  poke(t, OTHER, b);
  const iov = new Uint8Array(16);
  setU64Le(iov, 0, BUFFER);
  setU64Le(iov, 8, length);
  poke(t, OTHER + 0x100, iov);
}
function sendRights(
  k: SocketFixture,
  t: Task,
  fd: number,
  text: string,
  fds: number[],
): number | null {
  pokeText(t, BUFFER, text);
  const c = new Uint8Array(16 + 4 * fds.length);
  setU64Le(c, 0, c.length);
  setU32Le(c, 8, 1);
  setU32Le(c, 12, 1);
  fds.forEach((n, i) => {
    setU32Le(c, 16 + 4 * i, n);
  });
  poke(t, CONTROL, c);
  header(t, text.length, c.length);
  return k.call(t, SYS_sendmsg, fd, OTHER, 0);
}
/** recvmsg: the text and the descriptors that came. */
function receive(k: SocketFixture, t: Task, fd: number, room = 100, control = 64) {
  header(t, room, control);
  const n = k.call(t, SYS_recvmsg, fd, OTHER, 0) ?? -999;
  const length = peekU32(t, OTHER + 40);
  const bytes = peek(t, CONTROL, length);
  const fds: number[] = [];
  if (length > 16) for (let at = 16; at < u32Le(bytes, 0); at += 4) fds.push(u32Le(bytes, at));
  return { n, text: n > 0 ? peekText(t, BUFFER, n) : "", fds, flags: peekU32(t, OTHER + 48) };
}

describe("unix stream sockets", () => {
  it("carry bytes without boundaries, and wake a sleeping reader", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, STREAM);
    pokeText(t, BUFFER, "hello");
    expect(k.call(t, SYS_write, a, BUFFER, 3)).toBe(3);
    expect(k.call(t, SYS_write, a, BUFFER + 3, 2)).toBe(2);
    expect(k.call(t, SYS_read, b, BUFFER + 100, 50)).toBe(5);
    expect(peekText(t, BUFFER + 100, 5)).toBe("hello");
    const reader = k.process({ fds: t.fds });
    expect(k.call(reader, SYS_read, b, BUFFER, 10)).toBeNull();
    k.call(t, SYS_write, a, BUFFER, 5);
    expect(k.result(reader)).toBe(5);
  });

  it("take what fits when not blocking, and the rest of a blocking write as the reader drains", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, STREAM);
    const writer = k.process({ fds: t.fds });
    expect(k.call(writer, SYS_sendto, a, BUFFER, 400_000, 0, 0, 0)).toBeNull();
    let got = 0;
    while (got < 400_000) {
      const n = k.call(t, SYS_recvfrom, b, BUFFER, 100_000, 0, 0, 0) ?? 0;
      expect(n).toBeGreaterThan(0);
      got += n;
    }
    expect(k.result(writer)).toBe(400_000);
    expect(k.call(t, SYS_sendto, a, BUFFER, 400_000, 0x40, 0, 0)).toBe(212_992);
    expect(k.call(t, SYS_sendto, a, BUFFER, 1, 0x40, 0, 0)).toBe(-EAGAIN);
    expect(fileOf(t, a).poll() & POLLOUT).toBe(0);
  });

  it("end with EOF after the data, EPIPE for the writer, and HUP", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, STREAM);
    k.call(t, SYS_write, a, BUFFER, 4);
    k.call(t, SYS_close, a);
    expect(fileOf(t, b).poll() & (POLLIN | POLLHUP | POLLRDHUP)).toBe(POLLIN | POLLHUP | POLLRDHUP);
    expect(k.call(t, SYS_sendto, b, BUFFER, 1, NOSIGNAL, 0, 0)).toBe(-EPIPE);
    expect(k.call(t, SYS_read, b, BUFFER, 10)).toBe(4);
    expect(k.call(t, SYS_read, b, BUFFER, 10)).toBe(0);
  });

  it("reset the peer when they close with unread data", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, STREAM);
    k.call(t, SYS_write, a, BUFFER, 4);
    k.call(t, SYS_close, b);
    expect(k.call(t, SYS_read, a, BUFFER, 10)).toBe(-ECONNRESET);
    expect(k.call(t, SYS_read, a, BUFFER, 10)).toBe(0);
  });

  it("half-close", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, STREAM);
    expect(k.call(t, SYS_shutdown, a, 1)).toBe(0);
    expect(k.call(t, SYS_read, b, BUFFER, 10)).toBe(0);
    expect(k.call(t, SYS_write, b, BUFFER, 2)).toBe(2);
    expect(k.call(t, SYS_read, a, BUFFER, 10)).toBe(2);
    expect(fileOf(t, b).poll() & POLLHUP).toBe(0);
  });

  it("connect by abstract name, with credentials and names", () => {
    const { k, t } = start();
    const listener = k.call(t, SYS_socket, 1, STREAM, 0) as number;
    const n = pokeUnix(t, "@name");
    expect(k.call(t, SYS_bind, listener, ADDR, n)).toBe(0);
    expect(k.call(t, SYS_bind, listener, ADDR, n)).toBe(-EINVAL);
    const client = k.call(t, SYS_socket, 1, STREAM, 0) as number;
    expect(fileOf(t, client).poll() & (POLLOUT | POLLHUP)).toBe(POLLOUT | POLLHUP);
    expect(k.call(t, SYS_connect, client, ADDR, n)).toBe(-ECONNREFUSED);
    expect(k.call(t, SYS_listen, listener, 1)).toBe(0);
    expect(k.call(t, SYS_connect, client, ADDR, n)).toBe(0);
    expect(k.call(t, SYS_connect, client, ADDR, n)).toBe(-EISCONN);
    const other = k.call(t, SYS_socket, 1, STREAM, 0) as number;
    expect(k.call(t, SYS_bind, other, ADDR, n)).toBe(-EADDRINUSE);
    const served = k.call(t, SYS_accept, listener, 0, 0) as number;
    poke(t, LENGTH, Uint8Array.of(110, 0, 0, 0));
    expect(k.call(t, SYS_getpeername, client, ADDR, LENGTH)).toBe(0);
    expect(peekU32(t, LENGTH)).toBe(n);
    expect(peekText(t, ADDR + 2, 5)).toBe("\0name");
    poke(t, LENGTH, Uint8Array.of(110, 0, 0, 0));
    k.call(t, SYS_getpeername, served, ADDR, LENGTH);
    expect(peekU32(t, LENGTH)).toBe(2);
    poke(t, LENGTH, Uint8Array.of(12, 0, 0, 0));
    expect(k.call(t, SYS_getsockopt, served, 1, 17, BUFFER, LENGTH)).toBe(0);
    expect(peekU32(t, BUFFER)).toBe(t.threadGroup.tgid);
    k.call(t, SYS_write, served, BUFFER, 1);
    expect(k.call(t, SYS_read, client, BUFFER, 1)).toBe(1);
  });

  it("make a connect wait for the backlog", () => {
    const { k, t } = start();
    const listener = k.call(t, SYS_socket, 1, STREAM, 0) as number;
    const n = pokeUnix(t, "@full");
    k.call(t, SYS_bind, listener, ADDR, n);
    k.call(t, SYS_listen, listener, 0);
    const first = k.call(t, SYS_socket, 1, STREAM, 0) as number;
    expect(k.call(t, SYS_connect, first, ADDR, n)).toBe(0);
    const eager = k.call(t, SYS_socket, 1, STREAM | NONBLOCK, 0) as number;
    expect(k.call(t, SYS_connect, eager, ADDR, n)).toBe(-EAGAIN);
    const patient = k.process({ fds: t.fds });
    const second = k.call(t, SYS_socket, 1, STREAM, 0) as number;
    pokeUnix(patient, "@full");
    expect(k.call(patient, SYS_connect, second, ADDR, n)).toBeNull();
    expect(k.call(t, SYS_accept, listener, 0, 0)).toBeGreaterThan(0);
    expect(k.result(patient)).toBe(0);
  });

  it("refuse another type, and sending before connecting", () => {
    const { k, t } = start();
    const listener = k.call(t, SYS_socket, 1, SEQPACKET, 0) as number;
    const n = pokeUnix(t, "@seq");
    k.call(t, SYS_bind, listener, ADDR, n);
    k.call(t, SYS_listen, listener, 5);
    const s = k.call(t, SYS_socket, 1, STREAM, 0) as number;
    expect(k.call(t, SYS_connect, s, ADDR, n)).toBe(-EPROTOTYPE);
    expect(k.call(t, SYS_write, s, BUFFER, 1)).toBe(-ENOTCONN);
  });
});

describe("SCM_RIGHTS", () => {
  it("passes a working descriptor, and a receive ends behind its bytes", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, STREAM);
    const [x, y] = pair(k, t, STREAM);
    pokeText(t, BUFFER, "ab");
    k.call(t, SYS_write, a, BUFFER, 2);
    expect(sendRights(k, t, a, "cd", [x])).toBe(2);
    pokeText(t, BUFFER, "ef");
    k.call(t, SYS_write, a, BUFFER, 2);
    k.call(t, SYS_close, x);
    const first = receive(k, t, b);
    expect(first.text).toBe("abcd");
    expect(first.fds).toHaveLength(1);
    expect(receive(k, t, b).text).toBe("ef");
    k.call(t, SYS_write, first.fds[0], BUFFER, 2);
    expect(k.call(t, SYS_read, y, BUFFER, 9)).toBe(2);
    expect(socketTableOf(k.kernel).filesInFlight).toBe(0);
  });

  it("closes what finds no room, and says so", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, STREAM);
    const [x, y] = pair(k, t, STREAM);
    sendRights(k, t, a, "z", [x]);
    k.call(t, SYS_close, x);
    const got = receive(k, t, b, 10, 0);
    expect(got.flags & 8).toBe(8);
    expect(k.call(t, SYS_read, y, BUFFER, 1)).toBe(0);
  });

  it("lets go of descriptors in messages that nobody reads", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, DGRAM);
    const [x, y] = pair(k, t, STREAM);
    sendRights(k, t, a, "z", [x]);
    k.call(t, SYS_close, x);
    expect(fileOf(t, y).poll() & POLLHUP).toBe(0);
    k.call(t, SYS_close, b);
    expect(fileOf(t, y).poll() & POLLHUP).toBe(POLLHUP);
  });

  it("collects sockets that only hold each other", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, STREAM);
    const [x, y] = pair(k, t, STREAM);
    // Each end is sent through the other, together with a witness.
    sendRights(k, t, a, "1", [a, x]);
    sendRights(k, t, b, "2", [b]);
    k.call(t, SYS_close, x);
    k.call(t, SYS_close, a);
    expect(fileOf(t, y).poll() & POLLHUP).toBe(0);
    k.call(t, SYS_close, b);
    expect(fileOf(t, y).poll() & POLLHUP).toBe(POLLHUP);
    expect(socketTableOf(k.kernel).filesInFlight).toBe(0);
    expect(socketTableOf(k.kernel).sockets.size).toBe(1);
    expect(socketTableOf(k.kernel).queuedBytes).toBe(0);
  });

  it("names the sender when asked", () => {
    const { k, t } = start();
    const [a, b] = pair(k, t, STREAM);
    poke(t, ADDR, Uint8Array.of(1, 0, 0, 0));
    expect(k.call(t, SYS_setsockopt, b, 1, 16, ADDR, 4)).toBe(0);
    k.call(t, SYS_write, a, BUFFER, 3);
    receive(k, t, b);
    expect(peekU32(t, CONTROL + 12)).toBe(2);
    expect(peekU32(t, CONTROL + 16)).toBe(t.threadGroup.tgid);
  });
});

describe("unix datagram and seqpacket sockets", () => {
  it("keep boundaries and cut what does not fit", () => {
    const { k, t } = start();
    for (const type of [DGRAM, SEQPACKET]) {
      const [a, b] = pair(k, t, type);
      pokeText(t, BUFFER, "onetwo");
      k.call(t, SYS_write, a, BUFFER, 3);
      k.call(t, SYS_write, a, BUFFER + 3, 3);
      expect(k.call(t, SYS_recvfrom, b, BUFFER, 2, 0x20, 0, 0)).toBe(3);
      expect(k.call(t, SYS_recvfrom, b, BUFFER, 50, 0, 0, 0)).toBe(3);
      expect(peekText(t, BUFFER, 3)).toBe("two");
    }
  });

  it("bound the receiver's queue, and wake the sender that waited", () => {
    const { k, t } = start();
    const receiver = k.call(t, SYS_socket, 1, DGRAM, 0) as number;
    const n = pokeUnix(t, "@inbox");
    k.call(t, SYS_bind, receiver, ADDR, n);
    const sender = k.call(t, SYS_socket, 1, DGRAM, 0) as number;
    k.call(t, SYS_connect, sender, ADDR, n);
    for (let i = 0; i <= 10; i++) expect(k.call(t, SYS_write, sender, BUFFER, 1)).toBe(1);
    expect(fileOf(t, sender).poll() & POLLOUT).toBe(0);
    const other = k.process({ fds: t.fds });
    expect(k.call(other, SYS_write, sender, BUFFER, 1)).toBeNull();
    expect(k.call(t, SYS_read, receiver, BUFFER, 1)).toBe(1);
    expect(k.result(other)).toBe(1);
    k.call(t, SYS_close, receiver);
    expect(k.call(t, SYS_write, sender, BUFFER, 1)).toBe(-ECONNREFUSED);
    expect(k.call(t, SYS_write, sender, BUFFER, 1)).toBe(-ENOTCONN);
  });

  it("bind themselves to a name of five digits", () => {
    const { k, t } = start();
    const s = k.call(t, SYS_socket, 1, DGRAM, 0) as number;
    poke(t, ADDR, Uint8Array.of(1, 0));
    expect(k.call(t, SYS_bind, s, ADDR, 2)).toBe(0);
    poke(t, LENGTH, Uint8Array.of(110, 0, 0, 0));
    k.call(t, SYS_getsockname, s, ADDR, LENGTH);
    expect(peekText(t, ADDR + 2, peekU32(t, LENGTH) - 2)).toMatch(/^\0[0-9a-f]{5}$/);
  });
});
