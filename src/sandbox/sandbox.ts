// The public object: a sandbox with its own kernel, network and files, in which programs are run.

import type { ChildProcess } from "node:child_process";
import { constants, openSync } from "node:fs";
import { availableParallelism } from "node:os";
import { errnoName } from "../abi/errno.ts";
import { MS } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import type { GoferConfig } from "../gofer/index.ts";
import { close } from "../host/libc.ts";
import type { FromSentry, SentryConfig } from "../sentry/control/protocol.ts";
import { ControlChannel } from "./control-channel.ts";
import { NetcellError } from "./errors.ts";
import { composeFiles, type FilesPlan } from "./files.ts";
import { openNetwork, type SandboxNetwork } from "./network.ts";
import { checkOptions, type SandboxOptions, type SpawnOptions } from "./options.ts";
import {
  closeOwned,
  type ExitStatus,
  openStdio,
  Process,
  type ProcessHost,
  type Stdio,
  shellStatus,
} from "./process.ts";
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

interface PendingProcess {
  spawned: (pid: number) => void;
  failed: (error: NetcellError) => void;
  exit: (status: ExitStatus) => void;
  exitFailed: (error: NetcellError) => void;
  timer: NodeJS.Timeout | null;
  timedOut: boolean;
}

const STDERR = 2;
/** A round number of seconds, in 2023: when virtual time starts unless told otherwise. */
const VIRTUAL_START_MS = 1_700_000_000_000;
/** A Sentry that has not ended by then is killed. */
const SENTRY_END_MS = 1000;
const ENOENT = 2;
const ENOTDIR = 20;

