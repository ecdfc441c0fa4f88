// Signals sent to `netcell run`. Like docker run it passes them on to the program, which may live through them. Two
// cases end the whole sandbox instead: a kernel that is stuck and so can pass on nothing, and somebody who
// insists.

/** For the sandbox to say that it still works. */
const ANSWER_MS = 3000;
/** So many SIGINT or SIGTERM within INSIST_MS. */
const INSIST_COUNT = 3;
const INSIST_MS = 5000;

const NUMBERS = {
  SIGINT: 2,
  SIGTERM: 15,
  SIGHUP: 1,
  SIGQUIT: 3,
  SIGUSR1: 10,
  SIGUSR2: 12,
} as const;
type Name = keyof typeof NUMBERS;
const NAMES = Object.keys(NUMBERS) as Name[];
/** After these whoever sent them expects an end. */
const ENDING: readonly Name[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

export interface SignalTarget {
  answers(withinMs: number): Promise<boolean>;
  close(): Promise<void>;
}

export class SignalForwarder {
  /** The signal by which we ended the sandbox, 0: we did not. Why: a sentence. */
  endedBy = 0;
  reason = "";

  readonly #target: SignalTarget;
  readonly #now: () => number;
  readonly #handlers: (readonly [Name, () => void])[];
  #program: { kill: (signal: number) => void } | null = null;
  #early = 0;
  #insisted: number[] = [];

  constructor(target: SignalTarget, now: () => number = () => performance.now()) {
    this.#target = target;
    this.#now = now;
    this.#handlers = NAMES.map((name) => [name, () => this.receive(name)] as const);
  }

  listen(): void {
    for (const [name, handler] of this.#handlers) process.on(name, handler);
  }
  stop(): void {
    for (const [name, handler] of this.#handlers) process.off(name, handler);
  }

  /** The program runs: a signal that came before it did is for it. */
  started(program: { kill: (signal: number) => void }): void {
    this.#program = program;
    if (this.#early !== 0) program.kill(this.#early);
  }

  receive(name: Name): void {
    const signal = NUMBERS[name];
    if (this.#program !== null) this.#program.kill(signal);
    else this.#early = signal;
    if (!ENDING.includes(name)) return;
    if (this.#insists(name)) {
      this.#end(signal, `${name} came ${INSIST_COUNT} times, so the sandbox was ended.`);
      return;
    }
    void this.#target.answers(ANSWER_MS).then((does) => {
      if (!does) this.#end(signal, `the sandbox did not answer, so ${name} ended it.`);
    });
  }

  #insists(name: Name): boolean {
    if (name !== "SIGINT" && name !== "SIGTERM") return false;
    const now = this.#now();
    this.#insisted = this.#insisted.filter((at) => now - at < INSIST_MS);
    return this.#insisted.push(now) >= INSIST_COUNT;
  }

  #end(signal: number, reason: string): void {
    if (this.endedBy !== 0) return;
    this.endedBy = signal;
    this.reason = reason;
    void this.#target.close();
  }
}
