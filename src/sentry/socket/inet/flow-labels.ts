// IPv6 flow labels (RFC 6437): those that programs have reserved, and which label a packet bears. A label that nobody has
// reserved may be used by anybody until somebody reserves one for himself alone (fl6_sock_lookup). How they are
// reserved: flow-label-manager.ts.

import { EINVAL } from "../../../abi/errno.ts";
import { SOCK_STREAM } from "../../../abi/socket.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Rng } from "../../../base/rng.ts";
import type { IpAddr } from "../../../netstack/index.ts";
import type { InetSocket } from "./inet-socket.ts";

const LABEL_MASK = 0xf_ffff;
/** FL_MAX_SIZE. */
export const LABELS_MAX = 4096;

export interface FlowLabel {
  readonly label: number;
  readonly dst: IpAddr;
  readonly share: number;
  readonly pid: number;
  readonly uid: number;
  lingerNs: number;
  expiresNs: number;
  users: number;
}

/** All labels of a stack. */
export class FlowLabels {
  readonly #labels = new Map<number, FlowLabel>();
  readonly #clock: Clock;
  readonly #rng: Rng;
  /** Somebody has had one for few: from then on only reserved ones may be used (flowlabel_has_excl). */
  #hasExclusive = false;

  constructor(clock: Clock, rng: Rng) {
    this.#clock = clock;
    this.#rng = rng;
  }

  nowNs(): number {
    return this.#clock.monotonicNs();
  }
  seed(): number {
    return this.#rng.u32();
  }
  find(label: number): FlowLabel | null {
    return this.#labels.get(label) ?? null;
  }
  get room(): number {
    return LABELS_MAX - this.#labels.size;
  }
  /** fl6_sock_lookup. */
  mayUse(s: InetSocket, label: number): boolean {
    return !this.#hasExclusive || labelsOf(s).some((own) => own.label === label);
  }

  /** Under its number, or one that is free. */
  add(wanted: FlowLabel): FlowLabel {
    this.#collect();
    let { label } = wanted;
    while (label === 0 || this.#labels.has(label)) label = this.#rng.u32() & LABEL_MASK;
    const made = { ...wanted, label };
    this.#labels.set(label, made);
    return made;
  }

  /** From now on, whatever becomes of it (fl_create). */
  noteExclusive(): void {
    this.#hasExclusive = true;
  }

  release(label: FlowLabel): void {
    label.users--;
    const until = this.nowNs() + label.lingerNs;
    if (label.users === 0 && until > label.expiresNs) label.expiresNs = until;
    this.#collect();
  }

  /** Those whose time is up (ip6_fl_gc). */
  #collect(): void {
    const now = this.nowNs();
    for (const [number, label] of this.#labels) {
      if (label.users === 0 && label.expiresNs <= now) this.#labels.delete(number);
    }
  }
}

export const labelsOf = (s: InetSocket): FlowLabel[] => s.ip.flowLabels ?? [];

export function releaseFlowLabels(s: InetSocket): void {
  for (const label of labelsOf(s)) s.network.flowLabels.release(label);
  s.ownIp.flowLabels = null;
}

/**
 * The label of packets to dst, as CommonOptions.tos has it. flowInfo: as the program asks for it, 0 for none; of the
 * class in it nothing comes, in Linux neither. -EINVAL: the label is somebody else's.
 */
export function flowFor(s: InetSocket, dst: IpAddr, port: number, flowInfo: number): number {
  let label = flowInfo & LABEL_MASK;
  if (label === 0) label = s.ip.autoFlowLabel ? autoLabel(s, dst, port) : 0;
  else if (!s.network.flowLabels.mayUse(s, label)) return -EINVAL;
  return label << 8;
}

/** The same for a flow, and another for the next (ip6_make_flowlabel): of a connection drawn once, as sk_txhash. */
function autoLabel(s: InetSocket, dst: IpAddr, port: number): number {
  if (s.type === SOCK_STREAM) return s.network.flowLabels.seed() >>> 12 || 1;
  if (s.ip.flowSeed === 0) s.ownIp.flowSeed = s.network.flowLabels.seed() | 1;
  let h = Math.imul(s.ip.flowSeed ^ dst.w0 ^ dst.w1, 0x9e37_79b1);
  h = Math.imul(h ^ dst.w2 ^ port, 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 15) ^ dst.w3, 0xc2b2_ae35);
  return (h >>> 12) & LABEL_MASK || 1;
}

/** Class and label of a connection to dst: 0, with the label set, or -errno (tcp_v6_connect). */
export function labelConnection(
  s: InetSocket,
  dst: IpAddr,
  port: number,
  flowInfo: number,
): number {
  const flow = dst.isV4 ? 0 : flowFor(s, dst, port, flowInfo);
  if (flow < 0) return flow;
  if (s.ip.peerFlowInfo !== flowInfo) s.ownIp.peerFlowInfo = flowInfo;
  const { options } = s.endpoint;
  options.tos = (options.tos & 0xff) | flow;
  return 0;
}
