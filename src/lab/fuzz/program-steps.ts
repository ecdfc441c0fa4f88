// What a server in a sandbox is given by `netcell fuzz -- PROGRAM`: connections, and on them bytes made from those
// of the corpus, cut anywhere; or datagrams made from them; at the level of packets also raw frames. Pure: who sends
// it is the command line.

import fc from "fast-check";
import { setU16, setU32 } from "../../base/bytes.ts";
import { SeededRng } from "../../base/rng.ts";
import { type Family, IPV4, IpAddr } from "../../netstack/index.ts";
import { dhcpMessage } from "../arbitraries/dhcp.ts";
import { dnsMessage } from "../arbitraries/dns.ts";
import { frame } from "../arbitraries/ethernet.ts";
import { inMood } from "../arbitraries/mood.ts";
import type { Place, Station } from "../arbitraries/place.ts";
import { GUEST, GUEST_MAC, GUEST6 } from "../program-network.ts";
import type { Case } from "./campaign.ts";

export type ProgramStep =
  | { do: "connect"; family: Family }
  | { do: "send"; bytes: Uint8Array }
  /** Our side of the stream ends. */
  | { do: "end" }
  | { do: "datagram"; bytes: Uint8Array }
  | { do: "frame"; bytes: Uint8Array };

const PIECES_MAX = 6;
const BYTES_MAX = 64 * 1024;
/** RFC 768 over IPv4 without options: the most that a datagram holds. */
const DATAGRAM_MAX = 65_507;
const DATAGRAMS_MAX = 4;
const POOL = 200;
const TOKENS = ["\r\n", "\n", "\0", " ", "%s%n", "../", "A".repeat(300), "-1", "4294967296"];

const latin = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** With no corpus: lines of a few protocols that servers speak. */
const SEEDS = [
  "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
  "HELO a\r\nMAIL FROM:<a>\r\nQUIT\r\n",
  "PING\r\n",
  "*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
].map(latin);

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** With no corpus, of datagrams: a message of each protocol that is often served over UDP, besides DNS and DHCP. */
const DATAGRAM_SEEDS = [
  // TFTP (RFC 1350, 2347), SIP (RFC 3261), syslog (RFC 5424), statsd, and a line.
  ...[
    "\0\x01file\0octet\0blksize\x001400\0",
    "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    '<34>1 2003-10-11T22:14:15.003Z a su - ID47 [x@1 k="v"] text',
    "a.b:1|c|@0.1\n",
    "PING\r\n",
  ].map(latin),
  // NTP 4, a client's (RFC 5905); SNMP's get of sysDescr (RFC 3416); CoAP's get of /a (RFC 7252); STUN (RFC 8489).
  bytesOf(`23${"00".repeat(47)}`),
  bytesOf("302902010104067075626c6963a01c020400000001020100020100300e300c06082b060102010101000500"),
  bytesOf("40010001b161"),
  bytesOf("000100002112a442000102030405060708090a0b"),
];

/** Whole messages, honest and not, as the arbitraries draw them. */
function messages(seed: number): Uint8Array[] {
  const drawn = fc.oneof(
    { weight: 3, arbitrary: inMood(undefined, dnsMessage) },
    { weight: 1, arbitrary: inMood(undefined, dhcpMessage) },
  );
  return [...fc.sample(drawn, { seed, numRuns: POOL }), ...DATAGRAM_SEEDS];
}

/** Pieces of the inputs between separators: the words of whatever they speak. */
function wordsOf(inputs: readonly Uint8Array[]): Uint8Array[] {
  const words = TOKENS.map(latin);
  for (const input of inputs) {
    let start = 0;
    for (let i = 0; i <= input.length && words.length < 4_096; i++) {
      const isBreak = i === input.length || [10, 13, 32, 44, 58, 0].includes(input[i]);
      if (!isBreak) continue;
      if (i > start) words.push(input.subarray(start, i));
      start = i + 1;
    }
  }
  return words;
}

export class ProgramInputs {
  readonly #inputs: Uint8Array[];
  #words: Uint8Array[];
  readonly #frames: Uint8Array[];
  readonly #rng: SeededRng;
  readonly #isUdp: boolean;

  /** frames: raw ones too, from the stations of this place. isUdp: each input is a datagram. */
  constructor(
    corpus: readonly Uint8Array[],
    { seed, frames, isUdp }: { seed: number; frames: Place | null; isUdp: boolean },
  ) {
    const rng = new SeededRng(seed);
    const seeds = (): Uint8Array[] => (isUdp ? messages(seed) : [...SEEDS]);
    this.#inputs = corpus.length > 0 ? [...corpus] : seeds();
    this.#isUdp = isUdp;
    this.#words = wordsOf(this.#inputs);
    this.#rng = rng;
    this.#frames =
      frames === null ? [] : fc.sample(frame({ place: frames }), { seed, numRuns: POOL });
  }

  /** An input that made the server say something new. */
  keep(bytes: Uint8Array): void {
    this.#inputs.push(bytes);
    this.#words = wordsOf(this.#inputs);
  }

