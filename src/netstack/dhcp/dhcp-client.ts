// A DHCPv4 client on one NIC (RFC 2131 4.4): gets a lease, asks whether its address is free (RFC 5227), puts
// address, routes and MTU into the stack, renews, and takes all of it away when the lease ends. Its endpoint is
// open only while an exchange runs. INIT-REBOOT and INFORM are not here: nothing is kept over a restart.

import { SECOND } from "../../base/clock.ts";
import { Timer } from "../../base/timers.ts";
import type { DatagramInfo } from "../endpoints.ts";
import { newDatagramInfo } from "../endpoints.ts";
import { IPV4, IpAddr } from "../ip-addr.ts";
import { AddressProbe, PROBE_TIMES, type ProbeTimes } from "../stack/address-probe.ts";
import type { Nic } from "../stack/nic.ts";
import type { UdpEndpoint } from "../udp/udp-endpoint.ts";
import * as dhcp from "../wire/dhcp.ts";
import { InstalledLease } from "./installed-lease.ts";
import { type Lease, readLease, serverOf } from "./lease.ts";

export const DhcpState = {
  Init: 0,
  Selecting: 1,
  Requesting: 2,
  Probing: 3,
  Bound: 4,
  Renewing: 5,
  Rebinding: 6,
  Stopped: 7,
} as const;
export type DhcpState = (typeof DhcpState)[keyof typeof DhcpState];

export interface DhcpConfig {
  /** Sent to the server, which may tell it to a DNS. */
  hostName?: string;
  probeTimes?: ProbeTimes;
  /** A new lease, or a renewed one that may say other things; null: the lease is over. */
  onLease?: (lease: Lease | null) => void;
}

/** 4 s, doubled to 64, each with a second more or less. */
const RETRY_FIRST_NS = 4 * SECOND;
const RETRY_MAX_NS = 64 * SECOND;
const JITTER_NS = 1 * SECOND;
/** REQUESTs that an offer is worth: "a total delay of 60 seconds" (RFC 2131 3.1). */
const REQUESTS_MAX = 4;
/** RFC 2131 3.1: after a DECLINE. */
const DECLINE_WAIT_NS = 10 * SECOND;
/** A server that refuses what it has offered is not asked again at once. */
const NAK_WAIT_NS = 1 * SECOND;
/** RFC 2131 4.4.5. */
const RENEW_MIN_NS = 60 * SECOND;
const MESSAGE_MAX = 1500;
const ETHERNET = 1;
/** RFC 3442: classless routes in front of routers. */
const WANTED = [
  dhcp.DHCP_SUBNET_MASK,
  dhcp.DHCP_CLASSLESS_ROUTES,
  dhcp.DHCP_ROUTERS,
  dhcp.DHCP_NAME_SERVERS,
  dhcp.DHCP_HOST_NAME,
  dhcp.DHCP_DOMAIN,
  dhcp.DHCP_MTU,
  dhcp.DHCP_BROADCAST,
  dhcp.DHCP_RENEWAL_TIME,
  dhcp.DHCP_REBINDING_TIME,
  dhcp.DHCP_DOMAIN_SEARCH,
];
const EVERYBODY = IpAddr.v4(255, 255, 255, 255);
const ANY = IpAddr.v4(0, 0, 0, 0);
const HOST_NAME_MAX = 63;

const bytes4 = (word: number): number[] => [
  word >>> 24,
  (word >>> 16) & 255,
  (word >>> 8) & 255,
  word & 255,
];
const asciiBytes = (text: string): number[] =>
  [...text].map((c) => c.charCodeAt(0) & 0x7f).slice(0, HOST_NAME_MAX);

export class DhcpClient {
  readonly #nic: Nic;
  readonly #config: DhcpConfig;
  readonly #timer = new Timer((nowNs) => this.#onTimer(nowNs));
  readonly #bytes = new Uint8Array(MESSAGE_MAX);
  readonly #info: DatagramInfo;
  #state: DhcpState = DhcpState.Init;
  #endpoint: UdpEndpoint | null = null;
  #probe: AddressProbe | null = null;
  #installed: InstalledLease | null = null;
  #xid = 0;
  /** When the exchange began, and when its last REQUEST went. */
  #beganNs = 0;
  #requestedNs = 0;
  #tries = 0;
  #offer: Lease | null = null;

  constructor(nic: Nic, config: DhcpConfig = {}) {
    this.#nic = nic;
    this.#config = config;
    this.#info = newDatagramInfo();
  }

  get state(): DhcpState {
    return this.#state;
  }
  /** The lease in use. */
  get lease(): Lease | null {
    return this.#installed?.lease ?? null;
  }

  start(): void {
    this.#discover(this.#nowNs());
  }

  // @rfc 2131 4.4.6
  /** Gives the address back, if the server can be reached without asking for its MAC address. */
  close(): void {
    const lease = this.lease;
    if (lease !== null) {
      this.#begin(DhcpState.Stopped, this.#nowNs());
      const id: [number, number[]] = [dhcp.DHCP_SERVER_ID, bytes4(lease.server.w3)];
      this.#send(dhcp.DHCPRELEASE, lease.addr, lease.server, [id]);
    }
    this.#state = DhcpState.Stopped;
    this.#probe?.cancel();
    this.#hangUp();
    this.#nic.stack.timers.disarm(this.#timer);
  }

