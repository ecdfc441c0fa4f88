// A server in a sandbox for `netcell fuzz -- PROGRAM`: the far end of its link is a stack of ours, in a clock that
// stands. Nothing here sleeps: after each step both sides are asked until neither has anything left to do.

import {
  FAMILIES,
  type Family,
  PROGRAM_MTU,
  ProgramClient,
  type ProgramStep,
} from "../lab/fuzz/index.ts";
import { PROGRAM_NETWORK, PROGRAM_NETWORK6 } from "../lab/program-network.ts";
import type { OutsideLink } from "../sandbox/options.ts";
import type { ExitStatus, Process } from "../sandbox/process.ts";
import { Sandbox } from "../sandbox/sandbox.ts";
import type { Fuzzed } from "./fuzz-search.ts";
import { sandboxOptions, spawnOptions } from "./run-options.ts";

const ROUNDS_MAX = 1_000;
const STDERR_MAX = 64 * 1024;
const STDERR_LINES_SHOWN = 12;
/** A program that is never idle for so long hangs. */
const HANG_MS = 10_000;
const SANITIZER = /ERROR: \w*Sanitizer|runtime error: |SUMMARY: \w*Sanitizer|\*\*\* stack smashing/;

export interface Crash {
  law: string;
  message: string;
  /** The last lines that the program wrote to its stderr. */
  stderr: string;
}

export class FuzzedServer {
  readonly fuzzed: Fuzzed;
  readonly client: ProgramClient;
  readonly #box: Sandbox;
  readonly #child: Process;
  #exit: ExitStatus | null = null;
  #isGone = "";
  /** Over which its port answers. */
  #families: readonly Family[] = FAMILIES;
  /** Of datagrams: those over which it was given one. */
  readonly #tried = new Set<Family>();
  #stderr = "";

  private constructor(fuzzed: Fuzzed, box: Sandbox, child: Process, outside: OutsideLink) {
    this.fuzzed = fuzzed;
    this.#box = box;
    this.#child = child;
    this.client = new ProgramClient(outside.link, fuzzed.port);
    outside.onDelivered = () => this.client.runPending();
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

  static async start(fuzzed: Fuzzed): Promise<FuzzedServer> {
    let outside: OutsideLink | null = null;
    const { argv, flags } = fuzzed;
    const box = await Sandbox.start({
      ...sandboxOptions(flags),
      mtu: PROGRAM_MTU,
      ...PROGRAM_NETWORK,
      ...PROGRAM_NETWORK6,
      seed: 1,
      outside: (link) => {
        outside = link;
      },
    });
    try {
      if (outside === null) throw new Error("the sandbox has no link");
      const child = await box.spawn(argv, {
        ...spawnOptions(flags, process.env),
        ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
      });
      const server = new FuzzedServer(fuzzed, box, child, outside);
      await server.settle();
      return server;
    } catch (error) {
      await box.close();
      throw error;
    }
  }

  /** Of TCP: over which families it takes a connection. Of datagrams its first one over each shows it. */
  async findFamilies(): Promise<void> {
    const open: Family[] = [];
    for (const family of FAMILIES) {
      this.client.connect(family);
      await this.settle();
      if (this.client.isConnected) open.push(family);
      await this.finish();
    }
    this.#families = open;
  }
  /** Empty: nobody listens. */
  get families(): readonly Family[] {
    return this.#families;
  }

  /** Until every task is blocked and no frame is on its way. Null, or what has become of the program. */
  async settle(): Promise<Crash | null> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const { passed } = this.client.link;
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
        return this.#crashOf("hang", `it is not idle after ${HANG_MS / 1000} seconds`);
      }
      // What it sent before it said so is in the link's socket: read by the next two turns.
      for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
      const crash = this.#crash();
      if (crash !== null) return crash;
      if (this.client.link.passed === passed) return null;
    }
    return this.#crashOf("hang", `it still sends after ${ROUNDS_MAX} rounds`);
  }

  #crash(): Crash | null {
    const found = SANITIZER.exec(this.#stderr);
    if (found !== null) {
      const line = this.#stderr.slice(found.index).split("\n", 1)[0];
      return this.#crashOf("sanitizer", line);
    }
    if (this.#isGone !== "") return this.#crashOf("sandbox", this.#isGone);
    if (this.#exit === null) return null;
    const { signal, exitCode } = this.#exit;
    if (signal !== null) return this.#crashOf("signal", `it was killed by signal ${signal}`);
    return this.#crashOf("exit", `it ended with status ${exitCode}`);
  }
  #crashOf(law: string, message: string): Crash {
    const lines = this.#stderr.trimEnd().split("\n");
    return { law, message, stderr: lines.slice(-STDERR_LINES_SHOWN).join("\n") };
  }

  /** One step; null, or what has become of the program. Answers are appended to `answers`. */
  async step(step: ProgramStep, answers: Uint8Array[]): Promise<Crash | null> {
    switch (step.do) {
      case "connect":
        this.client.connect(step.family);
        break;
      case "send":
        await this.#send(step.bytes, answers);
        break;
      case "end":
        this.client.end();
        break;
      case "datagram":
        this.client.sendDatagram(step.bytes);
        break;
      case "frame":
        this.client.sendFrame(step.bytes);
        break;
    }
    const crash = await this.settle();
    this.client.receive(answers);
    if (step.do === "datagram" && crash === null) this.#learn(this.client.family);
    return crash;
  }

  /** Its first datagram of this family found nobody. Later ones may: a server is free to close its socket. */
  #learn(family: Family): void {
    if (this.#tried.has(family)) return;
    this.#tried.add(family);
    if (!this.client.isRefused) return;
    this.#families = this.#families.filter((other) => other !== family);
  }

  async #send(bytes: Uint8Array, answers: Uint8Array[]): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const n = this.client.write(bytes, at);
      if (n < 0) return;
      at += n;
      if (n > 0) continue;
      const { passed } = this.client.link;
      if ((await this.settle()) !== null) return;
      this.client.receive(answers);
      // It reads no more: what is left stays unsent.
      if (this.client.link.passed === passed) return;
    }
  }

  async finish(): Promise<Crash | null> {
    this.client.disconnect();
    return this.settle();
  }

  async close(): Promise<void> {
    const SIGKILL = 9;
    this.#child.kill(SIGKILL);
    this.client.close();
    await this.#box.close();
  }
}
