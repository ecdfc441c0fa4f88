// Matchers about connections and captures. Their messages show what was there instead.

import { FrameDecoder, PacketView, Recording, tcpFlags, World } from "../lab/index.ts";
import { type CapturedFrame, CaptureReader, sourceOf } from "../link/index.ts";
import { IpAddr, parseIp, type TcpEndpoint } from "../netstack/index.ts";

/** What a frame must be; what is not named may be anything. Addresses as text, flags as "SYN-ACK" or "S.". */
export interface SegmentPattern {
  src?: string;
  dst?: string;
  sport?: number;
  dport?: number;
  flags?: string;
  seq?: number;
  ack?: number;
  window?: number;
  payloadBytes?: number;
}

export interface DatagramPattern {
  src?: string;
  dst?: string;
  sport?: number;
  dport?: number;
  payloadBytes?: number;
}

export interface IcmpPattern {
  src?: string;
  dst?: string;
  type?: number;
  code?: number;
}

/** A world, its recording, or the bytes of a pcap or pcapng file. */
export type Capture = World | Recording | Uint8Array;

interface Verdict {
  pass: boolean;
  message: () => string;
}

const STATES = [
  "none",
  "ESTABLISHED",
  "SYN-SENT",
  "SYN-RECEIVED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "TIME-WAIT",
  "CLOSED",
  "CLOSE-WAIT",
  "LAST-ACK",
  "LISTEN",
  "CLOSING",
  "NEW-SYN-RECEIVED",
];
const ESTABLISHED = 1;
const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
/** Frames shown when none matched. */
const SHOWN_MAX = 20;

function bytesOf(capture: Capture): Uint8Array {
  if (capture instanceof Uint8Array) return capture;
  const recording = capture instanceof World ? capture.recording : capture;
  if (!(recording instanceof Recording)) {
    throw new TypeError("a world without a recording, or no capture: nothing can be looked for");
  }
  return recording.toBytes();
}

function addressOf(text: string): IpAddr {
  const addr = parseIp(text);
  if (!(addr instanceof IpAddr)) throw new RangeError(`"${text}" is no address`);
  return addr;
}

/** Every frame that the predicate takes is a match; when there is none, what there was. */
function search(
  capture: Capture,
  what: string,
  matches: (view: PacketView) => boolean,
  times: number | null,
): Verdict {
  const reader = new CaptureReader(sourceOf(bytesOf(capture)));
  const decoder = new FrameDecoder();
  const view = new PacketView();
  const seen: string[] = [];
  const found: string[] = [];
  let frames = 0;
  for (let frame: CapturedFrame | null = reader.next(); frame !== null; frame = reader.next()) {
    frames++;
    const { bytes, offset, length } = frame;
    const text = decoder.text(frame);
    if (matches(view.read(bytes, offset, offset + length))) found.push(text);
    if (seen.length < SHOWN_MAX) seen.push(text);
  }
  const wanted = times === null ? "" : ` ${times} times`;
  const more = frames > seen.length ? `\n  ... ${frames - seen.length} more` : "";
  return {
    pass: times === null ? found.length > 0 : found.length === times,
    message: () =>
      found.length === 0
        ? `no ${what} among ${frames} frames, wanted${wanted || " one"}:\n  ${seen.join("\n  ")}${more}`
        : `${what}: ${found.length} among ${frames} frames, wanted${wanted || " none"}:\n  ${found.slice(0, SHOWN_MAX).join("\n  ")}`,
  };
}

/** The fields that are numbers in pattern and view alike, and addresses. */
function fieldsMatch(pattern: SegmentPattern & IcmpPattern, view: PacketView): boolean {
  for (const key of ["sport", "dport", "seq", "ack", "window", "payloadBytes"] as const) {
    if (pattern[key] !== undefined && pattern[key] !== view[key]) return false;
  }
  if (pattern.src !== undefined && !view.src.equals(addressOf(pattern.src))) return false;
  return pattern.dst === undefined || view.dst.equals(addressOf(pattern.dst));
}

export const netcellMatchers = {
  /** At least one TCP segment like this; just so many when `times` is given. */
  toContainSegment(capture: Capture, pattern: SegmentPattern = {}, times: number | null = null) {
    const flags = pattern.flags === undefined ? null : tcpFlags(pattern.flags);
    const matches = (view: PacketView): boolean =>
      view.protocol === TCP &&
      (flags === null || view.flags === flags) &&
      fieldsMatch(pattern, view);
    return search(capture, `segment ${JSON.stringify(pattern)}`, matches, times);
  },

  toContainDatagram(capture: Capture, pattern: DatagramPattern = {}, times: number | null = null) {
    const matches = (view: PacketView): boolean =>
      view.protocol === UDP && fieldsMatch(pattern, view);
    return search(capture, `datagram ${JSON.stringify(pattern)}`, matches, times);
  },

  /** Of either family. */
  toContainIcmp(capture: Capture, pattern: IcmpPattern = {}, times: number | null = null) {
    const matches = (view: PacketView): boolean =>
      (view.protocol === ICMP || view.protocol === ICMPV6) &&
      (pattern.type === undefined || pattern.type === view.icmpType) &&
      (pattern.code === undefined || pattern.code === view.icmpCode) &&
      fieldsMatch({ src: pattern.src, dst: pattern.dst }, view);
    return search(capture, `ICMP message ${JSON.stringify(pattern)}`, matches, times);
  },

  toBeEstablished(endpoint: TcpEndpoint): Verdict {
    const { state } = endpoint;
    const name = STATES[state] ?? `state ${state}`;
    return {
      pass: state === ESTABLISHED,
      message: () =>
        `the connection is ${state === ESTABLISHED ? "" : "not established, but "}${name}`,
    };
  },

  /** The bytes that wait to be read: all of them, in order. They stay. */
  toHaveReceived(endpoint: TcpEndpoint, expected: string | Uint8Array): Verdict {
    const wanted = typeof expected === "string" ? new TextEncoder().encode(expected) : expected;
    const got = new Uint8Array(endpoint.readableBytes);
    const n = got.length === 0 ? 0 : endpoint.read(got, 0, got.length, true);
    let at = 0;
    while (at < n && at < wanted.length && got[at] === wanted[at]) at++;
    const pass = n === wanted.length && at === n;
    const shown = (bytes: Uint8Array): string =>
      JSON.stringify(new TextDecoder("latin1").decode(bytes.subarray(at, at + 60)));
    return {
      pass,
      message: () =>
        pass
          ? `just these ${n} bytes were received`
          : `${Math.max(n, 0)} bytes were received where ${wanted.length} were expected; from byte ${at} on ${shown(got)} where ${shown(wanted)} was expected`,
    };
  },
};

interface NetcellMatchers<R> {
  toContainSegment(pattern?: SegmentPattern, times?: number): R;
  toContainDatagram(pattern?: DatagramPattern, times?: number): R;
  toContainIcmp(pattern?: IcmpPattern, times?: number): R;
  toBeEstablished(): R;
  toHaveReceived(expected: string | Uint8Array): R;
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: as Vitest declares it, or the declarations do not merge
  interface Matchers<T = any> extends NetcellMatchers<T> {}
}
