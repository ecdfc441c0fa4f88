import { describe, expect, it } from "vitest";
import { ManualClock } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import {
  ETHERTYPE_ALL,
  IPV4,
  IpAddr,
  NetErr,
  newPacketInfo,
  type PacketEndpoint,
  SocketFilter,
  Stack,
  type UdpEndpoint,
} from "../netstack/index.ts";
import { MemoryPair } from "./memory-pair.ts";

const A = IpAddr.v4(10, 0, 0, 1);
const B = IpAddr.v4(10, 0, 0, 2);
const LOCALHOST = IpAddr.v4(127, 0, 0, 1);
const ARP = 0x0806;
const OUTGOING = 4;

function twoStacks(): { a: Stack; b: Stack; run(): number } {
  const clock = new ManualClock();
  const make = (seed: number): Stack =>
    new Stack({ clock, rng: new SeededRng(seed), limits: DEFAULT_LIMITS });
  const [a, b] = [make(1), make(2)];
  const pair = new MemoryPair({ clock });
  a.attach(pair.a, { name: "eth0", addresses: [{ addr: A, prefixBits: 24 }] });
  b.attach(pair.b, { name: "eth0", addresses: [{ addr: B, prefixBits: 24 }] });
  return { a, b, run: () => pair.pump() };
}
const open = (stack: Stack, protocol: number, cooked = false): PacketEndpoint =>
  stack.endpoints.packet(cooked, protocol) as PacketEndpoint;

interface Seen {
  type: number;
  protocol: number;
  bytes: Uint8Array;
  wire: number;
}
function drain(e: PacketEndpoint): Seen[] {
  const seen: Seen[] = [];
  const info = newPacketInfo();
  const buffer = new Uint8Array(2000);
  for (;;) {
    const n = e.receive(buffer, 0, buffer.length, info, false);
    if (n < 0) return seen;
    const { type, protocol, wireLength } = info;
    seen.push({ type, protocol, bytes: buffer.slice(0, n), wire: wireLength });
  }
}

describe("packet endpoints", () => {
  it("see what comes and goes, each protocol its own; only those for all see what goes", () => {
    const { a, run } = twoStacks();
    const all = open(a, ETHERTYPE_ALL);
    const arp = open(a, ARP);
    const udp = a.endpoints.udp(IPV4) as UdpEndpoint;
    udp.send(new Uint8Array(5), 0, 5, B, 9);
    run();
    const what = drain(all).map((f) => [f.type, f.protocol]);
    expect(what).toEqual([
      [OUTGOING, ARP],
      [0, ARP],
      [OUTGOING, 0x0800],
      [0, 0x0800],
    ]);
    expect(drain(arp).map((f) => [f.type, f.protocol])).toEqual([[0, ARP]]);
    all.close();
    arp.close();
    expect(a.socketMemoryBytes).toBe(0);
  });

  it("show the loopback behind a header of zeros, and without it when cooked", () => {
    const { a } = twoStacks();
    const raw = open(a, 0x0800);
    const cooked = open(a, 0x0800, true);
    const udp = a.endpoints.udp(IPV4) as UdpEndpoint;
    udp.bind(LOCALHOST, 7000);
    udp.send(Uint8Array.of(1, 2, 3), 0, 3, LOCALHOST, 7000);
    const [frame] = drain(raw);
    expect([...frame.bytes.subarray(0, 14)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0]);
    expect(frame.bytes.length).toBe(14 + 31);
    expect([...frame.bytes.subarray(-3)]).toEqual([1, 2, 3]);
    expect(drain(cooked)[0].bytes.length).toBe(31);
  });

  it("keep what the filter lets through, cut to what it says", () => {
    const { a } = twoStacks();
    const e = open(a, ETHERTYPE_ALL);
    // ldb [14 + 9]; jeq #17; ret 20; ret 0
    const code = Int32Array.of(0x30, 0, 0, 23, 0x15, 0, 1, 17, 6, 0, 0, 20, 6, 0, 0, 0);
    e.filter = SocketFilter.make(code) as SocketFilter;
    const udp = a.endpoints.udp(IPV4) as UdpEndpoint;
    udp.bind(LOCALHOST, 7000);
    udp.send(new Uint8Array(100), 0, 100, LOCALHOST, 7000);
    udp.send(new Uint8Array(1), 0, 1, LOCALHOST, 7001);
    // The refusal of the second, by ICMP, does not pass.
    expect(drain(e).map((f) => [f.bytes.length, f.wire])).toEqual([
      [20, 142],
      [20, 142],
      [20, 43],
      [20, 43],
    ]);
  });

  it("send frames with their own header, and cooked ones behind a new one", () => {
    const { a, b, run } = twoStacks();
    const there = open(b, 0x88b5);
    const mac = b.nics[1].mac;
    const eth0 = a.nics[1].id;
    const cooked = open(a, 0x88b5, true);
    expect(cooked.send(Uint8Array.of(7, 8), 0, 2, eth0, mac, 0x88b5)).toBe(2);
    const raw = open(a, 0);
    const frame = new Uint8Array(16);
    frame.set(mac);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    expect(raw.send(frame, 0, 16, eth0, mac, 0)).toBe(16);
    run();
    expect(drain(there).map((f) => f.bytes.length)).toEqual([16, 16]);
    expect(raw.send(frame, 0, 5, eth0, mac, 0)).toBe(NetErr.InvalidArgument);
    expect(raw.send(frame, 0, 16, 99, mac, 0)).toBe(NetErr.NoDevice);
  });

  it("drop and count what finds no room, and never stop the stack", () => {
    const { a } = twoStacks();
    const e = open(a, ETHERTYPE_ALL);
    e.receiveBufferBytes = 1000;
    const udp = a.endpoints.udp(IPV4) as UdpEndpoint;
    udp.bind(LOCALHOST, 7000);
    for (let i = 0; i < 10; i++) udp.send(new Uint8Array(100), 0, 100, LOCALHOST, 7000);
    expect([e.packets, e.drops]).toEqual([20, 17]);
    expect(udp.nextBytes).toBe(100);
  });
});
