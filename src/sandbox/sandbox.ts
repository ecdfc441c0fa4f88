// The public object: a sandbox with its own kernel, network and files, in which programs are run.

import type { ChildProcess } from "node:child_process";
import { constants, openSync } from "node:fs";
import { SIGKILL } from "../abi/signal.ts";
import type { GoferConfig } from "../gofer/index.ts";
import { close } from "../host/libc.ts";
import type { FromSentry, SentryConfig } from "../sentry/control/protocol.ts";
import { ControlChannel } from "./control-channel.ts";
import { NetcellError } from "./errors.ts";
import { composeFiles } from "./files.ts";
import { openNetwork, type SandboxNetwork } from "./network.ts";
import { checkOptions, type SandboxOptions, type SpawnOptions } from "./options.ts";
import { PendingProcess } from "./pending-process.ts";
import {
  closeOwned,
  type ExitStatus,
  openStdio,
  Process,
  type ProcessHost,
  type Stdio,
  shellStatus,
} from "./process.ts";
import { spawnRequest } from "./program-identity.ts";
import { Questions } from "./questions.ts";
import { openLog, STDERR, sentryConfig } from "./sentry-config.ts";
import {
  discardProcesses,
  endProcesses,
  isGone,
  type StartedProcesses,
  sendTrees,
  startProcesses,
} from "./start-processes.ts";

export interface RunResult extends ExitStatus {
  stdout: string;
  stderr: string;
  stdoutBytes: Uint8Array;
  stderrBytes: Uint8Array;
  /** As a shell reports it: the code, 128+N, or 124. */
  status: number;
}

/** A Sentry that has not ended by then is killed. */
const SENTRY_END_MS = 1000;

export class Sandbox implements AsyncDisposable, ProcessHost {
  readonly #started: StartedProcesses;
  readonly #control: ControlChannel;
  readonly #network: SandboxNetwork;
  readonly #defaultWorkdir: string;
  readonly #nullFd: number;
  readonly #processes = new Map<number, PendingProcess>();
  readonly #questions = new Questions();
  #nextId = 1;
  #failure: NetcellError | null = null;
  #closing: Promise<void> | null = null;
  #onAbort: (() => void) | null = null;
  readonly #signal: AbortSignal | undefined;

  /** Starts a sandbox. Rejects with ERR_USAGE or ERR_HOST; nothing is left behind then. */
  static start(options: SandboxOptions = {}): Promise<Sandbox> {
    return startIn(null, options);
  }

  /** Not for library users: start() makes what this takes over. */
  constructor(
    started: StartedProcesses,
    network: SandboxNetwork,
    workdir: string,
    signal: AbortSignal | undefined,
  ) {
    this.#started = started;
    this.#network = network;
    this.#defaultWorkdir = workdir;
    this.#nullFd = openSync("/dev/null", constants.O_RDWR);
    this.#control = new ControlChannel(started.controlFd);
    started.controlFd = -1;
    this.#control.onMessage = (message) => this.#onMessage(message);
    this.#signal = signal;
    if (signal !== undefined) {
      this.#onAbort = () => {
        void this.close();
      };
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
    this.#mourn(started.sentry, "netcell-sentry");
    this.#mourn(started.gofer, "netcell-gofer");
  }

