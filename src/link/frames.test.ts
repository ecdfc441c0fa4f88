import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { setU16Le, setU32, setU32Le, u16, u32 } from "../base/bytes.ts";
import { ManualClock } from "../base/clock.ts";
import {
  GSO_TCPV4,
  IpAddr,
  type LinkEndpoint,
  type LinkSink,
  PacketBuffer,
  pseudoSum,
  Segmenter,
  sum16,
} from "../netstack/index.ts";
import { CaptureLink } from "./capture/capture-link.ts";
import { type PcapFormat, PcapWriter } from "./capture/pcap-writer.ts";
import { FrameStream, writeStreamHeader } from "./frame-stream.ts";
import { Switch } from "./switch.ts";
import { readVirtioNet, VNET_HEADER, writeVirtioNet } from "./virtio-net.ts";

const A = IpAddr.v4(10, 0, 0, 1);
const B = IpAddr.v4(10, 0, 0, 2);

/** Ethernet, IPv4 and TCP (PSH, ACK) around `payloadBytes`, the payload as a gathered piece. */
function tcpPacket(payloadBytes: number, gsoSize: number): PacketBuffer {
  const pkt = new PacketBuffer();
  pkt.reset();
  const b = pkt.bytes;
  const o = pkt.start;
  const total = 40 + payloadBytes;
  b.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
  b.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0], o);
  b.set([0x45, 0, total >> 8, total & 255, 0, 9, 0x40, 0, 64, 6, 0, 0], o + 14);
  A.write(b, o + 26, 4);
  B.write(b, o + 30, 4);
  const ip = ~sum16(b, o + 14, 20) & 0xffff;
  b.set([ip >> 8, ip & 255], o + 24);
  b.set(
    [0x9c, 0x40, 0, 80, 0xff, 0xff, 0xff, 0x00, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0],
    o + 34,
  );
  const pseudo = pseudoSum(A, B, 6, 20 + payloadBytes);
  b.set([pseudo >> 8, pseudo & 255], o + 50);
  pkt.end = o + 54;
  pkt.l3 = o + 14;
  pkt.l4 = o + 34;
  pkt.protocol = 6;
  pkt.fragBytes = Uint8Array.from({ length: payloadBytes + 3 }, (_, i) => i * 31);
  pkt.fragOffset = 3;
  pkt.fragLength = payloadBytes;
  pkt.checksumPartial = true;
  pkt.checksumOffset = 16;
  pkt.gsoType = gsoSize > 0 ? GSO_TCPV4 : 0;
  pkt.gsoSize = gsoSize;
  return pkt;
}

const tcpSum = (b: Uint8Array, o: number, end: number): number =>
  sum16(b, o + 34, end - o - 34, pseudoSum(A, B, 6, end - o - 34));

describe("segmentation", () => {
  it("splits a large packet into valid segments that carry its bytes on", () => {
    const pkt = tcpPacket(5000, 1448);
    const payload: number[] = [];
    const lengths: number[] = [];
    let seq = 0xffffff00;
    const ok = new Segmenter().each(pkt, (piece) => {
      const b = piece.bytes;
      const o = piece.start;
      expect(sum16(b, o + 14, 20)).toBe(0xffff);
      expect(tcpSum(b, o, piece.end)).toBe(0xffff);
      expect(u16(b, o + 16)).toBe(piece.end - o - 14);
      expect(u32(b, o + 38)).toBe(seq);
      expect(u16(b, o + 18)).toBe(9 + lengths.length);
      seq = (seq + piece.end - o - 54) >>> 0;
      lengths.push(piece.end - o - 54);
      payload.push(...b.subarray(o + 54, piece.end));
      // PSH only on the last.
      expect(b[o + 47]).toBe(lengths.length === 4 ? 0x18 : 0x10);
      return true;
    });
    expect(ok).toBe(true);
    expect(lengths).toEqual([1448, 1448, 1448, 656]);
    expect(new Uint8Array(payload)).toEqual(pkt.fragBytes?.subarray(3));
  });

  it("refuses a frame that is not what its type says", () => {
    const pkt = tcpPacket(5000, 1448);
    pkt.bytes[pkt.l3 + 9] = 17;
    expect(new Segmenter().each(pkt, () => true)).toBe(false);
    const none = tcpPacket(5000, 0);
    none.gsoType = GSO_TCPV4;
    expect(new Segmenter().each(none, () => true)).toBe(false);
  });
});

