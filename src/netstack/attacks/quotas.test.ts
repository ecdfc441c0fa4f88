// What everything costs that an attacker can make: timers, entries, records. Counted in comparisons and
// bytes, not in time.

import { describe, expect, it } from "vitest";
import { SECOND } from "../../base/clock.ts";
import { SeededRng } from "../../base/rng.ts";
import { Timer, TimerQueue } from "../../base/timers.ts";
import { established, listening } from "../tcp/testing.ts";
import { Arena } from "./testing.ts";
import { ip, PORT, segment, stranger } from "./testing-frames.ts";

describe("timers of many connections", () => {
  it("arming and disarming one among 50,000 compares a few dozen times", () => {
    const queue = new TimerQueue();
    const rng = new SeededRng(1);
    let reads = 0;
    const timers = Array.from({ length: 50_000 }, () => {
      const timer = new Timer(() => {});
      let deadline = timer.deadlineNs;
      Object.defineProperty(timer, "deadlineNs", {
        get: () => {
          reads++;
          return deadline;
        },
        set: (v: number) => {
          deadline = v;
        },
      });
      return timer;
    });
    for (const t of timers) queue.arm(t, rng.u32());
    let worst = 0;
    for (let i = 0; i < 2_000; i++) {
      const t = timers[rng.below(timers.length)];
      reads = 0;
      if (i % 3 === 0) queue.disarm(t);
      else queue.arm(t, rng.u32());
      worst = Math.max(worst, reads);
    }
    // Two reads for each comparison, two comparisons for each of log2(50,000) levels, up and down.
    expect(worst).toBeLessThanOrEqual(2 * 2 * 2 * 16);
  });

  it("a connection has one timer, whatever it waits for", () => {
    const h = established();
    h.ep.options.keepAlive = true;
    h.write("x".repeat(20_000));
    h.inject({ flags: ".", seq: 1, ack: 1, data: "a" });
    h.inject({ flags: ".", seq: 9, ack: 1, data: "b" });
    expect(h.timers.size).toBe(1);
    const many = listening(500);
    for (let port = 1; port <= 400; port++) {
      many.peerPort = port;
      many.inject({ flags: "S", seq: 0, mss: 1_460 });
    }
    expect(many.timers.size).toBe(400);
  });

  it("with nothing going on there is none: idle connections wake nobody", () => {
    const arena = new Arena();
    const listener = arena.listen();
    for (let i = 0; i < 20; i++) arena.connect(listener);
    arena.run(100 * SECOND);
    expect(arena.victim.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("tables", () => {
  it("routes, path MTUs, and groups each have an end", () => {
    const arena = new Arena({ limits: { routes: 64 } });
    const { victim, nic } = arena;
    let refused = 0;
    for (let n = 0; n < 200; n++) {
      const route = { dst: stranger(n), prefixBits: 32, gateway: ip("10.0.0.9"), nicId: nic.id };
      if (victim.routes.add(route) !== 0) refused++;
    }
    expect(victim.routes.entries.length).toBeLessThanOrEqual(64);
    expect(refused).toBeGreaterThan(130);
    for (let n = 0; n < 5_000; n++) victim.pathMtu.lower(stranger(n), 1_000, 1_500);
    let learned = 0;
    for (let n = 0; n < 5_000; n++) if (victim.pathMtu.find(stranger(n)) !== null) learned++;
    expect(learned).toBeLessThanOrEqual(1_024);
    for (let n = 0; n < 3_000; n++) {
      const group = ip("ff05::1");
      group.w3 = n;
      nic.joinGroup(group);
    }
    expect(nic.groups.v6.length).toBeLessThanOrEqual(1_024);
  });

  it("a path to each of many peers is cached up to a bound", () => {
    const arena = new Arena();
    for (let n = 0; n < 5_000; n++) arena.inject(segment({ src: stranger(n), dport: PORT }));
    // Every peer that was answered waits for its neighbour; those are capped, and so is the rest.
    expect(arena.nic.neighbors.size).toBeLessThanOrEqual(arena.limits.neighborEntries);
  });
});
