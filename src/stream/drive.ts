// Carries a world in virtual time along with programs of Node's event loop: after every event of the world the
// program has its turn, until it has nothing more to do at once. Repeatable as far as the program is: work that
// it gives to other threads (files, zlib) is not waited for by the world's clock.

/** A World of netcell/lab, or anything that goes from event to event. */
export interface Steppable {
  /** To the next event; false when none is to come. */
  step(): boolean;
  readonly nowNs: number;
}

export interface DriveOptions {
  /** Simulated time that the work may take; an hour when not given. */
  limitNs?: number;
}

const SECOND_NS = 1e9;
const LIMIT_NS = 3600 * SECOND_NS;
/** Real time without an event in the world and without an end: about a second. */
const IDLE_TURNS_MAX = 1000;

const turn = (): Promise<void> => new Promise((go) => setImmediate(go));
const millisecond = (): Promise<void> => new Promise((go) => setTimeout(go, 1));

/** Until the work is done; an error when it cannot be any more. */
export async function drive<T>(
  world: Steppable,
  work: Promise<T>,
  { limitNs = LIMIT_NS }: DriveOptions = {},
): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  work.then(over, over);
  const endNs = world.nowNs + limitNs;
  let idle = 0;
  await turn();
  while (!isOver) {
    if (world.nowNs > endNs) {
      throw new Error(`not done within ${limitNs / SECOND_NS} simulated seconds`);
    }
    if (world.step()) {
      idle = 0;
      await turn();
    } else if (++idle > IDLE_TURNS_MAX) {
      throw new Error("nothing more will happen in the world, and the work is not done");
    } else await millisecond();
  }
  return work;
}
