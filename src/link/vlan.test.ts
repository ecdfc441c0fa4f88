import { describe, expect, it } from "vitest";
import { ManualClock } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import {
  IpAddr,
  newDatagramInfo,
  type PacketBuffer,
  Stack,
  type UdpEndpoint,
} from "../netstack/index.ts";
import { MemoryPair } from "./memory-pair.ts";
import { VlanTrunk } from "./vlan.ts";

const A = IpAddr.v4(10, 0, 0, 1);
const B = IpAddr.v4(10, 0, 0, 2);

class World {
  readonly clock = new ManualClock();
  readonly pair = new MemoryPair({ clock: this.clock });
  readonly a = new VlanTrunk(this.pair.a);
  readonly b = new VlanTrunk(this.pair.b);
  readonly sent: number[][] = [];

  constructor() {
    this.pair.a.filter = (pkt: PacketBuffer) => {
      this.sent.push([...pkt.bytes.subarray(pkt.start, pkt.start + 18)]);
      return true;
    };
  }
  stack(trunk: VlanTrunk, vid: number, addr: IpAddr, priority = 0): Stack {
    const { clock } = this;
    const stack = new Stack({ clock, rng: new SeededRng(vid + 1), limits: DEFAULT_LIMITS });
    stack.attach(trunk.connect(vid, priority), {
      name: "eth0",
      addresses: [{ addr, prefixBits: 24 }],
    });
    return stack;
  }
}

const udp = (stack: Stack): UdpEndpoint => {
  const endpoint = stack.endpoints.udp(4) as UdpEndpoint;
  endpoint.bind(new IpAddr().setV4(0), 7_000);
  return endpoint;
};
const bytes = new Uint8Array(1_472).fill(7);
const buffer = new Uint8Array(2_000);

describe("VLANs on one link", () => {
  it("carry full packets to their own stack only, tagged with number and priority", () => {
    const w = new World();
    const a10 = udp(w.stack(w.a, 10, A, 5));
    const [b10, b11, b0] = [10, 11, 0].map((vid) => udp(w.stack(w.b, vid, B)));
    expect(a10.send(bytes, 0, bytes.length, B, 7_000)).toBe(bytes.length);
    w.pair.pump();
    expect(b10.receive(buffer, 0, buffer.length, newDatagramInfo(), false)).toBe(bytes.length);
    for (const other of [b11, b0]) expect(other.nextBytes).toBeLessThanOrEqual(0);
    for (const f of w.sent) expect(f.slice(12, 16)).toEqual([0x81, 0, 0xa0, 10]);
    // And back.
    b10.send(bytes, 0, 100, A, 7_000);
    w.pair.pump();
    expect(a10.receive(buffer, 0, buffer.length, newDatagramInfo(), false)).toBe(100);
  });

  it("the untagged one takes untagged frames and those with a priority only", () => {
    const w = new World();
    const a = w.stack(w.a, 0, A);
    const server = udp(a);
    const client = udp(w.stack(w.b, 0, B));
    client.send(bytes, 0, 50, A, 7_000);
    w.pair.pump();
    expect(server.receive(buffer, 0, buffer.length, newDatagramInfo(), false)).toBe(50);
    for (const f of w.sent) expect(f[12]).toBe(8);
    const before = a.nics[1].counters.rxPackets;
    w.pair.a.inject(
      Uint8Array.from([...w.pair.a.mac, 2, 0, 0, 0, 0, 2, 0x81, 0, 0xe0, 0, 8, 6, 0]),
    );
    expect(a.nics[1].counters.rxPackets).toBe(before + 1);
  });

  it("frames of other VLANs, cut tags and second tags reach nobody", () => {
    const w = new World();
    const a = w.stack(w.a, 10, A);
    const head = [...w.pair.a.mac, 2, 0, 0, 0, 0, 2];
    w.pair.a.inject(Uint8Array.from([...head, 0x81, 0, 0, 99, 8, 0, 1, 2]));
    w.pair.a.inject(Uint8Array.from([...head, 0x81, 0, 0, 10, 8]));
    w.pair.a.inject(Uint8Array.from([...head, 0x81]));
    expect(w.a.counters).toEqual({ unknownVlan: 2, shortFrame: 1 });
    w.pair.a.inject(Uint8Array.from([...head, 0x81, 0, 0, 10, 0x81, 0, 0, 11, 8, 0]));
    expect(a.counters.dropUnknownVlan).toBe(1);
  });

  it("numbers beyond 4094, and one twice, are refused; a closed one can be connected again", () => {
    const trunk = new VlanTrunk(new World().pair.a);
    expect(() => trunk.connect(4_095)).toThrow(RangeError);
    expect(() => trunk.connect(-1)).toThrow(RangeError);
    const port = trunk.connect(4_094);
    expect(() => trunk.connect(4_094)).toThrow(RangeError);
    port.close();
    expect(trunk.connect(4_094).mtu).toBe(1_500);
  });
});
