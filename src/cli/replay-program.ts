// `netcell replay CAPTURE -- PROGRAM`: the other side of the captured connections is a program in a sandbox. Starts
// it, drives the played peers by Node's event loop, and ends it. What is played and judged is in src/lab/replay.

import type { Clock } from "../base/clock.ts";
import {
  type Conversation,
  PROGRAM_NETWORK,
  PROGRAM_NETWORK6,
  ProgramPeer,
  type ReplayOutcome,
} from "../lab/index.ts";
import type { PcapWriter } from "../link/index.ts";
import { MonitorClock } from "../sandbox/clock.ts";
import type { OutsideLink } from "../sandbox/options.ts";
import { Sandbox } from "../sandbox/sandbox.ts";
import { type RunFlags, sandboxOptions, spawnOptions } from "./run-options.ts";

export interface ProgramReplay {
  argv: readonly string[];
  conversations: readonly { conversation: Conversation; index: number }[];
  side: "client" | "server";
  pace: "captured" | "fast";
  isLoose: boolean;
  port: number;
  /** Of the capture's first frame: what the program's clock shows when it starts. */
  startMs: number;
  flags: RunFlags;
  pcap?: PcapWriter;
}

const MTU = 1500;
const MS_NS = 1e6;
const SIGKILL = 9;
/** After the program's end, for its last frames to come. */
const LAST_FRAMES_MS = 100;
const ASK_AGAIN_MS = 100;
/** A client that was not heard of for so long does not come. */
const CLIENT_MS = 30_000;

export async function replayProgram(config: ProgramReplay): Promise<ReplayOutcome[]> {
  const clock: Clock = new MonitorClock();
  let outside: OutsideLink | null = null;
  const hasIpv6 = config.conversations.some(
    ({ conversation }) => !conversation.stations[0].addr.isV4,
  );
  await using box = await Sandbox.start({
    ...sandboxOptions(config.flags),
    mtu: MTU,
    ...PROGRAM_NETWORK,
    ...(hasIpv6 ? PROGRAM_NETWORK6 : {}),
    time: "virtual",
    timeStartMs: Math.max(0, Math.floor(config.startMs)),
    outside: (link) => {
      outside = link;
    },
  });
  const held = outside as OutsideLink | null;
  if (held === null) throw new Error("the sandbox has no link");
  const peer = new ProgramPeer({
    conversations: config.conversations,
    side: config.side === "client" ? 0 : 1,
    pace: config.pace,
    isLoose: config.isLoose,
    port: config.port,
    link: held.link,
    clock,
    pcap: config.pcap,
  });
  const child = await box.spawn(config.argv, {
    ...spawnOptions(config.flags, process.env),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
  await new Drive(peer, held, clock, box).run(child.exited);
  child.kill(SIGKILL);
  return peer.outcomes();
}

/** By Node's event loop: until all is played; or until the program has ended, for what that leaves to be said. */
class Drive {
  readonly #peer: ProgramPeer;
  readonly #outside: OutsideLink;
  readonly #clock: Clock;
  readonly #box: Sandbox;
  readonly #patience: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;
  #finished: () => void = () => {};
  #isOver = false;
  #isAsked = false;
  /** Of peer.passed: no more is to be expected of the program after so many frames. */
  #stillAt = -1;

  constructor(peer: ProgramPeer, outside: OutsideLink, clock: Clock, box: Sandbox) {
    this.#peer = peer;
    this.#outside = outside;
    this.#clock = clock;
    this.#box = box;
    this.#patience = setTimeout(() => this.#finish(), CLIENT_MS);
    outside.onDelivered = () => {
      this.#patience.refresh();
      this.#step();
    };
  }

  run(exited: Promise<unknown>): Promise<void> {
    exited.then(
      () => setTimeout(() => this.#finish(), LAST_FRAMES_MS),
      () => this.#finish(),
    );
    return new Promise((resolve) => {
      this.#finished = resolve;
      this.#step();
    });
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    this.#outside.onDelivered = () => {};
    this.#finished();
  }

  #step(): void {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    const next = this.#peer.step(this.#stillAt === this.#peer.passed);
    if (this.#peer.isOver) {
      this.#finish();
      return;
    }
    this.#askIfStill();
    if (next === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.max(0, (next - this.#clock.monotonicNs()) / MS_NS);
    this.#timer = setTimeout(() => this.#step(), waitMs);
  }

  /**
   * What waits for the program waits in vain once all its tasks are blocked without a timer. So a program that says
   * less than the captured one costs no time, and one that is only slow has all of it.
   */
  #askIfStill(): void {
    const { passed } = this.#peer;
    if (this.#isAsked || this.#stillAt === passed) return;
    this.#isAsked = true;
    this.#box.quiescent().then(
      async ({ hasTimers }) => {
        // What it sent before it said so is in the link's socket: read by the next two turns.
        for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
        // One that has a timer is asked again when that may have passed: a virtual clock takes no longer.
        if (hasTimers) await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
        this.#isAsked = false;
        if (!hasTimers) this.#stillAt = passed;
        this.#step();
      },
      // The sandbox is gone: whoever waits for the program's end hears of it.
      () => {},
    );
  }
}
