// Captures written byte by byte: what TCP connections are attacked with, by games with one that the attacker has, or
// guesses. How connections begin: captures-tcp-open.ts.

import {
  ACK,
  be16,
  be32,
  FIN,
  MAC_VICTIM,
  PORT,
  PSH,
  RST,
  SYN,
  segment,
  stranger,
  URG,
} from "../../netstack/attacks/testing-frames.ts";
import {
  ATTACKER_ISN,
  Client,
  DAYTIME_TEXT,
  type MadeCapture,
  MSS,
  MSS_SACK,
  PORT_DAYTIME,
  PORT_ECHO,
  repeat,
  type Tape,
  VICTIM_ISN,
} from "./tape.ts";

const sack = (...blocks: readonly (readonly [number, number])[]): number[] => [
  ...[1, 1, 5, 2 + 8 * blocks.length],
  ...blocks.flatMap(([from, to]) => [...be32(from), ...be32(to)]),
];

/** A connection to the echo service that got `bytes` back, none of them acknowledged yet. */
function echoed(tape: Tape, bytes: number, options: readonly number[] = MSS_SACK): Client {
  tape.hello(stranger(1));
  const c = new Client(tape, stranger(1), { dport: PORT_ECHO, options }).open();
  for (let at = 0; at < bytes; at += 1000) c.send(repeat(0x61, Math.min(1000, bytes - at)));
  return c;
}

