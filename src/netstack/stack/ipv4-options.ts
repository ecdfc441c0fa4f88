// What the stack does with the options of IPv4 packets: those that come are checked and answered for (Linux's
// ip_rcv_options), source routes followed where that is allowed (RFC 1812 5.2.4), those that go put behind the header.
// The bytes themselves: wire/ipv4-options.ts.

import { i32, setU16, setU32 } from "../../base/bytes.ts";
import { MS } from "../../base/clock.ts";
import { IpAddr } from "../ip-addr.ts";
import { checksum } from "../wire/checksum.ts";
import { ICMP_PARAMETER_PROBLEM } from "../wire/icmp.ts";
import { IPV4_DST, IPV4_HEADER, ipv4HeaderBytes } from "../wire/ipv4.ts";
import { blankUncopied, IpOptions } from "../wire/ipv4-options.ts";
import {
  OPTIONS_OK,
  type OptionHost,
  OptionMarks,
  receiveOptions,
} from "../wire/ipv4-options-compile.ts";
import type { Nic } from "./nic.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { Path } from "./path.ts";
import type { Stack } from "./stack.ts";

export const OPTIONS_DROP = 0;
export const OPTIONS_TAKE = 1;
/** The source route leads on to nextHop. */
export const OPTIONS_ONWARD = 2;

const CHECKSUM = 10;
const DAY_MS = 86_400_000;
/** The destination's place in the header. */
const POINTS_AT_DESTINATION = 16;

/** By the header alone: of what is kept for reassembly, nothing else is known. */
export function hasIpOptions(pkt: PacketBuffer): boolean {
  const first = pkt.bytes[pkt.l3];
  return first > 0x45 && first < 0x50;
}

