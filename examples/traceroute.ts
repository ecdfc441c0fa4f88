// traceroute through four routers in virtual time: datagrams with a growing TTL, and the ICMP errors that they earn.
//
//     node examples/traceroute.ts

import { World } from "netcell/lab";
import { IPV4, IpAddr, type Stack } from "netcell/netstack";

const MS = 1e6;
const SECOND = 1e9;
const ROUTERS = 4;
const FIRST_PORT = 33_434;
const HOPS_MAX = 30;
const TIME_EXCEEDED = 11;

// client - r1 - r2 - r3 - r4 - server; the net between the nth and the next is 10.n.0.0/24.
const world = new World();
const client = world.stack();
const server = world.stack();
const routers = Array.from({ length: ROUTERS }, () => world.router());
const chain = [client, ...routers, server];
for (let n = 0; n + 1 < chain.length; n++) {
  world.join(chain[n], chain[n + 1], {
    a: [`10.${n}.0.1/24`],
    b: [`10.${n}.0.2/24`],
    conditions: { delayNs: (n + 1) * 2 * MS },
  });
}
for (let n = 0; n < chain.length; n++) {
  for (let net = n + 1; net < chain.length - 1; net++)
    world.route(chain[n], `10.${net}.0.0/24`, `10.${n}.0.2`);
  for (let net = 0; net < n - 1; net++)
    world.route(chain[n], `10.${net}.0.0/24`, `10.${n - 1}.0.1`);
}

function traceroute(stack: Stack, to: IpAddr): void {
  console.log(`traceroute to ${to}`);
  for (let ttl = 1; ttl <= HOPS_MAX; ttl++) {
    const socket = stack.endpoints.udp(IPV4);
    if (typeof socket === "number") throw new Error("no socket left");
    socket.options.ttl = ttl;
    // As IP_RECVERR: errors come with who sent them.
    socket.options.receiveErrors = true;
    const sentNs = world.nowNs;
    socket.send(new Uint8Array(24), 0, 24, to, FIRST_PORT + ttl);
    let entry = socket.takeErrorEntry();
    world.runUntil(() => (entry ??= socket.takeErrorEntry()) !== null, 5 * SECOND);
    const ms = ((world.nowNs - sentNs) / MS).toFixed(1);
    console.log(
      `${String(ttl).padStart(2)}  ${entry === null ? "*" : `${entry.offender}  ${ms} ms`}`,
    );
    socket.close();
    if (entry !== null && entry.type !== TIME_EXCEEDED) return;
  }
}

traceroute(client, IpAddr.v4(10, ROUTERS, 0, 2));
