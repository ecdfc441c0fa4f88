// `node FLAGS write-code-cache.cjs FILE`: FILE.cache, V8's compiled form of every function in FILE, for processes
// that run with the same flags (see start.cjs).
"use strict";

const { readFileSync, writeFileSync } = require("node:fs");
const { setFlagsFromString } = require("node:v8");
const { Script } = require("node:vm");

const filename = process.argv[2];
const source = readFileSync(filename, "latin1");
// Compile functions now, not when first called. Back before the cache is made: it is stamped with the flags.
setFlagsFromString("--no-lazy");
const script = new Script(source, { filename });
setFlagsFromString("--lazy");
writeFileSync(`${filename}.cache`, script.createCachedData());
