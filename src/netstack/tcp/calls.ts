// The user calls OPEN (where to), SEND, RECEIVE, CLOSE and poll on a TCB (RFC 9293 3.10.1-3.10.4) with Linux's
// answers.

import { seqAdd, seqDiff, seqLt } from "../../base/seqnum.ts";
import { KnownPlace } from "../../base/slab.ts";
import { WRITE_EOR, WRITE_MORE, WRITE_URGENT, WRITE_ZEROCOPY } from "../endpoints.ts";
import { type Family, IPV4, IPV6, IpAddr } from "../ip-addr.ts";
import { NetErr, type NetError } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import { sendAck } from "./ack-policy.ts";
import { CHRONO_BUSY, chronoStart } from "./chrono.ts";
import { isEarlyChild } from "./fastopen.ts";
import { pieceBytes } from "./mss.ts";
import { Notices } from "./notices.ts";
import { limitFinWait2 } from "./on-segment.ts";
import { rateCheckAppLimited } from "./rate.ts";
import { forgetUrgent } from "./receiver.ts";
import { RESERVE_BLOCK_BYTES } from "./ring-pool.ts";
import { isWritable, notsentLowat, sendMemory } from "./send-memory.ts";
import { output, outputOne, restartAfterIdle } from "./sender.ts";
import {
  CLOSE_WAIT,
  CLOSED,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  SYN_RECEIVED,
  SYN_SENT,
  TIME_WAIT,
} from "./state.ts";
import { setState, type Tcb, URGENT_NONE, URGENT_PENDING, URGENT_READY } from "./tcb.ts";
import { abortTcb, closeTcb } from "./transitions.ts";
import { tuneReceiveBuffer, wantsWindowUpdate } from "./window.ts";

/** Where the users' buffers are: what is written comes out of one, what is read goes into the other. */
const source = new KnownPlace();
const target = new KnownPlace();

function takePending(tcb: Tcb): NetError | 0 {
  const error = tcb.error;
  tcb.error = 0;
  return error;
}

export function writeUser(
  tcb: Tcb,
  src: Uint8Array,
  offset: number,
  length: number,
  flags: number,
): number {
  if (tcb.error !== 0) return takePending(tcb);
  if (tcb.sendShutdown) return NetErr.BrokenPipe;
  switch (tcb.state) {
    case ESTABLISHED:
    case CLOSE_WAIT:
      break;
    case SYN_SENT:
    case SYN_RECEIVED:
      if (isEarlyChild(tcb) || tcb.ctx.settings.queuesBeforeOpen !== 0) break;
      tcb.isWriteBlocked = true;
      return NetErr.WouldBlock;
    default:
      return NetErr.BrokenPipe;
  }
  if (length === 0) return 0;
  if (tcb.isWriteBlocked && !isWritable(tcb)) return NetErr.WouldBlock;
  if (tcb.sent.packetsOut === 0) restartAfterIdle(tcb);
  rateCheckAppLimited(tcb);
  const n = fillPieces(tcb, src, offset, length);
  if (n <= 0) {
    tcb.isWriteBlocked = true;
    return n < 0 ? NetErr.NoBuffers : NetErr.WouldBlock;
  }
  const { snd } = tcb;
  tcb.isWriteBlocked = n < length;
  if ((flags & WRITE_URGENT) !== 0 && n === length) {
    snd.up = snd.end;
    snd.isUrgent = true;
  }
  const isMoreComing = (flags & WRITE_MORE) !== 0;
  if (!isMoreComing) pushTail(tcb);
  if ((flags & WRITE_EOR) !== 0 && n === length) {
    if (tcb.recordEnds === null) tcb.recordEnds = [];
    tcb.recordEnds.push(snd.end);
  }
  if ((tcb.options.timestamps !== 0 || (flags & WRITE_ZEROCOPY) !== 0) && tcb.owner !== null) {
    tcb.notices ??= new Notices(tcb, tcb.owner.errors);
    tcb.notices.add(flags);
  }
  output(tcb, isMoreComing);
  return n;
}

/**
 * Copies piece by piece, each as large as one packet may be (Linux's size goal): the limits are asked before
 * a piece is begun, so the last one may go beyond them. A full piece at the head of the queue goes at once.
 * Returns the bytes taken; -1 when there is no memory for any.
 */
