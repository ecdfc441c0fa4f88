// A switch for sandboxes: each joins through one unix socket, and all are on one Ethernet. Runs in the process that made
// it, as whoever that is; the socket is that user's alone, and only the same user and root are heard (SO_PEERCRED).
// Stations are hostile: what they send is checked frame by frame, and what a slow one does not take is dropped.

import { lstatSync, unlinkSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { dup } from "../host/libc.ts";
import { peerUid } from "../host/unix-socket.ts";
import { EventLoopLink } from "../link/host/index.ts";
import { helloFrame, readHelloFrame, SoftwareOffload, Switch } from "../link/index.ts";
import type { LinkEndpoint, PacketBuffer } from "../netstack/index.ts";
import { MonitorClock } from "./clock.ts";
import { NetcellError } from "./errors.ts";

export interface SwitchOptions {
  /** Where it listens: a unix socket that is made, and taken away at the end. */
  path: string;
  /** Of the Ethernet; stations are told. Default 1500. */
  mtu?: number;
  /** Ends it. */
  signal?: AbortSignal;
}

const PORTS_MAX = 1024;
const DEFAULT_MTU = 1500;
/** Who has not said hello by then is sent away. */
const HELLO_MS = 3000;
const PRIVATE_UMASK = 0o177;

/** Descriptor of a socket: Node shows it nowhere else. */
const descriptorOf = (socket: Socket): number =>
  (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;

export class SwitchServer implements AsyncDisposable {
  readonly path: string;
  readonly mtu: number;
  readonly #server: Server;
  readonly #switch = new Switch(new MonitorClock());
  readonly #links = new Set<EventLoopLink>();

  /** Rejects with ERR_USAGE or ERR_HOST. */
  static async listen(options: SwitchOptions): Promise<SwitchServer> {
    const { path, mtu = DEFAULT_MTU, signal } = options;
    if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535) {
      throw new NetcellError("ERR_USAGE", `mtu ${mtu} is not between 68 and 65535.`);
    }
    signal?.throwIfAborted();
    const made = new SwitchServer(path, mtu);
    await made.#listen();
    signal?.addEventListener("abort", () => void made.close(), { once: true });
    return made;
  }

  private constructor(path: string, mtu: number) {
    this.path = path;
    this.mtu = mtu;
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket));
  }

  /** Stations that are joined. */
  get stations(): number {
    return this.#links.size;
  }

  async #listen(): Promise<void> {
    try {
      await this.#bind();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const fail = (why: string): NetcellError =>
        new NetcellError("ERR_HOST", `the switch cannot listen at ${this.path}: ${why}.`, error);
      if (code !== "EADDRINUSE") throw fail(String(code));
      if (!lstatSync(this.path).isSocket()) throw fail("there is a file of that name");
      if (await isListening(this.path)) throw fail("somebody else does already");
      // Left behind by one that was killed.
      unlinkSync(this.path);
      await this.#bind();
    }
  }

  #bind(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      const before = process.umask(PRIVATE_UMASK);
      this.#server.listen(this.path, () => {
        this.#server.off("error", reject);
        resolve();
      });
      process.umask(before);
    });
  }

  /** The connection goes on under a descriptor of ours; Node's socket only brought it. */
  #accept(socket: Socket): void {
    const fd = descriptorOf(socket);
    const uid = peerUid(fd);
    const isTrusted = uid === 0 || uid === (process.getuid?.() ?? 0);
    const own = isTrusted && this.#links.size < PORTS_MAX ? dup(fd) : -1;
    socket.destroy();
    if (own >= 0) this.#greet(own);
  }

  #greet(fd: number): void {
    let port: LinkEndpoint | null = null;
    const link = new EventLoopLink({
      fd,
      mtu: this.mtu,
      mac: new Uint8Array(6),
      onDelivered: () => {},
      onClosed: () => {
        clearTimeout(late);
        this.#links.delete(link);
        if (port !== null) this.#switch.unplug(port);
        port = null;
      },
    });
    this.#links.add(link);
    const late = setTimeout(() => link.close(), HELLO_MS);
    late.unref();
    link.attach({
      deliver: (pkt: PacketBuffer) => {
        const hello = readHelloFrame(pkt.bytes, pkt.start, pkt.end);
        if (hello === null || port !== null) {
          link.close();
          return;
        }
        clearTimeout(late);
        link.send(helloFrame({ mtu: this.mtu, takesSegments: true }));
        port = hello.takesSegments ? link : new SoftwareOffload(link);
        this.#switch.plug(port);
      },
    });
  }

  /** Unplugs everybody; the socket goes. Safe to call again. */
  async close(): Promise<void> {
    for (const link of this.#links) link.close();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
