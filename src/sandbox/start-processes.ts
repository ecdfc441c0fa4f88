// Starts the two other processes of a sandbox, Sentry and Gofer, joined by socketpairs; nothing more. Takes no
// options, so that the command line can start them as its very first act, before it has loaded the rest of
// itself (scripts/start.cjs): what they shall do they are told in their first messages.

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type GoferConfig, MESSAGE_BYTES_MAX } from "../gofer/index.ts";
import { close } from "../host/libc.ts";
import {
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  sendBytes,
  socketpair,
} from "../host/unix-socket.ts";
import { NetcellError } from "./errors.ts";
import { GOFER_FLAGS, SENTRY_FLAGS } from "./process-flags.ts";

export interface StartedProcesses {
  sentry: ChildProcess;
  gofer: ChildProcess;
  /** Our end of the control socket; -1 once a sandbox has taken it over. */
  controlFd: number;
  /** The Sentry's end of the Gofer's socket: the Gofer's first message comes from us. -1 once it has been sent. */
  goferFd: number;
  /** What they wrote last: for the one sentence of an error. */
  stderr: () => string;
}

export function socketPair(type: number): [number, number] {
  const ends = new Int32Array(2);
  const r = socketpair(type | SOCK_CLOEXEC, ends);
  if (r < 0) {
    throw new NetcellError("ERR_HOST", `the host gives no socket (errno ${-r}); raise ulimit -n.`);
  }
  return [ends[0], ends[1]];
}

const TAIL_CHARACTERS = 16_384;

function tail(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-TAIL_CHARACTERS);
  });
  return () => text;
}

/** fds: the child's from 3 on. detached: Ctrl-C on a terminal reaches the monitor alone, which passes it on. */
function start(name: string, flags: readonly string[], fds: number[]): ChildProcess {
  const entry = fileURLToPath(new URL(`../bin/${name}.js`, import.meta.url));
  const child = spawn(process.execPath, [...flags, entry], {
    stdio: ["ignore", "ignore", "pipe", ...fds],
    env: {},
    detached: true,
  });
  // Whoever uses the processes sees by the missing pid that there is none.
  child.on("error", () => {});
  return child;
}

/** Throws ERR_HOST; nothing is left behind then. */
export function startProcesses(): StartedProcesses {
  const [controlFd, sentryControl] = socketPair(SOCK_STREAM);
  const [goferServer, goferFd] = socketPair(SOCK_SEQPACKET);
  const sentry = start("sentry", SENTRY_FLAGS, [sentryControl, goferFd]);
  const gofer = start("gofer", GOFER_FLAGS, [goferServer]);
  close(sentryControl);
  close(goferServer);
  const sentryTail = tail(sentry);
  const goferTail = tail(gofer);
  return { sentry, gofer, controlFd, goferFd, stderr: () => sentryTail() + goferTail() };
}

/** The Gofer's first message. Throws ERR_USAGE when it is too long. */
export function sendTrees(started: StartedProcesses, config: GoferConfig): void {
  const bytes = Buffer.from(JSON.stringify(config), "utf8");
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new NetcellError("ERR_USAGE", "there are too many binds.");
  }
  // A Gofer that cannot be reached has died, and its end is reported.
  sendBytes(started.goferFd, bytes, 0, bytes.length);
  close(started.goferFd);
  started.goferFd = -1;
}

export const isGone = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

function gone(child: ChildProcess): Promise<void> {
  if (isGone(child)) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

/**
 * Ends both; resolves when they are gone. The control socket is not touched: when it was closed before, the
 * Sentry has graceMs to end its stubs and itself. Killed, it would leave the stubs to init.
 */
export async function endProcesses(started: StartedProcesses, graceMs: number): Promise<void> {
  const { sentry, gofer, goferFd } = started;
  if (goferFd >= 0) close(goferFd);
  started.goferFd = -1;
  const late = setTimeout(() => sentry.kill("SIGKILL"), graceMs);
  await gone(sentry);
  clearTimeout(late);
  gofer.kill("SIGKILL");
  await gone(gofer);
}

/** For processes that nothing was made of: no stubs yet. Safe to call again. */
export function discardProcesses(started: StartedProcesses): Promise<void> {
  if (started.controlFd >= 0) close(started.controlFd);
  started.controlFd = -1;
  started.sentry.kill("SIGKILL");
  return endProcesses(started, 0);
}
