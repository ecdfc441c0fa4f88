import { describe, expect, it } from "vitest";
import { IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { type ErrorEntry, ErrorOrigin, ErrorQueue, errorAfterTake } from "./error-queue.ts";

const account = { socketMemoryBytes: 0, limits: { socketMemoryBytes: 1 << 20 } };
const make = (receiveBufferBytes = 1 << 16): ErrorQueue =>
  new ErrorQueue(account, { receiveBufferBytes });
const to = IpAddr.v4(10, 0, 0, 1);

describe("the error queue", () => {
  it("joins zero-copy sends that follow each other, and only those", () => {
    const q = make();
    q.pushZerocopy(0, 0, true);
    q.pushZerocopy(1, 1, true);
    q.pushZerocopy(2, 2, false);
    q.pushZerocopy(4, 4, false);
    expect(q.take()).toMatchObject({ origin: ErrorOrigin.Zerocopy, info: 0, data: 1, code: 1 });
    expect(q.take()).toMatchObject({ info: 2, data: 2, code: 0 });
    expect(q.take()).toMatchObject({ info: 4, data: 4 });
    expect(q.take()).toBeNull();
  });

  it("holds no more than the receive buffer, and gives every byte back", () => {
    const q = make(4096);
    for (let i = 0; i < 100; i++) q.pushTimestamp(0, i, 1, new Uint8Array(700));
    expect(q.count).toBe(4);
    expect(q.dropped).toBe(96);
    expect(account.socketMemoryBytes).toBe(4 * 956);
    expect(q.take()?.data).toBe(0);
    q.clear();
    expect(account.socketMemoryBytes).toBe(0);
  });

  it("leaves as pending error what the next ICMP error says", () => {
    const q = make();
    const icmp = (error: number): void => {
      const entry = { origin: ErrorOrigin.Icmp, error, bytes: new Uint8Array(0) };
      q.push({ ...(entry as unknown as ErrorEntry) });
    };
    icmp(NetErr.HostUnreachable);
    icmp(NetErr.ConnectionRefused);
    q.pushLocal(NetErr.MessageTooLong, to, 7, 1500, 1);
    expect(errorAfterTake(q, q.take() as ErrorEntry)).toBe(NetErr.ConnectionRefused);
    expect(errorAfterTake(q, q.take() as ErrorEntry)).toBe(0);
    expect(errorAfterTake(q, q.take() as ErrorEntry)).toBeUndefined();
  });
});
