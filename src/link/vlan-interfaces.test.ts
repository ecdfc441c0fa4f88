import { describe, expect, it } from "vitest";
import { ManualClock } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import {
  ETHERTYPE_8021AD,
  ETHERTYPE_8021Q,
  IpAddr,
  NetErr,
  type Nic,
  newDatagramInfo,
  newPacketInfo,
  type PacketBuffer,
  type PacketEndpoint,
  parseIp,
  Stack,
  type TcpEndpoint,
  type UdpEndpoint,
} from "../netstack/index.ts";
import { MemoryPair } from "./memory-pair.ts";
import { VlanTrunk } from "./vlan.ts";

const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
const A = ip("10.5.0.1");
const B = ip("10.5.0.2");
const buffer = new Uint8Array(2_000);

/** A stack with eth0 and VLAN interfaces on it; at the other end of the line a trunk with a stack for each VLAN. */
class World {
  readonly clock = new ManualClock();
  readonly pair = new MemoryPair({ clock: this.clock });
  readonly trunk = new VlanTrunk(this.pair.b);
  readonly sent: string[] = [];
  readonly stack: Stack;
  readonly eth0: Nic;

  constructor(limits = DEFAULT_LIMITS) {
    const { clock } = this;
    this.stack = new Stack({ clock, rng: new SeededRng(1), limits });
    const addresses = [{ addr: ip("10.0.0.1"), prefixBits: 24 }];
    this.eth0 = this.stack.attach(this.pair.a, {
      name: "eth0",
      addresses,
      ipv6: { mode: "static", duplicateAddressDetection: false },
    });
    this.pair.b.filter = () => true;
    this.pair.a.filter = (pkt: PacketBuffer) => {
      const { bytes, start } = pkt;
      this.sent.push(hex(bytes.subarray(start + 12, start + 22)));
      return true;
    };
  }
  far(vid: number, addr: IpAddr): Stack {
    const { clock } = this;
    const stack = new Stack({ clock, rng: new SeededRng(vid + 2), limits: DEFAULT_LIMITS });
    const addresses = [{ addr, prefixBits: addr.isV4 ? 24 : 64 }];
    const ipv6 = { mode: "static", duplicateAddressDetection: false } as const;
    stack.attach(this.trunk.connect(vid), { name: "eth0", addresses, ipv6 });
    return stack;
  }
  vlan(vid: number, addr: IpAddr | null, parent = this.eth0, protocol = ETHERTYPE_8021Q): Nic {
    const { interfaces } = this.stack;
    const nic = interfaces.addVlan(parent, { name: `${parent.name}.${vid}`, vid, protocol });
    if (typeof nic === "number") throw new Error(`refused: ${nic}`);
    if (addr !== null) interfaces.addAddress(nic, addr, addr.isV4 ? 24 : 64);
    interfaces.setUp(nic, true);
    return nic;
  }
  run(ns = 3_000_000_000): void {
    for (let t = 0; t < ns; t += 100_000_000) {
      this.clock.advanceNs(100_000_000);
      this.pair.pump();
      this.stack.runTimers(this.clock.monotonicNs());
      this.pair.pump();
    }
  }
}
const hex = (b: Uint8Array): string => [...b].map((x) => x.toString(16).padStart(2, "0")).join("");

const udp = (stack: Stack, port = 7_000, family: 4 | 6 = 4): UdpEndpoint => {
  const endpoint = stack.endpoints.udp(family) as UdpEndpoint;
  endpoint.bind(family === 4 ? new IpAddr().setV4(0) : new IpAddr(), port);
  return endpoint;
};
const arrived = (e: UdpEndpoint): number =>
  e.receive(buffer, 0, buffer.length, newDatagramInfo(), false);

