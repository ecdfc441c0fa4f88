// Goal: reading is the inverse of writing, for every wire format, whatever the fields and wherever in the
// buffer. Method: fast-check draws the fields, and bytes around what is written must stay as they were.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { i32, u16 } from "../../base/bytes.ts";
import { IpAddr } from "../ip-addr.ts";
import * as arp from "./arp.ts";
import { checksum, pseudoSum, sum16, updateChecksum } from "./checksum.ts";
import * as eth from "./ethernet.ts";
import * as icmp from "./icmp.ts";
import * as icmp6 from "./icmpv6.ts";
import * as ipv4 from "./ipv4.ts";
import * as ipv6 from "./ipv6.ts";
import * as tcp from "./tcp.ts";
import * as options from "./tcp-options.ts";
import * as udp from "./udp.ts";

const SURROUNDING = 0xa5;
const word = fc.integer();
const byte = fc.nat(255);
const u16s = fc.nat(65_535);
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });
const at = fc.nat(7);
const addr4 = word.map((w) => new IpAddr().setV4(w));
const addr6 = fc
  .tuple(word, word, word, word)
  .map(([w0, w1, w2, w3]) => Object.assign(new IpAddr(), { w0, w1, w2, w3 }));

/** A buffer with `length` bytes for `write` at `o`; what lies around them must not change. */
function written(o: number, length: number, write: (b: Uint8Array) => void): Uint8Array {
  const b = new Uint8Array(o + length + 9).fill(SURROUNDING);
  write(b);
  expect(b.subarray(0, o).every((x) => x === SURROUNDING)).toBe(true);
  expect(b.subarray(o + length).every((x) => x === SURROUNDING)).toBe(true);
  return b;
}
const check = <T extends unknown[]>(p: fc.IProperty<T>): void =>
  fc.assert(p, { numRuns: 200, seed: 9 });

