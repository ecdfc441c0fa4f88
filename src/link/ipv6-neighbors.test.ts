// Neighbour Discovery (RFC 4861) and duplicate detection (4862, 7527) between two stacks; who lies is not believed.

import { describe, expect, it } from "vitest";
import { ManualClock, SECOND } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import {
  IpAddr,
  NeighborState,
  NetErr,
  newDatagramInfo,
  pseudoSum,
  Stack,
  sum16,
} from "../netstack/index.ts";
import { MemoryPair } from "./memory-pair.ts";
import {
  A,
  ALL_NODES,
  ANY,
  advert,
  B,
  bytesOf,
  frame,
  ICMPV6,
  icmp,
  ip,
  MAC_B,
  pattern,
  receive,
  shown,
  solicit,
  udp,
  World,
} from "./testing-ipv6.ts";

describe("a NIC without IPv6", () => {
  it("sends none of it and takes none", () => {
    const clock = new ManualClock();
    const pair = new MemoryPair({ clock });
    let sent = 0;
    pair.a.filter = () => {
      sent++;
      return true;
    };
    const stack = new Stack({ clock, rng: new SeededRng(1), limits: { ...DEFAULT_LIMITS } });
    const addr = IpAddr.v4(10, 0, 0, 1);
    const nic = stack.attach(pair.a, { name: "eth0", addresses: [{ addr, prefixBits: 24 }] });
    pair.a.inject(icmp(solicit(ip("fe80::1")), { dst: ALL_NODES }));
    expect(stack.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
    expect([sent, nic.ipv6, stack.counters.dropIpv6Off]).toEqual([0, null, 1]);
    expect(stack.findRoute(null, A)).toBe(NetErr.NetworkUnreachable);
    expect(stack.isLocalAddress(ip("::1"))).toBe(true);
  });
});

describe("neighbours", () => {
  // @rfc 4861 7.2.2a 7.2.4
  it("are asked for by their group, and what waited is sent", () => {
    const w = new World();
    const server = udp(w.b, ANY, 7000);
    const client = udp(w.a, ANY, 0);
    for (const n of [1, 2, 3]) expect(client.send(pattern(n), 0, n, B, 7000)).toBe(n);
    w.run();
    expect(w.a.counters.icmp6OutNeighborSolicits).toBe(1);
    const info = newDatagramInfo();
    for (const n of [1, 2, 3]) expect(receive(server, info)).toEqual(pattern(n));
    expect(info.addr.toString()).toBe(A.toString());
    expect(w.nicA.neighbors6.find(B)?.state).toBe(NeighborState.Reachable);
    expect(w.nicB.neighbors6.find(A)?.state).toBe(NeighborState.Stale);
    // The transport's header is UDP over IPv6 with a real checksum.
    const datagram = w.sent.filter((p) => p[6] === 17)[0];
    expect(
      sum16(datagram, 40, datagram.length - 40, pseudoSum(A, B, 17, datagram.length - 40)),
    ).toBe(0xffff);
  });

  // @rfc 4861 7.2.2b
  it("that do not answer fail after three questions, and the sender hears of it", () => {
    const w = new World();
    const client = udp(w.a, ANY, 0);
    client.options.receiveErrors = true;
    expect(client.connect(ip("2001:db8::dead"), 9)).toBe(0);
    client.send(pattern(1), 0, 1, null, 0);
    w.run(4 * SECOND);
    expect(w.a.counters.icmp6OutNeighborSolicits).toBe(3);
    expect(client.takeError()).toBe(NetErr.HostUnreachable);
  });

  // @rfc 4861 7.2.5b
  it("change their MAC only when the advertisement overrides", () => {
    const w = new World();
    udp(w.a, ANY, 0).send(pattern(1), 0, 1, B, 7000);
    w.run();
    const entry = w.nicA.neighbors6.find(B);
    const other = [2, 1, 2, 9, 9, 9, 9, 9];
    w.pair.a.inject(icmp(advert(B, 0, ...other)));
    expect([[...(entry?.mac ?? [])], entry?.state]).toEqual([MAC_B, NeighborState.Stale]);
    w.pair.a.inject(icmp(advert(B, 0x20, ...other)));
    expect([...(entry?.mac ?? [])]).toEqual(other.slice(2));
    expect(entry?.state).toBe(NeighborState.Stale);
    w.pair.a.inject(icmp(advert(B, 0x60, ...other)));
    expect(entry?.state).toBe(NeighborState.Reachable);
  });

  it("are not learned from an advertisement nobody asked for", () => {
    const w = new World();
    w.pair.a.inject(icmp(advert(B, 0x60, 2, 1, ...MAC_B)));
    expect(w.nicA.neighbors6.size).toBe(0);
  });

  // @rfc 4861 4.6
  it.each([
    ["another hop limit", icmp(solicit(A), { hopLimit: 254 })],
    ["a code", icmp([135, 1, 0, 0, 0, 0, 0, 0, ...bytesOf(A)])],
    ["an option of length 0", icmp(solicit(A, 1, 0, ...MAC_B))],
    ["an option cut short", icmp(solicit(A, 1, 2, ...MAC_B))],
    ["a group as target", icmp(solicit(ALL_NODES))],
    [
      "a source option in a probe",
      icmp(solicit(A, 1, 1, ...MAC_B), { src: ANY, dst: ip("ff02::1:ff00:a") }),
    ],
    ["a solicited advertisement to all", icmp(advert(B, 0x40), { dst: ALL_NODES })],
    [
      "a router with a global address",
      icmp([134, 0, 0, 0, 64, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0], { dst: ALL_NODES }),
    ],
    [
      "an atomic fragment (RFC 6980)",
      frame([ICMPV6, 0, 0, 0, 0, 0, 0, 1, ...icmp(solicit(A)).slice(54)], { next: 44 }),
    ],
  ])("say nothing in a message with %s", (_what, bytes) => {
    const w = new World();
    w.run(2 * SECOND);
    w.icmpSent();
    w.pair.a.inject(bytes);
    expect([w.a.counters.dropNdpBad, w.icmpSent(), w.nicA.neighbors6.size]).toEqual([1, [], 0]);
  });

  it("are no more than the limit, however many speak up", () => {
    const w = new World({ limits: { neighborEntries: 8 } });
    for (let i = 1; i < 200; i++) {
      w.pair.a.inject(
        icmp(solicit(A, 1, 1, 2, 9, 9, 9, 9, i), { src: ip(`2001:db8::1:${i.toString(16)}`) }),
      );
    }
    expect(w.nicA.neighbors6.size).toBe(8);
    expect(w.icmpSent().filter((t) => t === 136)).toHaveLength(199);
  });
});

describe("duplicate address detection", () => {
  // @rfc 4862 5.4 5.4.2
  it("asks before it uses an address, with a link-local one first in line", () => {
    const w = new World({ a: { mode: "static" } });
    expect(w.nicA.addresses).toEqual([]);
    expect(w.a.findRoute(null, B)).toBe(NetErr.NetworkUnreachable);
    w.run(2 * SECOND);
    expect(shown(w.nicA).sort()).toEqual(["2001:db8::a", expect.stringMatching(/^fe80::/)]);
    const probes = w.sent.filter((p) => p[6] === ICMPV6 && p[40] === 135);
    expect(probes).toHaveLength(2);
    for (const p of probes) {
      expect([...p.subarray(8, 24)]).toEqual(bytesOf(ANY));
      expect([p[7], p[64], p[65]]).toEqual([255, 14, 1]);
    }
  });

  // @rfc 4862 5.4.4 5.4.5
  it("leaves an address to its owner", () => {
    const w = new World({ a: { mode: "static" }, aAddresses: [B] });
    w.run(2 * SECOND);
    expect(shown(w.nicA)).toEqual([expect.stringMatching(/^fe80::/)]);
    expect(w.a.counters.ndpConflicts).toBe(1);
  });

  // @rfc 4862 5.4.3
  // @rfc 7527 4
  it("yields to one who asks at the same moment, but not to its own echo", () => {
    const w = new World({ a: { mode: "static" } });
    w.pair.a.filter = (pkt) => {
      const copy = pkt.bytes.slice(pkt.start, pkt.end);
      if (copy[54] === 135) echoes.push(copy);
      return true;
    };
    const echoes: Uint8Array[] = [];
    w.run(1 * SECOND);
    for (const echo of echoes) w.pair.a.inject(echo);
    w.run(2 * SECOND);
    expect(shown(w.nicA)).toContain("2001:db8::a");
    const other = new World({ a: { mode: "static" } });
    other.pair.a.inject(icmp(solicit(A), { src: ANY, dst: ip("ff02::1:ff00:a") }));
    other.run(3 * SECOND);
    expect(shown(other.nicA)).not.toContain("2001:db8::a");
  });

  // @rfc 7217 5
  it("makes another stable identifier when the first is taken", () => {
    const first = new World({ a: { mode: "static" }, aAddresses: [] });
    first.run(2 * SECOND);
    const taken = first.nicA.addresses[0].addr;
    const w = new World({ a: { mode: "static" }, aAddresses: [] });
    expect(w.nicA.ipv6?.tentative[0].addr.equals(taken)).toBe(true);
    w.pair.a.inject(icmp(advert(taken, 0x20), { src: taken, dst: ALL_NODES }));
    w.run(3 * SECOND);
    expect(w.nicA.addresses).toHaveLength(1);
    expect(w.nicA.addresses[0].addr.equals(taken)).toBe(false);
  });
});
