// TCP-AO as a program sees it: structures, errors, what is told of keys and counters.

import { describe, expect, it } from "vitest";
import {
  E2BIG,
  EAFNOSUPPORT,
  EBUSY,
  EEXIST,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  EKEYREJECTED,
  EMSGSIZE,
  ENOENT,
  ENOPROTOOPT,
  EPERM,
} from "../../../abi/errno.ts";
import { AF_INET, AF_INET6 } from "../../../abi/socket.ts";
import {
  SYS_accept4,
  SYS_bind,
  SYS_connect,
  SYS_getsockopt,
  SYS_listen,
  SYS_read,
  SYS_setsockopt,
  SYS_socket,
  SYS_write,
} from "../../../abi/syscall-numbers.ts";
import { TCP_MD5SIG, TCP_MD5SIG_BYTES, TCP_NODELAY } from "../../../abi/tcp.ts";
import {
  TCP_AO_ADD_BYTES,
  TCP_AO_ADD_KEY,
  TCP_AO_DEL_BYTES,
  TCP_AO_DEL_KEY,
  TCP_AO_GET_BYTES,
  TCP_AO_GET_KEYS,
  TCP_AO_INFO,
  TCP_AO_INFO_BYTES,
  TCP_AO_REPAIR,
} from "../../../abi/tcp-ao.ts";
import {
  byteString,
  putByteString,
  setU16Le,
  setU32Le,
  u32Le,
  u64Le,
} from "../../../base/bytes.ts";
import { NodeMacs } from "../../loop/node-macs.ts";
import {
  ADDR,
  BUFFER,
  LENGTH,
  OTHER,
  peek,
  poke,
  pokeInet,
  SocketFixture,
} from "../../testing/socket-fixture.ts";

const SOL_TCP = 6;
const LOOPBACK = 0x7f00_0001;
const PORT = 179;
const macs = new NodeMacs();

interface Key {
  family: number;
  addr: readonly number[];
  prefix: number;
  port: number;
  name: string;
  bits: number;
  ifindex: number;
  ids: readonly [number, number];
  macBytes: number;
  flags: number;
  secret: string;
}
const KEY: Key = {
  family: AF_INET,
  addr: [127, 0, 0, 0],
  prefix: 8,
  port: 0,
  name: "hmac(sha1)",
  bits: 0,
  ifindex: 0,
  ids: [1, 1],
  macBytes: 0,
  flags: 0,
  secret: "secret",
};

function putAddr(b: Uint8Array, k: Key): void {
  setU16Le(b, 0, k.family);
  b[3] = k.port;
  b.set(k.addr, k.family === AF_INET ? 4 : 8);
}

/** struct tcp_ao_add. */
function add(k: Partial<Key> = {}): Uint8Array {
  const key = { ...KEY, ...k };
  const b = new Uint8Array(TCP_AO_ADD_BYTES);
  putAddr(b, key);
  putByteString(b, 128, key.name);
  setU32Le(b, 192, key.ifindex);
  setU32Le(b, 196, key.bits);
  b.set([key.prefix, ...key.ids, key.macBytes, key.flags, key.secret.length], 202);
  putByteString(b, 208, key.secret);
  return b;
}

/** struct tcp_ao_del. */
function del(k: Partial<Key> = {}, current = 0, rnext = 0): Uint8Array {
  const key = { ...KEY, ...k };
  const b = new Uint8Array(TCP_AO_DEL_BYTES);
  putAddr(b, key);
  setU32Le(b, 128, key.ifindex);
  setU32Le(b, 132, key.bits);
  b.set([key.prefix, ...key.ids, current, rnext, key.flags], 138);
  return b;
}

/** struct tcp_ao_info_opt. */
function info(bits = 0, current = 0, rnext = 0, good = 0): Uint8Array {
  const b = new Uint8Array(TCP_AO_INFO_BYTES);
  setU32Le(b, 0, bits);
  b.set([current, rnext, good], 6);
  return b;
}

