// What routers and groups make a NIC do: router advertisements, redirects, SLAAC, MLDv2 and IGMPv3.

import { describe, expect, it } from "vitest";
import { SECOND } from "../base/clock.ts";
import { IpAddr, type Ipv6Config, NetErr, newDatagramInfo, sum16 } from "../netstack/index.ts";
import {
  ALL_NODES,
  ANY,
  AUTO,
  bytesOf,
  icmp,
  ip,
  MAC_B,
  pattern,
  prefixOption,
  ROUTER,
  receive,
  routerAdvert,
  shown,
  u32Bytes,
  udp,
  World,
} from "./testing-ipv6.ts";

describe("a router's advertisement", () => {
  function listening(config: Partial<Ipv6Config> = {}): World {
    const w = new World({ a: { ...AUTO, ...config }, aAddresses: [] });
    w.run(3 * SECOND);
    return w;
  }

  // @rfc 4861 6.3.7
  it("is asked for three times", () => {
    const w = listening();
    w.run(60 * SECOND);
    expect(w.icmpSent().filter((t) => t === 133)).toHaveLength(3);
  });

  // @rfc 4862 5.5.3a
  // @rfc 4861 6.3.4a 6.3.4b
  it("brings a route, a stable address, the MTU and name servers, and ends with its lifetime", () => {
    const w = listening();
    const server = bytesOf(ip("2001:db8:5::53"));
    w.pair.a.inject(
      routerAdvert(
        1800,
        ...prefixOption("2001:db8:5::", 600, 300),
        ...[5, 1, 0, 0, ...u32Bytes(1400)],
        ...[25, 3, 0, 0, ...u32Bytes(100), ...server],
      ),
    );
    w.run(3 * SECOND);
    const auto = w.nicA.addresses[1];
    expect(auto.addr.toString()).toMatch(/^2001:db8:5:0?:/);
    const path = w.a.findRoute(null, ip("2001:db8:77::1"));
    if (typeof path === "number") throw new Error("no route");
    expect([path.nextHop.toString(), path.src.equals(auto.addr), path.mtu]).toEqual([
      "fe80::1",
      true,
      1400,
    ]);
    expect(w.nicA.ipv6?.routers.nameServers.map((s) => s.addr.toString())).toEqual([
      "2001:db8:5::53",
    ]);
    w.run(100 * SECOND);
    expect(w.nicA.ipv6?.routers.nameServers).toEqual([]);
    w.run(600 * SECOND);
    expect(shown(w.nicA)).toHaveLength(1);
    w.run(1800 * SECOND);
    expect(w.a.findRoute(null, ip("2001:db8:77::1"))).toBe(NetErr.NetworkUnreachable);
  });

  // @rfc 4862 5.5.3c
  it("cannot end a lifetime within two hours", () => {
    const w = listening();
    w.pair.a.inject(routerAdvert(1800, ...prefixOption("2001:db8:5::", 86_400, 3600)));
    w.run(3 * SECOND);
    w.pair.a.inject(routerAdvert(1800, ...prefixOption("2001:db8:5::", 1, 0)));
    w.run(7000 * SECOND);
    expect(w.nicA.addresses).toHaveLength(2);
    expect(w.nicA.addresses[1].preferredUntilNs).toBeLessThan(w.clock.monotonicNs());
    w.run(300 * SECOND);
    expect(w.nicA.addresses).toHaveLength(1);
  });

  // @rfc 8981 3.4
  it("brings temporary addresses where asked for, the next before the last is deprecated", () => {
    const w = listening({ temporaryAddresses: true });
    w.pair.a.inject(routerAdvert(9000, ...prefixOption("2001:db8:5::", 7200, 3600)));
    w.run(3 * SECOND);
    const temporary = () => w.nicA.addresses.filter((a) => a.temporary);
    expect(temporary()).toHaveLength(1);
    const path = w.a.findRoute(null, ip("2001:db8:77::1"));
    if (typeof path === "number") throw new Error("no route");
    expect(path.src.equals(temporary()[0].addr)).toBe(true);
    // Advertised again and again with shorter lifetimes than a day: it lives on, up to its own cap.
    for (let i = 0; i < 30; i++) {
      w.pair.a.inject(routerAdvert(9000, ...prefixOption("2001:db8:5::", 7200, 3600)));
      w.run(3000 * SECOND);
    }
    expect(temporary().length).toBeGreaterThanOrEqual(2);
    const preferred = temporary().filter((a) => a.preferredUntilNs > w.clock.monotonicNs());
    expect(preferred).toHaveLength(1);
  });

  it("fills no more than the caps in a flood", () => {
    const w = listening();
    for (let i = 1; i < 300; i++) {
      const src = ip(`fe80::${i.toString(16)}`);
      const prefix = prefixOption(`2001:db8:${i.toString(16)}::`, 9000, 9000);
      const message = [134, 0, 0, 0, 64, 0, 7, 8, ...u32Bytes(0), ...u32Bytes(0), ...prefix];
      w.pair.a.inject(icmp(message, { src, dst: ALL_NODES }));
    }
    w.run(3 * SECOND);
    expect(w.nicA.ipv6?.routers.routers).toHaveLength(16);
    expect(w.nicA.ipv6?.routers.prefixes).toHaveLength(16);
    expect(w.nicA.addresses.length).toBeLessThanOrEqual(17);
    expect(w.a.routes.entries.length).toBeLessThan(50);
  });

  // @rfc 4861 8.1
  it("is obeyed in redirects only of the router in use", () => {
    const w = listening();
    w.pair.a.inject(routerAdvert(1800, ...prefixOption("2001:db8:5::", 600, 300)));
    w.run(3 * SECOND);
    const dst = ip("2001:db8:77::1");
    const better = ip("fe80::2");
    const self = w.nicA.addresses[1].addr;
    const redirect = (src: IpAddr) =>
      icmp([137, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(better), ...bytesOf(dst)], { src, dst: self });
    const nextHop = () => {
      const path = w.a.findRoute(null, dst);
      return typeof path === "number" ? path : path.nextHop.toString();
    };
    w.pair.a.inject(redirect(ip("fe80::66")));
    expect(nextHop()).toBe("fe80::1");
    w.pair.a.inject(redirect(ROUTER));
    expect(nextHop()).toBe("fe80::2");
  });
});