  #nowNs(): number {
    return this.#nic.stack.clock.monotonicNs();
  }
  #arm(atNs: number): void {
    const { timers } = this.#nic.stack;
    if (atNs === Number.POSITIVE_INFINITY) timers.disarm(this.#timer);
    else timers.arm(this.#timer, atNs);
  }

  #onTimer(nowNs: number): void {
    switch (this.#state) {
      case DhcpState.Init:
        this.#discover(nowNs);
        break;
      case DhcpState.Selecting:
        this.#sendDiscover(nowNs);
        break;
      case DhcpState.Requesting:
        if (this.#tries < REQUESTS_MAX) this.#sendRequest(nowNs);
        else this.#discover(nowNs);
        break;
      case DhcpState.Bound:
      case DhcpState.Renewing:
      case DhcpState.Rebinding:
        this.#prolong(nowNs);
        break;
    }
  }

  // --- Getting a lease ---

  #begin(state: DhcpState, nowNs: number): void {
    this.#state = state;
    this.#xid = this.#nic.stack.rng.u32();
    this.#beganNs = nowNs;
    this.#tries = 0;
  }

  #discover(nowNs: number): void {
    this.#begin(DhcpState.Selecting, nowNs);
    this.#offer = null;
    this.#sendDiscover(nowNs);
  }

  #sendDiscover(nowNs: number): void {
    this.#send(dhcp.DHCPDISCOVER, ANY, EVERYBODY, []);
    this.#retryLater(nowNs);
  }

  // @rfc 2131 4.4.1
  #sendRequest(nowNs: number): void {
    const offer = this.#offer as Lease;
    this.#requestedNs = nowNs;
    this.#send(dhcp.DHCPREQUEST, ANY, EVERYBODY, [
      [dhcp.DHCP_REQUESTED_ADDRESS, bytes4(offer.addr.w3)],
      [dhcp.DHCP_SERVER_ID, bytes4(offer.server.w3)],
    ]);
    this.#retryLater(nowNs);
  }

  // @rfc 2131 4.1
  #retryLater(nowNs: number): void {
    const base = Math.min(RETRY_FIRST_NS * 2 ** this.#tries, RETRY_MAX_NS);
    this.#tries++;
    this.#arm(nowNs + base - JITTER_NS + this.#nic.stack.rng.below(2 * JITTER_NS));
  }

  #onReply(reply: dhcp.DhcpReply): void {
    const waits = this.#state === DhcpState.Selecting ? dhcp.DHCPOFFER : dhcp.DHCPACK;
    if (reply.type === dhcp.DHCPNAK) this.#onNak(reply);
    else if (reply.type === waits) {
      const lease = readLease(reply);
      if (lease === null) return;
      if (waits === dhcp.DHCPOFFER) this.#onOffer(lease);
      else if (this.#state === DhcpState.Requesting) this.#onAck(lease);
      else this.#onProlonged(lease);
    }
  }

  /** The first offer that makes sense is taken. */
  #onOffer(offer: Lease): void {
    this.#offer = offer;
    this.#state = DhcpState.Requesting;
    this.#tries = 0;
    this.#sendRequest(this.#nowNs());
  }

  #onAck(lease: Lease): void {
    const offer = this.#offer as Lease;
    if (!lease.server.equals(offer.server) || !lease.addr.equals(offer.addr)) return;
    this.#state = DhcpState.Probing;
    this.#hangUp();
    this.#arm(Number.POSITIVE_INFINITY);
    const times = this.#config.probeTimes ?? PROBE_TIMES;
    this.#probe = new AddressProbe(this.#nic, lease.addr, times, (isFree) => {
      if (isFree) this.#bind(lease);
      else this.#decline(lease);
    });
  }

  #bind(lease: Lease): void {
    this.#installed = new InstalledLease(this.#nic, lease, this.#requestedNs);
    this.#probe?.announce();
    this.#rest(lease);
  }

  // @rfc 2131 3.1.5
  /** Somebody has the address: the server must learn of it, and may have another. */
  #decline(lease: Lease): void {
    this.#begin(DhcpState.Init, this.#nowNs());
    this.#send(dhcp.DHCPDECLINE, ANY, EVERYBODY, [
      [dhcp.DHCP_REQUESTED_ADDRESS, bytes4(lease.addr.w3)],
      [dhcp.DHCP_SERVER_ID, bytes4(lease.server.w3)],
    ]);
    this.#startAgain(DECLINE_WAIT_NS);
  }

  #startAgain(afterNs: number): void {
    this.#state = DhcpState.Init;
    this.#hangUp();
    this.#arm(this.#nowNs() + afterNs);
  }

  /** Until T1. */
  #rest(lease: Lease): void {
    this.#state = DhcpState.Bound;
    this.#hangUp();
    this.#arm(this.#requestedNs + lease.renewNs);
    this.#config.onLease?.(lease);
  }

  #onNak(reply: dhcp.DhcpReply): void {
    const server = serverOf(reply);
    if (this.#state === DhcpState.Selecting || server === null) return;
    const asked = this.#state === DhcpState.Requesting ? this.#offer : this.lease;
    if (this.#state !== DhcpState.Rebinding && asked?.server.equals(server) !== true) return;
    if (this.#installed !== null) this.#expire();
    else this.#startAgain(NAK_WAIT_NS);
  }

  /** The lease is over, whoever said so: all that came with it goes. */
  #expire(): void {
    const had = this.#installed;
    this.#installed = null;
    this.#probe?.cancel();
    had?.remove();
    if (had !== null) this.#config.onLease?.(null);
    this.#discover(this.#nowNs());
  }

  // --- Keeping it ---

  // @rfc 2131 4.4.5
  /** From T1 on the server is asked, from T2 on anybody, each time after half of what is left. */
  #prolong(nowNs: number): void {
    const lease = this.lease as Lease;
    const since = (this.#installed as InstalledLease).sinceNs;
    const endNs = since + lease.leaseNs;
    if (nowNs >= endNs) {
      this.#expire();
      return;
    }
    const rebindNs = since + lease.rebindNs;
    const next = nowNs >= rebindNs ? DhcpState.Rebinding : DhcpState.Renewing;
    if (this.#state !== next) this.#begin(next, nowNs);
    this.#requestedNs = nowNs;
    const isRenewing = next === DhcpState.Renewing;
    this.#send(dhcp.DHCPREQUEST, lease.addr, isRenewing ? lease.server : EVERYBODY, []);
    const untilNs = isRenewing ? rebindNs : endNs;
    this.#arm(Math.min(untilNs, nowNs + Math.max((untilNs - nowNs) / 2, RENEW_MIN_NS)));
  }

  #onProlonged(lease: Lease): void {
    const old = this.lease as Lease;
    // Another address than the one that was asked for is no answer.
    if (!lease.addr.equals(old.addr)) return;
    this.#installed?.replace(lease, this.#requestedNs);
    this.#rest(lease);
  }

  // --- Messages ---

  #send(
    type: number,
    ciaddr: IpAddr,
    to: IpAddr,
    options: [code: number, value: readonly number[]][],
  ): void {
    const { mac } = this.#nic;
    const all: [number, readonly number[]][] = [
      [dhcp.DHCP_MESSAGE_TYPE, [type]],
      [dhcp.DHCP_CLIENT_ID, [ETHERNET, ...mac]],
      ...options,
    ];
    // RFC 2131 table 5.
    if (type === dhcp.DHCPDISCOVER || type === dhcp.DHCPREQUEST) {
      all.push([dhcp.DHCP_MAX_SIZE, [MESSAGE_MAX >> 8, MESSAGE_MAX & 255]]);
      all.push([dhcp.DHCP_PARAMETERS, WANTED]);
      const { hostName } = this.#config;
      if (hostName) all.push([dhcp.DHCP_HOST_NAME, asciiBytes(hostName)]);
    }
    const secs = Math.floor((this.#nowNs() - this.#beganNs) / SECOND);
    const length = dhcp.writeDhcp(this.#bytes, {
      xid: this.#xid,
      secs: Math.min(secs, 0xffff),
      // RFC 2131 4.1: until there is an address, no packet to it is taken.
      broadcast: ciaddr.isUnspecified && type !== dhcp.DHCPDECLINE,
      ciaddr: ciaddr.w3,
      mac,
      options: all,
    });
    // No endpoint, no link, no neighbour: as if the message had been lost.
    this.#open()?.send(this.#bytes, 0, length, to, dhcp.DHCP_SERVER_PORT);
  }

  /** Null: there are too many endpoints, or another one has the port. */
  #open(): UdpEndpoint | null {
    if (this.#endpoint !== null) return this.#endpoint;
    const ep = this.#nic.stack.udp.open(IPV4);
    if (typeof ep === "number") return null;
    ep.options.boundNicId = this.#nic.id;
    ep.options.broadcast = true;
    ep.options.reuseAddress = true;
    if (ep.bind(ANY, dhcp.DHCP_CLIENT_PORT) < 0) {
      ep.close();
      return null;
    }
    ep.onReadiness = () => this.#receive();
    this.#endpoint = ep;
    return ep;
  }

  #hangUp(): void {
    this.#endpoint?.close();
    this.#endpoint = null;
  }

  #receive(): void {
    for (;;) {
      const ep = this.#endpoint;
      if (ep === null) return;
      const n = ep.receive(this.#bytes, 0, this.#bytes.length, this.#info, false);
      // An ICMP error counts as silence.
      if (n < 0) return;
      if (this.#info.port !== dhcp.DHCP_SERVER_PORT) continue;
      const reply = dhcp.readDhcpReply(this.#bytes, n, this.#nic.mac);
      if (reply !== null && reply.xid === this.#xid) this.#onReply(reply);
    }
  }
}
