// A program of a sandbox as its monitor waits for it: whether it started, and how it ended.

import { ENOENT, ENOTDIR, errnoName } from "../abi/errno.ts";
import type { FromSentry } from "../sentry/control/protocol.ts";
import { NetcellError } from "./errors.ts";
import type { ExitStatus } from "./process.ts";

type Failed = Extract<FromSentry, { type: "spawnFailed" }>;
type Exited = Extract<FromSentry, { type: "exited" }>;

export class PendingProcess {
  /** Its process id. Rejects with ERR_NOT_FOUND, ERR_NOT_EXECUTABLE, or why the sandbox is gone. */
  readonly spawned: Promise<number>;
  readonly exited: Promise<ExitStatus>;
  #timer: NodeJS.Timeout | null = null;
  #isTimedOut = false;
  #spawn: (pid: number) => void = () => {};
  #spawnFailed: (error: NetcellError) => void = () => {};
  #exit: (status: ExitStatus) => void = () => {};
  #exitFailed: (error: NetcellError) => void = () => {};

  constructor() {
    this.spawned = new Promise((resolve, reject) => {
      this.#spawn = resolve;
      this.#spawnFailed = reject;
    });
    this.exited = new Promise((resolve, reject) => {
      this.#exit = resolve;
      this.#exitFailed = reject;
    });
    // Whoever does not wait for them shall not die of it.
    this.spawned.catch(() => {});
    this.exited.catch(() => {});
  }

  /** Calls `kill` after that time; its end is then reported as a time-out. */
  limit(timeoutMs: number, kill: () => void): void {
    this.#timer = setTimeout(() => {
      this.#isTimedOut = true;
      kill();
    }, timeoutMs);
  }

  hasSpawned(pid: number): void {
    this.#spawn(pid);
  }

  hasFailed({ errno, reason }: Failed): void {
    this.#clearTimer();
    const isMissing = errno === ENOENT || errno === ENOTDIR;
    const code = isMissing ? "ERR_NOT_FOUND" : "ERR_NOT_EXECUTABLE";
    this.#spawnFailed(new NetcellError(code, `${reason} (${errnoName(errno)}).`));
  }

  hasExited({ exitCode, signal }: Exited): void {
    this.#clearTimer();
    this.#exit({ exitCode, signal, timedOut: this.#isTimedOut });
  }

  /** The sandbox is gone, and the program with it. */
  isLost(failure: NetcellError): void {
    this.#clearTimer();
    this.#spawnFailed(failure);
    this.#exitFailed(failure);
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
