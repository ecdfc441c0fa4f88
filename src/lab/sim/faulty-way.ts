// One direction of a cable with its faults: every frame is shown to each of them in turn, and goes on into the
// Impairment (loss, queue, delay) unless one of them takes it.

import { setU16, setU32 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import type { TimerQueue } from "../../base/timers.ts";
import type { Impairment } from "../../link/index.ts";
import {
  checksum,
  completeChecksum,
  copyPacket,
  HEADROOM,
  IPV4,
  IPV6,
  PacketBuffer,
  pseudoSum,
} from "../../netstack/index.ts";
import type { Fault } from "./faults.ts";
import { PacketView, PROTO_ICMP, PROTO_ICMPV6 } from "./packet-view.ts";

const ETH_HEADER = 14;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const ICMP_HEADER = 8;
/** RFC 1812 4.3.2.3: not more than 576 in all. */
const QUOTED_MAX = 576 - IPV4_HEADER - ICMP_HEADER;
/** RFC 4443 3.2: as much as fits the least MTU. */
const QUOTED6_MAX = 1280 - IPV6_HEADER - ICMP_HEADER;

export class FaultyWay {
  readonly clock: Clock;
  readonly timers: TimerQueue;
  readonly #out: Impairment;
  readonly #faults: Fault[] = [];
  readonly #view = new PacketView();
  /** Set by the cable: the way back, for what a fault answers. */
  back: Impairment | null = null;

  constructor(clock: Clock, timers: TimerQueue, out: Impairment) {
    this.clock = clock;
    this.timers = timers;
    this.#out = out;
  }

  add(fault: Fault): void {
    this.#faults.push(fault);
  }
  remove(fault: Fault): void {
    const at = this.#faults.indexOf(fault);
    if (at >= 0) this.#faults.splice(at, 1);
  }

  /** As LinkEndpoint.send. */
  send(pkt: PacketBuffer): boolean {
    if (this.#faults.length > 0 && !this.#out.isDown) {
      const view = this.#view.readPacket(pkt);
      for (const fault of this.#faults) {
        if (!fault.judge(view, pkt, this)) return true;
      }
    }
    return this.#out.send(pkt);
  }

  /** Past all faults. */
  pass(pkt: PacketBuffer): void {
    this.#out.send(pkt);
  }
  answer(pkt: PacketBuffer): void {
    this.back?.send(pkt);
  }
}

/** The ICMP error that a hop with this MTU sends; null where none may be sent. */
export function writeTooBig(
  pkt: PacketBuffer,
  packet: PacketView,
  mtu: number,
): PacketBuffer | null {
  if (packet.dst.isMulticast || packet.protocol === PROTO_ICMPV6) return null;
  const whole = new PacketBuffer(HEADROOM + pkt.length);
  copyPacket(whole, pkt);
  completeChecksum(whole);
  const isV4 = packet.family === IPV4;
  const ipBytes = isV4 ? IPV4_HEADER : IPV6_HEADER;
  const from = whole.start + packet.l3 - pkt.start;
  const quoted = Math.min(whole.end - from, isV4 ? QUOTED_MAX : QUOTED6_MAX);
  const out = new PacketBuffer(HEADROOM + ETH_HEADER + ipBytes + ICMP_HEADER + quoted);
  const b = out.bytes;
  const l3 = out.start + ETH_HEADER;
  const l4 = l3 + ipBytes;
  out.end = l4 + ICMP_HEADER + quoted;
  out.l3 = l3;
  out.l4 = l4;
  b.set(whole.bytes.subarray(whole.start + 6, whole.start + 12), out.start);
  b.set(whole.bytes.subarray(whole.start, whole.start + 6), out.start + 6);
  setU16(b, out.start + 12, packet.etherType);
  b.set(whole.bytes.subarray(from, from + quoted), l4 + ICMP_HEADER);
  const bytes = ICMP_HEADER + quoted;
  if (isV4) {
    b[l3] = 0x45;
    setU16(b, l3 + 2, IPV4_HEADER + bytes);
    b[l3 + 8] = 64;
    b[l3 + 9] = PROTO_ICMP;
    packet.dst.write(b, l3 + 12, IPV4);
    packet.src.write(b, l3 + 16, IPV4);
    setU16(b, l3 + 10, checksum(b, l3, IPV4_HEADER));
    b[l4] = 3;
    b[l4 + 1] = 4;
    setU16(b, l4 + 6, mtu);
    setU16(b, l4 + 2, checksum(b, l4, bytes));
    return out;
  }
  b[l3] = 0x60;
  setU16(b, l3 + 4, bytes);
  b[l3 + 6] = PROTO_ICMPV6;
  b[l3 + 7] = 64;
  packet.dst.write(b, l3 + 8, IPV6);
  packet.src.write(b, l3 + 24, IPV6);
  b[l4] = 2;
  setU32(b, l4 + 4, mtu);
  setU16(b, l4 + 2, checksum(b, l4, bytes, pseudoSum(packet.dst, packet.src, PROTO_ICMPV6, bytes)));
  return out;
}
