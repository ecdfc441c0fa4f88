// A server in a sandbox for `netcell fuzz -- PROGRAM`: the far end of its link is a stack of ours, in a clock that
// stands. Nothing here sleeps: after each step both sides are asked until neither has anything left to do.

import { ManualClock } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import type { ProgramStep } from "../lab/fuzz/index.ts";
import {
  copyPacket,
  IpAddr,
  type LinkEndpoint,
  type LinkSink,
  PacketBuffer,
  Ready,
  Stack,
  type TcpEndpoint,
} from "../netstack/index.ts";
import type { OutsideLink } from "../sandbox/options.ts";
import type { ExitStatus, Process } from "../sandbox/process.ts";
import { Sandbox } from "../sandbox/sandbox.ts";

export const GUEST = IpAddr.v4(10, 0, 2, 15);
export const GUEST_MAC = [2, 0x6e, 0x63, 0, 0, 0x0f] as const;
const US = IpAddr.v4(10, 0, 2, 2);
const MTU = 1_500;
const ROUNDS_MAX = 1_000;
const STDERR_MAX = 64 * 1024;
const ANSWER_MAX = 64 * 1024;
/** A program that is never idle for so long hangs. */
const HANG_MS = 10_000;
const SANITIZER = /ERROR: \w*Sanitizer|runtime error: |SUMMARY: \w*Sanitizer|\*\*\* stack smashing/;

export interface Crash {
  law: string;
  message: string;
}

/** Sees frames both ways: for the capture of a failure, and to know that something went by. */
class Tapped implements LinkEndpoint {
  readonly below: LinkEndpoint;
  passed = 0;
  onFrame: (bytes: Uint8Array, isOut: boolean) => void = () => {};

  constructor(below: LinkEndpoint) {
    this.below = below;
  }
  get mtu(): number {
    return MTU;
  }
  get mac(): Uint8Array {
    return this.below.mac;
  }
  get checksumOffload(): boolean {
    return false;
  }
  get gsoBytesMax(): number {
    return 0;
  }
  attach(sink: LinkSink): void {
    this.below.attach({
      deliver: (pkt) => {
        this.passed++;
        this.onFrame(pkt.bytes.slice(pkt.start, pkt.end), true);
        sink.deliver(pkt);
      },
    });
  }
  send(pkt: PacketBuffer): boolean {
    this.passed++;
    const copy = new PacketBuffer(pkt.length + 256);
    copyPacket(copy, pkt);
    this.onFrame(copy.bytes.slice(copy.start, copy.end), false);
    return this.below.send(pkt);
  }
  close(): void {
    this.below.close();
  }
}

export class FuzzedServer {
  readonly link: Tapped;
  readonly #box: Sandbox;
  readonly #child: Process;
  readonly #stack: Stack;
  readonly #port: number;
  readonly #buffer = new Uint8Array(ANSWER_MAX);
  #connection: TcpEndpoint | null = null;
  #exit: ExitStatus | null = null;
  #isGone = "";
  #stderr = "";

  private constructor(box: Sandbox, child: Process, outside: OutsideLink, port: number) {
    this.#box = box;
    this.#child = child;
    this.#port = port;
    this.link = new Tapped(outside.link);
    const clock = new ManualClock();
    clock.advanceNs(1e9);
    const limits = DEFAULT_LIMITS;
    this.#stack = new Stack({ clock, rng: new SeededRng(1), limits });
    this.#stack.attach(this.link, { name: "eth0", addresses: [{ addr: US, prefixBits: 24 }] });
    outside.onDelivered = () => this.#stack.runPending();
    child.stderr?.on("data", (piece: Buffer) => {
      if (this.#stderr.length < STDERR_MAX) this.#stderr += piece.toString("latin1");
    });
    child.stdout?.resume();
    child.exited.then(
      (status) => {
        this.#exit = status;
      },
      (error: Error) => {
        this.#isGone = error.message;
      },
    );
  }

  static async start(argv: readonly string[], port: number): Promise<FuzzedServer> {
    let outside: OutsideLink | null = null;
    const box = await Sandbox.start({
      mtu: MTU,
      seed: 1,
      outside: (link) => {
        outside = link;
      },
    });
    try {
      if (outside === null) throw new Error("the sandbox has no link");
      const child = await box.spawn(argv, { stdout: "pipe", stderr: "pipe" });
      const server = new FuzzedServer(box, child, outside, port);
      await server.settle();
      return server;
    } catch (error) {
      await box.close();
      throw error;
    }
  }

  get isListening(): Promise<boolean> {
    return this.#isListening();
  }

  async #isListening(): Promise<boolean> {
    this.#connect();
    await this.settle();
    const isOpen = this.#connection !== null && this.#connection.state === 1;
    this.#disconnect();
    await this.settle();
    return isOpen;
  }