/** struct tcp_ao_getsockopt as the question. */
function ask(bits: number, k: Partial<Key> | null = null, keys = 8): Uint8Array {
  const b = new Uint8Array(TCP_AO_GET_BYTES);
  setU32Le(b, 272, keys);
  setU16Le(b, 276, bits);
  if (k === null) return b;
  const key = { ...KEY, ...k };
  putAddr(b, key);
  b.set([...key.ids, key.prefix, 0, key.flags], 278);
  return b;
}

class Sockets {
  readonly k = new SocketFixture({}, macs);
  readonly t = this.k.process();

  open(family = AF_INET): number {
    return this.noDelay(this.k.call(this.t, SYS_socket, family, 0x801, 0) as number);
  }
  set(fd: number, name: number, value: Uint8Array): number | null {
    poke(this.t, BUFFER, value);
    return this.k.call(this.t, SYS_setsockopt, fd, SOL_TCP, name, BUFFER, value.length);
  }
  add(fd: number, k: Partial<Key> = {}): number | null {
    return this.set(fd, TCP_AO_ADD_KEY, add(k));
  }
  /** What lies in memory afterwards, `bytes` of it, or -errno. */
  get(fd: number, name: number, question: Uint8Array, bytes: number): Uint8Array | number {
    const room = new Uint8Array(4);
    setU32Le(room, 0, question.length);
    poke(this.t, LENGTH, room);
    poke(this.t, OTHER, new Uint8Array(bytes));
    poke(this.t, OTHER, question);
    const result = this.k.call(this.t, SYS_getsockopt, fd, SOL_TCP, name, OTHER, LENGTH) as number;
    return result < 0 ? result : peek(this.t, OTHER, bytes);
  }
  info(fd: number): { bits: number; ids: [number, number]; counters: number[] } {
    const b = this.get(fd, TCP_AO_INFO, info(), TCP_AO_INFO_BYTES) as Uint8Array;
    const counters = [8, 16, 24, 32, 40].map((at) => u64Le(b, at));
    return { bits: u32Le(b, 0), ids: [b[6], b[7]], counters };
  }
  /** [SendID, RecvID, bits] of each key told of, behind how many there are. */
  keys(fd: number, question: Uint8Array, n = 3): [number, number[][]] {
    const b = this.get(fd, TCP_AO_GET_KEYS, question, n * TCP_AO_GET_BYTES) as Uint8Array;
    const rows = Array.from({ length: n }, (_, i) => i * TCP_AO_GET_BYTES);
    return [u32Le(b, 272), rows.map((at) => [b[at + 278], b[at + 279], b[at + 276]])];
  }
  connect(fd: number): number | null {
    return this.k.call(this.t, SYS_connect, fd, ADDR, pokeInet(this.t, LOOPBACK, PORT));
  }
  listen(k: Partial<Key> | null = {}): number {
    const fd = this.open();
    if (k !== null) expect(this.add(fd, k)).toBe(0);
    expect(this.k.call(this.t, SYS_bind, fd, ADDR, pokeInet(this.t, LOOPBACK, PORT))).toBe(0);
    expect(this.k.call(this.t, SYS_listen, fd, 8)).toBe(0);
    return fd;
  }
  accept(fd: number): number {
    return this.noDelay(this.k.call(this.t, SYS_accept4, fd, 0, 0, 0x800) as number);
  }
  noDelay(fd: number): number {
    expect(this.set(fd, TCP_NODELAY, Uint8Array.of(1, 0, 0, 0))).toBe(0);
    return fd;
  }
  /** One byte there. */
  send(from: number, to: number): void {
    expect(this.k.call(this.t, SYS_write, from, BUFFER, 1)).toBe(1);
    expect(this.k.call(this.t, SYS_read, to, BUFFER, 8)).toBe(1);
  }
}