describe("written and read back", () => {
  it("Ethernet", () => {
    check(
      fc.property(at, mac, mac, u16s, (o, dst, src, type) => {
        const b = written(o, 14, (to) => eth.writeEthernet(to, o, dst, src, type));
        expect(eth.checkEthernet(b, o, 14)).toBe(true);
        expect(eth.macEquals(b, o + eth.ETH_DST, dst, 0)).toBe(true);
        expect(eth.macEquals(b, o + eth.ETH_SRC, src, 0)).toBe(true);
        expect(eth.ethType(b, o)).toBe(type);
        expect(eth.isGroupMac(b, o)).toBe((dst[0] & 1) === 1);
      }),
    );
  });

  it("ARP", () => {
    check(
      fc.property(at, u16s, mac, word, mac, word, (o, op, sm, si, tm, ti) => {
        // A sender is one station.
        sm[0] = 2;
        const b = written(o, arp.ARP_BYTES, (to) => arp.writeArp(to, o, op, sm, si, tm, ti));
        expect(arp.checkArp(b, o, arp.ARP_BYTES)).toBe(true);
        expect([arp.arpOp(b, o), arp.arpSenderIp(b, o), arp.arpTargetIp(b, o)]).toEqual([
          op,
          si,
          ti,
        ]);
        expect(eth.macEquals(b, o + arp.ARP_SENDER_MAC, sm, 0)).toBe(true);
        expect(eth.macEquals(b, o + arp.ARP_TARGET_MAC, tm, 0)).toBe(true);
        for (let n = 0; n < arp.ARP_BYTES; n++) expect(arp.checkArp(b, o, n)).toBe(false);
      }),
    );
  });

  it("IPv4, and IPv4 with another length, ID and fragment word", () => {
    const total = fc.integer({ min: 20, max: 65_535 });
    check(
      fc.property(
        at,
        total,
        byte,
        u16s,
        u16s,
        byte,
        byte,
        addr4,
        addr4,
        (o, n, tos, id, frag, ttl, proto, src, dst) => {
          const b = written(o, 20, (to) =>
            ipv4.writeIpv4(to, o, n, tos, id, frag, ttl, proto, src, dst),
          );
          const read = (): unknown[] => [
            ...[
              ipv4.ipv4Total(b, o),
              ipv4.ipv4Tos(b, o),
              ipv4.ipv4Id(b, o),
              ipv4.ipv4FragWord(b, o),
            ],
            ...[
              ipv4.ipv4Ttl(b, o),
              ipv4.ipv4Protocol(b, o),
              ipv4.ipv4Src(b, o),
              ipv4.ipv4Dst(b, o),
            ],
          ];
          expect(read()).toEqual([n, tos, id, frag, ttl, proto, src.w3, dst.w3]);
          expect(ipv4.checkIpv4(b, o, n)).toBe(true);
          expect(ipv4.checkIpv4(b, o, n - 1)).toBe(false);
          expect(ipv4.ipv4FragOffset(b, o)).toBe((frag & 0x1fff) * 8);
          expect(ipv4.ipv4IsFragment(b, o)).toBe((frag & 0x3fff) !== 0);
          ipv4.resizeIpv4(b, o, 20, id ^ 1, 0);
          expect(read()).toEqual([20, tos, id ^ 1, 0, ttl, proto, src.w3, dst.w3]);
          expect(ipv4.checkIpv4(b, o, 20)).toBe(true);
          b[o + 8] ^= 1;
          expect(ipv4.checkIpv4(b, o, 20)).toBe(false);
        },
      ),
    );
  });

  it("IPv6 and its fragment header", () => {
    check(
      fc.property(
        at,
        u16s,
        byte,
        byte,
        byte,
        addr6,
        addr6,
        word,
        fc.boolean(),
        (o, n, tos, next, hops, src, dst, id, more) => {
          const b = written(o, 40, (to) => ipv6.writeIpv6(to, o, n, tos, next, hops, src, dst));
          expect(ipv6.checkIpv6(b, o, 40 + n)).toBe(true);
          expect(ipv6.checkIpv6(b, o, 39 + n)).toBe(false);
          expect([ipv6.ipv6Payload(b, o), ipv6.ipv6Tos(b, o), ipv6.ipv6Next(b, o)]).toEqual([
            n,
            tos,
            next,
          ]);
          expect(ipv6.ipv6HopLimit(b, o)).toBe(hops);
          expect(new IpAddr().read(b, o + ipv6.IPV6_SRC, 6).equals(src)).toBe(true);
          expect(new IpAddr().read(b, o + ipv6.IPV6_DST, 6).equals(dst)).toBe(true);
          const f = written(o, 8, (to) =>
            ipv6.writeFragmentHeader(to, o, next, n & 0xfff8, more, id),
          );
          expect([f[o], ipv6.fragmentOffset(f, o), ipv6.fragmentMore(f, o)]).toEqual([
            next,
            n & 0xfff8,
            more,
          ]);
          expect(ipv6.fragmentId(f, o)).toBe(id >>> 0);
        },
      ),
    );
  });

  it("addresses of either family", () => {
    check(
      fc.property(at, addr4, addr6, (o, four, six) => {
        const b = written(o, 4, (to) => four.write(to, o, 4));
        expect(new IpAddr().read(b, o, 4).equals(four)).toBe(true);
        const c = written(o, 16, (to) => six.write(to, o, 6));
        expect(new IpAddr().read(c, o, 6).equals(six)).toBe(true);
      }),
    );
  });

  it("UDP", () => {
    check(
      fc.property(
        at,
        u16s,
        u16s,
        fc.integer({ min: 8, max: 65_535 }),
        u16s,
        (o, sport, dport, n, sum) => {
          const b = written(o, 8, (to) => udp.writeUdp(to, o, sport, dport, n, sum));
          expect(udp.checkUdp(b, o, n)).toBe(true);
          expect(udp.checkUdp(b, o, n - 1)).toBe(false);
          expect([udp.udpSrcPort(b, o), udp.udpDstPort(b, o), udp.udpLength(b, o)]).toEqual([
            sport,
            dport,
            n,
          ]);
          expect(udp.udpChecksum(b, o)).toBe(sum);
        },
      ),
    );
  });

  it("TCP's fixed header", () => {
    const words = fc.integer({ min: 5, max: 15 });
    check(
      fc.property(
        at,
        word,
        word,
        word,
        words,
        byte,
        u16s,
        u16s,
        (o, ports, seq, ack, n, flags, wnd, urg) => {
          const b = written(o, 20, (to) =>
            tcp.encodeTcp(to, o, ports, seq, ack, n * 4, flags, wnd, urg),
          );
          expect((tcp.tcpSrcPort(b, o) << 16) | tcp.tcpDstPort(b, o)).toBe(ports);
          expect([tcp.tcpSeq(b, o), tcp.tcpAck(b, o), tcp.tcpHeaderBytes(b, o)]).toEqual([
            seq,
            ack,
            n * 4,
          ]);
          expect([tcp.tcpFlags(b, o), tcp.tcpWindow(b, o), tcp.tcpUrgent(b, o)]).toEqual([
            flags,
            wnd,
            urg,
          ]);
          expect(tcp.checkTcp(b, o, o + n * 4)).toBe(true);
          expect(tcp.checkTcp(b, o, o + n * 4 - 1)).toBe(false);
          tcp.setTcpChecksum(b, o, urg);
          expect(tcp.tcpChecksum(b, o)).toBe(urg);
        },
      ),
    );
  });

  // @rfc 9293 MUST-4 MUST-68 MUST-69
  it("TCP's options in any order and company", () => {
    const each = fc.record({
      mss: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: 0 }),
      scale: fc.option(fc.nat(14), { nil: -1 }),
      sackOk: fc.boolean(),
      ts: fc.option(fc.tuple(word, word), { nil: null }),
      cookie: fc.option(fc.uint8Array({ minLength: 4, maxLength: 8 }), { nil: null }),
      order: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
      experimental: fc.boolean(),
    });
    check(
      fc.property(each, (e) => {
        const b = new Uint8Array(64);
        const cookie = e.cookie === null ? null : e.cookie.subarray(0, e.cookie.length & ~1);
        let end = 20;
        const writers = [
          () => (e.mss > 0 ? options.writeMss(b, end, e.mss) : 0),
          () => (e.scale >= 0 ? options.writeWindowScale(b, end, e.scale) : 0),
          () => (e.sackOk ? options.writeSackPermitted(b, end) : 0),
          () => (e.ts !== null ? options.writeTimestamps(b, end, e.ts[0], e.ts[1]) : 0),
          () =>
            cookie === null
              ? 0
              : options.writeFastOpen(b, end, cookie, cookie.length, e.experimental),
        ];
        for (const i of e.order) end += writers[i]();
        tcp.encodeTcp(b, 0, 0, 0, 0, end, tcp.SYN, 0, 0);
        const o = new options.TcpOptions();
        options.parseTcpOptions(o, b, 0, true);
        expect(o).toMatchObject({ mss: e.mss, windowScale: e.scale, sackPermitted: e.sackOk });
        expect(o.hasTimestamps ? [o.tsVal, o.tsEcr] : null).toEqual(e.ts);
        const length = cookie?.length ?? options.FAST_OPEN_NONE;
        expect(o.fastOpenLength).toBe(length);
        if (cookie !== null) expect(o.fastOpenCookie.subarray(0, length)).toEqual(cookie);
      }),
    );
  });

  it("SACK blocks beside timestamps", () => {
    check(
      fc.property(
        fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 3 }),
        word,
        (blocks, ts) => {
          const b = new Uint8Array(64);
          let end = 20 + options.writeTimestamps(b, 20, ts, ~ts);
          end += options.writeSackHeader(b, end, blocks.length);
          for (const edge of blocks.flat()) {
            b.set([edge >>> 24, edge >>> 16, edge >>> 8, edge], end);
            end += 4;
          }
          tcp.encodeTcp(b, 0, 0, 0, 0, end, tcp.ACK, 0, 0);
          const o = new options.TcpOptions();
          options.parseTcpOptions(o, b, 0, false);
          expect(o.sackCount).toBe(blocks.length);
          for (const [i, [from, to]] of blocks.entries()) {
            expect([o.sackStart[i], o.sackEnd[i]]).toEqual([from, to]);
          }
          expect([o.tsVal, o.tsEcr]).toEqual([ts, ~ts]);
        },
      ),
    );
  });

  // @rfc 4443 2.3
  it("ICMP and ICMPv6", () => {
    check(
      fc.property(
        at,
        byte,
        byte,
        word,
        fc.uint8Array({ maxLength: 40 }),
        addr6,
        addr6,
        (o, type, code, rest, data, src, dst) => {
          const n = 8 + data.length;
          const b = written(o, n, (to) => {
            icmp.writeIcmp(to, o, type, code, rest >>> 0);
            to.set(data, o + 8);
            icmp.setIcmpChecksum(to, o, checksum(to, o, n));
          });
          expect(icmp.checkIcmp(b, o, n)).toBe(true);
          expect([icmp.icmpType(b, o), icmp.icmpCode(b, o), i32(b, o + 4)]).toEqual([
            type,
            code,
            rest,
          ]);
          icmp.setIcmpEchoId(b, o, code);
          expect(icmp.icmpEchoId(b, o)).toBe(code);
          const c = written(o, n, (to) => {
            icmp.writeIcmp(to, o, type, code, rest >>> 0);
            to.set(data, o + 8);
            icmp6.finishIcmp6(to, o, n, src, dst);
          });
          expect(icmp6.checkIcmp6(c, o, n, src, dst)).toBe(true);
          expect(icmp6.icmp6Rest(c, o)).toBe(rest >>> 0);
          c[o + 4] ^= 0x10;
          expect(icmp6.checkIcmp6(c, o, n, src, dst)).toBe(false);
        },
      ),
    );
  });

  // @rfc 8200 8.1a
  it("a checksum proves itself, and an incremental update equals a new sum", () => {
    check(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 80 }),
        addr4,
        addr4,
        u16s,
        (data, src, dst, value) => {
          const b = new Uint8Array(data.length + (data.length & 1));
          b.set(data);
          b[2] = b[3] = 0;
          const sum = ~sum16(b, 0, b.length, pseudoSum(src, dst, 6, b.length)) & 0xffff;
          b[2] = sum >> 8;
          b[3] = sum & 255;
          expect(sum16(b, 0, b.length, pseudoSum(src, dst, 6, b.length))).toBe(0xffff);
          const old = u16(b, 0);
          const updated = updateChecksum(sum, old, value);
          b[0] = value >> 8;
          b[1] = value & 255;
          b[2] = updated >> 8;
          b[3] = updated & 255;
          expect(sum16(b, 0, b.length, pseudoSum(src, dst, 6, b.length))).toBe(0xffff);
        },
      ),
    );
  });
});
