// TCP_SAVE_SYN: the headers of the SYN that began a connection, kept for who accepts it until they are read
// (tcp_reqsk_record_syn). A SYN answered with a cookie is not kept. Few ask: they lie beside the connections.

import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { tcpHeaderBytes } from "../wire/tcp.ts";
import type { Segment } from "./segment.ts";
import type { Tcb } from "./tcb.ts";

/** Modes: the IP and TCP headers, or the link's in front of them as well. */
const WITH_LINK_HEADER = 2;
const LINK_HEADER_BYTES = 14;
const ETHER_TYPE = 12;

export class SavedSyns {
  readonly #syns = new WeakMap<Tcb, Uint8Array>();

  save(tcb: Tcb, seg: Segment, mode: number): void {
    const pkt = seg.pkt as PacketBuffer;
    const end = pkt.l4 + tcpHeaderBytes(pkt.bytes, pkt.l4);
    const headers = pkt.bytes.subarray(pkt.l3, end);
    const link = mode === WITH_LINK_HEADER ? LINK_HEADER_BYTES : 0;
    const syn = new Uint8Array(link + headers.length);
    syn.set(headers, link);
    if (link > 0 && pkt.l3 - pkt.start === LINK_HEADER_BYTES) {
      syn.set(pkt.bytes.subarray(pkt.start, pkt.l3));
    } else if (link > 0) {
      // The loopback's header is of zeros.
      const type = pkt.src.isV4 ? 0x0800 : 0x86dd;
      syn[ETHER_TYPE] = type >>> 8;
      syn[ETHER_TYPE + 1] = type & 0xff;
    }
    this.#syns.set(tcb, syn);
  }

  of(tcb: Tcb): Uint8Array | null {
    return this.#syns.get(tcb) ?? null;
  }
  forget(tcb: Tcb): void {
    this.#syns.delete(tcb);
  }
}
