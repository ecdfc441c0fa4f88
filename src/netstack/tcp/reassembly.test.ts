// Goal: whatever order, overlap or repetition the pieces of a stream come in, the reader gets the stream, the
// FIN stands at its end, and SACK blocks name only what has arrived (RFC 9293 3.10.7.4, RFC 2018, RFC 2883).

import fc from "fast-check";
import { describe, it } from "vitest";
import { CLOSE_WAIT } from "./state.ts";
import { established, type Harness } from "./testing.ts";

const TEXT = "the quick brown fox jumps over the lazy dog and comes back";
/** The FIN's number; the first byte has 1. */
const FIN_SEQ = TEXT.length + 1;

interface Piece {
  start: number;
  length: number;
  hasFin: boolean;
}

const piece = fc.record<Piece>({
  start: fc.integer({ min: 0, max: TEXT.length }),
  length: fc.integer({ min: 0, max: 20 }),
  hasFin: fc.boolean(),
});

function inject(h: Harness, { start, length, hasFin }: Piece, has: boolean[]): void {
  const end = Math.min(start + length, TEXT.length);
  const isLast = hasFin && end === TEXT.length;
  for (let i = start; i < end; i++) has[i + 1] = true;
  if (isLast) has[FIN_SEQ] = true;
  h.inject({
    flags: isLast ? "F." : ".",
    seq: start + 1,
    ack: 1,
    data: TEXT.slice(start, end),
  });
}

function hasAll(has: boolean[], from: number, to: number): boolean {
  for (let seq = from; seq < to; seq++) if (!has[seq]) return false;
  return true;
}

describe.each([0, 1])("reassembly with window and ACK policy %i", (policy) => {
  it("gives the reader the stream and the FIN its place", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), fc.boolean(), (pieces, isReading) => {
        const h = established({ syn: { sackOk: true } });
        h.tcp.settings.windowPolicy = h.tcp.settings.ackPolicy = policy;
        const has: boolean[] = [];
        let text = "";
        const read = (): void => {
          const got = h.read();
          if (typeof got === "string") text += got;
        };
        for (const p of [...pieces, { start: 0, length: 0, hasFin: false }]) {
          inject(h, p, has);
          for (const { ack, sack } of h.take()) {
            if (!hasAll(has, 1, ack)) return false;
            for (const [from, to] of sack) if (from >= to || !hasAll(has, from, to)) return false;
          }
          if (isReading) read();
        }
        inject(h, { start: 0, length: TEXT.length, hasFin: true }, has);
        read();
        const isAtEnd = h.take().pop()?.ack === FIN_SEQ + 1 && h.read() === "";
        return text === TEXT && h.tcb.state === CLOSE_WAIT && isAtEnd;
      }),
      { numRuns: 60 },
    );
  });
});
