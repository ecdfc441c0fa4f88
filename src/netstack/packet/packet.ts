// Packet endpoints of a stack (packet(7)): who sees the frames that come and go. Asked for every frame, so a
// stack without any pays one comparison.

import { setU16, u16 } from "../../base/bytes.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { Nic } from "../stack/nic.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { MAX_PACKET } from "../stack/packet-buffer.ts";
import type { Stack } from "../stack/stack.ts";
import {
  ETH_HEADER,
  ETH_TYPE,
  ethType,
  isBroadcastMac,
  isGroupMac,
  macEquals,
} from "../wire/ethernet.ts";
import { isTagType, VLAN_TAG_BYTES } from "../wire/vlan.ts";
import type { FilterPacket } from "./filter.ts";
import { ETHERTYPE_ALL, PacketEndpoint } from "./packet-endpoint.ts";

/** sll_pkttype. */
export const PacketType = {
  Host: 0,
  Broadcast: 1,
  Multicast: 2,
  OtherHost: 3,
  Outgoing: 4,
} as const;

export interface TapFrame extends FilterPacket {
  /** Whole length on the wire. */
  length: number;
  /** The checksum is left to the link. */
  checksumPartial: boolean;
  checksumValid: boolean;
}

/**
 * Endpoints see a frame without its tag and the tag beside it, as Linux shows it (skb_vlan_untag). 0: the frame is too
 * short to have one.
 */
function shiftMacs(f: TapFrame): number {
  const at = f.start;
  if (f.end - at < ETH_HEADER + VLAN_TAG_BYTES) return 0;
  const tag = (ethType(f.bytes, at) << 16) | u16(f.bytes, at + ETH_HEADER);
  f.bytes.copyWithin(at + VLAN_TAG_BYTES, at, at + ETH_TYPE);
  f.start = at + VLAN_TAG_BYTES;
  f.length -= VLAN_TAG_BYTES;
  return tag;
}

/** The frame goes on as it came. */
function restoreTag(f: TapFrame): void {
  if (f.vlan === 0) return;
  const at = f.link - VLAN_TAG_BYTES;
  f.bytes.copyWithin(at, f.link, f.link + ETH_TYPE);
  setU16(f.bytes, at + ETH_TYPE, f.vlan >>> 16);
  setU16(f.bytes, at + ETH_HEADER, f.vlan & 0xffff);
}

const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

export class PacketTaps {
  readonly #stack: Stack;
  readonly #endpoints: PacketEndpoint[] = [];
  /** A frame whose payload lies elsewhere is put together here. */
  #scratch = new Uint8Array(0);
  readonly #frame: TapFrame = {
    bytes: this.#scratch,
    start: 0,
    end: 0,
    link: 0,
    network: 0,
    protocol: 0,
    type: 0,
    nicId: 0,
    hardwareType: 0,
    vlan: 0,
    length: 0,
    checksumPartial: false,
    checksumValid: false,
  };

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get count(): number {
    return this.#endpoints.length;
  }
  get endpoints(): readonly PacketEndpoint[] {
    return this.#endpoints;
  }

  /** cooked: without the link's header (SOCK_DGRAM). protocol: an EtherType, ETHERTYPE_ALL, or 0: nothing yet. */
  open(cooked: boolean, protocol: number): PacketEndpoint | NetError {
    if (!this.#stack.countEndpoint()) return NetErr.NoBuffers;
    const endpoint = new PacketEndpoint(this.#stack, cooked, protocol);
    this.#endpoints.push(endpoint);
    return endpoint;
  }
  nicGone(nicId: number): void {
    for (const endpoint of this.#endpoints) endpoint.nicGone(nicId);
  }
  remove(endpoint: PacketEndpoint): void {
    const at = this.#endpoints.indexOf(endpoint);
    if (at >= 0) this.#endpoints.splice(at, 1);
  }

  /** A frame, with its Ethernet header at pkt.start, that came in on nic. */
  incoming(nic: Nic, pkt: PacketBuffer): void {
    const b = pkt.bytes;
    const at = pkt.start;
    let type: number = PacketType.Host;
    if (isBroadcastMac(b, at)) type = PacketType.Broadcast;
    else if (isGroupMac(b, at)) type = PacketType.Multicast;
    else if (!macEquals(b, at, nic.mac, 0)) {
      if (nic.promiscuity === 0) return;
      type = PacketType.OtherHost;
    }
    this.#deliver(nic, pkt, type);
  }

  /** A frame that leaves by nic. Only endpoints for every protocol see these, as on Linux. */
  outgoing(nic: Nic, pkt: PacketBuffer): void {
    this.#deliver(nic, pkt, PacketType.Outgoing);
  }

  #deliver(nic: Nic, pkt: PacketBuffer, type: number): void {
    const f = this.#frame;
    f.bytes = pkt.bytes;
    f.start = pkt.start;
    f.end = pkt.end;
    f.length = pkt.length;
    if (pkt.fragBytes !== null) this.#gather(pkt);
    const isTagged = isTagType(ethType(f.bytes, f.start));
    f.vlan = isTagged ? shiftMacs(f) : 0;
    f.link = f.start;
    f.network = f.start + ETH_HEADER;
    f.protocol = ethType(f.bytes, f.start);
    f.type = type;
    f.nicId = nic.id;
    f.hardwareType = nic.isLoopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
    f.checksumPartial = pkt.checksumPartial;
    f.checksumValid = pkt.checksumValid;
    for (let i = 0; i < this.#endpoints.length; i++) {
      const e = this.#endpoints[i];
      if (e.boundNicId !== 0 && e.boundNicId !== nic.id) continue;
      if (
        e.protocol !== ETHERTYPE_ALL &&
        (type === PacketType.Outgoing || e.protocol !== f.protocol)
      ) {
        continue;
      }
      if (e.ignoresOutgoing && type === PacketType.Outgoing) continue;
      f.start = e.cooked ? f.network : f.link;
      e.onFrame(f);
    }
    if (isTagged) restoreTag(f);
  }

  #gather(pkt: PacketBuffer): void {
    if (this.#scratch.length === 0) this.#scratch = new Uint8Array(MAX_PACKET + ETH_HEADER);
    const linear = pkt.end - pkt.start;
    this.#scratch.set(pkt.bytes.subarray(pkt.start, pkt.end));
    const from = pkt.fragOffset;
    const frag = pkt.fragBytes as Uint8Array;
    this.#scratch.set(frag.subarray(from, from + pkt.fragLength), linear);
    this.#frame.bytes = this.#scratch;
    this.#frame.start = 0;
    this.#frame.end = linear + pkt.fragLength;
  }
}