describe("virtio-net header", () => {
  const received = (frameBytes: number): PacketBuffer => {
    const pkt = new PacketBuffer();
    pkt.reset();
    pkt.end = pkt.start + frameBytes;
    return pkt;
  };

  it("reads back what it wrote", () => {
    const pkt = tcpPacket(5000, 1448);
    const header = new Uint8Array(VNET_HEADER);
    writeVirtioNet(header, 0, pkt);
    const back = received(pkt.length);
    expect(readVirtioNet(header, 0, back)).toBe(true);
    expect([back.gsoType, back.gsoSize, back.checksumValid]).toEqual([GSO_TCPV4, 1448, true]);
    expect([back.l4 - back.start, back.checksumOffset]).toEqual([34, 16]);
  });

  it.each([
    ["a checksum before the frame's payload", { flags: 1, start: 13, offset: 0 }],
    ["a checksum behind the end", { flags: 1, start: 80, offset: 19 }],
    ["a checksum far behind", { flags: 1, start: 0xffff, offset: 0xffff }],
    ["segments of no size", { flags: 1, start: 34, offset: 16, gso: 1, size: 0 }],
    ["segments without a checksum", { flags: 0, gso: 1, size: 1448 }],
    ["an unknown kind of segments", { flags: 1, start: 34, offset: 16, gso: 9, size: 1448 }],
    ["UDP segments", { flags: 1, start: 34, offset: 6, gso: 5, size: 1448 }],
    [
      "headers longer than the frame",
      { flags: 1, start: 34, offset: 16, gso: 1, size: 9, hdr: 101 },
    ],
  ])("refuses %s", (_, lie: Record<string, number>) => {
    const header = new Uint8Array(VNET_HEADER);
    header[0] = lie.flags;
    header[1] = lie.gso ?? 0;
    setU16Le(header, 2, lie.hdr ?? 0);
    setU16Le(header, 4, lie.size ?? 0);
    setU16Le(header, 6, lie.start ?? 0);
    setU16Le(header, 8, lie.offset ?? 0);
    expect(readVirtioNet(header, 0, received(100))).toBe(false);
  });

  it("takes any ten bytes without reaching past the frame", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 10, maxLength: 10 }), fc.nat(200), (header, n) => {
        const pkt = received(n);
        if (!readVirtioNet(header, 0, pkt)) return;
        expect(n).toBeGreaterThanOrEqual(14);
        if (pkt.checksumPartial) {
          expect(pkt.l4 + pkt.checksumOffset + 2).toBeLessThanOrEqual(pkt.end);
        }
      }),
    );
  });
});

