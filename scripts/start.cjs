#!/usr/bin/env node
// The start of each of our processes, copied to dist/bin under its name: runs dist/code/NAME.js from V8's code
// cache beside it, which saves compiling. A cache made by another version of Node, or with other flags of V8,
// is refused by V8 itself; then, and without one, the code is compiled as usual.
"use strict";

const { readFileSync } = require("node:fs");
const { basename, dirname, join } = require("node:path");
const { Script } = require("node:vm");

const filename = join(dirname(__dirname), "code", basename(__filename));

function codeCache() {
  try {
    return readFileSync(`${filename}.cache`);
  } catch {
    return undefined;
  }
}

// The bundle is ASCII: one byte a character, and one function of what a CommonJS module is given.
const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData: codeCache() });
script.runInThisContext()(require, filename);
