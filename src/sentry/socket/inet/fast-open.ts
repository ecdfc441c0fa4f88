// TCP Fast Open as programs use it (RFC 7413; Linux's tcp_sendmsg_fastopen and tcp_fastopen_defer_connect): the call
// that connects and sends at once, and the connect() that leaves the SYN to the first write. Cookies, and what goes
// into a SYN, are the stack's (netstack/tcp/fastopen.ts).

import { EAGAIN, EALREADY, EINPROGRESS, EISCONN, EOPNOTSUPP } from "../../../abi/errno.ts";
import { AF_UNSPEC, MSG_FASTOPEN } from "../../../abi/socket.ts";
import { TCP_CLOSE, TCP_SYN_RECV, TCP_SYN_SENT } from "../../../abi/tcp.ts";
import { IpAddr, NetErr, type TcpEndpoint } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import type { Io } from "../../vfs/io.ts";
import { resultOf } from "../errno-of.ts";
import type { SocketAddress } from "../socket-address.ts";

/** TFO_CLIENT_ENABLE of net.ipv4.tcp_fastopen. */
const CLIENT = 1;

export const isClientEnabled = (t: Task): boolean =>
  (t.kernel.stack.tcp.settings.fastopen & CLIENT) !== 0;

export class FastOpen {
  readonly #endpoint: TcpEndpoint;
  readonly #addr = new IpAddr();
  #port = 0;
  /** A connect() has said where to, and waits for its first data. */
  isDeferred = false;
  /** Whose send has opened the connection and sleeps until it may go on: it runs again from its start. */
  #opener: Task | null = null;

  constructor(endpoint: TcpEndpoint) {
    this.#endpoint = endpoint;
  }

  /** connect() with TCP_FASTOPEN_CONNECT: true when the SYN waits for data. */
  defers(addr: IpAddr, port: number): boolean {
    const e = this.#endpoint;
    if (!e.options.fastOpenConnect || !e.hasFastOpenCookie(addr)) return false;
    this.aim(addr, port);
    this.isDeferred = true;
    return true;
  }
  /** Where open() goes. */
  aim(addr: IpAddr, port: number): void {
    this.#addr.set(addr);
    this.#port = port;
  }

  /** A write with these flags is not an ordinary one. */
  concerns(flags: number): boolean {
    return this.isDeferred || (flags & MSG_FASTOPEN) !== 0;
  }
  /** What MSG_FASTOPEN answers when it cannot connect; 0: it may. */
  refusal(t: Task, address: SocketAddress | null, hasConnected: boolean): number {
    const state = this.#endpoint.state;
    const isUnspecified = address !== null && address.length >= 2 && address.family === AF_UNSPEC;
    if (!isClientEnabled(t) || isUnspecified) return -EOPNOTSUPP;
    if (state === TCP_SYN_SENT || state === TCP_SYN_RECV) return -EALREADY;
    return state === TCP_CLOSE && !hasConnected ? 0 : -EISCONN;
  }

  isOpenedBy(t: Task): boolean {
    return this.#opener === t;
  }
  /** The opener runs again: -EAGAIN while the handshake lasts, then 0 for an ordinary write of the rest. */
  goOn(): number {
    const { state } = this.#endpoint;
    if (state === TCP_SYN_SENT || state === TCP_SYN_RECV) return -EAGAIN;
    this.#opener = null;
    this.#endpoint.isWriterWaiting = false;
    return 0;
  }

  /** Connects with the first bytes of io: how many went, or -errno. -EAGAIN: the handshake is to be awaited. */
  open(t: Task, io: Io, mayBlock: boolean): number {
    const e = this.#endpoint;
    this.isDeferred = false;
    const n = io.remaining === 0 ? 0 : io.span(io.remaining, false);
    if (n < 0) return n;
    const taken = e.connectWithData(this.#addr, this.#port, io.spanBytes, io.spanOffset, n);
    if (taken < 0 && taken !== NetErr.InProgress) return resultOf(taken);
    if (taken > 0) io.advance(taken);
    if (!mayBlock) return taken > 0 ? taken : -EINPROGRESS;
    // Linux sleeps until the handshake's end even when all went with the SYN; here only who has more to say does.
    if (taken > 0 && io.remaining === 0) return taken;
    this.#opener = t;
    e.isWriterWaiting = true;
    return taken > 0 ? taken : -EAGAIN;
  }
}
