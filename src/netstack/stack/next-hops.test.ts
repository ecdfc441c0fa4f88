import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { World } from "../../lab/sim/world.ts";
import { type Family, IPV4, IPV6, IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { parseIp } from "../parse-ip.ts";
import { PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import { flowKey } from "./flow-key.ts";
import { NeighborState } from "./neighbor-entry.ts";
import { HashPolicy, type NextHopConfig } from "./next-hops.ts";
import type { Nic } from "./nic.ts";
import type { Path } from "./path.ts";

const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);

/** A stack on two links, and routes to one net by a router on each; or (one: true) by two on the first link. */
function start(family: Family, weights = [1, 1], one = false) {
  const world = new World();
  const stack = world.stack();
  const nets = family === IPV4 ? ["10.1.0.", "10.2.0."] : ["fd01::", "fd02::"];
  const bits = family === IPV4 ? 24 : 64;
  for (const net of nets) {
    world.join(stack, world.stack(), { a: [`${net}1/${bits}`], b: [`${net}2/${bits}`] });
  }
  world.run(3_000_000_000);
  const [, eth0, eth1] = stack.nics as readonly [Nic, Nic, Nic];
  const gateways = one
    ? [ip(`${nets[0]}2`), ip(`${nets[0]}3`)]
    : [ip(`${nets[0]}2`), ip(`${nets[1]}2`)];
  const hops: NextHopConfig[] = gateways.map((gateway, i) => ({
    gateway,
    nicId: one || i === 0 ? eth0.id : eth1.id,
    weight: weights[i],
  }));
  const dst = family === IPV4 ? ip("198.51.0.0") : ip("2001:db8::");
  const prefixBits = family === IPV4 ? 16 : 32;
  const added = stack.routes.add({
    dst,
    prefixBits,
    gateway: hops[0].gateway,
    nicId: hops[0].nicId,
    hops,
  });
  expect(added).toBe(0);
  const far = (n: number): IpAddr =>
    family === IPV4 ? IpAddr.v4(198, 51, n >> 8, n & 255) : ip(`2001:db8::${n.toString(16)}`);
  /** How many of `count` destinations take the first hop. */
  const share = (count = 2_000): number => {
    let first = 0;
    for (let n = 0; n < count; n++) if (hopTo(far(n)).equals(gateways[0])) first++;
    return first / count;
  };
  const hopTo = (to: IpAddr, src: IpAddr | null = null, srcPort = 0): IpAddr => {
    const path = stack.findRoute(src, to, 0, 0, flowKey(PROTO_TCP, srcPort, 80, 0, 0));
    expect(path).toBeTypeOf("object");
    return (path as Path).nextHop;
  };
  return {
    world,
    stack,
    eth0,
    eth1,
    gateways,
    far,
    share,
    hopTo,
    multipath: stack.routes.multipath,
  };
}

describe.each<Family>([IPV4, IPV6])("a route with several next hops (IPv%d)", (family) => {
  it("shares destinations out by weight, and keeps each on its hop", () => {
    const w = start(family, [3, 1]);
    expect(w.share()).toBeGreaterThan(0.7);
    expect(w.share()).toBeLessThan(0.8);
    const before = Array.from({ length: 50 }, (_, n) => `${w.hopTo(w.far(n))}`);
    w.stack.routes.generation++;
    expect(before).toEqual(Array.from({ length: 50 }, (_, n) => `${w.hopTo(w.far(n))}`));
    expect(new Set(before).size).toBe(2);
  });

  it("gives ports a say where the policy does so, and not where it does not", () => {
    const w = start(family);
    const hops = (): number =>
      new Set(Array.from({ length: 50 }, (_, n) => `${w.hopTo(w.far(1), null, 1_000 + n)}`)).size;
    expect(hops()).toBe(1);
    expect(w.stack.asksFlow).toBe(false);
    w.multipath.setPolicy(family, HashPolicy.L4);
    expect(w.stack.asksFlow).toBe(true);
    expect(hops()).toBe(2);
    w.multipath.setPolicy(family, HashPolicy.Inner);
    expect(hops()).toBe(1);
  });

  it("goes on by the others while an interface is down, and is gone with the last one", () => {
    const w = start(family);
    w.stack.interfaces.setUp(w.eth0, false);
    expect(w.share(200)).toBe(0);
    w.stack.interfaces.setUp(w.eth0, true);
    expect(w.share()).toBeGreaterThan(0.4);
    w.stack.interfaces.setUp(w.eth0, false);
    w.stack.interfaces.setUp(w.eth1, false);
    expect(w.stack.findRoute(null, w.far(1))).toBe(NetErr.NetworkUnreachable);
    expect(w.multipath.count).toBe(0);
  });

  it("takes the hop of a given interface", () => {
    const w = start(family);
    for (let n = 0; n < 20; n++) {
      const path = w.stack.findRoute(null, w.far(n), w.eth1.id) as Path;
      expect(path.nextHop.equals(w.gateways[1])).toBe(true);
    }
  });

  it("sends a connection by the link of the address that it has", () => {
    const w = start(family);
    for (let n = 0; n < 20; n++) {
      const path = w.stack.findConnectRoute(null, w.far(n), 0, 0) as Path;
      const [net] = path.nic.addresses.filter((a) => a.addr.equals(path.src));
      expect(net.contains(path.nextHop)).toBe(true);
    }
  });

  it("is told a hash that is the same for both directions, and differs by the seed", () => {
    const w = start(family);
    const [a, b] = [w.far(1), w.far(2)];
    w.multipath.setPolicy(family, HashPolicy.L4);
    const there = w.multipath.hash(a, b, flowKey(PROTO_UDP, 5, 6, 0, 0));
    expect(w.multipath.hash(b, a, flowKey(PROTO_UDP, 6, 5, 0, 0))).toBe(there);
    expect(w.multipath.hash(b, a, flowKey(PROTO_TCP, 6, 5, 0, 0))).not.toBe(there);
    expect(there).toBeLessThan(2 ** 31);
  });
});

describe("neighbours that do not answer", () => {
  it("are left alone where fib_multipath_use_neigh says so, and tried where it does not (IPv4)", () => {
    const w = start(IPV4, [1, 1], true);
    const failed = w.eth0.neighbors.obtain(w.gateways[0]);
    expect(failed?.state).toBe(NeighborState.Failed);
    expect(w.share()).toBeGreaterThan(0.4);
    w.multipath.usesNeighbors = true;
    expect(w.share(200)).toBe(0);
    // Nobody answers: better one that may than none.
    w.eth0.neighbors.obtain(w.gateways[1]);
    w.stack.routes.generation++;
    expect(w.share(200)).toBe(1);
  });

  it("and who was on its way by them finds another, and comes back when they answer again", () => {
    const w = start(IPV4, [1, 1], true);
    w.multipath.usesNeighbors = true;
    const dst = Array.from({ length: 50 }, (_, n) => w.far(n)).find((d) =>
      w.hopTo(d).equals(w.gateways[1]),
    ) as IpAddr;
    const path = w.stack.findRoute(null, dst) as Path;
    // 10.1.0.3 is nobody.
    const udp = w.stack.endpoints.udp(IPV4);
    if (typeof udp === "number") throw new Error("no endpoint");
    udp.send(Uint8Array.of(1), 0, 1, dst, 7);
    w.world.run(5_000_000_000);
    expect(path.isValid).toBe(false);
    expect(w.hopTo(dst).equals(w.gateways[0])).toBe(true);
    w.eth0.neighbors.learn(w.gateways[1], MAC, 0, false, true);
    expect(w.hopTo(dst).equals(w.gateways[1])).toBe(true);
  });

  it("are always left alone once they failed (IPv6)", () => {
    const w = start(IPV6, [1, 1], true);
    w.eth0.neighbors6.obtain(w.gateways[0]);
    expect(w.share(200)).toBe(0);
  });
});

describe("endpoints", () => {
  it("go by the hop of the ports that they end up with", () => {
    const w = start(IPV4, [1, 1], true);
    w.multipath.setPolicy(IPV4, HashPolicy.L4);
    const expected = new Set<string>();
    for (let n = 0; n < 12; n++) {
      const tcp = w.stack.endpoints.tcp(IPV4);
      if (typeof tcp === "number") throw new Error("no endpoint");
      tcp.connect(w.far(5), 80);
      const key = flowKey(PROTO_TCP, tcp.localPort, 80, 0, 0);
      const path = w.stack.findRoute(tcp.localAddr, w.far(5), 0, 0, key) as Path;
      expected.add(`${path.nextHop}`);
      const asked = w.eth0.neighbors.entries().map((entry) => `${entry.addr}`);
      expect(new Set(asked)).toEqual(expected);
    }
    expect(expected.size).toBe(2);
  });

  it("ask anew for another port, where ports have a say", () => {
    const w = start(IPV4);
    w.multipath.setPolicy(IPV4, HashPolicy.L4);
    const udp = w.stack.endpoints.udp(IPV4);
    if (typeof udp === "number") throw new Error("no endpoint");
    const sent = (): number[] => [w.eth0, w.eth1].map((nic) => nic.counters.txPackets);
    const before = sent();
    for (let port = 1; port <= 30; port++) udp.send(Uint8Array.of(1), 0, 1, w.far(1), port);
    w.world.run(1_000_000);
    expect(sent()[0]).toBeGreaterThan(before[0] + 3);
    expect(sent()[1]).toBeGreaterThan(before[1] + 3);
  });
});

describe("next hops", () => {
  it("count against the limit of routes, each", () => {
    const w = start(IPV4);
    const gateway = w.gateways[0];
    const hops = Array.from({ length: DEFAULT_LIMITS.routes }, () => ({
      gateway,
      nicId: w.eth0.id,
    }));
    const route = { dst: ip("192.0.2.0"), prefixBits: 24, gateway, nicId: w.eth0.id, hops };
    expect(w.stack.routes.add(route)).toBe(NetErr.NoBuffers);
    expect(w.stack.routes.add({ ...route, hops: hops.slice(0, 100) })).toBe(0);
    expect(w.multipath.count).toBe(2);
  });

  it("of forwarded IPv6 are chosen by the label too (RFC 6438)", () => {
    const w = start(IPV6);
    w.stack.forwarding.enable(IPV6, true);
    const pkt = w.stack.allocPacket();
    pkt.src.set(ip("fd01::50"));
    pkt.protocol = 59;
    pkt.l3 = pkt.start;
    pkt.l4 = pkt.end = pkt.l3 + 40;
    pkt.bytes.fill(0, pkt.l3, pkt.end);
    const hop = (label: number): string => {
      pkt.bytes[pkt.l3 + 3] = label;
      return `${(w.stack.forwarding.find(w.eth0, pkt, w.far(1)) as Path).nextHop}`;
    };
    const all = Array.from({ length: 20 }, (_, label) => hop(label));
    expect(new Set(all).size).toBe(2);
    expect(Array.from({ length: 20 }, (_, label) => hop(label))).toEqual(all);
  });

  it("of a forwarded flow are chosen by its own addresses", () => {
    const w = start(IPV4);
    w.stack.forwarding.enable(IPV4, true);
    const pkt = w.stack.allocPacket();
    const taken = new Set<string>();
    for (let n = 0; n < 40; n++) {
      pkt.src.set(IpAddr.v4(10, 1, 0, 50 + n));
      const path = w.stack.forwarding.find(w.eth0, pkt, w.far(1)) as Path;
      expect(w.stack.forwarding.find(w.eth0, pkt, w.far(1))).toBe(path);
      taken.add(`${path.nextHop}`);
    }
    expect(taken.size).toBe(2);
  });
});
