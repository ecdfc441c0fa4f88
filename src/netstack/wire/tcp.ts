// TCP header (RFC 9293 3.1): offsets, checks, accessors. No state, no options (see tcp-options.ts).
//
//    0                   1                   2                   3
//   |          source port          |       destination port        |  0
//   |                        sequence number                        |  4
//   |                    acknowledgment number                      |  8
//   | doff  |rsrvd|A|C|E|U|A|P|R|S|F|            window             | 12
//   |           checksum            |        urgent pointer         | 16
//   |                      options (doff * 4 - 20)                  | 20

import { i32, setU16, setU32, u16, u32 } from "../../base/bytes.ts";

export const TCP_PROTOCOL = 6;
export const TCP_HEADER_BYTES = 20;
export const TCP_HEADER_BYTES_MAX = 60;
export const TCP_CHECKSUM_OFFSET = 16;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;
/** RFC 9768: the bit left of CWR, in the octet before. AE, CWR and ECE together are the ACE field. */
export const AE = 0x100;
export const ACE_SHIFT = 6;
export const ACE_MASK = 7;

const SRC_PORT = 0;
const DST_PORT = 2;
const SEQ = 4;
const ACK_NUMBER = 8;
const DATA_OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
const URGENT = 18;

/** All length checks: after it no accessor and no walk over the options can leave [off, end). */
export function checkTcp(b: Uint8Array, off: number, end: number): boolean {
  if (end - off < TCP_HEADER_BYTES) return false;
  const headerBytes = tcpHeaderBytes(b, off);
  return headerBytes >= TCP_HEADER_BYTES && headerBytes <= end - off;
}

export const tcpSrcPort = (b: Uint8Array, off: number): number => u16(b, off + SRC_PORT);
export const tcpDstPort = (b: Uint8Array, off: number): number => u16(b, off + DST_PORT);
export const tcpSeq = (b: Uint8Array, off: number): number => i32(b, off + SEQ);
export const tcpAck = (b: Uint8Array, off: number): number => i32(b, off + ACK_NUMBER);
export const tcpHeaderBytes = (b: Uint8Array, off: number): number =>
  (b[off + DATA_OFFSET] >> 4) << 2;
export const tcpFlags = (b: Uint8Array, off: number): number =>
  b[off + FLAGS] | ((b[off + DATA_OFFSET] & 1) << 8);
export const tcpWindow = (b: Uint8Array, off: number): number => u16(b, off + WINDOW);
export const tcpChecksum = (b: Uint8Array, off: number): number =>
  u16(b, off + TCP_CHECKSUM_OFFSET);
export const tcpUrgent = (b: Uint8Array, off: number): number => u16(b, off + URGENT);

export function setTcpChecksum(b: Uint8Array, off: number, checksum: number): void {
  setU16(b, off + TCP_CHECKSUM_OFFSET, checksum);
}

/** Writes the fixed 20 bytes with a zero checksum. `headerBytes` includes the options. */
export function encodeTcp(
  b: Uint8Array,
  off: number,
  ports: number,
  seq: number,
  ack: number,
  headerBytes: number,
  flags: number,
  window: number,
  urgent: number,
): void {
  setU32(b, off, ports);
  setU32(b, off + SEQ, seq);
  setU32(b, off + ACK_NUMBER, ack);
  b[off + DATA_OFFSET] = (headerBytes << 2) | (flags >> 8);
  b[off + FLAGS] = flags;
  setU16(b, off + WINDOW, window);
  setU16(b, off + TCP_CHECKSUM_OFFSET, 0);
  setU16(b, off + URGENT, urgent);
}

const FLAG_LETTERS = "FSRP.UEWA";

/** One line in tcpdump's manner, for traces. */
export function formatTcp(b: Uint8Array, off: number, end: number): string {
  if (!checkTcp(b, off, end)) return "tcp: truncated";
  let flags = "";
  for (let i = 0; i < 9; i++) if (tcpFlags(b, off) & (1 << i)) flags += FLAG_LETTERS[i];
  const length = end - off - tcpHeaderBytes(b, off);
  const ack = tcpFlags(b, off) & ACK ? ` ack ${u32(b, off + ACK_NUMBER)}` : "";
  return (
    `${tcpSrcPort(b, off)} > ${tcpDstPort(b, off)}: Flags [${flags}], seq ${u32(b, off + SEQ)}` +
    `${ack}, win ${tcpWindow(b, off)}, length ${length}`
  );
}
