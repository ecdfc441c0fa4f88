// Sequences of socket calls, as a program might make them in its wildest hour: on a few sockets, in any order,
// with arguments that are right more often than not. Shrinks to no calls, and each to the first socket, the first
// port and few bytes.

import fc from "fast-check";
import { mostly } from "./mood.ts";
import { DEFAULT_PLACE, type Place } from "./place.ts";

export type SocketKind = "tcp" | "udp" | "tcp6" | "udp6";

/** `socket`: which of the sequence's sockets, counted from 0 in the order they were opened. */
export type SocketCall =
  | { call: "open"; kind: SocketKind }
  | { call: "bind"; socket: number; port: number }
  | { call: "listen"; socket: number; backlog: number }
  | { call: "connect"; socket: number; port: number }
  | { call: "accept"; socket: number }
  | { call: "write"; socket: number; length: number }
  | { call: "read"; socket: number; length: number; peek: boolean }
  | { call: "send"; socket: number; port: number; length: number }
  | { call: "receive"; socket: number; length: number }
  | { call: "shutdown"; socket: number; read: boolean; write: boolean }
  | { call: "option"; socket: number; name: string; value: number }
  | { call: "abort"; socket: number }
  | { call: "close"; socket: number }
  | { call: "wait"; milliseconds: number };

export interface CallOptions {
  place?: Place;
  /** Sockets that the calls speak of; 6. */
  sockets?: number;
  callsMax?: number;
}

const KINDS: SocketKind[] = ["tcp", "udp", "tcp6", "udp6"];

/** Options that change what goes over the wire, with values in and out of range. */
export const OPTION_NAMES = [
  "noDelay",
  "cork",
  "quickAck",
  "keepAlive",
  "reuseAddress",
  "receiveBufferBytes",
  "sendBufferBytes",
  "lingerNs",
  "userTimeoutNs",
  "maxSegBytes",
] as const;

const length = fc.oneof(
  { withCrossShrink: true },
  fc.nat(20),
  fc.constantFrom(536, 1_460, 4_096, 65_536, 200_000),
);

function anyCall(place: Place, sockets: number): fc.Arbitrary<SocketCall> {
  const socket = fc.nat(sockets - 1);
  const port = mostly(place.ports[0], fc.constantFrom(...place.ports, 0, 1024, 65_535));
  const of = <T extends SocketCall>(weight: number, arbitrary: fc.Arbitrary<T>) => ({
    weight,
    arbitrary: arbitrary as fc.Arbitrary<SocketCall>,
  });
  const call = <K extends string>(name: K) => fc.constant(name);
  return fc.oneof(
    { withCrossShrink: true },
    of(3, fc.record({ call: call("open"), kind: fc.constantFrom(...KINDS) })),
    of(2, fc.record({ call: call("bind"), socket, port })),
    of(
      2,
      fc.record({
        call: call("listen"),
        socket,
        backlog: mostly(8, fc.integer({ min: -1, max: 3 })),
      }),
    ),
    of(3, fc.record({ call: call("connect"), socket, port })),
    of(3, fc.record({ call: call("accept"), socket })),
    of(5, fc.record({ call: call("write"), socket, length })),
    of(5, fc.record({ call: call("read"), socket, length, peek: mostly(false, fc.boolean()) })),
    of(3, fc.record({ call: call("send"), socket, port, length })),
    of(3, fc.record({ call: call("receive"), socket, length })),
    of(2, fc.record({ call: call("shutdown"), socket, read: fc.boolean(), write: fc.boolean() })),
    of(
      1,
      fc.record({
        call: call("option"),
        socket,
        name: fc.constantFrom<string[]>(...OPTION_NAMES),
        value: fc.oneof({ withCrossShrink: true }, fc.nat(2), fc.nat(100_000)),
      }),
    ),
    of(1, fc.record({ call: call("abort"), socket })),
    of(2, fc.record({ call: call("close"), socket })),
    of(
      4,
      fc.record({
        call: call("wait"),
        milliseconds: fc.oneof({ withCrossShrink: true }, fc.nat(50), fc.nat(70_000)),
      }),
    ),
  );
}

export function socketCalls(options: CallOptions = {}): fc.Arbitrary<SocketCall[]> {
  const one = anyCall(options.place ?? DEFAULT_PLACE, options.sockets ?? 6);
  return fc.array(one, { maxLength: options.callsMax ?? 40, size: "max" });
}
