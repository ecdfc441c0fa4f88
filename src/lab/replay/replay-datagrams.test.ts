import { describe, expect, it } from "vitest";
import { setU16 } from "../../base/bytes.ts";
import { checksum } from "../../netstack/index.ts";
import { CLIENT, SERVER } from "./conversation.ts";
import type { ReplayOptions } from "./outcome.ts";
import { replayConversation } from "./replay.ts";
import {
  type CutFrame,
  echoFrame,
  extracted,
  loopedEchoFrame,
  text,
  udpFrame,
  unreachableFrame,
} from "./testing-packets.ts";

const SIDES = ["client", "server"] as const;

const replayed = (frames: (Uint8Array | CutFrame)[], options: ReplayOptions = {}) =>
  replayConversation(extracted(frames).conversations[0], 1, options);

const EXCHANGE = [
  udpFrame(CLIENT, text("one")),
  udpFrame(SERVER, text("first")),
  udpFrame(CLIENT, text("two")),
  udpFrame(CLIENT, text("three")),
  udpFrame(SERVER, text("")),
];
const ECHOES = [1, 2, 3].flatMap((seq) => [
  echoFrame(CLIENT, false, seq, text(`ping ${seq}`)),
  echoFrame(SERVER, true, seq, text(`ping ${seq}`)),
]);

describe("replay of datagrams", () => {
  it.each(SIDES)("plays the %s, and the other side does as captured", (side) => {
    const [there, back] = side === "client" ? [11, 5] : [5, 11];
    expect(replayed(EXCHANGE, { side })).toMatchObject({
      state: "passed",
      problems: [],
      received: { bytes: there, expectedBytes: there },
      sent: { bytes: back, expectedBytes: back },
    });
  });

  it("puts the fragments together that it was cut into", () => {
    const large = udpFrame(CLIENT, new Uint8Array(100).fill(7));
    const [ip, body] = [large.subarray(14, 34), large.subarray(34)];
    const pieces = [
      [0, 56],
      [56, 108],
    ].map(([from, to]) => {
      const frame = new Uint8Array(34 + to - from);
      frame.set(large.subarray(0, 14));
      frame.set(ip, 14);
      frame.set(body.subarray(from, to), 34);
      setU16(frame, 16, 20 + to - from);
      setU16(frame, 20, (to < 108 ? 0x2000 : 0) | (from / 8));
      setU16(frame, 24, 0);
      setU16(frame, 24, checksum(frame, 14, 20));
      return frame;
    });
    const outcome = replayed([...pieces, udpFrame(SERVER, text("got it"))]);
    expect(outcome.verdict).toContain("fragments put together");
    expect(outcome).toMatchObject({ state: "passed", received: { bytes: 100 } });
  });

  it("expects our stack to say that a port is closed where the captured one did", () => {
    const question = udpFrame(CLIENT, text("anybody?"));
    const closed = replayed([question, unreachableFrame(SERVER, question)]);
    expect(closed.verdict).toBe("answered by port unreachable as captured");
  });

  it.each(SIDES)("plays the %s of ICMP echo", (side) => {
    expect(replayed(ECHOES, { side })).toMatchObject({ state: "passed", problems: [] });
  });

  it.each(SIDES)("plays the %s of a machine's echo to itself", (side) => {
    const looped = [false, true].map((isReply) => loopedEchoFrame(isReply, 1, text("me")));
    expect(replayed(looped, { side })).toMatchObject({
      state: "passed",
      problems: [],
      counts: { replayedPackets: 2 },
    });
  });

  it.each(SIDES)("plays the %s of echoes that the capture cut off, with zeros", (side) => {
    const cut = ECHOES.map((bytes) => ({ bytes, capturedBytes: bytes.length - 4 }));
    expect(replayed(cut, { side })).toMatchObject({
      state: "passed",
      problems: [],
      received: { bytes: side === "client" ? 0 : 18 },
    });
  });

  it("fails when our stack answers nothing", () => {
    const configure: ReplayOptions["configure"] = (stack) => {
      for (const { id } of stack.nics) stack.routes.removeNic(id);
    };
    expect(replayed(EXCHANGE, { configure }).verdict).toContain("our stack sent 0 of 2 datagrams");
    expect(replayed(ECHOES, { configure }).verdict).toBe("our stack answered 0 of 3 requests");
  });

  it("plays zeros for what the capture cut off", () => {
    const frame = udpFrame(CLIENT, text("abcdef"));
    const cut = { bytes: frame, capturedBytes: frame.length - 3 };
    expect(replayed([cut, EXCHANGE[1]])).toMatchObject({
      state: "passed",
      received: { bytes: 6, expectedBytes: 6 },
    });
  });

  it("does not play what has no datagram, and says why", () => {
    const lie = udpFrame(CLIENT, text("x"));
    // Its own length is shorter than its header.
    setU16(lie, 14 + 20 + 4, 7);
    expect(replayed([lie]).verdict).toBe("not played: no datagram arrived whole");
  });
});