export class Sandbox implements AsyncDisposable, ProcessHost {
  readonly #started: StartedProcesses;
  readonly #control: ControlChannel;
  readonly #network: SandboxNetwork;
  readonly #defaultWorkdir: string;
  readonly #nullFd: number;
  readonly #processes = new Map<number, PendingProcess>();
  /** What to do with the answer to a ping, and when none can come any more. */
  readonly #pings = new Map<number, (isAlive: boolean) => void>();
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
    const entry: PendingProcess = {
      spawned: () => {},
      failed: () => {},
      exit: () => {},
      exitFailed: () => {},
      timer: null,
      timedOut: false,
    };
    this.#processes.set(id, entry);
    const spawned = new Promise<number>((resolve, reject) => {
      entry.spawned = resolve;
      entry.failed = reject;
    });
    const exited = new Promise<ExitStatus>((resolve, reject) => {
      entry.exit = resolve;
      entry.exitFailed = reject;
    });
    exited.catch(() => {});
    this.#watch(id, entry, options, exited);
    let pid: number;
    try {
      await this.#sendSpawn(id, argv, options, stdio);
      pid = await spawned;
    } catch (error) {
      this.#processes.delete(id);
      for (const stream of [stdio.stdin, stdio.stdout, stdio.stderr]) stream?.destroy();
      throw error;
    }
    return new Process(this, id, pid, stdio, exited);
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
    const [uid, gid] = parseUser(options.user ?? "0:0");
    const sent = this.#control.send(
      {
        type: "spawn",
        id,
        argv: [...argv],
        env: environment(options.env),
        workdir: options.workdir ?? this.#defaultWorkdir,
        uid,
        gid,
        ...(options.tty === undefined ? {} : { tty: options.tty }),
      },
      stdio.theirs,
    );
    return sent.finally(() => closeOwned(stdio));
  }

  #watch(
    id: number,
    entry: PendingProcess,
    options: SpawnOptions,
    exited: Promise<ExitStatus>,
  ): void {
    const SIGKILL = 9;
    if (options.timeoutMs !== undefined) {
      entry.timer = setTimeout(() => {
        entry.timedOut = true;
        this.signalProcess(id, SIGKILL);
      }, options.timeoutMs);
    }
    const { signal } = options;
    if (signal === undefined) return;
    const onAbort = (): void => this.signalProcess(id, SIGKILL);
    signal.addEventListener("abort", onAbort, { once: true });
    const forget = (): void => signal.removeEventListener("abort", onAbort);
    exited.then(forget, forget);
  }

  #onMessage(message: FromSentry): void {
    if (message.type === "ready") return;
    if (message.type === "fatal") {
      this.#fail(message.message);
      return;
    }
    if (message.type === "unusable") {
      this.#end(new NetcellError("ERR_HOST", message.message));
      return;
    }
    if (message.type === "pong" || message.type === "quiet") {
      this.#pings.get(message.id)?.(true);
      return;
    }
    const entry = this.#processes.get(message.id);
    if (entry === undefined) return;
    if (message.type === "spawned") entry.spawned(message.pid);
    else {
      if (entry.timer !== null) clearTimeout(entry.timer);
      this.#processes.delete(message.id);
      if (message.type === "spawnFailed") {
        const missing = message.errno === ENOENT || message.errno === ENOTDIR;
        const code = missing ? "ERR_NOT_FOUND" : "ERR_NOT_EXECUTABLE";
        entry.failed(new NetcellError(code, `${message.reason} (${errnoName(message.errno)}).`));
      } else {
        const { exitCode, signal } = message;
        entry.exit({ exitCode, signal, timedOut: entry.timedOut });
      }
    }
  }

  /** Whether its kernel still works: false when it is closed, or does not answer in time. */
  async answers(withinMs: number): Promise<boolean> {
    if (this.#failure !== null) return false;
    const id = this.#nextId++;
    const answer = new Promise<boolean>((resolve) => {
      const timer = setTimeout(resolve, withinMs, false);
      this.#pings.set(id, (isAlive) => {
        clearTimeout(timer);
        resolve(isAlive);
      });
    });
    this.#control.send({ type: "ping", id }).catch(() => {});
    return answer.finally(() => this.#pings.delete(id));
  }

  /**
   * Resolves when every task is blocked and everything that reached the sandbox before has been seen to; timers may
   * still be armed. What it has sent by then is on its way. Rejects with ERR_CLOSED.
   */
  async quiescent(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const id = this.#nextId++;
    const answer = new Promise<boolean>((resolve) => this.#pings.set(id, resolve));
    await this.#control.send({ type: "quiescent", id });
    const isQuiet = await answer.finally(() => this.#pings.delete(id));
    if (!isQuiet) throw this.#failure ?? new NetcellError("ERR_CLOSED", "the sandbox is closed.");
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
    for (const entry of this.#processes.values()) {
      if (entry.timer !== null) clearTimeout(entry.timer);
      entry.failed(failure);
      entry.exitFailed(failure);
    }
    this.#processes.clear();
    void this.close();
  }

  /** Ends everything in it and releases what it held. Safe to call again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#onAbort !== null) this.#signal?.removeEventListener("abort", this.#onAbort);
    for (const answer of this.#pings.values()) answer(false);
    const failure = (this.#failure ??= new NetcellError("ERR_CLOSED", "the sandbox is closed."));
    // The Sentry ends its stubs and itself when it sees this.
    this.#control.close();
    await endProcesses(this.#started, SENTRY_END_MS);
    await this.#network.close();
    close(this.#nullFd);
    for (const entry of this.#processes.values()) {
      if (entry.timer !== null) clearTimeout(entry.timer);
      entry.failed(failure);
      entry.exitFailed(failure);
    }
    this.#processes.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function parseUser(text: string): [number, number] {
  const match = /^(\d{1,9})(?::(\d{1,9}))?$/.exec(text);
  if (match === null) {
    throw new NetcellError("ERR_USAGE", `user "${text}" must be UID or UID:GID, in numbers.`);
  }
  return [Number(match[1]), Number(match[2] ?? match[1])];
}

function environment(given: Record<string, string> | undefined): string[] {
  const env: Record<string, string> = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
  };
  for (const name of ["PATH", "TERM", "LANG"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return Object.entries({ ...env, ...given }).map(([name, value]) => `${name}=${value}`);
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

function sentryConfig(
  options: SandboxOptions,
  files: FilesPlan,
  network: SandboxNetwork,
  hasLog: boolean,
): SentryConfig {
  const config: SentryConfig = {
    hostname: options.hostname ?? "netcell",
    root: files.root,
    network: network.config,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    hasLink: network.sentryFd >= 0,
    pcapFormat: network.pcapFd < 0 ? null : options.pcap?.endsWith(".pcapng") ? "pcapng" : "us",
    hasLog,
    strace: options.strace === true,
    cpus: availableParallelism(),
  };
  if (options.seed !== undefined) config.seed = options.seed;
  if (options.time === "virtual")
    config.virtualStartNs = (options.timeStartMs ?? VIRTUAL_START_MS) * MS;
  return config;
}

function openLog(options: SandboxOptions): number {
  if (options.log === undefined) return options.strace === true ? STDERR : -1;
  try {
    const { O_WRONLY, O_CREAT, O_APPEND } = constants;
    return openSync(options.log, O_WRONLY | O_CREAT | O_APPEND, 0o644);
  } catch (error) {
    throw new NetcellError("ERR_HOST", `log "${options.log}" cannot be written.`, error);
  }
}
