// TCP-AO's keys of one endpoint (RFC 5925 3.1: master key tuples) and what else the authentication option keeps of a
// connection: which key signs now, which one the peer shall use next, initial sequence numbers, sequence number
// extensions, counters. As Linux's struct tcp_ao_info. What is computed with them: ao-mac.ts; what an arriving segment
// must carry: ao-inbound.ts.

import type { MacAlgorithm } from "../../base/macs.ts";
import { seqGe, seqLt } from "../../base/seqnum.ts";
import type { IpAddr } from "../ip-addr.ts";
import { inPrefix, maskAddr } from "../stack/prefix.ts";

/** As many as of MD5's; Linux's optmem_max of 20480 bytes has room for 80. */
export const AO_KEYS_MAX = 150;
/** Kind, length, KeyID, RNextKeyID. */
const HEADER_BYTES = 4;

/** What TCP_AO_ADD_KEY says. */
export interface AoKeySpec {
  /** Of the peers; unspecified with no bits: every peer of its family. */
  addr: IpAddr;
  prefixBits: number;
  sendId: number;
  receiveId: number;
  /** 0: 12. */
  macBytes: number;
  /** The MAC covers none of the other options (RFC 5925 7.4): they may be changed on the way. */
  excludesOptions: boolean;
  /** Only for connections outside of any VRF: all there are. */
  isOfDevice: boolean;
  algorithm: string;
  secret: Uint8Array;
}

export class AoKey {
  readonly net: IpAddr;
  readonly prefixBits: number;
  /** Of the 128-bit form. */
  readonly bits: number;
  readonly sendId: number;
  readonly receiveId: number;
  readonly macBytes: number;
  readonly excludesOptions: boolean;
  readonly isOfDevice: boolean;
  readonly algorithm: MacAlgorithm;
  /** What traffic keys are made of. */
  readonly master: Uint8Array;
  good = 0;
  bad = 0;
  /** Of the connection, for all but its SYN; null: not made yet. */
  sendTraffic: Uint8Array | null = null;
  receiveTraffic: Uint8Array | null = null;

  constructor(spec: AoKeySpec, algorithm: MacAlgorithm, master: Uint8Array) {
    this.prefixBits = spec.prefixBits;
    this.bits = bitsOf(spec.addr, spec.prefixBits);
    this.net = maskAddr(spec.addr, this.bits);
    this.sendId = spec.sendId;
    this.receiveId = spec.receiveId;
    this.macBytes = spec.macBytes || 12;
    this.excludesOptions = spec.excludesOptions;
    this.isOfDevice = spec.isOfDevice;
    this.algorithm = algorithm;
    this.master = master;
  }

  /** The option in a header, padded. */
  get optionBytes(): number {
    return (HEADER_BYTES + this.macBytes + 3) & ~3;
  }

  isFor(peer: IpAddr): boolean {
    return this.net.isV4 === peer.isV4 && inPrefix(peer, this.net, this.bits);
  }

  /** Some peer may be both's (__tcp_ao_key_cmp with the shorter prefix). */
  overlaps(addr: IpAddr, prefixBits: number): boolean {
    if (this.net.isV4 !== addr.isV4) return false;
    const bits = Math.min(this.bits, bitsOf(addr, prefixBits));
    return maskAddr(this.net, bits).equals(maskAddr(addr, bits));
  }

  clone(): AoKey {
    const { net, algorithm, master } = this;
    return new AoKey({ ...this, addr: net, algorithm: "", secret: master }, algorithm, master);
  }
}

const bitsOf = (addr: IpAddr, prefixBits: number): number =>
  addr.isV4 ? prefixBits + 96 : prefixBits;

/** TCP_AO_INFO's counters: segments verified, failed, with unknown keys, unsigned; ICMP errors not listened to. */
export interface AoCounters {
  good: number;
  bad: number;
  keyNotFound: number;
  required: number;
  droppedIcmps: number;
}

// @rfc 5925 6.2
/** One direction's sequence number extension: how often the numbers have wrapped since the first. */
class Extension {
  #sne = 0;
  #seq = 0;

  begin(isn: number): void {
    this.#sne = 0;
    this.#seq = isn;
  }

