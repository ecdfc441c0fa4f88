import { describe, expect, it } from "vitest";
import { POLLIN } from "../../abi/poll.ts";
import * as host from "../../host/index.ts";
import type { KernelDriver } from "../kernel/driver.ts";
import type { Context } from "../platform/platform.ts";
import { PROGRAMS, ToyMachine } from "../platform/systrap/toy-machine.ts";
import { HostClock } from "./host-clock.ts";
import { Loop, type LoopClock } from "./loop.ts";

/** A kernel of callbacks that is over when told so. */
class ToyDriver implements KernelDriver {
  isOver = false;
  deadlineNs = Number.POSITIVE_INFINITY;
  onTrap: (context: Context) => void = () => {};
  onTimer: (nowNs: number) => void = () => {};

  runReady(): boolean {
    return false;
  }
  nextDeadlineNs(): number {
    return this.deadlineNs;
  }
  onTimers(nowNs: number): void {
    this.deadlineNs = Number.POSITIVE_INFINITY;
    this.onTimer(nowNs);
  }
}

function withMachine(
  clock: LoopClock,
  body: (m: ToyMachine, loop: Loop, d: ToyDriver) => void,
): void {
  const m = new ToyMachine();
  body(m, new Loop(m.platform, clock), new ToyDriver());
  m.dispose();
}

describe("Loop", () => {
  it("serves traps, also those that come while it sleeps", () => {
    const clock = new HostClock();
    withMachine(clock, (m, loop, driver) => {
      const space = m.space();
      m.loadCode(space, PROGRAMS.waitNonZero);
      const data = m.mapData(space);
      let traps = 0;
      driver.onTrap = (c) => {
        traps++;
        driver.isOver = true;
        c.release();
      };
      // A busy machine may keep the loop from its sleep for longer than one deadline.
      driver.onTimer = (nowNs) => {
        if (loop.sleeps === 0) driver.deadlineNs = nowNs + 5e6;
        else m.words[data >> 2] = 1;
      };
      driver.deadlineNs = clock.monotonicNs() + 5e6;
      m.context(space).resume();
      loop.run(driver);
      expect(traps).toBe(1);
      expect(loop.sleeps).toBeGreaterThan(0);
      space.release();
    });
  });

  it("sleeps until a timer", () => {
    const clock = new HostClock();
    withMachine(clock, (_m, loop, driver) => {
      const start = clock.monotonicNs();
      driver.deadlineNs = start + 3e6;
      driver.onTimer = () => {
        driver.isOver = true;
      };
      loop.run(driver);
      expect(clock.monotonicNs() - start).toBeGreaterThanOrEqual(3e6);
    });
  });

  it("tells watchers what is ready, and nothing once unwatched", () => {
    withMachine(new HostClock(), (_m, loop, driver) => {
      const fd = host.eventfd(1, host.EFD_NONBLOCK);
      const bytes = new Uint8Array(8);
      let calls = 0;
      loop.watch(fd, POLLIN, (ready) => {
        expect(ready).toBe(POLLIN);
        calls++;
        if (calls < 3) return; // level-triggered: told again
        host.read(fd, bytes, 0, 8);
        loop.unwatch(fd);
        driver.isOver = true;
      });
      loop.run(driver);
      expect(calls).toBe(3);
      host.close(fd);
    });
  });

  it("takes a virtual clock to the next deadline without waiting", () => {
    let now = 0;
    const clock: LoopClock = {
      monotonicNs: () => now,
      realtimeNs: () => now,
      advanceToNs: (t) => {
        now = t;
      },
    };
    withMachine(clock, (_m, loop, driver) => {
      driver.deadlineNs = 3600e9;
      driver.onTimer = (t) => {
        expect(t).toBe(3600e9);
        driver.isOver = true;
      };
      loop.run(driver);
      expect(loop.sleeps).toBe(0);
    });
  });

  it("looks at descriptors while a virtual clock stands", () => {
    const stopped: LoopClock = { monotonicNs: () => 1, realtimeNs: () => 1, advanceToNs: () => {} };
    withMachine(stopped, (m, loop, driver) => {
      const fd = host.eventfd(0, host.EFD_NONBLOCK);
      loop.watch(fd, POLLIN, () => {
        driver.isOver = true;
      });
      // It becomes ready once the loop waits, which ends after so many looks whatever happens.
      let looks = 0;
      m.platform.hasTrap = () => {
        if (looks++ === 0) host.write(fd, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 0, 8);
        return looks > 10_000_000;
      };
      loop.run(driver);
      expect(looks).toBeLessThan(10_000_000);
      host.close(fd);
    });
  });

  it("sleeps once for the whole time while nothing happens", () => {
    const clock = new HostClock();
    withMachine(clock, (_m, loop, driver) => {
      driver.deadlineNs = clock.monotonicNs() + 200e6;
      driver.onTimer = () => {
        driver.isOver = true;
      };
      loop.run(driver);
      expect(loop.sleeps).toBe(1);
    });
  });
});
