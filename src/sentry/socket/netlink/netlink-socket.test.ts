import { describe, expect, it } from "vitest";
import { EAGAIN, EPROTONOSUPPORT } from "../../../abi/errno.ts";
import {
  IFA_ADDRESS,
  IFLA_IFNAME,
  IFLA_MTU,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  RTA_GATEWAY,
  RTA_OIF,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
} from "../../../abi/netlink.ts";
import { SYS_recvfrom, SYS_sendto, SYS_socket } from "../../../abi/syscall-numbers.ts";
import { byteString, i32Le, setU16Le, setU32Le, u16Le, u32Le } from "../../../base/bytes.ts";
import { IpAddr } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { BUFFER, OTHER, peek, poke, SocketFixture } from "../../testing/socket-fixture.ts";
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

  it("refuses changes with EPERM and acknowledges what it was asked to", () => {
    const { k, t, fd } = start();
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

  it("ignores what is not a message, and has no other protocols", () => {
    const { k, t, fd } = start();
    poke(t, BUFFER, new Uint8Array(40).fill(0xff));
    expect(k.call(t, SYS_sendto, fd, BUFFER, 40, 0, 0, 0)).toBe(40);
    expect(answers(k, t, fd)).toEqual([]);
    expect(k.call(t, SYS_socket, 16, 3, 9)).toBe(-EPROTONOSUPPORT);
  });
});
