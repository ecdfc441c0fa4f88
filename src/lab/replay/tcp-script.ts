// What the application at one side of a captured connection did, read off its segments: when it wrote which bytes
// and what it had received by then, when it stopped reading, and how it ended. A run of segments up to one with
// PSH counts as one write, made when the first of them was sent.

import { FIN, PSH, RST, SYN } from "../drill/frame.ts";
import { otherSide, type Side } from "./conversation.ts";
import { isRefused, isUrgent, type TcpSegment, type TcpTrace, windowShift } from "./tcp-trace.ts";

export type AppStep =
  | { kind: "open"; timeNs: number; received: 0 }
  | { kind: "write"; timeNs: number; received: number; from: number; to: number; urgent: boolean }
  /** Its window was shut, or opened again: it did not read, then did. */
  | { kind: "pause" | "resume"; timeNs: number; received: number }
  | { kind: "shutdown" | "close" | "reset"; timeNs: number; received: number };

/** Data in flight longer than this after a PSH was written by itself. */
export function tcpScript(trace: TcpTrace, side: Side): AppStep[] {
  const reader = new ScriptReader(trace, side);
  if (isRefused(trace) && side === 1) return [];
  for (const segment of trace.segments) if (segment.from === side) reader.read(segment);
  return reader.steps;
}

class ScriptReader {
  readonly steps: AppStep[] = [];
  readonly #trace: TcpTrace;
  readonly #side: Side;
  readonly #streamBytes: number;
  #written = 0;
  #hasPushed = true;
  #hasFin = false;
  #isPaused = false;
  /** Of the other's stream, as far as this side had acknowledged. */
  #received = 0;

  constructor(trace: TcpTrace, side: Side) {
    this.#trace = trace;
    this.#side = side;
    this.#streamBytes = trace.sides[side].stream.length;
    this.steps.push({ kind: "open", timeNs: trace.segments[0].packet.timeNs, received: 0 });
  }

  read(segment: TcpSegment): void {
    const { timeNs } = segment.packet;
    const peerBytes = this.#trace.sides[otherSide(this.#side)].stream.length;
    this.#received = Math.max(this.#received, Math.min(segment.ack, peerBytes));
    if ((segment.flags & RST) !== 0) {
      this.#end(segment);
      return;
    }
    this.#window(segment, timeNs);
    // What the capture lost is written along with what comes after it.
    const begin = (segment.flags & SYN) !== 0 ? 0 : segment.at;
    const end = Math.min(begin + segment.length, this.#streamBytes);
    if (end > this.#written) this.#write(segment, end, timeNs);
    if ((segment.flags & FIN) !== 0 && !this.#hasFin) {
      this.#hasFin = true;
      this.#shut(timeNs);
    }
  }

  #write(segment: TcpSegment, end: number, timeNs: number): void {
    const last = this.steps.at(-1);
    const urgent = isUrgent(segment);
    if (last?.kind === "write" && !this.#hasPushed && !urgent && !last.urgent) last.to = end;
    else {
      const received = this.#received;
      this.steps.push({ kind: "write", timeNs, received, from: this.#written, to: end, urgent });
    }
    this.#written = end;
    this.#hasPushed = (segment.flags & PSH) !== 0;
  }

  #window(segment: TcpSegment, timeNs: number): void {
    const isShut = segment.window === 0 && (segment.flags & SYN) === 0 && segment.ack >= 0;
    if (isShut === this.#isPaused || windowShift(this.#trace, this.#side) < 0) return;
    this.#isPaused = isShut;
    const kind = isShut ? "pause" : "resume";
    // A window opens because of a read, not because of what came.
    this.steps.push({ kind, timeNs, received: isShut ? this.#received : 0 });
  }

  /** Closed altogether when what came later was answered by a RST, else only its own direction. */
  #shut(timeNs: number): void {
    const isClose = this.#trace.sides[this.#side].hasReset;
    this.steps.push({ kind: isClose ? "close" : "shutdown", timeNs, received: this.#received });
  }

  #end(segment: TcpSegment): void {
    if (this.#hasFin) return;
    this.#hasFin = true;
    this.steps.push({ kind: "reset", timeNs: segment.packet.timeNs, received: this.#received });
  }
}
