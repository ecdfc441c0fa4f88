// What TCP sockets on one host do to each other, call by call, as Linux has it: states, shutdown bits, the pending
// error, who holds a port. Segments are not in it: over loopback each call has had all its answers when the next one
// is made. Written from Linux's rules (net/ipv4/tcp.c, inet_connection_sock.c, af_inet.c), proven against a kernel
// in test/socket-model.test.ts.

import { PORTS } from "./socket-steps.ts";

export const IN = 1;
export const OUT = 4;
export const ERR = 8;
export const HUP = 16;
export const RDHUP = 0x2000;

export const RCV = 1;
export const SEND = 2;

type State =
  | "CLOSE"
  | "LISTEN"
  | "SYN_SENT"
  | "ESTABLISHED"
  | "FIN_WAIT2"
  | "CLOSE_WAIT"
  /** Both have sent FINs, and this one sent the first: the socket is in CLOSE, its pair of names is held. */
  | "TIME_WAIT";

/** What of struct socket connect() asks about: SS_*. */
type Phase = "unconnected" | "connecting" | "connected" | "disconnecting";

/** Ports that the kernel chose: none of the sequence's. */
const EPHEMERAL = PORTS;

export class TcpModel {
  state: State = "CLOSE";
  phase: Phase = "unconnected";
  shut = 0;
  error = "";
  /** A FIN has come (SOCK_DONE). */
  isDone = false;
  queue: number[] = [];
  peer: TcpModel | null = null;
  /** The names last used, as getsockname() shows them; -1: none. */
  local = -1;
  remote = -1;
  /** It holds its port (inet_num); bound by bind(), it keeps it whatever happens. */
  holdsPort = false;
  isLocked = false;
  reuse = false;
  /** Nobody has a descriptor for it. */
  isOrphan = false;
  backlog = 0;
  children: TcpModel[] = [];
  readonly #net: TcpNet;

  constructor(net: TcpNet) {
    this.#net = net;
    net.all.add(this);
  }

