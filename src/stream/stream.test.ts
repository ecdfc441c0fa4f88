import { once } from "node:events";
import { createServer as createHttp, get, request } from "node:http";
import { connect as connectHttp2, createServer as createHttp2 } from "node:http2";
import { connect as connectTls, TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import { MS, SECOND } from "../base/clock.ts";
import { Recording, World } from "../lab/index.ts";
import type { Stack } from "../netstack/index.ts";
import { connectSocket, drive, listenSocket, type StackSocket } from "./index.ts";

const SERVER = "10.0.0.2";
const PORT = 80;

class Bench {
  readonly recording = new Recording();
  readonly world = new World({ seed: 3, recording: this.recording });
  readonly client: Stack = this.world.stack();
  readonly server: Stack = this.world.stack();
  readonly cable = this.world.join(this.client, this.server, {
    conditions: { delayNs: 10 * MS, rateBitsPerSecond: 50e6 },
  });

  connect(port = PORT): StackSocket {
    return connectSocket(this.client, SERVER, port);
  }
  drive<T>(work: Promise<T>): Promise<T> {
    return drive(this.world, work);
  }
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe("a socket of the stack", () => {
  it("carries bytes both ways, and closes both", async () => {
    const bench = new Bench();
    listenSocket(bench.server, { port: PORT, allowHalfOpen: true }, (socket) =>
      socket.pipe(socket),
    );
    const socket = bench.connect();
    const closed = once(socket, "close");
    const sent = "netcell ".repeat(50_000);
    socket.end(sent);
    expect(await bench.drive(textOf(socket))).toBe(sent);
    await bench.drive(closed);
    expect(socket.bytesWritten).toBe(sent.length);
    expect(socket.bytesRead).toBe(sent.length);
    // 400 kB at 50 Mbit/s both ways, and 20 ms there and back.
    expect(bench.world.nowNs).toBeGreaterThan(64 * MS);
  });

  it("knows its addresses", async () => {
    const bench = new Bench();
    const listener = listenSocket(bench.server, { port: PORT }, (s) => s.resume());
    expect(listener).toMatchObject({ address: "0.0.0.0", port: PORT });
    const socket = bench.connect();
    expect(socket).toMatchObject({ connecting: true, readyState: "opening" });
    await bench.drive(once(socket, "connect"));
    expect(socket).toMatchObject({
      connecting: false,
      remoteAddress: SERVER,
      remotePort: PORT,
      remoteFamily: "IPv4",
      localAddress: "10.0.0.1",
      readyState: "open",
    });
    expect(socket.address().port).toBe(socket.localPort);
  });

  it.each([
    ["nobody listens", "ECONNREFUSED", (_bench: Bench) => {}],
    ["the line is cut", "EHOSTUNREACH", (bench: Bench) => bench.cable.cut()],
    [
      "there is no route",
      "ENETUNREACH",
      (bench: Bench) => bench.client.interfaces.setUp(bench.client.nics[1], false),
    ],
  ])("says what Node says when %s: %s", async (_why, code, prepare) => {
    const bench = new Bench();
    prepare(bench);
    const socket = bench.connect(99);
    await expect(bench.drive(once(socket, "connect"))).rejects.toMatchObject({ code });
    expect(socket.destroyed).toBe(true);
  });

  it("tells of a reset, behind what came before it", async () => {
    const bench = new Bench();
    listenSocket(bench.server, { port: PORT }, (socket) => {
      socket.write("last words");
      bench.world.after(100 * MS, () => socket.resetAndDestroy());
    });
    const socket = bench.connect();
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk;
    });
    const failed = new Promise<unknown>((go) => socket.once("error", go));
    expect(await bench.drive(failed)).toMatchObject({ code: "ECONNRESET" });
    expect(got).toBe("last words");
  });

  it("holds a writer back while the reader does not read", async () => {
    const bench = new Bench();
    let server: StackSocket | null = null;
    listenSocket(bench.server, { port: PORT }, (socket) => {
      server = socket;
    });
    const socket = bench.connect();
    let written = 0;
    const write = (): void => {
      while (socket.write(Buffer.alloc(65_536))) written += 65_536;
      written += 65_536;
    };
    socket.on("drain", write);
    write();
    await bench.drive(new Promise((go) => bench.world.after(SECOND, () => go(null))));
    // Buffers, not the stream: nobody reads.
    expect(written).toBeLessThan(16 << 20);
    const before = written;
    (server as StackSocket | null)?.resume();
    await bench.drive(new Promise((go) => bench.world.after(SECOND, () => go(null))));
    expect(written).toBeGreaterThan(before);
    socket.destroy();
  });

  it("times out by the world's clock", async () => {
    const bench = new Bench();
    listenSocket(bench.server, { port: PORT }, (socket) => socket.resume());
    const socket = bench.connect();
    await bench.drive(once(socket, "connect"));
    const begin = bench.world.nowNs;
    socket.setTimeout(30_000);
    await bench.drive(once(socket, "timeout"));
    expect(bench.world.nowNs - begin).toBe(30 * SECOND);
  });
});

