// Where the captures of failed tests go: a folder named after the test, beneath netcell-artefacts in the working
// directory or what NETCELL_ARTEFACTS names.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const DEFAULT_DIRECTORY = "netcell-artefacts";
const NAME_MAX = 120;

/** A name for a folder: what a shell would want quoted becomes a dash. */
export function folderName(testName: string): string {
  const plain = testName.replace(/[^A-Za-z0-9._]+/g, "-").replace(/^[-.]+|[-.]+$/g, "");
  return plain.slice(0, NAME_MAX) || "test";
}

/** Returns the whole path. */
export function keepArtefact(testName: string, file: string, bytes: Uint8Array): string {
  const root = process.env.NETCELL_ARTEFACTS ?? DEFAULT_DIRECTORY;
  const directory = resolve(root, folderName(testName));
  mkdirSync(directory, { recursive: true });
  const path = join(directory, file);
  writeFileSync(path, bytes);
  return path;
}