describe("a VLAN interface", () => {
  it("resolves, sends and receives inside its VLAN, full packets too, and counts on both interfaces", () => {
    const w = new World();
    const vlan = w.vlan(5, A);
    const far = udp(w.far(5, B));
    const near = udp(w.stack);
    const bytes = new Uint8Array(1_472).fill(3);
    expect(near.send(bytes, 0, bytes.length, B, 7_000)).toBe(bytes.length);
    w.pair.pump();
    expect(arrived(far)).toBe(bytes.length);
    far.send(bytes, 0, bytes.length, A, 7_000);
    w.pair.pump();
    expect(arrived(near)).toBe(bytes.length);
    // ARP, and the datagram.
    expect(w.sent.filter((f) => f.startsWith("81000005")).length).toBeGreaterThanOrEqual(2);
    expect(vlan.counters.rxPackets).toBeGreaterThanOrEqual(2);
    expect(w.eth0.counters.rxPackets).toBe(vlan.counters.rxPackets);
  });

  it("carries TCP in both directions, and what is passed on in large pieces", () => {
    const w = new World();
    w.vlan(5, A);
    const far = w.far(5, B);
    const listener = far.endpoints.tcp(4) as TcpEndpoint;
    listener.bind(new IpAddr().setV4(0), 80);
    listener.listen(1);
    const client = w.stack.endpoints.tcp(4) as TcpEndpoint;
    client.connect(B, 80);
    w.run(200_000_000);
    const server = listener.accept() as TcpEndpoint;
    const bytes = new Uint8Array(20_000).map((_, i) => i);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      expect(from.write(bytes, 0, bytes.length, 0)).toBe(bytes.length);
      w.run(500_000_000);
      const got = new Uint8Array(bytes.length);
      for (let n = 0; n < got.length; ) n += to.read(got, n, got.length - n, false);
      expect(got).toEqual(bytes);
    }
  });

  it("speaks IPv6 as its parent does: neighbours are found, groups are reported", () => {
    const w = new World();
    const vlan = w.vlan(5, ip("fd05::1"));
    w.run();
    const far = udp(w.far(5, ip("fd05::2")), 7_000, 6);
    w.run();
    const near = udp(w.stack, 7_000, 6);
    near.send(buffer, 0, 100, ip("fd05::2"), 7_000);
    w.run(200_000_000);
    expect(arrived(far)).toBe(100);
    expect(vlan.addresses.some((a) => `${a.addr}`.startsWith("fe80::"))).toBe(true);
    expect(vlan.groups.isMember(ip("ff02::1:ff00:1"))).toBe(true);
  });

  it("lies within another one, as deep as there is room", () => {
    const w = new World();
    const outer = w.vlan(100, null, w.eth0, ETHERTYPE_8021AD);
    w.vlan(7, A, outer);
    const near = udp(w.stack);
    near.send(buffer, 0, 10, B, 7_000);
    // An ARP request: 802.1ad outside, 802.1Q inside.
    expect(w.sent.at(-1)?.startsWith("88a8006481000007")).toBe(true);
    const answered = outer.counters.rxPackets;
    const head = [...w.pair.a.mac, 2, 0, 0, 0, 0, 2];
    const tags = [0x88, 0xa8, 0, 100, 0x81, 0, 0, 7];
    w.pair.a.inject(Uint8Array.from([...head, ...tags, 8, 6, 0]));
    expect(outer.counters.rxPackets).toBe(answered + 1);
    expect(w.stack.nicByName("eth0.100.7")?.counters.rxPackets).toBe(1);
    let at = outer;
    for (let depth = 2; depth <= 8; depth++) at = w.vlan(depth, null, at);
    const config = { name: "x", vid: 1, protocol: ETHERTYPE_8021Q };
    expect(w.stack.interfaces.addVlan(at, config)).toBe(NetErr.NotSupported);
  });

  it("hears nothing of other VLANs, cut tags and other protocols; a priority alone is no VLAN", () => {
    const w = new World();
    const vlan = w.vlan(5, A);
    const head = [...w.pair.a.mac, 2, 0, 0, 0, 0, 2];
    const inject = (...rest: number[]): void =>
      w.pair.a.inject(Uint8Array.from([...head, ...rest]));
    inject(0x81, 0, 0, 6, 8, 6, 0);
    inject(0x88, 0xa8, 0, 5, 8, 6, 0);
    inject(0x81, 0, 0, 5, 8);
    expect(vlan.counters.rxPackets).toBe(0);
    expect(w.stack.counters.dropUnknownVlan).toBe(2);
    expect(w.stack.counters.dropFrameShort).toBe(1);
    const bad = w.stack.counters.dropArpBad;
    inject(0x81, 0, 0xe0, 0, 8, 6, 0);
    expect(w.stack.counters.dropArpBad).toBe(bad + 1);
    // Priority and DEI beside the number.
    inject(0x81, 0, 0xf0, 5, 8, 6, 0);
    expect(vlan.counters.rxPackets).toBe(1);
    // As many empty tags as fit, one after the other.
    inject(...Array.from({ length: 300 }, () => [0x81, 0, 0, 0]).flat(), 8, 6, 0);
    expect(w.stack.counters.dropArpBad).toBe(bad + 3);
  });

  it("goes down and comes up with its parent, unless it is bound loosely, and is never larger", () => {
    const w = new World();
    const { interfaces } = w.stack;
    const vlan = w.vlan(5, A);
    const loose = interfaces.addVlan(w.eth0, {
      name: "loose",
      vid: 6,
      protocol: ETHERTYPE_8021Q,
      isLoose: true,
    }) as Nic;
    interfaces.setUp(loose, true);
    expect(w.stack.routes.lookup(B, 0)?.nicId).toBe(vlan.id);
    interfaces.setUp(w.eth0, false);
    expect([vlan.isUp, loose.isUp]).toEqual([false, true]);
    expect(w.stack.routes.lookup(B, 0)).toBeNull();
    expect(interfaces.setUp(vlan, true)).toBe(NetErr.NetworkDown);
    interfaces.setUp(w.eth0, true);
    expect(vlan.isUp).toBe(true);
    expect(w.stack.routes.lookup(B, 0)?.nicId).toBe(vlan.id);
    interfaces.setMtu(w.eth0, 1_400);
    expect(vlan.mtu).toBe(1_400);
    expect(interfaces.setMtu(vlan, 1_401)).toBe(NetErr.InvalidArgument);
    interfaces.setMtu(vlan, 1_300);
    interfaces.setMtu(w.eth0, 1_500);
    expect(vlan.mtu).toBe(1_300);
  });

  it("is there once for a number and protocol, and so many in all", () => {
    const w = new World({ ...DEFAULT_LIMITS, interfaces: 5 });
    const add = (vid: number, parent = w.eth0, protocol = ETHERTYPE_8021Q) =>
      w.stack.interfaces.addVlan(parent, { name: `v${vid}`, vid, protocol });
    expect(add(5)).toBeTypeOf("object");
    expect(add(5)).toBe(NetErr.AddressInUse);
    expect(add(5, w.eth0, ETHERTYPE_8021AD)).toBeTypeOf("object");
    expect(add(6, w.stack.loopback)).toBe(NetErr.NotSupported);
    expect(add(6)).toBeTypeOf("object");
    expect(add(7)).toBe(NetErr.NoBuffers);
  });

  it("goes with all that it had, and what is bound to it hears of it", () => {
    const w = new World();
    const outer = w.vlan(5, A);
    const inner = w.vlan(7, ip("10.7.0.1"), outer);
    w.vlan(8, ip("fd05::1"));
    w.stack.routes.add({ dst: ip("0.0.0.0"), prefixBits: 0, gateway: B, nicId: outer.id });
    const packet = w.stack.endpoints.packet(false, 3) as PacketEndpoint;
    packet.bind(inner.id, 0);
    const member = udp(w.stack);
    w.run();
    w.stack.interfaces.remove(w.stack.nicByName("eth0.8") as Nic);
    w.stack.interfaces.remove(outer);
    expect(w.stack.nics.map((nic) => nic.name)).toEqual(["lo", "eth0"]);
    expect(
      w.stack.routes.tables.flatMap((t) => [...w.stack.routes.entriesOf(t)]),
    ).not.toContainEqual(expect.objectContaining({ nicId: outer.id }));
    expect(w.stack.findRoute(null, ip("198.51.100.1"))).toBe(NetErr.NetworkUnreachable);
    expect(packet.takeError()).toBe(NetErr.NetworkDown);
    expect(member.send(buffer, 0, 1, B, 1)).toBe(NetErr.NetworkUnreachable);
    const before = w.sent.length;
    w.run(20_000_000_000);
    expect(w.sent.slice(before).filter((f) => f.startsWith("8100"))).toEqual([]);
    // The number is free again.
    w.vlan(5, A);
  });
});

