// Packets whose time to leave is still to come (TCP_TX_DELAY): where Linux has a queue that obeys times of departure
// (fq), the stack has this one, above the IP header, on every link but the loopback. No pacing: that is the sender's
// (tcp/sender.ts); no bad line: link/impair.

import { Deadline } from "../../base/timers.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { parkedCopy } from "./packet-pool.ts";
import type { Stack } from "./stack.ts";
import type { Route } from "./transport.ts";

/** Of a packet, besides its own. */
const OVERHEAD_BYTES = 512;
/** The share of the memory of all sockets that may wait here. */
const MEMORY_SHARE = 8;

class Departure extends Deadline {
  readonly owner: Departures;
  readonly route: Route;
  readonly pkt: PacketBuffer;
  readonly dontFragment: boolean;
  readonly memoryBytes: number;

  constructor(owner: Departures, route: Route, pkt: PacketBuffer, dontFragment: boolean) {
    super();
    this.owner = owner;
    this.route = route;
    this.pkt = pkt;
    this.dontFragment = dontFragment;
    this.memoryBytes = pkt.length + OVERHEAD_BYTES;
  }
  expire(): void {
    this.owner.leave(this);
  }
}

export class Departures {
  readonly #stack: Stack;
  readonly #waiting = new Set<Departure>();
  #bytes = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get count(): number {
    return this.#waiting.size;
  }

  /** Takes the packet. Those of one time leave as they came. */
  hold(route: Route, pkt: PacketBuffer, dontFragment: boolean, departNs: number): NetError | 0 {
    const stack = this.#stack;
    const bytesMax = stack.limits.socketMemoryBytes / MEMORY_SHARE;
    if (this.#bytes + pkt.length + OVERHEAD_BYTES > bytesMax) {
      stack.counters.dropLinkFull++;
      stack.freePacket(pkt);
      return NetErr.NoBuffers;
    }
    // What it refers to, a send ring, may be another's by then.
    const d = new Departure(this, route, parkedCopy(pkt), dontFragment);
    stack.freePacket(pkt);
    this.#bytes += d.memoryBytes;
    this.#waiting.add(d);
    stack.timers.arm(d, departNs);
    return 0;
  }

  leave(d: Departure): void {
    this.#waiting.delete(d);
    this.#bytes -= d.memoryBytes;
    this.#stack.sendPacket(d.route, d.pkt, d.dontFragment);
  }

  close(): void {
    for (const d of this.#waiting) this.#stack.timers.disarm(d);
    this.#waiting.clear();
    this.#bytes = 0;
  }
}
