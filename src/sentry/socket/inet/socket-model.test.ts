// Goal: sequences of socket calls give what Linux gives, errno by errno and poll mask by poll mask. The oracle is the
// lab's model of sockets; that the model is Linux is shown against a kernel in test/socket-model.test.ts.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errnoName } from "../../../abi/errno.ts";
import { POLLIN, POLLOUT, POLLPRI, POLLRDHUP } from "../../../abi/poll.ts";
import {
  SYS_accept4,
  SYS_bind,
  SYS_close,
  SYS_connect,
  SYS_getpeername,
  SYS_getsockname,
  SYS_getsockopt,
  SYS_listen,
  SYS_recvfrom,
  SYS_sendto,
  SYS_setsockopt,
  SYS_shutdown,
  SYS_socket,
} from "../../../abi/syscall-numbers.ts";
import { setU16, setU16Le, setU32Le } from "../../../base/bytes.ts";
import { SocketModel } from "../../../lab/properties/socket-model.ts";
import {
  PORTS,
  SOCKETS_MAX,
  type SocketStep,
  type StepResult,
  socketSteps,
  stepByte,
} from "../../../lab/properties/socket-steps.ts";
import type { Task } from "../../kernel/task.ts";
import {
  ADDR,
  BUFFER,
  LENGTH,
  peek,
  peekU32,
  poke,
  portAt,
  SocketFixture,
} from "../../testing/socket-fixture.ts";

const FIRST_PORT = 2_000;
const LAST_PORT = 30_000;
const NONBLOCK = 0x800;
const NOSIGNAL = 0x4000;
const PEEK = 2;
const SHOWN = POLLIN | POLLPRI | POLLOUT | POLLRDHUP | 8 | 16;

/** Nothing blocks here: what is on its way arrives in one go. */
class Fixture extends SocketFixture {
  override settle(): void {
    this.stack.runPending();
  }
}

class SentrySockets {
  readonly #k = new Fixture();
  readonly #t: Task = this.#k.process();
  readonly #family: 4 | 6;
  readonly #live: number[] = [];
  /** Of this sequence: what it leaves behind in TIME_WAIT is not in the way of the next. */
  #port = FIRST_PORT;

  constructor(family: 4 | 6) {
    this.#family = family;
  }

  run(steps: readonly SocketStep[]): StepResult[] {
    const results = steps.map((step, i) => ({
      result: this.#step(step, i),
      masks: this.#live.map((fd) => (this.#t.fds.get(fd)?.poll() ?? -1) & SHOWN),
    }));
    for (const fd of this.#live.splice(0)) this.#call(SYS_close, fd);
    this.#port += PORTS;
    return results;
  }

  get isWorn(): boolean {
    return this.#port >= LAST_PORT;
  }

  #call(nr: number, ...args: number[]): number {
    return this.#k.call(this.#t, nr, ...args) as number;
  }

