import { describe, expect, it } from "vitest";
import { Timer, TimerQueue } from "./timers.ts";

describe("TimerQueue", () => {
  it("fires due timers in deadline order, equal ones in arming order", () => {
    const queue = new TimerQueue();
    const fired: string[] = [];
    const timer = (name: string): Timer => new Timer(() => fired.push(name));
    const [a, b, c, d] = [timer("a"), timer("b"), timer("c"), timer("d")];
    queue.arm(a, 30);
    queue.arm(b, 10);
    queue.arm(c, 10);
    queue.arm(d, 99);
    expect(queue.nextDeadlineNs()).toBe(10);
    expect(queue.runDue(30)).toBe(3);
    expect(fired).toEqual(["b", "c", "a"]);
    expect(queue.size).toBe(1);
  });

  it("keeps order under random arming and disarming", () => {
    const queue = new TimerQueue();
    const fired: number[] = [];
    const timers = Array.from({ length: 500 }, (_, i) => {
      const t: Timer = new Timer(() => fired.push(t.index === -1 ? (i * 7919) % 1009 : -1));
      return t;
    });
    timers.forEach((t, i) => {
      queue.arm(t, (i * 7919) % 1009);
    });
    timers.forEach((t, i) => {
      if (i % 3 === 0) queue.disarm(t);
    });
    queue.runDue(2000);
    expect(fired).toEqual([...fired].sort((x, y) => x - y));
    expect(fired.length).toBe(timers.length - Math.ceil(timers.length / 3));
  });

  it("lets a timer re-arm itself in the past without looping", () => {
    const queue = new TimerQueue();
    let count = 0;
    const t: Timer = new Timer((now) => {
      count++;
      queue.arm(t, now - 1);
    });
    queue.arm(t, 5);
    queue.runDue(10);
    expect(count).toBe(1);
    queue.runDue(10);
    expect(count).toBe(2);
  });
});
