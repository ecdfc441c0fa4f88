// Attacks on neighbours and routers of the link (RFC 6583, 3756, 4861, 5227, 6980): tables have caps, old
// entries give way, what is in use stays, and a message that breaks one rule of RFC 4861 is void whole.

import { describe, expect, it } from "vitest";
import { MS, SECOND } from "../../base/clock.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NeighborState } from "../stack/neighbor-entry.ts";
import { Arena } from "./testing.ts";
import {
  be16,
  be32,
  bytesOf,
  ICMPV6,
  icmp,
  ip,
  ip6,
  MAC_ATTACKER,
  MAC_PEER,
  MAC_VICTIM,
  PEER,
  PEER6,
  stranger,
  stranger6,
  summed,
  VICTIM,
  VICTIM6,
} from "./testing-frames.ts";

const ROUTER = ip("fe80::1");
const EVIL = ip("fe80::66");
const ALL_NODES = ip("ff02::1");
const AUTO = { mode: "auto" } as const;

interface ArpOptions {
  op?: number;
  senderMac?: readonly number[];
  sender: IpAddr;
  target?: IpAddr;
  broadcast?: boolean;
}
function arp(o: ArpOptions): Uint8Array {
  const mac = o.senderMac ?? MAC_ATTACKER;
  const to = o.broadcast === false ? MAC_VICTIM : [255, 255, 255, 255, 255, 255];
  return Uint8Array.from([
    ...[...to, ...mac, 8, 6, 0, 1, 8, 0, 6, 4, 0, o.op ?? 1],
    ...[...mac, ...bytesOf(o.sender), 0, 0, 0, 0, 0, 0, ...bytesOf(o.target ?? VICTIM)],
  ]);
}
const solicit = (target: IpAddr, ...options: number[]): number[] => [
  ...[135, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(target), ...options],
];
const advert = (target: IpAddr, flags: number, mac = MAC_ATTACKER): number[] => [
  ...[136, 0, 0, 0, flags, 0, 0, 0, ...bytesOf(target), 2, 1, ...mac],
];
const routerAdvert = (lifetimeS: number, ...options: number[]): number[] => [
  ...[134, 0, 0, 0, 64, 0, ...be16(lifetimeS), ...be32(0), ...be32(0), ...options],
];
const prefix = (net: string, validS: number, flags = 0xc0): number[] => [
  ...[3, 4, 64, flags, ...be32(validS), ...be32(validS), 0, 0, 0, 0, ...bytesOf(ip(net))],
];
const source = (mac = MAC_ATTACKER): number[] => [1, 1, ...mac];

function resolved(arena: Arena): void {
  const client = arena.victim.endpoints.udp(4);
  const client6 = arena.victim.endpoints.udp(6);
  if (typeof client === "number" || typeof client6 === "number") throw new Error("no endpoint");
  client.send(new Uint8Array(4), 0, 4, PEER, 9);
  client6.send(new Uint8Array(4), 0, 4, PEER6, 9);
  arena.run(10 * MS);
  client.close();
  client6.close();
}
const macOf = (arena: Arena, addr: IpAddr): number[] => {
  const table = addr.isV4 ? arena.nic.neighbors : arena.nic.neighbors6;
  return [...(table.find(addr)?.mac ?? [])];
};

