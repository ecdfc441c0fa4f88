// The first lines of HTTP/1 in a segment, as tcpdump prints them: the request or status line, with -v all
// header lines.

import { byteString } from "../../base/bytes.ts";
import { type Dissection, printableByte } from "./dissection.ts";

const BEGINS =
  /^(GET|PUT|COPY|HEAD|LOCK|MOVE|POLL|POST|BCOPY|BMOVE|MKCOL|TRACE|LABEL|MERGE|DELETE|SEARCH|UNLOCK|REPORT|UPDATE|NOTIFY|BDELETE|CONNECT|OPTIONS|CHECKIN|PROPFIND|CHECKOUT|CCM_POST|SUBSCRIBE|PROPPATCH|BPROPFIND|BPROPPATCH|UNCHECKOUT|MKACTIVITY|MKWORKSPACE|UNSUBSCRIBE|RPC_CONNECT|VERSION-CONTROL|BASELINE-CONTROL)\s|^HTTP\/|^\d{3}\s/;
const HEADERS_MAX = 64;

export function decodeHttp(d: Dissection, at: number, length: number): void {
  d.protocol = "http";
  const there = Math.min(length, d.end - at);
  const text = byteString(d.bytes, at, Math.min(there, 8192));
  if (!BEGINS.test(text)) {
    d.put("HTTP");
    return;
  }
  const lines = text.split(/\r?\n/);
  if (d.verbosity === 0) {
    d.put(`HTTP: ${printableLine(lines[0])}`);
    return;
  }
  d.put(`HTTP, length: ${length}`);
  for (const line of lines.slice(0, HEADERS_MAX)) {
    d.put(`\n\t${printableLine(line)}`);
    if (line === "") break;
  }
}

function printableLine(line: string): string {
  let text = "";
  for (let i = 0; i < line.length; i++) {
    text += line.charCodeAt(i) === 9 ? "\t" : printableByte(line.charCodeAt(i));
  }
  return text;
}
