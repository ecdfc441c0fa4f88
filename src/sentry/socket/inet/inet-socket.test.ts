import { describe, expect, it } from "vitest";
import {
  EADDRINUSE,
  EAFNOSUPPORT,
  EAGAIN,
  EALREADY,
  ECONNREFUSED,
  EDOM,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  EMSGSIZE,
  ENOPROTOOPT,
  ENOTCONN,
  EPERM,
  EPIPE,
  EPROTONOSUPPORT,
} from "../../../abi/errno.ts";
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from "../../../abi/poll.ts";
import {
  SYS_accept4,
  SYS_bind,
  SYS_close,
  SYS_connect,
  SYS_getpeername,
  SYS_getsockname,
  SYS_getsockopt,
  SYS_ioctl,
  SYS_listen,
  SYS_read,
  SYS_recvfrom,
  SYS_recvmsg,
  SYS_sendmsg,
  SYS_sendto,
  SYS_setsockopt,
  SYS_shutdown,
  SYS_socket,
  SYS_write,
} from "../../../abi/syscall-numbers.ts";
import { setU16Le, setU32Le, setU64Le } from "../../../base/bytes.ts";
import { MS, SECOND } from "../../../base/clock.ts";
import type { Task } from "../../kernel/task.ts";
import {
  ADDR,
  BUFFER,
  LENGTH,
  LOCALHOST,
  OTHER,
  peek,
  peekText,
  peekU32,
  poke,
  pokeInet,
  pokeText,
  portAt,
  SocketFixture,
} from "../../testing/socket-fixture.ts";

const INET = 2;
const STREAM = 1;
const DGRAM = 2;
const NONBLOCK = 0x800;
const DONTWAIT = 0x40;

function start(): { k: SocketFixture; t: Task } {
  const k = new SocketFixture();
  return { k, t: k.process() };
}
const open = (k: SocketFixture, t: Task, type: number): number => {
  const fd = k.call(t, SYS_socket, INET, type, 0);
  expect(fd).toBeGreaterThanOrEqual(0);
  return fd as number;
};
const bindTo = (k: SocketFixture, t: Task, fd: number, port: number): number | null =>
  k.call(t, SYS_bind, fd, ADDR, pokeInet(t, LOCALHOST, port));
const connectTo = (k: SocketFixture, t: Task, fd: number, port: number): number | null =>
  k.call(t, SYS_connect, fd, ADDR, pokeInet(t, LOCALHOST, port));
function listenOn(k: SocketFixture, t: Task, port: number, flags = 0): number {
  const fd = open(k, t, STREAM | flags);
  expect(bindTo(k, t, fd, port)).toBe(0);
  expect(k.call(t, SYS_listen, fd, 8)).toBe(0);
  return fd;
}
/** [client, server] over loopback. */
function connected(k: SocketFixture, t: Task): [number, number] {
  const listener = listenOn(k, t, 8080);
  const client = open(k, t, STREAM | NONBLOCK);
  expect(connectTo(k, t, client, 8080)).toBe(-EINPROGRESS);
  const server = k.call(t, SYS_accept4, listener, 0, 0, NONBLOCK);
  expect(server).toBeGreaterThan(0);
  expect(connectTo(k, t, client, 8080)).toBe(0);
  k.call(t, SYS_close, listener);
  return [client, server as number];
}
const pollOf = (t: Task, fd: number): number => t.fds.get(fd)?.poll() ?? -1;
function setInt(k: SocketFixture, t: Task, fd: number, level: number, name: number, v: number) {
  const b = new Uint8Array(4);
  setU32Le(b, 0, v);
  poke(t, BUFFER, b);
  return k.call(t, SYS_setsockopt, fd, level, name, BUFFER, 4);
}
function getInt(k: SocketFixture, t: Task, fd: number, level: number, name: number): number {
  poke(t, LENGTH, Uint8Array.of(4, 0, 0, 0));
  const result = k.call(t, SYS_getsockopt, fd, level, name, BUFFER, LENGTH) as number;
  return result < 0 ? result : peekU32(t, BUFFER);
}

