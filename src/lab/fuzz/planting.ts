// How deliberate faults are planted into a live stack: something between it and its wire, a method patched, a limit
// raised. For tests of campaigns only; the product has no switch for any of this.

import { setU16, u16 } from "../../base/bytes.ts";
import type { LinkEndpoint, LinkSink, PacketBuffer, Stack } from "../../netstack/index.ts";
import { StackTarget } from "./stack-target.ts";
import type { Subject, SubjectLink } from "./subject.ts";
import type { Target } from "./target.ts";
import { TcpTarget } from "./tcp-target.ts";

export interface PlantedFault {
  layer: string;
  what: string;
  target: Target<unknown>;
}

export const ETH = 14;

/** Changes packets on their way out (true: it was changed after its checksums were made) and in. */
export interface Meddler {
  out?: (b: Uint8Array, at: number, end: number, pkt: PacketBuffer) => void;
  in?: (pkt: PacketBuffer) => void;
}

class Meddled implements LinkEndpoint {
  readonly mtu: number;
  readonly mac: Uint8Array;
  readonly checksumOffload = false;
  readonly gsoBytesMax = 0;
  readonly #below: SubjectLink;
  readonly #meddler: Meddler;

  constructor(below: SubjectLink, meddler: Meddler) {
    this.mtu = below.mtu;
    this.mac = below.mac;
    this.#below = below;
    this.#meddler = meddler;
  }
  attach(sink: LinkSink): void {
    const { in: meddle } = this.#meddler;
    this.#below.attach({
      deliver: (pkt) => {
        meddle?.(pkt);
        sink.deliver(pkt);
      },
    });
  }
  send(pkt: PacketBuffer): boolean {
    if (pkt.fragBytes === null) this.#meddler.out?.(pkt.bytes, pkt.start, pkt.end, pkt);
    return this.#below.send(pkt);
  }
  close(): void {}
}

export const onLink = (meddler: Meddler): Target<unknown> =>
  new StackTarget({ wrap: (link) => new Meddled(link, meddler) }) as unknown as Target<unknown>;

export const inStack = (plant: (subject: Subject) => void): Target<unknown> =>
  new StackTarget({ plant }) as unknown as Target<unknown>;

export const inPair = (plant: (client: Stack, server: Stack) => void): Target<unknown> =>
  new TcpTarget({ plant }) as unknown as Target<unknown>;

export const isIpv4 = (b: Uint8Array, at: number): boolean => u16(b, at + 12) === 0x0800;
export const ipv4Protocol = (b: Uint8Array, at: number): number =>
  isIpv4(b, at) ? b[at + ETH + 9] : -1;

/** The field and one 16-bit word of its packet change together: the checksum stays right. */
export function changeWord(b: Uint8Array, at: number, sumAt: number, value: number): void {
  const before = u16(b, at);
  setU16(b, at, value);
  let sum = (~u16(b, sumAt) & 0xffff) + (~before & 0xffff) + (value & 0xffff);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  setU16(b, sumAt, ~sum & 0xffff);
}

type AnyMethod = (...args: never[]) => unknown;

/** Calls `meddle` in front of a method. */
export function before<T extends object, K extends keyof T>(
  object: T,
  name: K,
  meddle: (...args: Parameters<Extract<T[K], AnyMethod>>) => void,
): void {
  const real = (object[name] as (...args: unknown[]) => unknown).bind(object);
  const meddled = (...args: unknown[]): unknown => {
    meddle(...(args as Parameters<Extract<T[K], AnyMethod>>));
    return real(...args);
  };
  object[name] = meddled as T[K];
}

export const raise = (limit: string): Target<unknown> =>
  inStack(({ stack }) => {
    (stack.limits as unknown as Record<string, number>)[limit] = 1e9;
  });
