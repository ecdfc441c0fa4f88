// Forged ICMP against connections and paths (RFC 5927, 5461, 6633, 4443 2.4): nothing changes unless the
// error quotes what is in flight, and nothing is ever answered that must not be.

import { beforeEach, describe, expect, it } from "vitest";
import { SECOND } from "../../base/clock.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import { IpAddr } from "../ip-addr.ts";
import type { Path } from "../stack/path.ts";
import { ESTABLISHED } from "../tcp/state.ts";
import type { Tcb } from "../tcp/tcb.ts";
import { Arena, type Honest, STALE } from "./testing.ts";
import {
  be16,
  be32,
  bytesOf,
  datagram,
  ICMP,
  ICMPV6,
  icmp,
  ip,
  ip4,
  ip6,
  PEER,
  PEER6,
  pattern,
  quoted,
  segment,
  stranger,
  stranger6,
  UDP,
  VICTIM,
  VICTIM6,
} from "./testing-frames.ts";

const tcbOf = (endpoint: TcpEndpoint): Tcb => (endpoint as unknown as { tcb: Tcb }).tcb;

let arena: Arena;
let honest: Honest;

/** The victim's segment in flight: sent, and not acknowledged. */
function inFlight(): Uint8Array {
  arena.link.isJoined = false;
  arena.take();
  honest.write(900);
  arena.run();
  arena.link.isJoined = true;
  const frame = arena.take().at(-1);
  if (frame === undefined) throw new Error("nothing was sent");
  return frame;
}

/** The same segment as if its sequence number were another. */
function shifted(frame: Uint8Array, by: number): Uint8Array {
  const f = Uint8Array.from(frame);
  const seq = ((f[38] << 24) | (f[39] << 16) | (f[40] << 8) | f[41]) + by;
  f.set(be32(seq | 0), 38);
  return f;
}

const path = (): Path => arena.victim.findRoute(VICTIM, PEER) as Path;

beforeEach(() => {
  arena = new Arena();
  honest = arena.connect(arena.listen());
});

describe("forged packet too big", () => {
  const tooBig = (frame: Uint8Array, mtu: number): Uint8Array =>
    icmp([3, 4, 0, 0, 0, 0, ...be16(mtu), ...quoted(frame)]);

  // @rfc 5927 4.1
  it("is not believed when the quoted segment is not in flight, nor for a tuple that is not ours", () => {
    const frame = inFlight();
    const foreign = Uint8Array.from(frame);
    foreign.set(be16(9_999), 36);
    for (const forged of [shifted(frame, 1 << 20), shifted(frame, -5_000), foreign]) {
      arena.inject(tooBig(forged, 576));
    }
    expect(path().mtu).toBe(1500);
    expect(tcbOf(honest.server).snd.mss).toBe(1448);
    expect(arena.victim.tcp.stats.OutOfWindowIcmps).toBe(2);
    expect(arena.victim.counters.dropIcmpUnrelated).toBe(3);
    honest.livesOn();
  });

  it("is not believed for a protocol of which nothing was sent", () => {
    for (const protocol of [200, 47, UDP, ICMP]) {
      const never = ip4(pattern(32), { src: VICTIM, dst: PEER, protocol });
      arena.inject(tooBig(never, 576));
    }
    expect(path().mtu).toBe(1500);
    expect(arena.victim.counters.dropIcmpUnrelated).toBe(4);
  });

  // @rfc 5927 7.2
  it("MTU 68 (RFC 1191's floor attack): never below 552, and the connection lives on", () => {
    const frame = inFlight();
    arena.inject(tooBig(frame, 68));
    expect(path().mtu).toBe(552);
    // Without DF from now on, as Linux: a router that really cannot carry 552 may cut.
    expect(path().mtuLocked).toBe(true);
    honest.livesOn();
  });

  it.each([0, 1, 20, 67])(
    "MTU %i is no IPv4 link: ignored, or taken as the next plateau",
    (mtu) => {
      const frame = inFlight();
      arena.inject(tooBig(frame, mtu));
      expect(path().mtu).toBeGreaterThanOrEqual(552);
      honest.livesOn();
    },
  );

  // @rfc 8201 4b
  it("never raises", () => {
    arena.inject(tooBig(inFlight(), 1_000));
    arena.inject(tooBig(inFlight(), 1_400));
    expect(path().mtu).toBe(1_000);
  });

  // @rfc 8201 4a 4d
  it("IPv6: below 1280 is ignored (RFC 8201 4), and so is what quotes nothing of ours", () => {
    const frame = (mtu: number, sport: number): Uint8Array => {
      const never = datagram(pattern(1_200), { src: VICTIM6, dst: PEER6, sport });
      return icmp([2, 0, 0, 0, ...be32(mtu), ...quoted(never)], { src: PEER6 });
    };
    const client = arena.victim.endpoints.udp(6);
    if (typeof client === "number") throw new Error("no endpoint");
    client.bind(VICTIM6, 4_000);
    const mtu = (): number => (arena.victim.findRoute(VICTIM6, PEER6) as Path).mtu;
    for (const claim of [0, 68, 1_279]) arena.inject(frame(claim, 4_000));
    arena.inject(frame(1_300, 4_001));
    expect(mtu()).toBe(1_500);
    arena.inject(frame(1_300, 4_000));
    expect(mtu()).toBe(1_300);
  });
});

