import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SeededRng } from "../../base/rng.ts";
import { IpAddr } from "../ip-addr.ts";
import { type TupleEntry, TupleHash, TupleTable } from "./tuple-table.ts";

const LOCAL = IpAddr.v4(10, 0, 0, 1);
const V6 = new IpAddr();
V6.w0 = 0x2001_0db8;

class Entry implements TupleEntry {
  readonly local = LOCAL;
  readonly remote: IpAddr;
  readonly ports: number;
  hash = 0;
  constructor(remote: IpAddr, ports: number) {
    this.remote = remote;
    this.ports = ports;
  }
}

describe("a table of 4-tuples", () => {
  it("finds what is in it and nothing else, however it grew and shrank", () => {
    const remotes = [IpAddr.v4(10, 0, 0, 2), IpAddr.v4(10, 0, 0, 3), V6];
    const step = fc.record({
      remote: fc.constantFrom(...remotes),
      // Few, so that most are added, removed and found again.
      ports: fc.integer({ min: -30, max: 30 }),
    });
    fc.assert(
      fc.property(fc.integer(), fc.array(step, { maxLength: 300 }), (seed, steps) => {
        const table = new TupleTable<Entry>(new TupleHash(new SeededRng(seed)), 4);
        const model = new Map<string, Entry>();
        for (const { remote, ports } of steps) {
          const key = `${remote} ${ports}`;
          const held = model.get(key);
          expect(table.find(LOCAL, remote, ports)).toBe(held ?? null);
          if (held === undefined) {
            const entry = new Entry(remote, ports);
            model.set(key, entry);
            table.add(entry);
          } else {
            model.delete(key);
            table.remove(held);
            expect(held.hash).toBe(0);
          }
        }
        expect(table.count).toBe(model.size);
        expect(new Set(table.all())).toEqual(new Set(model.values()));
        for (const entry of model.values()) {
          expect(table.find(LOCAL, entry.remote, entry.ports)).toBe(entry);
        }
      }),
      { numRuns: 50 },
    );
  });
});
