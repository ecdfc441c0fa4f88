// The sandbox's only way out: a router in the monitor's process with a stack of its own on the inside and
// ordinary host sockets on the outside. It is address, name server and ping target of the inside network;
// what may pass is policy.ts. Driven by Node's event loop: after every event the stack runs (kick).

import { lookup } from "node:dns/promises";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import type { Clock } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../base/limits.ts";
import type { Rng } from "../base/rng.ts";
import { type IcmpForwarder, type IpAddr, type LinkEndpoint, Stack } from "../netstack/index.ts";
import { DnsServer, type Resolve } from "./dns.ts";
import { NameTable } from "./name-table.ts";
import { Policy } from "./policy.ts";
import { answerProhibited } from "./prohibited.ts";
import type { Rule } from "./rule.ts";
import { serveDnsOverTcp } from "./tcp-dns.ts";
import { TcpNat } from "./tcp-nat.ts";
import { UdpNat } from "./udp-nat.ts";
import { UdpPublisher } from "./udp-publish.ts";

export interface GatewayRefusal {
  protocol: "tcp" | "udp" | "icmp";
  address: string;
  port: number;
  /** The name our DNS gave it for, if any. */
  name: string | null;
  reason: string;
  suggestedRule: string;
}

export interface GatewayOptions {
  clock: Clock;
  /** Secure. */
  rng: Rng;
  allow: readonly Rule[];
  deny: readonly Rule[];
  /** The inside network: the router's address and the guest's. */
  router: IpAddr;
  prefixBits: number;
  guest: IpAddr;
  /** Unset: the inside has no IPv6. */
  router6?: { addr: IpAddr; prefixBits: number };
  /** Once per refused target. */
  onRefused: (refusal: GatewayRefusal) => void;
  /** Default: the host's resolver. */
  resolve?: Resolve;
}

const CONNECTIONS_MAX = 8_192;
const UDP_FLOWS_MAX = 1_024;
const REPORTED_MAX = 4_096;
const MS_NS = 1e6;

const hostResolve: Resolve = async (name, family) =>
  (await lookup(name, { all: true, family, verbatim: true })).map((a) => a.address);

/** An address that reaches beyond this machine and its link. */
const isGlobalV6 = (a: NetworkInterfaceInfo): boolean =>
  a.family === "IPv6" && !a.internal && !/^fe[89ab]/i.test(a.address);

export class Gateway {
  readonly stack: Stack;
  readonly #options: GatewayOptions;
  readonly #names = new NameTable();
  readonly #tcp: TcpNat;
  readonly #udp: UdpNat;
  readonly #udpPublisher: UdpPublisher;
  readonly #reported = new Set<string>();
  #kickScheduled = false;
  #timer: NodeJS.Timeout | null = null;
  #timerAtNs = Number.POSITIVE_INFINITY;
  #isClosed = false;
  /** After the stack has run: the link may have frames to flush. */
  onIdle: () => void = () => {};