describe("forged hard errors (blind connection reset, RFC 5927 5)", () => {
  // @rfc 5927 5.2
  // @rfc 9293 MUST-56
  it.each([
    ["protocol unreachable", 2],
    ["port unreachable", 3],
    ["host unreachable", 1],
    ["administratively prohibited", 13],
  ])(
    "%s: soft for a synchronised connection, even when it quotes a segment in flight",
    (_n, code) => {
      const frame = inFlight();
      arena.inject(icmp([3, code, 0, 0, 0, 0, 0, 0, ...quoted(frame)]));
      arena.inject(icmp([3, code, 0, 0, 0, 0, 0, 0, ...quoted(shifted(frame, 70_000))]));
      expect(tcbOf(honest.server).state).toBe(ESTABLISHED);
      expect(tcbOf(honest.server).error).toBe(0);
      honest.livesOn();
    },
  );

  // @rfc 9293 MUST-55
  it("source quench is ignored (RFC 6633)", () => {
    const frame = inFlight();
    const { cwnd, ssthresh } = tcbOf(honest.server);
    for (let i = 0; i < 100; i++) arena.inject(icmp([4, 0, 0, 0, 0, 0, 0, 0, ...quoted(frame)]));
    expect(tcbOf(honest.server)).toMatchObject({ cwnd, ssthresh });
    expect(arena.victim.counters.icmpInSrcQuenchs).toBe(100);
  });

  it("an IPv4 redirect of who is no router of ours, or that quotes nothing in flight, is not followed", () => {
    const frame = inFlight();
    const before = arena.victim.routes.entries.length;
    for (let code = 0; code < 4; code++) {
      arena.inject(icmp([5, code, 0, 0, ...bytesOf(stranger(6)), ...quoted(frame)]));
      arena.inject(icmp([5, code, 0, 0, ...bytesOf(PEER), ...quoted(shifted(frame, 1 << 20))]));
    }
    expect(arena.victim.routes.entries.length).toBe(before);
    honest.livesOn();
  });

  // @rfc 1122 3.2.2.2b
  it("an IPv4 redirect counts only from the router in use, and to another one on the link", () => {
    const { victim } = arena;
    const prefix = { dst: ip("203.0.113.0"), prefixBits: 24, nicId: arena.nic.id };
    victim.routes.add({ ...prefix, gateway: PEER });
    const sender = victim.endpoints.udp(4);
    if (typeof sender === "number") throw new Error("no endpoint");
    sender.bind(VICTIM, 4_000);
    const far = ip("203.0.113.9");
    const gatewayOf = (dst: IpAddr): string =>
      String(victim.routes.lookup(dst, arena.nic.id)?.gateway);
    const redirect = (gateway: IpAddr, src: IpAddr, dst = far, sport = 4_000, code = 1): void => {
      const sent = datagram(pattern(20), { src: VICTIM, dst, sport });
      arena.inject(icmp([5, code, 0, 0, ...bytesOf(gateway), ...quoted(sent)], { src }));
    };
    const other = stranger(6);
    redirect(other, stranger(7));
    redirect(ip("198.51.100.1"), PEER);
    redirect(VICTIM, PEER);
    redirect(ip("224.0.0.1"), PEER);
    redirect(PEER, PEER);
    redirect(other, PEER, far, 4_001);
    redirect(other, PEER, far, 4_000, 4);
    expect(victim.counters.dropIcmpUnrelated).toBe(7);
    expect(gatewayOf(far)).toBe(PEER.toString());
    redirect(other, PEER);
    expect(gatewayOf(far)).toBe(other.toString());
    victim.acceptsRedirects = false;
    redirect(other, PEER, ip("203.0.113.10"));
    expect(gatewayOf(ip("203.0.113.10"))).toBe(PEER.toString());
    victim.acceptsRedirects = true;
    const before = victim.routes.entries.length;
    for (let n = 0; n < 200; n++) redirect(other, PEER, IpAddr.v4(203, 0, 113, 11 + n));
    expect(victim.routes.entries.length).toBe(before + 63);
    expect(gatewayOf(far)).toBe(PEER.toString());
  });
});