  /**
   * Of `seq`, with `edge` the number that is next or not acknowledged (tcp_ao_compute_sne). Every segment of a signed
   * connection is asked about, so that an edge never moves by half of the numbers between two looks.
   */
  of(seq: number, edge: number): number {
    if (seqLt(this.#seq, edge)) {
      if (edge >>> 0 < this.#seq >>> 0) this.#sne = (this.#sne + 1) | 0;
      this.#seq = edge;
    }
    return extended(this.#sne, this.#seq, seq);
  }

  /** From where it was looked at last. */
  ofLast(seq: number): number {
    return extended(this.#sne, this.#seq, seq);
  }
}

export function extended(sne: number, edge: number, seq: number): number {
  if (seqLt(seq, edge)) return seq >>> 0 > edge >>> 0 ? (sne - 1) | 0 : sne;
  return seq >>> 0 < edge >>> 0 && seqGe(seq, edge) ? (sne + 1) | 0 : sne;
}

export class AoInfo {
  /** Newest first; of a connection only those for its peer. */
  keys: AoKey[] = [];
  /** Of a connection both are there; a listener has none. */
  current: AoKey | null = null;
  rnext: AoKey | null = null;
  /** No unsigned connections at all. */
  isRequired = false;
  acceptsIcmps = false;
  readonly counters: AoCounters = { good: 0, bad: 0, keyNotFound: 0, required: 0, droppedIcmps: 0 };
  localIsn = 0;
  remoteIsn = 0;
  /** Both ends' initial sequence numbers are known. */
  isStarted = false;
  readonly sent = new Extension();
  readonly received = new Extension();

  /** The key for a peer with these IDs; -1: with any. */
  find(peer: IpAddr, sendId: number, receiveId: number): AoKey | null {
    const { keys } = this;
    for (let i = 0; i < keys.length; i++) {
      if (isOfIds(keys[i], sendId, receiveId) && keys[i].isFor(peer)) return keys[i];
    }
    return null;
  }

  /** The same, of a connection's keys: all of them are for its peer (tcp_ao_established_key). */
  findOwn(sendId: number, receiveId: number): AoKey | null {
    const { keys } = this;
    for (let i = 0; i < keys.length; i++) {
      if (isOfIds(keys[i], sendId, receiveId)) return keys[i];
    }
    return null;
  }

  // @rfc 5925 3.1
  /** RFC 5925 3.1: the IDs of keys must not overlap where their peers do. */
  hasOverlap(spec: AoKeySpec): boolean {
    return this.keys.some(
      (key) =>
        (key.sendId === spec.sendId || key.receiveId === spec.receiveId) &&
        key.overlaps(spec.addr, spec.prefixBits),
    );
  }

  /** tcp_ao_connect_init: the keys for this peer stay. */
  keepFor(peer: IpAddr): void {
    this.keys = this.keys.filter((key) => key.isFor(peer));
    const first = this.keys[0] ?? null;
    if (this.current === null || !this.keys.includes(this.current)) this.current = first;
    if (this.rnext === null || !this.keys.includes(this.rnext)) this.rnext = first;
  }

  /**
   * tcp_ao_copy_all_matching: what a connection takes along from its listener. rnextId is what the peer has asked for;
   * null: no key is for it. Linux copies when the handshake ends.
   */
  childFor(peer: IpAddr, keyId: number, rnextId: number): AoInfo | null {
    const child = new AoInfo();
    for (const key of this.keys) if (key.isFor(peer)) child.keys.unshift(key.clone());
    if (child.keys.length === 0) return null;
    child.current = child.findOwn(rnextId, -1) ?? child.keys[0];
    child.rnext = child.findOwn(-1, keyId) ?? child.keys[0];
    child.isRequired = this.isRequired;
    child.acceptsIcmps = this.acceptsIcmps;
    return child;
  }

  /** A connection begins, or its peer's first number is known. */
  start(localIsn: number, remoteIsn: number, isStarted: boolean): void {
    this.localIsn = localIsn;
    this.remoteIsn = remoteIsn;
    this.isStarted = isStarted;
    this.sent.begin(localIsn);
    this.received.begin(remoteIsn);
    for (const key of this.keys) key.sendTraffic = key.receiveTraffic = null;
  }
}

const isOfIds = (key: AoKey, sendId: number, receiveId: number): boolean =>
  (sendId < 0 || key.sendId === sendId) && (receiveId < 0 || key.receiveId === receiveId);
