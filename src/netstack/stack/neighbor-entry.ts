// What is known of one neighbour, and what its table asks of whoever speaks for the interface (arp.ts, ndp.ts).

import { Timer } from "../../base/timers.ts";
import { IpAddr } from "../ip-addr.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

/** Bits as Linux's NUD_* so that a report needs no table. */
export const NeighborState = {
  Incomplete: 0x01,
  Reachable: 0x02,
  Stale: 0x04,
  Delay: 0x08,
  Probe: 0x10,
  Failed: 0x20,
  Permanent: 0x80,
} as const;
export class NeighborEntry {
  readonly addr = new IpAddr();
  readonly mac = new Uint8Array(6);
  state: number = NeighborState.Incomplete;
  probes = 0;
  /** Proven reachable since the timer was armed. */
  confirmed = false;
  updatedNs = 0;
  isRouter = false;
  /** Has another MAC address than was reported last. */
  isRenamed = false;
  /** No longer in the table: whoever cached it looks again. */
  removed = false;
  readonly queue: PacketBuffer[] = [];
  readonly timer: Timer;
  /** Next in the same hash bucket. */
  next: NeighborEntry | null = null;

  /** Whether mac says anything yet. */
  get hasMac(): boolean {
    return (this.state & (NeighborState.Incomplete | NeighborState.Failed)) === 0;
  }

  constructor(onTimer: (entry: NeighborEntry, nowNs: number) => void) {
    this.timer = new Timer((nowNs) => onTimer(this, nowNs));
  }
}

export interface NeighborResolver {
  /** Asks for entry.addr; to its known MAC when unicast. */
  sendProbe(entry: NeighborEntry, unicast: boolean): void;
  /** The MAC is known now: sends a packet that waited (and gives it back). */
  sendResolved(entry: NeighborEntry, pkt: PacketBuffer): void;
  /** Nobody answered: the packet is dropped and its sender told. */
  resolutionFailed(pkt: PacketBuffer): void;
  /** What is reported of an entry has changed, or it is gone (entry.removed). */
  neighborChanged(entry: NeighborEntry): void;
}
