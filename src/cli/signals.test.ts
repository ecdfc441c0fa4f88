import { describe, expect, it } from "vitest";
import { SignalForwarder } from "./signals.ts";

function forwarder(answers = true) {
  const told: number[] = [];
  const target = {
    closed: 0,
    answers: async () => answers,
    close: async () => {
      target.closed++;
    },
  };
  const clock = { now: 0 };
  const signals = new SignalForwarder(target, () => clock.now);
  return { signals, target, told, clock, program: { kill: (n: number) => void told.push(n) } };
}
const settled = (): Promise<void> => new Promise((go) => setImmediate(go));

describe("SignalForwarder", () => {
  it("passes signals on, and one that came too early as soon as the program runs", async () => {
    const { signals, target, told, program } = forwarder();
    signals.receive("SIGHUP");
    expect(told).toEqual([]);
    signals.started(program);
    signals.receive("SIGUSR1");
    signals.receive("SIGTERM");
    await settled();
    expect(told).toEqual([1, 10, 15]);
    expect(target.closed).toBe(0);
  });

  it("ends a sandbox that does not answer", async () => {
    const { signals, target, program } = forwarder(false);
    signals.started(program);
    signals.receive("SIGUSR1");
    await settled();
    expect(target.closed).toBe(0);
    signals.receive("SIGTERM");
    await settled();
    expect(target.closed).toBe(1);
    expect(signals.endedBy).toBe(15);
  });

  it("ends one at the third signal in a short while, not at the third ever", async () => {
    const { signals, target, program, clock } = forwarder();
    signals.started(program);
    for (let i = 0; i < 10; i++) {
      clock.now += 3000;
      signals.receive("SIGINT");
    }
    await settled();
    expect(target.closed).toBe(0);
    clock.now += 100;
    signals.receive("SIGTERM");
    expect(target.closed).toBe(1);
    expect(signals.endedBy).toBe(15);
    signals.receive("SIGINT");
    expect(target.closed).toBe(1);
  });
});