describe("TCP sockets over loopback", () => {
  it("connect, exchange and close", () => {
    const { k, t } = start();
    const [client, server] = connected(k, t);
    pokeText(t, BUFFER, "hello");
    expect(k.call(t, SYS_write, client, BUFFER, 5)).toBe(5);
    expect(k.call(t, SYS_ioctl, server, 0x541b, OTHER)).toBe(0);
    expect(peekU32(t, OTHER)).toBe(5);
    expect(k.call(t, SYS_recvfrom, server, OTHER, 100, 2, 0, 0)).toBe(5);
    expect(k.call(t, SYS_read, server, OTHER, 100)).toBe(5);
    expect(peekText(t, OTHER, 5)).toBe("hello");
    expect(k.call(t, SYS_read, server, OTHER, 100)).toBe(-EAGAIN);
    expect(pollOf(t, server) & (POLLIN | POLLOUT)).toBe(POLLOUT);
    k.call(t, SYS_shutdown, client, 1);
    expect(pollOf(t, server) & (POLLIN | POLLRDHUP | POLLHUP)).toBe(POLLIN | POLLRDHUP);
    expect(k.call(t, SYS_read, server, OTHER, 100)).toBe(0);
    k.call(t, SYS_close, server);
    expect(k.call(t, SYS_read, client, OTHER, 100)).toBe(0);
    expect(k.call(t, SYS_sendto, client, BUFFER, 1, 0x4000, 0, 0)).toBe(-EPIPE);
  });

  it("answer connect by its state: in progress, once 0, then connected", () => {
    const { k, t } = start();
    const listener = listenOn(k, t, 8080);
    const client = open(k, t, STREAM | NONBLOCK);
    expect(pollOf(t, client) & (POLLOUT | POLLHUP)).toBe(POLLOUT | POLLHUP);
    expect(connectTo(k, t, client, 8080)).toBe(-EINPROGRESS);
    expect(pollOf(t, client) & (POLLOUT | POLLHUP)).toBe(POLLOUT);
    expect(getInt(k, t, client, 1, 4)).toBe(0);
    expect(connectTo(k, t, client, 8080)).toBe(0);
    expect(connectTo(k, t, client, 8080)).toBe(-EISCONN);
    expect(k.call(t, SYS_listen, client, 1)).toBe(-EINVAL);
    expect(connectTo(k, t, listener, 8080)).toBe(-EISCONN);
  });

  it("say EALREADY while nobody answers, time out, and may be interrupted", () => {
    const { k, t } = start();
    const client = open(k, t, STREAM | NONBLOCK);
    // A host on the loopback's network that does not exist cannot be had: drop what we send instead.
    k.stack.tcp.onPacket = () => {};
    expect(connectTo(k, t, client, 8080)).toBe(-EINPROGRESS);
    expect(connectTo(k, t, client, 8080)).toBe(-EALREADY);
    const slow = open(k, t, STREAM);
    const time = new Uint8Array(16);
    setU64Le(time, 0, 2);
    poke(t, BUFFER, time);
    expect(k.call(t, SYS_setsockopt, slow, 1, 21, BUFFER, 16)).toBe(0);
    expect(connectTo(k, t, slow, 8080)).toBeNull();
    k.advance(1 * SECOND);
    expect(k.result(t)).toBeNull();
    k.advance(1 * SECOND + MS);
    expect(k.result(t)).toBe(-EINPROGRESS);
  });

  it("are refused where nobody listens, and can try again", () => {
    const { k, t } = start();
    const client = open(k, t, STREAM);
    expect(connectTo(k, t, client, 9)).toBe(-ECONNREFUSED);
    listenOn(k, t, 9);
    expect(connectTo(k, t, client, 9)).toBe(0);
    const eager = open(k, t, STREAM | NONBLOCK);
    expect(connectTo(k, t, eager, 10)).toBe(-EINPROGRESS);
    expect(getInt(k, t, eager, 1, 4)).toBe(ECONNREFUSED);
    expect(getInt(k, t, eager, 1, 4)).toBe(0);
  });

  it("wake a sleeping accept and a sleeping read", () => {
    const { k, t } = start();
    const listener = listenOn(k, t, 8080);
    const server = k.process({ fds: t.fds });
    poke(server, LENGTH, Uint8Array.of(16, 0, 0, 0));
    expect(k.call(server, SYS_accept4, listener, ADDR, LENGTH, 0)).toBeNull();
    const client = open(k, t, STREAM);
    expect(connectTo(k, t, client, 8080)).toBe(0);
    const accepted = k.result(server) as number;
    expect(accepted).toBeGreaterThan(0);
    expect(peekU32(server, LENGTH)).toBe(16);
    expect(k.call(server, SYS_read, accepted, BUFFER, 10)).toBeNull();
    k.call(t, SYS_write, client, BUFFER, 7);
    expect(k.result(server)).toBe(7);
    poke(t, LENGTH, Uint8Array.of(16, 0, 0, 0));
    k.call(t, SYS_getsockname, client, ADDR, LENGTH);
    expect(portAt(t, ADDR)).toBe(portAt(server, ADDR));
    poke(t, LENGTH, Uint8Array.of(16, 0, 0, 0));
    k.call(t, SYS_getpeername, client, ADDR, LENGTH);
    expect(portAt(t, ADDR)).toBe(8080);
  });

  it("carry much more than the buffers hold, with MSG_WAITALL at the other end", () => {
    const { k, t } = start();
    const [client, server] = connected(k, t);
    poke(t, OTHER, new Uint8Array(4));
    k.call(t, SYS_ioctl, client, 0x5421, OTHER);
    k.call(t, SYS_ioctl, server, 0x5421, OTHER);
    const bytes = Uint8Array.from({ length: 500_000 }, (_, i) => (i * 31) >>> 3);
    poke(t, BUFFER, bytes);
    const reader = k.process({ fds: t.fds });
    expect(k.call(reader, SYS_recvfrom, server, BUFFER, 500_000, 0x100, 0, 0)).toBeNull();
    expect(k.call(t, SYS_write, client, BUFFER, 500_000) ?? k.result(t)).toBe(500_000);
    expect(k.result(reader)).toBe(500_000);
    expect(Buffer.compare(peek(reader, BUFFER, 500_000), bytes)).toBe(0);
  });

  it("keep options, and refuse those that do nothing", () => {
    const { k, t } = start();
    const s = open(k, t, STREAM);
    expect(setInt(k, t, s, 6, 1, 1)).toBe(0);
    expect(getInt(k, t, s, 6, 1)).toBe(1);
    expect(setInt(k, t, s, 1, 8, 100_000)).toBe(0);
    expect(getInt(k, t, s, 1, 8)).toBe(200_000);
    expect(setInt(k, t, s, 1, 7, 1)).toBe(0);
    expect(getInt(k, t, s, 1, 7)).toBe(4608);
    expect(getInt(k, t, s, 1, 3)).toBe(STREAM);
    expect(getInt(k, t, s, 1, 39)).toBe(INET);
    expect(getInt(k, t, s, 1, 38)).toBe(6);
    expect(setInt(k, t, s, 6, 19, 1)).toBe(-EPERM);
    expect(setInt(k, t, s, 1, 50, 1)).toBe(-ENOPROTOOPT);
    // A filter is a program; an int is none.
    expect(setInt(k, t, s, 1, 26, 1)).toBe(-EINVAL);
    expect(setInt(k, t, s, 0, 2, 300)).toBe(-EINVAL);
    const bad = new Uint8Array(16);
    setU32Le(bad, 8, 1_000_000);
    poke(t, BUFFER, bad);
    expect(k.call(t, SYS_setsockopt, s, 1, 20, BUFFER, 16)).toBe(-EDOM);
    poke(t, LENGTH, Uint8Array.of(104, 0, 0, 0));
    expect(k.call(t, SYS_getsockopt, s, 6, 11, BUFFER, LENGTH)).toBe(0);
    expect(peekU32(t, LENGTH)).toBe(104);
    expect(peek(t, BUFFER, 1)[0]).toBe(7);
  });

  it("check addresses and protocols", () => {
    const { k, t } = start();
    expect(k.call(t, SYS_socket, INET, STREAM, 17)).toBe(-EPROTONOSUPPORT);
    expect(k.call(t, SYS_socket, 45, STREAM, 0)).toBe(-EAFNOSUPPORT);
    const s = open(k, t, STREAM);
    expect(k.call(t, SYS_bind, s, ADDR, 8)).toBe(-EINVAL);
    const wrong = new Uint8Array(16);
    setU16Le(wrong, 0, 10);
    poke(t, ADDR, wrong);
    expect(k.call(t, SYS_bind, s, ADDR, 16)).toBe(-EAFNOSUPPORT);
    expect(k.call(t, SYS_recvfrom, s, BUFFER, 1, 0, 0, 0)).toBe(-ENOTCONN);
    listenOn(k, t, 8080);
    expect(bindTo(k, t, s, 8080)).toBe(-EADDRINUSE);
  });

  it("honour SO_RCVTIMEO", () => {
    const { k, t } = start();
    const [client] = connected(k, t);
    poke(t, OTHER, new Uint8Array(4));
    k.call(t, SYS_ioctl, client, 0x5421, OTHER);
    const time = new Uint8Array(16);
    setU64Le(time, 8, 50_000);
    poke(t, BUFFER, time);
    k.call(t, SYS_setsockopt, client, 1, 20, BUFFER, 16);
    expect(k.call(t, SYS_read, client, BUFFER, 1)).toBeNull();
    k.advance(51 * MS);
    expect(k.result(t)).toBe(-EAGAIN);
  });
});

