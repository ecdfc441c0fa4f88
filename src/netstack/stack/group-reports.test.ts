import { describe, expect, it } from "vitest";
import { ManualClock, MS, SECOND } from "../../base/clock.ts";
import { SeededRng } from "../../base/rng.ts";
import { TimerQueue } from "../../base/timers.ts";
import { IpAddr } from "../ip-addr.ts";
import { type GroupCodec, type GroupRecord, GroupReporter, inMessages } from "./group-reports.ts";
import { type GroupFilter, NicGroups } from "./nic-groups.ts";

const GROUP = IpAddr.v4(239, 1, 2, 3);
const source = (n: number): IpAddr => IpAddr.v4(10, 0, 0, n);
const only = (...ns: number[]): GroupFilter => ({ isInclude: true, sources: ns.map(source) });
const allBut = (...ns: number[]): GroupFilter => ({ isInclude: false, sources: ns.map(source) });
const KINDS = ["", "IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK"];

/** A NIC's groups with what they report, in words. */
class Bench implements GroupCodec {
  readonly newest = 3;
  readonly clock = new ManualClock();
  readonly timers = new TimerQueue();
  readonly groups = new NicGroups(() => this.reporter);
  readonly reporter = new GroupReporter(this, this.clock, this.timers, new SeededRng(1));
  #said: string[] = [];

  members(): readonly IpAddr[] {
    return this.groups.v4.map((g) => g.group);
  }
  filterOf(group: IpAddr): GroupFilter {
    return this.groups.find(group)?.filter ?? only();
  }
  sendRecords(records: readonly GroupRecord[]): void {
    const text = (r: GroupRecord): string =>
      `${KINDS[r.kind]}(${r.sources.map((s) => s.w3 & 0xff)})`;
    this.#said.push(records.map(text).join(" "));
  }
  sendOld(version: number, _group: IpAddr, leave: boolean): void {
    this.#said.push(`v${version} ${leave ? "leave" : "report"}`);
  }

  change(before: GroupFilter | null, after: GroupFilter | null): void {
    this.groups.change(GROUP, before, after);
  }
  query(...asked: number[]): void {
    this.reporter.onQuery(3, GROUP, asked.map(source), SECOND);
  }
  /** What is said until nothing more is due. */
  said(): string[] {
    for (let i = 0; i < 40; i++) {
      this.clock.advanceNs(100 * MS);
      this.timers.runDue(this.clock.monotonicNs());
    }
    return this.#said.splice(0);
  }
}

describe("reports of changes (RFC 3376 5.1), each twice", () => {
  // @rfc 9776 5.1
  it.each<[string, GroupFilter | null, GroupFilter | null, string]>([
    ["joining", null, allBut(), "TO_EX()"],
    ["leaving", allBut(), null, "TO_IN()"],
    ["joining for sources", null, only(1, 2), "ALLOW(1,2)"],
    ["leaving sources", only(1, 2), null, "BLOCK(1,2)"],
    ["INCLUDE to INCLUDE", only(1, 2), only(2, 3), "ALLOW(3) BLOCK(1)"],
    ["EXCLUDE to EXCLUDE", allBut(1, 2), allBut(2, 3), "ALLOW(1) BLOCK(3)"],
    ["INCLUDE to EXCLUDE", only(1), allBut(2), "TO_EX(2)"],
    ["EXCLUDE to INCLUDE", allBut(1), only(2), "TO_IN(2)"],
  ])("%s", (_what, before, after, report) => {
    const bench = new Bench();
    if (before !== null) bench.change(null, before);
    bench.said();
    bench.change(before, after);
    expect(bench.said()).toEqual([report, report]);
  });

  it("a second change before the repetition is said with it", () => {
    const bench = new Bench();
    bench.change(null, only(1));
    bench.change(only(1), only(1, 2));
    expect(bench.said()).toEqual(["ALLOW(1)", "ALLOW(1,2)", "ALLOW(2)"]);
  });
});

describe("members of one NIC together (RFC 3376 3.2)", () => {
  it("hear what any of them wants", () => {
    const { groups } = new Bench();
    groups.change(GROUP, null, allBut(1, 2, 3));
    groups.change(GROUP, null, allBut(2, 3, 4));
    groups.change(GROUP, null, only(3));
    expect(groups.find(GROUP)?.filter).toEqual(allBut(2));
    const heard = [1, 2, 3, 4, 5].map((n) => groups.accepts(GROUP, source(n), 17));
    expect(heard).toEqual([true, false, true, true, true]);
    // Who asks about groups is heard by all.
    expect(groups.accepts(GROUP, source(2), 2)).toBe(true);
    groups.change(GROUP, allBut(1, 2, 3), null);
    groups.change(GROUP, allBut(2, 3, 4), null);
    expect(groups.find(GROUP)?.filter).toEqual(only(3));
    groups.change(GROUP, only(3), null);
    expect(groups.find(GROUP)).toBeNull();
  });
});

describe("answers to queries (RFC 3376 5.2)", () => {
  // @rfc 9776 5.2
  it.each<[GroupFilter, number[], string[]]>([
    [only(1, 2), [], ["IS_IN(1,2)"]],
    [allBut(1, 2), [], ["IS_EX(1,2)"]],
    [only(1, 2), [2, 3], ["IS_IN(2)"]],
    [only(1, 2), [3], []],
    [allBut(1, 2), [2, 3], ["IS_IN(3)"]],
    [allBut(1, 2), [1, 2], []],
  ])("%j asked for %j", (filter, asked, answer) => {
    const bench = new Bench();
    bench.change(null, filter);
    bench.said();
    bench.query(...asked);
    expect(bench.said()).toEqual(answer);
  });

  it("what is asked meanwhile is answered with it, and once", () => {
    const bench = new Bench();
    bench.change(null, only(1, 2, 3));
    bench.said();
    bench.query(1);
    bench.query(2, 9);
    expect(bench.said()).toEqual(["IS_IN(1,2)"]);
    bench.query(1);
    bench.query();
    expect(bench.said()).toEqual(["IS_IN(1,2,3)"]);
  });

  it("an older querier hears of groups alone", () => {
    const bench = new Bench();
    bench.reporter.onQuery(2, null, [], SECOND);
    bench.change(null, only(1));
    bench.change(only(1), only(1, 2));
    bench.change(only(1, 2), null);
    expect([...new Set(bench.said())]).toEqual(["v2 report", "v2 leave"]);
  });
});

it("long lists go in as many messages as they need, but those of who is kept out are cut", () => {
  const sources = Array.from({ length: 50 }, (_, i) => source(i));
  const sizes = (kind: number): number[][] =>
    inMessages([{ kind, group: GROUP, sources }], 100, 8, 4).map((m) =>
      m.map((r) => r.sources.length),
    );
  expect(sizes(5)).toEqual([[23], [23], [4]]);
  expect(sizes(4)).toEqual([[23]]);
});
