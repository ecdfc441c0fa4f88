// IPV6_FLOWLABEL_MGR (ipv6(7), Linux's ipv6_flowlabel_opt): programs reserve flow labels for themselves, their user, or
// all who agree, for as long as they need them. What a label does: flow-labels.ts. Extension headers of labels
// (flr_options) are not kept.

import { CAP_NET_ADMIN } from "../../../abi/capability.ts";
import { EEXIST, EINVAL, ENOBUFS, ENOENT, ENOPROTOOPT, EPERM, ESRCH } from "../../../abi/errno.ts";
import { IPPROTO_TCP } from "../../../abi/in.ts";
import { setU16Le, setU32, u16Le, u32 } from "../../../base/bytes.ts";
import { SECOND } from "../../../base/clock.ts";
import { IPV6, IpAddr } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import { type FlowLabel, LABELS_MAX, labelsOf } from "./flow-labels.ts";
import type { InetSocket } from "./inet-socket.ts";

/** struct in6_flowlabel_req. */
const FLOWLABEL_REQ_BYTES = 32;
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
/** FL_MAX_PER_SOCK. */
const LABELS_PER_SOCKET_MAX = 32;

const isForFew = ({ share }: FlowLabel): boolean =>
  share === SHARE_EXCLUSIVE || share === SHARE_PROCESS || share === SHARE_USER;

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
  s.ownIp.flowLabels ??= [];
  s.ownIp.flowLabels.push(label);
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
