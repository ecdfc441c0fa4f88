// A learning switch: frames go to the port where their destination was last seen, to all others when it was
// not or is a group (IEEE 802.1D, without spanning tree or ageing by time). Its cables are any links; those
// that connect() makes are in memory and are pumped by the owner. It can be parted into groups of ports that
// do not hear each other, as when a line between two switches is cut.

import type { Clock } from "../base/clock.ts";
import { copyPacket, type LinkEndpoint, type LinkSink, PacketBuffer } from "../netstack/index.ts";
import { MemoryLink, type MemoryLinkConfig } from "./memory-pair.ts";

/** Addresses remembered; the oldest is forgotten first. */
const TABLE_MAX = 4096;

class Port implements LinkSink {
  /** The switch's end of the cable. */
  readonly link: LinkEndpoint;
  /** Frames pass between ports of the same one. */
  group = 0;
  readonly #owner: Switch;

  constructor(owner: Switch, link: LinkEndpoint) {
    this.link = link;
    this.#owner = owner;
    link.attach(this);
  }
  deliver(pkt: PacketBuffer): void {
    this.#owner.forward(this, pkt);
  }
}

export class Switch {
  readonly #ports: Port[] = [];
  readonly #table = new Map<number, Port>();
  readonly #config: MemoryLinkConfig;
  /** Both ends of the cables that connect() made. */
  readonly #cables: MemoryLink[] = [];
  readonly #copy = new PacketBuffer();
  #nextMac = 1;
  /** Frames to a station of another group. */
  droppedParted = 0;

  constructor(clock: Clock, config: Omit<MemoryLinkConfig, "clock"> = {}) {
    this.#config = { ...config, clock };
  }

  /** A new cable; its near end, to attach to a stack. */
  connect(mac?: Uint8Array): MemoryLink {
    const n = this.#nextMac++;
    const near = new MemoryLink(
      mac ?? new Uint8Array([2, 0, 0, 1, n >>> 8, n & 255]),
      this.#config,
    );
    const far = new MemoryLink(new Uint8Array(6), this.#config);
    near.peer = far;
    far.peer = near;
    this.#cables.push(near, far);
    this.plug(far);
    return near;
  }

  /** The switch's end of a cable that somebody else carries frames over. */
  plug(link: LinkEndpoint): void {
    this.#ports.push(new Port(this, link));
  }

  /** The cable is gone: nothing is sent over it any more, and what was learned of it is forgotten. */
  unplug(link: LinkEndpoint): void {
    const at = this.#ports.findIndex((port) => port.link === link);
    if (at < 0) return;
    const [port] = this.#ports.splice(at, 1);
    for (const [key, owner] of this.#table) if (owner === port) this.#table.delete(key);
  }

  /** Each group hears itself only; ports in none of them are one more group. The links are plug()'s. */
  part(groups: readonly (readonly LinkEndpoint[])[]): void {
    for (const port of this.#ports) {
      port.group = 1 + groups.findIndex((links) => links.includes(port.link));
    }
  }
  /** All hear all again. */
  mend(): void {
    for (const port of this.#ports) port.group = 0;
  }

  forward(from: Port, pkt: PacketBuffer): void {
    const b = pkt.bytes;
    const at = pkt.start;
    if (pkt.end - at < 14) return;
    if ((b[at + 6] & 1) === 0) this.#learn(macKey(b, at + 6), from);
    const to = (b[at] & 1) === 0 ? this.#table.get(macKey(b, at)) : undefined;
    if (to !== undefined) {
      if (to.group !== from.group) this.droppedParted++;
      else if (to !== from) to.link.send(pkt);
      return;
    }
    for (const port of this.#ports) {
      if (port === from || port.group !== from.group) continue;
      copyPacket(this.#copy, pkt);
      port.link.send(this.#copy);
    }
  }

  #learn(key: number, port: Port): void {
    if (!this.#table.has(key) && this.#table.size >= TABLE_MAX) {
      for (const oldest of this.#table.keys()) {
        this.#table.delete(oldest);
        break;
      }
    }
    this.#table.set(key, port);
  }

  /** Delivers until nothing more is due. */
  pump(): number {
    let total = 0;
    for (;;) {
      let n = 0;
      for (const end of this.#cables) n += end.pump();
      if (n === 0) return total;
      total += n;
    }
  }
}

/** 48 bits fit a double exactly. */
const macKey = (b: Uint8Array, o: number): number =>
  ((b[o] << 8) | b[o + 1]) * 0x1_0000_0000 +
  (((b[o + 2] << 24) | (b[o + 3] << 16) | (b[o + 4] << 8) | b[o + 5]) >>> 0);