describe("no error for an error, and none to everyone", () => {
  const silent = (frame: Uint8Array): void => {
    arena.take();
    arena.inject(frame);
    arena.run();
    expect(arena.take()).toEqual([]);
  };
  const unknown = (o: object): Uint8Array => ip4(pattern(32), { protocol: 200, src: PEER, ...o });

  // @rfc 4443 2.4e
  // @rfc 1122 3.2.2c
  it("about an ICMP error, also a malformed one", () => {
    silent(icmp([3, 3, 0, 0, 0, 0, 0, 0], { src: PEER }));
    silent(icmp([11, 0, 0, 0, 0, 0, 0, 0, ...pattern(40)], { src: PEER }));
    silent(icmp([1, 4, 0, 0, 0, 0, 0, 0, ...pattern(60)], { src: PEER6 }));
  });

  // @rfc 1122 3.2.2c
  it("about what came by broadcast or multicast, in the link or the network layer (Smurf, Fraggle)", () => {
    const all = [255, 255, 255, 255, 255, 255];
    silent(unknown({ mac: all }));
    silent(unknown({ dst: ip("10.255.255.255") }));
    silent(datagram([1], { src: PEER, dst: ip("255.255.255.255"), mac: all }));
    silent(datagram([1], { src: PEER, mac: all }));
    silent(icmp([8, 0, 0, 0, 0, 1, 0, 1], { src: PEER, dst: ip("10.255.255.255"), mac: all }));
    silent(icmp([128, 0, 0, 0, 0, 1, 0, 1], { src: PEER6, dst: ip("ff02::1") }));
    silent(segment({ src: PEER, dst: ip("10.255.255.255"), flags: 16, mac: all }));
    silent(segment({ src: PEER, flags: 16, mac: all }));
    silent(segment({ src: PEER6, dst: ip("ff02::1"), dport: 99 }));
  });

  // @rfc 1122 3.2.2c
  it("about any fragment but the first", () => {
    silent(unknown({ offset: 64 }));
  });

  it("Chargen and echo loops: an answer is never answered by itself", () => {
    silent(icmp([0, 0, 0, 0, 0, 1, 0, 1], { src: PEER }));
    silent(icmp([129, 0, 0, 0, 0, 1, 0, 1], { src: PEER6 }));
    silent(segment({ src: PEER, dport: 7, sport: 19, flags: 4 }));
  });

  // @rfc 4443 2.4e
  // @rfc 8200 4.2
  it("ICMPv6: a multicast is answered only about its size and about option type 10 (RFC 4443 2.4 e)", () => {
    const options = (type: number): Uint8Array =>
      ip6([59, 0, type, 0, 1, 2, 0, 0], { src: PEER6, dst: ip("ff02::1"), next: 0 });
    silent(options(0xc1));
    expect(arena.victim.counters.icmp6OutParmProblems).toBe(0);
    arena.inject(options(0x81));
    expect(arena.victim.counters.icmp6OutParmProblems).toBe(1);
  });
});

