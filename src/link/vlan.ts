// 802.1Q VLANs on one link: a trunk, and a link endpoint for each VLAN that a stack is attached to. Untagged
// frames, and those with the null VLAN (a priority only), belong to VLAN 0, as on Linux. No 802.1ad; a
// second tag is for the stack. No segmentation by the link: its header would have to be understood there. VLAN interfaces
// of a stack that has the untagged link as well: netstack/stack/vlan.ts.

import { u16 } from "../base/bytes.ts";
import {
  ETHERTYPE_8021Q,
  type LinkEndpoint,
  type LinkSink,
  type PacketBuffer,
  putTag,
  takeTag,
  VID_MAX,
} from "../netstack/index.ts";

const VID_MASK = 0xfff;
const MACS_BYTES = 12;

export class VlanTrunk implements LinkSink {
  readonly #link: LinkEndpoint;
  readonly #ports: (VlanLink | null)[] = new Array(VID_MAX + 1).fill(null);
  readonly counters = { unknownVlan: 0, shortFrame: 0 };

  constructor(link: LinkEndpoint) {
    this.#link = link;
    link.attach(this);
  }

  /** The link of one VLAN, once each. Priority (0 to 7) goes into the tags of what is sent. */
  connect(vid: number, priority = 0): LinkEndpoint {
    if (!Number.isInteger(vid) || vid < 0 || vid > VID_MAX) throw new RangeError(`VLAN ${vid}`);
    if (this.#ports[vid] !== null) throw new RangeError(`VLAN ${vid} is connected`);
    const port = new VlanLink(this.#link, vid, (priority & 7) << 13, () => {
      this.#ports[vid] = null;
    });
    this.#ports[vid] = port;
    return port;
  }

  deliver(pkt: PacketBuffer): void {
    const at = pkt.start + MACS_BYTES;
    let vid = 0;
    if (pkt.end >= at + 2 && u16(pkt.bytes, at) === ETHERTYPE_8021Q) {
      const tag = takeTag(pkt);
      if (tag === 0) {
        this.counters.shortFrame++;
        return;
      }
      vid = tag & VID_MASK;
    }
    const port = this.#ports[vid] ?? null;
    if (port === null) this.counters.unknownVlan++;
    else port.deliver(pkt);
  }
}

class VlanLink implements LinkEndpoint {
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly checksumOffload: boolean;
  readonly gsoBytesMax = 0;
  readonly #link: LinkEndpoint;
  readonly #vid: number;
  readonly #tag: number;
  readonly #onClose: () => void;
  #sink: LinkSink | null = null;

  constructor(link: LinkEndpoint, vid: number, priorityBits: number, onClose: () => void) {
    this.mtu = link.mtu;
    this.mac = link.mac;
    this.checksumOffload = link.checksumOffload;
    this.#link = link;
    this.#vid = vid;
    this.#tag = priorityBits | vid;
    this.#onClose = onClose;
  }

  attach(sink: LinkSink): void {
    this.#sink = sink;
  }
  deliver(pkt: PacketBuffer): void {
    this.#sink?.deliver(pkt);
  }

  send(pkt: PacketBuffer): boolean {
    if (this.#vid === 0) return this.#link.send(pkt);
    putTag(pkt, (ETHERTYPE_8021Q << 16) | this.#tag);
    return this.#link.send(pkt);
  }

  /** The trunk and its other VLANs stay. */
  close(): void {
    this.#sink = null;
    this.#onClose();
  }
}
