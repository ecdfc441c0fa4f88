import { describe, expect, it } from "vitest";
import { IPV4, IPV6, type IpAddr } from "../ip-addr.ts";
import { parseIp } from "../parse-ip.ts";
import { writeIpv4 } from "../wire/ipv4.ts";
import { writeIpv6 } from "../wire/ipv6.ts";
import { forwardKey, replyKey } from "./flow-key.ts";
import { PacketBuffer } from "./packet-buffer.ts";

const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
const [A, B] = [ip("10.0.0.1"), ip("10.0.0.2")];
const [A6, B6] = [ip("2001:db8::1"), ip("2001:db8::2")];

/** A packet of this protocol whose transport header is `head`, then the header of another packet. */
function packet(protocol: number, head: readonly number[], inner: 4 | 6 | 0): PacketBuffer {
  const pkt = new PacketBuffer(600);
  pkt.src.set(ip("192.0.2.1"));
  pkt.dst.set(ip("192.0.2.2"));
  pkt.protocol = protocol;
  pkt.l4 = pkt.start + 20;
  pkt.bytes.set(head, pkt.l4);
  pkt.end = pkt.l4 + head.length;
  if (inner === IPV4) writeIpv4(pkt.bytes, pkt.end, 20, 0, 0, 0, 64, 17, A, B);
  if (inner === IPV6) writeIpv6(pkt.bytes, pkt.end, 0, 0, 17, 64, A6, B6);
  pkt.end += inner === 0 ? 0 : inner === IPV4 ? 20 : 40;
  return pkt;
}
const innerOf = (pkt: PacketBuffer): string => {
  const { innerSrc, innerDst } = forwardKey(pkt, false);
  return `${innerSrc} ${innerDst}`;
};

describe("what a packet on its way through is asked for", () => {
  it.each([
    ["IP in IP", 4, [], IPV4],
    ["IPv6 in IPv4", 41, [], IPV6],
    ["GRE", 47, [0, 0, 8, 0], IPV4],
    ["GRE with a key and a checksum", 47, [0xa0, 0, 0x86, 0xdd, 1, 2, 3, 4, 5, 6, 7, 8], IPV6],
    ["an ICMP error", 1, [3, 3, 0, 0, 0, 0, 0, 0], IPV4],
    ["an ICMPv6 error", 58, [1, 0, 0, 0, 0, 0, 0, 0], IPV6],
  ] as const)("finds what %s carries", (_, protocol, head, inner) => {
    const expected = inner === IPV4 ? `${A} ${B}` : `${A6} ${B6}`;
    const pkt = packet(protocol, head, inner);
    expect(innerOf(pkt)).toBe(expected);
    // Cut off, and of a later fragment, there is nothing to find.
    expect(`${forwardKey(pkt, true).innerSrc}`).toBe("null");
    pkt.end--;
    expect(innerOf(pkt)).toBe("null null");
    pkt.end = pkt.l4;
    expect(innerOf(pkt)).toBe("null null");
  });

  it("takes an echo, and GRE with routing or of PPTP, for what it is", () => {
    expect(innerOf(packet(1, [8, 0, 0, 0, 0, 0, 0, 0], IPV4))).toBe("null null");
    expect(innerOf(packet(58, [128, 0, 0, 0, 0, 0, 0, 0], IPV6))).toBe("null null");
    expect(innerOf(packet(47, [0x40, 0, 8, 0], IPV4))).toBe("null null");
    expect(innerOf(packet(47, [0, 1, 8, 0], IPV4))).toBe("null null");
  });

  it("turns ports round for an answer; an error about it has none", () => {
    const pkt = packet(6, [0, 80, 0x10, 0, 0, 0, 0, 0], 0);
    expect(replyKey(pkt, 7, false)).toMatchObject({ srcPort: 4096, dstPort: 80, uid: 7 });
    expect(replyKey(pkt, 7, true)).toMatchObject({ protocol: 1, srcPort: 0, dstPort: 0 });
    expect(forwardKey(pkt, false)).toMatchObject({ srcPort: 80, dstPort: 4096 });
    pkt.end = pkt.l4 + 3;
    expect(replyKey(pkt, 7, false)).toMatchObject({ srcPort: 0, dstPort: 0 });
  });
});
