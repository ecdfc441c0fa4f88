// Conversations of one tester with a station: the host's kernel (linux-tap.ts) or a stack of ours in the same place.
// Both are given the same frames and calls; what each answers is told in words, with numbers counted from where the
// station began. Nothing in a conversation waits for a timer but for a delayed acknowledgment.

import fc from "fast-check";
import { errnoName } from "../../src/abi/errno.ts";
import { setU16, setU32, u16, u32 } from "../../src/base/bytes.ts";
import { DEFAULT_LIMITS } from "../../src/base/limits.ts";
import { DEFAULT_PLACE, type Way } from "../../src/lab/arbitraries/place.ts";
import { ipFrame, udp } from "../../src/lab/arbitraries/plain.ts";
import { ICMP, ICMPV6 } from "../../src/lab/arbitraries/transport.ts";
import {
  ACK,
  FIN,
  OPT_MSS,
  OPT_SACK_OK,
  OPT_SCALE,
  OPT_TIMESTAMPS,
  Peer,
  PSH,
  RST,
  type SegmentStep,
  SYN,
  URG,
} from "../../src/lab/fuzz/peer.ts";
import { Subject } from "../../src/lab/fuzz/subject.ts";
import { Wire } from "../../src/lab/fuzz/wire.ts";
import { flagText } from "../../src/lab/replay/wire-segment.ts";
import {
  type DatagramEndpoint,
  type Family,
  IpAddr,
  newDatagramInfo,
  parseIp,
  type TcpEndpoint,
} from "../../src/netstack/index.ts";
import { errnoOf } from "../../src/sentry/socket/errno-of.ts";
import type { Told } from "./linux-tap.ts";

export type Step =
  | SegmentStep
  /** A command of linux-tap.py. */
  | { do: "tell"; command: string }
  | { do: "datagram"; toPort: number; fromPort: number; length: number }
  /** An ICMP error that quotes what the station sent last; beside: from another port of its than it was. */
  | { do: "error"; type: number; code: number; mtu: number; beside: number };

export interface Conversation {
  family: Family;
  steps: Step[];
}

export interface Station {
  tell(command: string): Promise<Told>;
  inject(frame: Uint8Array): Promise<Told>;
}

export const SERVER_PORT = 8_080;
const TCP_CLOSE = 7;
/** About what a step takes the host. */
const STEP_NS = 1e6;
const ETH = 14;
const ISS = 0x10_0000;
const [TESTER] = DEFAULT_PLACE.strangers;
const STATION = DEFAULT_PLACE.subject;

// --- What is said ---

const tell = (command: string): Step => ({ do: "tell", command });
const segment = (flags: number, more: Partial<SegmentStep> = {}): SegmentStep => ({
  ...{ do: "segment", peer: 0, flags, seq: 0, ack: 0, length: 0 },
  ...{ window: 65_535, urgent: 0, options: 0, ...more },
});

const length = fc.constantFrom(1, 7, 100, 536, 1_000, 1_400);
const near = fc.constantFrom(0, 0, 0, 0, -1, 1, -100, 100, -1_400, 700);
/** Beyond what was sent we are silent, as Linux was for long; 6.18 answers (docs/fuzzing.md). */
const acked = fc.constantFrom(0, 0, 0, -1, -100, -1_400);
const window = fc.constantFrom(65_535, 65_535, 20_000, 0);

const move: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ seq: near, length, window }).map((m) => segment(ACK | PSH, m)),
  },
  { weight: 4, arbitrary: fc.record({ ack: acked, window }).map((m) => segment(ACK, m)) },
  { weight: 1, arbitrary: fc.record({ length, urgent: length }).map((m) => segment(ACK | URG, m)) },
  {
    weight: 1,
    arbitrary: fc
      .record({ seq: fc.constantFrom(0, 0, -1), length: fc.constantFrom(0, 50) })
      .map((m) => segment(FIN | ACK, m)),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ seq: fc.constantFrom(0, 1, 60_000, -1, 200_000) })
      .map((m) => segment(RST, m)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(segment(SYN), segment(SYN | ACK), segment(0, { length: 9 })),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(1, 100, 1_400, 3_000, 5_000).map((n) => tell(`write ${n}`)),
  },
  { weight: 3, arbitrary: fc.constantFrom(50, 65_536).map((n) => tell(`read ${n}`)) },
  { weight: 1, arbitrary: fc.constantFrom(tell("shutdown"), tell("close"), tell("quiet 60")) },
);

