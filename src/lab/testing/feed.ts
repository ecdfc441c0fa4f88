// Plays a capture at the victim of the attack tests, at its own pace, with an honest connection beside it, and
// says what came of it: packets dropped and why, what TCP counted, what was answered. What the victim sent when a
// capture was recorded is left out; its first sequence numbers now take the place of those on tape.

import { setU16, setU32, u16, u32 } from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import { CaptureReader, sourceOf } from "../../link/index.ts";
import { Arena, type Honest } from "../../netstack/attacks/testing.ts";
import { MAC_VICTIM, PORT } from "../../netstack/attacks/testing-frames.ts";
import {
  checksum,
  type Family,
  IpAddr,
  pseudoSum,
  Ready,
  type TcpEndpoint,
} from "../../netstack/index.ts";
import { PacketView, TCP_ACK, TCP_SYN } from "../sim/packet-view.ts";
import { DAYTIME_TEXT, PORT_DAYTIME, PORT_ECHO, VICTIM_ISN } from "./tape.ts";

export interface Outcome {
  /** By reason; every one that is not named is 0. */
  drops: Record<string, number>;
  /** What TCP counted while the tape ran. */
  tcp: Record<string, number>;
  /** Frames that the victim sent, by kind. */
  answers: Record<string, number>;
}

/** Counted only when they tell something: not the ordinary business of the honest connection. */
const TOLD = [
  ..."PassiveOpens EstabResets InErrs InCsumErrors OutRsts EmbryonicRsts ListenDrops ListenOverflows".split(
    " ",
  ),
  ..."PAWSEstab TCPChallengeACK TCPSYNChallenge TCPSACKDiscard TCPOFOQueue TCPOFOMerge TCPOFODrop".split(
    " ",
  ),
  ..."TCPTimeouts TCPFastRetrans TW TCPTimeWaitAssassinationIgnored BeyondWindow TCPWinProbe".split(
    " ",
  ),
];

const AFTERWARDS_NS = 70 * SECOND;
const FLAG_LETTERS = "FSRP.UEW";
const GROUP_OF_PORT_22 = 8;

const flagText = (flags: number): string =>
  [...FLAG_LETTERS].filter((_, bit) => (flags & (1 << bit)) !== 0).join("") || "none";

/** "tcp S.", "icmp 3/3", "icmp6 136", "arp reply", "udp". */
function kindOf(view: PacketView, frame: Uint8Array): string {
  if (view.etherType === 0x0806) return u16(frame, 20) === 1 ? "arp request" : "arp reply";
  if (view.protocol === 6) return `tcp ${flagText(view.flags)}`;
  if (view.protocol === 17) return "udp";
  if (view.protocol === 1) return `icmp ${view.icmpType}/${view.icmpCode}`;
  if (view.protocol === 58) return `icmp6 ${view.icmpType}/${view.icmpCode}`;
  return `ethertype ${view.etherType}, protocol ${view.protocol}`;
}

class Services {
  readonly #arena: Arena;
  readonly #listeners: TcpEndpoint[] = [];
  readonly #buffer = new Uint8Array(65_536);

  constructor(arena: Arena) {
    this.#arena = arena;
    for (const family of [4, 6] as const) {
      this.#listen(PORT, family, (child) => this.#read(child, false));
      this.#listen(PORT_ECHO, family, (child) => this.#read(child, true));
      this.#listen(PORT_DAYTIME, family, (child) => {
        const line = Uint8Array.from(DAYTIME_TEXT, (c) => c.charCodeAt(0));
        child.write(line, 0, line.length, 0);
        child.close();
      });
    }
    // Nobody accepts from this one.
    this.#listen(22, 4, null, GROUP_OF_PORT_22);
  }

  #listen(
    port: number,
    family: Family,
    serve: ((child: TcpEndpoint) => void) | null,
    backlog = 128,
  ): void {
    const listener = this.#arena.tcp(this.#arena.victim, family);
    if (family === 6) listener.options.v6Only = true;
    const any = family === 4 ? new IpAddr().setV4(0) : new IpAddr();
    const error = listener.bind(any, port) || listener.listen(backlog);
    if (error !== 0) throw new Error(`listen: ${error}`);
    this.#listeners.push(listener);
    if (serve === null) return;
    listener.onReadiness = () => {
      for (let child = listener.accept(); child !== null; child = listener.accept()) serve(child);
    };
  }

  #read(child: TcpEndpoint, isEcho: boolean): void {
    const pump = (): void => {
      for (;;) {
        const n = child.read(this.#buffer, 0, this.#buffer.length, false);
        if (n > 0 && isEcho) child.write(this.#buffer, 0, n, 0);
        if (n > 0) continue;
        if ((child.readiness() & (Ready.ReadClosed | Ready.Error)) !== 0) {
          child.onReadiness = null;
          child.close();
        }
        return;
      }
    };
    child.onReadiness = pump;
    pump();
  }
}

