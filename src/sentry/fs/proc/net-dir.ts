// /proc/net (proc(5), proc_net(5)): interfaces, routes, neighbours, sockets and counters of the sandbox's own
// stack, in the formats that ifconfig, route, netstat, ss and procps parse.

import { RT_TABLE_MAIN, RTN_UNICAST } from "../../../abi/netlink.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { IpAddr } from "../../../netstack/index.ts";
import type { InterfaceView, RouteView } from "../../socket/inet/network-view.ts";
import type { Inode } from "../../vfs/inode.ts";
import { StaticDir } from "../pseudo/pseudo-dir.ts";
import { TextFile } from "../pseudo/pseudo-file.ts";
import type { PseudoFileSystem } from "../pseudo/pseudo-inode.ts";
import { counters6Text, counterTable, sockstat6Text, sockstatText } from "./net-counters.ts";
import { inetTable, packetTable, unixTable } from "./net-sockets.ts";
import type { NetSource } from "./net-source.ts";
import { VlanDir } from "./net-vlan.ts";

const hex8 = (n: number): string => (n >>> 0).toString(16).toUpperCase().padStart(8, "0");
const hex2 = (n: number): string => n.toString(16).padStart(2, "0");

/** An IPv4 word as Linux prints it here: the network-order bytes read as a little-endian number. */
export function wordHex(word: number): string {
  const swapped = (word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24);
  return hex8(swapped);
}
const macText = (mac: Uint8Array): string => [...mac].map(hex2).join(":");
const v4Text = (a: IpAddr): string =>
  [a.w3 >>> 24, (a.w3 >>> 16) & 255, (a.w3 >>> 8) & 255, a.w3 & 255].join(".");

function devText(net: NetSource): ByteString {
  let s =
    "Inter-|   Receive                                                |  Transmit\n" +
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
  for (const nic of net.view.interfaces()) s += devLine(nic);
  return s;
}
function devLine(nic: InterfaceView): string {
  const c = nic.counters;
  const rx = [c.rxBytes, c.rxPackets, 0, c.rxDropped, 0, 0, 0, c.multicast];
  const tx = [c.txBytes, c.txPackets, 0, c.txDropped, 0, 0, 0, 0];
  const widths = [7, 7, 4, 4, 4, 5, 10, 9, 8, 7, 4, 4, 4, 5, 7, 10];
  const cells = [...rx, ...tx].map((n, i) => String(n).padStart(widths[i]));
  return `${nic.name.padStart(6)}: ${cells.join(" ")}\n`;
}

const RTF_UP = 1;
const RTF_GATEWAY = 2;
const RTF_HOST = 4;

function routeText(net: NetSource): ByteString {
  const width = 127;
  const line = (text: string): string => `${text.padEnd(width)}\n`;
  let s = line(
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
  );
  for (const r of mainRoutes(net)) {
    if (!r.dst.isV4) continue;
    const name = net.view.interfaceByIndex(r.index)?.name ?? "*";
    const mask = r.prefixBits === 0 ? 0 : -1 << (32 - r.prefixBits);
    const flags =
      RTF_UP | (r.gateway !== null ? RTF_GATEWAY : 0) | (r.prefixBits === 32 ? RTF_HOST : 0);
    const gateway = r.gateway === null ? "00000000" : wordHex(r.gateway.w3);
    s += line(
      `${name}\t${wordHex(r.dst.w3)}\t${gateway}\t${flags.toString(16).toUpperCase().padStart(4, "0")}\t0\t0\t${r.metric}\t${wordHex(mask)}\t0\t0\t0`,
    );
  }
  return s;
}

/** fib_route_seq_show shows the table main, without what leads nowhere. */
const mainRoutes = (net: NetSource): RouteView[] =>
  net.view.routes().filter((r) => r.table === RT_TABLE_MAIN && r.type === RTN_UNICAST);

