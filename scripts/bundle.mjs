// One file of code per process into dist/code, with V8's code cache, and what starts it in dist/bin: a sandbox
// is three Node processes, and reading and compiling hundreds of files is most of what their start would cost.
// koffi stays outside (it brings machine code along).
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { GOFER_FLAGS, SENTRY_FLAGS } from "../dist/sandbox/process-flags.js";

const PROCESSES = [
  { name: "netcell", main: "src/cli/main.ts", flags: [] },
  { name: "sentry", main: "src/sentry/loop/main.ts", flags: SENTRY_FLAGS },
  { name: "gofer", main: "src/gofer/server/main.ts", flags: GOFER_FLAGS },
];
const common = {
  bundle: true,
  platform: "node",
  target: "node20",
  external: ["koffi"],
  logLevel: "warning",
};

await build({
  ...common,
  entryPoints: Object.fromEntries(PROCESSES.map(({ name, main }) => [name, main])),
  outdir: "dist/code",
  format: "cjs",
  minifySyntax: true,
  minifyWhitespace: true,
  define: { "import.meta.url": "importMetaUrl" },
  // What scripts/start.cjs calls.
  banner: {
    js: '(function (require, __filename) { "use strict"; const importMetaUrl = require("node:url").pathToFileURL(__filename).href;',
  },
  footer: { js: "})" },
});
await build({
  ...common,
  entryPoints: { main: "bench/main.ts" },
  outdir: "dist/bench",
  format: "esm",
  // CommonJS dependencies inside an ES module bundle ask for this.
  banner: {
    js: 'import { createRequire as netcellCreateRequire } from "node:module"; const require = netcellCreateRequire(import.meta.url);',
  },
});

mkdirSync("dist/bin", { recursive: true });
writeFileSync("dist/bin/package.json", '{ "type": "commonjs" }\n');
for (const { name, flags } of PROCESSES) {
  copyFileSync("scripts/start.cjs", `dist/bin/${name}.js`);
  execFileSync(process.execPath, [
    ...flags,
    "scripts/write-code-cache.cjs",
    `dist/code/${name}.js`,
  ]);
}

// npm links a package's commands where it is installed, not in its own checkout: for `npx netcell` there.
chmodSync("dist/bin/netcell.js", 0o755);
mkdirSync("node_modules/.bin", { recursive: true });
rmSync("node_modules/.bin/netcell", { force: true });
symlinkSync("../../dist/bin/netcell.js", "node_modules/.bin/netcell");
