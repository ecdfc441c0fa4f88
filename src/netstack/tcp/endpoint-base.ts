// What a TCP endpoint is made of, and what it tells of itself: its fields in the order of their use, its state, its
// errors. The calls stand by subject in endpoint-ports.ts, endpoint-options.ts, endpoint-data.ts, endpoint-open.ts and
// endpoint.ts, each a class on top of the one before, without fields (or # methods, which V8
// makes a field of) of its own.

import type { TcpEndpointOptions } from "../endpoints.ts";
import { type Family, IPV4, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import type { OnReadiness } from "../readiness.ts";
import { type ErrorEntry, ErrorQueue, errorAfterTake } from "../stack/error-queue.ts";
import type { PortOwner } from "../stack/ports.ts";
import type { IpOptions } from "../wire/ipv4-options.ts";
import type { ExtensionHeaders } from "../wire/ipv6-extensions.ts";
import type { TcpContext } from "./context.ts";
import type { Listener } from "./listener.ts";
import { mssInHalfWindow } from "./mss.ts";
import { Notices } from "./notices.ts";
import { defaultOptions } from "./options.ts";
import { CLOSED, LISTEN, MSS_DEFAULT_V4, TIME_WAIT } from "./state.ts";
import type { Tcb, TcbOwner } from "./tcb.ts";
import type { TimeWait } from "./time-wait.ts";

const ANY_V4 = IpAddr.v4(0, 0, 0, 0);
const ANY_V6 = new IpAddr();
const addressAny = (family: Family): IpAddr => (family === IPV4 ? ANY_V4 : ANY_V6);

/** What packets to a peer of IPv4, or of IPv6, bear behind their header. */
interface HeadersToCome {
  ip: IpOptions | null;
  extensions: ExtensionHeaders | null;
}

export abstract class EndpointBase implements TcbOwner {
  // What every read and every segment touches, side by side.
  protected readonly ctx: TcpContext;
  /** Written by the endpoint's files only. After close() the Tcb goes on alone. */
  tcb: Tcb | null = null;
  onReadiness: OnReadiness | null = null;
  readonly options: TcpEndpointOptions;
  readonly family: Family;
  /** Shared with routes and Tcbs: another address is another object. */
  localAddr: IpAddr;
  remoteAddr: IpAddr;
  localPort = 0;
  remotePort = 0;
  nextOnPort: PortOwner | null = null;
  isWriterWaiting = false;
  /** The port was chosen by connect, not by bind: other connects may use it too. */
  isAutobound = false;
  /** Written by the endpoint's files only. */
  listener: Listener | null = null;
  protected isAddrBound = false;
  /** bind() named the port: it is kept whatever becomes of the connection (SOCK_BINDPORT_LOCK). */
  protected isPortNamed = false;
  /** localPort is only what getsockname still shows. */
  protected isPortGone = false;
  /** Of an endpoint without a connection: a pending error, and what shutdown() was told (1 read, 2 write). */
  protected error: NetError | 0 = 0;
  protected shut = 0;
  protected predecessor: TimeWait | null = null;
  protected isClosed = false;
  /** connect() has been told of its success once. */
  protected isConnectReported = false;
  /** Payload of a full segment of the last connection (mss_cache, which tcp_disconnect leaves). */
  protected mssBefore = MSS_DEFAULT_V4;
  protected errorQueue: ErrorQueue | null = null;
  /** Of connections to come; one that is there has them in its route. null: none. */
  protected headersToCome: HeadersToCome | null = null;

  constructor(
    ctx: TcpContext,
    family: Family,
    options: TcpEndpointOptions = defaultOptions(ctx.settings),
    localAddr: IpAddr = addressAny(family),
    remoteAddr: IpAddr = addressAny(family),
  ) {
    this.ctx = ctx;
    this.family = family;
    this.options = options;
    this.localAddr = localAddr;
    this.remoteAddr = remoteAddr;
  }

  get isListening(): boolean {
    return this.listener !== null;
  }

  get state(): number {
    if (this.listener !== null) return LISTEN;
    const state = this.tcb === null ? CLOSED : this.tcb.state;
    return state === TIME_WAIT ? CLOSED : state;
  }

  /** The connection goes on alone, or is over. */
  protected letGo(tcb: Tcb): void {
    this.mssBefore = mssInHalfWindow(tcb);
    tcb.owner = null;
    this.tcb = null;
  }

  onTcbEvents(mask: number): void {
    this.onReadiness?.(mask);
  }

  takeError(): NetError | 0 {
    const tcb = this.tcb;
    if (tcb === null) return this.takeBareError();
    const isSoftShown = this.ctx.settings.softErrorsShown !== 0;
    const error = tcb.error === 0 && isSoftShown ? tcb.softError : tcb.error;
    tcb.error = 0;
    if (!isSoftShown) return error;
    tcb.softError = 0;
    return error;
  }

  protected takeBareError(): NetError | 0 {
    const error = this.error;
    this.error = 0;
    return error;
  }

  /** Made when first needed. */
  get errors(): ErrorQueue {
    this.errorQueue ??= new ErrorQueue(this.ctx.errorMemory, this.options);
    return this.errorQueue;
  }

  takeErrorEntry(): ErrorEntry | null {
    const entry = this.errorQueue?.take() ?? null;
    if (entry === null || this.errorQueue === null) return null;
    const left = errorAfterTake(this.errorQueue, entry);
    if (left !== undefined && this.tcb !== null) this.tcb.error = left;
    return entry;
  }

  restartTimestampKeys(): NetError | 0 {
    const tcb = this.tcb;
    if (tcb === null || tcb.state === CLOSED) return NetErr.InvalidArgument;
    tcb.notices ??= new Notices(tcb, this.errors);
    tcb.notices.base = tcb.snd.una;
    return 0;
  }
}
