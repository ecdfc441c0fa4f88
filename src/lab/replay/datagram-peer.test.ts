import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { IpAddr } from "../../netstack/index.ts";
import { CLIENT, type Conversation, SERVER, type Side } from "./conversation.ts";
import { DatagramPeer } from "./datagram-peer.ts";
import { datagramContent, datagramSteps } from "./datagrams.ts";
import { Pace } from "./pace.ts";
import { judgeProgramDatagrams } from "./program-judge-datagrams.ts";
import { newSession } from "./program-session.ts";
import { conversationsIn } from "./testing.ts";

const fixture = (name: string): Conversation[] =>
  conversationsIn(readFileSync(new URL(`../../../fixtures/pcap/${name}`, import.meta.url)));
const [ECHO] = fixture("udp.pcap");
const contents = (side: Side): Uint8Array[] =>
  datagramSteps(ECHO)[side].map(({ packet }) => datagramContent(ECHO, packet));

const PATH = {
  peerAddr: IpAddr.v4(10, 0, 2, 2),
  peerPort: 1000,
  otherAddr: IpAddr.v4(10, 0, 2, 15),
  otherPort: 7000,
};

/** A peer whose clock is told, and what it has sent. */
function played(side: Side) {
  const sent: Uint8Array[] = [];
  const pace = new Pace("fast", 0, 0);
  const send = (udp: Uint8Array) => sent.push(udp.slice(8));
  const peer = new DatagramPeer({ conversation: ECHO, side, path: PATH, pace, send });
  const judged = (isLoose = false) =>
    judgeProgramDatagrams({
      ...{ index: 1, conversation: ECHO, side, problem: "", peer, replayNs: 0, isLoose },
    });
  return { peer, sent, judged };
}

describe("datagrams played to a program", () => {
  it("go one after the other, each when the answers before it have come", () => {
    const { peer, sent, judged } = played(CLIENT);
    for (const [i, answer] of contents(SERVER).entries()) {
      while (peer.step(0));
      expect(sent).toHaveLength(i + 1);
      expect(sent[i]).toEqual(contents(CLIENT)[i]);
      peer.receive(answer);
    }
    expect(peer.isDone).toBe(true);
    expect(judged().verdict).toBe("the program was sent 3 datagrams and sent 3 as captured");
  });

  it("wait for the program where it speaks first", () => {
    const { peer, sent } = played(SERVER);
    expect(peer.step(0)).toBe(false);
    peer.receive(contents(CLIENT)[0]);
    expect(peer.step(0)).toBe(true);
    expect(sent).toEqual([contents(SERVER)[0]]);
  });

  it("do not wait for ever: datagrams get lost", () => {
    const { peer, sent, judged } = played(CLIENT);
    for (let look = 0; !peer.hasSentAll && look < 20; look++) {
      peer.step(Number.isFinite(peer.nextNs()) ? peer.nextNs() : 0);
    }
    expect(sent).toHaveLength(3);
    expect(judged().problems).toEqual(["the program sent 0 datagrams, captured were 3"]);
    expect(judged(true).problems).toEqual(["the program said nothing"]);
  });

  it("show the byte that is another, or that is missing", () => {
    const { peer, judged } = played(CLIENT);
    const answers = contents(SERVER);
    answers[2] = answers[2].slice(0, 30);
    answers[1] = Uint8Array.of(0x79);
    for (const answer of answers) peer.receive(answer);
    expect(judged().verdict).toBe(
      'byte 0 of the program\'s datagram 2 differs: captured "x", now "y"',
    );
    expect(judged(true).state).toBe("passed");
  });
});

describe("what is not played to a program", () => {
  it("are questions for names, which it gets answered anyway, and datagrams to a group", () => {
    const [names] = fixture("dns.pcap").filter(({ kind }) => kind === "udp");
    expect(newSession(names, 1, SERVER, false).problem).toContain("names are answered by netcell");
    expect(newSession(names, 1, CLIENT, false).problem).toBe("");
  });

  it("is what is encrypted with keys of its own, unless other bytes are allowed", () => {
    const [ssh] = fixture("ssh.pcap").filter(({ kind }) => kind === "tcp");
    expect(newSession(ssh, 1, SERVER, false).problem).toContain(
      "SSH, whose keys are new each time",
    );
    expect(newSession(ssh, 1, SERVER, true).problem).toBe("");
  });
});
