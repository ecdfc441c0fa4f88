// What the monitor has asked its Sentry and waits to hear of, by number: whether it lives, whether it is quiet.

export interface Answer {
  /** Of "are you quiet": a timer is armed. */
  hasTimers: boolean;
}

export class Questions {
  /** What to do with the answer, and when none can come any more (null). */
  readonly #open = new Map<number, (answer: Answer | null) => void>();
  #nextId = 1;

  /** Asks by `send`. Null when there is no answer, by the end of the sandbox or within that time. */
  ask(send: (id: number) => Promise<void>, withinMs?: number): Promise<Answer | null> {
    const id = this.#nextId++;
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<Answer | null>((resolve) => {
      this.#open.set(id, resolve);
      if (withinMs !== undefined) timer = setTimeout(resolve, withinMs, null);
    });
    // Not awaited: a Sentry that reads nothing must not keep us from giving up.
    send(id).catch(() => {});
    return answer.finally(() => {
      clearTimeout(timer);
      this.#open.delete(id);
    });
  }

  answer(id: number, answer: Answer): void {
    this.#open.get(id)?.(answer);
  }

  /** None can come any more. */
  end(): void {
    for (const answer of this.#open.values()) answer(null);
  }
}
