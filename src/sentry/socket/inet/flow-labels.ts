// IPv6 flow labels (RFC 6437, ipv6(7)): those that programs reserve with IPV6_FLOWLABEL_MGR (Linux's
// ip6_flowlabel.c), and which label and class a packet bears. A label that nobody has reserved may be used by anybody
// until somebody reserves one for himself alone. Extension headers of labels (flr_options) are not kept.

import { CAP_NET_ADMIN } from "../../../abi/capability.ts";
import { EEXIST, EINVAL, ENOBUFS, ENOENT, ENOPROTOOPT, EPERM, ESRCH } from "../../../abi/errno.ts";
import { IPPROTO_TCP } from "../../../abi/in.ts";
import { setU16Le, setU32, u16Le, u32 } from "../../../base/bytes.ts";
import { type Clock, SECOND } from "../../../base/clock.ts";
import type { Rng } from "../../../base/rng.ts";
import { IPV6, IpAddr } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import type { InetSocket } from "./inet-socket.ts";

/** struct in6_flowlabel_req. */
export const FLOWLABEL_REQ_BYTES = 32;
const LABEL = 16;
const ACTION = 20;
const SHARE = 21;
const FLAGS = 22;
const EXPIRES = 24;
const LINGER = 26;

const ACTION_GET = 0;
const ACTION_PUT = 1;
const ACTION_RENEW = 2;
const CREATE = 1;
const EXCLUSIVE = 2;
const REFLECT = 4;
const REMOTE = 8;
const SHARE_NONE = 0;
const SHARE_EXCLUSIVE = 1;
const SHARE_PROCESS = 2;
const SHARE_USER = 3;
const SHARE_ANY = 255;

const LABEL_MASK = 0xf_ffff;
const LINGER_MIN_S = 6;
const LINGER_MAX_S = 150;
/** FL_MAX_SIZE and FL_MAX_PER_SOCK. */
const LABELS_MAX = 4096;
const LABELS_PER_SOCKET_MAX = 32;

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

const isForFew = ({ share }: FlowLabel): boolean =>
  share === SHARE_EXCLUSIVE || share === SHARE_PROCESS || share === SHARE_USER;

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

const labelsOf = (s: InetSocket): FlowLabel[] => s.ip.flowLabels ?? [];

/** The seconds of a request in ns; 0: too long for who asks (check_linger). */
function lingerNs(t: Task, seconds: number): number {
  if (seconds < LINGER_MIN_S) return LINGER_MIN_S * SECOND;
  if (seconds > LINGER_MAX_S && !t.creds.hasCapability(CAP_NET_ADMIN)) return 0;
  return seconds * SECOND;
}

/** IPV6_FLOWLABEL_MGR set: a label that was chosen stands in `value` afterwards. */
export function setFlowLabel(t: Task, s: InetSocket, value: Uint8Array, length: number): number {
  if (length < FLOWLABEL_REQ_BYTES) return -EINVAL;
  switch (value[ACTION]) {
    case ACTION_GET:
      return getLabel(t, s, value);
    case ACTION_PUT:
      return putLabel(s, value);
    case ACTION_RENEW:
      return renewLabel(t, s, value);
    default:
      return -EINVAL;
  }
}

function putLabel(s: InetSocket, value: Uint8Array): number {
  if ((u16Le(value, FLAGS) & REFLECT) !== 0)
    return s.protocol === IPPROTO_TCP ? -ESRCH : -ENOPROTOOPT;
  const labels = labelsOf(s);
  const at = labels.findIndex((own) => own.label === u32(value, LABEL));
  if (at < 0) return -ESRCH;
  s.network.flowLabels.release(labels[at]);
  labels.splice(at, 1);
  return 0;
}

function renewLabel(t: Task, s: InetSocket, value: Uint8Array): number {
  const number = u32(value, LABEL);
  let label = labelsOf(s).find((own) => own.label === number) ?? null;
  if (label === null && value[SHARE] === SHARE_NONE && t.creds.hasCapability(CAP_NET_ADMIN)) {
    label = s.network.flowLabels.find(number);
  }
  return label === null ? -ESRCH : renew(t, s, label, value);
}

function renew(t: Task, s: InetSocket, label: FlowLabel, value: Uint8Array): number {
  const linger = lingerNs(t, u16Le(value, LINGER));
  const expires = lingerNs(t, u16Le(value, EXPIRES));
  if (linger === 0 || expires === 0) return -EPERM;
  label.lingerNs = Math.max(label.lingerNs, linger);
  label.expiresNs = Math.max(label.expiresNs, s.network.flowLabels.nowNs() + expires);
  return 0;
}

