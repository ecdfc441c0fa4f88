// Goal: what writes of single bytes leave behind, while the peer takes none, is bounded by the send buffer as Linux
// reckons it, however much they ask for (ends of records, zero-copy completions, timestamps).

import { describe, expect, it } from "vitest";
import { WRITE_EOR, WRITE_ZEROCOPY } from "../endpoints.ts";
import { NetErr } from "../net-error.ts";
import { established, type Harness } from "./testing.ts";

const COUNT = 20_000;

/** As many as are taken. */
function writeBytes(h: Harness, flags: number): number {
  const byte = new Uint8Array(1);
  for (let n = 0; n < COUNT; n++) {
    if (h.ep.write(byte, 0, 1, flags) === NetErr.WouldBlock) return n;
  }
  return COUNT;
}

/** The peer opens its window and acknowledges until nothing is left. */
function drain(h: Harness): void {
  for (let i = 0; i < 10_000 && h.ep.unackedBytes > 0; i++) {
    h.inject({ flags: ".", seq: 1, ack: h.tcb.snd.nxt - h.tcb.snd.iss, wnd: 65_535 });
    h.advanceMs(1);
  }
  expect(h.ep.unackedBytes).toBe(0);
}

describe("writes of one byte to a peer that takes none", () => {
  it("that end a record each cost a buffer each", () => {
    const h = established({ syn: { wnd: 0 } });
    const taken = writeBytes(h, WRITE_EOR);
    const { sendBufferBytes } = h.ep.options;
    expect(taken).toBeGreaterThan(10);
    expect(taken).toBeLessThanOrEqual(sendBufferBytes / 1_280 + 2);
    expect(h.tcb.recordEnds?.length).toBeLessThanOrEqual(taken);
    drain(h);
    // Each record was a segment of its own.
    expect(h.take().filter((s) => s.data.length === 1).length).toBeGreaterThanOrEqual(taken);
  });

  it("that ask for completions and times are owed a bounded number, and all are told in the end", () => {
    const h = established({ syn: { wnd: 0 } });
    h.ep.options.timestamps = 1 | 4;
    h.ep.options.timestampKeys = true;
    h.ep.options.timestampsOnly = true;
    const taken = writeBytes(h, WRITE_ZEROCOPY);
    expect(taken).toBeGreaterThan(2_000);
    expect(h.tcb.notices?.count).toBe(1_024);
    h.ep.options.receiveBufferBytes = 6 << 20;
    drain(h);
    expect(h.tcb.notices?.count).toBe(0);
    let next = 0;
    let lastKey = -1;
    for (let e = h.ep.takeErrorEntry(); e !== null; e = h.ep.takeErrorEntry()) {
      if (e.origin === 5) {
        expect(e.info).toBe(next);
        next = e.data + 1;
      } else lastKey = e.data;
    }
    expect([next, lastKey]).toEqual([taken, taken - 1]);
  });
});
