// koffi's machine code, loaded without the JavaScript around it, which finds out what host this is by reading
// Node's own ELF headers and loads some twenty modules to do so. measured: 2 ms instead of 13 in each of the
// three processes of a sandbox. Where the file is not in its usual place, or not what we know, koffi loads
// itself.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

type Koffi = typeof import("koffi");

const BINARY = "node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node";
/** What the file exports is koffi's own affair: known of this major version. */
const KNOWN_VERSION = /^3\./;
/** musl's loader; a host that has it may run a Node for it, which koffi itself looks into. */
const MUSL_LOADER = "/lib/ld-musl-x86_64.so.1";

/** As Node looks for packages: in the node_modules of every folder from here up. */
function findBinary(): string | null {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const path = join(folder, BINARY);
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) return null;
  }
}

function loadBinary(): Koffi | null {
  if (process.arch !== "x64" || existsSync(MUSL_LOADER)) return null;
  const path = findBinary();
  if (path === null) return null;
  const loaded: { exports: Partial<Koffi> } = { exports: {} };
  try {
    process.dlopen(loaded, path);
  } catch {
    return null; // koffi's own attempt gives the better reason
  }
  return KNOWN_VERSION.test(loaded.exports.version ?? "") ? (loaded.exports as Koffi) : null;
}

export const koffi: Koffi = loadBinary() ?? (createRequire(import.meta.url)("koffi") as Koffi);
