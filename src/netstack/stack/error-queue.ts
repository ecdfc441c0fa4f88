// The error queue of an endpoint (Linux's sk_error_queue, read with MSG_ERRQUEUE): ICMP errors with what they
// quote, local failures, the times at which packets left, and buffers that a zero-copy send gives back. It
// knows no errno and no layout; whoever reads translates. Entries are rare, so each is an object.

import type { DatagramExtra } from "../endpoints.ts";
import type { IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { ICMP_KIND_PACKET_TOO_BIG, type IcmpError } from "./transport.ts";

/** Who says so: linux/errqueue.h's SO_EE_ORIGIN_*. */
export const ErrorOrigin = { Local: 1, Icmp: 2, Icmp6: 3, Timestamp: 4, Zerocopy: 5 } as const;

/** Which moment of a packet's life a timestamp entry tells: bits of CommonOptions.timestamps by position. */
export const TimestampKind = { Sent: 0, Scheduled: 1, Acked: 2 } as const;

/** Code of a zero-copy entry: the bytes were copied after all. */
export const ZEROCOPY_COPIED = 1;

export interface ErrorEntry {
  readonly origin: number;
  /** 0 for timestamps and zero-copy. */
  readonly error: NetError | 0;
  /** Of ICMP. Zero-copy's code stands in `code`. */
  readonly type: number;
  readonly code: number;
  /** MTU, or where the problem is; TimestampKind; the first zero-copy send. */
  info: number;
  /** The key of a timestamp; the last zero-copy send. */
  data: number;
  /** Where the packet was to go; null when the entry does not say. */
  readonly addr: IpAddr | null;
  readonly port: number;
  /** Who refused it; null when it was not refused by a packet. */
  readonly offender: IpAddr | null;
  /** Of the packet that carried the error: for IP_PKTINFO, IP_RECVTTL, IP_RECVTOS. */
  readonly localAddr: IpAddr | null;
  readonly nicId: number;
  readonly ttl: number;
  readonly tos: number;
  readonly extra: DatagramExtra | null;
  /** Real time. */
  readonly timeNs: number;
  /** The packet, or as much of it as is known. */
  readonly bytes: Uint8Array;
}

/** Against which the queue's bytes count besides its own limit. The stack. */
export interface MemoryAccount {
  socketMemoryBytes: number;
  readonly limits: { readonly socketMemoryBytes: number };
}

/** Charged per entry besides its bytes: as a Linux sk_buff. */
const OVERHEAD_BYTES = 256;
const NOTHING = new Uint8Array(0);

export class ErrorQueue {
  readonly #account: MemoryAccount;
  readonly #options: { readonly receiveBufferBytes: number };
  readonly #entries: ErrorEntry[] = [];
  #charged = 0;
  /** Entries that found no room. */
  dropped = 0;

  constructor(account: MemoryAccount, options: { readonly receiveBufferBytes: number }) {
    this.#account = account;
    this.#options = options;
  }

  get count(): number {
    return this.#entries.length;
  }

  /** False: the receive buffer is full (sock_queue_err_skb: ENOMEM), the entry is lost. */
  push(entry: ErrorEntry): boolean {
    const bytes = entry.bytes.length + OVERHEAD_BYTES;
    if (
      this.#charged + bytes > this.#options.receiveBufferBytes ||
      this.#account.socketMemoryBytes + bytes > this.#account.limits.socketMemoryBytes
    ) {
      this.dropped++;
      return false;
    }
    this.#charged += bytes;
    this.#account.socketMemoryBytes += bytes;
    this.#entries.push(entry);
    return true;
  }

  /** ip_icmp_error: the error and what it quotes from `payload` on. port: where the packet was to go; 0: none. */
  pushIcmp(
    e: IcmpError,
    error: NetError,
    port: number,
    payload: number,
    realtimeNs: number,
    extra: DatagramExtra | null = null,
  ): boolean {
    const info = e.kind === ICMP_KIND_PACKET_TOO_BIG ? e.mtu : e.pointer;
    return this.push({
      origin: e.dst.isV4 ? ErrorOrigin.Icmp : ErrorOrigin.Icmp6,
      error,
      type: e.type,
      code: e.code,
      info,
      data: 0,
      addr: e.dst.clone(),
      port,
      offender: e.from.clone(),
      localAddr: e.to.clone(),
      nicId: e.nicId,
      ttl: e.ttl,
      tos: e.tos,
      extra,
      timeNs: realtimeNs,
      bytes: e.bytes.slice(Math.min(payload, e.end), e.end),
    });
  }

  /** ip_local_error: a send failed here, as it would have failed on the way. */
  pushLocal(error: NetError, addr: IpAddr, port: number, info: number, realtimeNs: number): void {
    this.push({
      ...plain(ErrorOrigin.Local, realtimeNs),
      error,
      info,
      addr: addr.clone(),
      port,
    });
  }

  /** __skb_tstamp_tx. bytes: a copy of the frame, or empty. */
  pushTimestamp(kind: number, key: number, realtimeNs: number, bytes: Uint8Array = NOTHING): void {
    this.push({ ...plain(ErrorOrigin.Timestamp, realtimeNs), info: kind, data: key, bytes });
  }

  /** Zero-copy sends [first, last] are done with; joins an entry that ends where this begins. */
  pushZerocopy(first: number, last: number, copied: boolean): void {
    const code = copied ? ZEROCOPY_COPIED : 0;
    const tail = this.#entries.at(-1);
    const joins =
      tail?.origin === ErrorOrigin.Zerocopy &&
      tail.code === code &&
      first === (tail.data + 1) >>> 0;
    if (joins) tail.data = last;
    else this.push({ ...plain(ErrorOrigin.Zerocopy, 0), code, info: first, data: last });
  }

  /** The oldest, or null. */
  take(): ErrorEntry | null {
    const entry = this.#entries.shift();
    if (entry === undefined) return null;
    this.#discharge(entry.bytes.length + OVERHEAD_BYTES);
    return entry;
  }

  /** The oldest stays. */
  peek(): ErrorEntry | null {
    return this.#entries[0] ?? null;
  }

  clear(): void {
    this.#entries.length = 0;
    this.#discharge(this.#charged);
  }

  #discharge(bytes: number): void {
    this.#charged -= bytes;
    this.#account.socketMemoryBytes -= bytes;
  }
}

export const isIcmpEntry = (entry: ErrorEntry | null): entry is ErrorEntry =>
  entry !== null && (entry.origin === ErrorOrigin.Icmp || entry.origin === ErrorOrigin.Icmp6);

/** What sk_err is after `taken` left the queue: of the next ICMP error, or nothing; undefined: as it was. */
export function errorAfterTake(queue: ErrorQueue, taken: ErrorEntry): NetError | 0 | undefined {
  const next = queue.peek();
  if (isIcmpEntry(next)) return next.error;
  return isIcmpEntry(taken) ? 0 : undefined;
}

const plain = (origin: number, timeNs: number): ErrorEntry => ({
  origin,
  error: origin === ErrorOrigin.Local ? NetErr.MessageTooLong : 0,
  type: 0,
  code: 0,
  info: 0,
  data: 0,
  addr: null,
  port: 0,
  offender: null,
  localAddr: null,
  nicId: 0,
  ttl: 0,
  tos: 0,
  extra: null,
  timeNs,
  bytes: NOTHING,
});
