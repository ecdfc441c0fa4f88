import { describe, expect, it } from "vitest";
import { ACK, FIN, PSH, RST, SYN } from "../drill/frame.ts";
import { CLIENT, SERVER } from "./conversation.ts";
import { EXTRACT_LIMITS } from "./extract.ts";
import {
  CLIENT_PORT,
  damaged,
  echoFrame,
  extracted,
  loopedEchoFrame,
  numbersOf,
  sidesOf,
  tcpFrame,
  text,
  udpFrame,
  unreachableFrame,
} from "./testing-packets.ts";

const syn = (seq: number, port = CLIENT_PORT) => tcpFrame(CLIENT, { seq, flags: SYN, port });
const synAck = (seq: number, ack: number) => tcpFrame(SERVER, { seq, ack, flags: SYN | ACK });
const data = (seq: number, port = CLIENT_PORT) =>
  tcpFrame(CLIENT, { seq, ack: 501, flags: ACK | PSH, data: text("GET /"), port });

const conversationsOf = (...frames: Uint8Array[]) => extracted(frames).conversations;

describe("connections of a capture", () => {
  it("are told apart by their ports, whatever lies between their segments", () => {
    const found = conversationsOf(syn(100), syn(900, 40_001), data(101), data(901, 40_001));
    expect(found.map(numbersOf)).toEqual([
      [1, 3],
      [2, 4],
    ]);
  });

  it("begin anew with another SYN on the same ports, not with the same one again", () => {
    const one = [syn(100), syn(100), synAck(500, 101), data(101)];
    expect(conversationsOf(...one, syn(7000), synAck(900, 7001)).map(numbersOf)).toEqual([
      [1, 2, 3, 4],
      [5, 6],
    ]);
  });

  it("are one where both ends open at the same time", () => {
    const back = tcpFrame(SERVER, { seq: 500, flags: SYN });
    expect(conversationsOf(syn(100), back, synAck(500, 101)).map(numbersOf)).toEqual([[1, 2, 3]]);
  });

  it("have the side as client that sent the SYN, though the capture begins with the answer", () => {
    const [late] = conversationsOf(synAck(500, 101), data(101));
    expect(late.stations.map(({ port }) => port)).toEqual([CLIENT_PORT, 80]);
    expect(sidesOf(late)).toEqual([SERVER, CLIENT]);
  });

  it("have the smaller port as server where no SYN was captured", () => {
    const answer = tcpFrame(SERVER, { seq: 501, ack: 106, flags: ACK });
    expect(sidesOf(conversationsOf(answer, data(101))[0])).toEqual([SERVER, CLIENT]);
  });
});

describe("wrong checksums", () => {
  it("of a SYN begin nothing on a side whose other segments are right", () => {
    const hurt = damaged(syn(7000));
    const found = conversationsOf(syn(100), synAck(500, 101), data(101), hurt, data(106));
    expect(found.map(numbersOf)).toEqual([[1, 2, 3, 4, 5]]);
  });

  it("are believed of a side that has no others: somebody rewrote the capture", () => {
    const rewritten = [syn(100), data(101), syn(7000), data(7001)].map(damaged);
    expect(conversationsOf(...rewritten).map(numbersOf)).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it("are of each side by itself: the rewritten one's SYN counts beside the other's right ones", () => {
    const found = conversationsOf(
      damaged(syn(100)),
      synAck(500, 101),
      damaged(data(101)),
      damaged(syn(7000)),
      synAck(900, 7001),
    );
    expect(found.map(numbersOf)).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    expect(found.map(sidesOf)).toEqual([
      [CLIENT, SERVER, CLIENT],
      [CLIENT, SERVER],
    ]);
  });

  it("are believed no more, not even what they said before, when a right one comes", () => {
    // The first SYN was hurt on its way: the right one, sent again, is no other connection.
    const hurt = damaged(syn(0x6400_0000));
    expect(conversationsOf(hurt, syn(100), synAck(500, 101), data(101)).map(numbersOf)).toEqual([
      [1, 2, 3, 4],
    ]);
  });

  it("do not say who the client is while a right SYN does", () => {
    const hurt = damaged(tcpFrame(SERVER, { seq: 3, flags: SYN }));
    const answer = synAck(500, 101);
    expect(sidesOf(conversationsOf(hurt, syn(100), answer)[0])).toEqual([SERVER, CLIENT, SERVER]);
  });
});

describe("datagrams and errors", () => {
  it("go by ports, echoes by their identifier, and each error to what it is about", () => {
    const question = udpFrame(CLIENT, text("?"));
    const { conversations, extractor } = extracted([
      question,
      echoFrame(CLIENT, false, 1, text("ping")),
      unreachableFrame(SERVER, question),
      echoFrame(SERVER, true, 1, text("ping")),
      unreachableFrame(SERVER, udpFrame(CLIENT, text("?"), 41_000)),
    ]);
    expect(conversations.map(({ kind }) => kind)).toEqual(["udp", "echo"]);
    expect(conversations.map(numbersOf)).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(sidesOf(conversations[0])).toEqual([CLIENT, SERVER]);
    expect(extractor.counts).toMatchObject({ frames: 5, unrelated: 1, broken: 0, others: 0 });
  });

  it("of an echo begin at the one who asks, though only its answer was captured first", () => {
    const [echo] = conversationsOf(
      echoFrame(SERVER, true, 1, text("a")),
      echoFrame(CLIENT, false, 2, text("b")),
    );
    expect(sidesOf(echo)).toEqual([SERVER, CLIENT]);
  });
});

describe("what a machine says to itself", () => {
  const [ping, pong] = [false, true].map((isReply) => loopedEchoFrame(isReply, 1, text("me")));

  it("is asked by the client and answered by the server, though both are the same", () => {
    expect(conversationsOf(ping, pong).map(sidesOf)).toEqual([[CLIENT, SERVER]]);
    expect(conversationsOf(pong, ping).map(sidesOf)).toEqual([[SERVER, CLIENT]]);
  });
});

describe("what is held", () => {
  const limits = { ...EXTRACT_LIMITS, conversations: 2 };
  const open = [syn(100, 1001), syn(100, 1002), data(101, 1001)];
  const portsOf = (frames: Uint8Array[]) =>
    extracted(frames, limits).conversations.map(({ stations }) => stations[0].port);

  it("is handed out in the order of its beginning when the capture is over", () => {
    expect(portsOf(open)).toEqual([1001, 1002]);
  });

  it("is handed out before that when there is too much: who was silent longest", () => {
    expect(portsOf([...open, syn(100, 1003)])).toEqual([1002, 1001, 1003]);
  });

  it("is, of them all, first what is over", () => {
    const reset = tcpFrame(CLIENT, { seq: 106, flags: RST, port: 1001 });
    expect(portsOf([...open, reset, syn(100, 1003)])).toEqual([1001, 1002, 1003]);
    const fins = [
      tcpFrame(CLIENT, { seq: 106, ack: 501, flags: FIN | ACK, port: 1001 }),
      tcpFrame(SERVER, { seq: 501, ack: 107, flags: FIN | ACK, port: 1001 }),
    ];
    expect(portsOf([...open, ...fins, syn(100, 1003)])).toEqual([1001, 1002, 1003]);
    expect(portsOf([...open, fins[0], syn(100, 1003)])).toEqual([1002, 1001, 1003]);
  });
});
