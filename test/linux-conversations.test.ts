// Goal: in a conversation over TCP or UDP our stack says what Linux says: the same segments with the same numbers and
// options, the same datagrams, fragments and ICMP errors, and the same results of the application's calls. Method: a
// tester sends the same frames to the host's kernel over a TAP device, in a network namespace of the test's own, and to
// a stack of ours, and makes the same calls on both; see support/conversations.ts for what is left out.

import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DEFAULT_PLACE } from "../src/lab/arbitraries/place.ts";
import {
  type Conversation,
  converse,
  dialConversation,
  OurStation,
  tcpConversation,
  udpConversation,
} from "./support/conversations.ts";
import { LinuxStation } from "./support/linux-tap.ts";
import { describeWith } from "./support/needs.ts";

const RUNS = Number(process.env.NETCELL_RUNS ?? 100);
const SEED = Number(process.env.NETCELL_SEED ?? 1);
/** Of a hundred, those in which one of the two lets an ACK wait for data to carry it and the other does not. */
const DELAYED_MAX = 2;
/** Linux's clock is the world's: on a busy machine a timer may fire in between. Not so twice in the same place. */
const TRIES = 3;

const withoutAcks = (line: string): string =>
  line.replaceAll(/ \| (DF )?\. seq \d+ ack \d+ of 0( TS)?(?= \||$)/g, "");

describeWith(["root", "python3", "ip"], "a conversation", () => {
  let linux: LinuxStation;
  // Not before: where it is not allowed the tests are skipped, but this body runs.
  beforeAll(() => {
    linux = new LinuxStation(DEFAULT_PLACE);
  });
  afterAll(() => linux?.close());
  let number = 0;

  async function ours(conversation: Conversation): Promise<string[]> {
    const station = new OurStation();
    const told = await converse(station, conversation, number);
    station.close();
    return told;
  }

  it.each<[string, fc.Arbitrary<Conversation>]>([
    ["with a client over TCP", tcpConversation],
    ["with a server over TCP", dialConversation],
    ["over UDP, with errors of the network", udpConversation],
  ])("%s is Linux's", async (_name, arbitrary) => {
    await linux.tell("quiet 200");
    const differences: unknown[] = [];
    let delayed = 0;
    let answers = 0;
    for (const conversation of fc.sample(arbitrary, { seed: SEED, numRuns: RUNS })) {
      const mine = await ours(conversation);
      let theirs: string[] = [];
      for (let i = 0; i < TRIES && JSON.stringify(theirs) !== JSON.stringify(mine); i++) {
        theirs = await converse(linux, conversation, number++);
      }
      answers += theirs.filter((line) => line.includes(" | ")).length;
      const at = mine.findIndex((line, i) => line !== theirs[i]);
      if (at < 0) continue;
      if (withoutAcks(mine[at]) === withoutAcks(theirs[at])) delayed++;
      else differences.push({ before: mine.slice(0, at), ours: mine[at], linux: theirs[at] });
    }
    expect(differences).toEqual([]);
    expect(delayed).toBeLessThanOrEqual((RUNS * DELAYED_MAX) / 100);
    expect(answers).toBeGreaterThan(RUNS);
  });
});
