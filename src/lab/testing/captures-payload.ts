// Captures written byte by byte: payloads that lie to whoever parses them (NAME:WRECK, AMNESIA:33, slirp's bootp
// and tftp). The stack carries them; the decoder reads them, and must come to an end.

import { be16, datagram, pattern, stranger } from "../../netstack/attacks/testing-frames.ts";
import { type MadeCapture, repeat, text } from "./tape.ts";

const DNS = 53;
const dnsHeader = (questions: number, answers: number): number[] => [
  ...[0x12, 0x34, 0x81, 0x80, ...be16(questions), ...be16(answers), 0, 0, 0, 0],
];
const NAME = [3, ...text("www"), 7, ...text("example"), 0];

function dns(...messages: readonly (readonly number[])[]): Uint8Array[] {
  return messages.map((message) => datagram(message, { sport: DNS, dport: 3000 }));
}

export const PAYLOAD_CAPTURES: readonly MadeCapture[] = [
  {
    file: "dns-compression.pcap",
    about: "NAME:WRECK: names that point at themselves, at each other, forwards, and past the end.",
    make(tape) {
      tape.hello(stranger(1));
      const tail = [0, 1, 0, 1];
      tape.add(
        ...dns(
          [...dnsHeader(1, 0), 0xc0, 12, ...tail],
          [...dnsHeader(2, 0), 0xc0, 18, ...tail, 0xc0, 12, ...tail],
          [...dnsHeader(1, 0), 0xc0, 200, ...tail],
          [...dnsHeader(1, 0), 3, 0x61, 0x62, 0x63, 0xc0, 12, ...tail],
          [...dnsHeader(1, 0), 0xff, 0xff, ...tail],
        ),
      );
    },
  },
  {
    file: "dns-labels.pcap",
    about:
      "AMNESIA:33: labels past the end, of reserved kinds, names of more than 255 bytes, counts that lie.",
    make(tape) {
      tape.hello(stranger(1));
      const long: number[] = [];
      for (let i = 0; i < 8; i++) long.push(63, ...repeat(0x61, 63));
      tape.add(
        ...dns(
          [...dnsHeader(1, 0), 63, 0x61],
          [...dnsHeader(1, 0), 0x41, 0x61, 0],
          [...dnsHeader(1, 0), ...long, 0, 0, 1, 0, 1],
          [...dnsHeader(65_535, 65_535), ...NAME, 0, 1, 0, 1],
          dnsHeader(1, 1).slice(0, 7),
        ),
      );
    },
  },
  {
    file: "dns-records.pcap",
    about:
      "Resource records whose data are shorter and longer than they say: A of 3 bytes, SOA of none, 65535 of nothing.",
    make(tape) {
      tape.hello(stranger(1));
      const record = (type: number, bytes: number, data: readonly number[]): number[] => [
        ...[...dnsHeader(0, 1), ...NAME, ...be16(type), 0, 1, 0, 0, 0, 60, ...be16(bytes), ...data],
      ];
      tape.add(
        ...dns(
          record(1, 3, [1, 2, 3]),
          record(28, 16, [1, 2]),
          record(6, 0, []),
          record(16, 65_535, [4, 0x61]),
          record(33, 7, [0, 1, 0, 1, 0, 80, 0xc0]),
          record(46, 18, repeat(0, 18)),
        ),
      );
    },
  },
  {
    file: "dhcp-short.pcap",
    about:
      "CVE-2021-3592: bootp replies cut off at every few bytes, options of no length, overload onto itself.",
    make(tape) {
      tape.hello(stranger(1));
      const bootp = [2, 1, 6, 0, ...repeat(7, 24), ...repeat(0, 208), 0x63, 0x82, 0x53, 0x63];
      for (const options of [[53], [53, 1], [53, 0, 255], [52, 1, 3, 255], [82, 4, 1, 200, 0, 0]]) {
        tape.add(datagram([...bootp, ...options], { sport: 67, dport: 68 }));
      }
      for (let n = 1; n < bootp.length; n += 24) {
        tape.add(datagram(bootp.slice(0, n), { sport: 67, dport: 68 }));
      }
    },
  },
  {
    file: "short-datagrams.pcap",
    about:
      "CVE-2021-3593 to 3595: tftp, ntp, snmp and mdns ports with no byte, one byte and random bytes.",
    make(tape) {
      tape.hello(stranger(1));
      for (const port of [69, 123, 161, 5353]) {
        for (const n of [0, 1, 40]) tape.add(datagram(pattern(n), { sport: port, dport: port }));
      }
    },
  },
];