  get #isSynchronized(): boolean {
    return !["CLOSE", "LISTEN", "SYN_SENT", "TIME_WAIT"].includes(this.state);
  }
  get #isClosed(): boolean {
    return this.state === "CLOSE" || this.state === "TIME_WAIT";
  }

  /** tcp_poll. */
  get mask(): number {
    if (this.state === "LISTEN") return this.children.length > 0 ? IN : 0;
    let mask = 0;
    if (this.shut === (RCV | SEND) || this.#isClosed) mask |= HUP;
    if ((this.shut & RCV) !== 0) mask |= IN | RDHUP;
    if (this.state !== "SYN_SENT") mask |= OUT | (this.queue.length > 0 ? IN : 0);
    if (this.error !== "") mask |= ERR;
    return mask;
  }

  takeError(): string {
    const error = this.error;
    this.error = "";
    return error;
  }

  /** inet_bind. */
  bind(port: number): string {
    if (!this.#isClosed || this.holdsPort) return "EINVAL";
    if (!this.#net.isFree(port, this)) return "EADDRINUSE";
    this.local = port;
    this.holdsPort = true;
    this.isLocked = true;
    return "0";
  }

  /** inet_listen. */
  listen(backlog: number): string {
    if (this.phase !== "unconnected") return "EINVAL";
    if (this.state === "LISTEN") {
      this.backlog = backlog;
      return "0";
    }
    if (!this.#isClosed) return "EINVAL";
    if (!this.holdsPort) {
      this.local = EPHEMERAL;
      this.holdsPort = true;
    } else if (!this.#net.isFree(this.local, this)) return "EADDRINUSE";
    this.state = "LISTEN";
    this.backlog = backlog;
    return "0";
  }

  /** __inet_stream_connect. */
  connect(port: number): string {
    if (this.phase === "connected") return "EISCONN";
    if (this.phase === "disconnecting") return "EINVAL";
    if (this.phase === "unconnected") {
      if (!this.#isClosed) return "EISCONN";
      if (this.holdsPort && this.#net.isPairTaken(this, port)) return "EADDRNOTAVAIL";
      this.phase = "connecting";
      this.#open(port);
      return "EINPROGRESS";
    }
    if (this.state === "SYN_SENT") return "EALREADY";
    if (!this.#isClosed) {
      this.phase = "connected";
      return "0";
    }
    const error = this.takeError() || "ECONNABORTED";
    this.phase = "unconnected";
    this.#reset();
    return error;
  }

  #open(port: number): void {
    this.error = "";
    this.isDone = false;
    if (!this.holdsPort) this.local = EPHEMERAL;
    this.holdsPort = true;
    this.remote = port;
    if (port === this.local && port !== EPHEMERAL) {
      // A SYN that meets its own sender: a simultaneous open with itself.
      this.peer = this;
      this.state = "ESTABLISHED";
      this.#finishShutdown();
      return;
    }
    const listener = this.#net.listenerOn(port);
    if (listener === null) {
      this.state = "SYN_SENT";
      this.hearReset();
      return;
    }
    // sk_acceptq_is_full: one more than was asked for.
    if (listener.children.length > listener.backlog) {
      this.state = "SYN_SENT";
      return;
    }
    this.#net.forgetTimeWait(port, this);
    const child = new TcpModel(this.#net);
    child.state = "ESTABLISHED";
    child.phase = "connected";
    child.reuse = listener.reuse;
    child.local = port;
    child.remote = this.local;
    child.holdsPort = true;
    child.peer = this;
    this.peer = child;
    this.state = "ESTABLISHED";
    listener.children.push(child);
    child.shut = listener.shut;
    child.#finishShutdown();
  }

  /** Shut down before it was connected: the FIN goes out now (tcp_rcv_state_process in SYN_RECV). */
  #finishShutdown(): void {
    if (this.shut !== 0) this.#net.isOdd = true;
    if ((this.shut & SEND) !== 0) this.#sendFin();
  }

  accept(): TcpModel | string {
    if (this.state !== "LISTEN") return "EINVAL";
    return this.children.shift() ?? "EAGAIN";
  }

  /** tcp_sendmsg_locked. */
  send(bytes: readonly number[]): string {
    if (this.state !== "ESTABLISHED" && this.state !== "CLOSE_WAIT") {
      const error = this.takeError();
      if (error !== "") return error;
      return this.state === "SYN_SENT" ? "EAGAIN" : "EPIPE";
    }
    if (this.error !== "" || (this.shut & SEND) !== 0) return this.takeError() || "EPIPE";
    this.peer?.hear(bytes);
    return String(bytes.length);
  }

  /** Bytes from the peer. */
  hear(bytes: readonly number[]): void {
    const isAbandoned = this.isOrphan || (this.state === "FIN_WAIT2" && (this.shut & RCV) !== 0);
    if (this.state === "TIME_WAIT" || (isAbandoned && this.state === "FIN_WAIT2")) {
      // Nobody will ever read them (tcp_rcv_state_process).
      const peer = this.peer;
      this.hearReset();
      peer?.hearReset();
      return;
    }
    if (this.#isSynchronized) this.queue.push(...bytes);
  }

  /** tcp_recvmsg_locked. */
  receive(length: number, peek: boolean): number[] | string {
    if (this.state === "LISTEN") return "ENOTCONN";
    if (this.queue.length > 0) {
      return peek ? this.queue.slice(0, length) : this.queue.splice(0, length);
    }
    if (this.isDone) return [];
    if (this.error !== "") return this.takeError();
    if ((this.shut & RCV) !== 0) return [];
    return this.#isClosed ? "ENOTCONN" : "EAGAIN";
  }

  /** inet_shutdown; how: RCV, SEND or both. */
  shutdown(how: number): string {
    if (this.phase === "connecting") {
      const isOpening = this.state === "SYN_SENT" || this.#isClosed;
      this.phase = isOpening ? "disconnecting" : "connected";
    }
    if (this.state === "LISTEN") {
      if ((how & RCV) !== 0) this.disconnect();
      return "0";
    }
    if (this.state === "SYN_SENT") {
      this.disconnect();
      return "0";
    }
    const isClosed = this.#isClosed;
    this.shut |= how;
    if ((how & SEND) !== 0) this.#sendFin();
    return isClosed ? "ENOTCONN" : "0";
  }

  #sendFin(): void {
    if (this.state === "CLOSE_WAIT") {
      // The last ACK comes at once, and the other end goes to TIME_WAIT.
      const peer = this.peer;
      this.#done();
      if (peer?.state === "FIN_WAIT2") peer.#hearLastFin();
      return;
    }
    if (this.state !== "ESTABLISHED") return;
    if (this.peer === this) {
      this.isDone = true;
      this.#hearLastFin();
      return;
    }
    this.state = "FIN_WAIT2";
    const peer = this.peer;
    if (peer === null) return;
    peer.shut |= RCV;
    peer.isDone = true;
    peer.state = "CLOSE_WAIT";
  }

  /** tcp_fin in FIN_WAIT2, then tcp_time_wait: the socket is done, its names are not. */
  #hearLastFin(): void {
    this.isDone = true;
    this.shut = RCV | SEND;
    this.peer = null;
    this.#net.holdTimeWait(this);
    this.#leavePort();
    this.state = "CLOSE";
    if (this.isOrphan) this.#net.all.delete(this);
  }

  /** tcp_reset. */
  hearReset(): void {
    if (this.#isClosed) return;
    if (this.state === "SYN_SENT") this.error = "ECONNREFUSED";
    else this.error = this.state === "CLOSE_WAIT" ? "EPIPE" : "ECONNRESET";
    this.#done();
  }

  /** tcp_done. */
  #done(): void {
    this.state = "CLOSE";
    this.shut = RCV | SEND;
    this.peer = null;
    this.#leavePort();
    if (this.isOrphan) this.#net.all.delete(this);
  }

  #leavePort(): void {
    if (!this.isLocked) this.holdsPort = false;
  }

  #sendReset(): void {
    const peer = this.peer;
    this.peer = null;
    if (peer !== this) peer?.hearReset();
  }

  /** connect() with AF_UNSPEC. */
  unconnect(): string {
    this.disconnect();
    this.phase = "unconnected";
    return "0";
  }

  /** tcp_disconnect. */
  disconnect(): void {
    const isOpen = this.#isSynchronized || this.state === "SYN_SENT";
    if (this.state === "LISTEN") this.#stopListening();
    const peer = this.peer;
    this.#reset();
    if (isOpen) {
      if (peer !== null && peer !== this) peer.hearReset();
      this.error = "ECONNRESET";
    }
    this.phase = "unconnected";
  }

  #reset(): void {
    this.state = "CLOSE";
    this.peer = null;
    this.queue = [];
    this.shut = 0;
    this.isDone = false;
    this.remote = -1;
    this.#leavePort();
  }

  /** inet_csk_listen_stop: whoever waits to be accepted is reset. */
  #stopListening(): void {
    const waiting = this.children;
    this.children = [];
    for (const child of waiting) {
      child.isOrphan = true;
      if (child.#isSynchronized) child.#sendReset();
      child.#forget();
    }
  }

  #forget(): void {
    this.state = "CLOSE";
    this.holdsPort = false;
    this.#net.all.delete(this);
  }

  /** __tcp_close. */
  close(): void {
    this.isOrphan = true;
    if (this.state === "LISTEN") this.#stopListening();
    if (this.#isClosed || this.state === "LISTEN" || this.state === "SYN_SENT") {
      this.#forget();
    } else if (this.queue.length > 0) {
      this.#sendReset();
      this.#forget();
    } else {
      this.shut = RCV | SEND;
      this.#sendFin();
    }
  }
}