describe("what an error quotes", () => {
  // @rfc 4443 2.4c
  // @rfc 1122 3.2.2b
  it("stays within 576 and 1280 bytes, and is the packet, not the memory behind it", () => {
    for (const frame of [
      ip4(pattern(1_400), { protocol: 200, src: PEER }),
      ip4(pattern(3), { protocol: 200, src: PEER }),
      ip6(pattern(1_400), { next: 200, src: PEER6 }),
      ip6(pattern(3), { next: 200, src: PEER6 }),
    ]) {
      arena.take();
      arena.inject(frame);
      arena.run();
      // IPv6's neighbour may have been asked for first.
      const answer = arena.take().at(-1) as Uint8Array;
      const v4 = answer[14] >>> 4 === 4;
      const header = v4 ? 14 + 20 + 8 : 14 + 40 + 8;
      const quotedBytes = [...answer.subarray(header)];
      expect(quotedBytes).toEqual([...frame.subarray(14, 14 + quotedBytes.length)]);
      expect(answer.length - 14).toBeLessThanOrEqual(v4 ? 576 : 1_280);
    }
  });

  // @rfc 1122 3.2.2.6a
  it("an echo's reply is as long as the request, with nothing of what lay behind it", () => {
    for (const n of [8, 9, 57]) {
      arena.take();
      arena.inject(icmp([8, 0, 0, 0, 0, 1, 0, 1, ...new Uint8Array(n - 8)], { src: PEER }));
      arena.run();
      const [reply] = arena.take();
      expect(reply).toHaveLength(14 + 20 + n);
      expect(reply.includes(STALE)).toBe(false);
    }
  });

  it("checksum before use: a message with a wrong one changes nothing", () => {
    const frame = inFlight();
    const message = icmp([3, 4, 0, 0, 0, 0, ...be16(576), ...quoted(frame)]);
    message[36] ^= 1;
    arena.inject(message);
    expect(path().mtu).toBe(1_500);
    expect(arena.victim.counters.icmpInCsumErrors).toBe(1);
  });
});

describe("floods", () => {
  // @rfc 4443 2.4f
  it("errors are limited per second over all destinations, and the limit refills", () => {
    const small = new Arena({ limits: { icmpErrorsPerSecond: 10 } });
    for (let n = 0; n < 5_000; n++) small.inject(datagram([1], { src: stranger(n) }));
    for (let n = 0; n < 5_000; n++) small.inject(datagram([1], { src: stranger6(n) }));
    const { counters } = small.victim;
    expect(counters.icmpOutDestUnreachs).toBeLessThanOrEqual(50);
    expect(counters.icmp6OutDestUnreachs).toBeLessThanOrEqual(50);
    expect(counters.icmpOutRateLimitGlobal + counters.icmp6OutRateLimitGlobal).toBeGreaterThan(
      9_800,
    );
    small.run(2 * SECOND);
    const before = counters.icmpOutDestUnreachs;
    small.inject(datagram([1], { src: PEER }));
    expect(counters.icmpOutDestUnreachs).toBe(before + 1);
  });

  // @rfc 4443 2.4b
  it("a truncated message of any type and length is counted, nothing more", () => {
    for (const [protocol, src] of [
      [ICMP, PEER],
      [ICMPV6, PEER6],
    ] as const) {
      for (let type = 0; type < 256; type++) {
        for (const n of [0, 1, 3, 4, 7]) {
          const body = new Uint8Array(n).fill(type);
          arena.inject(
            src.isV4 ? ip4(body, { protocol, src }) : ip6(body, { next: protocol, src }),
          );
        }
      }
    }
    expect(arena.victim.counters.dropIcmpBad).toBe(2 * 256 * 5);
  });
});
