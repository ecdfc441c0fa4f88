// Where the headers of a finished frame are: for whoever works on frames without the stack (segmentation,
// captures, impairment). Looks at the bytes only and believes none of them.

import { u16 } from "../../base/bytes.ts";

export const ETH_BYTES = 14;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;

/** Reused by its owner: parse() fills it. */
export class FrameLayout {
  l3 = 0;
  l4 = 0;
  /** First byte behind the transport header. */
  payload = 0;
  isV4 = false;
  protocol = 0;

  /** True when the frame is IPv4 or IPv6 (without extension headers) with whole TCP or UDP headers. */
  parse(b: Uint8Array, start: number, end: number): boolean {
    this.l3 = start + ETH_BYTES;
    if (end - this.l3 < 20) return false;
    const type = u16(b, start + 12);
    if (type === 0x0800) {
      this.isV4 = true;
      const header = (b[this.l3] & 15) << 2;
      if (b[this.l3] >>> 4 !== 4 || header < 20) return false;
      if ((u16(b, this.l3 + 6) & 0x3fff) !== 0) return false;
      this.protocol = b[this.l3 + 9];
      this.l4 = this.l3 + header;
    } else if (type === 0x86dd) {
      this.isV4 = false;
      this.protocol = b[this.l3 + 6];
      this.l4 = this.l3 + 40;
    } else return false;
    if (this.protocol === PROTO_TCP) {
      if (end - this.l4 < 20) return false;
      const header = (b[this.l4 + 12] >>> 4) << 2;
      this.payload = this.l4 + header;
      return header >= 20 && this.payload <= end;
    }
    this.payload = this.l4 + 8;
    return this.protocol === PROTO_UDP && this.payload <= end;
  }
}