describe("what is built on net.Socket", () => {
  it("node:http, with keep-alive and a body each way", async () => {
    const bench = new Bench();
    const app = createHttp(async (req, res) => {
      const body = await textOf(req);
      res.end(`${req.method} ${req.url} ${body.length} ${req.socket.remoteAddress}`);
    });
    listenSocket(bench.server, { port: PORT }, (socket) => app.emit("connection", socket));
    const createConnection = (): StackSocket => bench.connect();
    const ask = new Promise<string>((go, fail) => {
      const req = request(
        { createConnection, method: "POST", path: "/echo", host: "a.test" },
        (res) => go(textOf(res)),
      );
      req.on("error", fail);
      req.end("x".repeat(100_000));
    });
    expect(await bench.drive(ask)).toBe("POST /echo 100000 10.0.0.1");
    const again = new Promise<string>((go) => {
      get({ createConnection, path: "/again", host: "a.test" }, (res) => go(textOf(res)));
    });
    expect(await bench.drive(again)).toBe("GET /again 0 10.0.0.1");
    app.close();
  });

  it("the same frames from the same seed, whatever Node's event loop does", async () => {
    const run = async (): Promise<Uint8Array> => {
      const bench = new Bench();
      const app = createHttp((_req, res) => {
        res.sendDate = false;
        res.end("x".repeat(30_000));
      });
      listenSocket(bench.server, { port: PORT }, (socket) => app.emit("connection", socket));
      const asked = [1, 2, 3].map(
        (n) =>
          new Promise<string>((go) => {
            const createConnection = (): StackSocket => bench.connect();
            get({ createConnection, path: `/${n}`, host: "a.test" }, (res) => go(textOf(res)));
          }),
      );
      await bench.drive(Promise.all(asked));
      app.close();
      return bench.recording.toBytes();
    };
    const [one, two] = [await run(), await run()];
    expect(one.length).toBeGreaterThan(90_000);
    expect(Buffer.compare(one, two)).toBe(0);
  });

  it("node:tls, here with a pre-shared key", async () => {
    const bench = new Bench();
    const psk = Buffer.from("00112233445566778899aabbccddeeff", "hex");
    const ciphers = "PSK-AES128-GCM-SHA256";
    const maxVersion = "TLSv1.2" as const;
    listenSocket(bench.server, { port: 443, allowHalfOpen: true }, (socket) => {
      const options = { isServer: true, pskCallback: () => psk, ciphers, maxVersion };
      const secure = new TLSSocket(socket, options as ConstructorParameters<typeof TLSSocket>[1]);
      secure.on("data", (chunk) => secure.end(`secret ${chunk}`));
    });
    const secure = connectTls({
      socket: bench.connect(443),
      pskCallback: () => ({ psk, identity: "netcell" }),
      ciphers,
      maxVersion,
      checkServerIdentity: () => undefined,
    });
    secure.write("hello");
    expect(await bench.drive(textOf(secure))).toBe("secret hello");
  });

  it("node:http2, ten streams at once", async () => {
    const bench = new Bench();
    const app = createHttp2((req, res) => res.end(`over ${req.httpVersion} ${req.url}`));
    listenSocket(bench.server, { port: PORT }, (socket) => app.emit("connection", socket));
    const session = connectHttp2("http://a.test", { createConnection: () => bench.connect() });
    const answers = Array.from({ length: 10 }, (_, i) =>
      textOf(session.request({ ":path": `/${i}` })),
    );
    expect(await bench.drive(Promise.all(answers))).toEqual(
      answers.map((_, i) => `over 2.0 /${i}`),
    );
    session.close();
  });
});

describe("drive", () => {
  it("ends with an error when nothing more can happen", async () => {
    await expect(drive(new World(), new Promise(() => {}))).rejects.toThrow("nothing more");
  });
  it("ends with an error after its simulated time", async () => {
    const world = new World();
    const tick = (): void => void world.after(SECOND, tick);
    tick();
    const never = new Promise(() => {});
    await expect(drive(world, never, { limitNs: 60 * SECOND })).rejects.toThrow("60 simulated");
  });
});
