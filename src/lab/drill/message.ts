// recvmsg's structure after the call: flags, TCP_CM_INQ, and the error queue with its extended errors and
// timestamps, compared with what the script wrote.

import type { CallSpec, Expr } from "./ast.ts";
import { mismatch } from "./drill-error.ts";
import type { DrillSocket, ErrorQueueEntry, Result } from "./socket.ts";
import { fieldsOf, itemsOf, numberOf } from "./values.ts";

const MSG_TRUNC = 0x20;
const MSG_ERRQUEUE = 0x2000;
const SOL_TCP = 6;
const TCP_CM_INQ = 36;
const SOL_SOCKET = 1;
const SCM_TIMESTAMPING = 37;
/** How far a notification's time may be from the script's. */
const TIMESTAMP_TOLERANCE_NS = 4_000_000;

interface ControlMessage {
  level: number;
  type: number;
  data: Expr;
}

function controlOf(message: Map<string, Expr>): ControlMessage[] | null {
  const list = message.get("msg_control");
  if (list === undefined || list.kind === "ellipsis") return null;
  return itemsOf(list).map((item) => {
    const fields = fieldsOf(item);
    return {
      level: numberOf(fields.get("cmsg_level") ?? item),
      type: numberOf(fields.get("cmsg_type") ?? item),
      data: fields.get("cmsg_data") ?? item,
    };
  });
}

/** The result of recvmsg, its structure checked. */
export function receiveMessage(
  s: DrillSocket,
  message: Map<string, Expr>,
  flags: number,
  result: Result,
  call: CallSpec,
): Result {
  if ((flags & MSG_ERRQUEUE) !== 0) return receiveError(s, message, call);
  const wanted = controlOf(message);
  if (wanted === null || typeof result === "string") return result;
  for (const control of wanted) {
    if (control.level !== SOL_TCP || control.type !== TCP_CM_INQ) continue;
    if (!s.reportsInq) throw mismatch(call.place, "expected TCP_CM_INQ, got no control message");
    const inq = queuedBytes(s);
    if (numberOf(control.data) !== inq) {
      throw mismatch(
        control.data.place,
        `expected TCP_CM_INQ ${numberOf(control.data)}, got ${inq}`,
      );
    }
  }
  return result;
}

/** Linux counts the peer's FIN as one byte while nothing else is left. */
function queuedBytes(s: DrillSocket): number {
  const READ_CLOSED = 8;
  const bytes = s.tcp?.readableBytes ?? 0;
  const isClosed = (s.endpoint.readiness() & READ_CLOSED) !== 0;
  return bytes === 0 && isClosed ? 1 : bytes;
}

function receiveError(s: DrillSocket, message: Map<string, Expr>, call: CallSpec): Result {
  s.settleZeroCopy();
  const entry = s.errorQueue.shift();
  if (entry === undefined) return "EAGAIN";
  const wantedFlags = message.get("msg_flags");
  const hasTruncated = wantedFlags !== undefined && (numberOf(wantedFlags) & MSG_TRUNC) !== 0;
  // A timestamp carries the packet, which does not fit in an empty vector.
  if (entry.timeNs === null && hasTruncated) throw mismatch(call.place, "expected MSG_TRUNC");
  for (const control of controlOf(message) ?? []) {
    if (control.level === SOL_SOCKET && control.type === SCM_TIMESTAMPING) {
      checkTimestamp(control.data, entry);
    } else checkExtended(control.data, entry);
  }
  return 0;
}

function checkTimestamp(e: Expr, entry: ErrorQueueEntry): void {
  const fields = fieldsOf(e);
  const seconds = fields.get("scm_sec");
  const nanoseconds = fields.get("scm_nsec");
  const wanted =
    (seconds === undefined ? 0 : numberOf(seconds)) * 1e9 +
    (nanoseconds === undefined ? 0 : numberOf(nanoseconds));
  if (entry.timeNs === null) throw mismatch(e.place, "expected a timestamp, got none");
  if (Math.abs(entry.timeNs - wanted) > TIMESTAMP_TOLERANCE_NS) {
    throw mismatch(e.place, `expected timestamp ${wanted} ns, got ${entry.timeNs} ns`);
  }
}

function checkExtended(e: Expr, entry: ErrorQueueEntry): void {
  const got: Readonly<Record<string, number>> = {
    ee_errno: entry.errno,
    ee_origin: entry.origin,
    ee_type: entry.type,
    ee_code: entry.code,
    ee_info: entry.info,
    ee_data: entry.data,
  };
  for (const [name, value] of fieldsOf(e)) {
    if (got[name] === undefined || value.kind === "ellipsis") continue;
    if (numberOf(value) !== got[name]) {
      throw mismatch(value.place, `expected ${name} ${numberOf(value)}, got ${got[name]}`);
    }
  }
}
