import { expect, it } from "vitest";
import { SeededRng } from "../../base/rng.ts";
import { IpAddr } from "../ip-addr.ts";
import { EphemeralPorts, type PortOwner, PortTable } from "./ports.ts";

const ANY4 = IpAddr.v4(0, 0, 0, 0);
const ANY6 = new IpAddr();
const A = IpAddr.v4(10, 0, 0, 1);
const B = IpAddr.v4(10, 0, 0, 2);

function owner(
  addr: IpAddr,
  options: Partial<PortOwner["options"]> = {},
  isListening = false,
): PortOwner {
  return {
    nextOnPort: null,
    localAddr: addr,
    localPort: 80,
    isListening,
    options: { reuseAddress: false, reusePort: false, v6Only: false, boundNicId: 0, ...options },
  };
}

it.each([
  ["the same address", owner(A), owner(A), false],
  ["different addresses", owner(A), owner(B), true],
  ["any over one", owner(A), owner(ANY4), false],
  ["one under any", owner(ANY4), owner(A), false],
  [":: over an IPv4 address", owner(A), owner(ANY6), false],
  ["v6-only :: beside IPv4", owner(A), owner(ANY6, { v6Only: true }), true],
  ["IPv4 beside v6-only ::", owner(ANY6, { v6Only: true }), owner(ANY4), true],
  [
    "both reuse addresses",
    owner(A, { reuseAddress: true }),
    owner(A, { reuseAddress: true }),
    true,
  ],
  ["only one reuses addresses", owner(A), owner(A, { reuseAddress: true }), false],
  [
    "reuse beside a listener",
    owner(A, { reuseAddress: true }, true),
    owner(A, { reuseAddress: true }),
    false,
  ],
  [
    "both reuse ports",
    owner(A, { reusePort: true }, true),
    owner(A, { reusePort: true }, true),
    true,
  ],
  ["different interfaces", owner(A, { boundNicId: 1 }), owner(A, { boundNicId: 2 }), true],
  ["one interface and all", owner(A, { boundNicId: 1 }), owner(A), false],
])("binds a second endpoint: %s", (_, first, second, allowed) => {
  const table = new PortTable<PortOwner>();
  table.add(first, 80);
  expect(table.mayBind(second, second.localAddr, 80)).toBe(allowed);
  expect(table.mayBind(second, second.localAddr, 81)).toBe(true);
  table.remove(first, 80);
  expect(table.mayBind(second, second.localAddr, 80)).toBe(true);
  expect(table.at(80)).toBe(null);
});

it("picks ports that neither repeat nor follow each other, and finds the last free one", () => {
  const ports = new EphemeralPorts(new SeededRng(7));
  const picked = Array.from({ length: 200 }, () =>
    ports.pick(A, B, 443, { isPortFree: () => true }),
  );
  expect(new Set(picked).size).toBe(200);
  const steps = new Set(picked.slice(1).map((p, i) => p - picked[i]));
  expect(steps.size).toBeGreaterThan(4);
  expect(picked.every((p) => p >= 32_768 && p <= 60_999)).toBe(true);
  // Another destination starts elsewhere: nothing is learnt of the first one's counter.
  const other = ports.pick(A, IpAddr.v4(10, 0, 0, 3), 443, { isPortFree: () => true });
  expect(Math.abs(other - picked[199])).toBeGreaterThan(16);
  expect(ports.pick(A, B, 443, { isPortFree: (p) => p === 50_000 })).toBe(50_000);
  expect(ports.pickAny({ isPortFree: () => false })).toBe(0);
});

it("keeps the holders of a port in the order in which they came", () => {
  const table = new PortTable<PortOwner>();
  const holders = [owner(A), owner(B), owner(ANY4), owner(ANY6)];
  const on = (port: number): PortOwner[] => {
    const all: PortOwner[] = [];
    for (let h = table.at(port); h !== null; h = table.next(h)) all.push(h);
    return all;
  };
  for (const holder of holders) expect(table.add(holder, 80)).toBe(0);
  table.remove(holders[1], 80);
  expect(on(80)).toEqual([holders[0], holders[2], holders[3]]);
  // One who is not there, one in front, one at the end.
  table.remove(holders[1], 80);
  table.remove(holders[0], 80);
  table.remove(holders[3], 80);
  expect(on(80)).toEqual([holders[2]]);
  table.add(holders[1], 80);
  expect(on(80)).toEqual([holders[2], holders[1]]);
  expect(on(81)).toEqual([]);
  expect(on(80 + 256)).toEqual([]);
});
