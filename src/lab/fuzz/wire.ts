// The wire of the stack under test: stations that answer for their addresses (ARP and Neighbour Discovery), the
// peers of its connections, and the law of everything that leaves.

import { setU16, setU32, u16 } from "../../base/bytes.ts";
import type { IpAddr } from "../../netstack/index.ts";
import type { Place, Station } from "../arbitraries/place.ts";
import { framed, ipFrame } from "../arbitraries/plain.ts";
import { ICMPV6 } from "../arbitraries/transport.ts";
import { Outgoing } from "./outgoing.ts";
import { Peer, SYN } from "./peer.ts";
import type { Subject } from "./subject.ts";
import type { Watch } from "./target.ts";

const ETH = 14;
const ARP = 0x0806;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
/** Client ports of the peers: no raw frame of the arbitraries comes from them. */
const PEER_PORT = 2_000;
export const PEERS = 4;

export class Wire {
  readonly peers: Peer[] = [];
  frames = 0;
  bytes = 0;
  /** What peers see is held against what they sent. */
  isJudge = true;
  /** Frames since take(), and the longest of them. */
  sentNow = 0;
  longestNow = 0;
  readonly #subject: Subject;
  readonly #place: Place;
  readonly #outgoing: Outgoing;
  readonly #answers: Uint8Array[] = [];
  readonly #watch: Watch | undefined;

  constructor(subject: Subject, watch?: Watch) {
    this.#subject = subject;
    this.#place = subject.place;
    this.#watch = watch;
    this.#outgoing = new Outgoing(subject.link.mac, (b, at, family) => this.#owns(b, at, family));
    const { subject: us, strangers, ports } = this.#place;
    for (let i = 0; i < PEERS; i++) {
      const from = strangers[i % 2];
      const isV6 = i === 1;
      const way = {
        srcMac: from.mac,
        dstMac: us.mac,
        src: isV6 ? from.ip6 : from.ip4,
        dst: isV6 ? us.ip6 : us.ip4,
      };
      this.peers.push(new Peer(way, PEER_PORT + i, i === 2 ? ports[2] : ports[0]));
    }
    subject.link.onSend = (b, length) => this.#onSend(b, length);
  }

  #owns(b: Uint8Array, at: number, family: 4 | 6): boolean {
    const { addresses } = this.#subject.nic;
    for (const { addr } of addresses) {
      if (addr.isV4 !== (family === 4)) continue;
      if (family === 4 ? addr.w3 === readWord(b, at) : sameAddress(addr, b, at)) return true;
    }
    return false;
  }

  #onSend(b: Uint8Array, length: number): void {
    this.frames++;
    this.bytes += length;
    this.sentNow++;
    if (length > this.longestNow) this.longestNow = length;
    this.#watch?.(this.#subject.nowNs, b, length, true);
    this.#outgoing.check(b, length);
    const type = u16(b, 12);
    if (type === ARP) this.#arp(b);
    else if (type === IPV4 && b[ETH + 9] === 6) this.#tcp(b, ETH + ((b[ETH] & 15) << 2), length, 4);
    else if (type === IPV6 && b[ETH + 6] === 6) this.#tcp(b, ETH + 40, length, 6);
    else if (type === IPV6 && b[ETH + 6] === ICMPV6 && b[ETH + 40] === 135) this.#solicited(b);
  }

  #station(b: Uint8Array, at: number, family: 4 | 6): Station | null {
    for (const s of this.#place.strangers) {
      const isIt = family === 4 ? s.ip4.w3 === readWord(b, at) : sameAddress(s.ip6, b, at);
      if (isIt) return s;
    }
    return null;
  }

  #arp(b: Uint8Array): void {
    if (u16(b, ETH + 6) !== 1) return;
    const who = this.#station(b, ETH + 24, 4);
    if (who === null) return;
    const reply = new Uint8Array(28);
    reply.set([0, 1, 8, 0, 6, 4, 0, 2]);
    reply.set(who.mac, 8);
    reply.set(b.subarray(ETH + 24, ETH + 28), 14);
    reply.set(b.subarray(ETH + 8, ETH + 18), 18);
    this.#answers.push(framed(this.#place.subject.mac, who.mac, ARP, reply));
  }

  #solicited(b: Uint8Array): void {
    const who = this.#station(b, ETH + 48, 6);
    if (who === null) return;
    const advert = new Uint8Array(32);
    advert[0] = 136;
    setU32(advert, 4, 0x60000000);
    advert.set(b.subarray(ETH + 48, ETH + 64), 8);
    advert.set([2, 1, ...who.mac], 24);
    const { subject } = this.#place;
    const way = { srcMac: who.mac, dstMac: subject.mac, src: who.ip6, dst: subject.ip6 };
    const t = { protocol: ICMPV6, bytes: advert, checksumAt: 2, checksumOff: 0, hopLimit: 255 };
    setU16(advert, 2, 0);
    this.#answers.push(ipFrame(way, t));
  }

  #tcp(b: Uint8Array, at: number, end: number, family: 4 | 6): void {
    const toAddress = family === 4 ? at - 4 : ETH + 24;
    const isV4 = family === 4;
    for (const peer of this.peers) {
      const { src } = peer.way;
      if (src.isV4 !== isV4) continue;
      if (!(isV4 ? src.w3 === readWord(b, ETH + 16) : sameAddress(src, b, toAddress))) continue;
      if (u16(b, at + 2) === peer.sport && u16(b, at) === peer.dport) {
        if (this.isJudge) peer.look(b, at, end);
        else peer.follow(b, at, end);
        return;
      }
    }
    // A connection that the stack opens: the last peer of that address takes it.
    if ((b[at + 13] & 0x12) !== SYN || !isV4) return;
    const peer = this.peers[PEERS - 1];
    if (peer.way.src.w3 !== readWord(b, ETH + 16)) return;
    peer.adopt(b, at);
    peer.look(b, at, end);
  }

  /** What stations have to say to what was sent; their answers come one after the other. */
  settle(inject: (frame: Uint8Array) => void): void {
    for (let i = 0; i < 64 && this.#answers.length > 0; i++)
      inject(this.#answers.shift() as Uint8Array);
    this.#answers.length = 0;
  }

  take(): void {
    this.sentNow = 0;
    this.longestNow = 0;
  }
}

const readWord = (b: Uint8Array, at: number): number =>
  (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];

function sameAddress(addr: IpAddr, b: Uint8Array, at: number): boolean {
  return (
    addr.w3 === readWord(b, at + 12) &&
    addr.w0 === readWord(b, at) &&
    addr.w1 === readWord(b, at + 4) &&
    addr.w2 === readWord(b, at + 8)
  );
}
