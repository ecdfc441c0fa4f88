// ARP on one NIC: answers for our addresses, asks for neighbours, learns (RFC 826, 5227 conflict defence).
// Learning rules are NeighborTable.learn's: only a question to us makes an entry.

import { SECOND } from "../../base/clock.ts";
import { IpAddr } from "../ip-addr.ts";
import {
  ARP_BYTES,
  ARP_REPLY,
  ARP_REQUEST,
  ARP_SENDER_MAC,
  arpOp,
  arpSenderIp,
  arpTargetIp,
  checkArp,
  writeArp,
} from "../wire/arp.ts";
import { BROADCAST_MAC, copyMac, ETHERTYPE_ARP, macEquals } from "../wire/ethernet.ts";
import type { NeighborEntry } from "./neighbor-entry.ts";
import type { Nic } from "./nic.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

/** RFC 5227 2.4: defend an address at most this often. */
const DEFEND_INTERVAL_NS = 10 * SECOND;
const NO_MAC = new Uint8Array(6);

export class ArpProtocol {
  readonly #nic: Nic;
  readonly #sender = new IpAddr();
  readonly #target = new IpAddr();
  readonly #mac = new Uint8Array(6);
  #lastDefenceNs = Number.NEGATIVE_INFINITY;
  #probed: IpAddr | null = null;
  #onHolder: (() => void) | null = null;

  constructor(nic: Nic) {
    this.#nic = nic;
  }

  // @rfc 826 1
  input(pkt: PacketBuffer): void {
    const nic = this.#nic;
    const counters = nic.stack.counters;
    const b = pkt.bytes;
    const o = pkt.l3;
    if (!checkArp(b, o, pkt.end - o)) {
      counters.dropArpBad++;
      return;
    }
    const op = arpOp(b, o);
    const sender = this.#sender.setV4(arpSenderIp(b, o));
    const target = this.#target.setV4(arpTargetIp(b, o));
    if (sender.isMulticast || sender.isLoopback || sender.isLimitedBroadcast) {
      counters.dropArpBad++;
      return;
    }
    if (op === ARP_REQUEST) counters.arpInRequests++;
    else if (op === ARP_REPLY) counters.arpInReplies++;
    else {
      counters.dropArpBad++;
      return;
    }
    if (this.#probed !== null && this.#isHolder(op, sender, target, b, o)) {
      counters.arpConflicts++;
      this.#onHolder?.();
      return;
    }
    if (nic.hasAddress(sender)) {
      if (!macEquals(b, o + ARP_SENDER_MAC, nic.mac, 0)) this.#conflict(sender);
      return;
    }
    const forUs = nic.hasAddress(target);
    if (!sender.isUnspecified) {
      const solicited = op === ARP_REPLY && forUs && !pkt.linkBroadcast;
      nic.neighbors.learn(sender, b, o + ARP_SENDER_MAC, solicited, op === ARP_REQUEST && forUs);
    }
    if (op === ARP_REQUEST && forUs) {
      counters.arpOutReplies++;
      copyMac(this.#mac, 0, b, o + ARP_SENDER_MAC);
      this.#send(ARP_REPLY, target.w3, this.#mac, this.#mac, sender.w3);
    }
  }

  request(entry: NeighborEntry, unicast: boolean): void {
    const nic = this.#nic;
    const src = nic.sourceFor(entry.addr);
    nic.stack.counters.arpOutRequests++;
    this.#send(
      ARP_REQUEST,
      src === null ? 0 : src.w3,
      unicast ? entry.mac : BROADCAST_MAC,
      NO_MAC,
      entry.addr.w3,
    );
  }

  /** While an address is probed: called when another station has it, or wants it too. Null: no more. */
  watchFor(addr: IpAddr | null, onHolder: (() => void) | null): void {
    this.#probed = addr;
    this.#onHolder = onHolder;
  }

  #isHolder(op: number, sender: IpAddr, target: IpAddr, b: Uint8Array, o: number): boolean {
    const probed = this.#probed as IpAddr;
    if (macEquals(b, o + ARP_SENDER_MAC, this.#nic.mac, 0)) return false;
    if (sender.equals(probed)) return true;
    return op === ARP_REQUEST && sender.isUnspecified && target.equals(probed);
  }

  /** A probe (RFC 5227 2.1.1): a question that claims no address. */
  probe(addr: IpAddr): void {
    this.#nic.stack.counters.arpOutRequests++;
    this.#send(ARP_REQUEST, 0, BROADCAST_MAC, NO_MAC, addr.w3);
  }

  /** An announcement (RFC 5227 2.3): a request for our own address. */
  announce(addr: IpAddr): void {
    this.#nic.stack.counters.arpOutRequests++;
    this.#send(ARP_REQUEST, addr.w3, BROADCAST_MAC, NO_MAC, addr.w3);
  }

  // @rfc 5227 2.4
  #conflict(addr: IpAddr): void {
    const stack = this.#nic.stack;
    stack.counters.arpConflicts++;
    const nowNs = stack.clock.monotonicNs();
    if (nowNs - this.#lastDefenceNs < DEFEND_INTERVAL_NS) return;
    this.#lastDefenceNs = nowNs;
    this.announce(addr);
  }

  #send(
    op: number,
    senderIp: number,
    frameDst: Uint8Array,
    targetMac: Uint8Array,
    targetIp: number,
  ): void {
    const nic = this.#nic;
    const pkt = nic.stack.allocPacket();
    writeArp(pkt.bytes, pkt.start, op, nic.mac, senderIp, targetMac, targetIp);
    pkt.end = pkt.start + ARP_BYTES;
    nic.transmit(pkt, frameDst, ETHERTYPE_ARP);
  }
}
