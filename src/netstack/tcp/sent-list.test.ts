// Goal: the short ways through the list of what was sent (index, runs of SACKed records, order by time) find
// what a walk from the head would find, whatever was appended, cut, SACKed, lost or acknowledged before.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { endOfRun, LOST, SACKED, SentList, type SentRecord, SentRecordPool } from "./sent-list.ts";

const MSS = 10;

function all(list: SentList): SentRecord[] {
  const records: SentRecord[] = [];
  for (let r = list.head; r !== null; r = r.next) records.push(r);
  return records;
}

const step = fc.record({
  kind: fc.constantFrom("append", "ack", "sack", "cut", "seek", "renege", "undo"),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  count: fc.integer({ min: 1, max: 90 }),
});

describe("the list of what was sent", () => {
  it("finds a record by its number, and the end of a run, as a walk would", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer(), (steps, iss) => {
        const list = new SentList(new SentRecordPool());
        let nxt = iss | 0;
        let us = 0;
        const append = (n: number): void => {
          for (let i = 0; i < n; i++, us++) {
            list.append(nxt, (nxt + 3 * MSS) | 0, MSS, 0, us);
            nxt = (nxt + 3 * MSS) | 0;
          }
        };
        append(200);
        for (const { kind, at, count } of steps) {
          const records = all(list);
          const chosen = records[Math.floor(at * records.length)] ?? null;
          if (kind === "append") append(count);
          else if (kind === "ack") for (let i = 0; i < count && list.head; i++) list.removeHead();
          else if (kind === "renege") list.forgetSacks();
          else if (kind === "undo") {
            for (const r of records) {
              if ((r.flags & SACKED) === 0) list.setLost(r);
              if ((r.flags & LOST) !== 0) list.forgetTime(r);
            }
            list.unmarkLost();
          } else if (chosen !== null && kind === "sack") {
            let r: SentRecord | null = chosen;
            for (let i = 0; i < count && r !== null; i++, r = r.next) {
              if ((r.flags & SACKED) === 0) list.setSacked(r);
            }
          } else if (chosen !== null && kind === "cut") {
            if (chosen.segs > 1 && (chosen.flags & SACKED) === 0) {
              list.split(chosen, (chosen.seq + MSS) | 0);
            }
          } else if (chosen !== null) {
            const seq = (chosen.seq + (count % 30)) | 0;
            expect(list.seek(seq)).toBe(records.find((r) => ((r.end - seq) | 0) > 0) ?? null);
            if ((chosen.flags & SACKED) !== 0) {
              const from = records.indexOf(chosen);
              const stop = records.findIndex((r, i) => i > from && (r.flags & SACKED) === 0);
              expect(endOfRun(chosen)).toBe(stop < 0 ? records.at(-1) : records[stop - 1]);
              list.sackHint = endOfRun(chosen);
            }
          }
          let seen = 0;
          for (let r = list.oldest; r !== null; r = r.newer, seen++) {
            if (r.newer !== null && r.newer.sentUs < r.sentUs) throw new Error("out of order");
          }
          expect(seen).toBe(all(list).filter((r) => r.isInTimeOrder).length);
        }
      }),
      { numRuns: 30 },
    );
  });
});
