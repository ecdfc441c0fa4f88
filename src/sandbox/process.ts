// A program running in a sandbox, as the caller sees it: three streams, an exit, a way to signal it.

import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { close } from "../host/libc.ts";
import { pipe } from "../host/pipe.ts";
import { NetcellError } from "./errors.ts";
import type { SpawnOptions, StdioMode } from "./options.ts";

const PIPE_BYTES = 1 << 20;

export interface ExitStatus {
  /** Null when a signal ended it. */
  exitCode: number | null;
  signal: number | null;
  /** timeoutMs ended it. */
  timedOut: boolean;
}

/** What a shell would report: the code, 128+N for signal N, 124 for a time-out. */
export function shellStatus(status: ExitStatus): number {
  if (status.timedOut) return 124;
  return status.signal !== null ? 128 + status.signal : (status.exitCode ?? 0);
}

/** The descriptors for the program, and our ends of its pipes. */
export interface Stdio {
  /** Handed to the Sentry, in order. */
  theirs: number[];
  /** Those of `theirs` that are ours to close once sent. */
  owned: number[];
  stdin: Writable | null;
  stdout: Readable | null;
  stderr: Readable | null;
}

function makePipe(): [number, number] {
  const ends = pipe(PIPE_BYTES);
  if (typeof ends === "number") {
    throw new NetcellError("ERR_HOST", `the host gives no pipe (errno ${-ends}); raise ulimit -n.`);
  }
  return ends;
}

function outputStream(
  stdio: Stdio,
  mode: StdioMode,
  inherited: number,
  nullFd: number,
): Socket | null {
  if (mode !== "pipe") {
    stdio.theirs.push(mode === "inherit" ? inherited : nullFd);
    return null;
  }
  const [ours, theirs] = makePipe();
  stdio.theirs.push(theirs);
  stdio.owned.push(theirs);
  return new Socket({ fd: ours, readable: true, writable: false });
}

function inputStream(stdio: Stdio, mode: SpawnOptions["stdin"], nullFd: number): Socket | null {
  if (mode === "inherit" || mode === "ignore" || mode === undefined) {
    stdio.theirs.push(mode === "inherit" ? 0 : nullFd);
    return null;
  }
  const [theirs, ours] = makePipe();
  stdio.theirs.push(theirs);
  stdio.owned.push(theirs);
  const stream = new Socket({ fd: ours, readable: false, writable: true });
  // The program may end or close its input before it has read everything: no error of ours.
  stream.on("error", () => {});
  if (mode !== "pipe") {
    stream.end(mode);
    return null;
  }
  return stream;
}

/** nullFd: a descriptor of /dev/null. Throws ERR_HOST. */
export function openStdio(options: SpawnOptions, nullFd: number): Stdio {
  const stdio: Stdio = { theirs: [], owned: [], stdin: null, stdout: null, stderr: null };
  if (options.tty !== undefined) {
    const input = options.stdin ?? "pipe";
    stdio.stdin = inputStream(stdio, input, nullFd);
    stdio.stdout = outputStream(stdio, options.stdout ?? "pipe", 1, nullFd);
    return stdio;
  }
  stdio.stdin = inputStream(stdio, options.stdin ?? "ignore", nullFd);
  stdio.stdout = outputStream(stdio, options.stdout ?? "pipe", 1, nullFd);
  stdio.stderr = outputStream(stdio, options.stderr ?? "pipe", 2, nullFd);
  return stdio;
}

export function closeOwned(stdio: Stdio): void {
  for (const fd of stdio.owned.splice(0)) close(fd);
}

/** What Process needs of its sandbox. */
export interface ProcessHost {
  signalProcess(id: number, signal: number): void;
  resizeProcess(id: number, rows: number, columns: number): void;
}

export class Process {
  readonly #host: ProcessHost;
  readonly #id: number;
  /** Process id inside the sandbox. */
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Settles when it has ended; rejects with ERR_CLOSED when the sandbox dies first. */
  readonly exited: Promise<ExitStatus>;

  constructor(
    host: ProcessHost,
    id: number,
    pid: number,
    stdio: Stdio,
    exited: Promise<ExitStatus>,
  ) {
    this.#host = host;
    this.#id = id;
    this.pid = pid;
    this.stdin = stdio.stdin;
    this.stdout = stdio.stdout;
    this.stderr = stdio.stderr;
    this.exited = exited;
  }

  /** Sends a signal by number (default SIGTERM). No effect once it has ended. */
  kill(signal = 15): void {
    this.#host.signalProcess(this.#id, signal);
  }
  /** For a process started with `tty`. */
  resize(rows: number, columns: number): void {
    this.#host.resizeProcess(this.#id, rows, columns);
  }
}
