// The other side of the comparison: the npm package `tcpip`, lwIP compiled to WebAssembly. It is no dependency:
// it is taken from wherever Node finds it (a folder above, or NODE_PATH), and without it the figure is missing.

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

interface Duplex {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
}

/** What is used of it. */
interface TcpipStack {
  createTunInterface(options: { ip: string }): Promise<Duplex>;
  listenTcp(options: { port: number }): Promise<AsyncIterable<Duplex>>;
  connectTcp(options: { host: string; port: number }): Promise<Duplex>;
}
interface TcpipModule {
  createStack(): Promise<TcpipStack>;
}

const CHUNK_BYTES = 64 * 1024;

async function load(): Promise<TcpipModule | null> {
  const find = createRequire(pathToFileURL(join(process.cwd(), "package.json")));
  try {
    return (await import(pathToFileURL(find.resolve("tcpip")).href)) as TcpipModule;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "MODULE_NOT_FOUND") throw error;
    process.stderr.write(
      "the comparison with lwIP is left out: the package tcpip is not installed\n",
    );
    return null;
  }
}

/** Gbit/s of one connection between two of its stacks for `ms`; null: the package is not there. */
export async function tcpipThroughput(ms: number): Promise<number | null> {
  const module = await load();
  if (module === null) return null;
  const [a, b] = [await module.createStack(), await module.createStack()];
  const tunA = await a.createTunInterface({ ip: "10.9.0.1/24" });
  const tunB = await b.createTunInterface({ ip: "10.9.0.2/24" });
  void tunA.readable.pipeTo(tunB.writable);
  void tunB.readable.pipeTo(tunA.writable);
  const listener = await b.listenTcp({ port: 7000 });
  const [client, accepted] = await Promise.all([
    a.connectTcp({ host: "10.9.0.2", port: 7000 }),
    listener[Symbol.asyncIterator]().next(),
  ]);
  const reader = (accepted.value as Duplex).readable.getReader();
  const writer = client.writable.getWriter();
  const chunk = new Uint8Array(CHUNK_BYTES).fill(0x61);
  const started = performance.now();
  const until = started + ms;
  const write = async (): Promise<void> => {
    while (performance.now() < until) await writer.write(chunk);
    await writer.close();
  };
  const writing = write();
  let bytes = 0;
  for (let r = await reader.read(); !r.done; r = await reader.read()) bytes += r.value.length;
  await writing;
  return (bytes * 8) / ((performance.now() - started) * 1e6);
}