describe("TCP_AO_ADD_KEY", () => {
  it("refuses what Linux refuses", () => {
    const s = new Sockets();
    const fd = s.open();
    const refused: [Partial<Key>, number][] = [
      [{ family: AF_INET6 }, EINVAL],
      [{ port: 1 }, EINVAL],
      [{ prefix: 33 }, EINVAL],
      [{ addr: [127, 0, 0, 1] }, EINVAL],
      [{ prefix: 0 }, EINVAL],
      [{ addr: [0, 0, 0, 0] }, EINVAL],
      [{ bits: 4 }, EINVAL],
      [{ flags: 4 }, EINVAL],
      [{ ifindex: 1 }, EINVAL],
      [{ ifindex: 1, flags: 1 }, EINVAL],
      [{ name: "hmac(whirlpool)" }, ENOENT],
      [{ macBytes: 17 }, EMSGSIZE],
      [{ secret: "x".repeat(81) }, EINVAL],
    ];
    for (const [k, errno] of refused) expect([k, s.add(fd, k)]).toEqual([k, -errno]);
    expect(s.set(fd, TCP_AO_ADD_KEY, add().subarray(1))).toBe(-EINVAL);
    const long = new Uint8Array(TCP_AO_ADD_BYTES + 1);
    long.set(add());
    expect(s.set(fd, TCP_AO_ADD_KEY, long)).toBe(0);
    long[TCP_AO_ADD_BYTES] = 1;
    expect(s.set(fd, TCP_AO_ADD_KEY, long)).toBe(-E2BIG);
    expect(s.add(fd)).toBe(-EEXIST);
    expect(s.add(fd, { ids: [2, 2], flags: 3, name: "cmac(aes128)" })).toBe(0);
  });

  it("takes on an IPv6 socket keys of both families", () => {
    const s = new Sockets();
    const fd = s.open(AF_INET6);
    const v6 = { family: AF_INET6, addr: [0x20, 1, 0xd, 0xb8, ...new Array(12).fill(0)] };
    const mapped = [...new Array(10).fill(0), 255, 255, 127, 0, 0, 0];
    expect(s.add(fd, { ...v6, prefix: 32 })).toBe(0);
    expect(s.add(fd, { ...v6, prefix: 129, ids: [2, 2] })).toBe(-EINVAL);
    expect(s.add(fd, { ...v6, addr: mapped, prefix: 104 })).toBe(-EINVAL);
    expect(s.add(fd, { ...v6, addr: mapped, prefix: 8 })).toBe(0);
    expect(s.add(fd, { ...v6, addr: new Array(16).fill(0), prefix: 0 })).toBe(-EEXIST);
    expect(s.add(fd, { ...v6, addr: new Array(16).fill(0), prefix: 0, ids: [3, 3] })).toBe(0);
    const told = s.get(fd, TCP_AO_GET_KEYS, ask(4), 3 * TCP_AO_GET_BYTES) as Uint8Array;
    expect([0, 1, 2].map((i) => told[i * TCP_AO_GET_BYTES])).toEqual([AF_INET6, AF_INET, AF_INET6]);
  });

  it("a peer has keys of one kind, MD5's or these", () => {
    const s = new Sockets();
    const fd = s.open();
    const md5 = new Uint8Array(TCP_MD5SIG_BYTES);
    setU16Le(md5, 0, AF_INET);
    md5.set([127, 0, 0, 1], 4);
    setU16Le(md5, 130, 1);
    expect(s.set(fd, TCP_MD5SIG, md5)).toBe(0);
    expect(s.add(fd, { addr: [127, 0, 0, 1], prefix: 32 })).toBe(-EKEYREJECTED);
    const other = s.open();
    expect(s.add(other)).toBe(0);
    expect(s.set(other, TCP_MD5SIG, md5)).toBe(-EKEYREJECTED);
  });
});

