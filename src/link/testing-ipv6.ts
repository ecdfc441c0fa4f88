// For tests: two stacks with IPv6 on one wire in virtual time, and frames made by hand.

import { expect } from "vitest";
import { ManualClock } from "../base/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../base/limits.ts";
import { SeededRng } from "../base/rng.ts";
import {
  type DatagramEndpoint,
  IpAddr,
  type Ipv6Config,
  type Nic,
  newDatagramInfo,
  type PacketBuffer,
  parseIp,
  pseudoSum,
  Stack,
  sum16,
} from "../netstack/index.ts";
import { MemoryPair } from "./memory-pair.ts";

export const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
export const A = ip("2001:db8::a");
export const B = ip("2001:db8::b");
export const ANY = new IpAddr();
export const MAC_A = [2, 0, 0, 0, 0, 1];
export const MAC_B = [2, 0, 0, 0, 0, 2];
export const STATIC: Ipv6Config = { mode: "static", duplicateAddressDetection: false };
export const AUTO: Ipv6Config = { mode: "auto" };
export const ICMPV6 = 58;
export const buffer = new Uint8Array(70_000);

export interface WorldOptions {
  a?: Ipv6Config;
  b?: Ipv6Config;
  aAddresses?: IpAddr[];
  mtu?: number;
  limits?: Partial<Limits>;
}

export class World {
  readonly clock = new ManualClock();
  readonly pair: MemoryPair;
  readonly a: Stack;
  readonly b: Stack;
  readonly nicA: Nic;
  readonly nicB: Nic;
  /** What A sent, from the IPv6 header on. */
  readonly sent: Uint8Array[] = [];

  constructor(options: WorldOptions = {}) {
    const { clock } = this;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.pair = new MemoryPair({ clock, mtu: options.mtu });
    this.pair.a.filter = (pkt) => this.#record(pkt);
    this.a = new Stack({ clock, rng: new SeededRng(1), limits });
    this.b = new Stack({ clock, rng: new SeededRng(2), limits });
    const at = (addr: IpAddr) => ({ addr, prefixBits: 64 });
    this.nicA = this.a.attach(this.pair.a, {
      name: "eth0",
      addresses: (options.aAddresses ?? [A]).map(at),
      ipv6: options.a ?? STATIC,
    });
    this.nicB = this.b.attach(this.pair.b, {
      name: "eth0",
      addresses: [at(B)],
      ipv6: options.b ?? STATIC,
    });
  }

  #record(pkt: PacketBuffer): boolean {
    const bytes = [...pkt.bytes.subarray(pkt.start + 14, pkt.end)];
    if (pkt.fragBytes !== null) {
      bytes.push(...pkt.fragBytes.subarray(pkt.fragOffset, pkt.fragOffset + pkt.fragLength));
    }
    if (bytes[0] >>> 4 === 6) this.sent.push(Uint8Array.from(bytes));
    return true;
  }
  /** ICMPv6 types A sent since the last call. */
  icmpSent(): number[] {
    const types = this.sent.filter((p) => p[6] === ICMPV6).map((p) => p[40]);
    this.sent.length = 0;
    return types;
  }

  run(forNs = 0): void {
    const until = this.clock.monotonicNs() + forNs;
    for (;;) {
      this.pair.pump();
      const next = Math.min(this.a.nextDeadlineNs(), this.b.nextDeadlineNs());
      if (next > until) break;
      this.clock.advanceToNs(next);
      this.a.runTimers(this.clock.monotonicNs());
      this.b.runTimers(this.clock.monotonicNs());
    }
    this.clock.advanceToNs(until);
    this.pair.pump();
  }
}

export function udp(stack: Stack, addr: IpAddr, port: number): DatagramEndpoint {
  const endpoint = stack.endpoints.udp(6);
  if (typeof endpoint === "number") throw new Error("no endpoint");
  expect(endpoint.bind(addr, port)).toBe(0);
  return endpoint;
}

export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  new SeededRng(length).fill(bytes, 0, length);
  return bytes;
}
export function receive(endpoint: DatagramEndpoint, info = newDatagramInfo()): Uint8Array | number {
  const n = endpoint.receive(buffer, 0, buffer.length, info, false);
  return n < 0 ? n : buffer.slice(0, n);
}

export const bytesOf = (addr: IpAddr): number[] => {
  const b = new Uint8Array(16);
  addr.write(b, 0, 6);
  return [...b];
};

export interface FrameOptions {
  src?: IpAddr;
  dst?: IpAddr;
  hopLimit?: number;
  next?: number;
  mac?: number[];
}
/** An Ethernet frame to A with this payload behind the IPv6 header. */
export function frame(payload: number[], options: FrameOptions = {}): Uint8Array {
  const { src = B, dst = A, hopLimit = 255, next = ICMPV6 } = options;
  const group = dst.isMulticast;
  const mac = options.mac ?? (group ? [0x33, 0x33, ...bytesOf(dst).slice(12)] : MAC_A);
  const head = [0x60, 0, 0, 0, payload.length >> 8, payload.length & 255, next, hopLimit];
  return Uint8Array.from([
    ...[...mac, ...MAC_B, 0x86, 0xdd],
    ...[...head, ...bytesOf(src), ...bytesOf(dst), ...payload],
  ]);
}
/** The same with an ICMPv6 message whose checksum is right. */
export function icmp(message: number[], options: FrameOptions = {}): Uint8Array {
  const m = Uint8Array.from(message);
  const sum = pseudoSum(options.src ?? B, options.dst ?? A, ICMPV6, m.length);
  const value = ~sum16(m, 0, m.length, sum) & 0xffff;
  return frame([m[0], m[1], value >> 8, value & 255, ...message.slice(4)], options);
}
export const u32Bytes = (n: number): number[] => [
  n >>> 24,
  (n >>> 16) & 255,
  (n >>> 8) & 255,
  n & 255,
];
export const advert = (target: IpAddr, flags: number, ...options: number[]): number[] => [
  ...[136, 0, 0, 0, flags, 0, 0, 0],
  ...[...bytesOf(target), ...options],
];
export const solicit = (target: IpAddr, ...options: number[]): number[] => [
  ...[135, 0, 0, 0, 0, 0, 0, 0],
  ...[...bytesOf(target), ...options],
];
export const ROUTER = ip("fe80::1");
export const ALL_NODES = ip("ff02::1");
export const routerAdvert = (lifetimeS: number, ...options: number[]): Uint8Array =>
  icmp(
    [
      134,
      0,
      0,
      0,
      64,
      0,
      lifetimeS >> 8,
      lifetimeS & 255,
      ...u32Bytes(0),
      ...u32Bytes(0),
      ...options,
    ],
    {
      src: ROUTER,
      dst: ALL_NODES,
    },
  );
export const prefixOption = (prefix: string, validS: number, preferredS: number): number[] => [
  ...[3, 4, 64, 0xc0, ...u32Bytes(validS), ...u32Bytes(preferredS), 0, 0, 0, 0],
  ...bytesOf(ip(prefix)),
];
export const shown = (nic: Nic): string[] => nic.addresses.map((a) => a.addr.toString());