describe("groups", () => {
  // @rfc 9777 6.1 8.2.1
  it("are reported on joining and leaving, twice, and when asked", () => {
    const w = new World();
    w.run(5 * SECOND);
    w.sent.length = 0;
    const member = udp(w.a, ANY, 5000);
    const group = ip("ff05::1:3");
    expect(member.memberships.join(group, w.nicA.id)).toBe(0);
    w.run(3 * SECOND);
    const records = () => w.sent.splice(0).map((p) => [p[6], p[7], p[48], p[56]]);
    expect(records()).toEqual([
      [0, 1, 143, 4],
      [0, 1, 143, 4],
    ]);
    const query = [130, 0, 0, 0, 0x03, 0xe8, 0, 0, ...bytesOf(ANY), 2, 125, 0, 0];
    w.pair.a.inject(icmp(query, { src: ROUTER, dst: ALL_NODES, hopLimit: 1 }));
    w.run(2 * SECOND);
    expect(records().every((r) => r[2] === 143 && r[3] === 2)).toBe(true);
    member.memberships.leave(group, w.nicA.id);
    w.run(3 * SECOND);
    expect(records()).toEqual([
      [0, 1, 143, 3],
      [0, 1, 143, 3],
    ]);
  });

  it("carry datagrams to those who joined", () => {
    const w = new World();
    const group = ip("ff02::123");
    const member = udp(w.b, ANY, 5000);
    const stranger = w.b.endpoints.udp(6);
    if (typeof stranger === "number") throw new Error("no endpoint");
    stranger.options.reuseAddress = true;
    // Otherwise it hears every group that the stack has joined, as on Linux (IPV6_MULTICAST_ALL).
    stranger.options.multicastAll = false;
    member.options.reuseAddress = true;
    expect(stranger.bind(ANY, 5000)).toBe(0);
    expect(member.memberships.join(group, w.nicB.id)).toBe(0);
    const sender = udp(w.a, ANY, 0);
    sender.options.boundNicId = w.nicA.id;
    expect(sender.send(pattern(9), 0, 9, group, 5000)).toBe(9);
    w.run();
    const info = newDatagramInfo();
    expect(receive(member, info)).toEqual(pattern(9));
    expect(info.localAddr.toString()).toBe("ff02::123");
    expect(receive(stranger)).toBe(NetErr.WouldBlock);
  });

  // @rfc 9776 4 5.1 7.2.1
  it("of IPv4 are reported by IGMPv3, and to an older querier in its words", () => {
    const w = new World();
    const v4 = IpAddr.v4(10, 0, 0, 1);
    w.a.interfaces.addAddress(w.nicA, v4, 24);
    const reports: number[][] = [];
    w.pair.a.filter = (pkt) => {
      const b = pkt.bytes.subarray(pkt.start + 14, pkt.end);
      if (b[0] >>> 4 === 4 && b[9] === 2) reports.push([b[0], b[8], b[24], ...b.subarray(16, 20)]);
      return true;
    };
    const member = w.a.endpoints.udp(4);
    if (typeof member === "number") throw new Error("no endpoint");
    member.memberships.join(IpAddr.v4(239, 1, 2, 3), w.nicA.id);
    w.run(3 * SECOND);
    expect(reports.splice(0)).toEqual([
      [0x46, 1, 0x22, 224, 0, 0, 22],
      [0x46, 1, 0x22, 224, 0, 0, 22],
    ]);
    const query = [0x11, 10, 0xee, 0xf5, 0, 0, 0, 0];
    const header = [0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 2, 224, 0, 0, 1];
    const sum = ~sum16(Uint8Array.from(header), 0, 20) & 0xffff;
    header.splice(10, 2, sum >> 8, sum & 255);
    w.pair.a.inject(Uint8Array.from([1, 0, 0x5e, 0, 0, 1, ...MAC_B, 8, 0, ...header, ...query]));
    w.run(2 * SECOND);
    expect(reports).toEqual([[0x46, 1, 0x16, 239, 1, 2, 3]]);
  });
});
