// The target `stack`: one whole stack under hostile frames, peers, calls and time, held to every law. Each case has
// a stack of its own; at its end everything is closed and must be gone.

import { u16 } from "../../base/bytes.ts";
import { MS } from "../../base/clock.ts";
import { App } from "./app.ts";
import { drillScript, type SeenCall, type SeenFrame } from "./drill-script.ts";
import { Laws } from "./laws.ts";
import type { SegmentStep } from "./peer.ts";
import {
  floodFrame,
  mutateStackStep,
  type StackStep,
  simplerStackSteps,
  stackSteps,
} from "./stack-steps.ts";
import { Subject, type SubjectConfig, VirtualHang } from "./subject.ts";
import { BrokenLaw, type Failure, type Target, type Verdict, type Watch } from "./target.ts";
import { Wire } from "./wire.ts";

export interface StackTargetOptions {
  /** For planted faults: sees the stack before anything happens to it, and may break it. */
  plant?: (subject: Subject) => void;
  wrap?: SubjectConfig["wrap"];
}

export function failureOf(error: unknown, step: number): Failure {
  if (error instanceof BrokenLaw) return { law: error.law, message: error.message, step };
  if (error instanceof VirtualHang) return { law: "hang", message: error.message, step };
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { law: "exception", message: text, step };
}

export class StackTarget implements Target<StackStep> {
  readonly name = "stack";
  readonly steps = stackSteps;
  readonly #options: StackTargetOptions;

  constructor(options: StackTargetOptions = {}) {
    this.#options = options;
  }

  mutate = mutateStackStep;
  simpler = simplerStackSteps;

  /** What happened, until the law was broken, as a packet script. */
  script(seed: number, steps: readonly StackStep[], law: string): string | null {
    const events: (SeenFrame | SeenCall)[] = [];
    const watch: Watch = (nowNs, b, n, isOut) =>
      events.push({ nowNs, bytes: b.slice(0, n), isOut });
    const run = new Run(seed, this.#options, watch);
    if (run.hasCookies) return null;
    // A call stands in front of what it made the stack send.
    let begin = 0;
    run.onCall = (call) => {
      if (call === null) begin = events.length;
      else events.splice(begin, 0, { nowNs: run.subject.nowNs, call });
    };
    this.#play(run, steps);
    return drillScript(events, law);
  }

  run(seed: number, steps: readonly StackStep[], watch?: Watch): Verdict {
    return this.#play(new Run(seed, this.#options, watch), steps);
  }

  #play(run: Run, steps: readonly StackStep[]): Verdict {
    let at = 0;
    let failure: Failure | null = null;
    try {
      for (; at < steps.length; at++) run.step(steps[at]);
      run.finish();
    } catch (error) {
      failure = failureOf(error, at);
    }
    const { features, subject } = run;
    const frames = run.frames + run.sent;
    return { failure, features, frames, virtualNs: subject.nowNs };
  }
}

class Run {
  readonly subject: Subject;
  readonly features: number[] = [];
  readonly hasCookies: boolean;
  frames = 0;
  get sent(): number {
    return this.#wire.frames;
  }
  readonly #wire: Wire;
  readonly #app: App;
  readonly #laws: Laws;
  readonly #watch: Watch | undefined;
  readonly #inject = (frame: Uint8Array): void => this.#give(frame, true);
  readonly #after = (): void => this.#settle();

  constructor(seed: number, options: StackTargetOptions, watch?: Watch) {
    this.#watch = watch;
    this.subject = new Subject({ seed, wrap: options.wrap });
    this.#wire = new Wire(this.subject, watch);
    this.#laws = new Laws(this.subject, this.#wire);
    options.plant?.(this.subject);
    // A SYN cookie is believed with numbers a little off and options that were never agreed upon (as Linux's are):
    // with them on, nobody can tell from outside what a connection of a liar carries.
    const hasCookies = (seed & 3) === 0;
    this.hasCookies = hasCookies;
    this.subject.stack.tcp.settings.syncookies = hasCookies ? 1 : 0;
    this.#wire.isJudge = !hasCookies;
    this.#app = new App(this.subject.stack, this.subject.place, !hasCookies);
  }

  set onCall(heard: (text: string | null) => void) {
    this.#app.onCall = heard;
  }

  step(step: StackStep): void {
    switch (step.do) {
      case "frame":
        this.#give(step.bytes, mayRelease(step.bytes));
        break;
      case "flood":
        for (let i = 0; i < step.count; i++) {
          this.#give(floodFrame(step, i), mayRelease(step.bytes));
          this.#settle();
        }
        break;
      case "segment":
        this.#segment(step);
        break;
      case "call":
        this.#app.call(step.call);
        break;
      case "wait":
        this.subject.advance(step.milliseconds * MS, this.#after);
        break;
    }
    this.#settle();
    this.#laws.quotas(this.features);
    this.#laws.look(this.features, step.do === "segment" ? step.flags : step.do.length << 8);
  }

  #segment(step: SegmentStep): void {
    const peer = this.#wire.peers[step.peer];
    this.#give(peer.segment(step, this.subject.nowNs / MS), true);
  }

  #give(frame: Uint8Array, mayRelease: boolean): void {
    this.frames++;
    this.#watch?.(this.subject.nowNs, frame, frame.length, false);
    this.#wire.take();
    this.subject.inject(frame);
    this.#laws.frame(frame, mayRelease);
  }

  #settle(): void {
    this.#wire.settle(this.#inject);
    this.#app.pump();
    this.#wire.settle(this.#inject);
  }

  finish(): void {
    this.#laws.totals();
    this.#app.close();
    this.#settle();
    this.#laws.rest();
    this.#laws.look(this.features, 0);
    this.#laws.totals();
    this.subject.close();
  }
}

/** Frames that may let go of more than an answer: of neighbours, routers, groups, and the last of a datagram. */
function mayRelease(f: Uint8Array): boolean {
  if (f.length < 34) return false;
  const type = u16(f, 12);
  if (type === 0x0806) return true;
  if (type === 0x0800) return (u16(f, 20) & 0x3fff) !== 0 || f[23] === 2;
  return type === 0x86dd && f[20] !== 6 && f[20] !== 17;
}
