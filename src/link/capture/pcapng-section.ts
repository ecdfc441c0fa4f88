// The blocks of a pcapng section that are not packets (draft-ietf-opsawg-pcapng 4.1, 4.2, 4.5 to 4.8): what they
// say is kept here. Not the walk from block to block: that is pcapng-reader.ts.

import { byteString, i32, i32Le, u16, u16Le, u32, u32Le } from "../../base/bytes.ts";
import {
  eachOption,
  noComments,
  OPTION_COMMENT,
  optionText,
  withComment,
} from "./pcapng-options.ts";
import { MICROSECONDS, type TimeUnit, timeUnit } from "./timestamp.ts";

const BYTE_ORDER = 0x1a2b3c4d;
/** A hostile file can describe an interface in 20 bytes. */
const INTERFACES_MAX = 65_536;
const NOTES_MAX = 65_536;

export interface CaptureInterface {
  linkType: number;
  snapBytes: number;
  name: string;
  description: string;
  comments: readonly string[];
  time: TimeUnit;
}

/** What a file holds beside packets, in the order of its blocks; bytes are copies. */
export type CaptureNote =
  | {
      kind: "section";
      comments: readonly string[];
      hardware: string;
      os: string;
      application: string;
    }
  | { kind: "name"; address: Uint8Array; names: readonly string[] }
  | { kind: "statistics"; interfaceId: number; received: number | null; dropped: number | null }
  | { kind: "secrets"; type: number; bytes: Uint8Array }
  | { kind: "custom"; enterprise: number; bytes: Uint8Array };

export class PcapngSection {
  /** Of the block that is being read. */
  bytes: Uint8Array = new Uint8Array(0);
  u16 = u16;
  u32 = u32;
  i32 = i32;
  /** Of the current section. */
  interfaces: CaptureInterface[] = [];
  /** Of the whole file so far. */
  readonly notes: CaptureNote[] = [];
  /** What was wrong with the block; null while nothing was. */
  fault: string | null = null;

  /** False when the section header block at `at` has no byte-order mark. */
  readByteOrder(at: number): boolean {
    const isBig = u32(this.bytes, at + 8) === BYTE_ORDER;
    if (!isBig && u32Le(this.bytes, at + 8) !== BYTE_ORDER) return false;
    this.u16 = isBig ? u16 : u16Le;
    this.u32 = isBig ? u32 : u32Le;
    this.i32 = isBig ? i32 : i32Le;
    return true;
  }

  #note(note: CaptureNote): void {
    if (this.notes.length < NOTES_MAX) this.notes.push(note);
  }

  options(from: number, end: number, visit: Parameters<typeof eachOption>[4]): void {
    if (!eachOption(this.bytes, from, end, this.u16, visit)) {
      this.#fail("an option is longer than its block");
    }
  }

  readSection(at: number, end: number): void {
    const b = this.bytes;
    if (end - at < 16) {
      this.#fail("a section header is too short");
      return;
    }
    const major = this.u16(b, at + 4);
    if (major !== 1) {
      this.#fail(`pcapng version ${major}.${this.u16(b, at + 6)} is not known`);
      return;
    }
    this.interfaces = [];
    const texts = ["", "", ""];
    let comments = noComments;
    this.options(at + 16, end, (code, o, length) => {
      if (code === OPTION_COMMENT) comments = withComment(comments, b, o, length);
      else if (code <= 4) texts[code - 2] = optionText(b, o, length);
    });
    const [hardware, os, application] = texts;
    this.#note({ kind: "section", comments, hardware, os, application });
  }

  readInterface(at: number, end: number): void {
    const b = this.bytes;
    if (end - at < 8) {
      this.#fail("an interface description is too short");
      return;
    }
    if (this.interfaces.length === INTERFACES_MAX) {
      this.#fail(`a section describes more than ${INTERFACES_MAX} interfaces`);
      return;
    }
    const found: CaptureInterface = {
      linkType: this.u16(b, at),
      snapBytes: this.u32(b, at + 4),
      name: "",
      description: "",
      comments: noComments,
      time: MICROSECONDS,
    };
    let resolution = 6;
    let offsetSeconds = 0;
    this.options(at + 8, end, (code, o, length) => {
      if (code === OPTION_COMMENT) found.comments = withComment(found.comments, b, o, length);
      else if (code === 2) found.name = optionText(b, o, length);
      else if (code === 3) found.description = optionText(b, o, length);
      else if (code === 9 && length >= 1) resolution = b[o];
      else if (code === 14 && length >= 8) offsetSeconds = this.#i64(o);
    });
    if (resolution !== 6 || offsetSeconds !== 0) found.time = timeUnit(resolution, offsetSeconds);
    this.interfaces.push(found);
  }

  #i64(o: number): number {
    const b = this.bytes;
    const isLittle = this.u32 === u32Le;
    const high = this.i32(b, isLittle ? o + 4 : o);
    return high * 0x1_0000_0000 + this.u32(b, isLittle ? o : o + 4);
  }

  #u64(o: number): number {
    const b = this.bytes;
    const isLittle = this.u32 === u32Le;
    const high = this.u32(b, isLittle ? o + 4 : o);
    return high * 0x1_0000_0000 + this.u32(b, isLittle ? o : o + 4);
  }

  /** Records of (type, length, address, names with a zero each); 0 ends them. */
  readNames(from: number, end: number): void {
    const b = this.bytes;
    let at = from;
    while (end - at >= 4) {
      const type = this.u16(b, at);
      const length = this.u16(b, at + 2);
      if (type === 0) return;
      if (at + 4 + length > end) {
        this.#fail("a name record is longer than its block");
        return;
      }
      const addressBytes = type === 1 ? 4 : type === 2 ? 16 : 0;
      if (addressBytes > 0 && length > addressBytes) {
        const address = b.slice(at + 4, at + 4 + addressBytes);
        const text = byteString(b, at + 4 + addressBytes, length - addressBytes);
        this.#note({ kind: "name", address, names: text.split("\0").filter((n) => n !== "") });
      }
      at += 4 + ((length + 3) & ~3);
    }
  }

  readStatistics(at: number, end: number): void {
    const b = this.bytes;
    if (end - at < 12) {
      this.#fail("a statistics block is too short");
      return;
    }
    let received: number | null = null;
    let dropped: number | null = null;
    this.options(at + 12, end, (code, o, length) => {
      if (code === 4 && length >= 8) received = this.#u64(o);
      else if (code === 5 && length >= 8) dropped = this.#u64(o);
    });
    this.#note({ kind: "statistics", interfaceId: this.u32(b, at), received, dropped });
  }

  readBytes(kind: "secrets" | "custom", at: number, end: number): void {
    const b = this.bytes;
    const header = kind === "secrets" ? 8 : 4;
    if (end - at < header) {
      this.#fail(`a ${kind} block is too short`);
      return;
    }
    const first = this.u32(b, at);
    if (kind === "custom") {
      this.#note({ kind, enterprise: first, bytes: b.slice(at + 4, end) });
      return;
    }
    const length = this.u32(b, at + 4);
    if (length > end - at - 8) this.#fail("secrets are longer than their block");
    else this.#note({ kind, type: first, bytes: b.slice(at + 8, at + 8 + length) });
  }

  #fail(fault: string): void {
    this.fault = fault;
  }
}
