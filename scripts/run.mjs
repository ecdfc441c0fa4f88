// node scripts/run.mjs FILE.ts [ARG...]: runs a TypeScript program of the repository's own, on every Node that we
// support (not all of them read types away).
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const [file, ...rest] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: node scripts/run.mjs FILE.ts [ARG...]");
  process.exit(2);
}
// Beneath the repository, so that packages are found, this one by its own name among them.
mkdirSync("dist", { recursive: true });
const dir = mkdtempSync(join("dist", ".run-"));
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
const outfile = resolve(dir, "main.mjs");
await build({
  entryPoints: [file],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  logLevel: "warning",
});
process.argv = [process.argv[0], file, ...rest];
await import(pathToFileURL(outfile).href);
