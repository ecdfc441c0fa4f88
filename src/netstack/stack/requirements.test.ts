// Requirements on the network layer that no other test is about (RFC 1122 3, RFC 4443, RFC 8200).

import { describe, expect, it } from "vitest";
import { Arena } from "../attacks/testing.ts";
import {
  datagram,
  icmp,
  ip,
  ip4,
  PEER,
  PEER6,
  pattern,
  quoted,
  VICTIM,
  VICTIM6,
} from "../attacks/testing-frames.ts";
import { NetErr } from "../net-error.ts";

describe("IPv4", () => {
  // @rfc 1122 3.2.1.1 3.2.1.2
  it("another version, and a wrong header checksum, are dropped without a word", () => {
    const arena = new Arena();
    const versions = datagram([1], { src: PEER });
    versions[14] = 0x55;
    const sum = datagram([1], { src: PEER });
    sum[24] ^= 1;
    arena.inject(versions);
    arena.inject(sum);
    arena.run();
    expect(arena.drops()).toEqual({ dropIpHeader: 2 });
    expect(arena.take()).toEqual([]);
  });

  // @rfc 1122 3.2.1.7a
  it("what comes with a low TTL is taken, and nothing leaves with TTL 0", () => {
    const arena = new Arena();
    for (const ttl of [0, 1, 2]) {
      const body = datagram([1], { src: PEER }).subarray(34);
      arena.inject(ip4(body, { src: PEER, ttl }));
    }
    expect(arena.victim.counters.udpNoPorts).toBe(3);
    arena.run();
    const sent = arena.take().filter((f) => f[12] === 8 && f[13] === 0);
    expect(sent.length).toBeGreaterThan(0);
    for (const f of sent) expect(f[22]).toBeGreaterThan(0);
  });

  // @rfc 1122 4.1.3.4b
  it("UDP with a wrong checksum is dropped without a word", () => {
    const arena = new Arena();
    const frame = datagram([1, 2, 3], { src: PEER });
    frame[42] ^= 1;
    arena.inject(frame);
    arena.run();
    expect(arena.drops()).toEqual({ dropUdpChecksum: 1 });
    expect(arena.take()).toEqual([]);
  });

  // @rfc 4443 2.4b
  // @rfc 1122 3.2.2a
  it("ICMP and ICMPv6 of unknown type are dropped without a word", () => {
    const arena = new Arena();
    for (const type of [1, 2, 7, 42, 255])
      arena.inject(icmp([type, 0, 0, 0, 0, 0, 0, 0], { src: PEER }));
    for (const type of [200, 201, 254])
      arena.inject(icmp([type, 0, 0, 0, 0, 0, 0, 0], { src: PEER6 }));
    arena.run();
    expect(arena.drops()).toEqual({ dropIcmpUnknown: 8 });
    expect(arena.take()).toEqual([]);
  });

  // @rfc 1122 3.2.2.4 3.2.2.5
  it.each([
    ["time exceeded", 11, NetErr.HostUnreachable],
    ["parameter problem", 12, NetErr.Protocol],
  ])("%s reaches the application that wants to hear of it", (_name, type, error) => {
    const arena = new Arena();
    const client = arena.victim.endpoints.udp(4);
    if (typeof client === "number") throw new Error("no endpoint");
    client.options.receiveErrors = true;
    client.bind(VICTIM, 4_000);
    client.connect(PEER, 9);
    client.send(pattern(20), 0, 20, null, 0);
    arena.run();
    const sent = arena.take().find((f) => f[23] === 17) as Uint8Array;
    // The peer's own answer, port unreachable, is not what is looked for.
    client.takeError();
    arena.inject(icmp([type, 0, 0, 0, 0, 0, 0, 0, ...quoted(sent)], { src: PEER }));
    expect(client.takeError()).toBe(error);
  });
});

describe("IPv6", () => {
  // @rfc 8200 5
  it("a link below 1280 bytes carries none", () => {
    const arena = new Arena({ mtu: 1_279 });
    expect(arena.nic.ipv6).toBeNull();
    expect(arena.victim.interfaces.addAddress(arena.nic, ip("2001:db8::77"), 64)).toBe(
      NetErr.InvalidArgument,
    );
  });

  // @rfc 4443 2.4a
  it("an ICMPv6 error of unknown type is counted, and never answered", () => {
    const arena = new Arena();
    const sent = datagram(pattern(20), { src: VICTIM6, dst: PEER6, sport: 4_000 });
    for (const type of [0, 5, 100, 127]) {
      arena.inject(icmp([type, 0, 0, 0, 0, 0, 0, 0, ...quoted(sent)], { src: PEER6 }));
    }
    arena.run();
    expect(arena.victim.counters.icmp6InErrors).toBe(4);
    expect(arena.take()).toEqual([]);
  });
});
