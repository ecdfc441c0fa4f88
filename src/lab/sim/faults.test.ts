import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MS, SECOND } from "../../base/clock.ts";
import { SeededRng } from "../../base/rng.ts";
import { IpAddr, parseIp, type Stack, type TcpEndpoint } from "../../netstack/index.ts";
import type { Cable } from "./cable.ts";
import { openConnection } from "./conversation.ts";
import { after, corrupt, delay, drop, duplicate, type Fault, pathMtu, swap } from "./faults.ts";
import { PacketView } from "./packet-view.ts";
import { both, either, from, icmp, longerThan, not, tcp, tcpFlags, to, udp } from "./predicates.ts";
import { Recording } from "./recording.ts";
import { StreamSink, StreamSource } from "./streams.ts";
import { World } from "./world.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const B = IpAddr.v4(10, 0, 0, 2);
const ESTABLISHED = 1;

class Line {
  readonly recording = new Recording();
  readonly w = new World({ seed: 5, recording: this.recording });
  readonly a: Stack = this.w.stack();
  readonly b: Stack = this.w.stack();
  readonly cable: Cable = this.w.join(this.a, this.b, { conditions: { delayNs: 5 * MS } });
  from!: TcpEndpoint;
  to!: TcpEndpoint;

  open(): this {
    const { from, to } = openConnection(this.w, this.a, this.b, B);
    this.from = from;
    this.to = to;
    return this;
  }

  /** A stream from a to b and both sides closed; all of it must arrive. */
  carry(bytes: number): void {
    const source = new StreamSource(this.from, bytes);
    const sink = new StreamSink(this.to);
    expect(this.w.runUntil(() => sink.isAtEnd || source.error !== 0)).toBe(true);
    expect(sink).toMatchObject({ read: bytes, wrongAt: -1, error: 0 });
    this.to.close();
    this.w.run(SECOND);
    this.from.close();
    this.w.run(10 * SECOND);
  }

  /** Of all frames as a's end saw them, those for which this holds. */
  count(which: (p: PacketView) => boolean): number {
    const view = new PacketView();
    let n = 0;
    this.recording.some((frame) => {
      if (which(view.read(frame.bytes, frame.offset, frame.offset + frame.length))) n++;
      return false;
    });
    return n;
  }
}