export const TCP_CAPTURES: readonly MadeCapture[] = [
  {
    file: "blind-rst.pcap",
    about:
      "RSTs all over the window of an open connection (RFC 5961): one challenge, no reset, until the exact number.",
    make(tape) {
      const c = echoed(tape, 100).got(100).raw({});
      for (let i = 1; i <= 30; i++) c.raw({ flags: RST, seq: c.seq + i * 997, ack: 0 });
      c.raw({ flags: RST, ack: 0 });
    },
  },
  {
    file: "blind-syn.pcap",
    about:
      "SYNs into an open connection: challenged within the limit, nothing renegotiated, and data still flow.",
    make(tape) {
      const c = echoed(tape, 100).got(100).raw({});
      for (let i = 0; i < 20; i++) {
        c.raw({ flags: SYN, seq: c.seq + i * 5000, ack: 0, options: MSS });
      }
      c.send(repeat(0x62, 50));
    },
  },
  {
    file: "blind-data.pcap",
    about:
      "Data whose acknowledgment is too old or of what was never sent (RFC 5961 5.2): not taken.",
    make(tape) {
      const c = echoed(tape, 100).got(100).raw({});
      for (let k = 1; k < 16; k++) {
        const data = repeat(0x78, 10);
        c.raw({ flags: PSH | ACK, ack: (c.ack + k * 0x0800_0000) >>> 0, data });
        c.raw({ flags: PSH | ACK, ack: (c.ack - k * 0x0800_0000) >>> 0, data });
      }
      c.send(repeat(0x62, 50));
    },
  },
  {
    file: "blind-fin.pcap",
    about: "FINs beyond the edge and in the window: they wait in line and close nothing.",
    make(tape) {
      const c = echoed(tape, 100).got(100).raw({});
      for (const off of [-70_000, 10, 30_000, 100_000]) {
        c.raw({ flags: FIN | ACK, seq: (c.seq + off) >>> 0 });
      }
      c.send(repeat(0x62, 5));
    },
  },
  {
    file: "challenge-side-channel.pcap",
    about: "CVE-2016-5696: RSTs into two connections; the limiter is each connection's own.",
    make(tape) {
      tape.hello(stranger(1)).hello(stranger(2));
      const one = new Client(tape, stranger(1)).open();
      const two = new Client(tape, stranger(2)).open();
      for (let i = 1; i <= 20; i++) {
        one.raw({ flags: RST, seq: one.seq + i * 100, ack: 0 });
        two.raw({ flags: RST, seq: two.seq + i * 100, ack: 0 });
      }
    },
  },
  {
    file: "optimistic-ack.pcap",
    about:
      "ACKs of data that were never sent (Savage): ignored and answered, cwnd does not grow by them.",
    make(tape) {
      const c = echoed(tape, 4000);
      for (let i = 1; i <= 20; i++) c.raw({ ack: c.ack + 4000 + i * 1460 });
      c.got(4000).raw({});
    },
  },
  {
    file: "ack-division.pcap",
    about:
      "One segment acknowledged in two hundred pieces (Savage; RFC 3465): bytes count, not ACKs.",
    make(tape) {
      const c = echoed(tape, 1000);
      for (let i = 0; i < 200; i++) c.got(5).raw({});
    },
  },
  {
    file: "duplicate-acks.pcap",
    about: "Duplicate ACKs by the dozen (Savage) send nothing faster than one retransmission.",
    make(tape) {
      const c = echoed(tape, 3000);
      for (let i = 0; i < 40; i++) c.raw({});
      c.got(3000).raw({});
    },
  },
  {
    file: "sack-unsent.pcap",
    about:
      "SACK blocks of what was not sent, upside down, older than the ACK, and of length 0: ignored.",
    make(tape) {
      const c = echoed(tape, 3000);
      const at = c.ack;
      c.raw({ options: sack([at + 100_000, at + 101_000]) });
      c.raw({ options: sack([at + 2000, at + 1000], [at + 5, at + 5]) });
      c.raw({ options: sack([at - 50_000, at - 40_000]) });
      c.got(3000).raw({});
    },
  },
  {
    file: "sack-panic.pcap",
    about:
      "SACK panic and slowness (CVE-2019-11477, 11478): an MSS of 48 and SACKs of every second byte.",
    make(tape) {
      const c = echoed(tape, 4000, [2, 4, ...be16(48), 1, 1, 4, 2]);
      for (let i = 0; i < 60; i++) {
        const at = c.ack + 40 * (i + 1);
        c.raw({ options: sack([at, at + 8], [at + 16, at + 24], [at + 32, at + 33]) });
      }
      c.got(4000).raw({});
    },
  },
  {
    file: "segment-smack.pcap",
    about:
      "SegmentSmack (CVE-2018-5390): single bytes out of order, every second one of two hundred.",
    make(tape) {
      tape.hello(stranger(1));
      const c = new Client(tape, stranger(1)).open();
      for (let i = 0; i < 100; i++) {
        c.raw({ flags: ACK | PSH, seq: c.seq + 2 + 2 * ((i * 37) % 100), data: [i] });
      }
    },
  },
  {
    file: "zero-window.pcap",
    about:
      "Sockstress: connections that open with a window of 0 and take nothing: probed, not fed.",
    make(tape) {
      tape.hello(stranger(1));
      for (let sport = 4000; sport < 4006; sport++) {
        const c = new Client(tape, stranger(1), { sport, dport: PORT_DAYTIME });
        c.open(0);
      }
      tape.wait(5000).add(segment({ sport: 4000, dport: 9, flags: RST }));
    },
  },
  {
    file: "slowloris.pcap",
    about: "Slowloris: a byte every two seconds is a slow connection and nothing worse.",
    make(tape) {
      tape.hello(stranger(1));
      const c = new Client(tape, stranger(1)).open();
      for (let i = 0; i < 10; i++) {
        tape.wait(2000);
        c.send([0x58]);
      }
    },
  },
  {
    file: "accept-overflow.pcap",
    about: "Sixty handshakes to one listener that nobody empties: its backlog is the end of it.",
    make(tape) {
      tape.hello(stranger(1));
      for (let n = 0; n < 60; n++) {
        new Client(tape, stranger(1), { sport: 4000 + n, dport: 22 }).open();
      }
    },
  },
  {
    file: "silly-window.pcap",
    about:
      "Windows of one and two bytes (RFC 9293 3.8.6.2): no tinygrams but when the override timer says so.",
    make(tape) {
      const c = echoed(tape, 0);
      c.send(repeat(0x61, 1000), { window: 2 });
      for (let i = 0; i < 10; i++) c.raw({ window: 1 + (i & 1) });
      c.raw({ window: 60_000 });
      c.got(1000).raw({});
    },
  },
  {
    file: "shrinking-window.pcap",
    about:
      "A window that shrinks below what is in flight (RFC 9293 3.8.6) and to zero: nothing new goes.",
    make(tape) {
      const c = echoed(tape, 3000);
      c.raw({ window: 100 }).raw({ window: 0 });
      c.raw({ window: 60_000 });
      c.got(3000).raw({});
    },
  },
  {
    file: "urgent.pcap",
    about:
      "WinNuke and Urgent/11 (CVE-2019-12255): urgent pointers of 0, past the data, in a SYN, backwards, on a bare ACK.",
    make(tape) {
      tape.hello(stranger(1));
      tape.add(segment({ sport: 4100, flags: SYN | URG, urgent: 1, options: MSS }));
      const c = new Client(tape, stranger(1)).open();
      c.send([1, 2, 3], { flags: ACK | URG, urgent: 0 });
      c.send([1, 2, 3], { flags: ACK | URG, urgent: 65_535 });
      c.send([1, 2, 3], { flags: ACK | URG, urgent: 1 });
      c.raw({ flags: ACK | URG, urgent: 1000 }).raw({ flags: ACK | URG, urgent: 2 });
      c.raw({ flags: ACK | URG | FIN, urgent: 5 });
    },
  },
  {
    file: "paws.pcap",
    about:
      "PAWS poisoning (RFC 7323 5): a timestamp of the future outside the window moves nothing, an old one is refused.",
    make(tape) {
      tape.hello(stranger(1));
      const c = new Client(tape, stranger(1), { timestamps: true, options: MSS }).open();
      c.send(repeat(0x61, 10));
      c.raw({
        flags: ACK | PSH,
        seq: (c.seq + 0x4000_0000) >>> 0,
        data: [9],
        stampOffset: 0x7000_0000,
      });
      c.raw({ flags: ACK | PSH, data: [9], stampOffset: -500 });
      c.send(repeat(0x62, 10));
    },
  },
  {
    file: "wrapped-sequence.pcap",
    about:
      "Segments half the number space away on both sides: outside, and answered by one duplicate ACK at most.",
    make(tape) {
      tape.hello(stranger(1));
      const c = new Client(tape, stranger(1)).open();
      for (const off of [0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0x8000_0001]) {
        c.raw({ flags: ACK | PSH, seq: (c.seq + off) >>> 0, data: [1, 2, 3] });
      }
      c.send([4, 5, 6]);
    },
  },
  {
    file: "overlapping-data.pcap",
    about: "Data sent twice with other bytes: the first to arrive stay (RFC 9293 3.10.7.4).",
    make(tape) {
      tape.hello(stranger(1));
      const c = new Client(tape, stranger(1), { dport: PORT_ECHO }).open();
      c.raw({ flags: ACK | PSH, seq: c.seq + 4, data: repeat(0x42, 4) });
      c.raw({ flags: ACK | PSH, seq: c.seq + 2, data: repeat(0x58, 6) });
      c.send(repeat(0x41, 4));
    },
  },
  {
    file: "time-wait.pcap",
    about:
      "TIME-WAIT assassination (RFC 1337): after both closed, old RSTs, SYNs and data do not open the pair again.",
    make(tape) {
      tape.hello(stranger(1));
      const c = new Client(tape, stranger(1), { dport: PORT_DAYTIME }).open();
      c.got(DAYTIME_TEXT.length + 1).raw({});
      c.raw({ flags: FIN | ACK });
      c.seq++;
      tape.wait(100);
      c.raw({ flags: RST, seq: c.seq + 100, ack: 0 });
      c.raw({ flags: ACK | PSH, seq: c.seq - 10, data: [1] });
      c.raw({ flags: SYN, seq: ATTACKER_ISN - 70_000, ack: 0, options: MSS });
    },
  },
  {
    file: "simultaneous-open.pcap",
    about:
      "SYN-ACKs that answer nothing, to an open and a closed port: reset, each by its own number.",
    make(tape) {
      tape.hello(stranger(1));
      for (const dport of [PORT, 81]) {
        tape.add(segment({ dport, flags: SYN | ACK, seq: 7, ack: VICTIM_ISN, options: MSS }));
      }
    },
  },
  {
    file: "handshake-wrong-ack.pcap",
    about: "Handshakes ended by an ACK of another number: reset, nothing is accepted.",
    make(tape) {
      tape.hello(stranger(1));
      for (const [i, off] of [0, 2, 0x4000_0000].entries()) {
        const c = new Client(tape, stranger(1), { sport: 4000 + i });
        c.raw({ flags: SYN, ack: 0, options: MSS });
        c.seq++;
        c.raw({ ack: VICTIM_ISN + off });
      }
    },
  },
  {
    file: "shrew.pcap",
    about:
      "Shrew: acknowledgments withheld in step with the timer; it backs off by RFC 6298 and the data go once each time.",
    make(tape) {
      const c = echoed(tape, 1000);
      tape.wait(9000);
      c.got(1000).raw({});
    },
  },
  {
    file: "half-close-flood.pcap",
    about:
      "FIN right behind the handshake, two dozen times: the victim closes, nothing stays half-closed.",
    make(tape) {
      tape.hello(stranger(1));
      for (let n = 0; n < 24; n++) {
        const c = new Client(tape, stranger(1), { sport: 4000 + n }).open();
        c.raw({ flags: FIN | ACK });
        c.seq++;
        c.got(1).raw({});
      }
      tape.add(segment({ mac: MAC_VICTIM, flags: RST, dport: 9 }));
    },
  },
];
