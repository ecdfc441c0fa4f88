// Goal: segments that follow each other become one packet that says the same; whatever differs in more than its
// number stays alone (tcp_gro_receive's rules), and what a stack makes of a batch is the same stream.

import { describe, expect, it } from "vitest";
import { u16 } from "../../base/bytes.ts";
import { ManualClock, MS } from "../../base/clock.ts";
import { DEFAULT_LIMITS } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import { MemoryPair } from "../../link/index.ts";
import {
  ip4,
  ip6,
  PEER,
  PEER6,
  summed,
  TCP,
  type TcpOptionsOf,
  tcpBytes,
  VICTIM,
  VICTIM6,
} from "../attacks/testing-frames.ts";
import { IPV4, IpAddr } from "../ip-addr.ts";
import { newTcpInfo } from "../tcp-info.ts";
import { sum16 } from "../wire/checksum.ts";
import { Gro } from "./gro.ts";
import { GSO_NONE, GSO_TCPV4, PacketBuffer } from "./packet-buffer.ts";
import { Stack } from "./stack.ts";

const SIZE = 100;
const ACK = 0x10;
const PSH = 0x08;
const FIN = 0x01;

interface Wire extends TcpOptionsOf {
  family?: 4 | 6;
  ttl?: number;
  /** Spoils a byte of the payload behind the checksum. */
  isBroken?: boolean;
  mayFragment?: boolean;
  padding?: number;
}

/** The i-th segment of a flow, or something a little different. */
function frame(i: number, o: Wire = {}): Uint8Array {
  const v6 = o.family === 6;
  const src = v6 ? PEER6 : PEER;
  const dst = v6 ? VICTIM6 : VICTIM;
  const data = o.data ?? new Uint8Array(SIZE).fill(i + 1);
  const tcp = tcpBytes({ flags: ACK, ack: 7, seq: 1_000 + i * SIZE, window: 500, ...o, data });
  const p = summed(tcp, 16, TCP, src, dst);
  if (o.isBroken) p[p.length - 1] ^= 1;
  const ip = { src, dst, protocol: TCP, ttl: o.ttl, dontFragment: !o.mayFragment, id: i };
  const f = v6 ? ip6(p, { src, dst, next: TCP, hopLimit: o.ttl }) : ip4(p, ip);
  const padded = new Uint8Array(f.length + (o.padding ?? 0)).fill(0xee);
  padded.set(f);
  return padded;
}

const packet = (bytes: Uint8Array): PacketBuffer => {
  const pkt = new PacketBuffer();
  pkt.bytes.set(bytes, pkt.start);
  pkt.end = pkt.start + bytes.length;
  return pkt;
};

interface Out {
  gsoType: number;
  gsoSize: number;
  bytes: Uint8Array;
}

/** As a NIC does. */
function run(frames: Uint8Array[]): Out[] {
  const gro = new Gro();
  const out: Out[] = [];
  const deliver = (pkt: PacketBuffer | null): void => {
    if (pkt === null) return;
    const { gsoType, gsoSize } = pkt;
    out.push({ gsoType, gsoSize, bytes: pkt.bytes.slice(pkt.start, pkt.end) });
  };
  for (const bytes of frames) {
    const pkt = packet(bytes);
    if (gro.take(pkt)) continue;
    deliver(gro.release());
    if (!gro.begin(pkt)) deliver(pkt);
  }
  deliver(gro.release());
  return out;
}

const TIMESTAMPS = (value: number): number[] => [1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 1];

