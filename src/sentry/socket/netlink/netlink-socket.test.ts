import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  EADDRNOTAVAIL,
  EAGAIN,
  EEXIST,
  ENETUNREACH,
  ENOBUFS,
  EPROTONOSUPPORT,
  ESRCH,
} from "../../../abi/errno.ts";
import {
  IFA_ADDRESS,
  IFA_LOCAL,
  IFLA_IFNAME,
  IFLA_MTU,
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_DROP_MEMBERSHIP,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTM_DELADDR,
  RTM_DELROUTE,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
} from "../../../abi/netlink.ts";
import { SOL_NETLINK } from "../../../abi/socket.ts";
import {
  SYS_bind,
  SYS_close,
  SYS_getsockname,
  SYS_listen,
  SYS_recvfrom,
  SYS_sendto,
  SYS_setsockopt,
  SYS_socket,
  SYS_socketpair,
} from "../../../abi/syscall-numbers.ts";
import { byteString, i32Le, setU16Le, setU32Le, u16Le, u32Le } from "../../../base/bytes.ts";
import { IpAddr, NetErr } from "../../../netstack/index.ts";
import { Credentials } from "../../kernel/credentials.ts";
import type { Task } from "../../kernel/task.ts";
import {
  ADDR,
  BUFFER,
  LOCALHOST,
  OTHER,
  peek,
  poke,
  pokeInet,
  SocketFixture,
} from "../../testing/socket-fixture.ts";
import { attributesOf } from "./netlink-message.ts";

interface Message {
  type: number;
  body: Uint8Array;
}

function start(): { k: SocketFixture; t: Task; fd: number } {
  const k = new SocketFixture();
  const t = k.process();
  const fd = k.call(t, SYS_socket, 16, 3, 0) as number;
  expect(fd).toBeGreaterThanOrEqual(0);
  return { k, t, fd };
}
function request(
  k: SocketFixture,
  t: Task,
  fd: number,
  type: number,
  flags: number,
  body: Uint8Array,
) {
  const b = new Uint8Array(16 + body.length);
  setU32Le(b, 0, b.length);
  setU16Le(b, 4, type);
  setU16Le(b, 6, flags | NLM_F_REQUEST);
  setU32Le(b, 8, 42);
  b.set(body, 16);
  poke(t, BUFFER, b);
  expect(k.call(t, SYS_sendto, fd, BUFFER, b.length, 0, 0, 0)).toBe(b.length);
}
/** All messages that wait, parsed as a careful client does. */
function answers(k: SocketFixture, t: Task, fd: number): Message[] {
  const messages: Message[] = [];
  for (;;) {
    const n = k.call(t, SYS_recvfrom, fd, OTHER, 8192, 0x40, 0, 0) as number;
    if (n < 0) {
      expect(n).toBe(-EAGAIN);
      return messages;
    }
    const bytes = peek(t, OTHER, n);
    for (let at = 0; at < n; ) {
      const length = u32Le(bytes, at);
      expect(length).toBeGreaterThanOrEqual(16);
      expect(at + length).toBeLessThanOrEqual(n);
      expect(u32Le(bytes, at + 8)).toBe(42);
      messages.push({ type: u16Le(bytes, at + 4), body: bytes.slice(at + 16, at + length) });
      at += (length + 3) & ~3;
    }
  }
}
function attribute(m: Message, fixedBytes: number, type: number): Uint8Array | undefined {
  for (const a of attributesOf(m.body, fixedBytes, m.body.length)) {
    if (a.type === type) return m.body.slice(a.offset, a.offset + a.length);
  }
  return undefined;
}

