// How /proc spells the names of places.

import type { ByteString } from "../../../base/bytes.ts";

/** Spaces and such as octal, in /proc/mounts. */
export function mangle(text: ByteString): ByteString {
  return text.replace(/[ \t\n\\#]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
