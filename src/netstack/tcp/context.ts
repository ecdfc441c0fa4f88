// What all connections of one stack share: the world they were given, the tables, the pools, the limits'
// counters, and the time of the event being handled (read once per event by enter()).

import type { Clock } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import type { Macs } from "../../base/macs.ts";
import type { Rng } from "../../base/rng.ts";
import type { TimerQueue } from "../../base/timers.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import type { MemoryAccount } from "../stack/error-queue.ts";
import type { NetworkLayer } from "../stack/transport.ts";
import { OF_TIME_WAIT } from "./auth-keys.ts";
import { Demux } from "./demux.ts";
import { FastOpenCache } from "./fastopen-cookie.ts";
import type { ForwardHandler } from "./forwarder.ts";
import { ListenerTable } from "./listener.ts";
import { MetricsCache } from "./metrics.ts";
import { defaultOptions } from "./options.ts";
import { RingPool } from "./ring-pool.ts";
import { SavedSyns } from "./saved-syn.ts";
import { Secrets } from "./secrets.ts";
import { Segment } from "./segment.ts";
import { SentRecordPool } from "./sent-list.ts";
import { TcpSettings } from "./settings.ts";
import { TcpStats } from "./stats.ts";
import { SynCookies } from "./syn-cookie.ts";
import type { Tcb } from "./tcb.ts";
import { TcpPorts } from "./tcp-ports.ts";
import { TimeWaitTable } from "./time-wait.ts";
import { TupleHash } from "./tuple-table.ts";

export interface TcpResources {
  readonly clock: Clock;
  readonly timers: TimerQueue;
  /** Secure in production: sequence numbers depend on it. */
  readonly rng: Rng;
  readonly limits: Limits;
  /** What TCP-AO computes with; without there are no algorithms. */
  readonly macs?: Macs | null;
}

export class TcpContext {
  readonly network: NetworkLayer;
  readonly clock: Clock;
  readonly timers: TimerQueue;
  readonly rng: Rng;
  readonly limits: Limits;
  readonly macs: Macs | null;
  readonly stats = new TcpStats();
  readonly settings = new TcpSettings();
  readonly fastOpenCache = new FastOpenCache();
  readonly metrics = new MetricsCache();
  readonly savedSyns = new SavedSyns();
  readonly rings: RingPool;
  readonly records = new SentRecordPool();
  readonly demux: Demux;
  readonly ports: TcpPorts;
  readonly timeWaits: TimeWaitTable;
  readonly listeners: ListenerTable;
  readonly secrets: Secrets;
  readonly cookies: SynCookies;
  /** The segment being processed. */
  readonly segment = new Segment();
  forwarder: ForwardHandler | null = null;
  /** Options of connections that a gateway accepts. */
  readonly forwardOptions = defaultOptions(this.settings);
  /** Wraps an established child for the accept queue; set by TcpProtocol. */
  wrapChild: (tcb: Tcb) => TcpEndpoint;
  /** A connection's timer has fired: timers.ts, given by TcpProtocol. */
  readonly onTimer: (tcb: Tcb) => void;
  /** How often connections changed from one state to another: [from << 4 | to]. What campaigns cover. */
  readonly transitions = new Uint32Array(256);

  /**
   * The time of the packet being handled, where whoever brings it has just asked the clock; 0: ask. measured: a
   * look at the host's clock takes 110 ns (Node 20).
   */
  arrivalNs = 0;
  nowNs = 0;
  /** Modulo 2^32, as int32: compare only by difference. */
  nowUs = 0;
  nowMs = 0;

  /** What the connections' error queues hold. */
  readonly errorMemory: MemoryAccount;

  /** Where warm() puts what it saw, so that it is not compiled away. */
  seen = 0;
  connectionCount = 0;
  halfOpenCount = 0;
  /** Closed by their user, not yet by both ends. */
  orphanCount = 0;
  /** Keys of signed connections and of endpoints to come: limits.signingKeys. */
  signingKeyCount = 0;

  constructor(
    network: NetworkLayer,
    resources: TcpResources,
    wrapChild: (tcb: Tcb) => TcpEndpoint,
    onTimer: (tcb: Tcb) => void,
  ) {
    this.network = network;
    this.clock = resources.clock;
    this.timers = resources.timers;
    this.rng = resources.rng;
    this.limits = resources.limits;
    this.macs = resources.macs ?? null;
    this.errorMemory = { socketMemoryBytes: 0, limits: resources.limits };
    this.rings = new RingPool(resources.limits.socketMemoryBytes, this.stats);
    this.secrets = new Secrets(resources.rng);
    this.cookies = new SynCookies(resources.rng);
    this.listeners = new ListenerTable(resources.rng);
    const hash = new TupleHash(resources.rng);
    this.demux = new Demux(hash);
    this.ports = new TcpPorts(resources.rng);
    this.timeWaits = new TimeWaitTable(hash, resources.timers, (tw) => {
      this.ports.remove(tw);
      tw.authKeys?.letGo(this, OF_TIME_WAIT);
      tw.authKeys = null;
    });
    this.wrapChild = wrapChild;
    this.onTimer = onTimer;
  }

  // @rfc 7323 5.4
  /** At the start of every event: packet, timer, call of the user. */
  enter(): void {
    const now = this.arrivalNs === 0 ? this.clock.monotonicNs() : this.arrivalNs;
    if (now === this.nowNs) return;
    this.nowNs = now;
    this.nowUs = (now / 1_000) | 0;
    this.nowMs = (now / 1_000_000) | 0;
  }
}
