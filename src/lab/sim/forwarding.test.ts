// A stack as a router between two others (RFC 1812, RFC 8200 3), and a chain of routers that a trace walks along.

import { describe, expect, it } from "vitest";
import { MS, SECOND } from "../../base/clock.ts";
import {
  type DatagramEndpoint,
  type Family,
  IpAddr,
  NetErr,
  type Nic,
  newDatagramInfo,
  parseIp,
  Rule,
  RuleAction,
  type Stack,
  type TcpEndpoint,
} from "../../netstack/index.ts";
import { World } from "./world.ts";

const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
const ANY4 = IpAddr.v4(0, 0, 0, 0);
const ANY6 = new IpAddr();
const PORT = 33_434;

function udp(stack: Stack, family: Family, port = 0): DatagramEndpoint {
  const ep = stack.endpoints.udp(family);
  if (typeof ep === "number") throw new Error("no endpoint");
  ep.options.receiveErrors = true;
  ep.bind(family === 4 ? ANY4 : ANY6, port);
  return ep;
}

function defaultRoute(stack: Stack, nic: Nic, gateway: string): void {
  const via = ip(gateway);
  stack.routes.add({ dst: via.isV4 ? ANY4 : ANY6, prefixBits: 0, gateway: via, nicId: nic.id });
}

/** left - router - right, in both families; the right cable's MTU is given. */
class Road {
  readonly world = new World();
  readonly left = this.world.stack();
  readonly router = this.world.stack();
  readonly right = this.world.stack();

  constructor(mtu = 1500, gso: [number, number] = [0, 0]) {
    const { world, left, router, right } = this;
    world.join(left, router, {
      ...{ a: ["10.1.0.2/24", "2001:db8:1::2/64"], b: ["10.1.0.1/24", "2001:db8:1::1/64"] },
      gsoBytesMax: gso[0],
    });
    world.join(router, right, {
      ...{ a: ["10.2.0.1/24", "2001:db8:2::1/64"], b: ["10.2.0.2/24", "2001:db8:2::2/64"] },
      ...{ mtu, gsoBytesMax: gso[1] },
    });
    for (const family of [4, 6] as const) router.forwarding.enable(family, true);
    defaultRoute(left, left.nics[1], "10.1.0.1");
    defaultRoute(left, left.nics[1], "2001:db8:1::1");
    defaultRoute(right, right.nics[1], "10.2.0.1");
    defaultRoute(right, right.nics[1], "2001:db8:2::1");
    world.run(5 * SECOND);
    this.#before = { ...router.counters };
  }
  readonly #before: Record<string, number>;

