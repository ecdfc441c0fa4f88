// BOOTP and DHCP (RFC 951, 2131) as tcpdump prints them; the options stand in dhcp-options.ts.

import { printDhcpOptions } from "./dhcp-options.ts";
import { bits, type Dissection, hex, printableByte } from "./dissection.ts";

const ETHERNET = 1;
const MAC_BYTES = 6;
const VENDOR = 236;
const MAGIC = 0x63825363;
const OPERATIONS: Readonly<Record<number, string>> = { 1: "Request", 2: "Reply" };

export function decodeDhcp(d: Dissection, at: number, length: number): void {
  d.protocol = "bootp";
  const operation = d.u8(at);
  d.put(`BOOTP/DHCP, ${OPERATIONS[operation] ?? `unknown (0x${hex(operation, 2)})`}`);
  const hardware = d.u8(at + 1);
  const hardwareBytes = d.u8(at + 2);
  const isEthernet = hardware === ETHERNET && hardwareBytes === MAC_BYTES;
  if (isEthernet && operation === 1) d.put(` from ${d.mac(at + 28)}`);
  d.put(`, length ${length}`);
  if (d.wantsFields) fields(d, at, operation);
  if (d.verbosity === 0) return;
  d.need(at + 8, 2);
  if (hardware !== ETHERNET) d.put(`, htype ${hardware}`);
  if (!isEthernet) d.put(`, hlen ${hardwareBytes}`);
  if (d.u8(at + 3) !== 0) d.put(`, hops ${d.u8(at + 3)}`);
  if (d.u32(at + 4) !== 0) d.put(`, xid 0x${hex(d.u32(at + 4))}`);
  if (d.u16(at + 8) !== 0) d.put(`, secs ${d.u16(at + 8)}`);
  const flags = d.u16(at + 10);
  d.put(`, Flags [${bits(flags, [[0x8000, "Broadcast"]])}]`);
  if (d.verbosity > 1) d.put(` (0x${hex(flags, 4)})`);
  for (const [offset, name] of [
    [12, "Client-IP"],
    [16, "Your-IP"],
    [20, "Server-IP"],
    [24, "Gateway-IP"],
  ] as const) {
    if (d.u32(at + offset) !== 0) d.put(`\n\t  ${name} ${d.ipv4(at + offset)}`);
  }
  if (isEthernet) d.put(`\n\t  Client-Ethernet-Address ${d.mac(at + 28)}`);
  if (!text(d, at + 44, 64, "sname") || !text(d, at + 108, 128, "file")) {
    d.put(" (invalid)");
    return;
  }
  const magic = d.u32(at + VENDOR);
  if (magic === MAGIC) printDhcpOptions(d, at + VENDOR);
  else if (magic !== 0) d.put(`\n\t  Vendor-#0x${hex(magic)}`);
}

function fields(d: Dissection, at: number, operation: number): void {
  if (!d.has(at, 44)) return;
  const type = d.has(at + VENDOR, 7) && d.u32(at + VENDOR) === MAGIC ? d.u8(at + VENDOR + 6) : null;
  d.layer("dhcp", {
    operation,
    xid: d.u32(at + 4),
    clientAddress: d.ipv4(at + 12),
    yourAddress: d.ipv4(at + 16),
    serverAddress: d.ipv4(at + 20),
    gatewayAddress: d.ipv4(at + 24),
    clientHardware: d.mac(at + 28),
    firstOptionValue: type,
  });
}

/** A field of text with a zero at its end; false when the zero is missing. */
function text(d: Dissection, at: number, size: number, name: string): boolean {
  if (d.u8(at) === 0) return true;
  d.put(`\n\t  ${name} "`);
  for (let i = 0; i < size; i++) {
    const byte = d.u8(at + i);
    if (byte === 0) {
      d.put('"');
      return true;
    }
    d.put(printableByte(byte));
  }
  d.put('"');
  return false;
}