describe("a connection", () => {
  it("is signed both ways, counts, changes keys and gives the old one up", () => {
    const s = new Sockets();
    const listener = s.listen();
    const client = s.open();
    expect(s.add(client, { name: "hmac(sha1)", addr: [10, 0, 0, 0] })).toBe(0);
    expect(s.connect(client)).toBe(-EKEYREJECTED);
    expect(s.add(client)).toBe(0);
    expect(s.connect(client)).toBe(-EINPROGRESS);
    const server = s.accept(listener);
    s.send(client, server);
    s.send(server, client);
    const before = s.info(client);
    expect([before.bits, before.ids]).toEqual([3, [1, 1]]);
    expect(before.counters[0]).toBeGreaterThan(2);
    expect(before.counters.slice(1)).toEqual([0, 0, 0, 0]);
    for (const fd of [client, server])
      expect(s.add(fd, { ids: [2, 1], secret: "new" })).toBe(-EEXIST);
    expect(s.add(client, { ids: [2, 3], addr: [127, 0, 0, 1], prefix: 32 })).toBe(0);
    expect(s.add(server, { ids: [3, 2], addr: [127, 0, 0, 1], prefix: 32 })).toBe(0);
    expect(s.set(client, TCP_AO_INFO, info(2, 0, 3))).toBe(0);
    s.send(client, server);
    s.send(server, client);
    expect([s.info(client).ids, s.info(server).ids]).toEqual([
      [1, 3],
      [3, 1],
    ]);
    expect(s.set(server, TCP_AO_DEL_KEY, del())).toBe(-EBUSY);
    expect(s.set(server, TCP_AO_DEL_KEY, del({ bits: 2 }, 0, 2))).toBe(0);
    s.send(server, client);
    s.send(client, server);
    expect(s.set(client, TCP_AO_DEL_KEY, del())).toBe(0);
    s.send(client, server);
    expect(s.info(client).ids).toEqual([2, 3]);
    expect(s.keys(client, ask(4), 1)).toEqual([1, [[2, 3, 3]]]);
    expect(s.info(server).counters.slice(1)).toEqual([0, 0, 0, 0]);
    expect(s.k.stack.tcp.stats.TCPAOGood).toBeGreaterThan(10);
  });

  it.each([
    [[[1, 1]]],
    [
      [
        [5, 7],
        [7, 5],
      ],
    ],
  ])("with itself, by keys %j", (ids) => {
    const s = new Sockets();
    const fd = s.open();
    for (const [sendId, receiveId] of ids) {
      expect(s.add(fd, { ids: [sendId, receiveId] })).toBe(0);
    }
    expect(s.k.call(s.t, SYS_bind, fd, ADDR, pokeInet(s.t, LOOPBACK, PORT))).toBe(0);
    expect(s.connect(fd)).toBe(-EINPROGRESS);
    s.send(fd, fd);
    s.send(fd, fd);
    const { counters } = s.info(fd);
    expect(counters[0]).toBeGreaterThan(3);
    expect(counters.slice(1)).toEqual([0, 0, 0, 0]);
  });

  it("that began without cannot begin to sign; a listener has no current key", () => {
    const s = new Sockets();
    const listener = s.listen(null);
    const client = s.open();
    expect(s.connect(client)).toBe(-EINPROGRESS);
    expect(s.add(client)).toBe(-EISCONN);
    expect(s.set(client, TCP_AO_INFO, info())).toBe(-EISCONN);
    expect(s.add(listener, { bits: 1 })).toBe(-EINVAL);
    expect(s.add(listener)).toBe(0);
    expect(s.set(listener, TCP_AO_INFO, info(2, 0, 1))).toBe(-EINVAL);
    expect(s.set(listener, TCP_AO_DEL_KEY, del({ bits: 4 }))).toBe(0);
  });
});

