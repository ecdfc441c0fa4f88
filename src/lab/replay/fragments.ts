// Puts fragmented packets of a capture together (RFC 791 3.2, RFC 8200 4.5), remembering how they were cut, so
// that the same cuts can be made again. Overlapping fragments spoil their packet, as they do in Linux.

import type { IpPacket } from "./ip-packet.ts";

/** One fragment: a stretch of the packet's payload. */
export interface Cut {
  offset: number;
  length: number;
}

/** Packets that wait for fragments; the oldest is forgotten for a new one. */
const PENDING_MAX = 256;
const PACKET_MAX = 65_535;

interface Pending {
  packet: IpPacket;
  cuts: Cut[];
  /** Of the whole, once the last fragment has come; -1 until then. */
  total: number;
  held: number;
  bytes: Uint8Array;
  isSpoiled: boolean;
}

export class Fragments {
  readonly #pending = new Map<string, Pending>();

  /** The whole packet when this fragment was the one that missed; null until then. */
  add(
    part: IpPacket,
    id: number,
    offset: number,
    more: boolean,
    protocol: number,
  ): IpPacket | null {
    const end = offset + part.length;
    // A cut-off fragment can never give a whole packet.
    if (end > PACKET_MAX || part.bytes.length < part.length) return null;
    const key = `${part.src} ${part.dst} ${id} ${protocol}`;
    const entry = this.#pending.get(key) ?? this.#begin(key, part);
    if (entry.cuts.some((cut) => cut.offset === offset && cut.length === part.length)) return null;
    const overlaps = entry.cuts.some((cut) => offset < cut.offset + cut.length && cut.offset < end);
    if (overlaps) entry.isSpoiled = true;
    entry.cuts.push({ offset, length: part.length });
    entry.held += part.length;
    entry.bytes.set(part.bytes, offset);
    if (offset === 0) entry.packet = part;
    if (!more) entry.total = end;
    if (entry.total < 0 || entry.held < entry.total) return null;
    this.#pending.delete(key);
    if (entry.isSpoiled || entry.held !== entry.total) return null;
    return {
      ...entry.packet,
      bytes: entry.bytes.slice(0, entry.total),
      length: entry.total,
      cuts: entry.cuts,
    };
  }

  #begin(key: string, packet: IpPacket): Pending {
    if (this.#pending.size >= PENDING_MAX) {
      for (const oldest of this.#pending.keys()) {
        this.#pending.delete(oldest);
        break;
      }
    }
    const bytes = new Uint8Array(PACKET_MAX);
    const entry = { packet, cuts: [], total: -1, held: 0, bytes, isSpoiled: false };
    this.#pending.set(key, entry);
    return entry;
  }
}