describe("faults", () => {
  it("drop the third FIN, and the first two with it where that is asked for", () => {
    const line = new Line().open();
    const early = line.cable.a.addFault(drop.first(2, tcp.fin));
    const third = line.cable.a.addFault(drop.nth(1, tcp.fin));
    line.carry(1000);
    expect([early.hits, third.hits]).toEqual([2, 1]);
    expect(line.count(both(tcp.fin, from("10.0.0.1")))).toBe(4);
  });

  it("count over both ways of a cable when added to both", () => {
    const line = new Line();
    const fault = line.cable.addFault(drop.nth(2, either(tcp.syn, tcp.synAck)));
    line.open();
    expect(fault.hits).toBe(1);
    // The one dropped never reached a's end, where the recording is made: SYN and SYN-ACK were repeated.
    expect(line.w.nowNs).toBeGreaterThan(SECOND);
    expect(line.count(tcp.syn)).toBeGreaterThan(1);
  });

  it("let data and the RST behind it swap places", () => {
    const line = new Line().open();
    const fault = line.cable.a.addFault(swap(tcp.data, tcp.rst));
    line.from.write(new Uint8Array(100), 0, 100, 0);
    line.from.abort();
    line.w.run(SECOND);
    expect(fault.hits).toBe(1);
    // In the window but not at its edge, the RST is answered by a challenge (RFC 5961 3.2), then the data come.
    expect(line.b.tcp.stats.TCPChallengeACK).toBe(1);
    expect(line.to.readableBytes).toBe(100);
  });

  it("give back what waited for a neighbour that never came", () => {
    const line = new Line().open();
    line.cable.a.addFault(swap(tcp.data, udp));
    line.carry(100 * KiB);
  });

  it("are a black hole after 1 MiB", () => {
    const line = new Line().open();
    const hole = line.cable.a.addFault(drop.afterBytes(MiB));
    new StreamSource(line.from, 8 * MiB);
    const sink = new StreamSink(line.to);
    line.w.run(60 * SECOND);
    expect(sink.read).toBeGreaterThan(0.9 * MiB);
    expect(sink.read).toBeLessThan(MiB);
    expect(hole.hits).toBeGreaterThan(5);
    line.cable.a.removeFault(hole);
    expect(line.w.runUntil(() => sink.isAtEnd)).toBe(true);
  });

  it.each([
    ["IPv4", "10.0.0.1/24", "10.0.0.2/24", 576],
    ["IPv6", "fd00::1/64", "fd00::2/64", 1280],
  ])("are a path MTU that shrinks after the handshake: %s", (_family, near, far, mtu) => {
    const w = new World();
    const [a, b] = [w.stack(), w.stack()];
    const cable = w.join(a, b, { a: [near], b: [far], conditions: { delayNs: MS } });
    const fault = cable.a.addFault(after(tcp.pureAck, pathMtu(mtu)));
    const { from, to } = openConnection(w, a, b, parseIp(far.split("/")[0]) as IpAddr);
    new StreamSource(from, 200 * KiB);
    const sink = new StreamSink(to);
    expect(w.runUntil(() => sink.isAtEnd, 20 * SECOND)).toBe(true);
    expect(sink.wrongAt).toBe(-1);
    expect(fault.hits).toBeGreaterThan(0);
    expect(fault.hits).toBeLessThan(30);
    const { counters } = a;
    expect(counters.icmpInDestUnreachs + counters.icmp6InPktTooBigs).toBe(fault.hits);
  });

  it("are a firewall that swallows what is too big, until probing finds the way (RFC 4821)", () => {
    const line = new Line();
    line.a.tcp.settings.mtuProbing = 1;
    line.open();
    const fault = line.cable.a.addFault(pathMtu(576, true));
    line.carry(20 * KiB);
    expect(fault.hits).toBeGreaterThan(1);
    expect(line.a.counters.icmpInDestUnreachs).toBe(0);
  });

  it("double, damage and delay just the frames they aim at", () => {
    const line = new Line().open();
    const first = 400;
    const faults: Fault[] = [
      duplicate.every(10, tcp.data),
      corrupt.nth(3, tcp.data),
      delay(30 * MS).nth(7, both(tcp.data, longerThan(first))),
    ].map((fault) => line.cable.a.addFault(fault));
    line.carry(200 * KiB);
    expect(faults[0].hits).toBeGreaterThan(5);
    expect(faults[1].hits).toBe(1);
    expect(faults[2].hits).toBe(1);
    expect(line.b.tcp.stats.InCsumErrors).toBe(1);
  });

  it("do nothing to others", () => {
    const line = new Line();
    const fault = line.cable.addFault(drop.all(either(udp, icmp, both(tcp, not(tcp)))));
    line.open();
    expect(line.from.state).toBe(ESTABLISHED);
    expect(fault.hits).toBe(0);
    line.carry(10_000);
  });
});

describe("predicates", () => {
  it.each([
    ["S", 2],
    ["S.", 18],
    ["SYN-ACK", 18],
    ["SYN,ACK", 18],
    ["FP.", 25],
    ["", 0],
  ])("read the flags %j", (text, flags) => {
    expect(tcpFlags(text)).toBe(flags);
  });
  it("refuse others with what to write instead", () => {
    expect(() => tcpFlags("SYNACK")).toThrow(/write for example "S\."/);
    expect(() => to("10.0.0")).toThrow(/is no address/);
  });

  it("look at any bytes without falling over, and never past the end", () => {
    const view = new PacketView();
    const head = fc.constantFrom<number[]>(
      [],
      [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45],
      [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 99, 44],
      [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 1, 8, 0, 0x4f],
    );
    const bytes = fc
      .tuple(head, fc.uint8Array({ maxLength: 120 }))
      .map(([h, rest]) => Uint8Array.from([...h, ...rest]));
    const rng = new SeededRng(1);
    fc.assert(
      fc.property(bytes, (frame) => {
        const padded = new Uint8Array(frame.length + 64);
        padded.set(frame);
        const once = { ...view.read(padded, 0, frame.length) };
        rng.fill(padded, frame.length, 64);
        expect({ ...view.read(padded, 0, frame.length) }).toEqual(once);
        expect(view.payloadBytes).toBeGreaterThanOrEqual(0);
        expect(view.payloadBytes).toBeLessThanOrEqual(frame.length);
      }),
      { numRuns: 300 },
    );
  });
});