  #mourn(child: ChildProcess, name: string): void {
    const dead = (): void => this.#fail(`${name} ended unexpectedly`);
    if (isGone(child)) dead();
    else child.once("exit", dead);
  }

  /** The first messages of Gofer and Sentry. Resolves when the descriptors are on their way. */
  configure(trees: GoferConfig, config: SentryConfig, fds: readonly number[]): Promise<void> {
    sendTrees(this.#started, trees);
    return this.#control.send({ type: "start", config }, fds);
  }

  /** Starts a program. Rejects with ERR_NOT_FOUND, ERR_NOT_EXECUTABLE, ERR_USAGE or ERR_CLOSED. */
  async spawn(argv: readonly string[], options: SpawnOptions = {}): Promise<Process> {
    if (argv.length === 0) throw new NetcellError("ERR_USAGE", "there is no program to run.");
    if (argv.some((arg) => arg.includes("\0"))) {
      throw new NetcellError("ERR_USAGE", "an argument has a NUL byte in it.");
    }
    options.signal?.throwIfAborted();
    if (this.#failure !== null) throw this.#failure;
    const stdio = openStdio(options, this.#nullFd);
    const id = this.#nextId++;
    const entry = new PendingProcess();
    this.#processes.set(id, entry);
    this.#watch(id, entry, options);
    let pid: number;
    try {
      await this.#sendSpawn(id, argv, options, stdio);
      pid = await entry.spawned;
    } catch (error) {
      this.#processes.delete(id);
      for (const stream of [stdio.stdin, stdio.stdout, stdio.stderr]) stream?.destroy();
      throw error;
    }
    return new Process(this, id, pid, stdio, entry.exited);
  }

  /** Runs a program to its end and collects its output. */
  async run(argv: readonly string[], options: SpawnOptions = {}): Promise<RunResult> {
    const child = await this.spawn(argv, options);
    const collect = async (stream: Process["stdout"]): Promise<Buffer> => {
      const chunks: Buffer[] = [];
      if (stream !== null) for await (const chunk of stream) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks);
    };
    const [stdout, stderr, exit] = await Promise.all([
      collect(child.stdout),
      collect(child.stderr),
      child.exited,
    ]);
    options.signal?.throwIfAborted();
    return {
      ...exit,
      status: shellStatus(exit),
      stdout: stdout.toString("utf8"),
      stderr: stderr.toString("utf8"),
      stdoutBytes: stdout,
      stderrBytes: stderr,
    };
  }

  #sendSpawn(
    id: number,
    argv: readonly string[],
    options: SpawnOptions,
    stdio: Stdio,
  ): Promise<void> {
    const request = spawnRequest(id, argv, options, this.#defaultWorkdir);
    const sent = this.#control.send(request, stdio.theirs);
    return sent.finally(() => closeOwned(stdio));
  }

  #watch(id: number, entry: PendingProcess, options: SpawnOptions): void {
    const kill = (): void => this.signalProcess(id, SIGKILL);
    if (options.timeoutMs !== undefined) entry.limit(options.timeoutMs, kill);
    const { signal } = options;
    if (signal === undefined) return;
    signal.addEventListener("abort", kill, { once: true });
    const forget = (): void => signal.removeEventListener("abort", kill);
    entry.exited.then(forget, forget);
  }

  #onMessage(message: FromSentry): void {
    switch (message.type) {
      case "ready":
        return;
      case "fatal":
        this.#fail(message.message);
        return;
      case "unusable":
        this.#end(new NetcellError("ERR_HOST", message.message));
        return;
      case "pong":
        this.#questions.answer(message.id, { hasTimers: false });
        return;
      case "quiet":
        this.#questions.answer(message.id, { hasTimers: message.hasTimers === true });
        return;
      case "spawned":
        this.#processes.get(message.id)?.hasSpawned(message.pid);
        return;
      case "spawnFailed":
        this.#forget(message.id)?.hasFailed(message);
        return;
      case "exited":
        this.#forget(message.id)?.hasExited(message);
        return;
    }
  }

  #forget(id: number): PendingProcess | undefined {
    const entry = this.#processes.get(id);
    this.#processes.delete(id);
    return entry;
  }

  /** Whether its kernel still works: false when it is closed, or does not answer in time. */
  async answers(withinMs: number): Promise<boolean> {
    if (this.#failure !== null) return false;
    const ping = (id: number): Promise<void> => this.#control.send({ type: "ping", id });
    return (await this.#questions.ask(ping, withinMs)) !== null;
  }

  /**
   * Resolves when every task is blocked and everything that reached the sandbox before has been seen to. What it has
   * sent by then is on its way. hasTimers: one is still armed; without any it does nothing more before something
   * reaches it. Rejects with ERR_CLOSED.
   */
  async quiescent(): Promise<{ hasTimers: boolean }> {
    if (this.#failure !== null) throw this.#failure;
    const quiet = await this.#questions.ask((id) => this.#control.send({ type: "quiescent", id }));
    if (quiet !== null) return quiet;
    throw this.#failure ?? new NetcellError("ERR_CLOSED", "the sandbox is closed.");
  }

  signalProcess(id: number, signal: number): void {
    if (!this.#processes.has(id) || this.#failure !== null) return;
    this.#control.send({ type: "signal", id, signal }).catch(() => {});
  }

  resizeProcess(id: number, rows: number, columns: number): void {
    if (!this.#processes.has(id) || this.#failure !== null) return;
    this.#control.send({ type: "resize", id, rows, columns }).catch(() => {});
  }

  #fail(reason: string): void {
    if (this.#failure !== null) return;
    const stderr = this.#started.stderr().trim();
    this.#end(
      new NetcellError(
        "ERR_CLOSED",
        `the sandbox is gone: ${reason}${stderr === "" ? "" : `: ${stderr}`}.`,
      ),
    );
  }

  #end(failure: NetcellError): void {
    if (this.#failure !== null) return;
    this.#failure = failure;
    this.#loseProcesses(failure);
    void this.close();
  }

  /** Ends everything in it and releases what it held. Safe to call again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#onAbort !== null) this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#questions.end();
    const failure = (this.#failure ??= new NetcellError("ERR_CLOSED", "the sandbox is closed."));
    // The Sentry ends its stubs and itself when it sees this.
    this.#control.close();
    await endProcesses(this.#started, SENTRY_END_MS);
    await this.#network.close();
    close(this.#nullFd);
    this.#loseProcesses(failure);
  }

  #loseProcesses(failure: NetcellError): void {
    for (const entry of this.#processes.values()) entry.isLost(failure);
    this.#processes.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Starts a sandbox in processes that were started before, or (null) in new ones. */
export async function startIn(
  early: StartedProcesses | null,
  options: SandboxOptions,
): Promise<Sandbox> {
  let network: SandboxNetwork | null = null;
  let logFd = -1;
  let started = early;
  let sandbox: Sandbox | null = null;
  try {
    checkOptions(options);
    options.signal?.throwIfAborted();
    const files = composeFiles(options);
    network = await openNetwork(options);
    logFd = openLog(options);
    started ??= startProcesses();
    sandbox = new Sandbox(started, network, files.workdir, options.signal);
    const config = sentryConfig(options, files, network, logFd >= 0);
    const fds = [network.sentryFd, network.pcapFd, logFd].filter((fd) => fd >= 0);
    // A failed send shows as the Sentry's death, which is reported to everyone who waits.
    await sandbox.configure({ trees: files.trees }, config, fds).catch(() => {});
    network.sentryHasLink();
  } catch (error) {
    if (sandbox !== null) await sandbox.close();
    else {
      if (started !== null) await discardProcesses(started);
      await network?.close();
    }
    throw error;
  } finally {
    if (logFd > STDERR) close(logFd);
  }
  try {
    await network.start();
  } catch (error) {
    await sandbox.close();
    throw error;
  }
  return sandbox;
}
