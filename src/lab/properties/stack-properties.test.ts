// Properties of the whole stack under frames of every kind, besides the laws of the campaigns (fuzz/laws.ts).

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { u16 } from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import { CaptureReader, PcapWriter, sourceOf } from "../../link/index.ts";
import { frame } from "../arbitraries/ethernet.ts";
import type { StackStep } from "../fuzz/stack-steps.ts";
import { StackTarget } from "../fuzz/stack-target.ts";
import { Subject } from "../fuzz/subject.ts";

const steps = fc.array(new StackTarget().steps, { maxLength: 40, size: "max" });
const frames = fc.array(frame(), { maxLength: 12 });
const RUNS = { numRuns: 40, seed: 5 };

/** What a stack that was given these frames sent, and every counter of it. */
function given(all: readonly Uint8Array[], stale?: number): { sent: string[]; counters: object } {
  const subject = new Subject({ seed: 3 });
  const sent: string[] = [];
  subject.link.onSend = (b, n) => sent.push(b.subarray(0, n).join());
  for (const one of all) subject.inject(one, stale);
  subject.advance(5 * SECOND);
  const { stack, nic } = subject;
  const counters = { ...stack.counters, ...stack.tcp.stats, ...nic.counters };
  subject.close();
  return { sent, counters };
}

/** Ethernet's padding and more: bytes behind an IP packet or an ARP that say themselves where they end. */
function isSelfDelimiting(f: Uint8Array): boolean {
  const type = u16(f, 12);
  if (type === 0x0800) return f.length >= 34 && u16(f, 16) === f.length - 14;
  return type === 0x86dd && f.length >= 54 && u16(f, 18) === f.length - 54 && u16(f, 18) > 0;
}

describe("frames of every kind", () => {
  it("memory behind a frame changes nothing: not what is sent, not a counter", () => {
    fc.assert(
      fc.property(frames, (all) => {
        expect(given(all, 0x11)).toEqual(given(all, 0xee));
      }),
      RUNS,
    );
  });

  it("a trailer behind a packet changes nothing but the bytes counted on the interface", () => {
    fc.assert(
      fc.property(
        fc.array(frame({ mood: "near" }), { maxLength: 12 }),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        (all, trailer) => {
          const plain = all.filter((f) => isSelfDelimiting(f) && f.length <= 1_470);
          const longer = plain.map((f) => Uint8Array.from([...f, ...trailer]));
          const [a, b] = [given(plain), given(longer)];
          expect(b.sent).toEqual(a.sent);
          const added = plain.length * trailer.length;
          const rxBytes = (a.counters as { rxBytes: number }).rxBytes + added;
          expect(b.counters).toEqual({ ...a.counters, rxBytes });
        },
      ),
      RUNS,
    );
  });

  it("two equal runs give equal captures, byte for byte", () => {
    const capture = (seed: number, list: readonly StackStep[]): string => {
      const parts: string[] = [];
      const sink = {
        write: (b: Uint8Array, from: number, n: number) => {
          parts.push(b.subarray(from, from + n).join());
        },
      };
      const writer = new PcapWriter(sink, "ns");
      new StackTarget().run(seed, list, (nowNs, b, n) => writer.write(nowNs, b, 0, n));
      writer.flush();
      return parts.join(";");
    };
    fc.assert(
      fc.property(fc.nat(1_000), steps, (seed, list) => {
        expect(capture(seed, list)).toBe(capture(seed, list));
      }),
      { ...RUNS, numRuns: 15 },
    );
  });

  it("what is received adds up: delivered, dropped with a reason, or answered; nothing twice", () => {
    fc.assert(
      fc.property(frames, (all) => {
        const subject = new Subject({ seed: 3 });
        const { counters: c } = subject.nic;
        const [packets, bytes] = [c.rxPackets, c.rxBytes];
        for (const one of all) subject.inject(one);
        expect(c.rxPackets - packets).toBe(all.length);
        expect(c.rxBytes - bytes).toBe(all.reduce((sum, one) => sum + one.length, 0));
        const { counters, tcp } = subject.stack;
        for (const [name, n] of Object.entries({ ...counters, ...tcp.stats })) {
          expect([name, n < 0 || !Number.isSafeInteger(n)]).toEqual([name, false]);
        }
        const drops = Object.values(subject.drops()).reduce((sum, n) => sum + n, 0);
        // A frame is dropped once; what it gave birth to (a datagram of fragments) once more at most.
        expect(drops).toBeLessThanOrEqual(2 * all.length);
        subject.close();
      }),
      RUNS,
    );
  });

  it("order of unrelated stacks does not matter: one stack's run leaves no trace in another's", () => {
    fc.assert(
      fc.property(frames, frames, (all, others) => {
        const alone = given(all);
        given(others);
        expect(given(all)).toEqual(alone);
      }),
      { ...RUNS, numRuns: 20 },
    );
  });
});

describe("no growth", () => {
  /** Live things of a stack, by its own account. */
  const livingOf = ({ stack, nic }: Subject): Record<string, number> => {
    const { context } = stack.tcp;
    return {
      endpoints: stack.endpointCount,
      connections: context.demux.count,
      counted: context.connectionCount,
      halfOpen: context.halfOpenCount,
      orphans: context.orphanCount,
      timeWaits: context.timeWaits.count,
      ringBytes: context.rings.usedBytes,
      datagramBytes: stack.socketMemoryBytes,
      fragmentBytes: stack.fragments.bytesHeld + stack.fragments6.bytesHeld,
      timers: stack.timers.size - nic.neighbors.size - nic.neighbors6.size,
      routes: stack.routes.entries.length,
    };
  };

  it("after a hundred rounds of the same frames as much lives as after one", () => {
    fc.assert(
      fc.property(frames, (all) => {
        const subject = new Subject({ seed: 3 });
        const round = (): void => {
          for (const one of all) subject.inject(one);
          // Fragments, half-open connections, TIME-WAIT and all delays are over.
          subject.advance(400 * SECOND);
        };
        round();
        const one = livingOf(subject);
        for (let i = 0; i < 100; i++) round();
        const many = livingOf(subject);
        for (const [name, n] of Object.entries(one)) {
          expect([name, many[name] <= n]).toEqual([name, true]);
        }
        subject.close();
      }),
      { ...RUNS, numRuns: 12 },
    );
  });

  it("after connections that come and go everything is back where it was", () => {
    fc.assert(
      fc.property(steps, (list) => {
        // The target itself demands it at the end of each case (Laws.rest).
        expect(new StackTarget().run(1, list).failure).toBeNull();
      }),
      { ...RUNS, numRuns: 15 },
    );
  });
});

describe("captures", () => {
  it("what a stack said is read back from its capture", () => {
    fc.assert(
      fc.property(steps, (list) => {
        const parts: Uint8Array[] = [];
        const sink = {
          write: (b: Uint8Array, from: number, n: number) => {
            parts.push(b.slice(from, from + n));
          },
        };
        const writer = new PcapWriter(sink, "ns");
        const seen: string[] = [];
        new StackTarget().run(1, list, (nowNs, b, n) => {
          writer.write(nowNs, b, 0, n);
          seen.push(b.subarray(0, n).join());
        });
        writer.flush();
        const reader = new CaptureReader(sourceOf(Uint8Array.from(parts.flatMap((b) => [...b]))));
        const back: string[] = [];
        for (let f = reader.next(); f !== null; f = reader.next()) {
          back.push(f.bytes.subarray(f.offset, f.offset + f.length).join());
        }
        expect(back).toEqual(seen);
      }),
      { ...RUNS, numRuns: 15 },
    );
  });
});
