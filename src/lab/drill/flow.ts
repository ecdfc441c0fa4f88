// One connection (or UDP exchange) as the script sees it, and the mapping between its numbers and the live
// ones: sequence numbers relative to what the script wrote, ports, timestamps.

import type { IpAddr } from "../../netstack/index.ts";
import type { DrillSocket } from "./socket.ts";

export class Flow {
  readonly local: IpAddr;
  readonly remote: IpAddr;
  localPort = 0;
  remotePort = 0;
  isListening = false;
  /** The socket, once there is one with a descriptor: a child has none before accept. */
  socket: DrillSocket | null = null;

  /** Our side's initial sequence number as written and as the stack chose it. */
  scriptIsn = 0;
  liveIsn: number | null = null;
  /** The first sequence number of the peer, used as written. */
  peerIsn: number | null = null;

  /** Outbound timestamps: as written to what was really sent. */
  readonly #liveTimestamps = new Map<number, number>();
  firstScriptTs: number | null = null;
  firstLiveTs = 0;
  /** Timestamps the peer has sent, as the stack may echo them. */
  readonly peerTimestamps = new Set<number>();

  constructor(local: IpAddr, remote: IpAddr) {
    this.local = local;
    this.remote = remote;
  }

  /** A connecting socket's ports become known with its connect(). */
  takePorts(): void {
    const endpoint = this.socket?.endpoint;
    if (endpoint === undefined || this.isListening) return;
    if (endpoint.localPort !== 0) this.localPort = endpoint.localPort;
    if (endpoint.remotePort !== 0) this.remotePort = endpoint.remotePort;
  }

  /** Our numbers are as written in a SYN, and counted from our SYN's afterwards. */
  toLive(scriptSeq: number, isSyn: boolean): number {
    if (this.liveIsn === null) return scriptSeq >>> 0;
    return (scriptSeq - (isSyn ? this.scriptIsn : 0) + this.liveIsn) >>> 0;
  }
  toScript(liveSeq: number, isSyn: boolean): number {
    if (this.liveIsn === null) return liveSeq;
    return (liveSeq - this.liveIsn + (isSyn ? this.scriptIsn : 0)) >>> 0;
  }

  /** The peer's numbers are as written in a SYN, and counted from its SYN's afterwards. */
  peerToLive(scriptSeq: number, isSyn: boolean): number {
    return isSyn || this.peerIsn === null ? scriptSeq >>> 0 : (scriptSeq + this.peerIsn) >>> 0;
  }

  peerToScript(liveSeq: number, isSyn: boolean): number {
    return isSyn || this.peerIsn === null ? liveSeq : (liveSeq - this.peerIsn) >>> 0;
  }

  noteTimestamp(script: number, live: number): void {
    if (this.firstScriptTs === null) {
      this.firstScriptTs = script;
      this.firstLiveTs = live;
    }
    this.#liveTimestamps.set(script, live);
  }

  /** The live value of an outbound timestamp that an inbound packet echoes; null: never sent. */
  liveTimestamp(script: number, mayInterpolate: boolean): number | null {
    const exact = this.#liveTimestamps.get(script);
    if (exact !== undefined) return exact;
    if (!mayInterpolate || this.firstScriptTs === null) return null;
    return (script - this.firstScriptTs + this.firstLiveTs) >>> 0;
  }
}