  #connect(): void {
    this.#disconnect();
    const endpoint = this.#stack.endpoints.tcp(4);
    if (typeof endpoint === "number") throw new Error("no endpoint left");
    endpoint.options.noDelay = true;
    endpoint.connect(GUEST, this.#port);
    this.#connection = endpoint;
    this.#stack.runPending();
  }

  #disconnect(): void {
    if (this.#connection === null) return;
    this.#connection.abort();
    this.#connection.close();
    this.#connection = null;
    this.#stack.runPending();
  }

  /** Until every task is blocked and no frame is on its way. Null, or what has become of the program. */
  async settle(): Promise<Crash | null> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const { passed } = this.link;
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<"hang">((resolve) => {
        timer = setTimeout(resolve, HANG_MS, "hang");
      });
      const quiet = this.#box.quiescent().then(
        () => "quiet" as const,
        () => "gone" as const,
      );
      const outcome = await Promise.race([quiet, patience]).finally(() => clearTimeout(timer));
      if (outcome === "hang") {
        return { law: "hang", message: `it is not idle after ${HANG_MS / 1000} seconds` };
      }
      // What it sent before it said so is in the link's socket: read by the next two turns.
      for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
      const crash = this.#crash();
      if (crash !== null) return crash;
      if (this.link.passed === passed) return null;
    }
    return { law: "hang", message: `it still sends after ${ROUNDS_MAX} rounds` };
  }

  #crash(): Crash | null {
    const found = SANITIZER.exec(this.#stderr);
    if (found !== null) {
      const line = this.#stderr.slice(found.index).split("\n", 1)[0];
      return { law: "sanitizer", message: line };
    }
    if (this.#isGone !== "") return { law: "sandbox", message: this.#isGone };
    if (this.#exit === null) return null;
    const { signal, exitCode } = this.#exit;
    if (signal !== null) return { law: "signal", message: `it was killed by signal ${signal}` };
    return { law: "exit", message: `it ended with status ${exitCode}` };
  }

  /** One step; null, or what has become of the program. Answers are appended to `answers`. */
  async step(step: ProgramStep, answers: Uint8Array[]): Promise<Crash | null> {
    switch (step.do) {
      case "connect":
        this.#connect();
        break;
      case "send":
        await this.#send(step.bytes, answers);
        break;
      case "end":
        this.#connection?.shutdown(false, true);
        break;
      case "frame":
        this.#sendFrame(step.bytes);
        break;
    }
    this.#stack.runPending();
    const crash = await this.settle();
    this.#receive(answers);
    return crash;
  }

  async #send(bytes: Uint8Array, answers: Uint8Array[]): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const end = this.#connection;
      if (end === null || (end.readiness() & (Ready.Error | Ready.Hangup)) !== 0) return;
      const n = end.write(bytes, at, bytes.length - at, 0);
      if (n > 0) at += n;
      else {
        const { passed } = this.link;
        if ((await this.settle()) !== null) return;
        this.#receive(answers);
        // It reads no more: what is left stays unsent.
        if (this.link.passed === passed) return;
      }
    }
  }

  #sendFrame(bytes: Uint8Array): void {
    if (bytes.length < 14) return;
    const pkt = new PacketBuffer(bytes.length + 256);
    pkt.bytes.set(bytes, pkt.start);
    pkt.end = pkt.start + bytes.length;
    this.link.send(pkt);
  }

  #receive(answers: Uint8Array[]): void {
    const end = this.#connection;
    if (end === null) return;
    for (;;) {
      const n = end.read(this.#buffer, 0, this.#buffer.length, false);
      if (n <= 0) break;
      answers.push(this.#buffer.slice(0, n));
    }
    this.#stack.runPending();
  }

  async finish(): Promise<Crash | null> {
    this.#disconnect();
    return this.settle();
  }

  async close(): Promise<void> {
    const SIGKILL = 9;
    this.#child.kill(SIGKILL);
    this.#stack.close();
    await this.#box.close();
  }
}