/** The tester opens, with the options of these bits; then anything may happen. */
const opening = fc
  .record({
    options: fc.constantFrom(
      0,
      OPT_MSS,
      OPT_MSS | OPT_SCALE | OPT_SACK_OK | OPT_TIMESTAMPS,
      OPT_MSS | OPT_SACK_OK,
      OPT_MSS | OPT_SCALE,
    ),
    window,
  })
  .map(({ options, window: offered }) => {
    const data = options & OPT_TIMESTAMPS;
    const steps = [
      segment(SYN, { options, window: offered }),
      segment(ACK, { options: data, window: offered }),
    ];
    return { data, steps: [...steps, tell("accept")] };
  });

const family = fc.constantFrom<Family>(4, 6);

export const tcpConversation: fc.Arbitrary<Conversation> = fc
  .record({ family, opening, moves: fc.array(move, { minLength: 4, maxLength: 14 }) })
  .map(({ family: of, opening: { data, steps }, moves }) => ({
    family: of,
    steps: [
      tell(`listen ${of} ${SERVER_PORT}`),
      ...steps,
      // Who asked for timestamps has them in every segment.
      ...moves.map((m) => (m.do === "segment" ? { ...m, options: m.options | data } : m)),
    ],
  }));

const datagramMove: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        toPort: fc.constantFrom(SERVER_PORT, SERVER_PORT, SERVER_PORT, SERVER_PORT + 1),
        fromPort: fc.constantFrom(0, 0, 0, 1),
        length: fc.constantFrom(0, 1, 100, 1_400),
      })
      .map((m) => ({ do: "datagram" as const, ...m })),
  },
  { weight: 3, arbitrary: fc.constant(tell("receive")) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(0, 5, 1_200, 1_452, 1_473, 4_000).map((n) => tell(`answer ${n}`)),
  },
  { weight: 1, arbitrary: fc.constantFrom(tell("attach"), tell("close")) },
);

/** Errors of the network about what the station sent: unreachable in any way, too large, out of time. */
const errorOf = (of: Family): fc.Arbitrary<Step> =>
  fc.record<Step & { do: "error" }>({
    do: fc.constant("error" as const),
    ...(of === 4
      ? { type: fc.constantFrom(3, 3, 3, 11), code: fc.constantFrom(0, 1, 2, 3, 4, 10, 13) }
      : { type: fc.constantFrom(1, 1, 2, 3), code: fc.constantFrom(0, 1, 3, 4, 6) }),
    mtu: fc.constantFrom(1_300, 1_400, 2_000),
    beside: fc.constantFrom(0, 0, 0, 1),
  });

export const udpConversation: fc.Arbitrary<Conversation> = family.chain((of) =>
  fc
    .array(
      fc.oneof({ weight: 4, arbitrary: datagramMove }, { weight: 1, arbitrary: errorOf(of) }),
      {
        minLength: 5,
        maxLength: 14,
      },
    )
    .map((moves) => ({ family: of, steps: [tell(`udp ${of} ${SERVER_PORT}`), ...moves] })),
);

/** The station opens. Where the tester does not agree, nothing more is said but by the application. */
export const dialConversation: fc.Arbitrary<Conversation> = family.chain((of) => {
  const refusal = fc.oneof(
    fc.constantFrom<Step>(segment(RST | ACK), segment(RST), segment(ACK)),
    errorOf(of),
  );
  const call = fc.constantFrom("write 100", "read 50", "shutdown", "close").map(tell);
  const steps = fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .array(move, { minLength: 2, maxLength: 10 })
        .map((moves) => [segment(SYN | ACK, { options: OPT_MSS }), ...moves]),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(refusal, fc.array(call, { minLength: 2, maxLength: 4 }))
        .map(([answer, calls]) => [answer, ...calls]),
    },
  );
  const to = of === 4 ? TESTER.ip4 : TESTER.ip6;
  return steps.map((said) => ({ family: of, steps: [tell(`connect ${of} ${to} 7`), ...said] }));
});

