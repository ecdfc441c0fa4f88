// VLAN interfaces of a stack (net/8021q): a link whose frames go tagged by another interface, its parent, and the table by
// which the parent finds whose a tagged frame is. Not here: what becomes of them with their parent (interfaces.ts), maps
// of priorities, GVRP and MVRP. A VLAN on a link below the stack, without a parent interface: src/link/vlan.ts.

import { putTag, VID_MASK, VLAN_TAG_BYTES } from "../wire/vlan.ts";
import type { LinkEndpoint, LinkSink } from "./link-endpoint.ts";
import type { Nic } from "./nic.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

/** What the links below put in front of a frame. */
const ROOM_BELOW = 16;
/** VLANs on VLANs (MAX_NEST_DEV). */
export const VLAN_DEPTH_MAX = 8;

/** Protocol and number: what tells VLANs of one parent apart. */
const keyOf = (tag: number): number => tag & ~0xf000;

export class VlanLink implements LinkEndpoint {
  readonly parent: Nic;
  /** ETHERTYPE_8021Q or ETHERTYPE_8021AD. */
  readonly protocol: number;
  readonly vid: number;
  /** Stays up while its parent is down (VLAN_FLAG_LOOSE_BINDING). */
  isLoose: boolean;
  readonly mac: Uint8Array;
  /** Its header would have to be understood by whoever cuts a packet up. */
  readonly gsoBytesMax = 0;
  readonly #tag: number;

  constructor(parent: Nic, protocol: number, vid: number, isLoose: boolean) {
    this.parent = parent;
    this.protocol = protocol;
    this.vid = vid;
    this.isLoose = isLoose;
    this.mac = parent.mac;
    this.#tag = (protocol << 16) | vid;
  }

  get mtu(): number {
    return this.parent.mtu;
  }
  get checksumOffload(): boolean {
    return this.parent.checksumOffload;
  }
  get depth(): number {
    const { link } = this.parent;
    return link instanceof VlanLink ? link.depth + 1 : 1;
  }

  /** The parent delivers to the interface itself. */
  attach(_sink: LinkSink): void {}

  send(pkt: PacketBuffer): boolean {
    // A long chain of headers may have taken the room in front.
    if (pkt.start < VLAN_TAG_BYTES + ROOM_BELOW) return false;
    putTag(pkt, this.#tag);
    return this.parent.sendTagged(pkt);
  }

  close(): void {
    this.parent.vlans?.remove(this.#tag);
  }
}

/** Those of one parent. */
export class Vlans {
  readonly #byTag = new Map<number, Nic>();

  get all(): readonly Nic[] {
    return [...this.#byTag.values()];
  }
  find(tag: number): Nic | null {
    return this.#byTag.get(keyOf(tag)) ?? null;
  }
  add(protocol: number, vid: number, nic: Nic): void {
    this.#byTag.set((protocol << 16) | (vid & VID_MASK), nic);
  }
  remove(tag: number): void {
    this.#byTag.delete(keyOf(tag));
  }
}
