// From a transport packet to the frames that carry it: in one piece, or cut as the captured one was.

import { setU16, setU32 } from "../../base/bytes.ts";
import { checksum } from "../../netstack/index.ts";
import { ETHERNET_BYTES, type IpHead, ipFrame } from "../drill/frame.ts";
import type { Cut } from "./fragments.ts";

export interface Macs {
  dst: Uint8Array;
  src: Uint8Array;
}

const FRAGMENT = 44;
const V4_HEADER = 20;

export function* playFrames(
  macs: Macs,
  ip: IpHead,
  body: Uint8Array,
  cuts: readonly Cut[] | null,
  id: number,
): Generator<Uint8Array> {
  if (cuts === null) {
    const frame = ipFrame(macs.dst, macs.src, ip, body);
    if (ip.src.isV4) setV4(frame, id, 0x4000);
    yield frame;
    return;
  }
  for (const { offset, length } of cuts) {
    const part = body.subarray(offset, Math.min(body.length, offset + length));
    const more = offset + length < body.length;
    if (ip.src.isV4) {
      const frame = ipFrame(macs.dst, macs.src, ip, part);
      setV4(frame, id, (more ? 0x2000 : 0) | (offset >>> 3));
      yield frame;
      continue;
    }
    const wrapped = new Uint8Array(8 + part.length);
    wrapped[0] = ip.protocol;
    setU16(wrapped, 2, offset | (more ? 1 : 0));
    setU32(wrapped, 4, id);
    wrapped.set(part, 8);
    yield ipFrame(macs.dst, macs.src, { ...ip, protocol: FRAGMENT }, wrapped);
  }
}

/** Identification and fragment field of a frame that ipFrame made. */
function setV4(frame: Uint8Array, id: number, fragment: number): void {
  setU16(frame, ETHERNET_BYTES + 4, id & 0xffff);
  setU16(frame, ETHERNET_BYTES + 6, fragment);
  setU16(frame, ETHERNET_BYTES + 10, 0);
  setU16(frame, ETHERNET_BYTES + 10, checksum(frame, ETHERNET_BYTES, V4_HEADER));
}