export class Feed {
  readonly arena = new Arena();
  readonly #honest: Honest;
  readonly #view = new PacketView();
  /** The victim's first number towards each attacker, now and on tape. */
  readonly #isn = new Map<string, number>();
  readonly #tapeIsn = new Map<string, number>();
  readonly #answers: Record<string, number> = {};

  constructor() {
    const { arena } = this;
    const listener = arena.listen(8080);
    this.#honest = arena.connect(listener, 8080);
    new Services(arena);
    const note = arena.link.onSend;
    arena.link.onSend = (frame) => {
      note(frame);
      this.#onAnswer(frame);
    };
  }

  #onAnswer(frame: Uint8Array): void {
    const view = this.#view.read(frame, 0, frame.length);
    if (view.protocol === 6 && view.sport === 8080) return;
    if (view.protocol === 6 && (view.flags & (TCP_SYN | TCP_ACK)) === (TCP_SYN | TCP_ACK)) {
      this.#isn.set(`${view.dst} ${view.dport} ${view.sport}`, view.seq);
    }
    const kind = kindOf(view, frame);
    this.#answers[kind] = (this.#answers[kind] ?? 0) + 1;
  }

  /** All of a capture; throws nothing, or there is a bug. */
  play(file: Uint8Array): Outcome {
    const { arena } = this;
    arena.take();
    const before = { ...arena.victim.tcp.stats } as Record<string, number>;
    const startNs = arena.clock.monotonicNs();
    const reader = new CaptureReader(sourceOf(file));
    let first = -1;
    for (let frame = reader.next(); frame !== null; frame = reader.next()) {
      const atNs = (frame.seconds % 1e6) * SECOND + frame.nanoseconds;
      if (first < 0) first = atNs;
      const due = startNs + atNs - first;
      if (due > arena.clock.monotonicNs()) arena.run(due - arena.clock.monotonicNs());
      const bytes = frame.bytes.slice(frame.offset, frame.offset + frame.length);
      if (this.#isVictims(bytes)) continue;
      this.#anchor(bytes);
      arena.inject(bytes);
    }
    arena.run(AFTERWARDS_NS);
    this.#honest.livesOn();
    const tcp: Record<string, number> = {};
    const now = { ...arena.victim.tcp.stats } as Record<string, number>;
    for (const name of TOLD) if (now[name] > before[name]) tcp[name] = now[name] - before[name];
    return { drops: arena.drops(), tcp, answers: this.#answers };
  }

  /** Sent by the victim when this was recorded; its SYN-ACK has the number that the tape's ACKs are about. */
  #isVictims(b: Uint8Array): boolean {
    if (!MAC_VICTIM.every((byte, i) => b[6 + i] === byte)) return false;
    const view = this.#view.read(b, 0, b.length);
    if (view.protocol === 6 && (view.flags & (TCP_SYN | TCP_ACK)) === (TCP_SYN | TCP_ACK)) {
      this.#tapeIsn.set(`${view.dst} ${view.dport} ${view.sport}`, view.seq);
    }
    return true;
  }

  /** Acknowledgments and SACK blocks of an attacker's, from the victim's number on tape to that of now. */
  #anchor(b: Uint8Array): void {
    const view = this.#view.read(b, 0, b.length);
    if (view.protocol !== 6 || view.isFragment) return;
    const key = `${view.src} ${view.sport} ${view.dport}`;
    const isn = this.#isn.get(key);
    if (isn === undefined || (view.flags & TCP_ACK) === 0) return;
    const { l4 } = view;
    const length = b.length - l4;
    const seed = pseudoSum(view.src, view.dst, 6, length);
    if (checksum(b, l4, length, seed) !== 0) return;
    const shift = (isn - (this.#tapeIsn.get(key) ?? VICTIM_ISN)) | 0;
    setU32(b, l4 + 8, (view.ack + shift) >>> 0);
    const end = l4 + (b[l4 + 12] >>> 4) * 4;
    for (let o = l4 + 20; o < end && b[o] !== 0; o += b[o] === 1 ? 1 : b[o + 1] || 40) {
      if (b[o] !== 5) continue;
      for (let at = o + 2; at + 4 <= o + b[o + 1]; at += 4)
        setU32(b, at, (u32(b, at) + shift) >>> 0);
    }
    setU16(b, l4 + 16, 0);
    setU16(b, l4 + 16, checksum(b, l4, length, seed));
  }
}