interface TimeWait {
  local: number;
  remote: number;
  reuse: boolean;
}

/** Who holds which port on this host. */
export class TcpNet {
  readonly all = new Set<TcpModel>();
  /** A connection began with what shutdown() was told before it, or that its listener was told: nobody's plan. */
  isOdd = false;
  #timeWaits: TimeWait[] = [];

  listenerOn(port: number): TcpModel | null {
    // Of two that may share a port only one can listen.
    for (const s of this.all) if (s.state === "LISTEN" && s.local === port) return s;
    return null;
  }

  /** inet_csk_bind_conflict. */
  isFree(port: number, about: TcpModel): boolean {
    for (const s of this.all) {
      if (s === about || !s.holdsPort || s.local !== port) continue;
      const isShared = about.reuse && s.reuse && s.state !== "LISTEN";
      if (!isShared) return false;
    }
    if (port === EPHEMERAL) return true;
    return this.#timeWaits.every((tw) => tw.local !== port || (tw.reuse && about.reuse));
  }

  /** __inet_check_established: a live connection or a young TIME_WAIT of these names. */
  isPairTaken(about: TcpModel, remote: number): boolean {
    const { local } = about;
    if (local === EPHEMERAL) return false;
    for (const s of this.all) {
      if (s === about || s.peer === null) continue;
      if (s.local === local && s.remote === remote) return true;
    }
    // Seen of Linux 6.18: that of a connection with itself does not keep the next one away.
    if (local === remote) this.forgetTimeWait(local, about);
    return this.#timeWaits.some((tw) => tw.local === local && tw.remote === remote);
  }

  holdTimeWait({ local, remote, reuse }: TcpModel): void {
    this.#timeWaits.push({ local, remote, reuse });
  }

  /** A new SYN ends the TIME_WAIT of the other side (tcp_timewait_state_process). */
  forgetTimeWait(local: number, client: TcpModel): void {
    if (client.local === EPHEMERAL) return;
    this.#timeWaits = this.#timeWaits.filter(
      (tw) => tw.local !== local || tw.remote !== client.local,
    );
  }
}
