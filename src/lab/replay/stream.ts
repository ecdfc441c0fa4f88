// The bytes that one side of a TCP connection sent, put together from its segments by their place in the stream.
// What comes twice is kept as it came first; what never came is zero bytes, and known as a hole.

const FIRST_BYTES = 4096;
/** Zero bytes that may stand for what is missing: more is no stream any more. */
const HOLE_BYTES_MAX = 16 * 1024 * 1024;

/** Places that are remembered where segments contradict each other. */
const OTHERS_MAX = 1024;

export interface Hole {
  from: number;
  to: number;
}

export class Stream {
  bytes: Uint8Array = new Uint8Array(0);
  /** The highest byte that any segment, FIN or acknowledgment spoke of. */
  length = 0;
  /** Sorted, apart from each other. */
  #have: Hole[] = [];
  /** Segments whose bytes were not those that had come before at their place. */
  conflicts = 0;
  /** What those said. */
  readonly #others: { from: number; bytes: Uint8Array }[] = [];
  /** Set when the numbers leap so far that this is no stream. */
  isAbsurd = false;

  /** `length` bytes at `offset`, of which `bytes` (maybe fewer) are known. */
  add(offset: number, bytes: Uint8Array, at: number, known: number, length: number): void {
    this.extend(offset + length);
    if (this.isAbsurd || known === 0) return;
    const end = offset + known;
    this.#reserve(end);
    const last = this.#have.at(-1);
    if (last === undefined || last.to <= offset) {
      this.bytes.set(bytes.subarray(at, at + known), offset);
      if (last !== undefined && last.to === offset) last.to = end;
      else this.#have.push({ from: offset, to: end });
      return;
    }
    this.#fill(offset, end, bytes, at);
  }

  /** The stream is at least this long. */
  extend(end: number): void {
    const known = this.#have.at(-1)?.to ?? 0;
    if (end > known + HOLE_BYTES_MAX + 65_536) this.isAbsurd = true;
    else if (end > this.length) this.length = end;
  }

  /** What is missing up to the end. */
  holes(): Hole[] {
    const holes: Hole[] = [];
    let at = 0;
    for (const { from, to } of this.#have) {
      if (from > at) holes.push({ from: at, to: from });
      at = to;
    }
    if (at < this.length) holes.push({ from: at, to: this.length });
    return holes;
  }

  /** Some segment had this byte there: where two contradict each other, a receiver takes the one or the other. */
  allows(at: number, byte: number): boolean {
    if (this.bytes[at] === byte) return true;
    return this.#others.some(({ from, bytes }) => bytes[at - from] === byte);
  }

  /** Everything before this place is there. */
  get contiguous(): number {
    const first = this.#have[0];
    return first === undefined || first.from > 0 ? 0 : first.to;
  }

  get missingBytes(): number {
    return this.holes().reduce((sum, { from, to }) => sum + to - from, 0);
  }

  /** The stream ends here whatever came. */
  cut(end: number): void {
    this.length = end;
    this.#have = this.#have.filter(({ from }) => from < end);
    const last = this.#have.at(-1);
    if (last !== undefined) last.to = Math.min(last.to, end);
  }

  /** No more segments: `bytes` is then as long as the stream. */
  finish(): void {
    this.#reserve(this.length);
    this.bytes = this.bytes.subarray(0, this.length);
  }

  #reserve(end: number): void {
    if (end <= this.bytes.length) return;
    let size = Math.max(FIRST_BYTES, this.bytes.length);
    while (size < end) size *= 2;
    const larger = new Uint8Array(size);
    larger.set(this.bytes);
    this.bytes = larger;
  }

  /** Into the gaps among what is there; what is there is compared. */
  #fill(offset: number, end: number, bytes: Uint8Array, at: number): void {
    const have = this.#have;
    let o = offset;
    let firstDiffering = -1;
    let lastDiffering = -1;
    let i = have.findIndex((range) => range.to > offset);
    if (i < 0) i = have.length;
    const first = i;
    let from = offset;
    let to = end;
    for (; i < have.length && have[i].from <= end; i++) {
      const range = have[i];
      if (o < range.from) {
        this.bytes.set(bytes.subarray(at + o - offset, at + range.from - offset), o);
        o = range.from;
      }
      const until = Math.min(end, range.to);
      for (; o < until; o++) {
        if (this.bytes[o] === bytes[at + o - offset]) continue;
        if (firstDiffering < 0) firstDiffering = o;
        lastDiffering = o;
      }
      from = Math.min(from, range.from);
      to = Math.max(to, range.to);
    }
    if (o < end) this.bytes.set(bytes.subarray(at + o - offset, at + end - offset), o);
    have.splice(first, i - first, { from, to });
    this.#mergeBefore(first);
    if (firstDiffering < 0) return;
    this.conflicts++;
    if (this.#others.length === OTHERS_MAX) return;
    const base = at - offset;
    const other = bytes.slice(base + firstDiffering, base + lastDiffering + 1);
    this.#others.push({ from: firstDiffering, bytes: other });
  }

  #mergeBefore(i: number): void {
    const have = this.#have;
    if (i === 0 || have[i - 1].to < have[i].from) return;
    have[i - 1].to = Math.max(have[i - 1].to, have[i].to);
    have.splice(i, 1);
  }
}