  constructor(options: GatewayOptions) {
    this.#options = options;
    const { clock, rng, router } = options;
    // The outside is limited by connections; what one guest may hold here is not small.
    this.stack = new Stack({ clock, rng, limits: { ...DEFAULT_LIMITS } });
    // There is one guest, and each of its packets that is refused is to be refused at once.
    this.stack.icmp.limit.hostIntervalNs = 0;
    this.stack.icmp6.limit.hostIntervalNs = 0;
    const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    const ownAddresses = own.map((a) => a.address);
    const router6 = options.router6?.addr ?? null;
    const policy = new Policy(options.allow, options.deny, ownAddresses);
    const dns = new DnsServer({
      policy,
      names: this.#names,
      resolve: options.resolve ?? hostResolve,
      routerAddress: router.toString(),
      ownAddresses,
      hasIpv6: router6 !== null && own.some(isGlobalV6),
    });
    const common = {
      stack: this.stack,
      policy,
      router,
      router6,
      namesOf: (address: string) => this.#names.namesOf(address),
      kick: () => this.kick(),
    };
    this.#tcp = new TcpNat({
      ...common,
      limit: CONNECTIONS_MAX,
      refused: (...r) => this.#refused("tcp", ...r),
    });
    this.#udp = new UdpNat({
      ...common,
      limit: UDP_FLOWS_MAX,
      nowMs: () => clock.monotonicNs() / MS_NS,
      dns: (query) => dns.answer(query, false),
      refused: (...r) => this.#refused("udp", ...r),
    });
    this.#udpPublisher = new UdpPublisher({
      stack: this.stack,
      router,
      guest: options.guest,
      kick: common.kick,
      nowMs: () => clock.monotonicNs() / MS_NS,
      limit: UDP_FLOWS_MAX,
    });
    const pings: IcmpForwarder = {
      onEcho: (pkt) => {
        const address = pkt.dst.toString();
        const names = this.#names.namesOf(address);
        const to = { protocol: "icmp", address, port: 0, names, isHost: false } as const;
        const verdict = policy.check(to);
        // Echoes beyond the router would need a raw socket of the host: not carried, and said so.
        const reason = verdict.allowed ? "echo beyond the router is not carried" : verdict.reason;
        this.#refused("icmp", address, 0, reason, verdict.suggestedRule);
        answerProhibited(this.stack, pkt);
        return true;
      },
    };
    this.stack.icmp.setForwarder(pings);
    this.stack.icmp6.setForwarder(pings);
    serveDnsOverTcp(this.stack, router, dns, () => this.kick());
    if (router6 !== null) serveDnsOverTcp(this.stack, router6, dns, () => this.kick());
  }

  /** Joins the inside network. The link's owner calls kick() after it has delivered frames. */
  attach(link: LinkEndpoint): void {
    const { router, prefixBits, router6 } = this.#options;
    this.stack.attach(link, {
      name: "inside",
      addresses: [{ addr: router, prefixBits }, ...(router6 === undefined ? [] : [router6])],
      promiscuous: true,
      // Nobody else is on this link.
      ipv6: { mode: router6 === undefined ? "off" : "static", duplicateAddressDetection: false },
    });
  }

  publish(protocol: "tcp" | "udp", address: string, hostPort: number, port: number): Promise<void> {
    if (protocol === "udp") return this.#udpPublisher.publish(address, hostPort, port);
    return this.#tcp.publish(address, hostPort, this.#options.guest, port);
  }

  /** Runs the stack once this turn of the event loop is over; cheap to call again and again. */
  kick(): void {
    if (this.#kickScheduled || this.#isClosed) return;
    this.#kickScheduled = true;
    setImmediate(() => {
      this.#kickScheduled = false;
      this.run();
    });
  }

  /** Now: what arrived is handled, what is due fires, what it caused is sent. */
  run(): void {
    if (this.#isClosed) return;
    const { clock } = this.#options;
    this.stack.runTimers(clock.monotonicNs());
    this.#tcp.pump();
    this.stack.runPending();
    this.onIdle();
    this.#armTimer();
  }

  #armTimer(): void {
    const deadlineNs = this.stack.nextDeadlineNs();
    // Later than armed is fine: the early wake-up finds nothing due and arms again.
    if (deadlineNs >= this.#timerAtNs && this.#timer !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#timerAtNs = deadlineNs;
    if (deadlineNs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(
      0,
      Math.ceil((deadlineNs - this.#options.clock.monotonicNs()) / MS_NS),
    );
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#timerAtNs = Number.POSITIVE_INFINITY;
      this.run();
    }, delayMs);
    this.#timer.unref();
  }

  #refused(
    protocol: GatewayRefusal["protocol"],
    address: string,
    port: number,
    reason: string,
    suggestedRule: string,
  ): void {
    const key = `${protocol} ${address} ${port}`;
    if (this.#reported.has(key) || this.#reported.size >= REPORTED_MAX) return;
    this.#reported.add(key);
    const name = this.#names.namesOf(address)[0] ?? null;
    this.#options.onRefused({ protocol, address, port, name, reason, suggestedRule });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#tcp.close();
    this.#udp.close();
    this.#udpPublisher.close();
  }
}
