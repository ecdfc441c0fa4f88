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
  d.put(" {");
  for (let i = 0; i < count; i++) {
    d.put(` ${d.address(at + i * addressBytes(family), family)}`);
  }
  d.put(" }");
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
  if (length < header + count * addressBytes(family)) d.put(" [invalid number of sources]");
  else if (d.verbosity > 1) printSources(d, at + header, count, family);
  else d.put(`, ${count} source(s)`);
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
  d.put(`, ${groups} group record(s)`);
  if (d.verbosity === 0) return;
  const fixed = RECORD_HEADER + addressBytes(family);
  let o = 8;
  for (let i = 0; i < groups; i++) {
    if (length < o + fixed) {
      d.put(" [invalid number of groups]");
      return;
    }
    const type = d.u8(at + o);
    d.put(` [gaddr ${d.address(at + o + RECORD_HEADER, family)}`);
    d.put(` ${RECORD_TYPES[type] ?? ` [${version}-report-#${type}]`}`);
    const sources = d.u16(at + o + 2);
    if (length < o + fixed + sources * addressBytes(family)) {
      d.put(` [invalid number of sources ${sources}]`);
      return;
    }
    if (d.verbosity === 1) d.put(`, ${sources} source(s)`);
    else printSources(d, at + o + fixed, sources, family);
    d.put("]");
    o += fixed + sources * addressBytes(family);
  }
}
