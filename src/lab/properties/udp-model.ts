// What UDP sockets on one host do to each other, call by call, as Linux has it (net/ipv4/udp.c, datagram.c). Proven
// against a kernel in test/socket-model.test.ts.

import { PORTS } from "./socket-steps.ts";
import { ERR, HUP, IN, OUT, RCV, RDHUP, SEND } from "./tcp-model.ts";

interface Datagram {
  bytes: number[];
}

export class UdpModel {
  isConnected = false;
  shut = 0;
  error = "";
  queue: Datagram[] = [];
  local = -1;
  remote = -1;
  holdsPort = false;
  isLocked = false;
  reuse = false;
  readonly #net: UdpNet;

  constructor(net: UdpNet) {
    this.#net = net;
    net.all.add(this);
  }

  /** datagram_poll. */
  get mask(): number {
    let mask = OUT;
    if (this.error !== "") mask |= ERR;
    if ((this.shut & RCV) !== 0) mask |= IN | RDHUP;
    if (this.shut === (RCV | SEND)) mask |= HUP;
    if (this.queue.length > 0) mask |= IN;
    return mask;
  }

  takeError(): string {
    const error = this.error;
    this.error = "";
    return error;
  }

  bind(port: number): string {
    if (this.isConnected || this.holdsPort) return "EINVAL";
    if (!this.#net.isFree(port, this)) return "EADDRINUSE";
    this.local = port;
    this.holdsPort = true;
    this.isLocked = true;
    return "0";
  }

  #autobind(): void {
    if (this.holdsPort) return;
    this.local = this.#net.ephemeral();
    this.holdsPort = true;
  }

  connect(port: number): string {
    this.#autobind();
    this.remote = port;
    this.isConnected = true;
    return "0";
  }

  /** __udp_disconnect. */
  unconnect(): string {
    this.isConnected = false;
    this.remote = -1;
    if (!this.isLocked) {
      this.holdsPort = false;
      this.local = -1;
    }
    return "0";
  }

  /** udp_sendmsg; port -1: to whom it is connected. */
  send(bytes: number[], port = -1): string {
    this.#autobind();
    if (port < 0 && !this.isConnected) return "EDESTADDRREQ";
    // sock_alloc_send_pskb.
    const error = this.takeError();
    if (error !== "") return error;
    if ((this.shut & SEND) !== 0) return "EPIPE";
    const to = port < 0 ? this.remote : port;
    const receiver = this.#net.receiverOn(to, this.local);
    if (receiver !== null) receiver.queue.push({ bytes });
    // Port unreachable is told to whom is connected to just that port (__udp4_lib_err).
    else if (this.isConnected && this.remote === to) this.error = "ECONNREFUSED";
    return String(bytes.length);
  }

  /** __skb_recv_udp: without waiting, SHUT_RD ends nothing. */
  receive(length: number, peek: boolean): number[] | string {
    const error = this.takeError();
    if (error !== "") return error;
    const first = peek ? this.queue[0] : this.queue.shift();
    return first === undefined ? "EAGAIN" : first.bytes.slice(0, length);
  }

  shutdown(how: number): string {
    this.shut |= how;
    return this.isConnected ? "0" : "ENOTCONN";
  }

  close(): void {
    this.#net.all.delete(this);
  }
}

export class UdpNet {
  readonly all = new Set<UdpModel>();
  #next = PORTS;

  /** Ports of the kernel's choice: each another. */
  ephemeral(): number {
    return this.#next++;
  }

  isFree(port: number, about: UdpModel): boolean {
    for (const s of this.all) {
      if (s === about || !s.holdsPort || s.local !== port) continue;
      if (!(s.reuse && about.reuse)) return false;
    }
    return true;
  }

  /** udp4_lib_lookup2: of those that would take it, a connected one first, then the last that was bound. */
  receiverOn(port: number, from: number): UdpModel | null {
    let best: UdpModel | null = null;
    for (const s of this.all) {
      if (!s.holdsPort || s.local !== port) continue;
      if (s.isConnected && s.remote !== from) continue;
      if (best === null || s.isConnected || !best.isConnected) best = s;
    }
    return best;
  }
}
