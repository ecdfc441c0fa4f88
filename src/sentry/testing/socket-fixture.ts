// A kernel with the real stack (loopback only), for tests of sockets: system calls with arguments that are
// written into the program's memory first.

import { setU16, setU16Le, setU32, u16, u32Le } from "../../base/bytes.ts";
import { DEFAULT_LIMITS, type Limits } from "../../base/limits.ts";
import type { Macs } from "../../base/macs.ts";
import { SeededRng } from "../../base/rng.ts";
import { Stack } from "../../netstack/index.ts";
import type { Task } from "../kernel/task.ts";
import { KernelFixture, USER_BASE } from "./kernel-fixture.ts";

/** Places in the program's memory. */
export const ADDR = USER_BASE + 0x1000;
export const LENGTH = USER_BASE + 0x1800;
export const BUFFER = USER_BASE + 0x2000;
export const OTHER = USER_BASE + 0x2_0000;

export class SocketFixture extends KernelFixture {
  readonly stack: Stack;

  constructor(limits: Partial<Limits> = {}, macs?: Macs) {
    const all = { ...DEFAULT_LIMITS, ...limits };
    super({ limits: all, stack: null as unknown as Stack });
    this.stack = new Stack({
      clock: this.clock,
      rng: new SeededRng(7),
      limits: all,
      macs,
      timers: this.kernel.timers,
    });
    (this.kernel as { stack: Stack }).stack = this.stack;
  }

  override call(t: Task, nr: number, ...args: number[]): number | null {
    const result = super.call(t, nr, ...args);
    this.settle();
    return result ?? this.result(t);
  }
  /** Packets to ourselves, and whoever they woke. */
  settle(): void {
    for (let round = 0; round < 64; round++) {
      this.stack.runPending();
      this.run();
    }
  }
}

export function poke(t: Task, addr: number, bytes: Uint8Array): void {
  if (t.mm.copyOut(addr, bytes, 0, bytes.length) !== bytes.length) throw new Error("poke");
}
export function peek(t: Task, addr: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (length > 0 && t.mm.copyIn(addr, bytes, 0, length) !== length) throw new Error("peek");
  return bytes;
}
export const peekU32 = (t: Task, addr: number): number => u32Le(peek(t, addr, 4), 0);
export const pokeText = (t: Task, addr: number, text: string): void =>
  poke(
    t,
    addr,
    Uint8Array.from(text, (c) => c.charCodeAt(0)),
  );
export const peekText = (t: Task, addr: number, length: number): string =>
  String.fromCharCode(...peek(t, addr, length));

/** Writes a sockaddr_in at ADDR; its length. */
export function pokeInet(t: Task, ip: number, port: number): number {
  const bytes = new Uint8Array(16);
  setU16Le(bytes, 0, 2);
  setU16(bytes, 2, port);
  setU32(bytes, 4, ip);
  poke(t, ADDR, bytes);
  return 16;
}
export const LOCALHOST = 0x7f00_0001;
export const portAt = (t: Task, addr: number): number => u16(peek(t, addr, 4), 2);

/** Writes a sockaddr_un at ADDR; its length. "@x" is the abstract name x. */
export function pokeUnix(t: Task, name: string): number {
  const bytes = new Uint8Array(2 + name.length);
  bytes[0] = 1;
  for (let i = 0; i < name.length; i++) bytes[2 + i] = name.charCodeAt(i);
  if (name.startsWith("@")) bytes[2] = 0;
  poke(t, ADDR, bytes);
  return bytes.length;
}
