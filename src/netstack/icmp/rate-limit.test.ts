import { expect, it } from "vitest";
import { ManualClock, SECOND } from "../../base/clock.ts";
import { SeededRng } from "../../base/rng.ts";
import { IpAddr } from "../ip-addr.ts";
import { ALLOWED, LIMITED_FOR_HOST, LIMITED_GLOBALLY, RateLimit } from "./rate-limit.ts";

const host = (n: number): IpAddr => IpAddr.v4(10, 0, n >> 8, n & 255);

function start(perSecond = 1000) {
  const clock = new ManualClock();
  const limit = new RateLimit(clock, new SeededRng(1), perSecond);
  const burst = (dst: IpAddr, perHost = true, tries = 40): number => {
    let allowed = 0;
    for (let i = 0; i < tries; i++) if (limit.take(dst, perHost) === ALLOWED) allowed++;
    return allowed;
  };
  return { clock, limit, burst };
}

it("gives each destination six at once, and then one a second", () => {
  const { clock, limit, burst } = start();
  expect(burst(host(1))).toBe(6);
  expect(limit.take(host(1), true)).toBe(LIMITED_FOR_HOST);
  expect(burst(host(2))).toBe(6);
  for (let i = 0; i < 5; i++) {
    clock.advanceNs(1 * SECOND);
    expect(burst(host(1))).toBe(1);
  }
  clock.advanceNs(0.9 * SECOND);
  expect(burst(host(1))).toBe(0);
  clock.advanceNs(100 * SECOND);
  expect(burst(host(1))).toBe(6);
});

it("takes nothing from all for what one was denied", () => {
  const { limit, burst } = start(1);
  burst(host(1), true, 10_000);
  // Fifty less the six.
  expect(burst(host(2), false, 100)).toBe(44);
  expect(limit.take(host(3), true)).toBe(LIMITED_GLOBALLY);
});

it("does not hold back what the mask leaves out, nor anything when it is off", () => {
  const { clock, limit, burst } = start();
  expect(burst(host(1), false)).toBe(40);
  clock.advanceNs(1 * SECOND);
  limit.hostIntervalNs = 0;
  expect(burst(host(1), true)).toBe(40);
});