describe("neighbour table exhaustion (RFC 6583)", () => {
  it("questions from thousands of addresses: a bounded table, and the honest neighbour is found", () => {
    const arena = new Arena({ limits: { neighborEntries: 64 } });
    const honest = arena.connect(arena.listen());
    for (let n = 0; n < 4_000; n++) {
      arena.inject(arp({ sender: stranger(n) }));
      arena.inject(icmp(solicit(VICTIM6, ...source()), { src: stranger6(n) }));
      if (n % 2_000 === 1_999) honest.livesOn(20_000);
    }
    expect(arena.nic.neighbors.size).toBeLessThanOrEqual(64);
    expect(arena.nic.neighbors6.size).toBeLessThanOrEqual(64);
    honest.livesOn();
  });

  it("a program that asks for a whole subnet: incomplete entries give way to those that answer", () => {
    const arena = new Arena({ limits: { neighborEntries: 32 } });
    const honest = arena.connect(arena.listen());
    const scanner = arena.victim.endpoints.udp(4);
    if (typeof scanner === "number") throw new Error("no endpoint");
    for (let n = 0; n < 2_500; n++) {
      scanner.send(new Uint8Array(64), 0, 64, stranger(n), 9);
      if (n % 100 === 0) arena.run(5 * MS);
    }
    expect(arena.nic.neighbors.size).toBeLessThanOrEqual(32);
    // One timer per entry at most.
    expect(arena.victim.timers.size).toBeLessThan(48);
    honest.livesOn();
    arena.run(60 * SECOND);
    expect(arena.nic.neighbors.entries().every((e) => e.queue.length === 0)).toBe(true);
  });

  // @rfc 4861 7.2.2a
  it("packets waiting for one neighbour are bounded, the oldest dropped", () => {
    const arena = new Arena({ limits: { neighborQueuePackets: 8 } });
    const client = arena.victim.endpoints.udp(4);
    if (typeof client === "number") throw new Error("no endpoint");
    for (let i = 0; i < 100; i++) client.send(new Uint8Array(64), 0, 64, stranger(1), 9);
    expect(arena.nic.neighbors.find(stranger(1))?.queue.length).toBe(8);
    expect(arena.drops().dropNeighborQueueFull).toBe(92);
  });
});

describe("ARP spoofing", () => {
  // @rfc 826 1
  it("answers that nobody asked for make no entry, gratuitous or not", () => {
    const arena = new Arena();
    for (let n = 0; n < 500; n++) {
      arena.inject(arp({ op: 2, sender: stranger(n) }));
      arena.inject(arp({ op: 1, sender: stranger(n), target: stranger(n) }));
    }
    expect(arena.nic.neighbors.size).toBe(0);
  });

  it("a fresh entry is not overridden by another's claim (Linux's locktime)", () => {
    const arena = new Arena();
    resolved(arena);
    expect(macOf(arena, PEER)).toEqual(MAC_PEER);
    arena.inject(arp({ op: 2, sender: PEER }));
    expect(macOf(arena, PEER)).toEqual(MAC_PEER);
  });

  // @rfc 5227 2.4
  it("a conflict over our own address is defended, once in ten seconds (RFC 5227 2.4)", () => {
    const arena = new Arena();
    arena.take();
    for (let i = 0; i < 1_000; i++) arena.inject(arp({ sender: VICTIM }));
    expect(arena.take()).toHaveLength(1);
    expect(arena.victim.counters.arpConflicts).toBe(1_000);
    arena.run(11 * SECOND);
    arena.take();
    arena.inject(arp({ sender: VICTIM }));
    expect(arena.take()).toHaveLength(1);
    expect(arena.nic.neighbors.find(VICTIM)).toBeNull();
  });

  it.each([
    ["a multicast sender", { sender: ip("224.0.0.1") }],
    ["a broadcast sender", { sender: ip("255.255.255.255") }],
    ["a loopback sender", { sender: ip("127.0.0.1") }],
    ["an unknown operation", { sender: PEER, op: 9 }],
  ])("%s is dropped", (_name, o) => {
    const arena = new Arena();
    arena.inject(arp(o));
    expect(arena.drops()).toEqual({ dropArpBad: 1 });
    expect(arena.nic.neighbors.size).toBe(0);
  });

  it("every shorter ARP, and every other hardware or protocol form, is dropped", () => {
    const arena = new Arena();
    const good = arp({ sender: PEER });
    for (let n = 14; n < good.length; n++) arena.inject(good.slice(0, n));
    for (const [at, value] of [
      [14, 9],
      [15, 9],
      [16, 9],
      [18, 8],
      [19, 16],
    ]) {
      const lie = good.slice();
      lie[at] = value;
      arena.inject(lie);
    }
    expect(arena.drops()).toEqual({ dropArpBad: good.length - 14 + 5 });
  });
});