function hex128(a: IpAddr): string {
  return [a.w0, a.w1, a.w2, a.w3].map((w) => (w >>> 0).toString(16).padStart(8, "0")).join("");
}
function route6Text(net: NetSource): ByteString {
  const none = "0".repeat(32);
  let s = "";
  for (const r of mainRoutes(net)) {
    if (r.dst.isV4) continue;
    const name = net.view.interfaceByIndex(r.index)?.name ?? "*";
    const flags = RTF_UP | (r.gateway !== null ? RTF_GATEWAY : 0);
    const low = (n: number): string => (n >>> 0).toString(16).padStart(8, "0");
    s += `${hex128(r.dst)} ${hex2(r.prefixBits)} ${none} 00 ${r.gateway === null ? none : hex128(r.gateway)} ${low(r.metric)} ${low(1)} ${low(0)} ${low(flags)} ${name.padStart(8)}\n`;
  }
  return s;
}
const IFA_F_PERMANENT = 0x80;

function ifInet6Text(net: NetSource): ByteString {
  let s = "";
  for (const nic of net.view.interfaces()) {
    for (const { addr, prefixBits, isAuto, temporary } of nic.addresses) {
      if (addr.isV4) continue;
      const isLoopback = addr.w0 === 0 && addr.w1 === 0 && addr.w2 === 0 && addr.w3 === 1;
      const isLinkLocal = addr.w0 >>> 22 === 0xfe80 >>> 6;
      const scope = isLoopback ? 0x10 : isLinkLocal ? 0x20 : 0;
      s += `${hex128(addr)} ${hex2(nic.index)} ${hex2(prefixBits)} ${hex2(scope)} ${hex2(isAuto ? Number(temporary) : IFA_F_PERMANENT)} ${nic.name.padStart(8)}\n`;
    }
  }
  return s;
}

const NUD_FAILED = 0x20;
const NUD_INCOMPLETE = 0x01;

function arpText(net: NetSource): ByteString {
  let s = "IP address       HW type     Flags       HW address            Mask     Device\n";
  for (const n of net.view.neighbors()) {
    if (!n.addr.isV4) continue;
    const isComplete = (n.state & (NUD_FAILED | NUD_INCOMPLETE)) === 0;
    const name = net.view.interfaceByIndex(n.index)?.name ?? "*";
    const mac = isComplete ? macText(n.mac) : "00:00:00:00:00:00";
    s += `${v4Text(n.addr).padEnd(16)} 0x1         0x${isComplete ? "2" : "0"}         ${mac}     *        ${name}\n`;
  }
  return s;
}

const FILES: readonly (readonly [string, (net: NetSource) => ByteString])[] = [
  ["dev", devText],
  ["route", routeText],
  ["ipv6_route", route6Text],
  ["if_inet6", ifInet6Text],
  ["arp", arpText],
  ["tcp", (net) => inetTable(net, "tcp", 4)],
  ["tcp6", (net) => inetTable(net, "tcp", 6)],
  ["udp", (net) => inetTable(net, "udp", 4)],
  ["udp6", (net) => inetTable(net, "udp", 6)],
  ["raw", (net) => inetTable(net, "raw", 4)],
  ["raw6", (net) => inetTable(net, "raw", 6)],
  ["icmp", (net) => inetTable(net, "icmp", 4)],
  ["icmp6", (net) => inetTable(net, "icmp", 6)],
  ["packet", packetTable],
  ["unix", unixTable],
  ["snmp", (net) => counterTable(net, "snmp")],
  ["snmp6", counters6Text],
  ["netstat", (net) => counterTable(net, "netstat")],
  ["sockstat", sockstatText],
  ["sockstat6", sockstat6Text],
  [
    "protocols",
    () =>
      "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em\n",
  ],
  ["psched", () => "000003e8 00000040 000f4240 3b9aca00\n"],
];

const made = new WeakMap<PseudoFileSystem, StaticDir>();

/** Once, at the construction of the proc file system: /proc/PID/net is the same for every process. */
export function makeNetDir(fs: PseudoFileSystem, net: NetSource): void {
  const dir = new StaticDir(fs, 0o555);
  for (const [name, text] of FILES) dir.add(name, new TextFile(fs, () => text(net)));
  dir.add("vlan", new VlanDir(fs, net));
  made.set(fs, dir);
}
export function netDir(fs: PseudoFileSystem): Inode {
  return made.get(fs) as StaticDir;
}