// --- Who says it ---

/** What came of each step, in words. */
export async function converse(
  station: Station,
  { family: of, steps }: Conversation,
  number: number,
): Promise<string[]> {
  const tester = new Tester(of, 20_000 + 2 * (number % 10_000));
  const told: string[] = [];
  for (const [i, step] of steps.entries()) {
    const { result, frames } =
      step.do === "tell"
        ? await station.tell(step.command)
        : await station.inject(tester.frameOf(step, i));
    // How long the ACK of a FIN may wait depends on what came before, down to a tick of the host's clock.
    if (step.do === "segment" && (step.flags & FIN) !== 0) {
      frames.push(...(await station.tell("quiet 60")).frames);
    }
    if (result.startsWith("ended")) throw new Error(result);
    const words = frames.map((f) => tester.hear(f)).filter((text) => text !== null);
    const what = textOf(step);
    told.push(`${what}: ${[step.do === "tell" ? result : "", ...words].join(" | ")}`);
  }
  await station.tell("reset");
  if (steps.some((step) => step.do === "error")) await station.tell("forget");
  return told;
}

function textOf(step: Step): string {
  if (step.do === "tell") return step.command;
  if (step.do === "datagram")
    return `datagram ${step.fromPort} to ${step.toPort} of ${step.length}`;
  if (step.do === "error") {
    const { type, code, mtu, beside } = step;
    return `error ${type}/${code} mtu ${mtu}${beside > 0 ? " beside" : ""}`;
  }
  const { flags, seq, ack, length: bytes, window: offered, urgent, options } = step;
  const more = `${urgent > 0 ? ` urg ${urgent}` : ""}${options > 0 ? ` options ${options}` : ""}`;
  return `< ${flagText(flags)} seq ${seq} ack ${ack} of ${bytes} win ${offered}${more}`;
}

class Tester {
  readonly #way: Way;
  readonly #port: number;
  readonly #peer: Peer;
  /** Of the station's SYN; null: not seen. */
  #isn: number | null = null;
  /** The last packet of the station's, from its IP header on. */
  #last: Uint8Array = new Uint8Array(0);

  constructor(family: Family, port: number) {
    const [src, dst] = family === 4 ? [TESTER.ip4, STATION.ip4] : [TESTER.ip6, STATION.ip6];
    this.#way = { srcMac: TESTER.mac, dstMac: STATION.mac, src, dst };
    this.#port = port;
    this.#peer = new Peer(this.#way, port, SERVER_PORT);
  }

