// For --pcap FILE.pcapng: says of every packet why it was sent: which task's system call on which descriptor, or
// which timer or acknowledgment. Sits where --strace sits, so that a sandbox without such a capture pays nothing.
// Not a judge of connections: what it knows of them are the packets that passed.

import { SYSCALL_NAMES } from "../../abi/syscall-numbers.ts";
import { u16, u32, utf8Text } from "../../base/bytes.ts";
import { DIRECTION_IN, type FrameCauses } from "../../link/index.ts";
import type { SyscallTrace } from "../kernel/kernel.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallArgs } from "./args.ts";

/** Calls whose first argument is the socket. */
const ON_A_DESCRIPTOR = new Set([
  ..."read write readv writev pread64 pwrite64 sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg".split(
    " ",
  ),
  ..."connect close shutdown accept accept4 bind listen setsockopt getsockopt ioctl sendfile".split(
    " ",
  ),
]);
/** The socket is the third: splice(in, offset, out, ...). */
const ON_THE_THIRD = new Set(["splice"]);

const ETHERNET = 14;
const PROTO_TCP = 6;
const FIN = 1;
const SYN = 2;
const RST = 4;
/** Flows that are remembered; the oldest is forgotten for a new one. */
const FLOWS_MAX = 4096;

interface Flow {
  /** The call that gave it something to send last. */
  cause: string;
  /** One past the last sequence number sent (int32); meaningless before hasSent. */
  sentEnd: number;
  hasSent: boolean;
}

export class PacketCauses implements SyscallTrace, FrameCauses {
  /** The call that runs now, in the manner of strace -f; "" outside of calls. */
  #call = "";
  #isDelivering = false;
  readonly #next: SyscallTrace | null;
  readonly #flows = new Map<string, Flow>();

  /** `next`: another trace that wants to know the same. */
  constructor(next: SyscallTrace | null) {
    this.#next = next;
  }

  enter(t: Task, nr: number, args: SyscallArgs): void {
    const name = SYSCALL_NAMES[nr] ?? `syscall_${nr}`;
    const fd = ON_A_DESCRIPTOR.has(name) ? 0 : ON_THE_THIRD.has(name) ? 2 : -1;
    this.#call = `${commOf(t)}[${t.tid}] ${name}(${fd < 0 ? "" : args.int(fd)})`;
    this.#next?.enter(t, nr, args);
  }
  blocked(t: Task): void {
    this.#call = "";
    this.#next?.blocked(t);
  }
  exit(t: Task, nr: number, result: number): void {
    this.#call = "";
    this.#next?.exit(t, nr, result);
  }

  delivering(isDelivering: boolean): void {
    this.#isDelivering = isDelivering;
  }

  /** Of the frame b[start, end), which leaves or has just come. */
  causeOf(b: Uint8Array, start: number, end: number, direction: number): string {
    const ip = ipOf(b, start, end);
    if (ip === null) return direction === DIRECTION_IN ? "" : this.#call || "stack";
    const { protocol, l4 } = ip;
    const isIn = direction === DIRECTION_IN;
    const ours = u16(b, l4 + (isIn ? 2 : 0));
    const theirs = u16(b, l4 + (isIn ? 0 : 2));
    const key = `${protocol} ${ours} ${theirs}`;
    const flow = this.#flows.get(key);
    if (isIn) return flow === undefined || flow.cause === "" ? "" : `for ${ownerOf(flow.cause)}`;
    const mine = flow ?? this.#newFlow(key);
    if (this.#call !== "") mine.cause = this.#call;
    return protocol === PROTO_TCP
      ? this.#tcp(b, ip, end, mine)
      : this.#call || mine.cause || (this.#isDelivering ? "neighbour found" : "stack");
  }

  #tcp(b: Uint8Array, { l4, payloadEnd }: IpFound, end: number, flow: Flow): string {
    const flags = b[l4 + 13];
    const seq = u32(b, l4 + 4) | 0;
    const data = Math.max(0, Math.min(payloadEnd, end) - l4 - (b[l4 + 12] >>> 4) * 4);
    const length = data + ((flags & (SYN | FIN)) !== 0 ? 1 : 0);
    const isAgain = flow.hasSent && length > 0 && ((seq - flow.sentEnd) | 0) < 0;
    const isProbe = flow.hasSent && length === 0 && ((seq - flow.sentEnd) | 0) < 0;
    if (length > 0 && !isAgain) {
      flow.sentEnd = (seq + length) | 0;
      flow.hasSent = true;
    }
    if (isAgain) {
      if (this.#call !== "") return `${this.#call}, retransmission`;
      return this.#isDelivering ? "retransmission, on ack" : "retransmission timer";
    }
    if (this.#call !== "") return this.#call;
    if ((flags & RST) !== 0) return this.#isDelivering ? "reset, on segment" : "reset";
    if ((flags & SYN) !== 0) return "handshake";
    if (length === 0) {
      if (this.#isDelivering) return "ack";
      return isProbe ? "probe timer" : "delayed ack timer";
    }
    const when = this.#isDelivering ? "on ack" : "on timer";
    return flow.cause === "" ? when : `${flow.cause}, ${when}`;
  }

  #newFlow(key: string): Flow {
    if (this.#flows.size >= FLOWS_MAX) {
      for (const oldest of this.#flows.keys()) {
        this.#flows.delete(oldest);
        break;
      }
    }
    const flow = { cause: "", sentEnd: 0, hasSent: false };
    this.#flows.set(key, flow);
    return flow;
  }
}

/** comm is bytes that the program chose: as text, whatever is in it. */
function commOf(t: Task): string {
  const bytes = Uint8Array.from(t.comm, (c) => c.charCodeAt(0));
  return utf8Text(bytes, 0, bytes.length);
}

const ownerOf = (cause: string): string => cause.slice(0, cause.indexOf("]") + 1);

interface IpFound {
  protocol: number;
  l4: number;
  payloadEnd: number;
}

/** TCP and UDP over IP without extension headers, in one piece; null: anything else. */
function ipOf(b: Uint8Array, start: number, end: number): IpFound | null {
  const l3 = start + ETHERNET;
  if (end - l3 < 28) return null;
  const type = u16(b, start + 12);
  if (type === 0x0800) {
    const protocol = b[l3 + 9];
    const l4 = l3 + (b[l3] & 15) * 4;
    const isWhole = (u16(b, l3 + 6) & 0x1fff) === 0;
    if (!isWhole || (protocol !== PROTO_TCP && protocol !== 17) || l4 + 8 > end) return null;
    if (protocol === PROTO_TCP && l4 + 20 > end) return null;
    return { protocol, l4, payloadEnd: l3 + u16(b, l3 + 2) };
  }
  const protocol = b[l3 + 6];
  const l4 = l3 + 40;
  if (type !== 0x86dd || (protocol !== PROTO_TCP && protocol !== 17)) return null;
  if (l4 + (protocol === PROTO_TCP ? 20 : 8) > end) return null;
  return { protocol, l4, payloadEnd: l4 + u16(b, l3 + 4) };
}
