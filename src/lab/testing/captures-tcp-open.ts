// Captures of how connections begin, and of what arrives at ports without one: floods, scans, stray segments.
// Written byte by byte, as all of made-captures.ts.

import {
  ACK,
  FIN,
  PORT,
  PSH,
  pattern,
  RST,
  SYN,
  segment,
  stranger,
  stranger6,
  URG,
} from "../../netstack/attacks/testing-frames.ts";
import { Client, type MadeCapture, MSS, repeat } from "./tape.ts";

export const TCP_OPEN_CAPTURES: readonly MadeCapture[] = [
  {
    file: "handshake.pcap",
    about: "An honest connection for comparison: opened, a thousand bytes, closed from both sides.",
    make(tape) {
      tape.hello(stranger(1));
      const c = new Client(tape, stranger(1)).open();
      c.send(repeat(0x61, 1000)).raw({ flags: FIN | ACK });
      c.seq++;
      c.got(1).raw({});
    },
  },
  {
    file: "syn-flood.pcap",
    about:
      "A hundred SYNs from addresses that do not exist: half-open at most, each dropped when its address is not found.",
    make(tape) {
      for (let n = 0; n < 100; n++) tape.add(segment({ src: stranger(n), seq: n, options: MSS }));
    },
  },
  {
    file: "syn-flood6.pcap",
    about: "Sixty SYNs from IPv6 addresses that do not exist, likewise.",
    make(tape) {
      for (let n = 0; n < 60; n++) {
        tape.add(segment({ src: stranger6(n), seq: n, options: MSS }));
      }
    },
  },
  {
    file: "syn-repeated.pcap",
    about:
      "Reflection: the same SYN again and again gets the same SYN-ACK, no faster than it came.",
    make(tape) {
      tape.hello(stranger(1));
      for (let n = 0; n < 10; n++) tape.add(segment({ options: MSS }));
    },
  },
  {
    file: "middlebox-reflection.pcap",
    about:
      "Requests to closed ports without a handshake are answered by no more bytes than they had.",
    make(tape) {
      tape.hello(stranger(1));
      const data = pattern(200);
      tape.add(segment({ dport: 443, flags: PSH | ACK, seq: 1, ack: 1, data }));
      tape.add(
        segment({ dport: 443, flags: SYN, data }),
        segment({ dport: 443, flags: SYN | PSH }),
      );
    },
  },
  {
    file: "port-scan-syn.pcap",
    about: "SYNs to sixty ports: three are open, the others are reset.",
    make(tape) {
      tape.hello(stranger(1));
      for (let port = 1; port <= 60; port++) tape.add(segment({ dport: port, options: MSS }));
    },
  },
  {
    file: "port-scan-odd.pcap",
    about:
      "FIN, NULL, Xmas, ACK and Maimon scans: the open port resets what has an ACK only, the closed one all but RSTs (RFC 9293 3.10.7).",
    make(tape) {
      tape.hello(stranger(1));
      for (const dport of [PORT, 81]) {
        for (const flags of [FIN, 0, FIN | PSH | URG, ACK, FIN | ACK, SYN | FIN, RST, SYN | RST]) {
          tape.add(segment({ dport, flags, seq: 5, ack: 6 }));
        }
      }
    },
  },
  {
    file: "stray-segments.pcap",
    about:
      "RSTs, ACKs and data for connections that never were: RSTs are not answered, the rest is reset.",
    make(tape) {
      tape.hello(stranger(1));
      for (let i = 0; i < 5; i++) {
        tape.add(segment({ sport: 2000 + i, flags: RST, seq: i }));
        tape.add(segment({ sport: 2000 + i, flags: ACK, ack: i, seq: i }));
        tape.add(segment({ sport: 2000 + i, flags: ACK | PSH, ack: i, seq: i, data: [1] }));
      }
    },
  },
  {
    file: "tcp-options.pcap",
    about: "SYNs with options of every kind and of lengths 0, 1, too short and past the header.",
    make(tape) {
      tape.hello(stranger(1));
      let sport = 5000;
      for (let kind = 0; kind < 256; kind += 3) {
        const length = [0, 1, 2, 10, 40][kind % 5];
        tape.add(segment({ sport: sport++, options: [kind, length, ...repeat(kind, 10)] }));
      }
    },
  },
  {
    file: "data-offset.pcap",
    about: "Data offsets of 0 to 4 words and past the segment's end: dropped.",
    make(tape) {
      for (const dataOffset of [0, 1, 4, 6, 15]) tape.add(segment({ dataOffset }));
    },
  },
  {
    file: "ports-zero.pcap",
    about: "SYNs from and to port 0 and to a group's MAC address.",
    make(tape) {
      tape.hello(stranger(1));
      tape.add(segment({ sport: 0 }), segment({ dport: 0 }), segment({ sport: 0, dport: 0 }));
      tape.add(segment({ mac: [1, 0, 0x5e, 0, 0, 1] }));
    },
  },
];
