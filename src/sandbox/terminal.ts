// The monitor's own terminal, while a program of a sandbox has it.

import { clearOutputProcessing } from "../host/terminal.ts";

/**
 * Keys and screen pass through untouched until the function that is returned is called. Node's raw mode
 * alone leaves the host adding carriage returns to line feeds, which the sandbox's terminal has done or
 * the program has switched off.
 */
export function passThrough(stdin: typeof process.stdin): () => void {
  stdin.setRawMode(true);
  // Refused by a terminal that has gone: then there is no screen to spoil.
  clearOutputProcessing(stdin.fd);
  return () => {
    stdin.setRawMode(false);
  };
}
