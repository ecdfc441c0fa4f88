// IPv4 (RFC 791) as tcpdump prints it.

import { i32 } from "../../base/bytes.ts";
import { IPV4 } from "../../netstack/index.ts";
import { plainSum, shouldBe } from "./checksums.ts";
import { bits, type Dissection, hex } from "./dissection.ts";
import { decodePayload, type IpDecoders } from "./ip-payload.ts";
import { decodeIpv4Options, finalDestination } from "./ipv4-options.ts";
import { protocolName } from "./names.ts";
import type { TcpContext } from "./tcp.ts";

const HEADER = 20;
const ECN = ["", ",ECT(1)", ",ECT(0)", ",CE"];
const FRAGMENT_FLAGS: readonly (readonly [number, string])[] = [
  [0x2000, "+"],
  [0x4000, "DF"],
  [0x8000, "rsvd"],
];

export interface IpOptions {
  /** Filled again for each packet. */
  context: TcpContext;
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
  if (!headed) d.put("IP ");
  if (length < HEADER) {
    d.put(` [length ${length} < 20] (invalid)`);
    return;
  }
  const version = d.u8(at) >>> 4;
  if (version !== 4) {
    d.put(` [version ${version} != 4] (invalid)`);
    return;
  }
  const headerBytes = (d.u8(at) & 15) * 4;
  if (headerBytes < HEADER) {
    d.put(` [header length ${headerBytes} < 20] (invalid)`);
    return;
  }
  let total = d.u16(at + 2);
  const told = total;
  if (total > length) d.put(`[total length ${total} > length ${length}] (invalid) `);
  const protocol = d.u8(at + 9);
  // A large packet that was cut up later leaves its length at zero.
  const isOffload = total === 0 && (protocol === 6 || protocol === 17);
  if (isOffload) total = length;
  if (total < headerBytes) {
    d.put(`[total length ${total} < header length ${headerBytes}] (invalid)`);
    return;
  }
  d.need(at, HEADER);
  const outerEnd = d.end;
  d.end = Math.min(outerEnd, at + Math.min(length, total));
  const fragment = d.u16(at + 6);
  const offset = (fragment & 0x1fff) * 8;
  d.need(at + 12, 8);
  if (d.wantsFields) layer(d, at, headerBytes, told, fragment, protocol);
  if (d.verbosity > 0 && !header(d, at, headerBytes, told, isOffload, length, fragment, protocol)) {
    putAddresses(d, at);
    d.put("[|ip]");
    d.end = outerEnd;
    return;
  }
  if (offset !== 0) {
    putAddresses(d, at);
    d.put(`ip-proto-${protocol}`);
  } else {
    if (protocol !== 6 && protocol !== 17) putAddresses(d, at);
    if (!d.has(at, headerBytes)) {
      d.put(` [remaining caplen(${d.end - at}) < header length(${headerBytes})]`);
      d.need(at, headerBytes);
    }
    const payload = Math.min(length, total) - headerBytes;
    fill(o.context, d, at, headerBytes, fragment);
    decodePayload(d, at + headerBytes, payload, protocol, o.context, o.decoders);
  }
  d.end = outerEnd;
}

function putAddresses(d: Dissection, at: number): void {
  d.putIpv4(i32(d.bytes, at + 12));
  d.put(" > ");
  d.putIpv4(i32(d.bytes, at + 16));
  d.put(": ");
}

function fill(
  c: TcpContext,
  d: Dissection,
  at: number,
  headerBytes: number,
  fragment: number,
): void {
  const { addresses } = c;
  c.family = IPV4;
  c.srcAt = at + 12;
  c.dstAt = at + 16;
  addresses.src.setV4(i32(d.bytes, at + 12));
  addresses.next.setV4(i32(d.bytes, at + 16));
  const final = headerBytes > HEADER ? finalDestination(d, at, headerBytes) : at + 16;
  addresses.dst.setV4(i32(d.bytes, final));
  c.showsAddresses = true;
  c.isFragment = (fragment & 0x2000) !== 0;
}

function layer(
  d: Dissection,
  at: number,
  headerBytes: number,
  total: number,
  fragment: number,
  protocol: number,
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
    src: d.ipv4(at + 12),
    dst: d.ipv4(at + 16),
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
  d.put(`(tos 0x${hex(tos)}${ECN[tos & 3]}`);
  if (ttl >= 1) d.put(`, ttl ${ttl}`);
  d.put(`, id ${d.u16(at + 4)}, offset ${(fragment & 0x1fff) * 8}`);
  d.put(`, flags [${bits(fragment, FRAGMENT_FLAGS)}]`);
  d.put(`, proto ${protocolName(protocol)} (${protocol})`);
  if (isOffload) {
    d.put(`, length ${length} [was 0, presumed ${length > 65_535 ? "BIG TCP" : "TSO"}]`);
  } else d.put(`, length ${told}`);
  let isWhole = true;
  if (headerBytes > HEADER) {
    d.put(", options (");
    isWhole = decodeIpv4Options(d, at + HEADER, headerBytes - HEADER);
    if (!isWhole) d.put(" [truncated-option]");
    d.put(")");
  }
  const sum = plainSum(d, at, headerBytes);
  if (sum !== null && sum !== 0) {
    const field = d.u16(at + 10);
    d.put(`, bad cksum ${hex(field)} (->${hex(shouldBe(field, sum))})!`);
  }
  d.put(")\n    ");
  return isWhole;
}
