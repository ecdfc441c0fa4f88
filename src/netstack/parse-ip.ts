// IP addresses from text: dotted decimal, and IPv6 as RFC 4291 2.2 writes it (no zone, no prefix length).

import { IpAddr } from "./ip-addr.ts";

const DECIMAL = /^(0|[1-9]\d{0,2})$/;
const GROUP = /^[0-9a-fA-F]{1,4}$/;

/** Null: not an address. */
export function parseIp(text: string): IpAddr | null {
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): IpAddr | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let word = 0;
  for (const part of parts) {
    if (!DECIMAL.test(part) || Number(part) > 255) return null;
    word = (word << 8) | Number(part);
  }
  return new IpAddr().setV4(word);
}

function parseV6(text: string): IpAddr | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = groupsOf(halves[0], halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1], true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const addr = new IpAddr();
  addr.w0 = (groups[0] << 16) | groups[1];
  addr.w1 = (groups[2] << 16) | groups[3];
  addr.w2 = (groups[4] << 16) | groups[5];
  addr.w3 = (groups[6] << 16) | groups[7];
  return addr;
}

/** Only the last part may be in dotted decimal. */
function groupsOf(text: string, atEnd: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (part.includes(".")) {
      const v4 = atEnd && i === parts.length - 1 ? parseV4(part) : null;
      if (v4 === null) return null;
      groups.push(v4.w3 >>> 16, v4.w3 & 0xffff);
    } else if (GROUP.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}
