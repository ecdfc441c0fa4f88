// What IGMPv3 and MLDv2 (RFC 3376 4, RFC 3810 5) have in common: lists of sources and group records, which
// differ only in the size of an address.

import { type Family, IPV4 } from "../../netstack/index.ts";
import type { Dissection } from "./dissection.ts";

const RECORD_TYPES: Readonly<Record<number, string>> = {
  1: "is_in",
  2: "is_ex",
  3: "to_in",
  4: "to_ex",
  5: "allow",
  6: "block",
};
/** Type, auxiliary length and count of sources, before the group's address. */
const RECORD_HEADER = 4;

const addressBytes = (family: Family): number => (family === IPV4 ? 4 : 16);

function printSources(d: Dissection, at: number, count: number, family: Family): void {
  d.text += " {";
  for (let i = 0; i < count; i++) {
    d.text += ` ${d.address(at + i * addressBytes(family), family)}`;
  }
  d.text += " }";
}

/** The sources of a query whose fixed part is `header` bytes long. */
export function printQuerySources(
  d: Dissection,
  at: number,
  length: number,
  header: number,
  count: number,
  family: Family,
): void {
  if (count === 0) return;
  if (length < header + count * addressBytes(family)) d.text += " [invalid number of sources]";
  else if (d.verbosity > 1) printSources(d, at + header, count, family);
  else d.text += `, ${count} source(s)`;
}

/** The records of a report at `at`, behind its eight bytes; `version` names records of no known type. */
export function printGroupRecords(
  d: Dissection,
  at: number,
  length: number,
  family: Family,
  version: string,
): void {
  const groups = d.u16(at + 6);
  d.text += `, ${groups} group record(s)`;
  if (d.verbosity === 0) return;
  const fixed = RECORD_HEADER + addressBytes(family);
  let o = 8;
  for (let i = 0; i < groups; i++) {
    if (length < o + fixed) {
      d.text += " [invalid number of groups]";
      return;
    }
    const type = d.u8(at + o);
    d.text += ` [gaddr ${d.address(at + o + RECORD_HEADER, family)}`;
    d.text += ` ${RECORD_TYPES[type] ?? ` [${version}-report-#${type}]`}`;
    const sources = d.u16(at + o + 2);
    if (length < o + fixed + sources * addressBytes(family)) {
      d.text += ` [invalid number of sources ${sources}]`;
      return;
    }
    if (d.verbosity === 1) d.text += `, ${sources} source(s)`;
    else printSources(d, at + o + fixed, sources, family);
    d.text += "]";
    o += fixed + sources * addressBytes(family);
  }
}
