// The loopback's queue. A packet sent to ourselves waits here until the stack is not in the middle of
// anything else (Stack.runPending), so a protocol is never entered from inside its own send.

import type { Counters } from "./counters.ts";
import type { Nic } from "./nic.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { gather } from "./packet-pool.ts";

/** As Linux's net.core.netdev_max_backlog. */
const QUEUE_MAX = 1000;

export const LOOPBACK_MTU = 65_536;

export class LoopbackQueue {
  readonly #counters: Counters;
  readonly #packets: (PacketBuffer | null)[] = new Array(QUEUE_MAX).fill(null);
  readonly #nics: (Nic | null)[] = new Array(QUEUE_MAX).fill(null);
  #head = 0;
  #count = 0;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes the packet; it will arrive on `nic`. False: full, the packet is still the caller's. */
  push(nic: Nic, pkt: PacketBuffer): boolean {
    if (this.#count === QUEUE_MAX) {
      this.#counters.dropLoopbackQueueFull++;
      return false;
    }
    gather(pkt);
    // Nothing on this way can damage it: no checksum is computed or checked.
    pkt.checksumValid = true;
    pkt.checksumPartial = false;
    const at = (this.#head + this.#count) % QUEUE_MAX;
    this.#packets[at] = pkt;
    this.#nics[at] = nic;
    this.#count++;
    return true;
  }

  /** The NIC of the packet that shift() will return. */
  get headNic(): Nic | null {
    return this.#nics[this.#head];
  }

  shift(): PacketBuffer | null {
    if (this.#count === 0) return null;
    const pkt = this.#packets[this.#head];
    this.#packets[this.#head] = null;
    this.#head = (this.#head + 1) % QUEUE_MAX;
    this.#count--;
    return pkt;
  }
}
