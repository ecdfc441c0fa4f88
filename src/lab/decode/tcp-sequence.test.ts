import { expect, it } from "vitest";
import { IpAddr } from "../../netstack/index.ts";
import { TcpSequences } from "./tcp-sequence.ts";

const A = IpAddr.v4(10, 0, 0, 1);
const B = IpAddr.v4(10, 0, 0, 2);

it("counts from the first packet with an ACK, in both directions", () => {
  const s = new TcpSequences();
  s.relate(A, B, 4000, 80, 1001, 5001, false);
  expect([s.sequenceBase, s.acknowledgmentBase, s.sackBase]).toEqual([0, 0, 5000]);
  s.relate(A, B, 4000, 80, 1002, 5001, false);
  expect([s.sequenceBase, s.acknowledgmentBase]).toEqual([1001, 5000]);
  s.relate(B, A, 80, 4000, 5001, 1002, false);
  expect([s.sequenceBase, s.acknowledgmentBase, s.sackBase]).toEqual([5000, 1001, 1001]);
  // A SYN-ACK begins it anew.
  s.relate(B, A, 80, 4000, 9000, 2000, true);
  expect(s.sequenceBase).toBe(0);
  s.relate(A, B, 4000, 80, 2000, 9001, false);
  expect([s.sequenceBase, s.acknowledgmentBase]).toEqual([1999, 9000]);
});

it("forgets the oldest connection for a new one, and no other", () => {
  const s = new TcpSequences();
  const addr = new IpAddr();
  const see = (i: number): number => {
    s.relate(addr.setV4(i), B, 40_000 + (i % 7), 80, 0xffff_fff0, 7, false);
    return s.sequenceBase;
  };
  const MAX = 65_536;
  const known = (from: number, to: number): number => {
    let count = 0;
    for (let i = from; i < to; i++) if (see(i) !== 0) count++;
    return count;
  };
  expect(known(0, MAX)).toBe(0);
  expect(known(0, MAX)).toBe(MAX);
  expect(known(MAX, MAX + 1000)).toBe(0);
  for (let i = 1000; i < MAX + 1000; i += 991) expect(see(i)).toBe(0xffff_fff0);
  expect(see(0)).toBe(0);
});
