import { describe, expect, it } from "vitest";
import { SECOND } from "../../base/clock.ts";
import { ACK, FIN, PSH, SYN } from "../drill/frame.ts";
import { CLIENT, SERVER, type Side } from "./conversation.ts";
import { EXTRACT_LIMITS } from "./extract.ts";
import { replayConversation } from "./replay.ts";
import { extracted, type TcpFields, tcpFrame, text } from "./testing-packets.ts";

const SIDES = ["client", "server"] as const;
/** mss 1460, sackOK, wscale 7, each padded. */
const SYN_OPTIONS = Uint8Array.of(2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7);
/** Fast Open with a cookie of eight bytes (RFC 7413 4.1.1). */
const FAST_OPEN = Uint8Array.of(...SYN_OPTIONS, 1, 1, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8);
const QUESTION = text("GET / HTTP/1.0\r\n\r\n");
const ANSWER = text("HTTP/1.0 200 OK\r\n\r\nhello");
const [Q, A] = [QUESTION.length, ANSWER.length];

/** The client's numbers begin at 100, the server's at 500, and both count from their SYN. */
function connection(...segments: [Side, TcpFields][]): Uint8Array[] {
  const isn = [100, 500];
  return segments.map(([from, t]) => {
    const ack = (t.flags & ACK) === 0 ? 0 : isn[1 - from] + (t.ack ?? 0);
    return tcpFrame(from, { ...t, seq: isn[from] + t.seq, ack });
  });
}

const opening = (options: Uint8Array, data?: Uint8Array): [Side, TcpFields] => [
  CLIENT,
  { seq: 0, flags: SYN, options, data },
];
/** Both ends close when the client has sent `q` bytes and the server `a`. */
const closing = (q: number, a: number): [Side, TcpFields][] => [
  [CLIENT, { seq: 1 + q, ack: 1 + a, flags: FIN | ACK }],
  [SERVER, { seq: 1 + a, ack: 2 + q, flags: FIN | ACK }],
  [CLIENT, { seq: 2 + q, ack: 2 + a, flags: ACK }],
];

const judged = (frames: Uint8Array[], side: "client" | "server", apartNs?: number) => {
  const { problems, sent, received, counts } = replayConversation(
    extracted(frames, EXTRACT_LIMITS, apartNs).conversations[0],
    1,
    { side },
  );
  return { problems, bytes: [sent.bytes, received.bytes], counts };
};

/** Of the captured client and server, seen from who is not played. */
const bytesOf = (side: "client" | "server", q: number, a: number): number[] =>
  side === "client" ? [a, q] : [q, a];

describe("data in a SYN", () => {
  it.each(SIDES)("are data behind the handshake, with the %s played", (side) => {
    const frames = connection(
      opening(SYN_OPTIONS, QUESTION),
      [SERVER, { seq: 0, ack: 1 + Q, flags: SYN | ACK, options: SYN_OPTIONS }],
      [CLIENT, { seq: 1 + Q, ack: 1, flags: ACK }],
      ...closing(Q, 0),
    );
    const { problems, bytes, counts } = judged(frames, side);
    expect(problems).toEqual([]);
    expect(bytes).toEqual(bytesOf(side, Q, 0));
    expect(counts).toMatchObject({ early: 0, retransmissions: 0 });
  });

  it.each(SIDES)("that open fast are answered in the same exchange, with the %s played", (side) => {
    const frames = connection(
      opening(FAST_OPEN, QUESTION),
      [SERVER, { seq: 0, ack: 1 + Q, flags: SYN | ACK, options: SYN_OPTIONS }],
      [SERVER, { seq: 1, ack: 1 + Q, flags: PSH | ACK, data: ANSWER }],
      [CLIENT, { seq: 1 + Q, ack: 1 + A, flags: ACK }],
      ...closing(Q, A),
    );
    const { problems, bytes, counts } = judged(frames, side);
    expect(problems).toEqual([]);
    expect(bytes).toEqual(bytesOf(side, Q, A));
    expect(counts.early).toBe(0);
  });

  it.each(SIDES)("of the answer come behind it, with the %s played", (side) => {
    const frames = connection(
      opening(SYN_OPTIONS),
      [SERVER, { seq: 0, ack: 1, flags: SYN | ACK, options: SYN_OPTIONS, data: ANSWER }],
      [CLIENT, { seq: 1, ack: 1 + A, flags: ACK }],
      ...closing(0, A),
    );
    const { problems, bytes, counts } = judged(frames, side);
    expect(problems).toEqual([]);
    expect(bytes).toEqual(bytesOf(side, 0, A));
    expect(counts).toMatchObject({ early: 0, retransmissions: 0 });
  });

  it.each(SIDES)("of a SYN that was sent again go once, with the %s played", (side) => {
    const frames = connection(
      opening(SYN_OPTIONS, QUESTION),
      opening(SYN_OPTIONS, QUESTION),
      [SERVER, { seq: 0, ack: 1 + Q, flags: SYN | ACK, options: SYN_OPTIONS }],
      [CLIENT, { seq: 1 + Q, ack: 1, flags: ACK }],
      ...closing(Q, 0),
    );
    const { problems, bytes } = judged(frames, side);
    expect(problems).toEqual([]);
    expect(bytes).toEqual(bytesOf(side, Q, 0));
  });
});

describe("a handshake that was not captured", () => {
  it.each(SIDES)("is made before anyone gives up, however late the %s speaks", (side) => {
    const frames = connection(
      [CLIENT, { seq: 1, ack: 1, flags: PSH | ACK, data: QUESTION }],
      [SERVER, { seq: 1, ack: 1 + Q, flags: PSH | ACK, data: ANSWER }],
      ...closing(Q, A),
    );
    const { problems, bytes } = judged(frames, side, 200 * SECOND);
    expect(problems).toEqual([]);
    expect(bytes).toEqual(bytesOf(side, Q, A));
  });
});