describe("segments of one batch", () => {
  it.each([4, 6] as const)("that follow each other are one packet (IPv%i)", (family) => {
    const all = [0, 1, 2].map((i) => frame(i, { family, options: TIMESTAMPS(9), padding: 3 }));
    all.push(frame(3, { family, options: TIMESTAMPS(9), flags: ACK | PSH, data: [1, 2, 3] }));
    const [whole, ...rest] = run(all);
    expect(rest).toEqual([]);
    expect(whole.gsoSize).toBe(SIZE);
    const l4 = family === 4 ? 34 : 54;
    const payload = whole.bytes.subarray(l4 + 32);
    expect([payload.length, payload[0], payload[150], payload[299], payload[302]]).toEqual([
      303, 1, 2, 3, 3,
    ]);
    expect(whole.bytes[l4 + 13]).toBe(ACK | PSH);
    if (family === 4) {
      expect(u16(whole.bytes, 16)).toBe(whole.bytes.length - 14);
      expect(sum16(whole.bytes, 14, 20)).toBe(0xffff);
    } else expect(u16(whole.bytes, 18)).toBe(whole.bytes.length - 54);
  });

  it.each<[string, Wire]>([
    ["another number", { seq: 1_101 }],
    ["an older number", { seq: 1_000 }],
    ["another acknowledgment", { ack: 8 }],
    ["another window", { window: 501 }],
    ["another port", { sport: 1_025 }],
    ["another timestamp", { options: TIMESTAMPS(10) }],
    ["no options", { options: [] }],
    ["more data than the first", { data: new Uint8Array(SIZE + 1) }],
    ["no data", { data: [] }],
    ["ECE", { flags: ACK | 0x40 }],
    ["CWR", { flags: ACK | 0x80 }],
    ["URG", { flags: ACK | 0x20 }],
    ["RST", { flags: ACK | 0x04 }],
    ["no ACK", { flags: PSH }],
    ["a wrong checksum", { isBroken: true }],
    ["another TTL", { ttl: 63 }],
    ["leave to be fragmented", { mayFragment: true }],
  ])("one with %s stays alone", (_, o) => {
    const first = frame(0, { options: TIMESTAMPS(9) });
    const second = frame(1, { options: TIMESTAMPS(9), ...o });
    const out = run([first, second]);
    expect(out.map((p) => p.bytes)).toEqual([first, second]);
    expect(out.map((p) => p.gsoType)).toEqual([GSO_NONE, GSO_NONE]);
  });

  it.each([
    ["a short one", { data: [1] }],
    ["PSH", { flags: ACK | PSH }],
    ["FIN", { flags: ACK | FIN }],
  ])("nothing follows %s", (_, o: Wire) => {
    const shift = o.data === undefined ? 0 : 1 - SIZE;
    const third = frame(2, { seq: 1_000 + 2 * SIZE + shift });
    expect(run([frame(0), frame(1, o), third]).map((p) => p.gsoType)).toEqual([
      GSO_TCPV4,
      GSO_NONE,
    ]);
  });

  it("what is pushed goes at once, and no packet is longer than IP's longest", () => {
    expect(run([frame(0, { flags: ACK | PSH }), frame(1)])).toHaveLength(2);
    const many = Array.from({ length: 700 }, (_, i) => frame(i));
    const out = run(many);
    expect(out).toHaveLength(2);
    expect(out[0].bytes.length).toBeLessThanOrEqual(14 + 65_535);
  });
});

interface Result {
  text: string;
  segsIn: number;
  dataSegsIn: number;
  frames: number;
  packets: number;
  acks: number;
}

/** 300 kB over a line that loses, doubles and turns around. */
function transfer(batches: boolean, lossEvery: number): Result {
  const clock = new ManualClock();
  const pair = new MemoryPair({ clock, batches });
  const a = new Stack({ clock, rng: new SeededRng(1), limits: DEFAULT_LIMITS });
  const b = new Stack({ clock, rng: new SeededRng(2), limits: DEFAULT_LIMITS });
  const [A, B] = [IpAddr.v4(10, 0, 0, 1), IpAddr.v4(10, 0, 0, 2)];
  a.attach(pair.a, { name: "eth0", addresses: [{ addr: A, prefixBits: 24 }] });
  const nic = b.attach(pair.b, { name: "eth0", addresses: [{ addr: B, prefixBits: 24 }] });
  const listener = b.endpoints.tcp(IPV4) as Exclude<ReturnType<typeof b.endpoints.tcp>, number>;
  const client = a.endpoints.tcp(IPV4) as typeof listener;
  const data = new Uint8Array(300_000);
  new SeededRng(3).fill(data, 0, data.length);
  const got = new Uint8Array(data.length);
  let sent = 0;
  let received = 0;
  let server: typeof listener | null = null;
  listener.bind(B, 80);
  listener.listen(1);
  client.connect(B, 80);
  let n = 0;
  if (lossEvery > 0) pair.a.filter = () => ++n % lossEvery !== 0;
  for (let round = 0; round < 20_000 && received < data.length; round++) {
    const w = client.write(data, sent, data.length - sent, 0);
    if (w > 0) sent += w;
    if (lossEvery > 0 && round % 7 === 3) pair.b.reverse();
    pair.pump();
    clock.advanceNs(MS);
    a.runTimers(clock.monotonicNs());
    b.runTimers(clock.monotonicNs());
    server ??= listener.accept();
    const r = server?.read(got, received, got.length - received, false) ?? 0;
    if (r > 0) received += r;
  }
  const info = newTcpInfo();
  (server as unknown as typeof listener).info(info);
  return {
    text: Buffer.compare(got, data) === 0 ? "whole" : `${received} bytes`,
    segsIn: info.segsIn,
    dataSegsIn: info.dataSegsIn,
    frames: nic.counters.rxPackets,
    packets: b.tcp.stats.InSegs,
    acks: info.segsOut,
  };
}

describe("a stack that is given batches", () => {
  it("counts what was on the wire, with fewer passes and ACKs", () => {
    const single = transfer(false, 0);
    const merged = transfer(true, 0);
    expect([single.text, merged.text]).toEqual(["whole", "whole"]);
    expect(merged.dataSegsIn).toBe(single.dataSegsIn);
    // All frames but those of ARP.
    expect(merged.frames - merged.segsIn).toBe(single.frames - single.segsIn);
    expect(merged.packets).toBeLessThan(single.packets / 2);
    expect(merged.acks).toBeLessThan(single.acks);
  });

  it.each([5, 20, 100])("receives the same stream where every %i-th frame is lost", (lossEvery) => {
    expect(transfer(true, lossEvery).text).toBe("whole");
  });
});