  frameOf(step: Exclude<Step, { do: "tell" }>, i: number): Uint8Array {
    if (step.do === "segment") return this.#peer.segment(step, 1_000 + 10 * i);
    if (step.do === "datagram") {
      const data = new Uint8Array(step.length).fill(0x78);
      return ipFrame(this.#way, udp(this.#port + step.fromPort, step.toPort, data));
    }
    const isV4 = this.#way.src.isV4;
    const quoted = this.#last.slice(0, isV4 ? 28 : 512);
    const ports = isV4 ? 20 : 40;
    if (step.beside > 0 && quoted.length > ports + 2) {
      setU16(quoted, ports, u16(quoted, ports) + step.beside);
    }
    const bytes = new Uint8Array(8 + quoted.length);
    bytes[0] = step.type;
    bytes[1] = step.code;
    const isTooLarge = isV4 ? step.type === 3 && step.code === 4 : step.type === 2;
    if (isTooLarge) setU32(bytes, 4, step.mtu);
    bytes.set(quoted, 8);
    const protocol = isV4 ? ICMP : ICMPV6;
    return ipFrame(this.#way, { protocol, bytes, checksumAt: 2, checksumOff: 0 });
  }

  /** A frame of the station's in words; null: of another conversation, or a station's own affair. */
  hear(f: Uint8Array): string | null {
    const type = u16(f, 12);
    if (type !== (this.#way.src.isV4 ? 0x0800 : 0x86dd)) return null;
    const isV4 = type === 0x0800;
    let at = isV4 ? ETH + ((f[ETH] & 15) << 2) : ETH + 40;
    const end = isV4 ? ETH + u16(f, ETH + 2) : ETH + 40 + u16(f, ETH + 4);
    let protocol = f[ETH + (isV4 ? 9 : 6)];
    let fragment = "";
    const place = isV4 ? u16(f, ETH + 6) : 0;
    if (isV4 && (place & 0x4000) !== 0) fragment = "DF ";
    if (isV4 && (place & 0x3fff) !== 0) fragment = `fragment ${place.toString(16)} `;
    if (protocol === 44) {
      fragment = `fragment ${u16(f, at + 2).toString(16)} `;
      protocol = f[at];
      at += 8;
    }
    const first = isV4 ? (place & 0x1fff) === 0 : !/fragment (?!1 )/.test(fragment);
    if (protocol === 6) return this.#segment(f, at, end, fragment);
    if (protocol === 17) {
      if (first && u16(f, at + 2) !== this.#port && u16(f, at + 2) !== this.#port + 1) return null;
      if (first) this.#last = f.slice(ETH, end);
      const ports = first ? `${u16(f, at)} to ${u16(f, at + 2) - this.#port} ` : "";
      return `${fragment}udp ${ports}of ${end - at}`;
    }
    if (protocol !== (isV4 ? ICMP : ICMPV6) || (!isV4 && f[at] >= 130)) return null;
    return `icmp ${f[at]}/${f[at + 1]} rest ${u32(f, at + 4)} of ${end - at}`;
  }

  #segment(f: Uint8Array, at: number, end: number, fragment: string): string | null {
    const flags = f[at + 13];
    if ((flags & (SYN | ACK)) === SYN && u16(f, at + 2) === 7) {
      this.#peer.adopt(f, at);
    } else if (u16(f, at + 2) !== this.#peer.sport || u16(f, at) !== this.#peer.dport) return null;
    this.#last = f.slice(ETH, end);
    if ((flags & SYN) !== 0) this.#isn = u32(f, at + 4);
    this.#peer.follow(f, at, end);
    const data = at + ((f[at + 12] >>> 4) << 2);
    const isn = this.#isn;
    // What a RST to a segment without an ACK has is no number of the connection (RFC 9293 3.10.7.1).
    const isCounted = isn !== null && u32(f, at + 4) !== 0;
    const seq = isCounted ? (u32(f, at + 4) - isn) | 0 : u32(f, at + 4);
    const ack = (flags & ACK) === 0 ? 0 : (u32(f, at + 8) - ISS) | 0;
    const options = this.#options(f, at + 20, data);
    return `${fragment}${flagText(flags)} seq ${seq} ack ${ack} of ${end - data}${options}`;
  }

  /** All but what is random, or measured. */
  #options(f: Uint8Array, from: number, to: number): string {
    let words = "";
    for (let o = from; o < to && f[o] !== 0; o += f[o] === 1 ? 1 : f[o + 1]) {
      if (f[o] === 2) words += ` mss ${u16(f, o + 2)}`;
      if (f[o] === 3) words += " scale";
      if (f[o] === 4) words += " sackOK";
      if (f[o] === 8) words += " TS";
      for (let e = o + 2; f[o] === 5 && e < o + f[o + 1]; e += 4) {
        words += ` sack ${(u32(f, e) - ISS) | 0}`;
      }
    }
    return words;
  }
}

// --- A stack of ours as a station ---

const anyOf = (family: string): IpAddr => (family === "4" ? IpAddr.v4(0, 0, 0, 0) : new IpAddr());

/** The commands of linux-tap.py on a stack in virtual time. */
export class OurStation implements Station {
  readonly #subject = new Subject({ seed: 1, limits: DEFAULT_LIMITS });
  readonly #wire: Wire;
  #frames: Uint8Array[] = [];
  #listener: TcpEndpoint | null = null;
  #connection: TcpEndpoint | null = null;
  #socket: DatagramEndpoint | null = null;
  #client: { addr: IpAddr; port: number } | null = null;

  constructor() {
    const { stack } = this.#subject;
    stack.icmp.limit.hostIntervalNs = 0;
    const { settings } = stack.tcp;
    settings.invalidRatelimitMs = 0;
    settings.earlyRetrans = 0;
    settings.autocorking = 0;
    this.#wire = new Wire(this.#subject, (_now, b, n, isOut) => {
      if (isOut) this.#frames.push(b.slice(0, n));
    });
    this.#wire.isJudge = false;
  }

  async inject(frame: Uint8Array): Promise<Told> {
    this.#subject.advance(STEP_NS);
    this.#subject.inject(frame);
    return this.#told("0");
  }

  async tell(command: string): Promise<Told> {
    this.#subject.advance(STEP_NS);
    const n = this.#act(command.split(" "));
    this.#subject.stack.runPending();
    return this.#told(typeof n === "string" ? n : errnoName(errnoOf(n as never)));
  }

  #told(result: string): Told {
    this.#wire.settle((answer) => this.#subject.inject(answer));
    const frames = this.#frames;
    this.#frames = [];
    return { result, frames };
  }

  /** A result as Python tells it, or a NetErr. */
  #act([name, ...args]: string[]): string | number {
    const { endpoints } = this.#subject.stack;
    const connection = this.#connection;
    switch (name) {
      case "listen": {
        this.#listener = endpoints.tcp(Number(args[0]) as Family) as TcpEndpoint;
        this.#listener.bind(anyOf(args[0]), Number(args[1]));
        return this.#listener.listen(8) || "0";
      }
      case "connect": {
        this.#connection = endpoints.tcp(Number(args[0]) as Family) as TcpEndpoint;
        return this.#connection.connect(parseIp(args[1]) as IpAddr, Number(args[2])) || "0";
      }
      case "accept":
        this.#connection = this.#listener?.accept() ?? null;
        return this.#connection === null ? "EAGAIN" : "0";
      case "udp":
        this.#socket = endpoints.udp(Number(args[0]) as Family) as DatagramEndpoint;
        return this.#socket.bind(anyOf(args[0]), Number(args[1])) || "0";
      // Each conversation has a stack of its own.
      case "forget":
        return "0";
      case "quiet":
        this.#subject.advance(Number(args[0]) * 1e6);
        return "0";
      case "reset":
        this.#connection?.abort();
        for (const e of [connection, this.#listener, this.#socket]) e?.close();
        this.#connection = this.#listener = this.#socket = this.#client = null;
        return "0";
    }
    if (name === "answer" && this.#client === null) return "nobody";
    if (this.#socket !== null) return this.#datagram(this.#socket, name, Number(args[0]));
    return connection === null ? "none" : this.#stream(connection, name, Number(args[0]));
  }

  #stream(connection: TcpEndpoint, name: string, count: number): string | number {
    const bytes = new Uint8Array(Number.isNaN(count) ? 0 : count);
    switch (name) {
      case "write": {
        const n = connection.write(bytes.fill(0x78), 0, count, 0);
        return n < 0 ? n : String(n);
      }
      case "read": {
        const n = connection.read(bytes, 0, count, false);
        return n < 0 ? n : `x${n}`;
      }
      case "shutdown":
        // inet_shutdown: what is closed is not connected.
        return connection.state === TCP_CLOSE
          ? "ENOTCONN"
          : connection.shutdown(false, true) || "0";
    }
    connection.close();
    this.#connection = null;
    return "0";
  }

  #datagram(socket: DatagramEndpoint, name: string, count: number): string | number {
    const error = name === "close" || name === "attach" ? 0 : socket.takeError();
    if (error !== 0) return error;
    const from = newDatagramInfo();
    const client = this.#client;
    switch (name) {
      case "receive": {
        const n = socket.receive(new Uint8Array(65_536), 0, 65_536, from, false);
        if (n < 0) return n;
        this.#client = { addr: from.addr.clone(), port: from.port };
        return `x${n}`;
      }
      case "answer": {
        const { addr, port } = client as NonNullable<typeof client>;
        const n = socket.send(new Uint8Array(count), 0, count, addr, port);
        return n < 0 ? n : String(n);
      }
      case "attach":
        return client === null ? "none" : socket.connect(client.addr, client.port) || "0";
    }
    socket.close();
    this.#socket = null;
    return "0";
  }

  close(): void {
    this.#subject.close();
  }
}
