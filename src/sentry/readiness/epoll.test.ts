import { describe, expect, it } from "vitest";
import { EEXIST, EINVAL, ELOOP, ENOENT, EPERM } from "../../abi/errno.ts";
import { EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, POLLIN, POLLOUT } from "../../abi/poll.ts";
import { u32Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { FileDescription } from "../vfs/file-description.ts";
import { BytesIo } from "../vfs/io.ts";
import { EpollFile } from "./epoll.ts";
import { EventFile } from "./event-file.ts";

const t = null as unknown as Task;
const out = new Uint8Array(12 * 16);
const signal = (f: EventFile, count = 1): void => f.signal(count);
const drain = (f: EventFile): void => {
  f.read(t, new BytesIo(new Uint8Array(8)));
};
/** What a wait reports: [events, data] pairs. */
function collect(epoll: EpollFile, max = 16): [number, number][] {
  const n = epoll.collect(out, max);
  return Array.from({ length: n }, (_, i) => [u32Le(out, 12 * i), u32Le(out, 12 * i + 4)]);
}
function watched(events: number): { epoll: EpollFile; file: EventFile } {
  const epoll = new EpollFile(100);
  const file = new EventFile(0, false, 0);
  expect(epoll.add(3, file, events, 77, 0)).toBe(0);
  return { epoll, file };
}

describe("epoll", () => {
  it("reports a level-triggered file for as long as it is ready", () => {
    const { epoll, file } = watched(POLLIN);
    expect(collect(epoll)).toEqual([]);
    signal(file);
    expect(collect(epoll)).toEqual([[POLLIN, 77]]);
    expect(collect(epoll)).toEqual([[POLLIN, 77]]);
    drain(file);
    expect(collect(epoll)).toEqual([]);
  });

  it("reports an edge once, and the next one again", () => {
    const { epoll, file } = watched(POLLIN | EPOLLET);
    signal(file);
    expect(collect(epoll)).toHaveLength(1);
    expect(collect(epoll)).toHaveLength(0);
    signal(file);
    expect(collect(epoll)).toHaveLength(1);
  });

  it("is silent after a one-shot until it is armed again", () => {
    const { epoll, file } = watched(POLLIN | EPOLLONESHOT);
    signal(file);
    expect(collect(epoll)).toHaveLength(1);
    signal(file);
    expect(collect(epoll)).toHaveLength(0);
    expect(epoll.modify(3, file, POLLIN | EPOLLONESHOT, 5, 0)).toBe(0);
    expect(collect(epoll)).toEqual([[POLLIN, 5]]);
  });

  it("sees what is ready already when it is added or modified", () => {
    const epoll = new EpollFile(100);
    const file = new EventFile(1, false, 0);
    epoll.add(3, file, POLLIN | EPOLLET, 1, 0);
    expect(collect(epoll)).toEqual([[POLLIN, 1]]);
    epoll.modify(3, file, POLLIN | POLLOUT | EPOLLET, 2, 0);
    expect(collect(epoll)).toEqual([[POLLIN | POLLOUT, 2]]);
  });

  it("gives every ready file its turn when there is room for one only", () => {
    const epoll = new EpollFile(100);
    for (let i = 0; i < 3; i++) epoll.add(i, new EventFile(1, false, 0), POLLIN, i, 0);
    const seen = [1, 2, 3].map(() => collect(epoll, 1)[0][1]);
    expect(seen.sort()).toEqual([0, 1, 2]);
  });

  it("keys interests by descriptor and description", () => {
    const epoll = new EpollFile(100);
    const a = new EventFile(1, false, 0);
    const b = new EventFile(1, false, 0);
    expect(epoll.add(3, a, POLLIN, 1, 0)).toBe(0);
    expect(epoll.add(3, a, POLLIN, 1, 0)).toBe(-EEXIST);
    expect(epoll.add(4, a, POLLIN, 2, 0)).toBe(0);
    // The number was closed and used again while a duplicate keeps the first file alive.
    expect(epoll.add(3, b, POLLIN, 3, 0)).toBe(0);
    expect(collect(epoll).map((e) => e[1])).toEqual([1, 2, 3]);
    expect(epoll.delete(3, b)).toBe(0);
    expect(epoll.delete(3, b)).toBe(-ENOENT);
    expect(collect(epoll).map((e) => e[1])).toEqual([1, 2]);
  });

  it("forgets a file with its last reference only", () => {
    const { epoll, file } = watched(POLLIN);
    signal(file);
    file.incRef();
    file.decRef();
    expect(collect(epoll)).toHaveLength(1);
    file.decRef();
    expect(collect(epoll)).toHaveLength(0);
    expect(file.waiters.isEmpty).toBe(true);
  });

  it("lets go of its files when it is closed itself", () => {
    const { epoll, file } = watched(POLLIN);
    epoll.decRef();
    expect(file.waiters.isEmpty).toBe(true);
    expect(file.watches).toBeNull();
  });

  it("nests, and passes readiness up", () => {
    const { epoll: inner, file } = watched(POLLIN);
    const outer = new EpollFile(100);
    expect(outer.add(9, inner, POLLIN, 1, 0)).toBe(0);
    expect(collect(outer)).toEqual([]);
    signal(file);
    expect(collect(outer)).toEqual([[POLLIN, 1]]);
    drain(file);
    expect(collect(outer)).toEqual([]);
  });

  it("refuses loops and chains of more than five", () => {
    const chain = Array.from({ length: 6 }, () => new EpollFile(100));
    expect(chain[0].add(1, chain[0], POLLIN, 0, 0)).toBe(-EINVAL);
    for (let i = 0; i < 4; i++) expect(chain[i].add(1, chain[i + 1], POLLIN, 0, 0)).toBe(0);
    expect(chain[4].add(1, chain[5], POLLIN, 0, 0)).toBe(-ELOOP);
    expect(chain[4].add(1, chain[0], POLLIN, 0, 0)).toBe(-ELOOP);
    expect(chain[1].add(2, chain[0], POLLIN, 0, 0)).toBe(-ELOOP);
  });

  it("refuses files that are always ready, and misuse of EPOLLEXCLUSIVE", () => {
    class Regular extends FileDescription {
      stat(): number {
        return 0;
      }
      release(): void {}
      describe(): string {
        return "regular";
      }
    }
    const { epoll, file } = watched(POLLIN);
    expect(epoll.add(8, new Regular(0), POLLIN, 0, 0)).toBe(-EPERM);
    expect(epoll.modify(3, file, POLLIN | EPOLLEXCLUSIVE, 0, 0)).toBe(-EINVAL);
    const other = new EventFile(1, false, 0);
    expect(epoll.add(4, other, POLLIN | EPOLLONESHOT | EPOLLEXCLUSIVE, 0, 0)).toBe(-EINVAL);
    expect(epoll.add(4, other, POLLIN | EPOLLEXCLUSIVE, 4, 0)).toBe(0);
    expect(collect(epoll)).toEqual([[POLLIN, 4]]);
  });
});

describe("eventfd", () => {
  const read = (f: EventFile): number | bigint => {
    const bytes = new Uint8Array(8);
    const n = f.read(t, new BytesIo(bytes));
    return n === 8 ? new DataView(bytes.buffer).getBigUint64(0, true) : n;
  };
  const write = (f: EventFile, value: bigint): number => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    return f.write(t, new BytesIo(bytes));
  };

  it("adds up and is emptied by a read, exactly to 2^64-2", () => {
    const f = new EventFile(2, false, 0);
    expect(write(f, 0xffff_ffff_ffff_fffcn)).toBe(8);
    expect(f.poll() & POLLOUT).toBe(0);
    expect(write(f, 1n)).toBe(-11);
    expect(write(f, 0xffff_ffff_ffff_ffffn)).toBe(-EINVAL);
    expect(read(f)).toBe(0xffff_ffff_ffff_fffen);
    expect(read(f)).toBe(-11);
  });

  it("counts down by one as a semaphore, across the words", () => {
    const f = new EventFile(0, true, 0);
    write(f, 0x1_0000_0000n);
    expect(read(f)).toBe(1n);
    expect(f.fdinfo()).toContain("ffffffff");
  });
});
