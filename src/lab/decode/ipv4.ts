// IPv4 (RFC 791) as tcpdump prints it.

import { i32 } from "../../base/bytes.ts";
import { IPV4, IpAddr } from "../../netstack/index.ts";
import { plainSum, shouldBe } from "./checksums.ts";
import { bits, type Dissection, hex } from "./dissection.ts";
import { decodePayload, type IpDecoders } from "./ip-payload.ts";
import { decodeIpv4Options, finalDestination } from "./ipv4-options.ts";
import { protocolName } from "./names.ts";
import type { TcpSequences } from "./tcp-sequence.ts";

const HEADER = 20;
const ECN = ["", ",ECT(1)", ",ECT(0)", ",CE"];
const FRAGMENT_FLAGS: readonly (readonly [number, string])[] = [
  [0x2000, "+"],
  [0x4000, "DF"],
  [0x8000, "rsvd"],
];

export interface IpOptions {
  sequences: TcpSequences;
  isAbsolute: boolean;
  decoders: IpDecoders;
}

/** `headed`: the enclosing header was printed and has said what this is. */
export function decodeIpv4(
  d: Dissection,
  at: number,
  length: number,
  headed: boolean,
  o: IpOptions,
): void {
  d.protocol = "ip";
  if (!headed) d.text += "IP ";
  if (length < HEADER) {
    d.text += ` [length ${length} < 20] (invalid)`;
    return;
  }
  const version = d.u8(at) >>> 4;
  if (version !== 4) {
    d.text += ` [version ${version} != 4] (invalid)`;
    return;
  }
  const headerBytes = (d.u8(at) & 15) * 4;
  if (headerBytes < HEADER) {
    d.text += ` [header length ${headerBytes} < 20] (invalid)`;
    return;
  }
  let total = d.u16(at + 2);
  const told = total;
  if (total > length) d.text += `[total length ${total} > length ${length}] (invalid) `;
  const protocol = d.u8(at + 9);
  // A large packet that was cut up later leaves its length at zero.
  const isOffload = total === 0 && (protocol === 6 || protocol === 17);
  if (isOffload) total = length;
  if (total < headerBytes) {
    d.text += `[total length ${total} < header length ${headerBytes}] (invalid)`;
    return;
  }
  d.need(at, HEADER);
  const outerEnd = d.end;
  d.end = Math.min(outerEnd, at + Math.min(length, total));
  const fragment = d.u16(at + 6);
  const offset = (fragment & 0x1fff) * 8;
  const [src, dst] = [d.ipv4(at + 12), d.ipv4(at + 16)];
  if (d.wantsFields) layer(d, at, headerBytes, told, fragment, protocol, src, dst);
  if (d.verbosity > 0 && !header(d, at, headerBytes, told, isOffload, length, fragment, protocol)) {
    d.text += `${src} > ${dst}: [|ip]`;
    d.end = outerEnd;
    return;
  }
  if (offset !== 0) {
    d.text += `${src} > ${dst}: ip-proto-${protocol}`;
  } else {
    if (protocol !== 6 && protocol !== 17) d.text += `${src} > ${dst}: `;
    if (!d.has(at, headerBytes)) {
      d.text += ` [remaining caplen(${d.end - at}) < header length(${headerBytes})]`;
      d.need(at, headerBytes);
    }
    const payload = Math.min(length, total) - headerBytes;
    decodePayload(
      d,
      at + headerBytes,
      payload,
      protocol,
      context(d, at, headerBytes, src, dst, fragment, o),
      o.decoders,
    );
  }
  d.end = outerEnd;
}

function context(
  d: Dissection,
  at: number,
  headerBytes: number,
  src: string,
  dst: string,
  fragment: number,
  o: IpOptions,
) {
  const next = new IpAddr().setV4(i32(d.bytes, at + 16));
  const isDirect = headerBytes <= HEADER;
  const final = isDirect
    ? next
    : new IpAddr().setV4(i32(d.bytes, finalDestination(d, at, headerBytes)));
  return {
    family: IPV4,
    src,
    dst,
    addresses: {
      src: new IpAddr().setV4(i32(d.bytes, at + 12)),
      next,
      dst: final,
    },
    showsAddresses: true,
    isFragment: (fragment & 0x2000) !== 0,
    sequences: o.sequences,
    isAbsolute: o.isAbsolute,
  } as const;
}

function layer(
  d: Dissection,
  at: number,
  headerBytes: number,
  total: number,
  fragment: number,
  protocol: number,
  src: string,
  dst: string,
): void {
  const sum = plainSum(d, at, headerBytes);
  d.layer("ipv4", {
    tos: d.u8(at + 1),
    ttl: d.u8(at + 8),
    id: d.u16(at + 4),
    offset: (fragment & 0x1fff) * 8,
    flags: bits(fragment, FRAGMENT_FLAGS),
    payloadProtocol: protocolName(protocol),
    protocolNumber: protocol,
    length: total,
    headerBytes,
    checksum: d.u16(at + 10),
    checksumCorrect: sum === null ? null : sum === 0,
    src,
    dst,
  });
}

/** The line of -v. False when the options are cut off. */
function header(
  d: Dissection,
  at: number,
  headerBytes: number,
  told: number,
  isOffload: boolean,
  length: number,
  fragment: number,
  protocol: number,
): boolean {
  const tos = d.u8(at + 1);
  const ttl = d.u8(at + 8);
  d.text += `(tos 0x${hex(tos)}${ECN[tos & 3]}`;
  if (ttl >= 1) d.text += `, ttl ${ttl}`;
  d.text += `, id ${d.u16(at + 4)}, offset ${(fragment & 0x1fff) * 8}`;
  d.text += `, flags [${bits(fragment, FRAGMENT_FLAGS)}]`;
  d.text += `, proto ${protocolName(protocol)} (${protocol})`;
  if (isOffload) {
    d.text += `, length ${length} [was 0, presumed ${length > 65_535 ? "BIG TCP" : "TSO"}]`;
  } else d.text += `, length ${told}`;
  let isWhole = true;
  if (headerBytes > HEADER) {
    d.text += ", options (";
    isWhole = decodeIpv4Options(d, at + HEADER, headerBytes - HEADER);
    if (!isWhole) d.text += " [truncated-option]";
    d.text += ")";
  }
  const sum = plainSum(d, at, headerBytes);
  if (sum !== null && sum !== 0) {
    const field = d.u16(at + 10);
    d.text += `, bad cksum ${hex(field)} (->${hex(shouldBe(field, sum))})!`;
  }
  d.text += ")\n    ";
  return isWhole;
}