function fillPieces(tcb: Tcb, src: Uint8Array, offset: number, length: number): number {
  const { snd } = tcb;
  const goal = pieceBytes(tcb);
  const srcSlab = source.of(src, length);
  let n = 0;
  while (n < length) {
    const unsent = seqDiff(snd.end, snd.nxt);
    if (seqLt(snd.tailSeq, snd.nxt)) snd.tailSeq = snd.nxt;
    let tail = seqDiff(snd.end, snd.tailSeq);
    if (unsent <= 0) snd.isTailPushed = false;
    if (unsent <= 0 || tail >= goal || isRecordEnd(tcb)) {
      if (sendMemory(tcb) >= tcb.options.sendBufferBytes || unsent >= notsentLowat(tcb)) break;
      beginPiece(tcb, goal);
      tail = 0;
    }
    let copy = Math.min(goal - tail, length - n);
    const { queued } = tcb;
    if (!tcb.sendRing.reserve(queued + copy, queued)) {
      copy = Math.min(copy, RESERVE_BLOCK_BYTES - queued);
      const fits = copy > 0 && tcb.sendRing.reserve(queued + copy, queued);
      if (!fits) return n > 0 || queued > 0 ? n : -1;
    }
    tcb.sendRing.store(queued, src, offset + n, copy, srcSlab);
    snd.end = seqAdd(snd.end, copy);
    chronoStart(tcb, CHRONO_BUSY);
    n += copy;
    if (n >= length || tail + copy < goal) continue;
    // A full piece with more to come: half a window since the last PSH is worth another one.
    if (seqDiff(snd.end, snd.pushSeq) > snd.maxWnd >> 1) {
      pushTail(tcb);
      output(tcb, true);
    } else if (snd.tailSeq === snd.nxt) outputOne(tcb);
  }
  return n;
}

function beginPiece(tcb: Tcb, goal: number): void {
  const { snd } = tcb;
  if (snd.isTailPushed && snd.end !== snd.nxt) {
    if (snd.pushEnds === null) snd.pushEnds = [];
    snd.pushEnds.push(snd.end);
  }
  snd.isTailPushed = false;
  snd.tailSeq = snd.end;
  snd.pieceBytes = goal;
}

/** What has been written so far should not wait. */
function pushTail(tcb: Tcb): void {
  const { snd } = tcb;
  snd.pushSeq = snd.end;
  snd.isTailPushed = true;
}

const isRecordEnd = (tcb: Tcb): boolean =>
  tcb.recordEnds !== null && tcb.recordEnds[tcb.recordEnds.length - 1] === tcb.snd.end;

/** Fast Open: the data that goes with the SYN. Returns the bytes taken. */
export function loadSynData(tcb: Tcb, src: Uint8Array, offset: number, length: number): number {
  const { snd } = tcb;
  if (length <= 0 || !tcb.sendRing.reserve(length, 0)) return 0;
  tcb.sendRing.store(0, src, offset, length);
  beginPiece(tcb, length);
  snd.end = seqAdd(snd.end, length);
  pushTail(tcb);
  if (tcb.fastOpen !== null) tcb.fastOpen.dataBytes = length;
  return length;
}

/** `from`: where a peek begins, in what was received; 0 when the bytes are taken. */
export function readUser(
  tcb: Tcb,
  dst: Uint8Array,
  offset: number,
  length: number,
  peek: boolean,
  from: number,
): number {
  const { rcv } = tcb;
  let available = tcb.readable - from;
  let skip = from;
  if (available > 0 && rcv.urgentState !== URGENT_NONE) {
    // Reading stops at the urgent byte; the next read steps over it, or with SO_OOBINLINE begins with it.
    const mark = seqDiff(rcv.urgentSeq, rcv.copied) - from;
    if (mark === 0) {
      const over = tcb.options.oobInline ? 0 : 1;
      skip += over;
      available -= over;
    } else if (mark > 0 && mark < available) {
      available = mark;
    }
  }
  if (available <= 0) {
    if (skip > 0 && !peek) consume(tcb, skip);
    return nothingToRead(tcb);
  }
  const n = length < available ? length : available;
  tcb.receiveRing.load(skip, dst, offset, n, target.of(dst, n));
  if (!peek) consume(tcb, skip + n);
  return n;
}

export function discardUser(tcb: Tcb, length: number): number {
  const available = tcb.readable;
  if (available <= 0) return nothingToRead(tcb);
  const n = Math.min(length, available);
  consume(tcb, n);
  return n;
}

function nothingToRead(tcb: Tcb): number {
  // The end that came is told before an error that came behind it (SOCK_DONE in tcp_recvmsg_locked).
  if (tcb.rcv.finReceived) return 0;
  if (tcb.error !== 0) return takePending(tcb);
  if (tcb.receiveShutdown) return 0;
  if (tcb.state === CLOSED || tcb.state === TIME_WAIT) return 0;
  return NetErr.WouldBlock;
}