describe("NETLINK_ROUTE", () => {
  it("dumps links and ends with DONE", () => {
    const { k, t, fd } = start();
    request(k, t, fd, RTM_GETLINK, NLM_F_DUMP, Uint8Array.of(0));
    const all = answers(k, t, fd);
    expect(all.map((m) => m.type)).toEqual([RTM_NEWLINK, NLMSG_DONE]);
    const name = attribute(all[0], 16, IFLA_IFNAME) as Uint8Array;
    expect(byteString(name, 0, name.length)).toBe("lo\0");
    expect(u32Le(attribute(all[0], 16, IFLA_MTU) as Uint8Array, 0)).toBe(k.stack.loopback.mtu);
  });

  it("has the process id as its port, one for each protocol, and then others; a closed one is free again", () => {
    const { k, t } = start();
    const portOf = (fd: number): number => {
      poke(t, ADDR, new Uint8Array(12).fill(16, 0, 1));
      expect(k.call(t, SYS_bind, fd, ADDR, 12)).toBe(0);
      poke(t, OTHER, Uint8Array.of(12, 0, 0, 0));
      expect(k.call(t, SYS_getsockname, fd, ADDR, OTHER)).toBe(0);
      return u32Le(peek(t, ADDR, 12), 4);
    };
    const open = (protocol: number): number => k.call(t, SYS_socket, 16, 3, protocol) as number;
    const first = open(0);
    const pid = portOf(first);
    expect([pid, portOf(open(4))]).toEqual([t.threadGroup.tgid, pid]);
    const more = Array.from({ length: 100 }, () => portOf(open(0)));
    expect(new Set(more).size).toBe(100);
    expect(Math.min(...more)).toBeGreaterThan(0xffff_0000);
    k.call(t, SYS_close, first);
    expect(portOf(open(0))).toBe(pid);
  });

  it("answers a datagram of many dumps only as far as its buffer goes", () => {
    const { k, t, fd } = start();
    const { stack } = k;
    for (let n = 0; n < 500; n++) {
      stack.routes.insert({
        dst: IpAddr.v4(172, n >> 8, n & 255, 0),
        prefixBits: 24,
        gateway: IpAddr.v4(127, 0, 0, 2),
        nicId: stack.loopback.id,
      });
    }
    const count = 200;
    const b = new Uint8Array(20 * count);
    for (let i = 0; i < count; i++) {
      setU32Le(b, 20 * i, 20);
      setU16Le(b, 20 * i + 4, RTM_GETROUTE);
      setU16Le(b, 20 * i + 6, NLM_F_DUMP | NLM_F_REQUEST);
      setU32Le(b, 20 * i + 8, 42);
    }
    poke(t, BUFFER, b);
    expect(k.call(t, SYS_sendto, fd, BUFFER, b.length, 0, 0, 0)).toBe(b.length);
    expect(k.call(t, SYS_recvfrom, fd, OTHER, 8192, 0x40, 0, 0)).toBe(-ENOBUFS);
    let bytes = 0;
    for (let n = 0; n >= 0; bytes += Math.max(0, n)) {
      n = k.call(t, SYS_recvfrom, fd, OTHER, 65_536, 0x40, 0, 0) as number;
    }
    // One dump is some 30 kB; the buffer has 208 KiB.
    expect(bytes).toBeGreaterThan(200_000);
    expect(bytes).toBeLessThan(300_000);
    // And the socket is as good as before.
    request(k, t, fd, RTM_GETLINK, NLM_F_DUMP, Uint8Array.of(0));
    expect(answers(k, t, fd).map((m) => m.type)).toEqual([RTM_NEWLINK, NLMSG_DONE]);
  });

  it("dumps the addresses of one family, or of all", () => {
    const { k, t, fd } = start();
    request(k, t, fd, RTM_GETADDR, NLM_F_DUMP, Uint8Array.of(2));
    const all = answers(k, t, fd);
    expect(all[0].type).toBe(RTM_NEWADDR);
    expect(all[0].body[1]).toBe(8);
    expect(attribute(all[0], 8, IFA_ADDRESS)).toEqual(Uint8Array.of(127, 0, 0, 1));
    request(k, t, fd, RTM_GETADDR, NLM_F_DUMP, Uint8Array.of(10));
    const six = answers(k, t, fd);
    expect(six.map((m) => m.type)).toEqual([RTM_NEWADDR, NLMSG_DONE]);
    const localhost = new Uint8Array(16);
    localhost[15] = 1;
    expect([six[0].body[0], six[0].body[1]]).toEqual([10, 128]);
    expect(attribute(six[0], 8, IFA_ADDRESS)).toEqual(localhost);
  });

  it("dumps routes with gateway and interface", () => {
    const { k, t, fd } = start();
    k.stack.routes.add({
      dst: new IpAddr().setV4(0),
      prefixBits: 0,
      gateway: IpAddr.v4(127, 0, 0, 9),
      nicId: 1,
    });
    request(k, t, fd, RTM_GETROUTE, NLM_F_DUMP, new Uint8Array(12));
    const routes = answers(k, t, fd).filter((m) => m.type === RTM_NEWROUTE);
    // Both families' loopback, and this one.
    expect(routes.map((m) => m.body[0]).sort()).toEqual([10, 2, 2]);
    const defaultRoute = routes.find((m) => m.body[1] === 0) as Message;
    expect(attribute(defaultRoute, 12, RTA_GATEWAY)).toEqual(Uint8Array.of(127, 0, 0, 9));
    expect(u32Le(attribute(defaultRoute, 12, RTA_OIF) as Uint8Array, 0)).toBe(1);
  });

  it("finds one link by name, and says ENODEV of another", () => {
    const { k, t, fd } = start();
    const body = new Uint8Array(16 + 8);
    setU16Le(body, 16, 7);
    setU16Le(body, 18, IFLA_IFNAME);
    body.set([0x6c, 0x6f, 0], 20);
    request(k, t, fd, RTM_GETLINK, 0, body);
    expect(answers(k, t, fd).map((m) => m.type)).toEqual([RTM_NEWLINK]);
    body[20] = 0x78;
    request(k, t, fd, RTM_GETLINK, 0, body);
    const [error] = answers(k, t, fd);
    expect([error.type, i32Le(error.body, 0)]).toEqual([NLMSG_ERROR, -19]);
  });

  it("changes nothing for who may not, and acknowledges what it was asked to", () => {
    const { k, t, fd } = start();
    t.creds = new Credentials({ uid: 1000, gid: 1000 });
    request(k, t, fd, RTM_NEWLINK, NLM_F_ACK, new Uint8Array(16));
    const [error] = answers(k, t, fd);
    expect([error.type, i32Le(error.body, 0)]).toEqual([NLMSG_ERROR, -1]);
    const get = new Uint8Array(16);
    setU32Le(get, 4, 1);
    request(k, t, fd, RTM_GETLINK, NLM_F_ACK, get);
    const both = answers(k, t, fd);
    expect(both.map((m) => m.type)).toEqual([RTM_NEWLINK, NLMSG_ERROR]);
    expect(i32Le(both[1].body, 0)).toBe(0);
  });

  it("adds and removes addresses and routes, and says what is wrong with them", () => {
    const { k, t, fd } = start();
    const address = (type: number, last: number): number => {
      const body = new Uint8Array(8 + 8);
      body.set([2, 24, 0, 0, 1, 0, 0, 0]);
      setU16Le(body, 8, 8);
      setU16Le(body, 10, IFA_LOCAL);
      body.set([10, 9, 9, last], 12);
      request(k, t, fd, type, NLM_F_ACK | 0x600, body);
      return i32Le(answers(k, t, fd)[0].body, 0);
    };
    expect(address(RTM_NEWADDR, 1)).toBe(0);
    expect(address(RTM_NEWADDR, 1)).toBe(-EEXIST);
    const route = (type: number, gateway: number[]): number => {
      const body = new Uint8Array(12 + 16);
      body.set([2, 24, 0, 0, 254, 4, 0, 1]);
      setU16Le(body, 12, 8);
      setU16Le(body, 14, RTA_DST);
      body.set([192, 0, 2, 0], 16);
      setU16Le(body, 20, 8);
      setU16Le(body, 22, RTA_GATEWAY);
      body.set(gateway, 24);
      request(k, t, fd, type, NLM_F_ACK | 0x600, body);
      return i32Le(answers(k, t, fd)[0].body, 0);
    };
    expect(route(RTM_NEWROUTE, [172, 16, 0, 1])).toBe(-ENETUNREACH);
    expect(route(RTM_NEWROUTE, [10, 9, 9, 2])).toBe(0);
    expect(route(RTM_NEWROUTE, [10, 9, 9, 2])).toBe(-EEXIST);
    const there = k.stack.routes.lookup(IpAddr.v4(192, 0, 2, 7), 0);
    expect(there?.gateway?.toString()).toBe("10.9.9.2");
    expect(route(RTM_DELROUTE, [10, 9, 9, 2])).toBe(0);
    expect(route(RTM_DELROUTE, [10, 9, 9, 2])).toBe(-ESRCH);
    expect(address(RTM_DELADDR, 1)).toBe(0);
    expect(address(RTM_DELADDR, 1)).toBe(-EADDRNOTAVAIL);
    expect(k.stack.routes.lookup(IpAddr.v4(10, 9, 9, 7), 0)).toBeNull();
  });

  it("takes an interface down with its routes, and up again", () => {
    const { k, t, fd } = start();
    const link = (up: number, mtu: number): number => {
      const body = new Uint8Array(16 + 8);
      setU32Le(body, 4, 1);
      setU32Le(body, 8, up);
      setU32Le(body, 12, 1);
      setU16Le(body, 16, 8);
      setU16Le(body, 18, IFLA_MTU);
      setU32Le(body, 20, mtu);
      request(k, t, fd, RTM_NEWLINK, NLM_F_ACK, body);
      return i32Le(answers(k, t, fd)[0].body, 0);
    };
    const local = IpAddr.v4(127, 0, 0, 1);
    expect(link(0, 1500)).toBe(0);
    expect(k.stack.findRoute(null, local)).toBe(NetErr.NetworkUnreachable);
    expect(link(1, 1500)).toBe(0);
    expect(k.stack.findRoute(null, local)).toMatchObject({ mtu: 1500 });
    expect(link(1, 10)).toBe(-22);
  });

  it("takes no harm from requests that say anything", () => {
    const { k, t, fd } = start();
    const types = [RTM_NEWLINK, RTM_NEWROUTE, RTM_DELROUTE, 32, 33, 17, RTM_GETROUTE, RTM_NEWADDR];
    const attribute = fc.tuple(
      fc.constantFrom(1, 2, 3, 4, 5, 8, 9, 15, 18, 20, 22, 23, 24),
      fc.uint8Array({ maxLength: 40 }),
    );
    const body = fc.tuple(
      fc.constantFrom(2, 10),
      fc.uint8Array({ minLength: 11, maxLength: 15 }),
      fc.array(attribute, { maxLength: 5 }),
    );
    const interfaces = k.stack.nics.length;
    fc.assert(
      fc.property(fc.constantFrom(...types), body, (type, [family, head, attributes]) => {
        const parts = [family, ...head];
        for (const [kind, value] of attributes) {
          while (parts.length % 4 !== 0) parts.push(0);
          parts.push(value.length + 4, 0, kind, 0, ...value);
        }
        request(k, t, fd, type, NLM_F_ACK | 0x400, Uint8Array.from(parts));
        expect(answers(k, t, fd).length).toBeGreaterThan(0);
      }),
      { numRuns: 500, seed: 11 },
    );
    // Nothing that was said makes an interface on the loopback.
    expect(k.stack.nics.length).toBe(interfaces);
  });

  it("ignores what is not a message, and has no other protocols", () => {
    const { k, t, fd } = start();
    poke(t, BUFFER, new Uint8Array(40).fill(0xff));
    expect(k.call(t, SYS_sendto, fd, BUFFER, 40, 0, 0, 0)).toBe(40);
    expect(answers(k, t, fd)).toEqual([]);
    expect(k.call(t, SYS_socket, 16, 3, 9)).toBe(-EPROTONOSUPPORT);
  });
});

