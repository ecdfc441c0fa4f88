import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Changes } from "./changes.ts";

describe("the book of changes", () => {
  it("confirms a change when it and all before it are over", () => {
    const changes = new Changes(() => {});
    const told: number[] = [];
    changes.onConfirmed = () => told.push(changes.confirmedStamp);
    const a = { pendingSince: 0 };
    const b = { pendingSince: 0 };
    changes.begin(a);
    changes.begin(a);
    changes.begin(b);
    expect([a.pendingSince, b.pendingSince, changes.issuedStamp]).toEqual([1, 2, 2]);
    changes.end(b);
    expect(told).toEqual([]);
    changes.begin(b);
    changes.end(a);
    expect(told).toEqual([2]);
    changes.end(b);
    changes.end(b);
    expect(told).toEqual([2, 3]);
  });

  it("never confirms past a change that is under way", () => {
    const step = fc.record({ who: fc.nat(5), begins: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const changes = new Changes(() => {});
        const all = Array.from({ length: 6 }, () => ({ pendingSince: 0 }));
        for (const { who, begins } of steps) {
          if (begins) changes.begin(all[who]);
          else changes.end(all[who]);
          const open = all.map((p) => p.pendingSince).filter((since) => since > 0);
          const most = open.length === 0 ? changes.issuedStamp : Math.min(...open) - 1;
          expect(changes.confirmedStamp).toBe(most);
        }
      }),
    );
  });
});
