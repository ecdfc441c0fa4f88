// A web server of node:http and a client, each on a TCP/IP stack of its own, joined by a slow and lossy line. No
// socket of the host is opened; time is virtual: ten seconds of it pass in a moment.
//
//     node examples/http-server.ts

import { createServer, get, type IncomingMessage } from "node:http";
import { Recording, World } from "netcell/lab";
import { connectSocket, drive, listenSocket } from "netcell/stream";

const MS = 1e6;

const recording = new Recording();
const world = new World({ seed: 1, recording });
const client = world.stack();
const server = world.stack();
world.join(client, server, {
  a: ["192.0.2.1/24"],
  b: ["192.0.2.2/24"],
  conditions: { delayNs: 40 * MS, loss: 0.02, rateBitsPerSecond: 2e6, queueFrames: 50 },
});

// Any server of Node's: Express and Fastify give theirs out as well.
const app = createServer((request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end(`${request.socket.remoteAddress} asked for ${request.url}\n${"x".repeat(200_000)}`);
});
listenSocket(server, { port: 80 }, (socket) => app.emit("connection", socket));

async function fetchText(path: string): Promise<string> {
  const response = await new Promise<IncomingMessage>((go, fail) => {
    const createConnection = () => connectSocket(client, "192.0.2.2", 80);
    get({ createConnection, host: "server.test", path }, go).on("error", fail);
  });
  let text = "";
  for await (const chunk of response) text += chunk;
  return text;
}

const [first, second] = await drive(world, Promise.all([fetchText("/one"), fetchText("/two")]));
console.log(first.split("\n")[0]);
console.log(second.split("\n")[0]);
console.log(
  `${first.length + second.length} characters in ${(world.nowNs / 1e9).toFixed(2)} simulated seconds`,
);
console.log(
  `${recording.frames} frames; writeFileSync("http.pcapng", recording.toBytes()) keeps them`,
);
