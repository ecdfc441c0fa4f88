import { describe, expect, it } from "vitest";
import { EINVAL, ENOENT, EPERM } from "../../../abi/errno.ts";
import { ManualClock } from "../../../base/clock.ts";
import { DEFAULT_LIMITS } from "../../../base/limits.ts";
import { SeededRng } from "../../../base/rng.ts";
import { Stack } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { type SysctlFiles, tcpSysctls } from "./sys-tcp.ts";

interface File {
  read: () => string;
  store: (t: Task, text: string) => number;
}

function files(): { all: Map<string, File>; stack: Stack } {
  const all = new Map<string, File>();
  const sink: SysctlFiles = {
    value: (path, value) => all.set(path, { read: () => String(value), store: () => -EPERM }),
    custom: (path, read, store) => all.set(path, { read, store }),
  };
  const stack = new Stack({
    clock: new ManualClock(),
    rng: new SeededRng(1),
    limits: DEFAULT_LIMITS,
  });
  tcpSysctls(sink, () => stack.tcp.settings, DEFAULT_LIMITS);
  return { all, stack };
}

const root = { creds: { hasCapability: () => true } } as unknown as Task;
const user = { creds: { hasCapability: () => false } } as unknown as Task;

describe("tcp_* sysctls", () => {
  it("read back what is written, and every default may be written again", () => {
    for (const [path, file] of files().all) {
      const text = file.read();
      expect(text, path).not.toMatch(/undefined|NaN/);
      const result = file.store(root, `${text}\n`);
      if (result === -EPERM) continue;
      expect(result, path).toBe(text.length + 1);
      expect(file.read(), path).toBe(text);
    }
  });

  it("reach the stack", () => {
    const { all, stack } = files();
    const write = (name: string, text: string): number =>
      (all.get(`net/ipv4/${name}`) as File).store(root, text);
    expect(write("tcp_ecn", "3\n")).toBe(2);
    expect(write("tcp_fin_timeout", "15")).toBe(2);
    expect(write("tcp_congestion_control", "bbr\n")).toBe(4);
    const { ecn, finTimeoutNs, congestion } = stack.tcp.settings;
    expect([ecn, finTimeoutNs, congestion]).toEqual([3, 15e9, "bbr"]);
  });

  it("buffers: one to three numbers, from which connections begin and to which they grow", () => {
    const { all, stack } = files();
    const rmem = all.get("net/ipv4/tcp_rmem") as File;
    expect(rmem.read()).toBe(`4096\t131072\t${DEFAULT_LIMITS.socketBufferBytesMax}`);
    expect(rmem.store(root, "4096 200000 400000\n")).toBe(19);
    expect(rmem.store(root, "8192")).toBe(4);
    expect(rmem.read()).toBe("8192\t200000\t400000");
    for (const bad of ["0", "1 2 3 4", "a", "", "4096 -1"]) {
      expect(rmem.store(root, bad)).toBe(-EINVAL);
    }
    expect(rmem.store(user, "4096")).toBe(-EPERM);
    expect((all.get("net/ipv4/tcp_wmem") as File).store(root, "4096 30000 60000")).toBe(16);
    const made = stack.endpoints.tcp(4);
    if (typeof made === "number") throw new Error("no endpoint");
    expect(made.options).toMatchObject({ receiveBufferBytes: 100_000, sendBufferBytes: 30_000 });
  });

  it("keep-alive's times count for the endpoints that are there, too, unless they have their own", () => {
    const { all, stack } = files();
    const made = stack.endpoints.tcp(4);
    if (typeof made === "number") throw new Error("no endpoint");
    made.options.keepCount = 3;
    (all.get("net/ipv4/tcp_keepalive_time") as File).store(root, "60");
    (all.get("net/ipv4/tcp_keepalive_probes") as File).store(root, "5");
    expect([made.keepIdleNs, made.keepIntervalNs, made.keepCount]).toEqual([60e9, 75e9, 3]);
  });

  it("keys of Fast Open: one or two", () => {
    const { all, stack } = files();
    const key = all.get("net/ipv4/tcp_fastopen_key") as File;
    const two = "00000001-00000002-00000003-00000004,0000000a-0000000b-0000000c-ffffffff";
    expect(key.store(root, `${two}\n`)).toBe(two.length + 1);
    expect(key.read()).toBe(two);
    expect(stack.tcp.settings.fastopenKey[7]).toBe(-1);
    expect(key.store(root, "1-2-3")).toBe(-EINVAL);
    expect(key.store(user, two)).toBe(-EPERM);
  });

  it("refuse what is out of range, unknown, or not the writer's business", () => {
    const { all } = files();
    const ecn = all.get("net/ipv4/tcp_ecn") as File;
    expect(ecn.store(root, "6")).toBe(-EINVAL);
    expect(ecn.store(root, "on")).toBe(-EINVAL);
    expect(ecn.store(user, "1")).toBe(-EPERM);
    const control = all.get("net/ipv4/tcp_congestion_control") as File;
    expect(control.store(root, "vegas")).toBe(-ENOENT);
    expect(ecn.read()).toBe("2");
  });
});
