// IPv6 fragments (RFC 8200 4.5, 5722, 7112): 60 s. Atomic fragments (RFC 6946) never come here.

import { type Clock, SECOND } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import type { TimerQueue } from "../../base/timers.ts";
import { PROBLEM6_FIRST_FRAGMENT, PROBLEM6_HEADER } from "../wire/icmpv6.ts";
import {
  FRAGMENT_HEADER,
  fragmentId,
  fragmentMore,
  fragmentOffset,
  IPV6_HEADER,
  setIpv6Payload,
} from "../wire/ipv6.ts";
import type { Counters } from "./counters.ts";
import { Reassembler, type ReassemblyOwner } from "./fragments.ts";
import { chainIsWhole, type ExtensionWalk } from "./ipv6-extensions.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

const LIFETIME_NS = 60 * SECOND;
const PAYLOAD_MAX = 65_535;
const PAYLOAD_FIELD = 4;
/** The unfragmentable part kept of a first fragment; longer ones are hostile. */
const HEADER_BYTES_MAX = 168;

// @rfc 8200 4.5a
export class Ipv6Reassembler extends Reassembler {
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

  // @rfc 8200 4.5b 4.5c
  /**
   * Takes in the fragment whose fragment header is at walk.at. A whole packet (to be freed by the caller)
   * with walk set behind where the fragment header was; or null, walk.code >= 0 when a parameter problem
   * is to be sent.
   */
  add(pkt: PacketBuffer, walk: ExtensionWalk): PacketBuffer | null {
    const b = pkt.bytes;
    const o = pkt.l3;
    const counters = this.#counters;
    counters.ip6ReasmReqds++;
    walk.code = -1;
    const headerBytes = walk.at - o;
    const dataAt = walk.at + FRAGMENT_HEADER;
    const start = fragmentOffset(b, walk.at);
    const length = pkt.end - dataAt;
    const more = fragmentMore(b, walk.at);
    const extra = headerBytes - IPV6_HEADER;
    if (more && (length & 7) !== 0) walk.problem(PROBLEM6_HEADER, PAYLOAD_FIELD, false);
    else if (extra + start + length > PAYLOAD_MAX) {
      walk.problem(PROBLEM6_HEADER, headerBytes + 2, false);
    } else if (start === 0 && !chainIsWhole(b, dataAt, pkt.end, b[walk.at])) {
      walk.problem(PROBLEM6_FIRST_FRAGMENT, 0, false);
    }
    if (walk.code >= 0 || length <= 0 || headerBytes > HEADER_BYTES_MAX) {
      counters.dropFragmentBad++;
      counters.ip6ReasmFails++;
      return null;
    }
    // RFC 8200: what follows the header is the first fragment's; the others' copies are not looked at.
    const d = this.addPiece(
      pkt,
      fragmentId(b, walk.at),
      0,
      headerBytes,
      dataAt,
      start,
      length,
      more,
      b[walk.at],
      walk.nextField - o,
    );
    if (d === null) return null;
    const payload = d.headerBytes - IPV6_HEADER + d.total;
    if (payload > PAYLOAD_MAX) {
      counters.dropFragmentBad++;
      counters.ip6ReasmFails++;
      return null;
    }
    const whole = this.build(d);
    setIpv6Payload(whole.bytes, whole.l3, payload);
    whole.bytes[whole.l3 + d.nextField] = d.firstProtocol;
    walk.next = d.firstProtocol;
    walk.nextField = whole.l3 + d.nextField;
    walk.at = whole.l3 + d.headerBytes;
    counters.ip6ReasmOKs++;
    return whole;
  }

  protected onFail(): void {
    this.#counters.ip6ReasmFails++;
  }
  protected onTimeout(): void {
    this.#counters.ip6ReasmTimeout++;
  }
  protected onOverlap(): void {
    this.#counters.ip6ReasmOverlaps++;
  }
}
