// A middlebox between two stacks that looks at every frame: it lets nothing with a forbidden word pass and resets the
// connection instead, both ways, as some networks do. Packets are bytes here; headers come from PacketView.
//
//     node examples/middlebox.ts

import { type CableEnd, openConnection, PacketView, World } from "netcell/lab";
import {
  checksum,
  IPV4,
  IpAddr,
  netErrorName,
  PacketBuffer as Packet,
  type PacketBuffer,
  pseudoSum,
} from "netcell/netstack";

const MS = 1e6;
const ETHERNET = 14;
const IP = 20;
const TCP = 20;
const RST_ACK = 0x14;
const FORBIDDEN = Buffer.from("forbidden");

const world = new World();
const [inside, outside] = [world.stack(), world.stack()];
const near = world.cable({ conditions: { delayNs: 2 * MS } });
const far = world.cable({ conditions: { delayNs: 20 * MS } });
world.attach(inside, near.a, ["10.0.0.1/24"]);
world.attach(outside, far.b, ["10.0.0.2/24"]);

const view = new PacketView();
let seen = 0;
let resets = 0;

/** A RST in the name of the packet's receiver, to its sender. */
function reset(pkt: PacketBuffer): PacketBuffer {
  const answer = new Packet(ETHERNET + IP + TCP + 256);
  const { bytes } = answer;
  const at = answer.start;
  answer.end = at + ETHERNET + IP + TCP;
  bytes.set(pkt.bytes.subarray(pkt.start + 6, pkt.start + 12), at);
  bytes.set(pkt.bytes.subarray(pkt.start, pkt.start + 6), at + 6);
  const fields = new DataView(bytes.buffer, bytes.byteOffset + at);
  fields.setUint16(12, 0x0800);
  fields.setUint8(14, 0x45);
  fields.setUint16(16, IP + TCP);
  fields.setUint8(22, 64);
  fields.setUint8(23, 6);
  view.dst.write(bytes, at + 26, IPV4);
  view.src.write(bytes, at + 30, IPV4);
  fields.setUint16(24, checksum(bytes, at + ETHERNET, IP));
  fields.setUint16(34, view.dport);
  fields.setUint16(36, view.sport);
  fields.setUint32(38, view.ack);
  fields.setUint32(42, view.seq + view.payloadBytes);
  fields.setUint8(46, 5 << 4);
  fields.setUint8(47, RST_ACK);
  const sum = checksum(bytes, at + ETHERNET + IP, TCP, pseudoSum(view.dst, view.src, 6, TCP));
  fields.setUint16(50, sum);
  return answer;
}

function isForbidden(pkt: PacketBuffer): boolean {
  if (view.readPacket(pkt).payloadBytes === 0) return false;
  const text = Buffer.from(pkt.bytes.subarray(view.l4, pkt.end));
  return text.includes(FORBIDDEN);
}

/** What arrives at one end goes on from the other. */
function bridge(from: CableEnd, to: CableEnd): void {
  from.attach({
    deliver(pkt) {
      seen++;
      if (isForbidden(pkt)) {
        resets++;
        from.send(reset(pkt));
        return;
      }
      to.send(pkt);
    },
  });
}
bridge(near.b, far.a);
bridge(far.a, near.b);

for (const words of ["hello, world", "something forbidden here"]) {
  const { from, to } = openConnection(world, inside, outside, IpAddr.v4(10, 0, 0, 2));
  const data = new TextEncoder().encode(words);
  from.write(data, 0, data.length, 0);
  world.run(1e9);
  const got = new Uint8Array(100);
  const n = to.read(got, 0, got.length, false);
  const error = from.takeError();
  console.log(
    `"${words}": ${n > 0 ? `${n} bytes arrived` : `nothing arrived, ${netErrorName(error)}`}`,
  );
  from.abort();
  to.abort();
}
console.log(`${seen} frames seen, ${resets} connection reset`);