describe("Neighbour Discovery spoofing", () => {
  // @rfc 4861 7.2.5a
  it("an advertisement nobody asked for makes no entry", () => {
    const arena = new Arena();
    for (let n = 0; n < 500; n++) {
      arena.inject(icmp(advert(stranger6(n), 0x60), { src: stranger6(n) }));
    }
    expect(arena.nic.neighbors6.size).toBe(0);
  });

  // @rfc 4861 7.2.5b
  it("without Override a different address only makes the entry suspect (RFC 4861 7.2.5)", () => {
    const arena = new Arena();
    resolved(arena);
    arena.inject(icmp(advert(PEER6, 0x40), { src: PEER6 }));
    expect(macOf(arena, PEER6)).toEqual(MAC_PEER);
    expect(arena.nic.neighbors6.find(PEER6)?.state).toBe(NeighborState.Stale);
  });

  // @rfc 4861 6.1.2 7.1.1 7.1.2
  it.each([
    ["hop limit 254: it came from beyond the link", { hopLimit: 254 }],
    ["hop limit 1", { hopLimit: 1 }],
  ])("%s", (_name, o) => {
    const arena = new Arena({ ipv6: AUTO });
    arena.run(5 * SECOND);
    const size = arena.nic.neighbors6.size;
    arena.inject(icmp(solicit(VICTIM6, ...source()), { src: PEER6, ...o }));
    arena.inject(icmp(advert(PEER6, 0x60), { src: PEER6, ...o }));
    arena.inject(icmp(routerAdvert(1_800), { src: EVIL, dst: ALL_NODES, ...o }));
    expect(arena.drops().dropNdpBad).toBe(3);
    expect(arena.nic.neighbors6.size).toBe(size);
    expect(arena.nic.ipv6?.routers.routers).toEqual([]);
  });

  // @rfc 6980 5
  it("in a fragment, even an atomic one, it is dropped (RFC 6980)", () => {
    const arena = new Arena();
    const message = summed(solicit(VICTIM6, ...source()), 2, ICMPV6, PEER6, VICTIM6);
    arena.take();
    const inFragment = [58, 0, 0, 0, ...be32(5), ...message];
    arena.inject(ip6(inFragment, { src: PEER6, next: 44, hopLimit: 255 }));
    const half = (at: number, more: number, part: Uint8Array): Uint8Array =>
      ip6([58, 0, ...be16(at | more), ...be32(6), ...part], {
        src: PEER6,
        next: 44,
        hopLimit: 255,
      });
    arena.inject(half(0, 1, message.slice(0, 16)));
    arena.inject(half(16, 0, message.slice(16)));
    expect(arena.drops()).toEqual({ dropNdpBad: 2 });
    expect(arena.take()).toEqual([]);
  });

  // @rfc 4861 4.6
  it("an option of length zero, or beyond the message, voids it: no endless loop (AMNESIA:33)", () => {
    const arena = new Arena();
    for (const option of [
      [1, 0, 2, 0, 0, 0, 0, 1],
      [1, 2, 2, 0, 0, 0, 0, 1],
      [1, 255, 2, 0, 0, 0, 0, 1],
      [0, 0],
      [1],
    ]) {
      arena.inject(icmp(solicit(VICTIM6, ...option), { src: PEER6 }));
    }
    expect(arena.drops()).toEqual({ dropNdpBad: 5 });
    expect(arena.nic.neighbors6.find(PEER6)).toBeNull();
  });

  // @rfc 4861 7.1.1
  it("a group address as a neighbour's own is not learned", () => {
    const arena = new Arena();
    arena.inject(icmp(solicit(VICTIM6, ...source([1, 0, 0, 0, 0, 9])), { src: PEER6 }));
    expect(arena.nic.neighbors6.find(PEER6)).toBeNull();
    arena.inject(icmp(solicit(ip("ff02::1"), ...source()), { src: PEER6 }));
    expect(arena.drops()).toEqual({ dropNdpBad: 1 });
  });

  // @rfc 4861 7.2.3
  it("huge option lists are walked once, and only the first of a kind counts", () => {
    const arena = new Arena();
    const many: number[] = [];
    for (let i = 0; i < 170; i++) many.push(...source([2, 0, 0, 0, 1, i]));
    arena.inject(icmp(solicit(VICTIM6, ...many), { src: PEER6 }));
    expect(macOf(arena, PEER6)).toEqual([2, 0, 0, 0, 1, 0]);
    expect(arena.nic.neighbors6.size).toBe(1);
  });
});