describe("NETLINK_SOCK_DIAG", () => {
  it("lists sockets of a family by protocol and state, with their queues and owners", () => {
    const { k, t } = start();
    const fd = k.call(t, SYS_socket, 16, 3, 4) as number;
    const listener = k.call(t, SYS_socket, 2, 1, 0) as number;
    k.call(t, SYS_bind, listener, ADDR, pokeInet(t, LOCALHOST, 8080));
    k.call(t, SYS_listen, listener, 7);
    const udp = k.call(t, SYS_socket, 2, 2, 0) as number;
    k.call(t, SYS_bind, udp, ADDR, pokeInet(t, LOCALHOST, 5353));
    const ask = (protocol: number, states: number): Message[] => {
      const body = new Uint8Array(56);
      body.set([2, protocol, 2]);
      setU32Le(body, 4, states);
      request(k, t, fd, 20, NLM_F_DUMP, body);
      return answers(k, t, fd);
    };
    const [tcp, done] = ask(6, 1 << 10);
    expect(done.type).toBe(NLMSG_DONE);
    expect([...tcp.body.subarray(0, 6)]).toEqual([2, 10, 0, 0, 0x1f, 0x90]);
    expect([...tcp.body.subarray(8, 12)]).toEqual([127, 0, 0, 1]);
    expect(u32Le(tcp.body, 60)).toBe(7);
    // tcp_info, as asked.
    expect(attribute(tcp, 72, 2)?.length).toBe(280);
    expect(ask(6, 1 << 1).map((m) => m.type)).toEqual([NLMSG_DONE]);
    expect(u32Le(ask(17, 1 << 7)[0].body, 68)).toBe((t.fds.get(udp) as { ino?: number }).ino);
    expect(ask(200, -1)[0].type).toBe(NLMSG_ERROR);
  });

  it("lists unix sockets with names and peers", () => {
    const { k, t } = start();
    const fd = k.call(t, SYS_socket, 16, 3, 4) as number;
    expect(k.call(t, SYS_socketpair, 1, 1, 0, OTHER)).toBe(0);
    const body = new Uint8Array(24);
    body[0] = 1;
    setU32Le(body, 4, -1);
    setU32Le(body, 12, 0x15);
    request(k, t, fd, 20, NLM_F_DUMP, body);
    const [a, b] = answers(k, t, fd);
    expect(u32Le(attribute(a, 16, 2) as Uint8Array, 0)).toBe(u32Le(b.body, 4));
    expect(a.body[2]).toBe(1);
  });
});

