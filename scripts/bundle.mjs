// One file per process into dist/bin: a sandbox starts three Node processes, and reading one file instead
// of hundreds is most of what their start costs us. koffi stays outside (it brings machine code along).
import { chmodSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { build } from "esbuild";

await build({
  entryPoints: {
    "bin/netcell": "src/cli/main.ts",
    "bin/sentry": "src/sentry/loop/main.ts",
    "bin/gofer": "src/gofer/server/main.ts",
    "bench/main": "bench/main.ts",
  },
  outdir: "dist",
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

// npm links a package's commands where it is installed, not in its own checkout: for `npx netcell` there.
chmodSync("dist/bin/netcell.js", 0o755);
mkdirSync("node_modules/.bin", { recursive: true });
rmSync("node_modules/.bin/netcell", { force: true });
symlinkSync("../../dist/bin/netcell.js", "node_modules/.bin/netcell");
