// Where a directory writes its entries: getdents' buffer, or a list in a test.

import type { ByteString } from "../../base/bytes.ts";

export interface DirentSink {
  /**
   * One entry. nextOffset: the directory position after it (what lseek and d_off speak of); type: DT_*.
   * False: no room, stop before this entry.
   */
  add(name: ByteString, ino: number, type: number, nextOffset: number): boolean;
}
