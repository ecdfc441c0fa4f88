// What the monitor has asked its Sentry and waits to hear of, by number: whether it lives, whether it is quiet.

export class Questions {
  /** What to do with the answer (true), and when none can come any more (false). */
  readonly #open = new Map<number, (isAnswered: boolean) => void>();
  #nextId = 1;

  /** Asks by `send`. False when there is no answer, by the end of the sandbox or within that time. */
  ask(send: (id: number) => Promise<void>, withinMs?: number): Promise<boolean> {
    const id = this.#nextId++;
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<boolean>((resolve) => {
      this.#open.set(id, resolve);
      if (withinMs !== undefined) timer = setTimeout(resolve, withinMs, false);
    });
    // Not awaited: a Sentry that reads nothing must not keep us from giving up.
    send(id).catch(() => {});
    return answer.finally(() => {
      clearTimeout(timer);
      this.#open.delete(id);
    });
  }

  answer(id: number): void {
    this.#open.get(id)?.(true);
  }

  /** None can come any more. */
  end(): void {
    for (const answer of this.#open.values()) answer(false);
  }
}
