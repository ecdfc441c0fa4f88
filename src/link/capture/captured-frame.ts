// One frame of a capture file as a reader gives it: one object, filled again for each frame.

const NONE: readonly string[] = [];

/** https://www.tcpdump.org/linktypes.html; those that the decoder and replay look into. */
export const LINKTYPE_NULL = 0;
export const LINKTYPE_ETHERNET = 1;
export const LINKTYPE_RAW_OLD = 12;
export const LINKTYPE_RAW_BSD = 14;
export const LINKTYPE_RAW = 101;
export const LINKTYPE_LOOP = 108;
export const LINKTYPE_LINUX_SLL = 113;
export const LINKTYPE_IPV4 = 228;
export const LINKTYPE_IPV6 = 229;
export const LINKTYPE_LINUX_SLL2 = 276;

/** Where reading ended before the file did, or what was passed over. */
export interface CaptureProblem {
  /** Of the byte in the file where the fault begins. */
  offset: number;
  /** One sentence without a full stop. */
  message: string;
}

export class CapturedFrame {
  /** The frame is bytes[offset, offset + length); valid until the next one is read. */
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  length = 0;
  /** On the wire: more than `length` when the capture cut it off. */
  originalLength = 0;
  /** Since 1970, and the nanoseconds on top (a double cannot hold both). */
  seconds = 0;
  nanoseconds = 0;
  /** False for records that carry no time (pcapng simple packets). */
  timed = true;
  linkType = 0;
  /** Of the section; 0 in classic files. */
  interfaceId = 0;
  /** DIRECTION_UNKNOWN, DIRECTION_IN or DIRECTION_OUT. */
  direction = 0;
  comments: readonly string[] = NONE;
  /** Of its record in the file. */
  fileOffset = 0;

  /** Back to what a record without options says. */
  resetOptions(): void {
    this.direction = 0;
    this.comments = NONE;
    this.timed = true;
  }
}

/** What a format's reader offers; CaptureReader chooses one. */
export interface FrameReader {
  /** False at the end, or at a fault: then problem() says which. */
  next(frame: CapturedFrame): boolean;
  readonly problem: CaptureProblem | null;
}

/** Larger records are lies: tcpdump's own largest snapshot for any link type of ours. */
export const FRAME_BYTES_MAX = 262_144;