describe("TCP_AO_INFO, TCP_AO_GET_KEYS, TCP_AO_DEL_KEY", () => {
  it("tell of settings and counters, which can be set", () => {
    const s = new Sockets();
    const fd = s.open();
    expect(s.get(fd, TCP_AO_INFO, info(), TCP_AO_INFO_BYTES)).toBe(-ENOENT);
    expect(s.set(fd, TCP_AO_INFO, info(1, 9))).toBe(-ENOENT);
    expect(s.set(fd, TCP_AO_INFO, info(32))).toBe(-EINVAL);
    expect(s.set(fd, TCP_AO_INFO, info(4 | 8 | 16, 0, 0, 77))).toBe(0);
    expect(s.info(fd)).toEqual({ bits: 4 | 16, ids: [0, 0], counters: [77, 0, 0, 0, 0] });
    expect(s.get(fd, TCP_AO_INFO, info(64), TCP_AO_INFO_BYTES)).toBe(-EINVAL);
    expect(s.get(fd, TCP_AO_INFO, new Uint8Array(0), TCP_AO_INFO_BYTES)).toBe(-EINVAL);
    const short = s.get(fd, TCP_AO_INFO, new Uint8Array(4), 8) as Uint8Array;
    expect([...short]).toEqual([20, 0, 0, 0, 0, 0, 0, 0]);
  });

  it("tell of keys: all, those in use, those of a peer with IDs; as many as there is room for", () => {
    const s = new Sockets();
    const fd = s.open();
    expect(s.get(fd, TCP_AO_GET_KEYS, ask(4), TCP_AO_GET_BYTES)).toBe(-ENOENT);
    expect(s.add(fd, { bits: 1 })).toBe(0);
    expect(s.add(fd, { ids: [2, 5], bits: 2, name: "cmac(aes128)", flags: 2, macBytes: 8 })).toBe(
      0,
    );
    expect(s.keys(fd, ask(4))).toEqual([
      2,
      [
        [2, 5, 2],
        [1, 1, 1],
        [0, 0, 0],
      ],
    ]);
    expect(s.keys(fd, ask(1), 1)).toEqual([1, [[1, 1, 1]]]);
    expect(s.keys(fd, ask(2), 1)).toEqual([1, [[2, 5, 2]]]);
    expect(s.keys(fd, ask(0, { ids: [2, 5] }), 1)).toEqual([1, [[2, 5, 2]]]);
    expect(s.keys(fd, ask(0, { addr: [0, 0, 0, 0], prefix: 0 }), 1)[0]).toBe(1);
    expect(s.keys(fd, ask(0, { addr: [9, 0, 0, 0] }), 1)[0]).toBe(0);
    const one = s.get(fd, TCP_AO_GET_KEYS, ask(4, null, 1), 2 * TCP_AO_GET_BYTES) as Uint8Array;
    expect([u32Le(one, 272), one[TCP_AO_GET_BYTES]]).toEqual([2, 0]);
    expect(byteString(one, 128, 10)).toBe("cmac(aes)\0");
    expect([...one.subarray(278, 284)]).toEqual([2, 5, 8, 8, 2, 16]);
    for (const [question, errno] of [
      [ask(5), EINVAL],
      [ask(8), EINVAL],
      [ask(4, {}), EINVAL],
      [ask(0), EAFNOSUPPORT],
      [ask(0, { addr: [127, 0, 0, 1] }), EINVAL],
      [ask(0, { flags: 2 }), EINVAL],
    ] as const) {
      expect(s.get(fd, TCP_AO_GET_KEYS, question, TCP_AO_GET_BYTES)).toBe(-errno);
    }
  });

  it("names the key to take away by all that it was added with", () => {
    const s = new Sockets();
    const fd = s.open();
    expect(s.set(fd, TCP_AO_DEL_KEY, del())).toBe(-ENOENT);
    expect(s.add(fd)).toBe(0);
    for (const wrong of [
      { prefix: 9 },
      { ids: [1, 2] as const },
      { addr: [10, 0, 0, 0] },
      { flags: 1 },
    ]) {
      expect(s.set(fd, TCP_AO_DEL_KEY, del(wrong))).toBe(-ENOENT);
    }
    expect(s.set(fd, TCP_AO_DEL_KEY, del({ bits: 4 }))).toBe(-EINVAL);
    expect(s.set(fd, TCP_AO_DEL_KEY, del({ bits: 8 }))).toBe(-EINVAL);
    expect(s.set(fd, TCP_AO_DEL_KEY, del({ bits: 1 }, 7))).toBe(-ENOENT);
    expect(s.set(fd, TCP_AO_DEL_KEY, del())).toBe(0);
    expect(s.info(fd).bits).toBe(0);
  });

  it("cannot be repaired by whom Linux does not let", () => {
    const s = new Sockets();
    const fd = s.open();
    expect(s.set(fd, TCP_AO_REPAIR, new Uint8Array(16))).toBe(-EPERM);
    expect(s.get(fd, TCP_AO_REPAIR, new Uint8Array(16), 16)).toBe(-EPERM);
    expect(s.set(fd, TCP_AO_GET_KEYS, new Uint8Array(304))).toBe(-ENOPROTOOPT);
  });
});
