import { describe, expect, it } from "vitest";
import { ACK, PSH, SYN } from "../drill/frame.ts";
import { CLIENT, SERVER } from "./conversation.ts";
import { replayConversation } from "./replay.ts";
import { damaged, extracted, tcpFrame, text } from "./testing-packets.ts";

const fromClient = (seq: number, said: string) =>
  tcpFrame(CLIENT, { seq, ack: 501, flags: PSH | ACK, data: text(said) });

/** The client says "cdef" beyond a hole, and fills that with other bytes for the same places. */
const FRAMES = [
  tcpFrame(CLIENT, { seq: 100, flags: SYN }),
  tcpFrame(SERVER, { seq: 500, ack: 101, flags: SYN | ACK }),
  tcpFrame(CLIENT, { seq: 101, ack: 501, flags: ACK }),
  fromClient(103, "cdef"),
  tcpFrame(SERVER, { seq: 501, ack: 101, flags: ACK }),
  fromClient(101, "ABCDEF"),
  tcpFrame(SERVER, { seq: 501, ack: 107, flags: ACK }),
];

describe("a capture whose segments overlap", () => {
  it("allows either of what they said where they contradict each other, and says so", () => {
    const outcome = replayConversation(extracted(FRAMES).conversations[0], 1);
    expect(outcome.problems).toEqual([]);
    expect(outcome.received).toMatchObject({ bytes: 6, wrongAt: -1 });
    expect(outcome.verdict).toContain("1 segment contradicting earlier ones");
  });

  it("does not count what arrived damaged", () => {
    const frames = [
      ...FRAMES.slice(0, 4),
      damaged(fromClient(101, "xxxxxx")),
      fromClient(101, "abcdef"),
    ];
    const outcome = replayConversation(extracted(frames).conversations[0], 1);
    expect(outcome.problems).toEqual([]);
    expect(outcome.verdict).not.toContain("contradicting");
  });

  it("plays what it cut off of one segment as another one has it", () => {
    const whole = fromClient(101, "abcdef");
    const cut = { bytes: whole, capturedBytes: whole.length - 4 };
    const frames = [...FRAMES.slice(0, 5), cut, FRAMES[6]];
    const outcome = replayConversation(extracted(frames).conversations[0], 1);
    expect(outcome.problems).toEqual([]);
    expect(outcome.received).toMatchObject({ bytes: 6, wrongAt: -1, missingInCapture: 0 });
  });
});
