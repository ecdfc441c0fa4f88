// Starts the two other processes of a sandbox, Sentry and Gofer, joined by socketpairs; nothing more.
// Descriptors that a Sentry gets: sentry/control/protocol.ts.

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { close } from "../host/libc.ts";
import { SOCK_CLOEXEC, SOCK_SEQPACKET, SOCK_STREAM, socketpair } from "../host/unix-socket.ts";
import { NetcellError } from "./errors.ts";
import { GOFER_FLAGS, SENTRY_FLAGS } from "./process-flags.ts";

export interface Launched {
  sentry: ChildProcess;
  gofer: ChildProcess;
  /** Our end of the control socket. */
  controlFd: number;
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

const entry = (name: string): string =>
  fileURLToPath(new URL(`../bin/${name}.js`, import.meta.url));

/** What a dying child wrote last: for the one sentence of an error. */
function tail(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-16_384);
  });
  return () => text;
}

export interface LaunchRequest {
  /** JSON for the gofer: which trees it serves. */
  goferConfig: string;
  /** Descriptors for the Sentry's link, pcap and log; -1: none. Stay open here. */
  linkFd: number;
  pcapFd: number;
  logFd: number;
}

export function launch(request: LaunchRequest): Launched {
  const [control, sentryControl] = socketPair(SOCK_STREAM);
  const [goferServer, goferClient] = socketPair(SOCK_SEQPACKET);
  const orIgnore = (fd: number): number | "ignore" => (fd >= 0 ? fd : "ignore");
  // detached: Ctrl-C on a terminal reaches the monitor alone, which passes it on as it sees fit.
  const sentry = spawn(process.execPath, [...SENTRY_FLAGS, entry("sentry")], {
    stdio: [
      "ignore",
      "ignore",
      "pipe",
      sentryControl,
      goferClient,
      orIgnore(request.linkFd),
      orIgnore(request.pcapFd),
      orIgnore(request.logFd),
    ],
    env: {},
    detached: true,
  });
  const gofer = spawn(process.execPath, [...GOFER_FLAGS, entry("gofer"), request.goferConfig], {
    stdio: ["ignore", "ignore", "pipe", goferServer],
    env: {},
    detached: true,
  });
  for (const fd of [sentryControl, goferServer, goferClient]) close(fd);
  const sentryTail = tail(sentry);
  const goferTail = tail(gofer);
  return { sentry, gofer, controlFd: control, stderr: () => sentryTail() + goferTail() };
}
