// All captures of fixtures/pcap that are written byte by byte.

import { IP_CAPTURES } from "./captures-ip.ts";
import { NEIGHBOR_CAPTURES } from "./captures-neighbors.ts";
import { PAYLOAD_CAPTURES } from "./captures-payload.ts";
import { TCP_CAPTURES } from "./captures-tcp.ts";
import { TCP_OPEN_CAPTURES } from "./captures-tcp-open.ts";
import type { MadeCapture } from "./tape.ts";

export const MADE_CAPTURES: readonly MadeCapture[] = [
  ...IP_CAPTURES,
  ...NEIGHBOR_CAPTURES,
  ...TCP_OPEN_CAPTURES,
  ...TCP_CAPTURES,
  ...PAYLOAD_CAPTURES,
];
