// ping: three echo requests over a line with a delay, and one to an address where nobody is.
//
//     node examples/ping.ts

import { World } from "netcell/lab";
import { IPV4, IpAddr, newDatagramInfo, type Stack } from "netcell/netstack";

const MS = 1e6;
const SECOND = 1e9;
const ECHO_HEADER = 8;

const world = new World();
const [here, there] = [world.stack(), world.stack()];
world.join(here, there, { conditions: { delayNs: 12.5 * MS, jitterNs: 2 * MS } });

function ping(stack: Stack, to: IpAddr, count: number, limitNs = 4 * SECOND): void {
  const socket = stack.endpoints.ping(IPV4);
  if (typeof socket === "number") throw new Error("no socket left");
  const data = new Uint8Array(1500);
  const info = newDatagramInfo();
  for (let sequence = 1; sequence <= count; sequence++) {
    // Type 8, code 0; checksum and identifier are the stack's business.
    data.fill(0, 0, ECHO_HEADER);
    data[0] = 8;
    data[7] = sequence;
    const sentNs = world.nowNs;
    socket.send(data, 0, ECHO_HEADER + 56, to, 0);
    let bytes = -1;
    const isThere = world.runUntil(() => {
      bytes = socket.receive(data, 0, data.length, info, false);
      return bytes >= 0;
    }, limitNs);
    const ms = ((world.nowNs - sentNs) / MS).toFixed(2);
    if (isThere)
      console.log(
        `${bytes} bytes from ${info.addr}: icmp_seq=${data[7]} ttl=${info.ttl} time=${ms} ms`,
      );
    else console.log(`no answer from ${to}: icmp_seq=${sequence}`);
  }
  socket.close();
}

ping(here, IpAddr.v4(10, 0, 0, 2), 3);
ping(here, IpAddr.v4(10, 0, 0, 99), 1);
