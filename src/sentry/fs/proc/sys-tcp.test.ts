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
