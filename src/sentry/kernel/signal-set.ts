// Sets of signals 1..64 as two int32 words, and the queue of signals that wait to be delivered
// (signal(7): standard signals pend once, real-time signals queue in order).

import type { SigInfo } from "../../abi/siginfo.ts";
import {
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGRTMIN,
  SIGSEGV,
  SIGSTOP,
  SIGSYS,
  SIGTRAP,
} from "../../abi/signal.ts";

const bitOf = (signo: number): number => 1 << ((signo - 1) & 31);

export const maskLow = (signo: number): number => (signo <= 32 ? bitOf(signo) : 0);
export const maskHigh = (signo: number): number => (signo > 32 ? bitOf(signo) : 0);

/** SIGKILL and SIGSTOP: can be neither blocked nor caught. */
export const UNBLOCKABLE_LOW = bitOf(SIGKILL) | bitOf(SIGSTOP);
const SYNCHRONOUS_LOW =
  bitOf(SIGSEGV) | bitOf(SIGBUS) | bitOf(SIGILL) | bitOf(SIGTRAP) | bitOf(SIGFPE) | bitOf(SIGSYS);

export class SignalSet {
  low = 0;
  high = 0;

  has(signo: number): boolean {
    return ((signo <= 32 ? this.low : this.high) & bitOf(signo)) !== 0;
  }
  add(signo: number): void {
    if (signo <= 32) this.low |= bitOf(signo);
    else this.high |= bitOf(signo);
  }
  delete(signo: number): void {
    if (signo <= 32) this.low &= ~bitOf(signo);
    else this.high &= ~bitOf(signo);
  }
  set(low: number, high: number): void {
    this.low = low | 0;
    this.high = high | 0;
  }
  copyFrom(other: SignalSet): void {
    this.low = other.low;
    this.high = other.high;
  }
  get isEmpty(): boolean {
    return (this.low | this.high) === 0;
  }
}

/** How many signals wait in all queues of the sandbox: what one program queues, another cannot. */
export interface SignalCounter {
  queuedSignals: number;
}

export class PendingSignals {
  /** Which signals have at least one entry. */
  readonly set = new SignalSet();
  readonly #counter: SignalCounter;
  #queue: SigInfo[] = [];

  constructor(counter: SignalCounter) {
    this.#counter = counter;
  }

  get count(): number {
    return this.#queue.length;
  }

  /** False: a standard signal that was pending already, so this one is lost as in Linux. */
  enqueue(info: SigInfo): boolean {
    if (info.signo < SIGRTMIN && this.set.has(info.signo)) return false;
    this.set.add(info.signo);
    this.#queue.push(info);
    this.#counter.queuedSignals++;
    return true;
  }

  /** Takes the next signal that is in the mask: faults first, then the lowest number, oldest first. */
  dequeue(low: number, high: number): SigInfo | null {
    const availableLow = this.set.low & low;
    const availableHigh = this.set.high & high;
    if ((availableLow | availableHigh) === 0) return null;
    const first = availableLow & SYNCHRONOUS_LOW;
    const word = first !== 0 ? first : availableLow;
    const signo = word !== 0 ? lowestBit(word) + 1 : lowestBit(availableHigh) + 33;
    return this.#take(signo);
  }

  discard(signo: number): void {
    if (!this.set.has(signo)) return;
    this.set.delete(signo);
    const before = this.#queue.length;
    this.#queue = this.#queue.filter((info) => info.signo !== signo);
    this.#counter.queuedSignals -= before - this.#queue.length;
  }

  clear(): void {
    this.set.set(0, 0);
    this.#counter.queuedSignals -= this.#queue.length;
    this.#queue.length = 0;
  }

  #take(signo: number): SigInfo | null {
    let found: SigInfo | null = null;
    let more = false;
    let index = -1;
    for (let i = 0; i < this.#queue.length; i++) {
      if (this.#queue[i].signo !== signo) continue;
      if (found === null) {
        found = this.#queue[i];
        index = i;
      } else {
        more = true;
        break;
      }
    }
    if (!more) this.set.delete(signo);
    if (index >= 0) {
      this.#queue.splice(index, 1);
      this.#counter.queuedSignals--;
    }
    return found;
  }
}

const lowestBit = (word: number): number => 31 - Math.clz32(word & -word);