describe("rogue routers (CVE-2010-4669, RFC 6104)", () => {
  it("a flood fills no more than the caps, and everything ends with its lifetime", () => {
    const arena = new Arena({ ipv6: AUTO });
    arena.run(5 * SECOND);
    const addresses = arena.nic.addresses.length;
    const routes = arena.victim.routes.entries.length;
    for (let n = 0; n < 1_200; n++) {
      const src = ip("fe80::7:0");
      src.w3 = n + 1;
      const net = `2001:db8:${(n + 1).toString(16)}::`;
      const rdnss = [25, 3, 0, 0, ...be32(60), ...bytesOf(stranger6(n))];
      const message = routerAdvert(60, ...prefix(net, 60), ...rdnss, ...source());
      arena.inject(icmp(message, { src, dst: ALL_NODES }));
      if (n % 100 === 0) arena.run(10 * MS);
    }
    arena.run(3 * SECOND);
    const routers = arena.nic.ipv6?.routers;
    expect(routers?.routers.length).toBeLessThanOrEqual(16);
    expect(routers?.prefixes.length).toBeLessThanOrEqual(16);
    expect(routers?.nameServers.length).toBeLessThanOrEqual(8);
    expect(arena.nic.addresses.length - addresses).toBeLessThanOrEqual(16);
    expect(arena.victim.routes.entries.length - routes).toBeLessThanOrEqual(32);
    expect(arena.nic.neighbors6.size).toBeLessThanOrEqual(arena.limits.neighborEntries);
    arena.run(120 * SECOND);
    expect(routers?.routers).toEqual([]);
    expect(routers?.prefixes).toEqual([]);
  });

  it("a link with static addresses takes none", () => {
    const arena = new Arena();
    arena.inject(
      icmp(routerAdvert(1_800, ...prefix("2001:db8:9::", 60)), { src: EVIL, dst: ALL_NODES }),
    );
    expect(arena.nic.ipv6?.routers.routers).toEqual([]);
  });

  // @rfc 4862 5.5.3c
  it("zero lifetimes of a stranger's do not end an address within two hours (RFC 4862 5.5.3 e)", () => {
    const arena = new Arena({ ipv6: AUTO });
    arena.run(5 * SECOND);
    const from = (src: IpAddr, validS: number): void => {
      arena.inject(
        icmp(routerAdvert(1_800, ...prefix("2001:db8:5::", validS)), { src, dst: ALL_NODES }),
      );
      arena.run(3 * SECOND);
    };
    from(ROUTER, 86_400);
    const has = (): boolean => arena.nic.addresses.some((a) => a.isAuto);
    expect(has()).toBe(true);
    from(EVIL, 0);
    arena.run(7_000 * SECOND);
    expect(has()).toBe(true);
  });

  // @rfc 4862 5.5.3b
  // @rfc 4861 6.3.4b
  it.each([
    ["an MTU below 1280", [5, 1, 0, 0, ...be32(68)]],
    ["an MTU above the link's", [5, 1, 0, 0, ...be32(65_535)]],
    ["a preferred lifetime beyond the valid one", [3, 4, 64, 0xc0, ...be32(10), ...be32(20)]],
    ["a link-local prefix", prefix("fe80::", 60)],
    ["a multicast prefix", prefix("ff02::", 60)],
    ["a prefix longer than an address", [3, 4, 200, 0xc0, ...be32(60), ...be32(60)]],
  ])("%s is not taken", (_name, option) => {
    const arena = new Arena({ ipv6: AUTO });
    arena.run(5 * SECOND);
    const before = arena.nic.addresses.length;
    const whole = option[0] === 3 ? [...option, ...new Array(32 - option.length).fill(0)] : option;
    arena.inject(icmp(routerAdvert(1_800, ...whole), { src: ROUTER, dst: ALL_NODES }));
    arena.run(3 * SECOND);
    expect(arena.nic.mtu6).toBe(1_500);
    expect(arena.nic.addresses.length).toBe(before);
  });

  // @rfc 4861 8.1
  it("a redirect counts only from the router in use for that destination", () => {
    const arena = new Arena({ ipv6: AUTO });
    arena.run(5 * SECOND);
    arena.inject(icmp(routerAdvert(1_800), { src: ROUTER, dst: ALL_NODES }));
    const far = ip("2001:db8:77::1");
    const redirect = [137, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(EVIL), ...bytesOf(far)];
    arena.inject(icmp(redirect, { src: EVIL }));
    arena.inject(icmp(redirect, { src: PEER6 }));
    expect(arena.nic.ipv6?.routers.redirects.entries).toEqual([]);
    for (let n = 0; n < 500; n++) {
      const to = stranger6(n);
      to.w1 = 0x77;
      const one = [137, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(EVIL), ...bytesOf(to)];
      arena.inject(icmp(one, { src: ROUTER }));
    }
    expect(arena.nic.ipv6?.routers.redirects.entries.length).toBeLessThanOrEqual(64);
  });
});

