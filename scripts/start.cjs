// The start of each of our processes, copied to dist/bin under its name: runs dist/code/NAME.js from V8's code
// cache beside it, which saves compiling. A cache made by another version of Node, or with other flags of V8,
// is refused by V8 itself; then, and without one, the code is compiled as usual.
"use strict";

const { readFileSync } = require("node:fs");
const { basename, dirname, join } = require("node:path");
const { Script } = require("node:vm");

const codeFolder = join(dirname(__dirname), "code");
const name = basename(__filename, ".js");

function codeCache(filename) {
  try {
    return readFileSync(`${filename}.cache`);
  } catch {
    return undefined;
  }
}

/** What the code of that name exports. */
function load(name) {
  const filename = join(codeFolder, `${name}.js`);
  // The bundle is ASCII: one byte a character, and one function of what a CommonJS module is given.
  const source = readFileSync(filename, "latin1");
  const script = new Script(source, { filename, cachedData: codeCache(filename) });
  const module = { exports: {} };
  script.runInThisContext()(module, require, filename);
  return module.exports;
}

if (name === "netcell") {
  const { NETCELL_EXTRA_CA_CERTS: certificates, ...others } = process.env;
  // Hidden from Node at our start (bundle.mjs); back where it was, for --env NODE_EXTRA_CA_CERTS.
  if (certificates !== undefined) process.env = { ...others, NODE_EXTRA_CA_CERTS: certificates };
  // Sentry and Gofer start while the rest of us is loaded.
  const early = process.argv[2] === "run" ? load("start-processes").startProcesses() : null;
  load(name).main(early);
} else load(name);
