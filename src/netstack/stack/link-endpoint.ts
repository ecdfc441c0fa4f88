// What a network interface needs below itself. Defined here, by its consumer; implemented in src/link
// (fd-link, memory pair, switch) and by tests. Frames are Ethernet II.

import type { PacketBuffer } from "./packet-buffer.ts";

export interface LinkSink {
  /**
   * One whole frame from pkt.start to pkt.end (no frag), link header included. The sink may use and change
   * it during the call only; the link owns and reuses it. Anything may be in it.
   */
  deliver(pkt: PacketBuffer): void;
  /**
   * Around frames that are delivered one right after the other: segments of a flow may be handled as one, at the
   * latest in endBatch(). Who does not say so has each frame handled at once.
   */
  beginBatch?(): void;
  endBatch?(): void;
}

export interface LinkEndpoint {
  /** Bytes of layer 3 per frame (without Ethernet's 14). */
  readonly mtu: number;
  /** Six bytes. */
  readonly mac: Uint8Array;
  /** Takes packets with checksumPartial, and those with gsoType up to this many bytes (0: none). */
  readonly checksumOffload: boolean;
  readonly gsoBytesMax: number;
  /** Set once by the NIC. */
  attach(sink: LinkSink): void;
  /**
   * Sends the frame from pkt.start to pkt.end and its frag. Finishes with the bytes before it returns.
   * False: no room now, dropped (the link counts it).
   */
  send(pkt: PacketBuffer): boolean;
  close(): void;
}
