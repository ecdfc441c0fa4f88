// What can go wrong with a script, with its place: a text that is no script (syntax), or an exchange that
// went otherwise than written (mismatch). Thrown inside the interpreter only; runScript catches them.

export interface Place {
  line: number;
  column: number;
}

export class DrillError extends Error {
  readonly kind: "syntax" | "mismatch" | "unsupported";
  readonly place: Place;

  constructor(kind: DrillError["kind"], place: Place, message: string) {
    super(message);
    this.kind = kind;
    this.place = place;
  }
}

export const mismatch = (place: Place, message: string): DrillError =>
  new DrillError("mismatch", place, message);
