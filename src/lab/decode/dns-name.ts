// Domain names on the wire (RFC 1035 4.1.4). A pointer must lead backwards, so that no name is endless.

import { type Dissection, printableByte } from "./dissection.ts";

const NAME_BYTES_MAX = 255;

/**
 * Prints the name at `at` of a message that begins at `message`; returns where what follows it begins, or -1
 * when the name cannot be read to its end.
 */
export function printName(d: Dissection, at: number, message: number): number {
  let o = at;
  let after = -1;
  let nearest = at - message;
  let bytes = 0;
  let text = "";
  for (;;) {
    if (!d.has(o, 1)) return finish(d, text, -1);
    const length = d.u8(o);
    if (length === 0) {
      if (bytes === 0) text += ".";
      return finish(d, text, after >= 0 ? after : o + 1);
    }
    if ((length & 0xc0) === 0xc0) {
      if (!d.has(o, 2)) return finish(d, text, -1);
      if (after < 0) after = o + 2;
      const target = d.u16(o) & 0x3fff;
      if (target >= nearest) return finish(d, `${text}<BAD PTR>`, -1);
      nearest = target;
      o = message + target;
      continue;
    }
    if ((length & 0xc0) !== 0) return finish(d, `${text}<BAD LABEL TYPE>`, -1);
    if (!d.has(o + 1, length)) return finish(d, text, -1);
    if (bytes + length > NAME_BYTES_MAX) {
      return finish(d, `${text}<DOMAIN NAME TOO LONG>`, after >= 0 ? after : o);
    }
    for (let i = 1; i <= length; i++) text += printableByte(d.u8(o + i));
    text += ".";
    bytes += length + 1;
    o += length + 1;
  }
}

function finish(d: Dissection, text: string, after: number): number {
  d.put(text);
  return after;
}

/** Where the name ends, without reading it; -1 when it leaves the message. */
export function skipName(d: Dissection, at: number): number {
  let o = at;
  for (;;) {
    if (!d.has(o, 1)) return -1;
    const length = d.u8(o);
    if ((length & 0xc0) === 0xc0) return o + 2;
    if ((length & 0xc0) !== 0) return -1;
    if (length === 0) return o + 1;
    o += length + 1;
  }
}