  /** One connection with what is sent over it, or one client's datagrams, over one of the families. */
  next(families: readonly Family[]): Case<ProgramStep> {
    const rng = this.#rng;
    const family = families[families.length > 1 ? rng.below(families.length) : 0];
    const steps: ProgramStep[] = [{ do: "connect", family }];
    if (this.#isUdp) this.#datagrams(steps);
    else this.#stream(steps);
    for (let n = this.#frames.length > 0 ? rng.below(20) : 0; n > 0; n--) {
      const one = this.#frames[rng.below(this.#frames.length)];
      steps.splice(rng.below(steps.length + 1), 0, { do: "frame", bytes: one });
    }
    return { seed: 0, steps };
  }

  #datagrams(steps: ProgramStep[]): void {
    const rng = this.#rng;
    for (let n = 1 + rng.below(DATAGRAMS_MAX); n > 0; n--) {
      const bytes = this.#changed(this.#inputs[rng.below(this.#inputs.length)]);
      steps.push({ do: "datagram", bytes: bytes.slice(0, DATAGRAM_MAX) });
    }
  }

  #stream(steps: ProgramStep[]): void {
    const rng = this.#rng;
    const bytes = this.#changed(this.#inputs[rng.below(this.#inputs.length)]);
    let at = 0;
    for (let n = rng.below(PIECES_MAX); n > 0 && at < bytes.length - 1; n--) {
      const end = at + 1 + rng.below(bytes.length - at - 1);
      steps.push({ do: "send", bytes: bytes.slice(at, end) });
      at = end;
    }
    steps.push({ do: "send", bytes: bytes.slice(at) });
    if (rng.below(2) === 0) steps.push({ do: "end" });
  }

  #changed(input: Uint8Array): Uint8Array {
    let b = input.slice();
    for (let n = this.#rng.below(5); n > 0; n--) b = this.#change(b).slice(0, BYTES_MAX);
    return b;
  }

  #change(b: Uint8Array): Uint8Array<ArrayBuffer> {
    const rng = this.#rng;
    const at = rng.below(b.length + 1);
    const out = b.slice();
    // Most of what is spoken over UDP is binary: fields and lengths, not words.
    switch (rng.below(this.#isUdp ? 8 : 6)) {
      case 0:
        if (at < b.length) out[at] ^= 1 << rng.below(8);
        return out;
      case 1:
        if (at < b.length) out[at] = rng.below(256);
        return out;
      case 2:
        return joined(b.subarray(0, at), b.subarray(Math.min(b.length, at + 1 + rng.below(8))));
      case 3:
        return joined(b, b.subarray(at));
      case 4: {
        const other = this.#inputs[rng.below(this.#inputs.length)];
        return joined(b.subarray(0, at), other.subarray(rng.below(other.length + 1)));
      }
      case 6:
        putNumber(out, at, ODD_NUMBERS[rng.below(ODD_NUMBERS.length)], 1 << rng.below(3));
        return out;
      case 7:
        // A length of what follows, or one beside it.
        putNumber(out, at, b.length - at - rng.below(4), 1 << rng.below(2));
        return out;
      default: {
        const word = this.#words[rng.below(this.#words.length)];
        return joined(b.subarray(0, at), word, b.subarray(at));
      }
    }
  }
}

const ODD_NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, -0x80000000, -1];

/** A field of 1, 2 or 4 bytes in network order; where there is no room for it, nothing. */
function putNumber(b: Uint8Array, at: number, value: number, size: number): void {
  if (at + size > b.length) return;
  if (size === 1) b[at] = value;
  else if (size === 2) setU16(b, at, value & 0xffff);
  else setU32(b, at, value >>> 0);
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Fewer steps, then simpler ones: what a search for the smallest case tries, the boldest first. */
export function* smallerCases(steps: readonly ProgramStep[]): Iterable<ProgramStep[]> {
  for (
    let size = Math.ceil(steps.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let at = 0; at < steps.length; at += size) {
      if (steps.length > size) yield [...steps.slice(0, at), ...steps.slice(at + size)];
    }
  }
  for (const [i, step] of steps.entries()) {
    if (step.do === "connect" && step.family !== IPV4) {
      yield steps.toSpliced(i, 1, { do: "connect", family: IPV4 });
    }
    if (step.do !== "send" && step.do !== "datagram") continue;
    const n = step.bytes.length;
    for (let size = n >> 1; size >= 1; size >>= 1) {
      for (let at = 0; at < n; at += size) {
        const bytes = joined(step.bytes.subarray(0, at), step.bytes.subarray(at + size));
        yield steps.map((other, k) => (k === i ? { do: step.do, bytes } : other));
      }
    }
  }
}

/** Where such a server stands: raw frames go to it from stations beside ours. */
export function programPlace(port: number): Place {
  const station = (n: number): Station => {
    const ip6 = GUEST6.clone();
    ip6.w3 = n;
    return { mac: [2, 0, 0, 0, 1, n], ip4: IpAddr.v4(10, 0, 2, n), ip6 };
  };
  return {
    subject: { mac: [...GUEST_MAC], ip4: GUEST, ip6: GUEST6 },
    strangers: [station(40), station(41)],
    ports: [port, 7, 5001],
  };
}

/**
 * The kind of an answer: its first words and how long it was, as a feature. Of a datagram, what it has in common with
 * the question at the same place (numbers of transactions, names) does not count.
 */
export function featureOf(answer: Uint8Array, question: Uint8Array = NONE): number {
  let hash = 0x811c9dc5 ^ (32 - Math.clz32(answer.length));
  for (let i = 0; i < Math.min(24, answer.length) && answer[i] !== 10; i++) {
    const isEcho = i < question.length && answer[i] === question[i];
    hash = Math.imul(hash ^ (isEcho ? 256 : answer[i]), 0x01000193);
  }
  return hash >>> 16;
}
const NONE = new Uint8Array(0);