describe("DAD denial of service (RFC 3756 4.1.3)", () => {
  // @rfc 4862 5.4.5
  it("who claims every address we try makes us give up after a bounded number, not try for ever", () => {
    const arena = new Arena({ ipv6: AUTO });
    let probes = 0;
    for (let i = 0; i < 400; i++) {
      for (const frame of arena.take()) {
        // A duplicate probe: a solicitation from ::.
        if (frame[20] !== 58 || frame[54] !== 135 || frame.subarray(22, 38).some((b) => b !== 0)) {
          continue;
        }
        probes++;
        const target = [...frame.subarray(62, 78)];
        const claim = [136, 0, 0, 0, 0x20, 0, 0, 0, ...target, 2, 1, ...MAC_ATTACKER];
        arena.inject(icmp(claim, { src: stranger6(1), dst: ALL_NODES }));
      }
      arena.run(200 * MS);
    }
    expect(probes).toBeLessThan(20);
    expect(arena.nic.ipv6?.tentative.length).toBe(0);
  });
});

describe("group queries (IGMP, MLD)", () => {
  // @rfc 9777 6.2
  // @rfc 9776 5.2
  it("a flood of queries is answered by one report per delay, not one each", () => {
    const arena = new Arena();
    arena.nic.joinGroup(ip("239.1.2.3"));
    arena.run(5 * SECOND);
    arena.take();
    const query = [130, 0, 0, 0, 0, 100, 0, 0, ...new Array(16).fill(0), 0, 0, 0, 0];
    for (let i = 0; i < 2_000; i++) {
      arena.inject(icmp(query, { src: ROUTER, dst: ALL_NODES, hopLimit: 1 }));
    }
    arena.run(5 * SECOND);
    expect(arena.take().length).toBeLessThan(8);
  });

  // @rfc 9777 5.1
  it("a query from beyond the link is dropped", () => {
    const arena = new Arena();
    const query = [130, 0, 0, 0, 0, 100, 0, 0, ...new Array(16).fill(0), 0, 0, 0, 0];
    arena.inject(icmp(query, { src: ROUTER, dst: ALL_NODES, hopLimit: 64 }));
    arena.inject(icmp(query, { src: PEER6, dst: ALL_NODES, hopLimit: 1 }));
    expect(arena.drops()).toEqual({ dropIcmpBad: 2 });
  });
});
