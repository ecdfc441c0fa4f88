// Which names our DNS has given for which addresses: what policy by name and refusal messages rest on.
// Names that may not be resolved get a stand-in address (198.18.0.0/15, RFC 2544: never a real host's), so
// that a connection to them is refused at once, with the name, and no query leaves this machine.

const NAMES_PER_ADDRESS_MAX = 8;
const STAND_IN_BASE = (198 << 24) | (18 << 16);
const STAND_IN_COUNT = 1 << 17;

export class NameTable {
  readonly #limit: number;
  /** Address to its names, oldest answers first. */
  readonly #names = new Map<string, string[]>();
  readonly #standIns = new Map<string, string>();
  #nextStandIn = 1;

  /** limit: addresses remembered. */
  constructor(limit = 65_536) {
    this.#limit = limit;
  }

  /** Our DNS has answered `name` with `address`. */
  record(name: string, address: string): void {
    const names = (this.#names.get(address) ?? []).filter((n) => n !== name);
    names.unshift(name);
    names.length = Math.min(names.length, NAMES_PER_ADDRESS_MAX);
    this.#names.delete(address);
    this.#names.set(address, names);
    if (this.#names.size > this.#limit) {
      const oldest = this.#names.keys().next().value as string;
      this.#names.delete(oldest);
    }
  }

  /** Latest first. */
  namesOf(address: string): readonly string[] {
    return this.#names.get(address) ?? [];
  }

  /** The stand-in address of a name; the same as long as it is remembered. */
  standIn(name: string): string {
    const known = this.#standIns.get(name);
    if (known !== undefined) return known;
    const word = STAND_IN_BASE + this.#nextStandIn;
    this.#nextStandIn = (this.#nextStandIn % (STAND_IN_COUNT - 2)) + 1;
    const address = [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join(".");
    if (this.#standIns.size >= this.#limit) {
      const oldest = this.#standIns.keys().next().value as string;
      this.#standIns.delete(oldest);
    }
    this.#standIns.set(name, address);
    this.#names.delete(address);
    this.record(name, address);
    return address;
  }
}
