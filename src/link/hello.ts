// The first frame each way between a station and a switch on a stream (frame-stream.ts): that both are what the other
// takes them for, and what they agree on. An Ethernet frame of the type for local experiments (IEEE Std 802-2014,
// 9.2.4), so that both sides read it with what they read frames with. Everything in it is checked.

import { setU16Le, setU32Le, u16Le, u32Le } from "../base/bytes.ts";
import { PacketBuffer } from "../netstack/index.ts";
import { LENGTH_BYTES, STREAM_HEADER } from "./frame-stream.ts";
import { VNET_HEADER } from "./virtio-net.ts";

const ETHERTYPE_LOCAL_1 = 0x88b5;
const ETH_HEADER = 14;
/** "netcell" in front, and the version of what is said on the stream. */
const MAGIC = 0x6c6c_6563;
const VERSION = 1;
const BODY_BYTES = 46;
const FRAME_BYTES = ETH_HEADER + BODY_BYTES;
/** With the length and the virtio-net header in front. */
export const HELLO_BYTES = STREAM_HEADER + FRAME_BYTES;

const TAKES_SEGMENTS = 1;
const MTU_MIN = 68;
const MTU_MAX = 65_535;

export interface Hello {
  /** The switch's; 0 in a station's. */
  mtu: number;
  /** A station takes segments in one piece, to be cut up (GSO). */
  takesSegments: boolean;
}

/** bytes: HELLO_BYTES of zeros. */
export function writeHello(bytes: Uint8Array, hello: Hello): void {
  setU32Le(bytes, 0, VNET_HEADER + FRAME_BYTES);
  const at = STREAM_HEADER;
  bytes[at + 12] = ETHERTYPE_LOCAL_1 >>> 8;
  bytes[at + 13] = ETHERTYPE_LOCAL_1 & 255;
  const body = at + ETH_HEADER;
  setU32Le(bytes, body, MAGIC);
  setU16Le(bytes, body + 4, VERSION);
  setU16Le(bytes, body + 6, hello.takesSegments ? TAKES_SEGMENTS : 0);
  setU32Le(bytes, body + 8, hello.mtu);
}

/** As a frame to send over a link. */
export function helloFrame(hello: Hello): PacketBuffer {
  const bytes = new Uint8Array(HELLO_BYTES);
  writeHello(bytes, hello);
  const pkt = new PacketBuffer();
  pkt.bytes.set(bytes.subarray(STREAM_HEADER), pkt.start);
  pkt.end = pkt.start + FRAME_BYTES;
  return pkt;
}

/** The frame at [start, end), as FrameStream delivers it. Null: no hello, or of another version. */
export function readHelloFrame(b: Uint8Array, start: number, end: number): Hello | null {
  if (end - start !== FRAME_BYTES) return null;
  if (((b[start + 12] << 8) | b[start + 13]) !== ETHERTYPE_LOCAL_1) return null;
  const body = start + ETH_HEADER;
  if (u32Le(b, body) !== MAGIC || u16Le(b, body + 4) !== VERSION) return null;
  const mtu = u32Le(b, body + 8);
  if (mtu !== 0 && (mtu < MTU_MIN || mtu > MTU_MAX)) return null;
  return { mtu, takesSegments: (u16Le(b, body + 6) & TAKES_SEGMENTS) !== 0 };
}

/** A switch's, with all that stands in front of the frame; its MTU is a real one. */
export function readHello(bytes: Uint8Array): Hello | null {
  if (bytes.length !== HELLO_BYTES || u32Le(bytes, 0) !== HELLO_BYTES - LENGTH_BYTES) return null;
  const hello = readHelloFrame(bytes, STREAM_HEADER, HELLO_BYTES);
  return hello === null || hello.mtu === 0 ? null : hello;
}
