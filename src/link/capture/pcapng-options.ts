// The option lists of pcapng blocks (draft-ietf-opsawg-pcapng 3.5): code, length, value padded to 32 bits.

import { type u16, utf8Text } from "../../base/bytes.ts";

export const OPTION_END = 0;
export const OPTION_COMMENT = 1;
/** A block may carry many comments; more than this of one block are passed over. */
const COMMENTS_MAX = 64;

const NONE: readonly string[] = [];

/**
 * Calls `visit` with each option of b[from, end). False when the list leaves the block. A missing end mark is
 * no fault: the block's length ends the list.
 */
export function eachOption(
  b: Uint8Array,
  from: number,
  end: number,
  u16Of: typeof u16,
  visit: (code: number, at: number, length: number) => void,
): boolean {
  let at = from;
  while (end - at >= 4) {
    const code = u16Of(b, at);
    const length = u16Of(b, at + 2);
    if (code === OPTION_END) return true;
    if (at + 4 + length > end) return false;
    visit(code, at + 4, length);
    at += 4 + ((length + 3) & ~3);
  }
  return true;
}

export const optionText = utf8Text;

/** `comments` with one more. */
export function withComment(
  comments: readonly string[],
  b: Uint8Array,
  at: number,
  length: number,
): readonly string[] {
  if (comments.length === COMMENTS_MAX) return comments;
  const text = utf8Text(b, at, length);
  return comments.length === 0 ? [text] : [...comments, text];
}

export const noComments = NONE;
