// Packets that wait until their neighbour's MAC address is known: copies, so many for one neighbour and so many bytes
// for all of a table.

import type { Limits } from "../../base/limits.ts";
import type { Counters } from "./counters.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { parkedCopy } from "./packet-pool.ts";

const BYTES_MAX = 2 * 1024 * 1024;
/** Of a packet, besides its own. */
const OVERHEAD_BYTES = 512;

export class ParkedPackets {
  readonly #limits: Limits;
  readonly #counters: Counters;
  #bytes = 0;

  constructor(limits: Limits, counters: Counters) {
    this.#limits = limits;
    this.#counters = counters;
  }

  // @rfc 4861 7.2.2a
  park(queue: PacketBuffer[], pkt: PacketBuffer): void {
    const bytes = pkt.length + OVERHEAD_BYTES;
    if (this.#bytes + bytes > BYTES_MAX) {
      this.#counters.dropNeighborQueueFull++;
      return;
    }
    // Linux drops the oldest: the newest is what its sender still waits for.
    if (queue.length >= this.#limits.neighborQueuePackets) {
      this.take(queue);
      this.#counters.dropNeighborQueueFull++;
    }
    queue.push(parkedCopy(pkt));
    this.#bytes += bytes;
  }

  take(queue: PacketBuffer[]): PacketBuffer | undefined {
    const pkt = queue.shift();
    if (pkt !== undefined) this.#bytes -= pkt.length + OVERHEAD_BYTES;
    return pkt;
  }
}
