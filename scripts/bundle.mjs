// One file of code per process into dist/code, and what starts it in dist/bin: a sandbox is three Node processes,
// and reading and compiling hundreds of files is most of what their start would cost.
// koffi stays outside (it brings machine code along), and fast-check, which only `netcell fuzz` loads.
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { build } from "esbuild";

const MAINS = {
  netcell: "src/cli/main.ts",
  // The first that netcell does: see start.cjs.
  "start-processes": "src/sandbox/start-processes.ts",
  sentry: "src/sentry/loop/main.ts",
  gofer: "src/gofer/server/main.ts",
  "fuzz-worker": "src/cli/fuzz-worker.ts",
};
const common = {
  bundle: true,
  platform: "node",
  target: "node20",
  external: ["koffi", "fast-check"],
  logLevel: "warning",
};

await build({
  ...common,
  entryPoints: MAINS,
  outdir: "dist/code",
  format: "cjs",
  minifySyntax: true,
  minifyWhitespace: true,
  define: { "import.meta.url": "importMetaUrl" },
  // What scripts/start.cjs calls.
  banner: {
    js: '(function (module, require, __filename) { "use strict"; const importMetaUrl = require("node:url").pathToFileURL(__filename).href;',
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
for (const name of ["sentry", "gofer", "fuzz-worker"])
  copyFileSync("scripts/start.cjs", `dist/bin/${name}.js`);
// A shell reads the second line, JavaScript sees a string and a comment in it. With that variable set Node reads
// and parses certificates at its start, for TLS that we have no use for. measured: 57 ms.
const UNSET =
  'if [ -n "$NODE_EXTRA_CA_CERTS" ]; then export NETCELL_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS"; unset NODE_EXTRA_CA_CERTS; fi';
const start = readFileSync("scripts/start.cjs", "utf8");
writeFileSync("dist/bin/netcell.js", `#!/bin/sh\n":" //; ${UNSET}; exec node "$0" "$@"\n${start}`);

// npm links a package's commands where it is installed, not in its own checkout: for `npx netcell` there.
chmodSync("dist/bin/netcell.js", 0o755);
mkdirSync("node_modules/.bin", { recursive: true });
rmSync("node_modules/.bin/netcell", { force: true });
symlinkSync("../../dist/bin/netcell.js", "node_modules/.bin/netcell");