describe("frames on a stream", () => {
  it("come out whole however the bytes were cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 14, max: 3000 })),
        fc.infiniteStream(fc.integer({ min: 1, max: 5000 })),
        (sizes, cuts) => {
          const wire: number[] = [];
          for (const [i, size] of sizes.entries()) {
            const pkt = new PacketBuffer();
            pkt.reset();
            pkt.bytes.fill(i, pkt.start, pkt.start + size);
            pkt.end = pkt.start + size;
            const at = writeStreamHeader(pkt);
            wire.push(...pkt.bytes.subarray(at, pkt.end));
          }
          const stream = new FrameStream();
          const seen: number[] = [];
          const sink = {
            deliver: (pkt: PacketBuffer) => {
              expect(pkt.bytes[pkt.start]).toBe(seen.length);
              expect(pkt.bytes[pkt.end - 1]).toBe(seen.length);
              seen.push(pkt.end - pkt.start);
            },
          };
          for (let at = 0; at < wire.length; ) {
            const n = Math.min(cuts.next().value as number, wire.length - at, stream.space);
            stream.bytes.set(wire.slice(at, at + n), stream.offset);
            stream.commit(n, sink);
            at += n;
          }
          expect(seen).toEqual(sizes);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("stop at a length that cannot be", () => {
    for (const length of [0, 9, 70_000, 0xffff_ffff]) {
      const stream = new FrameStream();
      setU32Le(stream.bytes, stream.offset, length);
      stream.commit(64, null);
      expect(stream.broken).toBe(true);
    }
  });
});

describe("switch", () => {
  it("floods until it has learnt where a station is", () => {
    const hub = new Switch(new ManualClock());
    const heard: string[] = [];
    const [a, b, c] = ["a", "b", "c"].map((name) => {
      const link = hub.connect();
      link.attach({ deliver: () => heard.push(name) });
      return link;
    });
    const send = (from: typeof a, to: Uint8Array): string[] => {
      const pkt = new PacketBuffer();
      pkt.reset();
      pkt.bytes.set(to, pkt.start);
      pkt.bytes.set(from.mac, pkt.start + 6);
      pkt.end = pkt.start + 60;
      heard.length = 0;
      from.send(pkt);
      hub.pump();
      return [...heard].sort();
    };
    expect(send(a, b.mac)).toEqual(["b", "c"]);
    expect(send(b, a.mac)).toEqual(["a"]);
    expect(send(a, b.mac)).toEqual(["b"]);
    expect(send(c, new Uint8Array(6).fill(255))).toEqual(["a", "b"]);
  });

  it("forgets who is unplugged", () => {
    const hub = new Switch(new ManualClock());
    const sent: string[] = [];
    const [a, b] = ["a", "b"].map((name) => {
      let sink: LinkSink | null = null;
      const link: LinkEndpoint = {
        ...{ mtu: 1500, mac: new Uint8Array(6), checksumOffload: true, gsoBytesMax: 0 },
        attach: (given) => {
          sink = given;
        },
        send: () => sent.push(name) > 0,
        close: () => {},
      };
      hub.plug(link);
      const hear = (to: number, from: number): void => {
        const pkt = new PacketBuffer();
        pkt.bytes[pkt.start + 5] = to;
        pkt.bytes[pkt.start + 11] = from;
        pkt.end = pkt.start + 60;
        sink?.deliver(pkt);
      };
      return { link, hear };
    });
    a.hear(9, 1);
    b.hear(1, 2);
    expect(sent).toEqual(["b", "a"]);
    hub.unplug(a.link);
    hub.unplug(a.link);
    // Nobody is left who could have it.
    b.hear(1, 2);
    expect(sent).toEqual(["b", "a"]);
  });
});

const TCPDUMP = ["/usr/bin/tcpdump", "/usr/sbin/tcpdump"].find((path) => existsSync(path));

describe.skipIf(TCPDUMP === undefined)("captures, read by tcpdump", () => {
  // @rfc 1122 4.1.3.4a
  // @rfc 9293 MUST-2
  it.each<PcapFormat>(["us", "ns", "pcapng"])(
    "%s: frames, times and checksums are right",
    (format) => {
      const dir = mkdtempSync(join(tmpdir(), "netcell-pcap-"));
      const chunks: Uint8Array[] = [];
      const sink = {
        write: (b: Uint8Array, o: number, n: number) => chunks.push(b.slice(o, o + n)),
      };
      const clock = new ManualClock(1_700_000_000_000_000_000);
      const inner: LinkEndpoint = {
        mtu: 1500,
        mac: new Uint8Array(6),
        checksumOffload: true,
        gsoBytesMax: 65_535,
        attach: () => {},
        send: () => true,
        close: () => {},
      };
      const writer = new PcapWriter(sink, format);
      const link = new CaptureLink(inner, writer, clock);
      link.send(tcpPacket(100, 0));
      clock.advanceNs(1_500_000);
      link.send(tcpPacket(60_000, 1448));
      const odd = tcpPacket(7, 0);
      setU32(odd.bytes, odd.l4 + 4, 1);
      link.deliver(odd);
      writer.flush();
      const path = join(dir, "x.pcap");
      writeFileSync(path, Buffer.concat(chunks));
      const text = execFileSync(TCPDUMP as string, ["-vvn", "-tt", "-r", path], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
      });
      rmSync(dir, { recursive: true });
      expect(text.match(/\(correct\)/g)?.length).toBe(3);
      expect(text).not.toMatch(/incorrect|truncated|bad cksum/);
      expect(text).toMatch(/length 60000/);
      expect(text).toMatch(/^1700000000\.0000/m);
      // In nanoseconds the clock's own rounding shows, and tcpdump cuts to microseconds.
      expect(text).toMatch(
        format === "us" ? /^1700000000\.001500/m : /^1700000000\.00(1499|1500)/m,
      );
    },
  );
});
