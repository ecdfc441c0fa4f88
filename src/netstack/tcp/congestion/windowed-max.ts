// The largest value of the last so many rounds, kept in three samples (Kathleen Nichols' estimator, Linux's
// lib/win_minmax.c): the best, the best after it, and the best after that.

export class WindowedMax {
  #t0 = 0;
  #v0 = 0;
  #t1 = 0;
  #v1 = 0;
  #t2 = 0;
  #v2 = 0;

  get value(): number {
    return this.#v0;
  }

  reset(t: number, v: number): number {
    this.#t0 = this.#t1 = this.#t2 = t;
    this.#v0 = this.#v1 = this.#v2 = v;
    return v;
  }

  /** A value measured at `t`; what is older than `window` is forgotten. Returns the maximum. */
  add(window: number, t: number, v: number): number {
    if (v >= this.#v0 || t - this.#t2 > window) return this.reset(t, v);
    if (v >= this.#v1) {
      this.#t1 = this.#t2 = t;
      this.#v1 = this.#v2 = v;
    } else if (v >= this.#v2) {
      this.#t2 = t;
      this.#v2 = v;
    }
    return this.#age(window, t, v);
  }

  #age(window: number, t: number, v: number): number {
    const age = t - this.#t0;
    if (age > window) {
      this.#shift(t, v);
      if (t - this.#t0 > window) this.#shift(t, v);
    } else if (this.#t1 === this.#t0 && age > window / 4) {
      // A quarter of the window without a second choice: this is one.
      this.#t1 = this.#t2 = t;
      this.#v1 = this.#v2 = v;
    } else if (this.#t2 === this.#t1 && age > window / 2) {
      this.#t2 = t;
      this.#v2 = v;
    }
    return this.#v0;
  }

  #shift(t: number, v: number): void {
    this.#t0 = this.#t1;
    this.#v0 = this.#v1;
    this.#t1 = this.#t2;
    this.#v1 = this.#v2;
    this.#t2 = t;
    this.#v2 = v;
  }
}
