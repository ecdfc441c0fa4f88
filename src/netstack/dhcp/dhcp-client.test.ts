import { describe, expect, it } from "vitest";
import { SECOND } from "../../base/clock.ts";
import { World } from "../../lab/sim/world.ts";
import { IpAddr } from "../ip-addr.ts";
import type { Stack } from "../stack/stack.ts";
import * as dhcp from "../wire/dhcp.ts";
import { DhcpClient, type DhcpConfig, DhcpState } from "./dhcp-client.ts";
import type { Lease } from "./lease.ts";
import { DhcpServer, type Options } from "./testing.ts";

const LEASE_S = 3600;
const be32 = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
const ROUTER = [10, 5, 0, 1];
const OFFER: Options = [
  [dhcp.DHCP_SUBNET_MASK, [255, 255, 255, 0]],
  [dhcp.DHCP_ROUTERS, ROUTER],
  [dhcp.DHCP_NAME_SERVERS, [10, 5, 0, 53, 10, 5, 0, 54]],
  [dhcp.DHCP_DOMAIN, [..."lab.example"].map((c) => c.charCodeAt(0))],
  [dhcp.DHCP_MTU, [5, 120]],
  [dhcp.DHCP_LEASE_TIME, be32(LEASE_S)],
];
const GIVEN = IpAddr.v4(10, 5, 0, 77);

class Link {
  readonly world: World;
  readonly station: Stack;
  readonly far: Stack;
  readonly server: DhcpServer;
  readonly client: DhcpClient;
  readonly leases: (Lease | null)[] = [];

  constructor(options: Options = OFFER, config: DhcpConfig = {}, seed = 1) {
    this.world = new World({ seed });
    this.station = this.world.stack();
    this.far = this.world.stack();
    this.world.join(this.station, this.far, { a: [], b: ["10.5.0.1/24"] });
    this.server = new DhcpServer(this.far.nics[1], GIVEN, options);
    const onLease = (lease: Lease | null): void => void this.leases.push(lease);
    this.client = new DhcpClient(this.nic, { hostName: "cell", onLease, ...config });
  }
  get nic() {
    return this.station.nics[1];
  }
  get addresses(): string[] {
    return this.nic.addresses.map((a) => `${a.addr}/${a.prefixBits}`);
  }
  routes(): string[] {
    return this.station.routes.entries
      .filter((e) => e.nicId === this.nic.id)
      .map((e) => `${e.dst}/${e.prefixBits} ${e.gateway ?? "link"} ${e.origin}`);
  }
  start(seconds = 20): this {
    this.client.start();
    this.world.run(seconds * SECOND);
    return this;
  }
}

