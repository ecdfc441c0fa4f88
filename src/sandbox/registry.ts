// Which sandboxes of the command line run on this host, and how another netcell talks to them: each monitor listens
// on an abstract unix socket (unix(7)) that is named after its user and its id. Nothing lies on a disk, and the
// name goes with the process, however that ends. One line of JSON asks, one answers. Only the same user and root
// are heard, and only they are believed.

import { readFileSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { getrandom } from "../host/libc.ts";
import { peerUid } from "../host/unix-socket.ts";
import { NetcellError } from "./errors.ts";

export interface SandboxInfo {
  id: string;
  /** Of the monitor, on the host. */
  pid: number;
  uid: number;
  startedMs: number;
  argv: string[];
}
export type RegistryRequest = { verb: "info" } | { verb: "kill"; signal: number };
type Answer = { info: SandboxInfo } | { done: true } | { error: string };

/** An abstract name as long as any can be: shorter ones Node pads or does not, by its version. */
const NAME_BYTES = 107;
const nameOf = (uid: number, id: string): string =>
  `\0${`netcell/${uid}/${id}/`.padEnd(NAME_BYTES, ".")}`;
const LINE_BYTES_MAX = 65_536;
const ANSWER_MS = 2000;
const ID_BYTES = 4;

const ownUid = (): number => process.getuid?.() ?? 0;

/** Descriptor of a socket: Node shows it nowhere else. */
const descriptorOf = (socket: Socket): number =>
  (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;

function isTrusted(socket: Socket): boolean {
  const uid = peerUid(descriptorOf(socket));
  return uid === 0 || uid === ownUid();
}

/** Calls back once, with the first line that comes. */
function readLine(socket: Socket, onLine: (line: string) => void): void {
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    text += chunk;
    const end = text.indexOf("\n");
    if (end >= 0) {
      socket.removeAllListeners("data");
      onLine(text.slice(0, end));
    } else if (text.length > LINE_BYTES_MAX) socket.destroy();
  });
}

function parse<T>(line: string): T | null {
  try {
    return JSON.parse(line) as T;
  } catch {
    return null;
  }
}

/** Makes a sandbox known. Does not keep the process alive. */
export class Registration {
  readonly info: SandboxInfo;
  readonly #server: Server;
  readonly #kill: (signal: number) => void;

  constructor(argv: readonly string[], kill: (signal: number) => void) {
    const bytes = new Uint8Array(ID_BYTES);
    getrandom(bytes, 0, ID_BYTES);
    const id = Buffer.from(bytes).toString("hex");
    const startedMs = Math.round(performance.timeOrigin);
    this.info = { id, pid: process.pid, uid: ownUid(), startedMs, argv: [...argv] };
    this.#kill = kill;
    this.#server = createServer((socket) => this.#serve(socket));
    // A sandbox that cannot be found by others still runs.
    this.#server.on("error", () => {});
    this.#server.listen(nameOf(ownUid(), id));
    this.#server.unref();
  }

  #serve(socket: Socket): void {
    socket.unref();
    socket.on("error", () => socket.destroy());
    if (!isTrusted(socket)) {
      socket.destroy();
      return;
    }
    readLine(socket, (line) => socket.end(`${JSON.stringify(this.#answer(line))}\n`));
  }

  #answer(line: string): Answer {
    const request = parse<RegistryRequest>(line);
    if (request?.verb === "info") return { info: this.info };
    if (request?.verb !== "kill") return { error: "this netcell does not know that verb." };
    const { signal } = request;
    if (!Number.isInteger(signal) || signal < 1 || signal > 64) return { error: "no such signal." };
    this.#kill(signal);
    return { done: true };
  }

  close(): void {
    this.#server.close();
  }
}

/** Names of sockets now: user and id of each. Root sees everybody's. */
function registered(): { uid: number; id: string }[] {
  const found = new Map<string, { uid: number; id: string }>();
  for (const line of readFileSync("/proc/net/unix", "latin1").split("\n")) {
    const match = / @netcell\/(\d+)\/([0-9a-f]{8})\/\.*$/.exec(line);
    if (match === null) continue;
    const uid = Number(match[1]);
    if (ownUid() === 0 || ownUid() === uid) found.set(match[2], { uid, id: match[2] });
  }
  return [...found.values()];
}

/** Null: nobody there, or nobody to be trusted. */
function ask(uid: number, id: string, request: RegistryRequest): Promise<Answer | null> {
  return new Promise((resolve) => {
    const socket = createConnection(nameOf(uid, id));
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS);
    socket.on("connect", () => {
      if (isTrusted(socket)) socket.write(`${JSON.stringify(request)}\n`);
      else socket.destroy();
    });
    socket.on("error", () => socket.destroy());
    readLine(socket, (line) => {
      resolve(parse<Answer>(line));
      socket.destroy();
    });
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(null);
    });
  });
}

/** Oldest first. */
export async function listSandboxes(): Promise<SandboxInfo[]> {
  const answers = await Promise.all(
    registered().map(({ uid, id }) => ask(uid, id, { verb: "info" })),
  );
  return answers
    .flatMap((answer) => (answer !== null && "info" in answer ? [answer.info] : []))
    .sort((a, b) => a.startedMs - b.startedMs);
}

/** id: as listed, or as much of its beginning as is nobody else's. Throws ERR_USAGE. */
export async function signalSandbox(id: string, signal: number): Promise<void> {
  const named = registered().filter((one) => one.id.startsWith(id));
  if (named.length !== 1) {
    const what = named.length === 0 ? "there is no sandbox" : "there is more than one sandbox";
    throw new NetcellError("ERR_USAGE", `${what} "${id}"; netcell list shows them.`);
  }
  const answer = await ask(named[0].uid, named[0].id, { verb: "kill", signal });
  if (answer === null) throw new NetcellError("ERR_CLOSED", `sandbox ${id} does not answer.`);
  if ("error" in answer) throw new NetcellError("ERR_USAGE", answer.error);
}
