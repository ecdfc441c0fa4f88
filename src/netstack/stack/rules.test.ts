import { describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import { World } from "../../lab/sim/world.ts";
import { IPV4, IPV6, IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { parseIp } from "../parse-ip.ts";
import { PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import { flowKey } from "./flow-key.ts";
import type { Path } from "./path.ts";
import { RouteType } from "./route-entry.ts";
import { Rule, RuleAction, type RuleConfig } from "./rules.ts";
import { Stack } from "./stack.ts";

const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
const OFF = ip("198.51.100.9");

/** A stack with two interfaces, one net each, and a default route by the first. */
function start() {
  const world = new World();
  const stack = world.stack();
  world.join(stack, world.stack(), { a: ["10.1.0.1/24"], b: ["10.1.0.2/24"] });
  world.join(stack, world.stack(), { a: ["10.2.0.1/24"], b: ["10.2.0.2/24"] });
  const [, eth0, eth1] = stack.nics;
  const any = IpAddr.v4(0, 0, 0, 0);
  const { routes } = stack;
  routes.add({ dst: any, prefixBits: 0, gateway: ip("10.1.0.2"), nicId: eth0.id });
  routes.add({ dst: any, prefixBits: 0, gateway: ip("10.2.0.2"), nicId: eth1.id, table: 100 });
  const rule = (config: Partial<RuleConfig>): Rule => {
    const made = new Rule({ family: IPV4, priority: 100, action: RuleAction.Table, ...config });
    routes.rules.add(made);
    return made;
  };
  /** The next hop, or the error. */
  const hop = (dst = OFF, src: IpAddr | null = null, nicId = 0, mark = 0): string | number => {
    const path = stack.findRoute(src, dst, nicId, mark);
    return typeof path === "number" ? path : `${path.nextHop}`;
  };
  return { world, stack, routes, rule, hop, eth0, eth1 };
}

describe("routing rules", () => {
  it("lead marked packets, and those of a source, to their own table", () => {
    const { rule, hop } = start();
    rule({ mark: 0x10, markMask: 0xf0, table: 100 });
    rule({ src: ip("10.2.0.1"), srcBits: 32, table: 100 });
    expect(hop()).toBe("10.1.0.2");
    expect(hop(OFF, null, 0, 0x1f)).toBe("10.2.0.2");
    expect(hop(OFF, null, 0, 0x2f)).toBe("10.1.0.2");
    expect(hop(OFF, ip("10.2.0.1"))).toBe("10.2.0.2");
    expect(hop(OFF, ip("10.1.0.1"))).toBe("10.1.0.2");
  });

  it("take effect at once on what has found its way already, and end with their removal", () => {
    const { rule, hop, routes, stack } = start();
    const before = stack.findRoute(null, OFF) as Path;
    expect(hop()).toBe("10.1.0.2");
    const added = rule({ dst: OFF, dstBits: 32, table: 100 });
    expect(before.isValid).toBe(false);
    expect(hop()).toBe("10.2.0.2");
    routes.rules.remove(added);
    expect(hop()).toBe("10.1.0.2");
    expect(routes.rules.of(IPV4)).toBeNull();
  });

  it("let a connection choose by the source it got, and a datagram by the one it was given", () => {
    const { rule, stack } = start();
    rule({ src: ip("10.1.0.1"), srcBits: 32, table: 100 });
    expect(`${(stack.findRoute(null, OFF) as Path).nextHop}`).toBe("10.1.0.2");
    expect(`${(stack.findConnectRoute(null, OFF, 0, 0) as Path).nextHop}`).toBe("10.2.0.2");
  });

  it.each([
    ["unreachable", RuleAction.Unreachable, NetErr.NetworkUnreachable],
    ["prohibit", RuleAction.Prohibit, NetErr.AccessDenied],
    ["blackhole", RuleAction.Blackhole, NetErr.InvalidArgument],
  ])("refuse with %s", (_, action, error) => {
    const { rule, hop } = start();
    rule({ dst: OFF, dstBits: 24, action });
    expect(hop()).toBe(error);
    expect(hop(ip("192.0.2.1"))).toBe("10.1.0.2");
  });

  it.each([
    ["unreachable", RouteType.Unreachable, NetErr.HostUnreachable],
    ["prohibit", RouteType.Prohibit, NetErr.AccessDenied],
    ["blackhole", RouteType.Blackhole, NetErr.InvalidArgument],
    ["throw", RouteType.Throw, NetErr.NetworkUnreachable],
  ])("routes of type %s do so without any rule", (_, type, error) => {
    const { routes, hop } = start();
    routes.add({ dst: OFF, prefixBits: 24, gateway: null, nicId: 0, type });
    expect(hop()).toBe(error);
    expect(hop(ip("192.0.2.1"))).toBe("10.1.0.2");
  });

  it("go on after a throw, after a table without a route, and past what is suppressed", () => {
    const { rule, routes, hop } = start();
    routes.add({
      dst: OFF,
      prefixBits: 24,
      gateway: null,
      nicId: 0,
      type: RouteType.Throw,
      table: 7,
    });
    rule({ priority: 10, table: 7 });
    rule({ priority: 11, table: 8 });
    rule({ priority: 12, table: 254, suppressPrefixBits: 0 });
    rule({ priority: 13, table: 100 });
    expect(hop()).toBe("10.2.0.2");
    // Of main, all but the default route counts.
    expect(hop(ip("10.1.0.77"))).toBe("10.1.0.77");
  });

  it.each([
    ["a protocol", { protocol: PROTO_TCP }, [PROTO_TCP, 1, 2], [PROTO_UDP, 1, 2]],
    ["ports to go to", { dstPorts: { from: 80, to: 82 } }, [PROTO_TCP, 1, 82], [PROTO_TCP, 1, 83]],
    ["ports to come from", { srcPorts: { from: 9, to: 9 } }, [PROTO_UDP, 9, 1], [PROTO_UDP, 8, 1]],
    ["an owner", { uids: { from: 5, to: 7 } }, [0, 0, 0, 7], [0, 0, 0, 4]],
    ["a class, whatever its ECN", { tos: 0x10 }, [0, 0, 0, 0, 0x13], [0, 0, 0, 0, 0x20]],
  ] as const)("ask for %s, and cost nothing before and after", (_, asked, hit, miss) => {
    const { rule, stack, routes } = start();
    const hopOf = ([protocol, from, to, uid = 0, tos = 0]: readonly number[]): string => {
      const key = flowKey(protocol, from, to, uid, tos);
      return `${(stack.findRoute(null, OFF, 0, 0, key) as Path).nextHop}`;
    };
    expect(stack.asksFlow).toBe(false);
    const added = rule({ ...asked, table: 100 });
    expect(stack.asksFlow).toBe(true);
    expect([hopOf(hit), hopOf(miss)]).toEqual(["10.2.0.2", "10.1.0.2"]);
    routes.rules.remove(added);
    const other = rule({ ...asked, invert: true, table: 100 });
    expect([hopOf(hit), hopOf(miss)]).toEqual(["10.1.0.2", "10.2.0.2"]);
    routes.rules.remove(other);
    expect(stack.asksFlow).toBe(false);
  });

  it("read the ports of what passes through, and of no later fragment", () => {
    const { rule, stack, eth0 } = start();
    rule({ protocol: PROTO_UDP, dstPorts: { from: 53, to: 53 }, table: 100 });
    const pkt = stack.allocPacket();
    pkt.src.set(ip("10.1.0.7"));
    pkt.protocol = PROTO_UDP;
    pkt.l3 = pkt.start;
    pkt.l4 = pkt.l3 + 20;
    pkt.end = pkt.l4 + 8;
    pkt.bytes.fill(0, pkt.l3, pkt.end);
    pkt.bytes[pkt.l4 + 3] = 53;
    const hop = (): string => `${(stack.forwarding.find(eth0, pkt, OFF) as Path).nextHop}`;
    expect(hop()).toBe("10.2.0.2");
    pkt.bytes[pkt.l3 + 7] = 1;
    expect(hop()).toBe("10.1.0.2");
    pkt.bytes[pkt.l3 + 7] = 0;
    pkt.bytes[pkt.l4 + 3] = 54;
    expect(hop()).toBe("10.1.0.2");
  });

  it("leave out routes by interfaces of a group", () => {
    const { rule, hop } = start();
    rule({ priority: 10, suppressGroup: 1, table: 100 });
    expect(hop()).toBe("10.2.0.2");
    rule({ priority: 9, suppressGroup: 0, table: 254 });
    expect(hop()).toBe("10.2.0.2");
  });

  it("jump forward, and ignore a jump to where nothing is", () => {
    const { rule, hop } = start();
    rule({ priority: 10, action: RuleAction.Goto, target: 30 });
    rule({ priority: 20, action: RuleAction.Unreachable });
    expect(hop()).toBe(NetErr.NetworkUnreachable);
    rule({ priority: 30, table: 100 });
    expect(hop()).toBe("10.2.0.2");
  });

  it("ask for interfaces by name, also ones that come later", () => {
    const { rule, hop, world, stack, eth1 } = start();
    rule({ oifName: "eth1", oif: eth1.id, table: 100 });
    rule({ priority: 90, iifName: "eth2", iif: -1, action: RuleAction.Prohibit });
    rule({
      priority: 91,
      iifName: "lo",
      iif: stack.loopback.id,
      mark: 5,
      markMask: -1,
      table: 100,
    });
    expect(hop(OFF, null, eth1.id)).toBe("10.2.0.2");
    expect(hop()).toBe("10.1.0.2");
    expect(hop(OFF, null, 0, 5)).toBe("10.2.0.2");
    world.join(stack, world.stack(), { a: ["10.3.0.1/24"], b: ["10.3.0.2/24"] });
    expect(stack.routes.rules.list(IPV4).find((r) => r.iifName === "eth2")?.iif).toBe(4);
  });

  it("keep packets to our own addresses here, unless the table local is asked later", () => {
    const { rule, stack, routes } = start();
    const own = ip("10.2.0.1");
    rule({ dst: own, dstBits: 32, action: RuleAction.Prohibit });
    expect((stack.findRoute(null, own) as Path).isLoopback).toBe(true);
    rule({ priority: 200, table: 255 });
    routes.rules.remove(routes.rules.list(IPV4)[0]);
    expect(stack.findRoute(null, own)).toBe(NetErr.AccessDenied);
    expect((stack.findRoute(null, ip("10.1.0.1")) as Path).isLoopback).toBe(true);
  });

  it("are each family's own", () => {
    const { rule, stack, hop } = start();
    rule({ family: IPV6, action: RuleAction.Prohibit });
    expect(hop()).toBe("10.1.0.2");
    expect(stack.findRoute(null, ip("2001:db8::1"))).toBe(NetErr.AccessDenied);
    expect((stack.findRoute(null, ip("::1")) as Path).isLoopback).toBe(true);
  });

  it("and routes are limited, over all tables", () => {
    const limits = { ...DEFAULT_LIMITS, routes: 10 };
    const stack = new Stack({ clock: new ManualClock(), rng: new SeededRng(1), limits });
    let refused = 0;
    for (let i = 0; i < 20; i++) {
      const dst = IpAddr.v4(10, i, 0, 0);
      const route = { dst, prefixBits: 16, gateway: null, nicId: 1, table: 1000 + i };
      if (stack.routes.add(route) === NetErr.NoBuffers) refused++;
      stack.routes.rules.add(new Rule({ family: IPV4, priority: 9, action: 1, table: i }));
    }
    // Two of the loopback's were there.
    expect(refused).toBe(12);
    expect(stack.routes.rules.list(IPV4)).toHaveLength(10);
  });

  it("go nowhere with what a given interface sends without a route: to its link (IPv4)", () => {
    const { hop, eth1 } = start();
    expect(hop(OFF, null, eth1.id)).toBe(`${OFF}`);
    expect(hop(ip("2001:db8::1"), null, eth1.id)).toBe(NetErr.NetworkUnreachable);
  });
});