describe("a DHCP client", () => {
  // @rfc 2131 4.4.1
  it("goes from DISCOVER to an address with its routes, MTU and names", () => {
    const link = new Link().start();
    expect(link.server.types).toEqual([dhcp.DHCPDISCOVER, dhcp.DHCPREQUEST]);
    const [discover, request] = link.server.heard;
    expect([discover.from, discover.isBroadcast, discover.ciaddr]).toEqual(["0.0.0.0", true, 0]);
    expect(request.xid).toBe(discover.xid);
    expect([...(request.options.get(dhcp.DHCP_REQUESTED_ADDRESS) ?? [])]).toEqual([10, 5, 0, 77]);
    expect([...(request.options.get(dhcp.DHCP_SERVER_ID) ?? [])]).toEqual(ROUTER);
    expect(String.fromCharCode(...(request.options.get(dhcp.DHCP_HOST_NAME) ?? []))).toBe("cell");
    expect(link.addresses).toEqual(["10.5.0.77/24"]);
    expect(link.routes()).toEqual(["10.5.0.0/24 link 2", "0.0.0.0/0 10.5.0.1 16"]);
    expect(link.nic.mtu).toBe(1400);
    expect(link.leases).toHaveLength(1);
    expect(link.leases[0]?.nameServers.map(String)).toEqual(["10.5.0.53", "10.5.0.54"]);
    expect(link.leases[0]?.domain).toBe("lab.example");
    expect(link.client.state).toBe(DhcpState.Bound);
  });

  it("leaves its port to others while nothing is exchanged", () => {
    const link = new Link().start();
    const other = link.station.udp.open(4);
    if (typeof other === "number") throw new Error("no endpoint");
    expect(other.bind(IpAddr.v4(0, 0, 0, 0), dhcp.DHCP_CLIENT_PORT)).toBe(0);
  });

  // @rfc 2131 4.1
  it("asks again after 4, 8, 16, 32 and 64 seconds, each with up to one more or less", () => {
    for (const seed of [1, 2, 3]) {
      const link = new Link(OFFER, {}, seed);
      link.server.answers = {};
      link.start(260);
      const times = link.server.heard.map((h) => h.timeNs / SECOND);
      const gaps = times.slice(1).map((t, i) => t - times[i]);
      const nominal = [4, 8, 16, 32, 64, 64, 64].slice(0, gaps.length);
      expect(gaps.length).toBeGreaterThanOrEqual(5);
      gaps.forEach((gap, i) => {
        expect(Math.abs(gap - nominal[i])).toBeLessThanOrEqual(1);
        expect(gap).not.toBe(nominal[i]);
      });
      expect(link.server.heard[2].secs).toBe(Math.floor(times[2] - times[0]));
    }
  });

  it("starts over when its REQUESTs stay without an answer, and when they are refused", () => {
    const silent = new Link();
    silent.server.answers[dhcp.DHCPREQUEST] = 0;
    silent.start(70);
    expect(silent.server.types.slice(0, 6)).toEqual([1, 3, 3, 3, 3, 1]);
    const refusing = new Link();
    refusing.server.answers[dhcp.DHCPREQUEST] = dhcp.DHCPNAK;
    refusing.start(2.5);
    expect(refusing.server.types).toEqual([1, 3, 1, 3, 1, 3]);
    expect(new Set(refusing.server.heard.map((h) => h.xid)).size).toBe(3);
  });

  // @rfc 2131 3.1.5
  // @rfc 5227 2.1.1
  it("declines an address that somebody has, and takes the next", () => {
    const link = new Link();
    link.far.interfaces.addAddress(link.far.nics[1], GIVEN, 24);
    link.client.start();
    link.world.run(5 * SECOND);
    expect(link.server.types).toEqual([1, 3, dhcp.DHCPDECLINE]);
    const declined = link.server.last.options.get(dhcp.DHCP_REQUESTED_ADDRESS) ?? [];
    expect([...declined]).toEqual([10, 5, 0, 77]);
    expect(link.addresses).toEqual([]);
    link.server.offered = IpAddr.v4(10, 5, 0, 78);
    link.world.run(30 * SECOND);
    expect(link.addresses).toEqual(["10.5.0.78/24"]);
  });

  // @rfc 2131 4.4.5
  it("renews at half time with its server, and the lease begins anew", () => {
    const link = new Link().start();
    link.world.run((LEASE_S / 2) * SECOND);
    const renewal = link.server.last;
    expect(link.server.types).toEqual([1, 3, 3]);
    expect([renewal.from, renewal.ciaddr]).toEqual(["10.5.0.77", GIVEN.w3 >>> 0]);
    expect(renewal.options.has(dhcp.DHCP_SERVER_ID)).toBe(false);
    expect(renewal.options.has(dhcp.DHCP_REQUESTED_ADDRESS)).toBe(false);
    link.world.run((LEASE_S / 2 + 10) * SECOND);
    expect(link.server.types).toEqual([1, 3, 3, 3]);
    expect(link.addresses).toEqual(["10.5.0.77/24"]);
  });

  it("asks anybody from T2 on, and loses everything at the end", () => {
    const link = new Link().start();
    link.server.answers = {};
    link.world.run(LEASE_S * 0.95 * SECOND);
    expect(link.client.state).toBe(DhcpState.Rebinding);
    expect(link.addresses).toEqual(["10.5.0.77/24"]);
    link.world.run(LEASE_S * 0.05 * SECOND);
    expect(link.addresses).toEqual([]);
    expect(link.routes()).toEqual([]);
    expect(link.nic.mtu).toBe(1500);
    expect(link.leases.at(-1)).toBeNull();
    expect(link.server.last.type).toBe(dhcp.DHCPDISCOVER);
    link.server.answers = { 1: dhcp.DHCPOFFER, 3: dhcp.DHCPACK };
    link.world.run(100 * SECOND);
    expect(link.addresses).toEqual(["10.5.0.77/24"]);
  });

  // @rfc 2131 4.4.6
  it("gives the address back when it is closed", () => {
    const link = new Link().start();
    // As any use of the network does: the server's MAC address becomes known.
    link.world.run((LEASE_S / 2) * SECOND);
    link.client.close();
    link.world.run(1 * SECOND);
    expect(link.server.last.type).toBe(dhcp.DHCPRELEASE);
    expect(link.server.last.ciaddr).toBe(GIVEN.w3 >>> 0);
    const said = link.server.heard.length;
    link.world.run(2 * LEASE_S * SECOND);
    expect(link.server.heard).toHaveLength(said);
  });

  it("follows a renewed lease that says other things", () => {
    const link = new Link().start();
    link.server.options = [
      ...OFFER.filter(([c]) => c !== dhcp.DHCP_MTU && c !== dhcp.DHCP_ROUTERS),
    ];
    link.world.run((LEASE_S / 2) * SECOND);
    expect(link.routes()).toEqual(["10.5.0.0/24 link 2"]);
    expect(link.nic.mtu).toBe(1500);
    expect(link.leases).toHaveLength(2);
  });
});

