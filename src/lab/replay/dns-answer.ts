// The name server of a replay: whatever the name, its IPv4 address is where the captured peer is played. No other
// records (RFC 1035 4.1).

import { setU16, setU32, u16 } from "../../base/bytes.ts";
import { IPV4, type IpAddr } from "../../netstack/index.ts";

const HEADER = 12;
const TYPE_A = 1;
const CLASS_IN = 1;
const TTL_SECONDS = 60;

/** null: no query with one question. */
export function answerDns(query: Uint8Array, addr: IpAddr): Uint8Array | null {
  if (query.length < HEADER + 5 || (query[2] & 0xf8) !== 0 || u16(query, 4) !== 1) return null;
  let at = HEADER;
  while (at < query.length && query[at] !== 0) at += query[at] + 1;
  const end = at + 5;
  if (end > query.length) return null;
  const isAsked = u16(query, at + 1) === TYPE_A && u16(query, at + 3) === CLASS_IN;
  const answer = new Uint8Array(end + (isAsked ? 16 : 0));
  answer.set(query.subarray(0, end));
  // A response, recursion available; no error.
  answer[2] = 0x80 | (query[2] & 0x01);
  answer[3] = 0x80;
  setU16(answer, 6, isAsked ? 1 : 0);
  setU16(answer, 8, 0);
  setU16(answer, 10, 0);
  if (!isAsked) return answer;
  // The name is that of the question.
  setU16(answer, end, 0xc000 | HEADER);
  setU16(answer, end + 2, TYPE_A);
  setU16(answer, end + 4, CLASS_IN);
  setU32(answer, end + 6, TTL_SECONDS);
  setU16(answer, end + 10, 4);
  addr.write(answer, end + 12, IPV4);
  return answer;
}
