// IPv4 fragments (RFC 791 3.2; 1858 and 3128 against fragments that rewrite headers): 30 s, as Linux.

import { type Clock, SECOND } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import type { TimerQueue } from "../../base/timers.ts";
import {
  IPV4_HEADER,
  ipv4FragOffset,
  ipv4HeaderBytes,
  ipv4Id,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Total,
  PROTO_TCP,
  resizeIpv4,
} from "../wire/ipv4.ts";
import type { Counters } from "./counters.ts";
import { Reassembler, type ReassemblyOwner } from "./fragments.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

const LIFETIME_NS = 30 * SECOND;
const IP_MAX = 65_535;
/** RFC 3128: a TCP fragment at offset 8 rewrites flags a filter has already seen. */
const TCP_HEADER_MIN = 20;

export class Ipv4Reassembler extends Reassembler {
  readonly #counters: Counters;

  constructor(
    owner: ReassemblyOwner,
    clock: Clock,
    timers: TimerQueue,
    rng: Rng,
    limits: Limits,
    counters: Counters,
  ) {
    super(owner, clock, timers, rng, limits, counters, LIFETIME_NS);
    this.#counters = counters;
  }

  /** Takes in the fragment at pkt.l3 (checked header). A whole datagram (to be freed by the caller), or null. */
  add(pkt: PacketBuffer): PacketBuffer | null {
    const b = pkt.bytes;
    const o = pkt.l3;
    const counters = this.#counters;
    counters.ipReasmReqds++;
    const headerBytes = ipv4HeaderBytes(b, o);
    const start = ipv4FragOffset(b, o);
    const length = ipv4Total(b, o) - headerBytes;
    const more = ipv4MoreFragments(b, o);
    const protocol = ipv4Protocol(b, o);
    const bad =
      length <= 0 ||
      (more && (length & 7) !== 0) ||
      IPV4_HEADER + start + length > IP_MAX ||
      (protocol === PROTO_TCP && start > 0 && start < TCP_HEADER_MIN);
    if (bad) {
      counters.dropFragmentBad++;
      counters.ipReasmFails++;
      return null;
    }
    const id = ipv4Id(b, o);
    const d = this.addPiece(pkt, id, protocol, headerBytes, o + headerBytes, start, length, more);
    if (d === null) return null;
    const total = d.headerBytes + d.total;
    if (total > IP_MAX) {
      counters.dropFragmentBad++;
      counters.ipReasmFails++;
      return null;
    }
    const whole = this.build(d);
    resizeIpv4(whole.bytes, whole.l3, total, id, 0);
    counters.ipReasmOKs++;
    return whole;
  }

  protected onFail(): void {
    this.#counters.ipReasmFails++;
  }
  protected onTimeout(): void {
    this.#counters.ipReasmTimeout++;
  }
  protected onOverlap(): void {
    this.#counters.ipReasmOverlaps++;
  }
}
