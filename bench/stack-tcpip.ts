// The other side of the comparison: the npm package `tcpip`, lwIP compiled to WebAssembly, two of its stacks
// joined over Ethernet in memory. It is no dependency: NETCELL_TCPIP names its ES module (its dist/index.js),
// or Node finds an installed one; without it the figure is missing. Version 0.3.6 never frees the frames that
// it copies into its memory, so V8 collects garbage ever more often: a stream slows down tenfold after some 50 MB.

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { SlowWork } from "./stack-rates.ts";

interface Duplex {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
}

/** What is used of it. */
interface TcpipStack {
  createTapInterface(options: { ip: string; mac: string }): Promise<Duplex>;
  listenTcp(options: { port: number }): Promise<AsyncIterable<Duplex>>;
  connectTcp(options: { host: string; port: number }): Promise<Duplex>;
}
interface TcpipModule {
  createStack(): Promise<TcpipStack>;
}

const CLIENT = { ip: "10.9.0.1/24", mac: "02:00:00:00:00:01" };
const SERVER = { ip: "10.9.0.2/24", mac: "02:00:00:00:00:02" };
const SERVER_HOST = "10.9.0.2";
/** Its lengths have 16 bits. */
const CHUNK_BYTES = 65_535;

function address(): string | null {
  const path = process.env.NETCELL_TCPIP;
  if (path !== undefined && path !== "") return pathToFileURL(resolve(path)).href;
  try {
    return import.meta.resolve("tcpip");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    process.stderr.write(
      "the comparison with lwIP is left out: the package tcpip is not installed\n",
    );
    return null;
  }
}

/** Two of its stacks. Their timers run until the process ends: it has no way to close one. */
export class TcpipPair {
  readonly #a: TcpipStack;
  readonly #b: TcpipStack;
  #port = 7000;

  private constructor(a: TcpipStack, b: TcpipStack) {
    this.#a = a;
    this.#b = b;
  }

  /** null: the package is not there. */
  static async open(): Promise<TcpipPair | null> {
    const from = address();
    if (from === null) return null;
    const { createStack } = (await import(from)) as TcpipModule;
    const [a, b] = [await createStack(), await createStack()];
    const [tapA, tapB] = [await a.createTapInterface(CLIENT), await b.createTapInterface(SERVER)];
    void tapA.readable.pipeTo(tapB.writable);
    void tapB.readable.pipeTo(tapA.writable);
    return new TcpipPair(a, b);
  }

  async #connect(): Promise<[Duplex, Duplex]> {
    const port = this.#port++;
    const listener = await this.#b.listenTcp({ port });
    const [client, accepted] = await Promise.all([
      this.#a.connectTcp({ host: SERVER_HOST, port }),
      listener[Symbol.asyncIterator]().next(),
    ]);
    return [client, accepted.value as Duplex];
  }

  /** A connection that is written to for as long as it is called; answers with the bytes read since the last. */
  async stream(): Promise<SlowWork> {
    const [client, server] = await this.#connect();
    const writer = client.writable.getWriter();
    const chunk = new Uint8Array(CHUNK_BYTES).fill(0x61);
    let bytes = 0;
    const sink = new WritableStream<Uint8Array>({
      write: (piece) => {
        bytes += piece.length;
      },
    });
    void server.readable.pipeTo(sink);
    return async () => {
      await writer.write(chunk);
      const count = bytes;
      bytes = 0;
      return count;
    };
  }

  /** A connection over which `size` bytes go there and back. */
  async echo(size: number): Promise<SlowWork> {
    const [client, server] = await this.#connect();
    const ask = client.writable.getWriter();
    const hear = server.readable.getReader();
    const answer = server.writable.getWriter();
    const take = client.readable.getReader();
    const src = new Uint8Array(size).fill(0x61);
    return async () => {
      await ask.write(src);
      await readExactly(hear, size);
      await answer.write(src);
      await readExactly(take, size);
      return 1;
    };
  }
}

async function readExactly(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  size: number,
): Promise<void> {
  for (let left = size; left > 0; ) {
    const { done, value } = await reader.read();
    if (done) throw new Error("tcpip closed the connection");
    left -= value.length;
  }
}
