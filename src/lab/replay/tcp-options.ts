// The TCP options that replay has to understand, because what they say changes when a segment is played again.

import { u16, u32 } from "../../base/bytes.ts";

export const OPTION_END = 0;
export const OPTION_NOP = 1;
export const OPTION_MSS = 2;
export const OPTION_WSCALE = 3;
export const OPTION_SACK_PERMITTED = 4;
export const OPTION_SACK = 5;
export const OPTION_TIMESTAMPS = 8;
export const OPTION_MD5 = 19;
export const OPTION_AO = 29;
export const OPTION_FAST_OPEN = 34;
const HEADER = 20;

export interface TcpOptions {
  mss: number | null;
  wscale: number | null;
  sackPermitted: boolean;
  /** Left and right edges, as on the wire. */
  sacks: readonly number[];
  tsVal: number | null;
  tsEcr: number;
  isSigned: boolean;
}

const NONE: TcpOptions = {
  mss: null,
  wscale: null,
  sackPermitted: false,
  sacks: [],
  tsVal: null,
  tsEcr: 0,
  isSigned: false,
};

/** Calls `visit` with each option of the TCP header at b[0]; broken ones end the walk, as in Linux. */
export function eachTcpOption(
  b: Uint8Array,
  headerBytes: number,
  visit: (kind: number, at: number, length: number) => void,
): void {
  let at = HEADER;
  while (at < headerBytes) {
    const kind = b[at];
    if (kind === OPTION_END) return;
    if (kind === OPTION_NOP) {
      at++;
      continue;
    }
    const length = at + 1 < headerBytes ? b[at + 1] : 0;
    if (length < 2 || at + length > headerBytes) return;
    visit(kind, at, length);
    at += length;
  }
}

export function readTcpOptions(b: Uint8Array, headerBytes: number): TcpOptions {
  if (headerBytes === HEADER) return NONE;
  const found = { ...NONE };
  eachTcpOption(b, headerBytes, (kind, at, length) => {
    if (kind === OPTION_MSS && length === 4) found.mss = u16(b, at + 2);
    else if (kind === OPTION_WSCALE && length === 3) found.wscale = b[at + 2];
    else if (kind === OPTION_SACK_PERMITTED) found.sackPermitted = true;
    else if (kind === OPTION_TIMESTAMPS && length === 10) {
      found.tsVal = u32(b, at + 2);
      found.tsEcr = u32(b, at + 6);
    } else if (kind === OPTION_SACK) {
      const edges: number[] = [];
      for (let o = at + 2; o + 8 <= at + length; o += 8) edges.push(u32(b, o), u32(b, o + 4));
      found.sacks = edges;
    } else if (kind === OPTION_MD5 || kind === OPTION_AO) found.isSigned = true;
  });
  return found;
}