function getLabel(t: Task, s: InetSocket, value: Uint8Array): number {
  const flags = u16Le(value, FLAGS);
  // Reflecting contradicts labels that are the kernel's to give (flowlabel_consistency, which is on).
  if ((flags & REFLECT) !== 0) return -EPERM;
  if ((u32(value, LABEL) & ~LABEL_MASK) !== 0) return -EINVAL;
  const wanted = readLabel(t, s, value);
  if (typeof wanted === "number") return wanted;
  const { flowLabels } = s.network;
  const own = labelsOf(s).find((each) => each.label === wanted.label) ?? null;
  const there = wanted.label === 0 ? null : (own ?? flowLabels.find(wanted.label));
  if (there !== null) {
    if ((flags & EXCLUSIVE) !== 0) return -EEXIST;
    if (!mayShare(there, wanted)) return -EPERM;
    there.lingerNs = Math.max(there.lingerNs, wanted.lingerNs);
    there.expiresNs = Math.max(there.expiresNs, wanted.expiresNs);
    link(s, there);
    return 0;
  }
  if ((flags & CREATE) === 0) return -ENOENT;
  if (isFull(t, s)) return -ENOBUFS;
  const made = flowLabels.add(wanted);
  setU32(value, LABEL, made.label);
  link(s, made);
  return 0;
}

function link(s: InetSocket, label: FlowLabel): void {
  label.users++;
  s.ip.flowLabels ??= [];
  s.ip.flowLabels.push(label);
}

const mayShare = (there: FlowLabel, wanted: FlowLabel): boolean =>
  there.share !== SHARE_EXCLUSIVE &&
  there.share === wanted.share &&
  (there.share !== SHARE_PROCESS || there.pid === wanted.pid) &&
  (there.share !== SHARE_USER || there.uid === wanted.uid);

/** mem_check: the last of the room is for the privileged, and nobody has all of it. */
function isFull(t: Task, s: InetSocket): boolean {
  const { room } = s.network.flowLabels;
  const count = labelsOf(s).length;
  if (room <= 0) return true;
  const isMuch =
    count >= LABELS_PER_SOCKET_MAX || (count > 0 && room < LABELS_MAX / 2) || room < LABELS_MAX / 4;
  return isMuch && !t.creds.hasCapability(CAP_NET_ADMIN);
}

/** fl_create: what is asked for, or -errno. */
function readLabel(t: Task, s: InetSocket, value: Uint8Array): FlowLabel | number {
  const dst = new IpAddr().read(value, 0, IPV6);
  const share = value[SHARE];
  const label: FlowLabel = {
    label: u32(value, LABEL),
    dst,
    share,
    pid: share === SHARE_PROCESS ? t.threadGroup.tgid : 0,
    uid: share === SHARE_USER ? t.creds.euid : 0,
    lingerNs: 0,
    expiresNs: 0,
    users: 0,
  };
  const refused = renew(t, s, label, value);
  if (refused !== 0) return refused;
  const isShare = share === SHARE_ANY || isForFew(label);
  if (dst.isV4 || dst.isUnspecified || !isShare) return -EINVAL;
  if (isForFew(label)) s.network.flowLabels.noteExclusive();
  return label;
}

/** IPV6_FLOWLABEL_MGR read: what the socket's packets bear. `out` holds the program's request. */
export function readFlowLabel(s: InetSocket, out: Uint8Array, maxLength: number): number {
  if (maxLength < FLOWLABEL_REQ_BYTES || out[ACTION] !== ACTION_GET) return -EINVAL;
  const isRemote = (u16Le(out, FLAGS) & REMOTE) !== 0;
  out.fill(0, 0, FLOWLABEL_REQ_BYTES);
  // Of the peer's a connection keeps none.
  if (isRemote) return FLOWLABEL_REQ_BYTES;
  const number = s.ip.peerFlowInfo & LABEL_MASK;
  const label = labelsOf(s).find((own) => own.label === number);
  if (label === undefined) return -ENOENT;
  label.dst.write(out, 0, IPV6);
  setU32(out, LABEL, label.label);
  out[SHARE] = label.share;
  setU16Le(out, LINGER, Math.floor(label.lingerNs / SECOND));
  const leftNs = Math.max(0, label.expiresNs - s.network.flowLabels.nowNs());
  setU16Le(out, EXPIRES, Math.floor(leftNs / SECOND));
  return FLOWLABEL_REQ_BYTES;
}

export function releaseFlowLabels(s: InetSocket): void {
  for (const label of labelsOf(s)) s.network.flowLabels.release(label);
  s.ip.flowLabels = null;
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

/** The same for a flow, and another for the next (ip6_make_flowlabel). Never 0: what seeds it is not. */
function autoLabel(s: InetSocket, dst: IpAddr, port: number): number {
  if (s.ip.flowSeed === 0) s.ip.flowSeed = s.network.flowLabels.seed() | 1;
  let h = Math.imul(s.ip.flowSeed ^ dst.w0 ^ dst.w1, 0x9e37_79b1);
  h = Math.imul(h ^ dst.w2 ^ port, 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 15) ^ dst.w3, 0xc2b2_ae35);
  return (h >>> 12) & LABEL_MASK || 1;
}