describe("packet endpoints and VLANs", () => {
  it("show the tag beside the frame on the parent, and none on the VLAN", () => {
    const w = new World();
    const vlan = w.vlan(5, A);
    const listen = (nic: Nic): PacketEndpoint => {
      const e = w.stack.endpoints.packet(false, 3) as PacketEndpoint;
      e.bind(nic.id, 0);
      return e;
    };
    const [onParent, onVlan] = [listen(w.eth0), listen(vlan)];
    const next = (e: PacketEndpoint) => {
      const info = newPacketInfo();
      const n = e.receive(buffer, 0, buffer.length, info, false);
      const { vlan: tag, nicId, type, protocol, wireLength } = info;
      return {
        n,
        type12: hex(buffer.subarray(12, 14)),
        tag: tag >>> 0,
        nicId,
        type,
        protocol,
        wireLength,
      };
    };
    const frame = [...w.pair.a.mac, 2, 0, 0, 0, 0, 2, 0x81, 0, 0x60, 5, 8, 6, 1, 2, 3];
    w.pair.a.inject(Uint8Array.from(frame));
    const seen = { n: 17, type12: "0806", type: 0, protocol: 0x0806, wireLength: 17 };
    expect(next(onParent)).toEqual({ ...seen, tag: 0x8100_6005, nicId: w.eth0.id });
    expect(next(onVlan)).toEqual({ ...seen, tag: 0, nicId: vlan.id });
    udp(w.stack).send(buffer, 0, 10, B, 9);
    expect(next(onVlan)).toMatchObject({ tag: 0, type: 4, type12: "0806" });
    expect(next(onParent)).toMatchObject({ tag: 0x8100_0005, type: 4, type12: "0806" });
    // What goes out is still tagged.
    expect(w.sent.at(-1)?.startsWith("81000005")).toBe(true);
  });
});
