// MLDv2 reports for the groups joined on one NIC (RFC 3810; MLDv1, RFC 2710, towards an older querier).
// The machine is group-reports.ts'. Solicited-node groups are reported like all others; ff02::1 and
// narrower scopes are not (RFC 3810 6).
//
//   query:     | icmp 4 | max resp code 2 | 0 2 | group 16 | v2: 4 more and sources
//   report v2: | icmp 4 | 0 2 | records 2 | { kind | 0 | sources 2 | group 16 } ...

import { setU16, setU32, u16 } from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import { IPV6, IpAddr } from "../ip-addr.ts";
import { MLD_DONE, MLD_REPORT_V1, MLD_REPORT_V2 } from "../wire/icmpv6.ts";
import {
  decodeDelay,
  type GroupCodec,
  type GroupRecord,
  GroupReporter,
  inMessages,
} from "./group-reports.ts";
import type { Ipv6Interface } from "./ipv6-interface.ts";
import { ALL_ROUTERS, isLinkLocal, isReportedGroup } from "./multicast-groups.ts";
import { type GroupFilter, NO_SOURCE } from "./nic-groups.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

const V1_BYTES = 24;
const V2_BYTES = 28;
/** IP, hop-by-hop options, and the message up to its records. */
const HEADERS_BYTES = 40 + 8 + 8;
const RECORD_BYTES = 20;
const SOURCE_BYTES = 16;

const ALL_V2_ROUTERS = new IpAddr();
ALL_V2_ROUTERS.w0 = 0xff02_0000 | 0;
ALL_V2_ROUTERS.w3 = 0x16;

/** As many as the query says, or has. */
function readSources(b: Uint8Array, o: number, length: number): IpAddr[] {
  const count = Math.min(u16(b, o + 26), Math.floor((length - V2_BYTES) / SOURCE_BYTES));
  return Array.from({ length: count }, (_, i) => new IpAddr().read(b, o + V2_BYTES + 16 * i, IPV6));
}

export class Mld implements GroupCodec {
  readonly newest = 2;
  readonly reporter: GroupReporter;
  readonly #if: Ipv6Interface;
  readonly #group = new IpAddr();

  constructor(iface: Ipv6Interface) {
    this.#if = iface;
    const { clock, timers, rng } = iface.stack;
    this.reporter = new GroupReporter(this, clock, timers, rng);
  }

  members(): readonly IpAddr[] {
    const all: IpAddr[] = [];
    for (const { group } of this.#if.nic.groups.v6) if (isReportedGroup(group)) all.push(group);
    return all;
  }
  filterOf(group: IpAddr): GroupFilter {
    return this.#if.nic.groups.find(group)?.filter ?? NO_SOURCE;
  }

  // @rfc 9777 5.1
  /** A checked ICMPv6 message of type 130. */
  onQuery(pkt: PacketBuffer): void {
    const b = pkt.bytes;
    const o = pkt.l4;
    const length = pkt.end - o;
    const counters = this.#if.stack.counters;
    counters.icmp6InGroupMembQueries++;
    const isV1 = length === V1_BYTES;
    // RFC 3810 6.2: from a link-local source, not from beyond the link.
    if ((!isV1 && length < V2_BYTES) || pkt.ttl !== 1 || !isLinkLocal(pkt.src)) {
      counters.dropIcmpBad++;
      return;
    }
    const code = u16(b, o + 4);
    const delayMs = isV1 ? code : decodeDelay(code, 12);
    const group = this.#group.read(b, o + 8, IPV6);
    const delayNs = delayMs * (SECOND / 1000);
    const asked = group.isUnspecified ? null : group;
    const sources = isV1 || asked === null ? [] : readSources(b, o, length);
    this.reporter.onQuery(isV1 ? 1 : 2, asked, sources, delayNs);
  }

  sendRecords(records: readonly GroupRecord[]): void {
    const room = this.#if.mtu - HEADERS_BYTES;
    for (const part of inMessages(records, room, RECORD_BYTES, SOURCE_BYTES)) {
      const pkt = this.#if.stack.allocPacket();
      const b = pkt.bytes;
      setU32(b, pkt.start, MLD_REPORT_V2 << 24);
      setU16(b, pkt.start + 4, 0);
      setU16(b, pkt.start + 6, part.length);
      let at = pkt.start + 8;
      for (const record of part) {
        setU32(b, at, record.kind << 24);
        setU16(b, at + 2, record.sources.length);
        record.group.write(b, at + 4, IPV6);
        at += RECORD_BYTES;
        for (const source of record.sources) {
          source.write(b, at, IPV6);
          at += SOURCE_BYTES;
        }
      }
      pkt.end = at;
      this.#if.stack.counters.icmp6OutMLDv2Reports++;
      this.#if.sendGroupMessage(pkt, ALL_V2_ROUTERS);
    }
  }

  sendOld(_version: number, group: IpAddr, leave: boolean): void {
    const pkt = this.#if.stack.allocPacket();
    const b = pkt.bytes;
    setU32(b, pkt.start, (leave ? MLD_DONE : MLD_REPORT_V1) << 24);
    setU32(b, pkt.start + 4, 0);
    group.write(b, pkt.start + 8, IPV6);
    pkt.end = pkt.start + V1_BYTES;
    this.#if.sendGroupMessage(pkt, leave ? ALL_ROUTERS : group);
  }
}
