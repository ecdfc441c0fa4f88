import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CapturedFrame,
  CaptureReader,
  LINKTYPE_ETHERNET,
  LINKTYPE_RAW,
  PcapWriter,
  sourceOf,
} from "../../link/index.ts";
import { IpAddr } from "../../netstack/index.ts";
import { openConnection } from "../sim/conversation.ts";
import { StreamSink, StreamSource } from "../sim/streams.ts";
import { World } from "../sim/world.ts";
import { type DecodeOptions, FrameDecoder } from "./frame-decoder.ts";

function frameOf(bytes: Uint8Array, linkType = LINKTYPE_ETHERNET): CapturedFrame {
  const frame = new CapturedFrame();
  frame.bytes = bytes;
  frame.length = bytes.length;
  frame.originalLength = bytes.length;
  frame.linkType = linkType;
  return frame;
}
const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.replace(/\s/g, "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const text = (bytes: string, options: DecodeOptions = {}, linkType = LINKTYPE_RAW): string =>
  new FrameDecoder(options).text(frameOf(hex(bytes), linkType));

const ECHO = `4500 001c 0001 4000 4001 26de 0a00 0001 0a00 0002  0800 f7fc 0001 0002`;
const QUERY = `4500 0039 0001 0000 4011 66b1 0a00 0001 0a00 0002  3039 0035 0025 0000
  0001 0100 0001 0000 0000 0000  0765 7861 6d70 6c65 0363 6f6d 00 0001 0001`;
const ARP = `ffff ffff ffff 0200 0000 0001 0806  0001 0800 0604 0001 0200 0000 0001 0a00 0001
  0000 0000 0000 0a00 0002`;
const SYN = `4500 0034 0001 4000 4006 26c1 0a00 0001 0a00 0002  c350 0050 0000 0001 0000 0000 8002
  ffff 0000 0000  0204 05b4 0103 0307 0101 0402`;
const NS = `6000 0000 0020 3aff fe80 0000 0000 0000 0000 0000 0000 0001
  ff02 0000 0000 0000 0000 0001 ff00 0002  8700 0000 0000 0000
  fe80 0000 0000 0000 0000 0000 0000 0002  0101 0200 0000 0001`;

describe("a frame", () => {
  it.each([
    [ECHO, {}, "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 2, length 8"],
    [
      ECHO,
      { verbosity: 1 },
      "IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto ICMP (1), length 28)\n    10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 2, length 8",
    ],
    [QUERY, {}, "IP 10.0.0.1.12345 > 10.0.0.2.53: 1+ A? example.com. (29)"],
    [
      SYN,
      {},
      "IP 10.0.0.1.50000 > 10.0.0.2.80: Flags [S], seq 1, win 65535, options [mss 1460,nop,wscale 7,nop,nop,sackOK], length 0",
    ],
    [
      NS,
      {},
      "IP6 fe80::1 > ff02::1:ff00:2: ICMP6, neighbor solicitation, who has fe80::2, length 32",
    ],
  ])("is printed in tcpdump's manner", (bytes, options, expected) => {
    expect(text(bytes, options)).toBe(expected);
  });

  it("shows its Ethernet header where asked", () => {
    expect(text(ARP, {}, LINKTYPE_ETHERNET)).toBe(
      "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28",
    );
    expect(text(ARP, { link: true }, LINKTYPE_ETHERNET)).toBe(
      "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Request who-has 10.0.0.2 tell 10.0.0.1, length 28",
    );
  });

  it("gives its fields, layer by layer", () => {
    const [ip, icmp] = new FrameDecoder().layers(frameOf(hex(ECHO), LINKTYPE_RAW));
    expect(ip).toMatchObject({
      protocol: "ipv4",
      payloadProtocol: "ICMP",
      src: "10.0.0.1",
      dst: "10.0.0.2",
      ttl: 64,
    });
    expect(icmp).toMatchObject({ protocol: "icmp", type: 8, checksumCorrect: true });
  });

  it("is marked where it was cut off, at any byte", () => {
    for (const bytes of [ECHO, QUERY, SYN, NS]) {
      const whole = hex(bytes);
      for (let length = 0; length < whole.length; length++) {
        // Whatever follows IPv6's header and the solicitation may also not be there.
        if (bytes === NS && (length === 40 || length === 64)) continue;
        const frame = frameOf(whole, LINKTYPE_RAW);
        frame.length = length;
        expect(new FrameDecoder({ verbosity: 2 }).text(frame)).toMatch(/\[\||remaining caplen/);
      }
    }
  });

  it("never makes the decoder throw, whatever its bytes", () => {
    const seeds = [ECHO, QUERY, ARP, SYN, NS].map(hex);
    const damaged = fc
      .tuple(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
        fc.uint8Array({ maxLength: 64 }),
      )
      .map(([seed, changes, tail]) => {
        const bytes = new Uint8Array([...seed, ...tail]);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      });
    const linkTypes = [0, 1, 12, 101, 108, 113, 228, 229, 276, 999];
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged),
        fc.constantFrom(...linkTypes),
        fc.nat(3),
        fc.boolean(),
        (bytes, linkType, verbosity, link) => {
          const decoder = new FrameDecoder({ verbosity, link });
          expect(typeof decoder.text(frameOf(bytes, linkType))).toBe("string");
          expect(Array.isArray(decoder.layers(frameOf(bytes, linkType)))).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

it("prints a whole conversation with relative numbers", () => {
  const parts: number[] = [];
  const sink = {
    write: (b: Uint8Array, o: number, n: number) => void parts.push(...b.subarray(o, o + n)),
  };
  const world = new World();
  const [a, b] = [world.stack(), world.stack()];
  world.join(a, b, { capture: new PcapWriter(sink, "ns", true) });
  const { from, to } = openConnection(world, a, b, IpAddr.v4(10, 0, 0, 2));
  new StreamSource(from, 3000);
  const received = new StreamSink(to);
  world.runUntil(() => received.isAtEnd);
  to.close();
  world.run(1e9);
  const reader = new CaptureReader(sourceOf(new Uint8Array(parts)));
  const decoder = new FrameDecoder({ verbosity: 1 });
  const lines: string[] = [];
  for (let f = reader.next(); f !== null; f = reader.next()) lines.push(decoder.text(f));
  const all = lines.join("\n");
  expect(lines[0]).toContain("Request who-has 10.0.0.2");
  expect(all).toMatch(/Flags \[P?\.\], cksum 0x[0-9a-f]{4} \(correct\), seq 1:1449, ack 1,/);
  expect(all).toMatch(/Flags \[P\.\], cksum 0x[0-9a-f]{4} \(correct\), seq 2897:3001/);
  expect(all).not.toMatch(/incorrect|bad cksum|\[\|/);
});
