// Sequences of socket calls over loopback whose every outcome can be told: non-blocking sockets of TCP and UDP, four
// ports, few bytes. Drawn here; run by a model (socket-model.ts), by the Sentry's sockets and by a real Linux, which
// must agree. What a sequence does not have: full buffers, options, time.

import fc from "fast-check";

/**
 * `of`: which of the open sockets, counted modulo their number in the order they were made; the step is void while
 * there is none. `port`: one of PORTS numbers that whoever runs the sequence chooses.
 */
export type SocketStep =
  | { do: "socket"; tcp: boolean }
  | { do: "reuse"; of: number }
  | { do: "bind"; of: number; port: number }
  | { do: "listen"; of: number; backlog: number }
  | { do: "connect"; of: number; port: number }
  /** connect() with AF_UNSPEC. */
  | { do: "disconnect"; of: number }
  | { do: "accept"; of: number }
  | { do: "send"; of: number; length: number }
  | { do: "sendto"; of: number; port: number; length: number }
  | { do: "recv"; of: number; length: number; peek: boolean }
  | { do: "shutdown"; of: number; how: number }
  | { do: "error"; of: number }
  | { do: "names"; of: number }
  | { do: "close"; of: number };

export const PORTS = 4;
export const SOCKETS_MAX = 10;

/** What one step gave: the call's result, and poll()'s mask of every socket that is open behind it. */
export interface StepResult {
  /** 0, a number of bytes, the bytes in hexadecimal, names of ports, or the name of an errno. */
  result: string;
  masks: number[];
}

/** Bytes that the step of this index sends. */
export const stepByte = (step: number): number => (step * 7 + 1) & 255;

const of = fc.nat(SOCKETS_MAX - 1);
// Few of them, the first more often: sockets shall meet.
const port = fc.oneof(
  { withCrossShrink: true },
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.nat(PORTS - 1) },
);
const length = fc.integer({ min: 1, max: 6 });

const step: fc.Arbitrary<SocketStep> = fc.oneof(
  { withCrossShrink: true },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("socket"),
      tcp: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reuse"), of }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("bind"), of, port }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("listen"),
      of,
      backlog: fc.constantFrom(8, 8, 8, 1, 0),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("connect"), of, port }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("disconnect"), of }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("accept"), of }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("send"), of, length }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("sendto"), of, port, length }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("recv"), of, length, peek: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("shutdown"), of, how: fc.constantFrom(1, 0, 2) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("error"), of }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("names"), of }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("close"), of }) },
) as fc.Arbitrary<SocketStep>;

/** A listener and a client that is connected to it: without these few sequences get far. */
const opening: SocketStep[] = [
  { do: "socket", tcp: true },
  { do: "bind", of: 0, port: 0 },
  { do: "listen", of: 0, backlog: 8 },
  { do: "socket", tcp: true },
  { do: "connect", of: 1, port: 0 },
  { do: "accept", of: 0 },
];
const datagrams: SocketStep[] = [
  { do: "socket", tcp: false },
  { do: "bind", of: 0, port: 0 },
  { do: "socket", tcp: false },
  { do: "bind", of: 1, port: 1 },
  { do: "connect", of: 1, port: 0 },
];

export const socketSteps = (lengthMax = 40): fc.Arbitrary<SocketStep[]> =>
  fc
    .tuple(
      fc.constantFrom<SocketStep[][]>([], opening, opening, datagrams),
      fc.array(step, { maxLength: lengthMax, size: "max" }),
    )
    .map(([first, rest]) => [...first, ...rest]);