  /** A sockaddr of loopback; -1: of no family. Its length. */
  #address(port: number): number {
    const isV4 = this.#family === 4;
    const b = new Uint8Array(isV4 ? 16 : 28);
    if (port >= 0) {
      setU16Le(b, 0, isV4 ? 2 : 10);
      setU16(b, 2, this.#port + port);
      if (isV4) b.set([127, 0, 0, 1], 4);
      else b[23] = 1;
    }
    poke(this.#t, ADDR, b);
    return b.length;
  }

  #integer(fd: number, level: number, name: number): void {
    const one = new Uint8Array(4);
    setU32Le(one, 0, 1);
    poke(this.#t, BUFFER, one);
    expect(this.#call(SYS_setsockopt, fd, level, name, BUFFER, 4)).toBe(0);
  }

  #step(step: SocketStep, index: number): string {
    const live = this.#live;
    if (step.do === "socket") {
      if (live.length >= SOCKETS_MAX) return "void";
      const af = this.#family === 4 ? 2 : 10;
      const fd = this.#call(SYS_socket, af, (step.tcp ? 1 : 2) | NONBLOCK, 0);
      if (step.tcp) this.#integer(fd, 6, 1);
      live.push(fd);
      return "0";
    }
    if (live.length === 0 || (step.do === "accept" && live.length >= SOCKETS_MAX)) return "void";
    const at = step.of % live.length;
    const result = this.#on(live[at], step, index);
    if (step.do === "close") live.splice(at, 1);
    if (step.do !== "accept" || typeof result === "string" || result < 0) return textOf(result);
    live.push(result);
    return "0";
  }

  #on(fd: number, step: SocketStep, index: number): number | string {
    switch (step.do) {
      case "reuse":
        this.#integer(fd, 1, 2);
        return 0;
      case "bind":
        return this.#call(SYS_bind, fd, ADDR, this.#address(step.port));
      case "listen":
        return this.#call(SYS_listen, fd, step.backlog);
      case "connect":
        return this.#call(SYS_connect, fd, ADDR, this.#address(step.port));
      case "disconnect":
        return this.#call(SYS_connect, fd, ADDR, this.#address(-1));
      case "accept":
        return this.#call(SYS_accept4, fd, 0, 0, NONBLOCK);
      case "send":
        this.#fill(step.length, index);
        return this.#call(SYS_sendto, fd, BUFFER, step.length, NOSIGNAL, 0, 0);
      case "sendto":
        this.#fill(step.length, index);
        return this.#call(
          ...[SYS_sendto, fd, BUFFER, step.length, NOSIGNAL, ADDR, this.#address(step.port)],
        );
      case "recv": {
        const n = this.#call(SYS_recvfrom, fd, BUFFER, step.length, step.peek ? PEEK : 0, 0, 0);
        if (n < 0) return n;
        const got = [...peek(this.#t, BUFFER, n)];
        return `x${got.map((b) => b.toString(16).padStart(2, "0")).join("")}`;
      }
      case "shutdown":
        return this.#call(SYS_shutdown, fd, step.how);
      case "error": {
        poke(this.#t, LENGTH, Uint8Array.of(4, 0, 0, 0));
        this.#call(SYS_getsockopt, fd, 1, 4, BUFFER, LENGTH);
        return -peekU32(this.#t, BUFFER);
      }
      case "names":
        return `${this.#name(SYS_getsockname, fd)} ${this.#name(SYS_getpeername, fd)}`;
      case "close":
        return this.#call(SYS_close, fd);
      default:
        throw new Error(`no call ${step.do}`);
    }
  }

  #fill(length: number, index: number): void {
    poke(this.#t, BUFFER, new Uint8Array(length).fill(stepByte(index)));
  }

  #name(nr: number, fd: number): string {
    poke(this.#t, LENGTH, Uint8Array.of(64, 0, 0, 0));
    const result = this.#call(nr, fd, BUFFER, LENGTH);
    if (result < 0) return textOf(result);
    const port = portAt(this.#t, BUFFER);
    if (port === 0) return "-";
    return port >= this.#port && port < this.#port + PORTS ? `p${port - this.#port}` : "e";
  }
}

const textOf = (result: number | string): string => {
  if (typeof result === "string") return result;
  return result < 0 ? errnoName(-result) : String(result);
};

let kept: SentrySockets | null = null;

/** The results up to the first that differs, for a short report. */
function differences(steps: readonly SocketStep[], family: 4 | 6): string[] {
  const oracle = new SocketModel();
  const model = oracle.run(steps);
  if (kept?.isWorn) kept = null;
  kept ??= new SentrySockets(family);
  const ours = kept.run(steps);
  const at = model.findIndex((r, i) => JSON.stringify(r) !== JSON.stringify(ours[i]));
  if (at < 0 || at >= oracle.oddAt) return [];
  const line = (i: number): string =>
    `${JSON.stringify(steps[i])} gives ${JSON.stringify(ours[i])}`;
  return [...steps.slice(0, at + 1).map((_, i) => line(i)), `Linux: ${JSON.stringify(model[at])}`];
}

describe("sequences of socket calls", () => {
  it.each<[4 | 6]>([[4], [6]])("IPv%i: what the model of Linux's sockets says", (family) => {
    kept = null;
    const seed = Number(process.env.NETCELL_SEED ?? 20 + family);
    const numRuns = Number(process.env.NETCELL_RUNS ?? 150);
    fc.assert(
      fc.property(socketSteps(), (steps) => {
        expect(differences(steps, family)).toEqual([]);
      }),
      { seed, numRuns },
    );
  });
});
