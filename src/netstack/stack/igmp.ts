// IGMPv3 reports for the groups joined on one NIC (RFC 3376; v2 RFC 2236 and v1 RFC 1112 towards older
// queriers). The machine is group-reports.ts'. Nothing is sent unless a group was joined.
//
//   query:  | 0x11 | max resp code | checksum | group 4 | v3: 4 more and sources
//   report: | 0x22 | 0 | checksum | 0 2 | records 2 | { kind | 0 | sources 2 | group 4 } ...

import { setU16, setU32, u16 } from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import { IpAddr } from "../ip-addr.ts";
import { checksum, sum16 } from "../wire/checksum.ts";
import { ETHERTYPE_IPV4, multicastMacV4 } from "../wire/ethernet.ts";
import { PROTO_IGMP, resizeIpv4, writeIpv4 } from "../wire/ipv4.ts";
import {
  decodeDelay,
  type GroupCodec,
  type GroupRecord,
  GroupReporter,
  inMessages,
} from "./group-reports.ts";
import type { Nic } from "./nic.ts";
import { type GroupFilter, NO_SOURCE } from "./nic-groups.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

const QUERY = 0x11;
const REPORT_V1 = 0x12;
const REPORT_V2 = 0x16;
const LEAVE_V2 = 0x17;
const REPORT_V3 = 0x22;
const ALL_ROUTERS = IpAddr.v4(224, 0, 0, 2);
const ALL_V3_ROUTERS = IpAddr.v4(224, 0, 0, 22);
const ALL_HOSTS = 0xe0000001 | 0;
const ROUTER_ALERT = 0x9404_0000 | 0;
const HEADER_BYTES = 24;
const MESSAGE_BYTES = 8;
const RECORD_BYTES = 8;
const SOURCE_BYTES = 4;
/** RFC 3376 4.2.16's tos: internetwork control. */
const TOS = 0xc0;
const ANY = IpAddr.v4(0, 0, 0, 0);

/** As many as the query says, or has. */
function readSources(b: Uint8Array, o: number, length: number): IpAddr[] {
  const count = Math.min(u16(b, o + 10), Math.floor((length - 12) / SOURCE_BYTES));
  return Array.from({ length: count }, (_, i) => new IpAddr().read(b, o + 12 + 4 * i, 4));
}

export class Igmp implements GroupCodec {
  readonly newest = 3;
  readonly reporter: GroupReporter;
  readonly #nic: Nic;
  readonly #group = new IpAddr();
  readonly #mac = new Uint8Array(6);

  constructor(nic: Nic) {
    this.#nic = nic;
    const { clock, timers, rng } = nic.stack;
    this.reporter = new GroupReporter(this, clock, timers, rng);
  }

  members(): readonly IpAddr[] {
    const all: IpAddr[] = [];
    for (const { group } of this.#nic.groups.v4) if (group.w3 !== ALL_HOSTS) all.push(group);
    return all;
  }
  filterOf(group: IpAddr): GroupFilter {
    return this.#nic.groups.find(group)?.filter ?? NO_SOURCE;
  }

  input(pkt: PacketBuffer): void {
    const b = pkt.bytes;
    const o = pkt.l4;
    const length = pkt.end - o;
    if (length < 8 || sum16(b, o, length) !== 0xffff) {
      this.#nic.stack.counters.dropIcmpBad++;
      return;
    }
    if (b[o] !== QUERY || this.#nic.groups.v4.length === 0) return;
    this.#nic.stack.counters.igmpInQueries++;
    const version = length >= 12 ? 3 : b[o + 1] === 0 ? 1 : 2;
    const tenths = version === 3 ? decodeDelay(b[o + 1], 4) : version === 1 ? 100 : b[o + 1];
    const group = this.#group.read(b, o + 4, 4);
    const sources = version === 3 && group.w3 !== 0 ? readSources(b, o, length) : [];
    const asked = group.w3 === 0 ? null : group;
    this.reporter.onQuery(version, asked, sources, (tenths * SECOND) / 10);
  }

  sendRecords(records: readonly GroupRecord[]): void {
    const room = this.#nic.mtu - HEADER_BYTES - MESSAGE_BYTES;
    for (const part of inMessages(records, room, RECORD_BYTES, SOURCE_BYTES)) {
      const pkt = this.#nic.stack.allocPacket();
      const o = pkt.start;
      setU32(pkt.bytes, o, REPORT_V3 << 24);
      setU16(pkt.bytes, o + 4, 0);
      setU16(pkt.bytes, o + 6, part.length);
      let at = o + 8;
      for (const record of part) {
        setU32(pkt.bytes, at, record.kind << 24);
        setU16(pkt.bytes, at + 2, record.sources.length);
        record.group.write(pkt.bytes, at + 4, 4);
        at += RECORD_BYTES;
        for (const source of record.sources) {
          source.write(pkt.bytes, at, 4);
          at += SOURCE_BYTES;
        }
      }
      pkt.end = at;
      this.#send(pkt, ALL_V3_ROUTERS);
    }
  }

  sendOld(version: number, group: IpAddr, leave: boolean): void {
    // Version 1 has no word for leaving.
    if (version === 1 && leave) return;
    const pkt = this.#nic.stack.allocPacket();
    const type = version === 1 ? REPORT_V1 : leave ? LEAVE_V2 : REPORT_V2;
    setU32(pkt.bytes, pkt.start, type << 24);
    group.write(pkt.bytes, pkt.start + 4, 4);
    pkt.end = pkt.start + 8;
    this.#send(pkt, leave ? ALL_ROUTERS : group);
  }

  // @rfc 9776 4
  /** With the router alert option, hop limit 1. */
  #send(pkt: PacketBuffer, dst: IpAddr): void {
    const nic = this.#nic;
    const b = pkt.bytes;
    const length = pkt.end - pkt.start;
    setU16(b, pkt.start + 2, checksum(b, pkt.start, length));
    pkt.start -= HEADER_BYTES;
    const src = nic.sourceFor(dst) ?? ANY;
    const id = nic.stack.ipv4.nextId(src, dst);
    writeIpv4(b, pkt.start, HEADER_BYTES + length, TOS, id, 0, 1, PROTO_IGMP, src, dst);
    b[pkt.start] = 0x46;
    setU32(b, pkt.start + 20, ROUTER_ALERT);
    resizeIpv4(b, pkt.start, HEADER_BYTES + length, id, u16(b, pkt.start + 6));
    pkt.l3 = pkt.start;
    nic.stack.counters.igmpOutReports++;
    multicastMacV4(this.#mac, dst.w3);
    nic.transmit(pkt, this.#mac, ETHERTYPE_IPV4);
  }
}
