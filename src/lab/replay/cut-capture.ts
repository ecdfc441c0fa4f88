// The frames of one conversation, cut out of their capture: a pcapng of its own, with their times and comments.

import { type CaptureReader, PcapngWriter, SinkBuffer } from "../../link/index.ts";
import type { Conversation } from "./conversation.ts";
import { IpReader } from "./ip-packet.ts";

const SNAP_BYTES = 262_144;

/** `reader` stands at the beginning of the capture that the conversation is from. */
export function cutCapture(reader: CaptureReader, conversation: Conversation): Uint8Array {
  const wanted = new Set(conversation.packets.map(({ number }) => number));
  const hasFragments = conversation.packets.some(({ cuts }) => cuts !== null);
  const ip = new IpReader();
  const chunks: Uint8Array[] = [];
  const buffer = new SinkBuffer({
    write: (bytes, offset, length) => chunks.push(bytes.slice(offset, offset + length)),
  });
  const writer = new PcapngWriter(buffer);
  writer.section({ application: "netcell replay" });
  const interfaces: number[] = [];
  let number = 0;
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    number++;
    // A packet has the number of its last fragment: those before go along.
    const isPart = hasFragments && ip.read(frame) === "fragment";
    if (!wanted.has(number) && !isPart) continue;
    if (!interfaces.includes(frame.linkType)) {
      interfaces.push(frame.linkType);
      writer.interface({ linkType: frame.linkType, snapBytes: SNAP_BYTES });
    }
    const { bytes, offset, length, originalLength, direction, comments } = frame;
    const timeNs = frame.timed ? frame.seconds * 1e9 + frame.nanoseconds : 0;
    const id = interfaces.indexOf(frame.linkType);
    const comment = comments.join("\n");
    writer.packet(id, timeNs, bytes, offset, length, originalLength, direction, comment);
  }
  buffer.flush();
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}
