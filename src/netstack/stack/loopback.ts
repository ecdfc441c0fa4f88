// What we send to ourselves: the loopback's packets, and our copies of broadcasts and of packets to groups. They wait
// here until the stack is not in the middle of anything else (Stack.runPending), so a protocol is never entered from
// inside its own send.

import {
  ETH_HEADER,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ethType,
  writeEthernet,
} from "../wire/ethernet.ts";
import type { Nic } from "./nic.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { gather } from "./packet-pool.ts";
import type { Stack } from "./stack.ts";

/** As Linux's net.core.netdev_max_backlog. */
const QUEUE_MAX = 1000;
/** Handled in one run: the rest waits for the next, so that others run too. */
const RUN_MAX = 2048;
/** So many of them have one time, where the clock stands still during a turn. */
const PER_LOOK = 16;

export const LOOPBACK_MTU = 65_536;

export class Loopback {
  readonly #stack: Stack;
  readonly #packets: (PacketBuffer | null)[] = new Array(QUEUE_MAX).fill(null);
  readonly #nics: (Nic | null)[] = new Array(QUEUE_MAX).fill(null);
  #head = 0;
  #count = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes the packet, from its IP header on; it will arrive on `nic`. */
  push(nic: Nic, pkt: PacketBuffer): void {
    const stack = this.#stack;
    nic.counters.txPackets++;
    nic.counters.txBytes += pkt.length;
    if (pkt.observer !== null || stack.taps.count > 0) this.#show(nic, pkt, true);
    if (this.#count === QUEUE_MAX) {
      stack.counters.dropLoopbackQueueFull++;
      stack.freePacket(pkt);
      return;
    }
    gather(pkt);
    // Nothing on this way can damage it: no checksum is computed or checked.
    pkt.checksumValid = true;
    pkt.checksumPartial = false;
    const at = (this.#head + this.#count) % QUEUE_MAX;
    this.#packets[at] = pkt;
    this.#nics[at] = nic;
    this.#count++;
    stack.packetWaits();
  }

  /** A frame that a packet endpoint made, l3 behind its Ethernet header. Takes the packet. */
  pushFrame(nic: Nic, pkt: PacketBuffer): void {
    const type = ethType(pkt.bytes, pkt.start);
    if (pkt.length > ETH_HEADER && (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6)) {
      pkt.start = pkt.l3;
      this.push(nic, pkt);
      return;
    }
    this.#stack.counters.dropUnknownEtherType++;
    this.#stack.freePacket(pkt);
  }

  /** What waits arrives. Not to be called from inside itself. */
  deliver(): void {
    const stack = this.#stack;
    const { context } = stack.tcp;
    for (let i = 0; i < RUN_MAX && this.#count > 0; i++) {
      const nic = this.#nics[this.#head] as Nic;
      const pkt = this.#packets[this.#head] as PacketBuffer;
      this.#packets[this.#head] = null;
      this.#head = (this.#head + 1) % QUEUE_MAX;
      this.#count--;
      nic.counters.rxPackets++;
      nic.counters.rxBytes += pkt.length;
      pkt.nicId = nic.id;
      pkt.linkBroadcast = false;
      if (i % PER_LOOK === PER_LOOK - 1) stack.clock.refresh?.();
      context.arrivalNs = pkt.timeNs = stack.clock.monotonicNs();
      if (stack.taps.count > 0) this.#show(nic, pkt, false);
      if (pkt.bytes[pkt.l3] >>> 4 === 6) stack.ipv6.input(nic, pkt, true);
      else stack.ipv4.input(nic, pkt, true);
      stack.freePacket(pkt);
    }
    context.arrivalNs = 0;
  }

  /** What it looks like to observers and packet endpoints: behind a header of zeros. */
  #show(nic: Nic, pkt: PacketBuffer, isOutgoing: boolean): void {
    // Our own copy of a broadcast never crosses a link (Linux's PACKET_LOOPBACK is not shown either).
    if (!nic.isLoopback) return;
    const { taps } = this.#stack;
    const type = pkt.bytes[pkt.start] >>> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
    pkt.start -= ETH_HEADER;
    writeEthernet(pkt.bytes, pkt.start, nic.mac, nic.mac, type);
    if (!isOutgoing) taps.incoming(nic, pkt);
    else {
      if (taps.count > 0) taps.outgoing(nic, pkt);
      pkt.observer?.onTransmit(pkt);
    }
    pkt.start += ETH_HEADER;
  }
}
