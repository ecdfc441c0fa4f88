// How bad a line is, as people type it: `loss=1%,delay=50ms,jitter=10ms,reorder=2%,duplicate=1%,corrupt=0.1%,
// rate=10mbit,queue=100`. One direction; what the words do stands in impairment.ts.

import { MS, SECOND, US } from "../../base/clock.ts";

export interface Conditions {
  /** Share of frames lost, 0 to 1. */
  loss: number;
  /** Frames lost in a cycle: "..x" loses every third. Empty: none. */
  pattern: string;
  delayNs: number;
  /** Added to the delay, uniform between 0 and this; the order of frames stays. */
  jitterNs: number;
  /** Share of frames that do not wait for delay and jitter, and so overtake others. */
  reorder: number;
  duplicate: number;
  /** Share of frames with one bit flipped behind their Ethernet header. */
  corrupt: number;
  /** Bits a second, frames from the Ethernet header on; 0: as fast as they come. */
  rateBitsPerSecond: number;
  /** Frames that wait for the rate; more are lost. */
  queueFrames: number;
  /** What drops from a queue: its end when it is full, or CoDel (RFC 8289) besides. */
  discipline: "tail" | "codel";
}

export const PERFECT: Readonly<Conditions> = {
  loss: 0,
  pattern: "",
  delayNs: 0,
  jitterNs: 0,
  reorder: 0,
  duplicate: 0,
  corrupt: 0,
  rateBitsPerSecond: 0,
  queueFrames: 1000,
  discipline: "tail",
};

const DURATIONS: Record<string, number> = { ns: 1, us: US, ms: MS, s: SECOND };
const RATES: Record<string, number> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const QUEUE_MAX = 1_000_000;

function share(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text);
  if (match === null) return null;
  const value = Number(match[1]) / (match[2] === "%" ? 100 : 1);
  return value <= 1 ? value : null;
}

function withUnit(text: string, units: Record<string, number>): number | null {
  const match = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(text);
  const unit = match === null ? undefined : units[match[2]];
  return match === null || unit === undefined ? null : Math.round(Number(match[1]) * unit);
}

function count(text: string): number | null {
  const value = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= QUEUE_MAX ? value : null;
}

type Reader = readonly [key: keyof Conditions, read: (text: string) => unknown, example: string];

const WORDS: Record<string, Reader> = {
  loss: ["loss", share, "loss=1%"],
  pattern: ["pattern", (t) => (/^[.x]+$/.test(t) ? t : null), "pattern=..x (every third is lost)"],
  delay: ["delayNs", (t) => withUnit(t, DURATIONS), "delay=50ms"],
  jitter: ["jitterNs", (t) => withUnit(t, DURATIONS), "jitter=10ms"],
  reorder: ["reorder", share, "reorder=2%"],
  duplicate: ["duplicate", share, "duplicate=1%"],
  corrupt: ["corrupt", share, "corrupt=0.1%"],
  rate: ["rateBitsPerSecond", (t) => withUnit(t, RATES), "rate=10mbit"],
  queue: ["queueFrames", count, "queue=100 (frames)"],
  discipline: ["discipline", (t) => (t === "tail" || t === "codel" ? t : null), "discipline=codel"],
};

const GSO_BYTES_MAX = 65_535;
/** As TCP sizes its bursts (tcp_tso_autosize()): what leaves within this. */
const GSO_NS = 1 * MS;
const GSO_BYTES_MIN = 4096;

/**
 * How many bytes of segments may cross a line of these conditions in one piece: none where each frame has its own
 * fate; where there is only a rate, as many as take a millisecond.
 */
export function gsoBytesOf(conditions: Conditions): number {
  const { rateBitsPerSecond: rate, queueFrames, discipline } = conditions;
  const limit: Conditions = { ...PERFECT, rateBitsPerSecond: rate, queueFrames, discipline };
  const isLimit = Object.keys(limit).every(
    (key) => limit[key as keyof Conditions] === conditions[key as keyof Conditions],
  );
  const bytes = isLimit ? Math.floor((rate * GSO_NS) / SECOND / 8) : 0;
  return bytes < GSO_BYTES_MIN ? 0 : Math.min(bytes, GSO_BYTES_MAX);
}

/** "10mbit" in bits a second, or null. */
export function parseRate(text: string): number | null {
  const rate = withUnit(text, RATES);
  return rate !== null && rate >= 1 ? rate : null;
}

/** The conditions that the text names, others perfect; or a sentence (without a full stop) on what is wrong. */
export function parseConditions(text: string): Conditions | string {
  const conditions: Record<string, unknown> = { ...PERFECT };
  for (const part of text.split(",")) {
    const at = part.indexOf("=");
    const word = at < 0 ? part : part.slice(0, at);
    const reader = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (reader === undefined) {
      return `"${word}" is no impairment; there are ${Object.keys(WORDS).join(", ")}`;
    }
    const [key, read, example] = reader;
    const value = at < 0 ? null : read(part.slice(at + 1));
    if (value === null) return `"${part}" cannot be read; write for example ${example}`;
    conditions[key] = value;
  }
  return conditions as unknown as Conditions;
}