describe("what a server says", () => {
  const lease = (options: Options): Lease | null | undefined => new Link(options).start().leases[0];
  const with_ = (...more: Options): Options => [
    ...OFFER.filter(([code]) => !more.some(([c]) => c === code)),
    ...more,
  ];

  // @rfc 3442 1
  it("takes classless routes instead of the router", () => {
    // 10.8.0.0/14 by .9, 192.168.7.0/24 on the link, the default by .2.
    const value = [14, 10, 8, 10, 5, 0, 9, 24, 192, 168, 7, 0, 0, 0, 0, 0, 10, 5, 0, 2];
    const link = new Link(with_([dhcp.DHCP_CLASSLESS_ROUTES, value])).start();
    expect(link.routes()).toEqual([
      "10.5.0.0/24 link 2",
      "192.168.7.0/24 link 16",
      "10.8.0.0/14 10.5.0.9 16",
      "0.0.0.0/0 10.5.0.2 16",
    ]);
  });

  it("reaches a router beyond the mask as a neighbour", () => {
    const link = new Link(with_([dhcp.DHCP_SUBNET_MASK, [255, 255, 255, 255]])).start();
    expect(link.addresses).toEqual(["10.5.0.77/32"]);
    expect(link.routes()).toContain("10.5.0.1/32 link 16");
    expect(typeof link.station.findRoute(null, IpAddr.v4(192, 0, 2, 1))).toBe("object");
  });

  // @rfc 3396 7
  it("puts split options together", () => {
    const found = lease(
      with_([dhcp.DHCP_NAME_SERVERS, [10, 5, 0]], [dhcp.DHCP_NAME_SERVERS, [53, 10, 5, 0, 54]]),
    );
    expect(found?.nameServers.map(String)).toEqual(["10.5.0.53", "10.5.0.54"]);
  });

  it("reads search lists with their pointers, and no loop of them", () => {
    const word = (w: string): number[] => [w.length, ...[...w].map((c) => c.charCodeAt(0))];
    const value = [...word("eng"), ...word("example"), 0, ...word("lab"), 0xc0, 4];
    const list = lease(with_([dhcp.DHCP_DOMAIN_SEARCH, value]))?.search;
    expect(list).toEqual(["eng.example", "lab.example"]);
    expect(lease(with_([dhcp.DHCP_DOMAIN_SEARCH, [0xc0, 0]]))?.search).toEqual([]);
    expect(lease(with_([dhcp.DHCP_DOMAIN_SEARCH, [3, 97, 10, 98, 0]]))?.search).toEqual([]);
  });

  it.each([
    ["no lease time", OFFER.filter(([c]) => c !== dhcp.DHCP_LEASE_TIME)],
    ["a lease of nothing", with_([dhcp.DHCP_LEASE_TIME, be32(0)])],
  ])("does not take %s", (_, options) => {
    const link = new Link(options).start(3);
    expect(link.server.types).toEqual([dhcp.DHCPDISCOVER]);
    expect(link.addresses).toEqual([]);
  });

  it.each([
    [0, 0, 0, 0],
    [127, 0, 0, 1],
    [224, 0, 0, 1],
    [255, 255, 255, 255],
  ])("does not take %i.%i.%i.%i as its address", (a, b, c, d) => {
    const link = new Link();
    link.server.offered = IpAddr.v4(a, b, c, d);
    link.start(3);
    expect(link.server.types).toEqual([dhcp.DHCPDISCOVER]);
  });

  it.each([
    ["a line break", "lab\nnameserver 6.6.6.6"],
    ["a space", "lab example"],
    ["nothing between dots", "lab..example"],
  ])("does not take a domain with %s", (_, text) => {
    const value = [...text].map((c) => c.charCodeAt(0));
    expect(lease(with_([dhcp.DHCP_DOMAIN, value]))?.domain).toBe("");
  });

  it("ignores another's transaction, another's MAC address, and a message cut short", () => {
    for (const mangle of [
      (b: Uint8Array): void => void (b[7] ^= 1),
      (b: Uint8Array): void => void (b[33] ^= 1),
      (b: Uint8Array): void => void (b[236] ^= 1),
      (b: Uint8Array): void => void b.fill(0xfe, 250),
      (b: Uint8Array): void => void (b[0] = 1),
    ]) {
      const link = new Link();
      link.server.mangle = mangle;
      link.start(3);
      expect(link.server.types).toEqual([dhcp.DHCPDISCOVER]);
    }
  });

  it("keeps an infinite lease for ever", () => {
    const link = new Link(with_([dhcp.DHCP_LEASE_TIME, be32(0xffff_ffff)])).start();
    link.world.run(1e7 * SECOND);
    expect(link.server.types).toEqual([1, 3]);
    expect(link.addresses).toEqual(["10.5.0.77/24"]);
  });
});
