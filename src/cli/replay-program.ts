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
  await drive(peer, held, clock, child.exited);
  child.kill(SIGKILL);
  return peer.outcomes();
}

/** Until all is played; or until the program has ended, for what that leaves to be said. */
function drive(
  peer: ProgramPeer,
  outside: OutsideLink,
  clock: Clock,
  exited: Promise<unknown>,
): Promise<void> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const patience = setTimeout(finish, CLIENT_MS);
    function finish(): void {
      clearTimeout(timer);
      clearTimeout(patience);
      outside.onDelivered = () => {};
      resolve();
    }
    function step(): void {
      clearTimeout(timer);
      const next = peer.step();
      if (peer.isOver) {
        finish();
        return;
      }
      if (next === Number.POSITIVE_INFINITY) return;
      timer = setTimeout(step, Math.max(0, (next - clock.monotonicNs()) / MS_NS));
    }
    outside.onDelivered = () => {
      patience.refresh();
      step();
    };
    exited.then(
      () => setTimeout(finish, 100),
      () => finish(),
    );
    step();
  });
}
