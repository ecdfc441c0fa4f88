// What the command line says to people: one sentence on standard error. Keeps in mind whether Node's streams were
// used at all: what they still hold would be lost if the process ended at once (sandbox/leave.ts).

let isUsed = false;

export function tell(sentence: string): void {
  isUsed = true;
  process.stderr.write(`netcell: ${sentence}\n`);
}

/** Something else is about to write to our standard streams. */
export function noteOutput(): void {
  isUsed = true;
}

export function isSilent(): boolean {
  return !isUsed;
}