describe("notices of NETLINK_ROUTE", () => {
  const IPV4_IFADDR = 5;
  const LINK = 1;

  /** A second socket that listens to these groups. */
  function listen(k: SocketFixture, t: Task, ...groups: number[]): number {
    const fd = k.call(t, SYS_socket, 16, 3, 0) as number;
    for (const group of groups) {
      poke(t, OTHER, Uint8Array.of(group, 0, 0, 0));
      expect(k.call(t, SYS_setsockopt, fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, OTHER, 4)).toBe(0);
    }
    return fd;
  }
  /** The type of the next message, or -errno. */
  function next(k: SocketFixture, t: Task, fd: number): number {
    const n = k.call(t, SYS_recvfrom, fd, OTHER, 8192, 0x40, 0, 0) as number;
    return n < 0 ? n : u16Le(peek(t, OTHER, n), 4);
  }

  it("go to who joined their group, until it leaves", () => {
    const { k, t, fd } = start();
    const addresses = listen(k, t, IPV4_IFADDR);
    const links = listen(k, t, LINK);
    const { stack } = k;
    stack.interfaces.addAddress(stack.loopback, IpAddr.v4(10, 1, 1, 1), 24);
    stack.interfaces.setMtu(stack.loopback, 9000);
    expect([next(k, t, addresses), next(k, t, addresses)]).toEqual([RTM_NEWADDR, -EAGAIN]);
    expect([next(k, t, links), next(k, t, links)]).toEqual([RTM_NEWLINK, -EAGAIN]);
    expect(next(k, t, fd)).toBe(-EAGAIN);
    poke(t, OTHER, Uint8Array.of(IPV4_IFADDR, 0, 0, 0));
    k.call(t, SYS_setsockopt, addresses, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, OTHER, 4);
    stack.interfaces.removeAddress(stack.loopback, IpAddr.v4(10, 1, 1, 1));
    expect(next(k, t, addresses)).toBe(-EAGAIN);
  });

  it("say ENOBUFS once when they were too many for who does not read, and go on", () => {
    const { k, t } = start();
    const links = listen(k, t, LINK);
    const { stack } = k;
    for (let i = 0; i < 2000; i++) stack.interfaces.setMtu(stack.loopback, 2000 + i);
    expect(next(k, t, links)).toBe(-ENOBUFS);
    let read = 0;
    for (; next(k, t, links) === RTM_NEWLINK; read++);
    expect(read).toBeGreaterThan(10);
    expect(read).toBeLessThan(2000);
    stack.interfaces.setMtu(stack.loopback, 9000);
    expect(next(k, t, links)).toBe(RTM_NEWLINK);
  });
});
