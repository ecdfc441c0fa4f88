// IPv4 options between stacks: source routes through a router that follows them, and what connections do with them.

import { describe, expect, it } from "vitest";
import { SECOND } from "../../base/clock.ts";
import {
  type DatagramEndpoint,
  IpAddr,
  IpOptions,
  parseIp,
  type Stack,
  type TcpEndpoint,
} from "../../netstack/index.ts";
import { World } from "./world.ts";

const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
const ANY = IpAddr.v4(0, 0, 0, 0);

function optionsOf(stack: Stack, ...bytes: number[]): IpOptions {
  const host = stack.ipv4.options;
  const options = IpOptions.ofUser(Uint8Array.from(bytes), 0, bytes.length, true, host);
  if (options === null) throw new Error("bad options");
  return options;
}
const loose = (...hops: string[]): number[] => [
  ...[131, 3 + 4 * hops.length, 4],
  ...hops.flatMap((hop) => hop.split(".").map(Number)),
];

/** left - router - right, of IPv4; left knows no other way than its own link. */
function road(): { world: World; left: Stack; router: Stack; right: Stack } {
  const world = new World();
  const [left, router, right] = [world.stack(), world.stack(), world.stack()];
  world.join(left, router, { a: ["10.1.0.2/24"], b: ["10.1.0.1/24"] });
  world.join(router, right, { a: ["10.2.0.1/24"], b: ["10.2.0.2/24"] });
  router.forwarding.enable(4, true);
  for (const stack of [left, router, right]) stack.acceptsSourceRoutes = true;
  world.run(1 * SECOND);
  return { world, left, router, right };
}

/** A connection from left to right over `options`; both ends, after a second. */
function connect(
  { world, left, right }: ReturnType<typeof road>,
  options: IpOptions,
): [TcpEndpoint, TcpEndpoint | null] {
  const listener = right.endpoints.tcp(4) as TcpEndpoint;
  listener.bind(ANY, 80);
  listener.listen(5);
  const client = left.endpoints.tcp(4) as TcpEndpoint;
  client.setIpOptions(options);
  client.connect(ip("10.2.0.2"), 80);
  world.run(1 * SECOND);
  return [client, listener.accept()];
}

describe("a source route", () => {
  // @rfc 9293 MUST-51 MUST-53
  // @rfc 1122 3.2.1.8b
  it("carries a connection there, and back, where neither end has a route to the other", () => {
    const all = road();
    const [client, server] = connect(all, optionsOf(all.left, ...loose("10.1.0.1")));
    if (server === null) throw new Error("no connection");
    expect(`${server.remoteAddr}`).toBe("10.1.0.2");
    expect(server.ipOptions?.hasSourceRoute).toBe(true);
    const bytes = new Uint8Array(20_000).fill(5);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      let got = 0;
      for (let sent = 0; got < bytes.length; all.world.run(1 * SECOND)) {
        sent += Math.max(0, from.write(bytes, sent, bytes.length - sent, 0));
        for (let n = 1; n > 0; got += Math.max(0, n)) n = to.read(bytes, 0, bytes.length, false);
      }
      expect(got).toBe(bytes.length);
    }
    expect(all.router.counters.ipForwDatagrams).toBeGreaterThan(30);
  });

  // @rfc 9293 MUST-52
  it("of the user takes the place of the one that came", () => {
    const all = road();
    const [, server] = connect(all, optionsOf(all.left, ...loose("10.1.0.1")));
    if (server === null) throw new Error("no connection");
    const own = optionsOf(all.right, ...loose("10.2.0.1", "10.1.0.2"));
    expect(server.setIpOptions(own)).toBe(0);
    expect(server.ipOptions).toBe(own);
  });

  it("is refused unless wanted: by the router, and by the end", () => {
    for (const who of ["router", "right"] as const) {
      const all = road();
      all[who].acceptsSourceRoutes = false;
      const [, server] = connect(all, optionsOf(all.left, ...loose("10.1.0.1")));
      expect(server).toBeNull();
      expect(all[who].counters.dropIpOptions).toBeGreaterThan(0);
    }
  });

  it("is refused by an interface that has it off, whatever the others have", () => {
    const all = road();
    const [, near, far] = all.router.nics;
    far.acceptsSourceRoutes = false;
    expect(connect(all, optionsOf(all.left, ...loose("10.1.0.1")))[1]).toBeNull();
    expect(all.router.counters.dropIpOptions).toBeGreaterThan(0);
    expect(all.router.counters.ipForwDatagrams).toBeGreaterThan(0);
    const one = road();
    one.router.nics[1].acceptsSourceRoutes = false;
    expect(connect(one, optionsOf(one.left, ...loose("10.1.0.1")))[1]).toBeNull();
    expect(one.router.counters.ipForwDatagrams).toBe(0);
    expect(near.acceptsSourceRoutes).toBe(true);
  });

  it("that is strict and leads off the link is answered by the router", () => {
    const all = road();
    const udp = all.left.endpoints.udp(4) as DatagramEndpoint;
    udp.options.receiveErrors = true;
    all.router.routes.add({
      dst: ip("10.3.0.0"),
      prefixBits: 24,
      gateway: ip("10.2.0.2"),
      nicId: 3,
    });
    const route = loose("10.1.0.1");
    route[0] = 137;
    udp.setIpOptions(optionsOf(all.left, ...route));
    udp.send(new Uint8Array(4), 0, 4, ip("10.3.0.9"), 9);
    all.world.run(1 * SECOND);
    expect(udp.takeErrorEntry()).toMatchObject({ type: 3, code: 5 });
  });
});

describe("segments", () => {
  // @rfc 9293 MUST-16
  it("are shorter by the options that they carry", () => {
    const all = road();
    const options = optionsOf(all.left, ...loose("10.1.0.1"), 7, 7, 4, 0, 0, 0, 0);
    const [client] = connect(all, options);
    const sizes: number[] = [];
    const { ipv4 } = all.right;
    const input = ipv4.input.bind(ipv4);
    ipv4.input = (nic, pkt, fromSelf) => {
      sizes.push(pkt.end - pkt.l3);
      input(nic, pkt, fromSelf);
    };
    client.write(new Uint8Array(9000), 0, 9000, 0);
    all.world.run(1 * SECOND);
    expect(Math.max(...sizes)).toBe(1500);
    expect(sizes.filter((n) => n === 1500).length).toBe(6);
  });
});