export class Ipv4Options implements OptionHost {
  readonly #stack: Stack;
  /** Of the packet that receive() saw last. */
  readonly marks = new OptionMarks();
  /** Where OPTIONS_ONWARD leads. */
  readonly nextHop = new IpAddr();
  readonly #addr = new IpAddr();

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  isOthers(word: number): boolean {
    const addr = this.#addr.setV4(word);
    if (addr.isMulticast || this.#stack.isLocalAddress(addr)) return false;
    for (const nic of this.#stack.nics) if (nic.isBroadcastAddress(addr)) return false;
    return true;
  }

  timeOfDay(): number {
    return Math.floor(this.#stack.clock.realtimeNs() / MS) % DAY_MS;
  }

  // @rfc 1122 3.2.1.8a 3.2.1.8b
  /** A packet with options, for us or not: OPTIONS_*. Its header may be another afterwards, and pkt.dst. */
  receive(nic: Nic, pkt: PacketBuffer, isOurs: boolean): number {
    const { counters, icmp } = this.#stack;
    const b = pkt.bytes;
    const { marks } = this;
    const bad = receiveOptions(b, pkt.l3, pkt.l4, marks, this.#ownAddress(nic, pkt, isOurs), this);
    if (bad !== OPTIONS_OK) {
      counters.ipInHdrErrors++;
      counters.dropIpOptions++;
      icmp.sendError(pkt, ICMP_PARAMETER_PROBLEM, 0, bad << 24);
      return OPTIONS_DROP;
    }
    const verdict = marks.sourceRoute < 0 ? OPTIONS_TAKE : this.#followRoute(nic, pkt, isOurs);
    if (verdict === OPTIONS_DROP) {
      counters.ipInHdrErrors++;
      counters.dropIpOptions++;
    } else if (marks.isChanged) sumHeader(b, pkt.l3);
    return verdict;
  }

  /** fib_compute_spec_dst: where it went to, or what we would answer from. */
  #ownAddress(nic: Nic, pkt: PacketBuffer, isOurs: boolean): number {
    const isGroup = pkt.dst.isMulticast || nic.isBroadcastAddress(pkt.dst);
    if (isOurs && !isGroup) return pkt.dst.w3;
    const path = this.#stack.findRoute(null, pkt.src);
    if (typeof path !== "number") return path.src.w3;
    return nic.sourceFor(pkt.src)?.w3 ?? 0;
  }

  /** ip_options_rcv_srr: goes through our own addresses, and says where the first other one is. */
  #followRoute(nic: Nic, pkt: PacketBuffer, isOurs: boolean): number {
    const stack = this.#stack;
    const { marks, nextHop } = this;
    // IN_DEV_ANDCONF.
    const isAccepted = stack.acceptsSourceRoutes && nic.acceptsSourceRoutes;
    if (!isAccepted || pkt.linkBroadcast) return OPTIONS_DROP;
    if (!isOurs) {
      if (!marks.isStrict) return OPTIONS_TAKE;
      stack.icmp.sendError(pkt, ICMP_PARAMETER_PROBLEM, 0, POINTS_AT_DESTINATION << 24);
      return OPTIONS_DROP;
    }
    const b = pkt.bytes;
    const at = pkt.l3 + IPV4_HEADER + marks.sourceRoute;
    const size = b[at + 1];
    for (let pointer = b[at + 2]; pointer <= size; pointer += 4) {
      if (pointer + 3 > size) {
        const where = IPV4_HEADER + marks.sourceRoute + 2;
        stack.icmp.sendError(pkt, ICMP_PARAMETER_PROBLEM, 0, where << 24);
        return OPTIONS_DROP;
      }
      nextHop.read(b, at + pointer - 1, 4);
      if (!stack.isLocalAddress(nextHop)) {
        marks.isChanged = true;
        const isReachable = stack.forwarding.v4 && !nextHop.isMulticast;
        return isReachable ? OPTIONS_ONWARD : OPTIONS_DROP;
      }
      setU32(b, pkt.l3 + IPV4_DST, nextHop.w3);
      pkt.dst.set(nextHop);
      marks.isChanged = true;
    }
    return OPTIONS_TAKE;
  }

  /** What an answer to pkt bears; null: it cannot be answered. */
  echo(pkt: PacketBuffer): IpOptions | null {
    return IpOptions.echo(pkt.bytes, pkt.l3, pkt.l3 + ipv4HeaderBytes(pkt.bytes, pkt.l3), this);
  }

  /** Into the header at pkt.l3, which has room for them: of the first fragment, or of a later one. */
  put(path: Path, pkt: PacketBuffer, isFirst: boolean): void {
    const options = path.headerOptions as IpOptions;
    const b = pkt.bytes;
    const o = pkt.l3;
    b[o] += options.length >> 2;
    options.write(b, o, path.src.w3, path.finalDst.w3, this);
    if (!isFirst) blankUncopied(b, o + IPV4_HEADER, o + path.headerBytes);
    sumHeader(b, o);
  }

  /** A router's part (ip_forward_options): its address on the way out, into the slots that receive() has taken. */
  stampOnward(pkt: PacketBuffer, own: number, isRouted: boolean): void {
    const { marks, nextHop } = this;
    const b = pkt.bytes;
    const o = pkt.l3 + IPV4_HEADER;
    if (marks.needsAddress) {
      const at = o + marks.recordRoute;
      setU32(b, at + b[at + 2] - 5, own);
    }
    if (isRouted) {
      const at = o + marks.sourceRoute;
      let pointer = b[at + 2];
      // Our own addresses in it were passed over.
      while (i32(b, at + pointer - 1) !== nextHop.w3) pointer += 4;
      setU32(b, pkt.l3 + IPV4_DST, nextHop.w3);
      pkt.dst.set(nextHop);
      setU32(b, at + pointer - 1, own);
      b[at + 2] = pointer + 4;
      if (marks.needsStampAddress) {
        const stamp = o + marks.timestamp;
        setU32(b, stamp + b[stamp + 2] - 9, own);
      }
    }
    sumHeader(b, pkt.l3);
  }
}

function sumHeader(b: Uint8Array, l3: number): void {
  setU16(b, l3 + CHECKSUM, 0);
  setU16(b, l3 + CHECKSUM, checksum(b, l3, (b[l3] & 15) << 2));
}
