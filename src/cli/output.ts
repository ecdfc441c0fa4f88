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

/** What virtual time was to the world's. */
export function paceText(simulatedSeconds: number, seconds: number): string {
  const pace = simulatedSeconds / seconds;
  const digits = pace < 10 ? 2 : 0;
  const times = `${simulatedSeconds.toFixed(1)} s simulated in ${seconds.toFixed(1)} s`;
  return `${times}, ${pace.toFixed(digits)} simulated s/s`;
}