  send(ep: DatagramEndpoint, to: string, bytes = 10): number {
    const n = ep.send(new Uint8Array(bytes).fill(7), 0, bytes, ip(to), PORT);
    this.world.run(1 * SECOND);
    return n;
  }
  /** Drops of the router by reason. */
  drops(): Record<string, number> {
    const all = Object.entries(this.router.counters) as [string, number][];
    const since = all.map(([k, n]): [string, number] => [k, n - this.#before[k]]);
    return Object.fromEntries(since.filter(([k, n]) => k.startsWith("drop") && n > 0));
  }
}

const FAMILIES = [
  { family: 4 as const, far: "10.2.0.2", router: "10.1.0.1", nowhere: "192.0.2.1" },
  { family: 6 as const, far: "2001:db8:2::2", router: "2001:db8:1::1", nowhere: "2001:db8:9::1" },
];

describe.each(FAMILIES)("a router of IPv$family", ({ family, far, router, nowhere }) => {
  it("passes datagrams on, one hop further, and their answers back", () => {
    const road = new Road();
    const near = udp(road.left, family);
    const there = udp(road.right, family, PORT);
    road.send(near, far, 100);
    const info = newDatagramInfo();
    const bytes = new Uint8Array(200);
    expect(there.receive(bytes, 0, 200, info, false)).toBe(100);
    expect(info.ttl).toBe(63);
    there.send(bytes, 0, 50, info.addr, info.port);
    road.world.run(1 * SECOND);
    expect(near.receive(bytes, 0, 200, info, false)).toBe(50);
    const c = road.router.counters;
    expect(family === 4 ? c.ipForwDatagrams : c.ip6OutForwDatagrams).toBe(2);
    expect(road.drops()).toEqual({});
  });

  it("carries a connection, whole", () => {
    const road = new Road(1280);
    const { world } = road;
    const listener = road.right.endpoints.tcp(family) as TcpEndpoint;
    listener.bind(ip(far), 80);
    listener.listen(1);
    const client = road.left.endpoints.tcp(family) as TcpEndpoint;
    client.connect(ip(far), 80);
    world.run(1 * SECOND);
    const server = listener.accept() as TcpEndpoint;
    const sent = new Uint8Array(100_000).map((_, i) => (i * 31) >>> 3);
    const got = new Uint8Array(sent.length);
    let read = 0;
    let written = 0;
    const done = world.runUntil(() => {
      if (written < sent.length) {
        const n = client.write(sent, written, sent.length - written, 0);
        if (n > 0) written += n;
      }
      const n = server.read(got, read, got.length - read, false);
      if (n > 0) read += n;
      return read === sent.length;
    });
    expect(done).toBe(true);
    expect(got.every((b, i) => b === sent[i])).toBe(true);
    expect(client.state).toBe(1);
  });

  it("cuts up segments of 64 KiB for a cable that does not", () => {
    const road = new Road(1500, [65_535, 0]);
    const { world } = road;
    const listener = road.right.endpoints.tcp(family) as TcpEndpoint;
    listener.bind(ip(far), 80);
    listener.listen(1);
    const client = road.left.endpoints.tcp(family) as TcpEndpoint;
    client.connect(ip(far), 80);
    world.run(1 * SECOND);
    const server = listener.accept() as TcpEndpoint;
    const sent = new Uint8Array(60_000).map((_, i) => i * 7);
    client.write(sent, 0, sent.length, 0);
    world.run(5 * SECOND);
    const got = new Uint8Array(sent.length);
    expect(server.read(got, 0, got.length, false)).toBe(sent.length);
    expect(got.every((b, i) => b === sent[i])).toBe(true);
  });

  it("says what the next cable does not carry", () => {
    const road = new Road(1280);
    const near = udp(road.left, family);
    near.options.mtuDiscover = 2;
    road.send(near, far, 1300);
    expect(near.takeErrorEntry()).toMatchObject({ info: 1280, error: NetErr.MessageTooLong });
    expect(road.drops()).toEqual({ dropTooBig: 1 });
    expect(near.send(new Uint8Array(1300), 0, 1300, ip(far), PORT)).toBe(NetErr.MessageTooLong);
  });

  it("answers what has come too far, and says who it is", () => {
    const road = new Road();
    const near = udp(road.left, family);
    near.options.ttl = 1;
    road.send(near, far);
    const error = near.takeErrorEntry();
    expect(error?.offender?.toString()).toBe(router);
    expect(road.drops()).toEqual({ dropForwardTtl: 1 });
  });

  it("says that it has no route, no neighbour, or is forbidden", () => {
    const road = new Road();
    const near = udp(road.left, family);
    road.send(near, nowhere);
    expect(near.takeError()).toBe(NetErr.NetworkUnreachable);
    const wall = { dst: ip(nowhere), prefixBits: family === 4 ? 32 : 128, gateway: null, nicId: 0 };
    road.router.routes.add({ ...wall, type: 8 });
    road.send(near, nowhere);
    expect(near.takeErrorEntry()).not.toBeNull();
    expect(road.drops()).toEqual({ dropForwardNoRoute: 2 });
    near.takeError();
    const ghost = family === 4 ? "10.2.0.99" : "2001:db8:2::99";
    road.send(near, ghost);
    road.world.run(10 * SECOND);
    expect(near.takeError()).toBe(NetErr.HostUnreachable);
  });

  it("is silent, and passes nothing, while it is not asked to", () => {
    const road = new Road();
    road.router.forwarding.enable(family, false);
    const there = udp(road.right, family, PORT);
    road.send(udp(road.left, family), far);
    expect(there.nextBytes).toBe(0);
    expect(road.drops()).toEqual({ dropIpNotLocal: 1 });
  });

  it("sends who took a detour to the nearer router", () => {
    const world = new World();
    const wire = world.switch();
    const [host, first, second] = [world.stack(), world.stack(), world.stack()];
    const names = ["2", "1", "9"];
    [host, first, second].forEach((stack, i) => {
      const addresses = [`10.1.0.${names[i]}/24`, `2001:db8:1::${names[i]}/64`];
      world.plug(wire, stack, { addresses });
    });
    world.run(5 * SECOND);
    for (const stack of [first, second]) stack.forwarding.enable(family, true);
    const hop = (stack: Stack): string => {
      if (family === 4) return `10.1.0.${stack === first ? 1 : 9}`;
      const own = stack.nics[1].addresses.find((a) => !a.addr.isV4 && a.addr.w0 >>> 22 === 0x3fa);
      return `${own?.addr}`;
    };
    // Routers are known by their link-local addresses: redirects come from there.
    defaultRoute(host, host.nics[1], hop(first));
    defaultRoute(first, first.nics[1], hop(second));
    const near = udp(host, family);
    near.connect(ip(nowhere), PORT);
    near.send(new Uint8Array(10), 0, 10, null, 0);
    world.run(1 * SECOND);
    const c = first.counters;
    expect(family === 4 ? c.icmpOutRedirects : c.icmp6OutRedirects).toBe(1);
    expect(family === 4 ? c.ipForwDatagrams : c.ip6OutForwDatagrams).toBe(1);
    // Who goes on all the same is told more and more rarely.
    for (let i = 0; i < 1000; i++) {
      near.send(
        new Uint8Array(10),
        0,
        10,
        ip(family === 4 ? "192.0.2.77" : "2001:db8:9::77"),
        PORT,
      );
      world.run(10 * MS);
    }
    expect(family === 4 ? c.icmpOutRedirects : c.icmp6OutRedirects).toBeLessThanOrEqual(9);
  });

  it("keeps to its rules for those who come in by one door", () => {
    const road = new Road();
    const side = road.world.stack();
    road.world.join(road.router, side, {
      a: ["10.3.0.1/24", "2001:db8:3::1/64"],
      b: ["10.3.0.2/24", "2001:db8:3::2/64"],
    });
    road.world.run(5 * SECOND);
    const { routes, nics } = road.router;
    const any = family === 4 ? ANY4 : ANY6;
    const gateway = ip(family === 4 ? "10.3.0.2" : "2001:db8:3::2");
    routes.add({ dst: any, prefixBits: 0, gateway, nicId: nics[3].id, table: 7 });
    const iif = nics[1].id;
    routes.rules.add(
      new Rule({ family, priority: 9, action: RuleAction.Table, table: 7, iifName: "eth0", iif }),
    );
    road.send(udp(road.left, family), far);
    expect(road.router.nics[3].counters.txPackets).toBeGreaterThan(0);
    const seen = family === 4 ? side.counters.ipInAddrErrors : side.counters.ip6InAddrErrors;
    expect(seen).toBe(1);
  });
});

describe("a router of IPv4", () => {
  it("cuts up what may be, also pieces of pieces, and refuses what may not", () => {
    const road = new Road(600);
    const near = udp(road.left, 4);
    near.options.mtuDiscover = 0;
    const there = udp(road.right, 4, PORT);
    road.send(near, "10.2.0.2", 4000);
    const bytes = new Uint8Array(5000);
    expect(there.receive(bytes, 0, 5000, newDatagramInfo(), false)).toBe(4000);
    expect(bytes.subarray(0, 4000).every((b) => b === 7)).toBe(true);
    expect(road.router.counters.ipFragOKs).toBeGreaterThan(2);
    near.options.mtuDiscover = 2;
    road.send(near, "10.2.0.2", 1000);
    expect(near.takeError()).toBe(NetErr.MessageTooLong);
    expect(road.drops()).toEqual({ dropTooBig: 1 });
  });

  it.each([
    ["a broadcast of the far net", "10.2.0.255"],
    ["a link-local address", "169.254.7.7"],
    ["a loopback address", "127.0.0.9"],
    ["a reserved address", "240.0.0.1"],
  ])("passes nothing to %s", (_, dst) => {
    const road = new Road();
    const { left } = road;
    left.routes.add({ dst: ip(dst), prefixBits: 32, gateway: ip("10.1.0.1"), nicId: 2 });
    const raw = left.endpoints.raw(4, 255);
    if (typeof raw === "number") throw new Error("no endpoint");
    raw.includeHeader = true;
    const header = new Uint8Array(28);
    header.set([0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 1, 0, 2]);
    ip(dst).write(header, 16, 4);
    raw.send(header, 0, 28, ip("10.1.0.1"), 0);
    road.world.run(1 * SECOND);
    expect(road.router.counters.ipForwDatagrams).toBe(0);
    expect(Object.values(road.drops())).toEqual([1]);
    expect(road.router.counters.icmpOutDestUnreachs).toBe(0);
  });

  it("writes itself into a recorded route", () => {
    const road = new Road();
    const raw = road.left.endpoints.raw(4, 255);
    const sink = road.right.endpoints.raw(4, 99);
    if (typeof raw === "number" || typeof sink === "number") throw new Error("no endpoint");
    raw.includeHeader = true;
    const b = new Uint8Array(36);
    b.set([0x48, 0, 0, 36, 0, 1, 0, 0, 64, 99, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2]);
    b.set([7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0], 20);
    raw.send(b, 0, 36, ip("10.2.0.2"), 0);
    road.world.run(1 * SECOND);
    const got = new Uint8Array(100);
    expect(sink.receive(got, 0, 100, newDatagramInfo(), false)).toBe(36);
    // The router by its address on the way out, and the end of the way (__ip_options_compile).
    expect([...got.subarray(20, 31)]).toEqual([7, 11, 12, 10, 2, 0, 1, 10, 2, 0, 2]);
  });
});

describe("a chain of routers", () => {
  it("is walked by a trace, hop by hop", () => {
    const world = new World();
    const stacks = Array.from({ length: 6 }, () => world.stack());
    for (let i = 0; i + 1 < stacks.length; i++) {
      world.join(stacks[i], stacks[i + 1], { a: [`10.${i}.0.1/24`], b: [`10.${i}.0.2/24`] });
    }
    stacks.forEach((stack, i) => {
      if (i > 0 && i < 5) stack.forwarding.enable(4, true);
      const onward = stack.nics[stack.nics.length - 1];
      if (i < 5) defaultRoute(stack, onward, `10.${i}.0.2`);
      for (let net = 0; net < i - 1; net++) {
        const dst = IpAddr.v4(10, net, 0, 0);
        const gateway = ip(`10.${i - 1}.0.1`);
        stack.routes.add({ dst, prefixBits: 24, gateway, nicId: stack.nics[1].id });
      }
    });
    const probe = udp(stacks[0], 4);
    const hops: string[] = [];
    for (let ttl = 1; ttl <= 5; ttl++) {
      probe.options.ttl = ttl;
      probe.send(new Uint8Array(8), 0, 8, ip("10.4.0.2"), PORT + ttl);
      world.run(3 * SECOND);
      hops.push(`${probe.takeErrorEntry()?.offender}`);
      probe.takeError();
    }
    expect(hops).toEqual(["10.0.0.2", "10.1.0.2", "10.2.0.2", "10.3.0.2", "10.4.0.2"]);
  });
});
