// Faults with an aim: "drop the third FIN", "let data and RST swap places", "a black hole after 1 MiB", "a path
// MTU of 576 after the handshake". A fault sees the headers of each frame on its way and decides; every one
// counts what it did (hits), so that a test can ask whether it happened at all. Chance is not here: that is
// what Conditions are for.

import { MS } from "../../base/clock.ts";
import { Timer } from "../../base/timers.ts";
import { completeChecksum, copyPacket, HEADROOM, PacketBuffer } from "../../netstack/index.ts";
import { type FaultyWay, writeTooBig } from "./faulty-way.ts";
import type { PacketView } from "./packet-view.ts";
import { anyPacket, type PacketPredicate } from "./predicates.ts";

/** Asked for every frame; false: it goes no further (the fault may have kept a copy). */
export interface Fault {
  readonly hits: number;
  judge(packet: PacketView, pkt: PacketBuffer, way: FaultyWay): boolean;
}

/** Which frames: stateful, asked once for each. */
type Choice = (packet: PacketView) => boolean;

/** What is done with a chosen one; true when the frame goes on. */
type Action = (pkt: PacketBuffer, way: FaultyWay) => boolean;

class ChosenFault implements Fault {
  hits = 0;
  readonly #choose: Choice;
  readonly #act: Action;

  constructor(choose: Choice, act: Action) {
    this.#choose = choose;
    this.#act = act;
  }
  judge(packet: PacketView, pkt: PacketBuffer, way: FaultyWay): boolean {
    if (!this.#choose(packet)) return true;
    this.hits++;
    return this.#act(pkt, way);
  }
}

/** One action, and the ways to say which frames suffer it. Numbers count from 1. */
export interface Aimed {
  all(which: PacketPredicate): Fault;
  nth(n: number, which: PacketPredicate): Fault;
  first(n: number, which: PacketPredicate): Fault;
  every(n: number, which: PacketPredicate): Fault;
  /** The nth and all that follow. */
  from(n: number, which: PacketPredicate): Fault;
  /** All that follow once so many bytes of such frames have passed: a black hole. */
  afterBytes(bytes: number, which?: PacketPredicate): Fault;
}

function aimed(act: Action): Aimed {
  const counted = (which: PacketPredicate, isMeant: (n: number) => boolean): Fault => {
    let n = 0;
    return new ChosenFault((packet) => which(packet) && isMeant(++n), act);
  };
  return {
    all: (which) => new ChosenFault(which, act),
    nth: (n, which) => counted(which, (at) => at === n),
    first: (n, which) => counted(which, (at) => at <= n),
    every: (n, which) => counted(which, (at) => at % n === 0),
    from: (n, which) => counted(which, (at) => at >= n),
    afterBytes: (bytes, which = anyPacket) => {
      let passed = 0;
      const isMeant: Choice = (packet) => {
        if (!which(packet)) return false;
        if (passed >= bytes) return true;
        passed += packet.frameBytes;
        return false;
      };
      return new ChosenFault(isMeant, act);
    },
  };
}

function copyOf(pkt: PacketBuffer): PacketBuffer {
  const copy = new PacketBuffer(HEADROOM + pkt.length);
  copyPacket(copy, pkt);
  return copy;
}

/** The way's own conditions come on top of whatever a fault does. */
export const drop: Aimed = aimed(() => false);

export const duplicate: Aimed = aimed((pkt, way) => {
  way.pass(copyOf(pkt));
  return true;
});

/** One bit of the frame's last byte is flipped: right or wrong is left to checksums. */
export const corrupt: Aimed = aimed((pkt, way) => {
  const copy = copyOf(pkt);
  completeChecksum(copy);
  copy.checksumValid = false;
  copy.bytes[copy.end - 1] ^= 1;
  way.pass(copy);
  return false;
});

/** Held back so long; what follows overtakes. */
export function delay(ns: number): Aimed {
  return aimed((pkt, way) => {
    const copy = copyOf(pkt);
    way.timers.arm(new Timer(() => way.pass(copy)), way.clock.monotonicNs() + ns);
    return false;
  });
}

/** What overtakes nobody within this goes on by itself. */
const SWAP_LIMIT_NS = 1000 * MS;

class Swap implements Fault {
  hits = 0;
  readonly #first: PacketPredicate;
  readonly #second: PacketPredicate;
  #held: PacketBuffer | null = null;
  #isOver = false;

  constructor(first: PacketPredicate, second: PacketPredicate) {
    this.#first = first;
    this.#second = second;
  }

  judge(packet: PacketView, pkt: PacketBuffer, way: FaultyWay): boolean {
    if (this.#isOver) return true;
    if (this.#held !== null && this.#second(packet)) {
      way.pass(copyOf(pkt));
      this.hits++;
      this.#release(way);
      return false;
    }
    if (!this.#first(packet)) return true;
    // The newest of them, so that data and the RST behind it are neighbours.
    if (this.#held !== null) way.pass(this.#held);
    const held = copyOf(pkt);
    this.#held = held;
    const giveUp = (): void => {
      if (this.#held === held) this.#release(way, false);
    };
    way.timers.arm(new Timer(giveUp), way.clock.monotonicNs() + SWAP_LIMIT_NS);
    return false;
  }

  #release(way: FaultyWay, isOver = true): void {
    if (this.#held !== null) way.pass(this.#held);
    this.#held = null;
    this.#isOver = isOver;
  }
}

/** The last `first` before a `second` comes out behind it: swap(tcp.data, tcp.rst). Once. */
export function swap(first: PacketPredicate, second: PacketPredicate): Fault {
  return new Swap(first, second);
}

/** Nothing until a frame for which `when` holds has passed; from the next one on, the fault. */
export function after(when: PacketPredicate, fault: Fault): Fault {
  let isOn = false;
  return {
    get hits(): number {
      return fault.hits;
    },
    judge(packet, pkt, way): boolean {
      if (isOn) return fault.judge(packet, pkt, way);
      isOn = when(packet);
      return true;
    },
  };
}

/**
 * A hop with a smaller MTU (layer 3): what is larger and may not be cut up is dropped and answered with
 * "fragmentation needed" or "packet too big", as from the destination's address; unless `isSilent`, as behind
 * a firewall that swallows ICMP. What may be cut up passes whole: for that put a router in between.
 * RFC 1191 4, RFC 4443 3.2.
 */
export function pathMtu(bytes: number, isSilent = false): Fault {
  const fault = {
    hits: 0,
    judge(packet: PacketView, pkt: PacketBuffer, way: FaultyWay): boolean {
      const header = packet.l3 - pkt.start;
      if (packet.family === 0 || !packet.dontFragment) return true;
      // A frame that stands for many is judged by the pieces it will be cut into.
      const transport = pkt.end - pkt.start - header;
      const pieceBytes = pkt.gsoType === 0 ? packet.frameBytes - header : pkt.gsoSize + transport;
      if (pieceBytes <= bytes) return true;
      fault.hits++;
      if (!isSilent) {
        const answer = writeTooBig(pkt, packet, bytes);
        if (answer !== null) way.answer(answer);
      }
      return false;
    },
  };
  return fault;
}