describe("UDP sockets over loopback", () => {
  it("send, receive with the sender's address, and keep boundaries", () => {
    const { k, t } = start();
    const a = open(k, t, DGRAM);
    const b = open(k, t, DGRAM);
    expect(bindTo(k, t, a, 5000)).toBe(0);
    pokeText(t, BUFFER, "query");
    const n = pokeInet(t, LOCALHOST, 5000);
    expect(k.call(t, SYS_sendto, b, BUFFER, 5, 0, ADDR, n)).toBe(5);
    expect(k.call(t, SYS_sendto, b, BUFFER, 0, 0, ADDR, n)).toBe(0);
    poke(t, LENGTH, Uint8Array.of(16, 0, 0, 0));
    expect(k.call(t, SYS_recvfrom, a, OTHER, 3, 0x20, ADDR, LENGTH)).toBe(5);
    expect(peekText(t, OTHER, 3)).toBe("que");
    const port = portAt(t, ADDR);
    expect(k.call(t, SYS_recvfrom, a, OTHER, 10, DONTWAIT, 0, 0)).toBe(0);
    expect(k.call(t, SYS_recvfrom, a, OTHER, 10, DONTWAIT, 0, 0)).toBe(-EAGAIN);
    expect(connectTo(k, t, a, port)).toBe(0);
    expect(k.call(t, SYS_write, a, BUFFER, 2)).toBe(2);
    expect(k.call(t, SYS_read, b, BUFFER, 10)).toBe(2);
    expect(k.call(t, SYS_sendto, b, BUFFER, 65_508, 0, ADDR, pokeInet(t, LOCALHOST, 5000))).toBe(
      -EMSGSIZE,
    );
  });

  it("hear of a closed port when connected", () => {
    const { k, t } = start();
    const s = open(k, t, DGRAM | NONBLOCK);
    connectTo(k, t, s, 5001);
    expect(k.call(t, SYS_write, s, BUFFER, 1)).toBe(1);
    expect(k.call(t, SYS_read, s, BUFFER, 1)).toBe(-ECONNREFUSED);
    expect(k.call(t, SYS_read, s, BUFFER, 1)).toBe(-EAGAIN);
  });

  it("tell of destination and TTL, and take TTL and segment size, in control messages", () => {
    const { k, t } = start();
    const a = open(k, t, DGRAM);
    const b = open(k, t, DGRAM);
    bindTo(k, t, a, 5000);
    connectTo(k, t, b, 5000);
    expect(setInt(k, t, a, 0, 8, 1)).toBe(0);
    expect(setInt(k, t, a, 0, 12, 1)).toBe(0);
    const control = new Uint8Array(48);
    setU64Le(control, 0, 20);
    setU32Le(control, 8, 0);
    setU32Le(control, 12, 2);
    setU32Le(control, 16, 9);
    setU64Le(control, 24, 18);
    setU32Le(control, 32, 17);
    setU32Le(control, 36, 103);
    setU16Le(control, 40, 4);
    poke(t, OTHER + 0x200, control);
    const header = new Uint8Array(56);
    setU64Le(header, 16, OTHER + 0x100);
    setU64Le(header, 24, 1);
    setU64Le(header, 32, OTHER + 0x200);
    setU64Le(header, 40, 48);
    poke(t, OTHER, header);
    const iov = new Uint8Array(16);
    setU64Le(iov, 0, BUFFER);
    setU64Le(iov, 8, 10);
    poke(t, OTHER + 0x100, iov);
    pokeText(t, BUFFER, "abcdefghij");
    expect(k.call(t, SYS_sendmsg, b, OTHER, 0)).toBe(10);
    setU64Le(header, 40, 200);
    for (const [bytes, text] of [
      [4, "abcd"],
      [4, "efgh"],
      [2, "ij"],
    ] as const) {
      poke(t, OTHER, header);
      expect(k.call(t, SYS_recvmsg, a, OTHER, 0)).toBe(bytes);
      expect(peekText(t, BUFFER, bytes)).toBe(text);
      // IP_PKTINFO: interface 1, 127.0.0.1; then IP_TTL as sent.
      expect(peekU32(t, OTHER + 40)).toBe(32 + 24);
      expect(peek(t, OTHER + 0x200 + 16, 8)).toEqual(Uint8Array.of(1, 0, 0, 0, 127, 0, 0, 1));
      expect(peekU32(t, OTHER + 0x200 + 32 + 16)).toBe(9);
    }
    expect(getInt(k, t, b, 0, 2)).toBe(64);
  });
});

describe("interface ioctls", () => {
  it("describe the loopback", () => {
    const { k, t } = start();
    const s = open(k, t, DGRAM);
    poke(t, OTHER, new Uint8Array(40));
    pokeText(t, OTHER, "lo");
    expect(k.call(t, SYS_ioctl, s, 0x8933, OTHER)).toBe(0);
    expect(peekU32(t, OTHER + 16)).toBe(1);
    expect(k.call(t, SYS_ioctl, s, 0x8915, OTHER)).toBe(0);
    expect([...peek(t, OTHER + 20, 4)]).toEqual([127, 0, 0, 1]);
    expect(k.call(t, SYS_ioctl, s, 0x891b, OTHER)).toBe(0);
    expect([...peek(t, OTHER + 20, 4)]).toEqual([255, 0, 0, 0]);
    expect(k.call(t, SYS_ioctl, s, 0x8913, OTHER)).toBe(0);
    expect(peekU32(t, OTHER + 16) & 0xffff & (1 | 8 | 0x40)).toBe(1 | 8 | 0x40);
    pokeText(t, OTHER, "xx");
    expect(k.call(t, SYS_ioctl, s, 0x8933, OTHER)).toBe(-19);
  });
});
