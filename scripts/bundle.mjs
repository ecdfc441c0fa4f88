// One file per process into dist/bin: a sandbox starts three Node processes, and reading one file instead
// of hundreds is most of what their start costs us. koffi stays outside (it brings machine code along).
import { build } from "esbuild";

await build({
  entryPoints: {
    netcell: "src/cli/main.ts",
    sentry: "src/sentry/loop/main.ts",
    gofer: "src/gofer/server/main.ts",
    "../bench/main": "bench/main.ts",
  },
  outdir: "dist/bin",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  external: ["koffi"],
  // CommonJS dependencies inside an ES module bundle ask for these.
  banner: {
    js: 'import { createRequire as netcellCreateRequire } from "node:module"; const require = netcellCreateRequire(import.meta.url);',
  },
  logLevel: "warning",
});