/** The user has taken bytes: room for the peer, perhaps worth telling it. */
function consume(tcb: Tcb, length: number): void {
  const { rcv } = tcb;
  rcv.copied = seqAdd(rcv.copied, length);
  tcb.receiveRing.release(length, tcb.readable <= 0 && tcb.outOfOrder.count === 0);
  if (rcv.urgentState !== URGENT_NONE) forgetUrgent(tcb);
  tuneReceiveBuffer(tcb);
  if (tcb.state === ESTABLISHED || tcb.state === FIN_WAIT_1 || tcb.state === FIN_WAIT_2) {
    if (wantsWindowUpdate(tcb)) sendAck(tcb);
  }
}

/** Half-close: what is written still goes, then the FIN. The caller runs finish(). */
export function closeWrite(tcb: Tcb): void {
  if (tcb.snd.finQueued) return;
  tcb.sendShutdown = true;
  if (tcb.state === CLOSE_WAIT) setState(tcb, LAST_ACK);
  else if (tcb.state === ESTABLISHED || tcb.state === SYN_RECEIVED) setState(tcb, FIN_WAIT_1);
  else return;
  tcb.snd.finQueued = true;
}

/** The user goes away. The caller runs finish(). */
export function closeUser(tcb: Tcb): void {
  tcb.isOrphan = true;
  const hadUnread = tcb.readable > 0;
  switch (tcb.state) {
    case CLOSED:
      tcb.receiveRing.free();
      return;
    case SYN_SENT:
      closeTcb(tcb, 0);
      return;
    case SYN_RECEIVED:
      if (isEarlyChild(tcb)) break;
      abortTcb(tcb, 0, true);
      return;
    case TIME_WAIT:
      tcb.receiveRing.free();
      return;
  }
  if (hadUnread) {
    // RFC 2525 2.17: data that will never be read must not look delivered.
    tcb.ctx.stats.TCPAbortOnClose++;
    abortTcb(tcb, 0, true);
    return;
  }
  if (tcb.options.lingerNs === 0) {
    tcb.ctx.stats.TCPAbortOnLinger++;
    abortTcb(tcb, 0, true);
    return;
  }
  const { ctx } = tcb;
  if (ctx.orphanCount >= Math.min(ctx.settings.maxOrphans, ctx.limits.connections >> 1)) {
    // Linux's tcp_check_oom: what nobody holds any more may not fill the table of what is held.
    ctx.stats.TCPAbortOnMemory++;
    abortTcb(tcb, 0, true);
    return;
  }
  ctx.orphanCount++;
  tcb.isOrphanCounted = true;
  tcb.receiveShutdown = true;
  closeWrite(tcb);
  if (tcb.state === FIN_WAIT_2) limitFinWait2(tcb, true);
}

/** Where a connect() to addr goes, or why it cannot. */
export function destinationOf(family: Family, v6Only: boolean, addr: IpAddr): IpAddr | NetError {
  if (family === IPV4 && !addr.isV4) return NetErr.InvalidArgument;
  if (family === IPV6 && addr.isV4 && v6Only) return NetErr.NetworkUnreachable;
  if (addr.isMulticast || addr.isLimitedBroadcast) return NetErr.NetworkUnreachable;
  if (!addr.isUnspecified) return addr;
  // Connecting to "any" reaches ourselves, as on Linux.
  if (addr.isV4) return IpAddr.v4(127, 0, 0, 1);
  const loopback = new IpAddr();
  loopback.w3 = 1;
  return loopback;
}

/** tcp_poll of a connection; state: the endpoint's. */
export function readinessOf(tcb: Tcb, state: number, isReadable: boolean): number {
  let mask = tcb.error !== 0 ? Ready.Error : 0;
  const isReadClosed = tcb.rcv.finReceived || tcb.receiveShutdown || state === CLOSED;
  if (isReadClosed) mask |= Ready.Read | Ready.ReadClosed;
  if (state === CLOSED || (isReadClosed && tcb.sendShutdown)) mask |= Ready.Hangup;
  if (state === SYN_SENT || (state === SYN_RECEIVED && !isEarlyChild(tcb))) return mask;
  if (isReadable) mask |= Ready.Read;
  if (tcb.sendShutdown || state === CLOSED || isWritable(tcb)) mask |= Ready.Write;
  else tcb.isWriteBlocked = true;
  const urgent = tcb.rcv.urgentState;
  if (urgent === URGENT_READY || urgent === URGENT_PENDING) mask |= Ready.Urgent;
  return mask;
}
