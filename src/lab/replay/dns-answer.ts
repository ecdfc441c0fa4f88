// The name server of a replay: whatever the name, its address is where the captured peer is played, of the families
// that the capture has. No other records (RFC 1035 4.1, RFC 3596).

import { setU16, setU32, u16 } from "../../base/bytes.ts";
import { IPV4, IPV6, type IpAddr } from "../../netstack/index.ts";

const HEADER = 12;
const TYPE_A = 1;
const TYPE_AAAA = 28;
const CLASS_IN = 1;
const TTL_SECONDS = 60;

/** null: no query with one question. */
export function answerDns(
  query: Uint8Array,
  addr4: IpAddr | null,
  addr6: IpAddr | null,
): Uint8Array | null {
  if (query.length < HEADER + 5 || (query[2] & 0xf8) !== 0 || u16(query, 4) !== 1) return null;
  let at = HEADER;
  while (at < query.length && query[at] !== 0) at += query[at] + 1;
  const end = at + 5;
  if (end > query.length) return null;
  const type = u16(query, at + 1);
  const wanted = type === TYPE_A ? addr4 : type === TYPE_AAAA ? addr6 : null;
  const addr = u16(query, at + 3) === CLASS_IN ? wanted : null;
  const addrBytes = type === TYPE_A ? 4 : 16;
  const answer = new Uint8Array(end + (addr === null ? 0 : 12 + addrBytes));
  answer.set(query.subarray(0, end));
  // A response, recursion available; no error.
  answer[2] = 0x80 | (query[2] & 0x01);
  answer[3] = 0x80;
  setU16(answer, 6, addr === null ? 0 : 1);
  setU16(answer, 8, 0);
  setU16(answer, 10, 0);
  if (addr === null) return answer;
  // The name is that of the question.
  setU16(answer, end, 0xc000 | HEADER);
  setU16(answer, end + 2, type);
  setU16(answer, end + 4, CLASS_IN);
  setU32(answer, end + 6, TTL_SECONDS);
  setU16(answer, end + 10, addrBytes);
  addr.write(answer, end + 12, type === TYPE_A ? IPV4 : IPV6);
  return answer;
}
