// Messages into and out of program memory, for datagram and seqpacket sockets.

import { EFAULT } from "../../../abi/errno.ts";
import { MSG_TRUNC } from "../../../abi/socket.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Io } from "../../vfs/io.ts";
import type { ReceiveMessage } from "../message.ts";
import type { RecordSender, UnixRecord } from "./records.ts";
import { deliver, type Rights, type Ucred } from "./rights.ts";

export function recordOf(
  io: Io,
  length: number,
  rights: Rights | null,
  ucred: Ucred | null,
  from: ByteString | null,
  sender: RecordSender,
): UnixRecord | number {
  const bytes = new Uint8Array(length);
  if (length > 0) {
    const n = io.copyIn(bytes, 0, length);
    if (n !== length) return n < 0 ? n : -EFAULT;
  }
  return { bytes, rights, ucred, from, sender };
}

/** Copies a message out and tells of its company: bytes stored or -EFAULT. Does not take it off the queue. */
export function receiveRecord(
  t: Task,
  io: Io,
  message: ReceiveMessage,
  record: UnixRecord,
  wantsUcred: boolean,
  peek: boolean,
): number {
  const { bytes } = record;
  const wanted = Math.min(bytes.length, io.remaining);
  const n = wanted === 0 ? 0 : io.copyOut(bytes, 0, wanted);
  if (n < wanted) return -EFAULT;
  if (wanted < bytes.length) message.resultFlags |= MSG_TRUNC;
  deliver(t, message, wantsUcred, record.ucred, record.rights, peek);
  return n;
}
